"""Broadcasts: events that carry what a client is to be sent, and not only what happened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK = "rc.broadcast"
"""The key that tells a broadcast from an ordinary event of the same type.

Whoever does not know it finds an ordinary event: a type and a payload.
"""


def make_broadcast(kind: str, payload: object, key: str | None = None) -> dict[str, Any]:
    """The event that says: send *payload*; or handle it, if you do not know how.

    Args:
        key: What its frame has in common with those that it may replace.
    """
    return {"type": kind, "payload": payload, MARK: True if key is None else key}


def is_broadcast(event: Mapping[str, Any]) -> bool:
    """Whether members may be given a finished frame instead of *event*."""
    return MARK in event


def read_key(event: Mapping[str, Any]) -> str | None:
    """The key of a broadcast's frame, if it was given one."""
    key = event[MARK]
    return key if isinstance(key, str) else None


def without_mark(event: Mapping[str, Any]) -> dict[str, Any]:
    """The ordinary event."""
    return {key: value for key, value in event.items() if key != MARK}


def encode(event: Mapping[str, Any]) -> str:
    """The text of a broadcast's frame, as ``encode_json`` of Channels makes it."""
    return json.dumps(event["payload"])


def check_event(event: object) -> None:
    """Raise as other layers do, with or without ``python -O``."""
    if not isinstance(event, dict):
        raise AssertionError("message is not a dict")
    if "__asgi_channel__" in event or MARK in event:
        raise AssertionError("message has a key that the layer keeps for itself")


class Frame(dict[str, Any]):
    """A message to the client, on its way through the queue of events.

    Attributes:
        key: What it has in common with frames that it may replace.
    """

    __slots__ = ("key",)

    def __init__(self, message: Mapping[str, Any], key: str | None) -> None:
        super().__init__(message)
        self.key = key
