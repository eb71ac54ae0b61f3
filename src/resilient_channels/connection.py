"""One WebSocket connection at work: a Link, the way in, the way out, and limits on both.

It knows nothing of what runs on it; ``driver.py`` puts a consumer there, ``middleware.py`` any
ASGI application. Whatever ends the connection, the cleanup runs exactly once, in a task of its
own.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from channels.exceptions import StopConsumer

from . import compat
from .answers import Answers
from .conversation import Conversation
from .core import events
from .core.codes import CloseCode
from .core.disconnects import DisconnectKind, classify
from .core.link import Link
from .departure import Departure
from .ending import Ending
from .gate import SendGate, find_owner
from .heartbeat import Heartbeat, make_heartbeat
from .intake import Intake
from .lifetime import Lifetime
from .nesting import surrounding
from .observers import notify
from .outbox import Line, get_line
from .refusing import admit
from .registry import registry
from .reports import Reports
from .turns import is_in_handler
from .wheel import get_wheel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from .core.inbox import Message
    from .core.policies import Policies

DISCONNECT = "websocket.disconnect"

LAST_WORDS = 2.0
"""Seconds for frames that wait for a client which is let go of for no fault of its own."""


class Connection(Reports):
    """Carries one application through one connection.

    Attributes:
        failure: What ended the application's work, if it raised or was cancelled.
        client_message: The server's report that the connection is over, once it came.
        refusal: Why the handshake was refused, if not by the application.
        refusal_code: The close code that goes with it.
        context: What the application has set by the time that it was connected.
        handling: Type of the message that is being handled.
        heartbeat: Set once the handshake is accepted, if this client gets one.
    """

    __slots__ = (
        "_answers", "_outer", "_settled", "_teardown", "client_message", "consumer_name",
        "context", "conversation", "departure", "executor", "failure", "gate", "handling",
        "heartbeat", "id", "intake", "lifetime", "link", "loop", "policies",
        "readers", "refusal", "refusal_code", "scope", "wheel",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        scope: Mapping[str, Any],
        receive: compat.Receive,
        send: compat.Send,
        policies: Policies,
    ) -> None:
        self.id = registry.next_id()
        self.consumer_name = name
        self.policies = policies
        self.loop = asyncio.get_running_loop()
        self.wheel = get_wheel(self.loop)
        self.link = Link()
        # What a middleware around sees of the client we may not see: it asks for signs of life.
        self._outer = surrounding.get()
        if self._outer is not None:
            self.policies = policies = policies.without_clock()
        self.gate = SendGate(self, self.link, send, self.wheel, policies.send.deadline)
        self.intake = Intake(self, receive, policies.inbox, self.wheel)
        self.conversation = Conversation(self)
        self.scope = self.conversation.read_offer(scope)
        self.departure = Departure(self)
        self.heartbeat: Heartbeat | None = None
        self.lifetime: Lifetime | None = None
        self.readers: tuple[asyncio.Task[None], ...] = ()
        self.executor = compat.read_executor()
        self.failure: BaseException | None = None
        self.client_message: Message | None = None
        self.refusal: str | None = None
        self.refusal_code: int | None = None
        self.handling: str | None = None
        self.is_listening = True
        self._answers: Answers | None = None
        self.context = copy_context()
        self._settled: asyncio.Future[None] | None = None
        self._teardown: asyncio.Task[None] | None = None

    @property
    def who(self) -> dict[str, str]:
        """What every event of this connection says of it."""
        return {"connection": self.id, "consumer": self.consumer_name}

    # --- the connection, start to end ----------------------------------------------------------

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run the application's *work*; return, or raise, after everything is cleaned up."""
        failure: BaseException | None = None
        try:
            self.begin()
            if await admit(self):
                await work()
        except BaseException as error:  # noqa: BLE001  # raised again at the end
            failure = error
        await self.end(failure)

    def begin(self) -> None:
        """The application begins its work, in the running task."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a running coroutine has a task
        registry.add(self)
        self.departure.watch(task)
        self.start_reading()

    async def end(self, error: BaseException | None) -> None:
        """The application's work is over; return, or raise, after everything is cleaned up."""
        if not isinstance(error, StopConsumer):
            self.failure = error
        if self.departure.take_back() and isinstance(self.failure, asyncio.CancelledError):
            self.failure = None
        await self.clean_up()
        if isinstance(self.failure, asyncio.CancelledError):
            await registry.wait_for_cleanups(self.policies.teardown.timeout)
        if self.failure is not None:
            raise self.failure

    def start_reading(self) -> None:
        """Read the client from now on."""
        self.spawn_reader(self.intake.read_client(), "resilient_channels.client")

    def step_aside(
        self, scope: Mapping[str, Any], receive: compat.Receive, send: compat.Send
    ) -> tuple[Mapping[str, Any], compat.Receive, compat.Send] | None:
        """Let a consumer further inside, which was given these, have a connection of its own.

        Returns:
            What it should use. ``None``: this is its connection, and it passes through it.
        """
        return None if find_owner(send) is self else (scope, receive, send)

    async def clean_up(self) -> None:
        """Run the cleanup, or wait for the one that is under way."""
        teardown = self._ensure_teardown(copy_context())
        while not teardown.done():
            try:
                await asyncio.shield(teardown)
            except asyncio.CancelledError as error:
                # The cleanup is bounded, so being cancelled does not cut it short.
                self.failure = self.failure or error

    def abandon(self) -> None:
        """The application ignores its cancellation: clean up without it."""
        self._ensure_teardown(self.context)

    def _ensure_teardown(self, context: Context) -> asyncio.Task[None]:
        if self._teardown is None:
            self.departure.finish()
            self._teardown = self.loop.create_task(self._make_ending().run(), context=context)
            registry.keep(self._teardown)
        return self._teardown

    def _make_ending(self) -> Ending:
        return Ending(self)

    # --- closing for a reason of our own -------------------------------------------------------

    async def close(self, code: int | None, kind: DisconnectKind, after: float = 0.0) -> None:
        """Close; a server that refuses is not waited for. The client may return *after* seconds."""
        try:
            await self.gate.close(code, kind, after)
        except Exception as error:  # noqa: BLE001  # servers raise five different classes here
            self.tell_step(f"the server refused our close frame: {type(error).__name__}")

    def close_soon(self, code: int, kind: DisconnectKind, *, discard: bool = True) -> None:
        """Close from a timer; with *discard*, what was read and not handled is dropped."""
        if discard:
            self.intake.finish(discard=True)
        closing = self.close(code, kind) if discard else self.close_orderly(code, kind)
        registry.keep(self.loop.create_task(closing))

    async def close_orderly(self, code: int, kind: DisconnectKind, after: float = 0.0) -> None:
        """As :meth:`close`, when all is well: what waits for the client is written, if it reads."""
        if self.gate.line is not None:
            await self.gate.line.wait_a_little(LAST_WORDS)
        self.intake.finish()
        await self.close(code, kind, after)

    def give_up(self, code: int, event: events.ConnectionEvent) -> None:
        """Nothing will come of waiting for this peer any longer."""
        if self.link.give_up(DisconnectKind.TIMEOUT, code):
            self.departure.begin()
            self.gate.release()
            self.gate.closing = self.loop.create_task(self.gate.close_abandoned(code))
            registry.keep(self.gate.closing)
            notify(event)  # last: an observer that raises changes nothing

    # --- what the gate reports -----------------------------------------------------------------

    def accepting(self, message: Message) -> tuple[Message, str | None]:
        """The application accepts the handshake: what to send, and to greet the client with."""
        return self.conversation.accepting(message)

    def farewell(self, code: int | None, reason: str | None, after: float = 0.0) -> str | None:
        """What to say before a close frame."""
        return self.conversation.farewell(code, reason, after)

    def choose_heartbeat(self, *, negotiated: bool, foreign: bool) -> Heartbeat | None:
        """Decide whether this client is asked for signs of life, and in which words."""
        self.heartbeat = make_heartbeat(self, negotiated=negotiated, foreign=foreign)
        return self.heartbeat

    def opened(self) -> None:
        """The handshake was accepted."""
        self.conversation.opened()
        self.departure.accepted()
        self.wheel.on_stall = _report_stall
        if self.heartbeat is not None:
            self.heartbeat.start()
        limits = self.policies.lifetime
        if limits.idle_timeout is not None or limits.max_age is not None:
            self.lifetime = Lifetime(self)
            self.lifetime.start()
        notify(events.ConnectionOpened(**self.who))

    def went_over(self) -> None:
        """Nothing can be written any more: we closed, or a send failed."""
        self.tell_step(f"no more writing: {self.link.state.value}")
        self.departure.begin()

    def excuses_sender(self) -> bool:
        """Whether a sender that comes too late may go on as if nothing had happened."""
        return is_in_handler()

    def get_line(self) -> Line:
        """The line in which frames wait for the server."""
        return get_line(self)

    @property
    def waits_for_answer(self) -> bool:
        """Whether nothing is written before the client has confirmed some of what was."""
        return self.gate.line is not None and self.gate.line.waits_for_answer

    def last_heard(self) -> float:
        """When the peer last gave a sign of life, on the loop's clock."""
        return self.intake.last_heard

    # --- what intake and heartbeat report ------------------------------------------------------

    def answer(self, text: str) -> None:
        """Answer a frame that is not for the application; reading goes on meanwhile."""
        if self._answers is None:
            self._answers = Answers(self)
        self._answers.send(text)

    def client_left(self, message: Message) -> None:
        """The server reported the end of the connection."""
        self.client_message = message
        info = classify(message, compat.read_dialect(self.scope))
        known = None if self._outer is None else self._outer.info
        if known is not None and known.code == info.code:
            info = known  # it saw the end itself
        self.tell_step(f"the server reported {message.get('code')!r}: {info.kind.value}")
        self.link.peer_left(info)
        self.departure.begin()
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    async def wait_until_left(self) -> None:
        """Wait until the server has reported the end of the connection."""
        if self.client_message is None:
            if self._settled is None:
                self._settled = self.loop.create_future()
            await self._settled

    def receive_failed(self, error: Exception) -> None:
        """The server's ``receive`` raised, as none should."""
        self.tell_step(f"the server's receive raised {type(error).__name__}")
        self.client_left({"type": DISCONNECT, "code": CloseCode.ABNORMAL.value})

    def spawn_reader(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that fills the intake until the cleanup ends it."""
        task = self.loop.create_task(coroutine, name=name)
        self.end_with(task)
        return task

    def end_with(self, task: asyncio.Task[None]) -> None:
        """Let the cleanup end *task*, too."""
        self.readers = (*(reader for reader in self.readers if not reader.done()), task)


def _report_stall(seconds: float) -> None:
    if seconds >= 1.0:
        notify(events.LoopStalled(seconds=round(seconds, 3)))
