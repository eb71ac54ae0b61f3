"""The uplink to any channel layer, by nothing but its public interface.

Messages of such a layer do not say which group they are for. So each group gets a channel from the
layer and a task that reads it, and so does each channel that somebody receives from.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .canary import Ear, OwnEar
from .naming import Naming
from .reading import read

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from .uplink import Hub


class GenericUplink:
    """A reader for each group and for each channel."""

    def __init__(self, layer: Any, hub: Hub) -> None:
        self._layer = layer
        self._hub = hub
        self._own: set[str] = set()
        self._groups: dict[str, Line] = {}
        self._listeners: dict[str, Line] = {}
        self._ending: set[asyncio.Task[None]] = set()

    # --- names ---------------------------------------------------------------------------------

    def owns(self, channel: str) -> bool:
        """Whether *channel* is one that was given out here."""
        return channel in self._own

    async def new_channel(self, patience: float, *args: Any) -> str:
        """A channel name of the layer; one of our own, if the layer gives none in time.

        Ours is an ordinary channel's name, which every layer can send to and receive from.
        """
        channel: str | None = None
        try:
            async with asyncio.timeout(max(patience, 0.0)):
                channel = str(await self._layer.new_channel(*args))
        except Exception:  # noqa: BLE001  # any failure of the layer, of any class
            self._hub.get_supervisor().alarm()
        if channel is None:
            channel = f"specific.{uuid4().hex}"
        self._own.add(channel)
        return channel

    # --- groups and channels -------------------------------------------------------------------

    def open(self, group: str) -> None:
        """Give *group* a channel, and listen there."""

        def put(event: Mapping[str, Any]) -> Awaitable[None]:
            return self._hub.deliver(group, event)

        def named() -> None:
            self._hub.channel_named(group)

        self._groups[group] = Line(self._layer, self._hub, put, named)

    def close(self, group: str) -> str | None:
        """Forget the channel of *group*; returns it, if it ever had one."""
        line = self._groups.pop(group, None)
        if line is None:
            return None
        self._end(line)
        return line.channel

    def channel_for(self, group: str) -> str | None:
        """The channel of *group*, once the layer has given one."""
        line = self._groups.get(group)
        return None if line is None else line.channel

    async def get_channel(self, group: str) -> str | None:
        """The same, when the layer has given one."""
        line = self._groups.get(group)
        if line is None:
            return None
        await line.has_name.wait()
        return line.channel

    def listen(self, channel: str) -> None:
        """Read what is sent to *channel*."""
        if channel in self._listeners:
            return

        def put(event: Mapping[str, Any]) -> None:
            directory = self._hub.directory
            box = directory.channels.get(channel)
            if box is not None:
                directory.put(box, event)

        self._listeners[channel] = Line(self._layer, self._hub, put, channel=channel)

    def stop_listening(self, channel: str) -> None:
        """Stop reading *channel*."""
        self._own.discard(channel)
        line = self._listeners.pop(channel, None)
        if line is not None:
            self._end(line)

    def make_ear(self) -> Ear:
        """A probe listens on a channel of its own."""
        return OwnEar(self._layer)

    def restart(self) -> None:
        """Begin to receive anew: what waits now may wait for ever."""
        for line in (*self._groups.values(), *self._listeners.values()):
            line.restart()

    async def stop(self) -> None:
        """Stop listening altogether."""
        for line in (*self._groups.values(), *self._listeners.values()):
            self._end(line)
        self._groups.clear()
        self._listeners.clear()
        if self._ending:
            await asyncio.wait(self._ending, timeout=1.0)

    def _end(self, line: Line) -> None:
        task = line.stop()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


class Line:
    """One channel of the layer, named and read until it is stopped."""

    def __init__(
        self,
        layer: Any,
        hub: Hub,
        put: Callable[[Mapping[str, Any]], Awaitable[None] | None],
        named: Callable[[], None] | None = None,
        channel: str | None = None,
    ) -> None:
        self._layer = layer
        self._hub = hub
        self._put = put
        self._named = named
        self._naming = Naming(layer, hub.get_supervisor())
        self._naming.channel = channel
        self._is_over = False
        self.has_name = asyncio.Event()  # or will never have one
        self._task = self._start()

    @property
    def channel(self) -> str | None:
        """The channel, once it has a name."""
        return self._naming.channel

    def restart(self) -> None:
        """Begin to read anew, once the old reader has let go."""
        if not self._task.cancelling():
            self._task.cancel()
            self._task = self._start(after=self._task)

    def stop(self) -> asyncio.Task[None]:
        """Read no more; returns what is about to end."""
        self._is_over = True
        self.has_name.set()
        self._naming.stop()
        self._task.cancel()
        return self._task

    def _start(self, after: asyncio.Task[None] | None = None) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        return loop.create_task(self._run(after), name="resilient_channels.reader")

    async def _run(self, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait({after}, timeout=1.0)
        me = asyncio.current_task()
        supervisor = self._hub.get_supervisor()

        def put(event: Mapping[str, Any]) -> Awaitable[None] | None:
            supervisor.note_arrival()
            return self._put(event)

        await read(
            self._receive,
            put,
            watch=supervisor,
            until=lambda: self._is_over or self._task is not me,
        )

    async def _receive(self) -> Any:
        channel = self._naming.channel
        if channel is None:
            channel = await self._naming.get()
            self.has_name.set()
            if self._named is not None:
                self._named()
        return await self._layer.receive(channel)
