"""Who takes part: consumers that do what their clients say, and remember what they promised."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from resilient_channels import AsyncResilientMixin, broadcast
from shells.visits import Visit


@dataclass
class Diary:
    """What one consumer knows of itself.

    Attributes:
        groups: those it is in, by what its own calls came to.
        since: when it came to be in each of them.
        spoken: the numbers of the events that it has sent to groups.
        outages: the events about outages that it got.
        refusals: what its calls raised.
    """

    groups: set[str] = field(default_factory=set)
    since: dict[str, float] = field(default_factory=dict)
    spoken: set[int] = field(default_factory=set)
    outages: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def joined(self, group: str) -> None:
        if group not in self.groups:
            self.since[group] = asyncio.get_running_loop().time()
        self.groups.add(group)

    def left(self, group: str) -> None:
        self.groups.discard(group)
        self.since.pop(group, None)


class Actor(AsyncResilientMixin, AsyncWebsocketConsumer):
    """Joins, leaves and speaks as its client says."""

    async def connect(self) -> None:
        for group in self.groups or ():
            self.diary.joined(group)
        await self.accept()

    async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
        verb, *words = text_data.split()
        try:
            await getattr(self, f"do_{verb}")(*words)
        except Exception as error:  # noqa: BLE001  # judged in the end
            self.diary.refusals.append(f"{verb}: {error!r}")

    async def do_join(self, group: str) -> None:
        try:
            await self.channel_layer.group_add(group, self.channel_name)
        except Exception:
            self.diary.left(group)
            raise
        self.diary.joined(group)

    async def do_leave(self, group: str) -> None:
        self.diary.left(group)
        await self.channel_layer.group_discard(group, self.channel_name)

    async def do_say(self, group: str, number: str) -> None:
        await self.channel_layer.group_send(group, news(int(number)))
        self.diary.spoken.add(int(number))

    async def do_tell(self, channel: str, number: str) -> None:
        await self.channel_layer.send(channel, news(int(number)))

    async def do_shout(self, group: str, number: str) -> None:
        alias = self.channel_layer_alias
        if await broadcast(group, int(number), type="not.handled", alias=alias):
            self.diary.spoken.add(int(number))

    async def news(self, event: dict[str, Any]) -> None:
        await self.send(str(event["number"]))
        if event["text"] != "everybody's":
            self.diary.refusals.append("news: another member's copy")
        event["text"] = "mine"

    async def layer_down(self, event: dict[str, Any]) -> None:
        self.diary.outages.append("down")

    async def layer_up(self, event: dict[str, Any]) -> None:
        self.diary.outages.append("up")

    @property
    def diary(self) -> Diary:
        diary: Diary = self.scope["diary"]
        return diary


class Declared(Actor):
    """Is in a group from the beginning."""

    groups = ["lobby"]


class Elsewhere(Actor):
    """Lives in another process."""

    channel_layer_alias = "other"


class DeclaredElsewhere(Declared, Elsewhere):
    """Both."""


def news(number: int) -> dict[str, Any]:
    return {"type": "news", "number": number, "text": "everybody's"}


class Player(Visit):
    """A connection, with the diary of its consumer."""

    def __init__(self, consumer: type) -> None:
        self.diary = Diary()
        super().__init__(consumer, diary=self.diary)

    @property
    def heard(self) -> list[int]:
        """The numbers of the events and broadcasts that its client was sent, in order."""
        return [int(text) for text in self.texts]

    @property
    def alias(self) -> str:
        alias: str = self.consumer.channel_layer_alias
        return alias

    @property
    def channel(self) -> str:
        name: str = self.consumer.channel_name
        return name

    @property
    def is_here(self) -> bool:
        """Whether its consumer has accepted it, and nobody has ended it."""
        assert self.task is not None
        is_open = bool(self.sent_of_type("websocket.accept"))
        return is_open and not self.client_is_gone and not self.task.done()


class Worker:
    """Takes jobs from a channel that other processes might take them from, too.

    Attributes:
        done: the numbers of its jobs, in order.
    """

    def __init__(self, layer: Any, channel: str) -> None:
        self.channel = channel
        self.done: list[int] = []
        self.task = asyncio.ensure_future(self._work(layer))

    async def _work(self, layer: Any) -> None:
        while True:
            job = await layer.receive(self.channel)
            self.done.append(job["number"])
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})
