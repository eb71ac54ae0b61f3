"""Parts that stand in for the neighbours of the part under test."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from channels.layers import BaseChannelLayer


class Box:
    """Takes *room* events, and remembers them."""

    is_idle = False

    def __init__(self, room: int = 1000, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.room = room
        self.loop = loop
        self.groups: set[str] = set()
        self.events: deque[Any] = deque()
        self.frames: deque[str] = deque()
        self.unused_for = 0.0

    def joined(self, group: str) -> None:
        self.groups.add(group)

    def left(self, group: str) -> None:
        self.groups.discard(group)

    def put(self, event: Any) -> bool:
        if len(self.events) >= self.room:
            return False
        self.events.append(event)
        return True

    def put_frame(self, text: str, event: Any, key: str | None = None) -> bool:
        if len(self.frames) >= self.room:
            return False
        self.frames.append(text)
        return True

    async def get(self) -> Any:
        return self.events.popleft()

    def is_unused(self, seconds: float) -> bool:
        return self.unused_for > seconds


class Member:
    """Is in groups, each with a channel of its own."""

    channel = None

    def __init__(self, *groups: str) -> None:
        self.groups = set(groups)
        self.unconfirmed: set[str] = set()
        self.restarts = 0
        self.told: list[Any] = []

    def channel_for(self, group: str) -> str | None:
        return f"of.{group}"

    def count(self) -> int:
        return 1

    def count_groups(self) -> int:
        return len(self.groups)

    def layer_event(self, event: Any) -> None:
        self.told.append(event)

    def restart_receive(self) -> None:
        self.restarts += 1


class Watch:
    """A supervisor that says what it is told to say.

    Attributes:
        asked: how often it was asked whether the layer answers.
        alarms: how often it was alarmed.
    """

    alias = "default"

    def __init__(self, *, answers: bool = True, pending: int = 1000) -> None:
        self.layer: Any = BaseChannelLayer()
        self.answers = answers
        self.deadline = 5.0
        self.pending = pending
        self.attempts = 0
        self.asked = self.alarms = 0
        self._up = asyncio.Event()
        if answers:
            self._up.set()

    @property
    def is_down(self) -> bool:
        return not self._up.is_set()

    def go_down(self) -> None:
        self.answers = False
        self._up.clear()

    def come_up(self) -> None:
        self.answers = True
        self._up.set()

    async def is_answering(self) -> bool:
        self.asked += 1
        if not self.answers:
            self._up.clear()
        return self.answers

    async def wait_until_up(self) -> None:
        await self._up.wait()

    def alarm(self) -> None:
        self.alarms += 1


class Calls:
    """A call to a layer that fails as often as it is told, in the way it is told."""

    def __init__(self, *faults: BaseException, then: Callable[[], Any] = lambda: None) -> None:
        self.faults = deque(faults)
        self.then = then
        self.times: list[float] = []

    async def __call__(self, *args: Any) -> Any:
        self.times.append(asyncio.get_running_loop().time())
        if self.faults:
            raise self.faults.popleft()
        return self.then()
