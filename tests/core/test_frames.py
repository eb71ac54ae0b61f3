"""Broadcasts: an event to whoever does not know better, a finished frame to whoever does."""

import json

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer
from hypothesis import given, strategies as st

from resilient_channels.core.frames import (
    MARK,
    Frame,
    check_event,
    encode,
    is_broadcast,
    make_broadcast,
    without_mark,
)
from support.loop import run

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(payload=json_values)
def test_a_broadcast_without_its_mark_is_an_ordinary_event(payload):
    event = make_broadcast("chat.message", payload)

    assert is_broadcast(event)
    assert without_mark(event) == {"type": "chat.message", "payload": payload}
    assert not is_broadcast(without_mark(event))
    assert is_broadcast(event), "the event itself is left as it was"


@given(payload=json_values)
def test_the_text_of_a_frame_is_what_consumers_of_channels_make(payload):
    text = encode(make_broadcast("chat.message", payload))

    assert text == run(AsyncJsonWebsocketConsumer.encode_json(payload))
    assert text == JsonWebsocketConsumer.encode_json(payload)
    assert json.loads(text) == payload


@pytest.mark.parametrize("payload", [object(), b"bytes", {1, 2}, {"a": object()}, {(1,): 2}])
def test_what_is_no_json_is_a_type_error(payload):
    with pytest.raises(TypeError):
        encode(make_broadcast("chat.message", payload))


@pytest.mark.parametrize("event", [{}, {"type": "chat.message"}, {"type": "x", "payload": 1}])
def test_an_ordinary_event_is_no_broadcast(event):
    assert not is_broadcast(event)
    assert without_mark(event) == event


@pytest.mark.parametrize("event", [None, "text", ["type"], [("type", "x")], 7, b"bytes"])
def test_what_is_no_dict_is_no_event(event):
    with pytest.raises(AssertionError, match="not a dict"):
        check_event(event)


@pytest.mark.parametrize("key", [MARK, "__asgi_channel__"])
def test_keys_that_layers_and_broadcasts_keep_for_themselves_are_refused(key):
    with pytest.raises(AssertionError, match="keeps for itself"):
        check_event({"type": "news", key: "x"})


@pytest.mark.parametrize("event", [{}, {"type": None}, {"type": "news", "text": "x"}, {1: 2}])
def test_any_other_dict_is_an_event(event):
    check_event(event)


def test_a_frame_is_a_message_that_is_told_from_an_event_by_its_class():
    frame = Frame({"type": "websocket.send", "text": "x"}, "key")

    assert frame == {"type": "websocket.send", "text": "x"}
    assert frame.key == "key"
    assert type(dict(frame)) is not Frame
