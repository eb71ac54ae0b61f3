"""What is not run of the tests of channels_redis: each says nothing about a layer's interface."""

INSIDES = "looks at private attributes of the wrapped class"
TWO_PLACES = (
    "counts on Redis as the only place where messages wait; ours are on their way from there"
)

# file -> {test: why}
DESELECTED: dict[str, dict[str, str]] = {
    "test_core.py": {
        "test_default_group_key_format": INSIDES,
        "test_custom_group_key_format": INSIDES,
        "test_receive_buffer_respects_capacity": INSIDES,
        "test_group_send_capacity": TWO_PLACES,
        "test_group_send_capacity_multiple_channels": TWO_PLACES,
    },
    "test_pubsub.py": {
        "test_loop_instance_channel_layer_reference": INSIDES,
        "test_multi_event_loop_garbage_collection": INSIDES,
        "test_auto_reconnect": INSIDES,
        "test_receive_on_non_owned_general_channel": "sends a str, which no layer has to accept",
    },
    "test_sentinel.py": {
        "test_default_group_key_format": INSIDES,
        "test_custom_group_key_format": INSIDES,
        "test_receive_buffer_respects_capacity": INSIDES,
        "test_group_send_capacity": TWO_PLACES,
        "test_group_send_capacity_multiple_channels": TWO_PLACES,
    },
    "test_pubsub_sentinel.py": {
        "test_loop_instance_channel_layer_reference": INSIDES,
        "test_multi_event_loop_garbage_collection": INSIDES,
        "test_auto_reconnect": INSIDES,
    },
}
