"""The same works as Channels consumers, plain and resilient, both colours.

The resilient twins differ from the plain ones in their first base only.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.served.settings")
django.setup()

from asgiref.sync import async_to_sync  # noqa: E402
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer  # noqa: E402

from resilient_channels import AsyncResilientMixin, ResilientMixin, broadcast  # noqa: E402

from . import inspection, strained  # noqa: E402
from .messages import BROADCAST, EVENT, GROUP, SEND  # noqa: E402


class AsyncEcho(AsyncWebsocketConsumer):
    """Sends every text back."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send it back."""
        await self.send(text_data=text_data)


class SyncEcho(WebsocketConsumer):
    """Sends every text back, from Channels' thread."""

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send it back."""
        self.send(text_data=text_data)


class Sleeper(WebsocketConsumer):
    """Is busy for as many seconds as the client says, as with a slow query."""

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Sleep, then answer."""
        time.sleep(float(text_data or 0))
        self.send(text_data=text_data)


class AsyncIdle(AsyncWebsocketConsumer):
    """Is in a group with everybody and in one of its own, as a chat with a user's channel is."""

    async def connect(self) -> None:
        """Join both groups."""
        for group in _name_groups(self.scope):
            await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: Any) -> None:
        """Leave both groups."""
        for group in _name_groups(self.scope):
            await self.channel_layer.group_discard(group, self.channel_name)


class SyncIdle(WebsocketConsumer):
    """The same, from Channels' thread."""

    def connect(self) -> None:
        """Join both groups."""
        for group in _name_groups(self.scope):
            async_to_sync(self.channel_layer.group_add)(group, self.channel_name)
        self.accept()

    def disconnect(self, code: Any) -> None:
        """Leave both groups."""
        for group in _name_groups(self.scope):
            async_to_sync(self.channel_layer.group_discard)(group, self.channel_name)


class AsyncMember(AsyncWebsocketConsumer):
    """Is in a group, and passes on what it hears there."""

    async def connect(self) -> None:
        """Join."""
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def disconnect(self, code: Any) -> None:
        """Leave."""
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def chat_message(self, event: dict[str, Any]) -> None:
        """Pass it on."""
        await self.send(text_data=json.dumps(event))


class AsyncControl(AsyncWebsocketConsumer):
    """Tells the group whenever its client asks for it."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Do what the text says."""
        if text_data == SEND:
            await self.channel_layer.group_send(GROUP, EVENT)
        elif text_data == BROADCAST:
            # No handler has that type: who does not get a finished frame gets nothing, and the
            # run fails instead of measuring something else.
            await broadcast(GROUP, EVENT, type="benchmark.broadcast")


class AsyncResilientEcho(AsyncResilientMixin, AsyncEcho):
    """As ``AsyncEcho``, resilient."""


class ResilientEcho(ResilientMixin, SyncEcho):
    """As ``SyncEcho``, resilient."""


class ResilientSleeper(ResilientMixin, Sleeper):
    """As ``Sleeper``, resilient."""


class AsyncResilientIdle(AsyncResilientMixin, AsyncIdle):
    """As ``AsyncIdle``, resilient."""


class ResilientIdle(ResilientMixin, SyncIdle):
    """As ``SyncIdle``, resilient."""


class AsyncResilientMember(AsyncResilientMixin, AsyncMember):
    """As ``AsyncMember``, resilient."""


class AsyncResilientControl(AsyncResilientMixin, AsyncControl):
    """As ``AsyncControl``, resilient."""


def _name_groups(scope: Any) -> tuple[str, str]:
    return GROUP, scope["path"].strip("/").replace("/", ".")


_applications = {
    "plain async": {
        "echo": AsyncEcho.as_asgi(),
        "idle": AsyncIdle.as_asgi(),
        "sleep": Sleeper.as_asgi(),
        "member": AsyncMember.as_asgi(),
        "control": AsyncControl.as_asgi(),
    },
    "plain sync": {
        "echo": SyncEcho.as_asgi(),
        "idle": SyncIdle.as_asgi(),
    },
    "resilient async": {
        "echo": AsyncResilientEcho.as_asgi(),
        "idle": AsyncResilientIdle.as_asgi(),
        "sleep": ResilientSleeper.as_asgi(),
        "member": AsyncResilientMember.as_asgi(),
        "control": AsyncResilientControl.as_asgi(),
        "strained": strained.Strained.as_asgi(),
    },
    "resilient sync": {
        "echo": ResilientEcho.as_asgi(),
        "idle": ResilientIdle.as_asgi(),
    },
}
_works = _applications[os.environ.get("BENCHMARK_CONSUMERS", "resilient async")]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Serve the work that the path names, with this process's side and colour."""
    if scope["type"] == "websocket":
        await _works[scope["path"].split("/")[1]](scope, receive, send)
    elif scope["type"] == "http":
        await inspection.answer(scope, receive, send)
