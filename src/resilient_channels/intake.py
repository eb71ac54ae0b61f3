"""The way in: frames from the client and events from the layer, read ahead within bounds.

A task of its own reads, so that a client that leaves is noticed while a handler runs. When the
inbox is full it stops reading, and the server's own backpressure holds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from .core.inbox import Inbox, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from .compat import Receive
    from .core.policies import InboxPolicy
    from .wheel import Wheel

LEFT: Message = {"type": "websocket.disconnect"}
"""What :meth:`Intake.next` returns when the connection is over and every frame was taken."""


FAIR_SHARE = 16
"""Frames beyond those there is room for, or that are not for the application, read without letting
others run: a server may have many in store, and never make us wait."""


class Owner(Protocol):
    """Whom the intake tells what it learns."""

    @property
    def waits_for_answer(self) -> bool: ...
    def answer(self, text: str) -> None: ...
    def stopped_listening(self) -> None: ...
    def listens_again(self) -> None: ...
    def client_left(self, message: Message) -> None: ...
    def receive_failed(self, error: Exception) -> None: ...
    def inbox_full(self, full_for: float) -> None: ...
    def inbox_stuck(self) -> None: ...


class Guard(Protocol):
    """Who may turn a frame away."""

    def admits(self, message: Message) -> bool: ...
    def counts(self) -> bool: ...
    def excuse(self, seconds: float) -> None: ...
    def stop(self) -> None: ...


class Intake:
    """Everything that waits to be handled by one consumer.

    Attributes:
        sift: Looks at a text before it counts as the application's: returns the message that does,
            or text to answer with (none, if empty) when it is not for the application.
        marks: Only texts that begin with one of these characters are looked at.
        guard: Looks at each frame before anybody else does, if there are limits.
        last_heard: When the peer last gave a sign of life, on the loop's clock.
        received: How many frames have come.
        took_event: Whether the message taken last came from the layer.
    """

    __slots__ = (
        "_events", "_frames", "_has_begun", "_inbox", "_is_discarding", "_is_over", "_loop",
        "_notices", "_owner", "_policy", "_receive", "_taker", "_waiters", "_wheel", "guard",
        "last_heard", "marks", "received", "sift", "took_event",
    )  # fmt: skip

    def __init__(self, owner: Owner, receive: Receive, policy: InboxPolicy, wheel: Wheel) -> None:
        self._owner = owner
        self._receive = receive
        self._policy = policy
        self._wheel = wheel
        self._inbox = Inbox(policy.frames, policy.bytes)
        self._frames = self._inbox.frames
        self._events: tuple[()] | list[Message] = ()  # mostly empty
        self._notices: tuple[Message, ...] = ()
        self.took_event = True
        self._has_begun = False  # not before websocket.connect was taken
        self._is_over = False
        self._is_discarding = False
        self._taker: asyncio.Future[Message | None] | None = None
        self._waiters: tuple[asyncio.Future[None], ...] = ()
        self._loop = asyncio.get_running_loop()
        self.last_heard = self._loop.time()
        self.received = 0
        self.marks = ""
        self.guard: Guard | None = None
        self.sift: Callable[[Message], Message | str] | None = None

    def __len__(self) -> int:
        return len(self._inbox)

    def is_waiting(self) -> bool:
        """Whether somebody waits for the next message, and nothing has come."""
        taker = self._taker
        return self._has_begun and taker is not None and not taker.done()

    # --- filling -------------------------------------------------------------------------------

    async def read_client(self) -> None:
        """Read from the server until the client has left."""
        extra = 0
        while True:
            is_full = self._inbox.is_full
            if is_full and self._has_to_wait():
                await self._wait_for_room()
            try:
                message = await self._receive()
                is_read = self._take_in(message)
            except Exception as error:  # noqa: BLE001  # no server should raise, or give nonsense
                self._owner.receive_failed(error)
                return
            del message  # while nothing comes, nothing of the last frame is kept
            if is_read is None:
                return
            if is_full or not is_read:
                extra += 1
                if extra % FAIR_SHARE == 0:
                    await asyncio.sleep(0)

    def _has_to_wait(self) -> bool:
        # What a handler waits for may be behind all that. The server has read it, and keeps it.
        return self._inbox.is_full and not self._owner.waits_for_answer

    def look_again(self) -> None:
        """Whether there is a reason to read on may have changed."""
        self._wake()

    def _take_in(self, message: Message) -> bool | None:
        """Queue what the client sent, if it is for the application; ``None`` at the end."""
        if message["type"] == "websocket.receive":
            self.last_heard = self._loop.time()
            if self._is_discarding:
                return False
            self.received += 1
            guard = self.guard
            if guard is not None and not guard.admits(message):
                return False
            text = message.get("text")
            if self.sift is not None and text and text[0] in self.marks:
                sifted = self.sift(message)
                if isinstance(sifted, str):
                    if sifted:
                        self._owner.answer(sifted)
                    return False
                message = sifted
            if guard is not None and not guard.counts():
                return False
        elif message["type"] == "websocket.disconnect":
            self._owner.client_left(message)
            return None
        if self._is_discarding:
            return True
        taker = self._taker
        if taker is not None and not taker.done():
            # Somebody waits, so nothing else does: past the inbox, from hand to hand.
            self._taker = None
            self.took_event = False
            self._begin()
            taker.set_result(message)
        else:
            self._inbox.put(message)
            self._wake()
        return True

    async def wait_for_layer_room(self) -> None:
        """Wait until the last event of the layer has been taken."""
        while self._events:
            await self._wait()

    def put_event(self, event: Message) -> None:
        """Add an event of the layer.

        One at a time, as in Channels, so that the layer's own capacity rules apply: not before
        there is room, as whoever holds one may lose it.
        """
        self._events = [event]
        self._wake()

    def offer_event(self, event: Message, capacity: int) -> bool:
        """Add an event of a hub, unless *capacity* wait already; whether it was taken."""
        taker = self._taker
        if self._has_begun and taker is not None and not taker.done():
            # As with frames: from hand to hand.
            self._taker = None
            self.took_event = True
            taker.set_result(event)
            return True
        if len(self._events) >= capacity:
            return False
        if self._events:
            self._events.append(event)
        elif not self._is_over:
            self._events = [event]
        self._wake()
        return True

    def post(self, event: Message) -> None:
        """Add an event of our own. Of too many, the latest count."""
        self._notices = (*self._notices[-1:], event)
        self._wake()

    def finish(self, *, discard: bool = False) -> None:
        """Nothing more will come; with *discard*, what has come is not wanted either."""
        self._is_over = True
        self._is_discarding = self._is_discarding or discard
        while self._is_discarding and self._inbox.get() is not None:
            pass
        self._wake()

    # --- taking --------------------------------------------------------------------------------

    def take(self) -> Message | None:
        """The next message, if there is one; frames and events take turns. See `took_event`."""
        if not (self._frames or self._events or self._is_over or self._notices):
            return None  # the usual answer to "anything else?", and so the first
        if self._is_over:
            self.took_event = False
            message = self._take_frame()
            return LEFT if message is None else message
        if not self.took_event:
            event = self._take_event()
            if event is not None:
                self.took_event = True
                return event
        message = self._take_frame()
        if message is not None:
            self.took_event = False
            return message
        event = self._take_event()
        self.took_event = event is not None
        return event

    def wait_to_take(self) -> asyncio.Future[Message | None]:
        """Wait when there was nothing to take: for the next frame itself, or for another look."""
        self._taker = self._loop.create_future()
        return self._taker

    async def next_frame(self) -> Message:
        """The next message from the client only."""
        while True:
            message = self._take_frame()
            if message is not None:
                return message
            if self._is_over:
                return LEFT
            await self._wait()

    async def next_event(self) -> Message:
        """The next message from the layer only; none once the connection is over."""
        while True:
            event = None if self._is_over else self._take_event()
            if event is not None:
                return event
            await self._wait()

    def _take_frame(self) -> Message | None:
        was_full = self._inbox.is_full
        message = self._inbox.get()
        if message is not None:
            self._begin()
        if was_full:
            self._wake()
        return message

    def _begin(self) -> None:
        """A frame was taken; the first lets events through."""
        if not self._has_begun:
            self._has_begun = True
            self._wake()

    def _take_event(self) -> Message | None:
        if not self._has_begun:
            return None  # whatever comes first, the consumer has to be connected before it
        if self._notices:
            first, *rest = self._notices
            self._notices = tuple(rest)
            return first
        if not self._events:
            return None
        first, *rest = self._events
        self._events = rest or ()
        self._wake()
        return first

    # --- waiting -------------------------------------------------------------------------------

    async def _wait_for_room(self) -> None:
        policy = self._policy
        warn_after = policy.warn_after
        after = self._wheel.patiently_after
        alarms = [after(warn_after, lambda: self._owner.inbox_full(warn_after))]
        if policy.close_after is not None:
            alarms.append(after(policy.close_after, self._owner.inbox_stuck))
        self._owner.stopped_listening()
        began = self._loop.time()
        try:
            while self._has_to_wait():
                await self._wait()
        finally:
            self._owner.listens_again()
            if self.guard is not None:
                self.guard.excuse(self._loop.time() - began)
            for alarm in alarms:
                alarm.cancel()

    def _wait(self) -> asyncio.Future[None]:
        """Done as soon as something may have changed."""
        waiter = self._loop.create_future()
        # An application may poll, with a time limit: what it has given up is not kept.
        self._waiters = (*(other for other in self._waiters if not other.done()), waiter)
        return waiter

    def _wake(self) -> None:
        taker, self._taker = self._taker, None
        if taker is not None and not taker.done():
            taker.set_result(None)
        if self._waiters:
            waiters, self._waiters = self._waiters, ()
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
