"""The channel layers that the contract suite runs on, and the worlds that they live in."""

import asyncio
import contextlib
import functools
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from channels.layers import InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from support import loop as virtual_loop
from support.limits import bounded
from support.reports import describe_task
from support.third_party_layer import Exchange, ThirdPartyLayer

BACKENDS: dict[str, type] = {
    "memory": InMemoryChannelLayer,
    "third": ThirdPartyLayer,
    "core": RedisChannelLayer,
    "pubsub": RedisPubSubChannelLayer,
}
ON_REDIS = {"core", "pubsub"}
LIMIT = 10.0  # real seconds that a test may take, and
VIRTUAL_LIMIT = 3 * 3600.0  # virtual ones
GRACE = 0.5  # real seconds for tasks that a closed layer has told to end


@dataclass(frozen=True)
class Subject:
    """A kind of layer: a bare *backend*, or the hub around it; without one, the hub alone."""

    backend: str | None
    hub: bool

    @property
    def name(self) -> str:
        return "-".join(["hub"] * self.hub + [self.backend] * (self.backend is not None))

    @property
    def live(self) -> bool:
        return self.backend in ON_REDIS

    @property
    def shared(self) -> bool:
        """Whether several processes meet on it."""
        return self.backend in ON_REDIS | {"third"}

    @property
    def serializes(self) -> bool:
        """Whether an event leaves the process as bytes."""
        return self.shared


BARE = tuple(Subject(backend, hub=False) for backend in BACKENDS)
HUBS = (Subject(None, hub=True), *(Subject(backend, hub=True) for backend in BACKENDS))
SUBJECTS = (*BARE, *HUBS)
# What stands on the two sides when two processes share a broker.
PAIRS = tuple(
    (Subject(backend, hub=left), Subject(backend, hub=right))
    for backend in ("third", "core", "pubsub")
    for left in (False, True)
    for right in (False, True)
)


@dataclass
class World:
    """One broker with nothing on it, and the layers that a test makes there.

    Attributes:
        subjects: what stands there: one, or one for each of two processes.
        hosts: where a real broker listens, if there has to be one.
        patience: seconds within which what has to happen happens.
        virtual: whether time is, and costs nothing.
    """

    subjects: tuple[Subject, ...]
    hosts: list[str] | None = None
    patience: float = 5.0
    virtual: bool = False
    prefix: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}")
    exchange: Exchange = field(default_factory=Exchange)
    layers: list[Any] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """Whether the broker is a real one."""
        return self.hosts is not None

    @property
    def quiet(self) -> float:
        """Seconds after which what has not happened will not happen."""
        return 2.0 if self.virtual else 0.1

    def layer(self, **options: Any) -> Any:
        """A layer as a process of its own would have it."""
        return self._make(self.subjects[0], options)

    def processes(self, **options: Any) -> tuple[Any, Any]:
        """Two layers, as two processes would have them."""
        here, there = self.subjects
        return self._make(here, options), self._make(there, options)

    def _make(self, subject: Subject, options: dict[str, Any]) -> Any:
        layer = self._build(subject, options)
        self.layers.append(layer)
        return layer

    def _build(self, subject: Subject, options: dict[str, Any]) -> Any:
        place: dict[str, Any] = {}
        if subject.live:
            place = {"hosts": self.hosts, "prefix": self.prefix}
        elif subject.backend == "third":
            place = {"exchange": self.exchange}
        if not subject.hub:
            assert subject.backend is not None
            return BACKENDS[subject.backend](**place, **options)

        from resilient_channels.layers import ResilientChannelLayer

        if subject.backend is None:
            return ResilientChannelLayer(**options)
        backend = BACKENDS[subject.backend]
        if subject.backend == "pubsub":  # it has no options of this kind itself
            return ResilientChannelLayer(BACKEND=backend, CONFIG=place, **options)
        return ResilientChannelLayer(BACKEND=backend, CONFIG=place | options)

    async def hears(self, layer: Any, channel: str) -> dict[str, Any]:
        """The next message of a channel, which has to come in time."""
        async with asyncio.timeout(self.patience):
            message: dict[str, Any] = await layer.receive(channel)
        return message

    async def verdict(self, call: Coroutine[Any, Any, Any]) -> str:
        """The name of the exception that a call raises, or what it does instead."""
        return (await self.verdicts({"": call}, within=self.patience))[""]

    async def verdicts(
        self, calls: dict[str, Coroutine[Any, Any, Any]], within: float | None = None
    ) -> dict[str, str]:
        """The same for many calls at once."""
        tasks = {why: asyncio.create_task(call) for why, call in calls.items()}
        _, waiting = await asyncio.wait(tasks.values(), timeout=within or self.quiet)
        for task in waiting:
            await cancelled(task)
        return {
            why: "waits"
            if task in waiting
            else type(error).__name__
            if (error := task.exception())
            else "goes through"
            for why, task in tasks.items()
        }

    async def hears_types(self, layer: Any, channel: str, count: int) -> list[str]:
        return [(await self.hears(layer, channel))["type"] for _ in range(count)]

    async def silent(self, layer: Any, *channels: str) -> None:
        """Fail if anything comes on one of the channels, for a while."""
        tasks = [asyncio.create_task(layer.receive(channel)) for channel in channels]
        done, _ = await asyncio.wait(tasks, timeout=self.quiet)
        try:
            assert not done, f"heard {[task.result() for task in done]}"
        finally:
            for task in tasks:
                await cancelled(task)

    async def settled(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Ask until *condition* holds."""
        async with asyncio.timeout(self.patience):
            while not await condition():  # noqa: ASYNC110 - it may be another process's
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        for layer in self.layers:
            await close(layer)

    # -- running a test ------------------------------------------------------

    def run(self, test: Coroutine[Any, Any, None]) -> None:
        """Run a test to its end: on virtual time when nothing in it is real."""
        if self.live:
            self.run_for_real(test)
        else:
            self.virtual = True
            virtual_loop.run(self._closing(test), clocks=True)

    def run_for_real(self, test: Coroutine[Any, Any, None]) -> None:
        with bounded(LIMIT + 5):
            asyncio.run(self._leaving_no_task(test))

    async def _closing(self, test: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(VIRTUAL_LIMIT if self.virtual else LIMIT):
                await test
        finally:
            await self.close()

    def on_its_own_loop(self, layer: Any, call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run one call on an event loop that begins and ends with it, as views do."""

        async def run() -> Any:
            try:
                async with asyncio.timeout(LIMIT):
                    return await call(*args)
            finally:
                # Core asks for it: else what it has read comes again.
                if (close_pools := getattr(layer, "close_pools", None)) is not None:
                    await close_pools()

        with bounded(LIMIT + 5):
            return asyncio.run(run())

    async def _leaving_no_task(self, test: Coroutine[Any, Any, None]) -> None:
        await self._closing(test)
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        if pending:
            await asyncio.wait(pending, timeout=GRACE)
        left = [describe_task(task) for task in pending if not task.done()]
        assert not left, "tasks were left pending:\n" + "\n".join(left)


async def close(layer: Any) -> None:
    """Let go of a layer's connections on this loop, each kind of layer in its own way."""
    if isinstance(layer, RedisChannelLayer):
        await layer.close_pools()
    elif isinstance(layer, RedisPubSubChannelLayer):
        await layer.flush()
    elif not isinstance(layer, ThirdPartyLayer):
        await layer.close()
        if isinstance(getattr(layer, "upstream", None), RedisPubSubChannelLayer):
            await close(layer.upstream)


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        with contextlib.suppress(Exception):
            task.result()


def in_world(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Turn an async test that takes ``world`` into a plain one that runs in it."""

    @functools.wraps(test)
    def run_test(*args: Any, world: World, **kwargs: Any) -> None:
        world.run(test(*args, world=world, **kwargs))

    return run_test


def in_real_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The same, on real time always: for what real threads do to a loop."""

    @functools.wraps(test)
    def run_test(*args: Any, world: World, **kwargs: Any) -> None:
        world.run_for_real(test(*args, world=world, **kwargs))

    return run_test
