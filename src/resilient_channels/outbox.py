"""The line before a server that does not take frames as fast as they come.

Broadcasts and ``safe_send(wait=False)`` leave their frames here and go on; whoever does wait for
the server stands in the same line, so that order is kept among all. Heartbeats and the answers to
a client's pings do not stand in line.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from . import compat
from .blocking import without_trace
from .core import events
from .core.codes import CloseCode
from .core.inbox import frame_size
from .core.link import State
from .core.outbox import Outbox, Put
from .core.outcomes import SendOutcome
from .observers import notify
from .outcomes import count, judge, settle, write_here
from .queueing import Turn, pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from . import blocking
    from .connection import Connection
    from .wheel import Deadline

REPORT_AFTER, REPORT_EVERY = 1.0, 10.0
"""Seconds from the first dropped frame to the record about it, and between two of those."""


class Line:
    """The line of one connection; there only while somebody stands in it.

    Attributes:
        size: Bytes of the frames that wait.
    """

    __slots__ = (
        "_box", "_confirmed", "_connection", "_dropped", "_policy", "_report_timer", "_urgent",
        "_writer",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._policy = connection.policies.outbox
        self._box = Outbox(self._policy)
        self._writer: asyncio.Task[None] | None = None
        self._confirmed: asyncio.Future[None] | None = None
        self._dropped = 0
        self._urgent = 0
        self._report_timer: Deadline | None = None

    @property
    def size(self) -> int:
        return self._box.size

    # --- those who do not wait -----------------------------------------------------------------

    def offer(self, message: Mapping[str, Any], key: str | None = None) -> SendOutcome:
        """As :func:`offer`."""
        outcome = offer(self._connection, message, key)
        self._retire()  # it may have been made for this frame
        return outcome

    def put(self, message: Mapping[str, Any], key: str | None) -> SendOutcome:
        """Let a frame wait."""
        box, link = self._box, self._connection.link
        dropped, before = box.dropped, box.size
        put = box.put(message, frame_size(message), key)
        if put is Put.OVERFLOWED:
            self.overflow()
            return count(link, SendOutcome.CLOSED)
        if box.dropped > dropped:
            self._lose(box.dropped - dropped)
        pool.change(self, box.size - before, self._policy.process_bytes)
        if link.state is not State.OPEN:  # of all lines this was the longest
            return SendOutcome.CLOSED
        if put is Put.DROPPED:
            return SendOutcome.DROPPED
        self._start()
        return SendOutcome.QUEUED if self.is_writing else SendOutcome.SENT

    def go_on(self, waiting: tuple[blocking.Steps, Any]) -> None:
        """Finish what :meth:`SendGate.begin` has begun, and then write what waits."""
        self._keep(self._connection.loop.create_task(without_trace(self._write_all(waiting))))

    def follow(self, writing: asyncio.Task[None]) -> None:
        """Write what waits when *writing* is done."""
        self._keep(self._connection.loop.create_task(without_trace(self._write_all(after=writing))))

    # --- those who do --------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        """Inside it is the caller's turn to write a frame of *size*.

        Or the connection is over: then nobody needs to wait any longer.
        """
        turn = Turn(self._connection.loop)
        item = self._box.put_turn(turn, size)
        # A thread that waits for its client keeps all waiting that share it.
        is_urgent = compat.is_waited_for_by_a_thread()
        self._urgent += is_urgent
        self._start()
        try:
            if is_urgent:
                self.confirmed()
            try:
                await turn.begun
            except asyncio.CancelledError:
                self._box.give_up_turn(item)
                raise
            yield
        finally:
            self._urgent -= is_urgent
            turn.end()

    async def wait_a_little(self, seconds: float | None) -> None:
        """Wait until everything that waits now was written, or never will be.

        No longer than so many *seconds*, if any.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.turn(0):
                return

    def confirmed(self) -> None:
        """The client has confirmed something."""
        if self._confirmed is not None and not self._confirmed.done():
            self._confirmed.set_result(None)

    # --- writing -------------------------------------------------------------------------------

    @property
    def waits_for_answer(self) -> bool:
        """Whether nothing is written before the client has confirmed some of what was."""
        return self._confirmed is not None and not self._confirmed.done()

    @property
    def is_writing(self) -> bool:
        """Whether the next frame has to wait for an earlier one."""
        return self._writer is not None and not self._writer.done()

    def _start(self) -> None:
        if not self.is_writing:
            connection = self._connection
            writing = without_trace(self._write_all())
            self._keep(compat.start_eagerly(connection.loop, writing, connection.context))

    def _keep(self, writer: asyncio.Task[None]) -> None:
        if writer.done():
            self._retire()
        else:
            self._writer = writer
            self._connection.end_with(writer)
            writer.add_done_callback(self._finished)

    async def _write_all(
        self,
        waiting: tuple[blocking.Steps, Any] | None = None,
        after: asyncio.Task[None] | None = None,
    ) -> None:
        connection, box = self._connection, self._box
        if waiting is not None:
            await settle(connection, connection.gate.finish(*waiting))
        elif after is not None:
            await asyncio.wait({after})
        while (item := box.get()) is not None:
            if not item.is_turn:
                pool.change(self, -item.size)
            await self._wait_for_credit(item.size)
            if item.is_turn:
                await item.content.run()
            else:
                await write_here(connection, item.content)

    async def _wait_for_credit(self, size: int) -> None:
        connection, gate = self._connection, self._connection.gate
        while gate.credit is not None and connection.link.state is State.OPEN:
            if gate.credit.spend(size, anyway=self._urgent > 0):
                return
            await self._wait_for_answer()

    async def _wait_for_answer(self) -> None:
        connection, alarm = self._connection, None
        self._confirmed = connection.loop.create_future()
        patience = connection.policies.inbox.close_after
        if patience is not None:  # whoever sends and sends, and never reads, is never silent
            alarm = connection.wheel.patiently_after(patience, self.overflow)
        connection.intake.look_again()
        try:
            await self._confirmed
        finally:
            if alarm is not None:
                alarm.cancel()

    # --- the end -------------------------------------------------------------------------------

    def overflow(self) -> None:
        """The client is too slow: it is given up."""
        connection, box = self._connection, self._box
        connection.give_up(
            CloseCode.SLOW_CONSUMER.value,
            events.OutboxOverflow(
                **connection.who, cause="closed", dropped=box.frames, waiting=box.size
            ),
        )

    def overflow_there(self) -> None:
        """The same, on the loop of its connection."""
        loop = self._connection.loop
        if loop is asyncio.get_running_loop():
            self.overflow()
        else:
            with suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(self.overflow)

    def end(self) -> None:
        """The connection is over: nothing will be written any more, and nobody need wait."""
        self._report()
        size, items = self._box.size, self._box.clear()
        pool.change(self, -size)  # now that it is empty: the pool forgets it
        for item in items:
            if item.is_turn:
                item.content.begin()
            else:
                self._connection.link.unsent += 1
        self.confirmed()

    def _lose(self, frames: int) -> None:
        self._connection.link.unsent += frames
        self._dropped += frames
        if self._report_timer is None:
            self._report_timer = self._connection.wheel.after(REPORT_AFTER, self._report)

    def _report(self) -> None:
        if self._report_timer is not None:
            self._report_timer.cancel()
            self._report_timer = None
        if not self._dropped:
            self._retire()
            return
        connection, dropped, self._dropped = self._connection, self._dropped, 0
        if connection.link.state is State.OPEN:
            self._report_timer = connection.wheel.after(REPORT_EVERY, self._report)
        notify(
            events.OutboxOverflow(
                **connection.who, cause="dropped", dropped=dropped, waiting=self._box.size
            )
        )

    def _finished(self, writer: asyncio.Task[None]) -> None:
        if self._writer is not writer:
            return  # the next one is at work
        self._writer = None
        if len(self._box) and self._connection.link.state is not State.OPEN:
            self.end()
        self._retire()

    def _retire(self) -> None:
        """Nobody stands here any more, and nothing is left to be told."""
        is_idle = self._writer is None and not len(self._box) and self._report_timer is None
        if is_idle and self._connection.gate.line is self:
            self._connection.gate.line = None


def get_line(connection: Connection) -> Line:
    """The line of *connection*."""
    gate = connection.gate
    if gate.line is None:
        gate.line = Line(connection)
        gate.is_plain = False
    return gate.line


def offer(
    connection: Connection, message: Mapping[str, Any], key: str | None = None
) -> SendOutcome:
    """Write a frame, or let it wait. Returns at once; what becomes of it is counted."""
    gate, link = connection.gate, connection.link
    if link.state is not State.OPEN:
        return count(link, SendOutcome.CLOSED)
    is_free = gate.line is None or not gate.line.is_writing
    if not (is_free and gate.is_servers_own and gate.may_write(message)):
        return get_line(connection).put(message, key)
    try:
        waiting = gate.begin(message)
    except Exception as error:  # noqa: BLE001  # sorted there
        return count(link, judge(connection, error))
    if waiting is None:
        return count(link, SendOutcome.SENT)
    get_line(connection).go_on(waiting)
    return SendOutcome.QUEUED
