"""The consumers under test: written once, as plain Channels consumers usually are.

A client asks for a fault with ``{"do": "..."}``. The resilient twins at the end differ from the
plain ones in their bases only, and in writing down the ``DisconnectInfo`` they are given.
"""

from __future__ import annotations

import asyncio
import os
import pdb
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import async_to_sync
from channels.generic.websocket import AsyncJsonWebsocketConsumer, JsonWebsocketConsumer

from resilient_channels import AsyncResilientMixin, DisconnectInfo, ResilientMixin, on_disconnect

from . import recording
from .recording import SECRET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .recording import Record

CHUNK = "x" * 65_536
# Much more than every buffer on the way holds, and little enough for a server that keeps it all.
FLOOD_CHUNKS = 600


def _debug(pipe: Path) -> None:
    with pipe.open() as commands, Path(os.devnull).open("w") as nowhere:
        pdb.Pdb(stdin=commands, stdout=nowhere, nosigint=True, readrc=False).set_trace()


class AsyncSubject(AsyncJsonWebsocketConsumer):
    """A chat, and a fault for the asking."""

    record: Record

    async def connect(self) -> None:
        """Join the connection's group and accept."""
        self.record = recording.of(self.scope)
        self.record.note("connect")
        if "fail" in self.record.options:
            raise ValueError(SECRET)
        await self.channel_layer.group_add(self.record.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: Any) -> None:
        """Leave the group."""
        self.record.disconnects.append(code)
        self.record.note("disconnect")
        await self.channel_layer.group_discard(self.record.group, self.channel_name)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        """Do what the client asks for."""
        if isinstance(content, dict) and "do" in content:
            await getattr(self, f"do_{content['do']}")(content)
        else:
            await self.send_json({"got": type(content).__name__})

    async def chat_message(self, event: dict[str, Any]) -> None:
        """Deliver a group message."""
        await self.send_json({"said": event["text"]})

    async def attempt(self, sending: Awaitable[None]) -> None:
        """Count what a send does, and let it do it."""
        try:
            await sending
        except BaseException as error:
            self.record.sends.append(type(error).__name__)
            raise
        self.record.sends.append("returned")

    async def do_echo(self, content: dict[str, Any]) -> None:
        await self.send_json({"echo": content["n"]})

    async def do_say(self, content: dict[str, Any]) -> None:
        message = {"type": "chat.message", "text": content["text"]}
        await self.channel_layer.group_send(self.record.group, message)

    async def do_boom(self, content: dict[str, Any]) -> None:
        raise ValueError(SECRET)

    async def do_event(self, content: dict[str, Any]) -> None:
        """Send oneself that event, and one that can be handled behind it."""
        behind = {"type": "chat.message", "text": "behind the event"}
        await self.channel_layer.send(self.channel_name, {"type": content["type"]})
        await self.channel_layer.send(self.channel_name, behind)

    async def do_work(self, content: dict[str, Any]) -> None:
        """Take a while; then answer as many times as asked for."""
        self.record.note("handler began")
        try:
            await asyncio.sleep(content["seconds"])
            for n in range(content.get("answers", 0)):
                await self.attempt(self.send_json({"answer": n}))
        except asyncio.CancelledError:
            self.record.note("handler cancelled")
            raise
        self.record.note("handler finished")

    async def do_stream(self, content: dict[str, Any]) -> None:
        """Send until the client has had enough, or this many bytes."""
        self.record.note("handler began")
        while self.record.bytes_sent < content["bytes"]:
            try:
                await self.send(CHUNK)
            except BaseException as error:
                self.record.sends.append(type(error).__name__)
                raise
            self.record.bytes_sent += len(CHUNK)
            # Daphne's send() never waits, and would keep the event loop for itself.
            await asyncio.sleep(0)
        self.record.note("handler finished")

    async def do_background(self, content: dict[str, Any]) -> None:
        """Start a task that sends for as long as it can."""

        async def ticker() -> None:
            while True:
                await self.attempt(self.send_json({"tick": time.monotonic()}))
                await asyncio.sleep(0.05)

        self.record.background.append(asyncio.create_task(ticker()))

    async def do_flood(self, content: dict[str, Any]) -> None:
        """Start a task that sends far more than a client that does not read can be sent."""

        async def flood() -> None:
            with suppress(OSError):  # the client is gone
                for _ in range(FLOOD_CHUNKS):
                    await self.send(CHUNK)
                    await asyncio.sleep(0.005)

        self.record.background.append(asyncio.create_task(flood()))
        self.record.note("flood began")

    async def do_pour(self, content: dict[str, Any]) -> None:
        """Start a task that sends as fast as it may, whether or not anybody reads."""

        async def pour() -> None:
            with suppress(OSError):  # the client is gone
                for _ in range(FLOOD_CHUNKS):
                    if not await self.hand_over(CHUNK):
                        return
                    await asyncio.sleep(0)

        self.record.background.append(asyncio.create_task(pour()))

    async def hand_over(self, text: str) -> bool:
        """Send in a way that does not wait for the client, where there is one."""
        await self.send(text)
        return True

    async def do_block(self, content: dict[str, Any]) -> None:
        """Call something slow where everybody waits for it, as happens."""
        self.record.note("stall began")
        time.sleep(content["seconds"])  # noqa: ASYNC251 - that is the fault
        self.record.note("stall over")

    async def do_breakpoint(self, content: dict[str, Any]) -> None:
        """Stop in the debugger, which takes its commands from that pipe."""
        self.record.note("stall began")
        _debug(Path(content["pipe"]))
        self.record.note("stall over")

    async def do_close(self, content: dict[str, Any]) -> None:
        """Close, and then do what one should not do any more."""
        await self.close(code=content.get("code", 4001))
        for what in content.get("then", ()):
            after = self.close() if what == "close" else self.send_json({"late": True})
            await self.attempt(after)


class SyncSubject(JsonWebsocketConsumer):
    """The same for synchronous consumers, as far as the fault concerns them."""

    record: Record

    def connect(self) -> None:
        """Join the connection's group and accept."""
        self.record = recording.of(self.scope)
        self.record.note("connect")
        self._layer("group_add")
        self.accept()

    def disconnect(self, code: Any) -> None:
        """Leave the group."""
        self.record.disconnects.append(code)
        self.record.note("disconnect")
        self._layer("group_discard")

    def receive_json(self, content: Any, **kwargs: Any) -> None:
        """Do what the client asks for."""
        getattr(self, f"do_{content['do']}")(content)

    def do_echo(self, content: dict[str, Any]) -> None:
        self.send_json({"echo": content["n"]})

    def do_boom(self, content: dict[str, Any]) -> None:
        raise ValueError(SECRET)

    def do_work(self, content: dict[str, Any]) -> None:
        """Take a while; then answer as many times as asked for."""
        self.record.note("handler began")
        time.sleep(content["seconds"])
        for n in range(content.get("answers", 0)):
            self._attempt(self.send_json, {"answer": n})
        self.record.note("handler finished")

    def do_close(self, content: dict[str, Any]) -> None:
        """Close, and then do what one should not do any more."""
        self.close(code=content.get("code", 4001))
        for what in content.get("then", ()):
            self._attempt(*((self.close,) if what == "close" else (self.send_json, {"late": 1})))

    def _attempt(self, sending: Callable[..., None], *arguments: Any) -> None:
        try:
            sending(*arguments)
        except BaseException as error:
            self.record.sends.append(type(error).__name__)
            raise
        self.record.sends.append("returned")

    def _layer(self, call: str) -> None:
        async_to_sync(getattr(self.channel_layer, call))(self.record.group, self.channel_name)


def _describe(info: DisconnectInfo) -> dict[str, Any]:
    return {"code": info.code, "kind": info.kind.value, "certain": info.certain}


class ResilientAsyncSubject(AsyncResilientMixin, AsyncSubject):
    """The async subject, resilient."""

    async def hand_over(self, text: str) -> bool:
        """Leave it to the outbox; whether the client is still there."""
        return bool(await self.safe_send(text, wait=False))

    @on_disconnect()
    async def ended(self, info: DisconnectInfo) -> None:
        """Write down what the library says about the end."""
        self.record.infos.append(_describe(info))


class LimitedSubject(ResilientAsyncSubject):
    """The same, with limits for its clients and its handlers."""

    resilience: ClassVar = {
        "LIMITS": {"rate": 50, "message_bytes": 65_536},
        "HANDLER": {"deadline": 1.0},
    }


class ResilientSyncSubject(ResilientMixin, SyncSubject):
    """The sync subject, resilient."""

    @on_disconnect()
    def ended(self, info: DisconnectInfo) -> None:
        """Write down what the library says about the end."""
        self.record.infos.append(_describe(info))
