"""The chat: a plain consumer, and the same one made resilient."""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from resilient_channels import (
    AsyncResilientMixin,
    DisconnectInfo,
    DisconnectKind,
    on_disconnect,
)

from . import fates
from .faults import FaultsOnRequest


class ChatConsumer(FaultsOnRequest, AsyncJsonWebsocketConsumer):
    """A chat room as the Channels documentation has it, with faults to ask for."""

    groups = ["lobby"]

    async def receive_json(self, content: dict[str, Any], **kwargs: Any) -> None:
        """Pass a message on to the room, answer an echo, or fail as asked."""
        match content:
            case {"type": "chat", "text": str(text)}:
                message = {"type": "chat.message", "text": text[:500]}
                await self.channel_layer.group_send("lobby", message)
            case {"type": "echo", "n": n, "through": "layer"}:
                await self.channel_layer.send(self.channel_name, {"type": "chat.echo", "n": n})
            case {"type": "echo", "n": n}:
                await self.send_json({"type": "echo", "n": n})
            case {"type": "fault", "name": str(name)}:
                await self.fail(name)

    async def chat_message(self, event: dict[str, Any]) -> None:
        """Deliver a message of the room."""
        await self.send_json({"type": "chat", "text": event["text"]})

    async def chat_echo(self, event: dict[str, Any]) -> None:
        """Answer an echo that came through the channel layer."""
        await self.send_json({"type": "echo", "n": event["n"]})

    async def disconnect(self, code: int | None) -> None:
        """Remember that this ran; the page asks for it."""
        fates.note_disconnect(self.scope, code)


class ResilientChatConsumer(AsyncResilientMixin, ChatConsumer):
    """The same chat; the mixin on the left is the whole migration."""

    async def pass_on(self, frame: bytes) -> bool:
        """Send a frame of a stream without waiting for a client that does not read."""
        return bool(await self.safe_send(bytes_data=frame, wait=False))

    @on_disconnect(DisconnectKind.LOST, DisconnectKind.TIMEOUT)
    async def vanished(self, info: DisconnectInfo) -> None:
        """Tell the room that somebody left without a word."""
        await self.say(f"somebody vanished ({info.code})")

    @on_disconnect(range(4000, 4100))
    async def left_with_a_reason(self, info: DisconnectInfo) -> None:
        """Tell the room about an application's own close code."""
        await self.say(f"somebody left with code {info.code}")

    async def layer_down(self, event: dict[str, Any]) -> None:
        """The channel layer is away: the room hears nothing until it returns."""
        await self.safe_send_json({"type": "chat", "text": "(the room is out of reach)"})

    async def layer_up(self, event: dict[str, Any]) -> None:
        """The channel layer is back, and so is this consumer's place in the room."""
        await self.safe_send_json({"type": "chat", "text": "(the room is back)"})

    async def say(self, text: str) -> None:
        """Say something to the room."""
        await self.channel_layer.group_send("lobby", {"type": "chat.message", "text": text})
