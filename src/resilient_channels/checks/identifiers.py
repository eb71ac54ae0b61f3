"""Every system check: its identifier, and what it says in one sentence.

The reference's table is made of this. Identifiers are never reused.
"""

from __future__ import annotations

APP = "resilient_channels"

CHECK_IDS = {
    f"{APP}.E001": "`RESILIENT_CHANNELS` has an unknown key or an impossible value.",
    f"{APP}.E002": "Two heartbeat options contradict each other, or the interval reaches the limit "
    "of the proxy that `HEARTBEAT.proxy_idle_timeout` declares.",
    f"{APP}.E003": "The hub's `CONFIG` has an unknown key, or is not a dict.",
    f"{APP}.E004": "The `BACKEND` that the hub is to wrap cannot be imported.",
    f"{APP}.E005": "A hub wraps a hub.",
    f"{APP}.E006": "The hub's `CONFIG` has a `CONFIG`, but no `BACKEND` to give it to.",
    f"{APP}.E007": "The `BACKEND` that the hub is to wrap lacks methods of a channel layer.",
    f"{APP}.E008": "A consumer's `channel_layer_alias` is not in `CHANNEL_LAYERS`: it gets no "
    "layer, and Channels does not say so.",
    f"{APP}.W001": "redis-py 8 or newer with its default `socket_timeout` under "
    "`channels_redis.core`, without the hub: one idle plain consumer dies every 5 seconds, and a "
    "message may be lost.",
    f"{APP}.W002": "A synchronous `redis.retry.Retry` in `hosts`: it is silently useless.",
    f"{APP}.W003": "`on_disconnect` or `on_reconnect` given to the pub/sub layer: it never calls "
    "them.",
    f"{APP}.W004": "`TEARDOWN.timeout` is not below the 10 seconds after which Daphne kills a "
    "consumer.",
    f"{APP}.W005": "(`--deploy`) A layer that lives in one process, with `DEBUG` off: the "
    "in-memory layer, or the hub around it or around nothing.",
    f"{APP}.W006": "`LIFETIME.idle_timeout` is not above `HEARTBEAT.interval`: clients that answer "
    "every heartbeat would be closed as idle.",
    f"{APP}.W007": "redis-py 8.1.0, which does not notice that Redis has closed a pooled "
    "connection, without the hub: the next call fails.",
    f"{APP}.W008": "The pub/sub layer over TLS without `health_check_interval`: a link that was "
    "dropped while idle leaves the process deaf.",
    f"{APP}.W009": "A `group_expiry` under a day on `channels_redis.core`, without the hub: plain "
    "consumers that stay connected for longer drop out of their groups.",
    f"{APP}.W010": "No origin validator guards a WebSocket route of `ASGI_APPLICATION`: the pages "
    "of every web site can open its sockets, with the cookies of whoever looks at them.",
    f"{APP}.W011": "(`--deploy`) An origin validator goes by `ALLOWED_HOSTS`, which has `*`.",
    f"{APP}.I001": "(`--deploy`) `hosts` without `retry`, and without the hub: a call from a view "
    "or a plain consumer fails at once when its connection was reset, or Redis restarts.",
    f"{APP}.I002": "(`--deploy`) `LIMITS` has no `message_bytes`, no `json_depth` or no `rate`.",
    f"{APP}.I003": "(`--deploy`) `LIMITS` bounds neither the connections of a user, nor those of "
    "an address, nor new ones per second.",
}
