"""Clients that answer pings, until they are told to freeze."""

import asyncio
import json
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import DisconnectKind, on_disconnect
from resilient_channels.core.wire import MARK
from shells.visits import Visit, note, settle

INTERVAL, TIMEOUT = 25.0, 20.0
BOUND = INTERVAL + TIMEOUT + 1
LATENCY = 1 / 16
V1 = "resilient.v1"


class Listener(AsyncWebsocketConsumer):
    """Notes what reaches it; "work 60" keeps it busy for 60 seconds, "say hi" answers "hi"."""

    async def receive(self, text_data=None, bytes_data=None):
        note(self, text_data if bytes_data is None else bytes_data)
        order, _, rest = (text_data or "").partition(" ")
        if order == "work":
            await self.pause(float(rest))
            note(self, "worked")
        if order == "say":
            await self.send(rest)
        if order == "close":
            await self.close(int(rest))

    @on_disconnect(DisconnectKind.TIMEOUT)
    async def timed_out(self, info):
        note(self, "timed out", info.code, info.certain)

    @on_disconnect(DisconnectKind.SERVER)
    async def closed_by_us(self, info):
        note(self, "closed by us", info.code)

    async def disconnect(self, code):
        note(self, "disconnect", code)


class Client(Visit):
    """Reads what the server takes, and answers after *latency*.

    Attributes:
        pings: when it was pinged.
        heard_at: when the server last got a frame of it.
    """

    def __init__(self, consumer: type, *, latency: float = LATENCY, **kwargs: Any) -> None:
        self.latency = latency
        self.is_frozen = False
        self.pings: list[float] = []
        self.loop = asyncio.get_running_loop()
        self.heard_at = self.loop.time()
        super().__init__(consumer, **kwargs)

    async def send(self, message: dict[str, Any]) -> None:
        await super().send(message)
        if message["type"] == "websocket.send" and not self.is_frozen:
            self.reads(message.get("text"))

    def reads(self, text: str | None) -> None:
        raise NotImplementedError

    def answer(self, text: str) -> None:
        self.loop.call_later(self.latency, self._answer, text)

    def _answer(self, text: str) -> None:
        if not self.is_frozen and not self.client_is_gone:
            self.client_sends(text)

    def client_sends(self, data: str | bytes) -> None:
        self.heard_at = self.loop.time()
        super().client_sends(data)

    def freeze(self) -> None:
        """Neither read nor send any more; what was sent is still under way."""
        self.is_frozen = True

    def thaw(self) -> None:
        self.is_frozen = False


class WireClient(Client):
    """Speaks the wire protocol; one that *is_mute* says hello and then answers no ping.

    Attributes:
        controls: the control frames it was sent, in order.
        texts: the application's frames it was sent.
    """

    def __init__(
        self,
        consumer: type,
        *,
        subprotocols: tuple[str, ...] = (V1,),
        is_mute: bool = False,
        **kwargs: Any,
    ) -> None:
        self.is_mute = is_mute
        super().__init__(consumer, subprotocols=list(subprotocols), **kwargs)

    def reads(self, text: str | None) -> None:
        if not is_control(text):
            return
        frame = read_control(text)
        if frame["type"] == "hello":
            self.answer(control(type="hello", version=1))
        if frame["type"] == "ping":
            self.pings.append(self.loop.time())
            if not self.is_mute:
                self.answer(control(type="pong", n=frame["n"]))

    @property
    def controls(self) -> list[dict[str, Any]]:
        return [read_control(text) for text in super().texts if is_control(text)]

    @property
    def texts(self) -> list[Any]:
        return [text for text in super().texts if not is_control(text)]

    def control_types(self) -> list[str]:
        return [frame["type"] for frame in self.controls]


class TextClient(Client):
    """Any other client; answers what it knows as a ping."""

    def __init__(self, consumer: type, *, answers: dict[str, str] | None = None, **kwargs: Any):
        self.answers = {"ping": "pong"} if answers is None else answers
        super().__init__(consumer, **kwargs)

    def reads(self, text: str | None) -> None:
        if text == "ping":
            self.pings.append(self.loop.time())
        if text in self.answers:
            self.answer(self.answers[text])


def is_control(text: Any) -> bool:
    return isinstance(text, str) and text[:1] == MARK and text[:2] != MARK + MARK


def read_control(text: str) -> dict[str, Any]:
    frame = json.loads(text.removeprefix(MARK))
    assert isinstance(frame, dict)
    return frame


def control(**content: Any) -> str:
    """A control frame's text."""
    return MARK + json.dumps(content)


async def meet(client: Any) -> Any:
    """Wait until the consumer has accepted the client, and hellos are exchanged."""
    assert (await client.next_sent())["type"] == "websocket.accept"
    await settle(0.1)
    return client


async def greeted(consumer: type, **kwargs: Any) -> WireClient:
    """A client whose hello has arrived, and who says nothing by itself for an hour."""
    client: WireClient = await meet(WireClient(consumer, **kwargs))
    client.latency = 3600
    return client


def pongs(client: WireClient) -> list[Any]:
    """What the client's pings were answered with."""
    return [frame["n"] for frame in client.controls if frame["type"] == "pong"]


def everything_sent(visit: Visit) -> list[str]:
    """The whole conversation: "accept", types of control frames, texts."""
    told: list[Any] = []
    for sent in visit.sent:
        text = sent.get("text")
        if sent["type"] != "websocket.send":
            told.append(sent["type"].removeprefix("websocket."))
        else:
            told.append(read_control(text)["type"] if is_control(text) else text)
    return told


async def come_to_an_end(client: Client) -> float:
    """Wait for the consumer's end; how long before its close frame the client was last heard."""
    closed_at: list[float] = []
    take = client.style.take

    class Style(type(client.style)):  # type: ignore[misc]
        def take(self, server: Any, message: Any) -> bool:
            if message["type"] == "websocket.close" and not closed_at:
                closed_at.append(client.loop.time())
            return take(server, message)

    client.style = Style()
    assert await client.ended() is None
    assert closed_at, "no close frame was written"
    return closed_at[0] - client.heard_at
