"""One cell of the matrix: one event on one layer, served by one server, to one crowd."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..servers import Server
from ..stage import Side, Stage
from . import logbook
from .callers import EVERY, Insider, Outsider
from .findings import Finding, open_sends, stream_notes
from .listeners import KINDS, Audience
from .rigs import Rig
from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..stage import Connection
    from .callers import Caller
    from .events import Event
    from .listeners import Kind, Listener
    from .rigs import Layer, Setup

APPLICATION = "tour.matrix.asgi:application"
CROWD = 20
# A steady stream before the event, and another piece of it after everybody hears again.
LEAD = 1.0
TAIL = 1.0
# Within this time everybody hears again, or is deaf.
PATIENCE = 15.0
# A call to a layer may take LAYER.deadline; then it has come to an end.
LAST_CALLS = 7.0
# Nothing comes for so long: nothing is on its way any more.
SETTLED = 0.4


@dataclass(frozen=True, eq=False)
class Cell:
    """What is to be measured.

    Attributes:
        options: Sections of ``RESILIENT_CHANNELS`` that are not at their default.
        host_options: Options of the connection to Redis that are not at their default.
        layer_options: Options of the wrapped layer that are not what the event asks for.
    """

    event: Event
    layer: Layer
    server: str
    setup: Setup = "hub"
    sockets: int = CROWD
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    host_options: Mapping[str, Any] = field(default_factory=dict)
    layer_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def all_layer_options(self) -> dict[str, Any]:
        """The wrapped layer's own options."""
        return {**self.event.options.get(self.layer, {}), **self.layer_options}

    async def measure(self) -> Finding:
        """Let it happen; a cell that fails is a finding, too."""
        finding = Finding(self.event.name, self.layer, self.server, self.setup, self.sockets)
        try:
            async with asyncio.timeout(90):
                await _Measurement(self, finding).run()
        except Exception as error:  # noqa: BLE001 - one cell must not end the others
            *_, last_line = ["", *str(error).splitlines()]
            finding.error = f"{type(error).__name__}: {last_line}"
        return finding


class _Measurement:
    """One cell at work; what an event works with, too.

    Attributes:
        rig: The Redis behind the layer.
        shared: The group of all.
        own: The group of each.
    """

    rig: Rig
    _stage: Stage
    _audience: Audience
    _speaker: Connection
    _caller: Caller

    def __init__(self, cell: Cell, finding: Finding) -> None:
        self.shared = "matrix.all"
        self._cell = cell
        self._finding = finding
        self._calls = 0

    @property
    def own(self) -> list[str]:
        """The group of each."""
        return [listener.group for listener in self._audience.listeners]

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            self._stage = await self._serve(stack)
            try:
                await self._gather(stack)
                await self._watch()
            finally:
                self._finding.log = self._stage.server.log_text()

    async def _serve(self, stack: AsyncExitStack) -> Stage:
        cell = self._cell
        self.rig = await stack.enter_async_context(Rig(cell.layer, cell.event.rig))
        layer = self.rig.settings(cell.setup, cell.all_layer_options, cell.host_options)
        environment = {
            "DJANGO_SETTINGS_MODULE": "tour.matrix.settings",
            "TOUR_LAYERS": json.dumps(layer),
            "MATRIX_OPTIONS": json.dumps(cell.options),
        }
        server = Server(cell.server, APPLICATION, environment=environment)
        side: Side = "plain" if cell.setup == "plain" else "resilient"
        return Stage(await stack.enter_async_context(server), side)

    async def _gather(self, stack: AsyncExitStack) -> None:
        self._speaker = await self._stage.connect("speaker", colour="speaker")
        stack.push_async_callback(self._speaker.client.aclose)
        audience = Audience(self._stage, "listener", self.shared, self._cell.sockets)
        self._audience = await stack.enter_async_context(audience)
        memory = self._cell.layer == "memory"
        self._caller = Insider(self._speaker) if memory else Outsider(self.rig)
        stack.push_async_callback(self._caller.close)
        if await self._call_until_heard(time.monotonic()) is None:
            raise RuntimeError("the groups were not whole before anything had happened")

    async def _watch(self) -> None:
        finding = self._finding
        await self._speaker.do("begin", to=self.shared)
        await asyncio.sleep(LEAD)
        await self._cell.event.happen(self)
        finding.seconds = await self._call_until_heard(time.monotonic())
        await asyncio.sleep(TAIL)
        await until(self._is_outage_over, PATIENCE if finding.seconds is not None else 0.0)
        with suppress(OSError):
            await self._speaker.do("stop")
        notes = await self._settle()
        finding.kept = await self._audience.answering()
        finding.count_stream(notes, self._audience.listeners)
        story = await self._stage.look("/crowd", name="listener", group=self.shared)
        finding.disconnects = len(story["disconnects"])
        log = self._stage.server.log_text()
        finding.records = dict(logbook.records(log))
        finding.tracebacks = dict(logbook.tracebacks(log))

    async def quiet(self, is_quiet: bool) -> None:
        """Have the stream fall silent, or go on."""
        with suppress(OSError):
            await self._speaker.do("quiet", quiet=is_quiet)

    async def _call_until_heard(self, since: float) -> float | None:
        """Call everybody until all that are still there have heard it in both groups.

        Returns:
            How long that took, from *since*; None when somebody has left, or stayed deaf.
        """
        first = self._calls
        while time.monotonic() < since + PATIENCE:
            deaf_to_all, deaf_to_own = self._deaf("shared", first), self._deaf("own", first)
            if not deaf_to_all and not deaf_to_own:
                break
            turn = asyncio.create_task(asyncio.sleep(EVERY))
            if deaf_to_all:
                await self._caller.call(f"shared {self._calls}", [self.shared])
            await self._caller.call(f"own {self._calls}", [each.group for each in deaf_to_own])
            self._calls += 1
            await turn
        everybody = self._audience.listeners
        times = {kind: [each.heard(kind, first) for each in everybody] for kind in KINDS}
        heard = {kind: [at for at in times[kind] if at is not None] for kind in KINDS}
        self._finding.hearing = {kind: len(heard[kind]) for kind in KINDS}
        if any(count < len(everybody) for count in self._finding.hearing.values()):
            return None
        return round(max(max(heard[kind]) for kind in KINDS) - since, 2)

    def _deaf(self, kind: Kind, since: int) -> list[Listener]:
        return [each for each in self._audience.open if each.heard(kind, since) is None]

    def _is_outage_over(self) -> bool:
        """Whether the library has said so, as often as it has spoken of an outage."""
        said = logbook.records(self._stage.server.log_text())
        return said["INFO layer.up"] >= said["WARNING layer.down"]

    async def _settle(self) -> list[str]:
        """Wait until nothing of the stream is on its way; return what the speaker wrote down."""
        await until(self._is_all_sent, LAST_CALLS)
        await until(lambda: time.monotonic() > self._audience.last_heard + SETTLED, LAST_CALLS)
        return await self._notes()

    async def _is_all_sent(self) -> bool:
        return open_sends(await self._notes()) == 0

    async def _notes(self) -> list[str]:
        return stream_notes(await self._speaker.state())
