"""Channels' four generic consumers with a mixin already applied."""

from __future__ import annotations

from channels.generic.websocket import (
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
    JsonWebsocketConsumer,
    WebsocketConsumer,
)

from .mixins import AsyncResilientMixin, ResilientMixin


class AsyncResilientWebsocketConsumer(AsyncResilientMixin, AsyncWebsocketConsumer):
    """Channels' ``AsyncWebsocketConsumer``, resilient."""


class AsyncResilientJsonWebsocketConsumer(AsyncResilientMixin, AsyncJsonWebsocketConsumer):
    """Channels' ``AsyncJsonWebsocketConsumer``, resilient."""


class ResilientWebsocketConsumer(ResilientMixin, WebsocketConsumer):
    """Channels' ``WebsocketConsumer``, resilient."""


class ResilientJsonWebsocketConsumer(ResilientMixin, JsonWebsocketConsumer):
    """Channels' ``JsonWebsocketConsumer``, resilient."""


__all__ = [
    "AsyncResilientJsonWebsocketConsumer",
    "AsyncResilientMixin",
    "AsyncResilientWebsocketConsumer",
    "ResilientJsonWebsocketConsumer",
    "ResilientMixin",
    "ResilientWebsocketConsumer",
]
