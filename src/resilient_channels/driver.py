"""One connection at work: a Link, its gate and intake, and the consumer between them.

The consumer's handlers run in the server's own task, as they do without this library. Beside it
one task reads the client and one the channel layer. Whatever ends the connection, the cleanup in
``teardown.py`` runs exactly once, in a task of its own.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from channels.exceptions import StopConsumer

from . import compat
from .core import events
from .core.codes import CloseCode, is_portable
from .core.disconnects import DisconnectKind, classify
from .core.link import Link
from .departure import Departure
from .failures import FailureHandler
from .gate import SendGate
from .intake import LEFT, Intake
from .layers.side import LayerSide
from .observers import notify
from .registry import registry
from .tasks import TaskGroup
from .teardown import Teardown
from .turns import Turn, current_turn, is_being_cancelled
from .wheel import get_wheel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from .core.inbox import Message
    from .core.policies import Policies
    from .traits import Traits

CONNECT = "websocket.connect"
DISCONNECT = "websocket.disconnect"


class Driver:
    """Drives one consumer through one connection.

    Attributes:
        failure: What ended the consumer's work, if it raised or was cancelled.
        settled: Set once the server has reported the end of the connection.
        client_message: That report.
        refusal: Why the handshake was refused, if not by the application.
        was_connected: Whether the consumer was ever given ``websocket.connect``.
        handling: Type of the message that is being handled.
        dispatch_raw: The consumer's own ``dispatch``.
    """

    def __init__(
        self,
        consumer: Any,
        traits: Traits,
        scope: Mapping[str, Any],
        receive: compat.Receive,
        send: compat.Send,
        policies: Policies,
    ) -> None:
        self.id = registry.next_id()
        self.consumer = consumer
        self.traits = traits
        self.consumer_name = traits.name
        self.who = {"connection": self.id, "consumer": traits.name}
        self.scope = scope
        self.policies = policies
        self.loop = asyncio.get_running_loop()
        self.link = Link()
        self.readers: set[asyncio.Task[None]] = set()
        self.failure: BaseException | None = None
        self.settled = asyncio.Event()
        self.client_message: Message | None = None
        self.handling: str | None = None
        self.refusal: str | None = None
        self.was_connected = False
        wheel = get_wheel(self.loop)
        deadline = policies.send.deadline
        send_queue = None if deadline is None else wheel.queue(deadline)
        self.gate = SendGate(self, self.link, send, send_queue)
        self.intake = Intake(self, receive, policies.inbox, wheel)
        self.layer = LayerSide(self)
        self.failures = FailureHandler(self)
        self.executor = compat.read_executor()
        self.tasks = TaskGroup(self.who, self.loop)
        self.departure = Departure(self)
        self.dispatch_raw: Callable[[Message], Awaitable[None]] = consumer.dispatch
        self._context = copy_context()
        self._teardown: asyncio.Task[None] | None = None

    # --- the connection, start to end ----------------------------------------------------------

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run the consumer's *work*; return, or raise, after everything is cleaned up."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a running coroutine has a task
        registry.add(self)
        self.departure.watch(task)
        self.spawn_reader(self.intake.read_client(), "client")
        try:
            await work()
        except StopConsumer:
            pass
        except BaseException as error:  # noqa: BLE001  # raised again below
            self.failure = error
        if self.departure.take_back() and isinstance(self.failure, asyncio.CancelledError):
            self.failure = None
        await self._clean_up()
        if isinstance(self.failure, asyncio.CancelledError):
            await registry.wait_for_cleanups(self.policies.teardown.timeout)
        if self.failure is not None:
            raise self.failure

    async def dispatch_all(self) -> None:
        """Handle one message after the other until the connection is over."""
        while True:
            message, from_layer = await self.intake.next()
            if message is LEFT:
                return
            await self._handle(message, from_layer=from_layer)

    async def _clean_up(self) -> None:
        teardown = self._ensure_teardown(copy_context())
        while not teardown.done():
            try:
                await asyncio.shield(teardown)
            except asyncio.CancelledError as error:
                # The cleanup is bounded, so being cancelled does not cut it short.
                self.failure = self.failure or error

    def abandon(self) -> None:
        """A handler ignores its cancellation: clean up without it."""
        self._ensure_teardown(self._context)

    def _ensure_teardown(self, context: Context) -> asyncio.Task[None]:
        if self._teardown is None:
            self.departure.finish()
            self.layer.stop_waiting()
            self._teardown = self.loop.create_task(Teardown(self).run(), context=context)
            registry.keep(self._teardown)
        return self._teardown

    # --- for consumers whose class brings its own __call__ -------------------------------------

    async def receive(self) -> Message:
        """The ASGI ``receive`` that such a consumer gets."""
        return await self.intake.next_frame()

    async def dispatch(self, message: Message) -> None:
        """The ``dispatch`` that such a consumer gets."""
        if message is LEFT:
            await self._clean_up()
            raise StopConsumer
        await self._handle(message, from_layer=message is self.layer.last_event)

    # --- handling ------------------------------------------------------------------------------

    async def _handle(self, message: Message, *, from_layer: bool) -> None:
        if from_layer and not await self._admits(message):
            return
        self.handling = kind = message.get("type", "")
        self.was_connected = self.was_connected or kind == CONNECT
        turn = Turn()
        current_turn.set(turn)
        try:
            await self.dispatch_raw(message)
            if kind == CONNECT:
                self._context = copy_context()
                self.layer.remember_declared_groups()
        except StopConsumer:
            raise
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            await self.failures.meet(error, message, from_layer=from_layer)
        except Exception as error:  # noqa: BLE001  # this is what isolation is
            if kind == CONNECT and not from_layer:
                await self.failures.meet_in_connect(error, message)
            else:
                await self.failures.meet(error, message, from_layer=from_layer)
        finally:
            turn.is_over = True
            self.handling = None

    async def _admits(self, event: Message) -> bool:
        """Whether an event of the layer may be dispatched; a few types may not."""
        name = compat.handler_name(event)
        if name in self.traits.reserved:
            self.failures.report_unhandled(event, "reserved")
            return False
        if event.get("type") == DISCONNECT:
            # Channels obeys such an event and leaves the socket open behind the consumer.
            code = event.get("code")
            is_sound = isinstance(code, int) and is_portable(code)
            await self.close(code if is_sound else None, DisconnectKind.SERVER)
            return False
        return True

    # --- ending --------------------------------------------------------------------------------

    async def close(self, code: int | None, kind: DisconnectKind) -> None:
        """Close for a reason of our own; a server that refuses is not waited for."""
        try:
            await self.gate.close(code, "", kind)
        except Exception as error:  # noqa: BLE001  # servers raise five different classes here
            self.tell_step(f"the server refused our close frame: {type(error).__name__}")

    def close_soon(self, code: int, kind: DisconnectKind) -> None:
        """Close from a timer; whatever was read and not handled is dropped."""
        self.intake.finish(discard=True)
        registry.keep(self.loop.create_task(self.close(code, kind)))

    # --- what gate, intake and layer report ----------------------------------------------------

    def opened(self) -> None:
        """The handshake was accepted."""
        if self.layer.client is not None:
            self.layer.client.handshake_done()
        notify(events.ConnectionOpened(**self.who))

    def went_over(self) -> None:
        """Nothing can be written any more: we closed, or a send failed."""
        self.tell_step(f"no more writing: {self.link.state.value}")
        self.departure.begin()

    def send_dropped(self) -> None:
        """A frame was not written because the connection is over."""
        notify(events.SendDropped(**self.who))

    def send_timed_out(self, deadline: float) -> None:
        """The server did not take a frame in time: the peer does not read."""
        code = CloseCode.SLOW_CONSUMER.value
        if self.link.give_up(DisconnectKind.TIMEOUT, code):
            notify(events.SendTimedOut(**self.who, deadline=deadline))
            self.departure.begin()
            registry.keep(self.loop.create_task(self.gate.close_abandoned(code)))

    def heard(self) -> None:
        """A frame came in."""
        self.gate.last_heard = self.loop.time()
        self.link.received += 1

    def client_left(self, message: Message) -> None:
        """The server reported the end of the connection."""
        self.client_message = message
        info = classify(message, compat.read_dialect(self.scope))
        self.tell_step(f"the server reported {message.get('code')!r}: {info.kind.value}")
        self.link.peer_left(info)
        self.departure.begin()
        self.settled.set()

    def receive_failed(self, error: Exception) -> None:
        """The server's ``receive`` raised, as none should."""
        self.tell_step(f"the server's receive raised {type(error).__name__}")
        self.client_left({"type": DISCONNECT, "code": CloseCode.ABNORMAL.value})

    def inbox_full(self, full_for: float) -> None:
        """Handlers have been slower than the client for a while."""
        notify(events.InboxFull(**self.who, full_for=full_for, frames=len(self.intake)))

    def inbox_stuck(self) -> None:
        """Handlers have been slower than the client for too long."""
        self.close_soon(CloseCode.OVERLOAD, DisconnectKind.ERROR)

    def tell_step(self, step: str) -> None:
        """At DEBUG a connection tells the story of its end."""
        notify(events.ConnectionStep(**self.who, step=step))

    def spawn_reader(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task that fills the intake until the cleanup ends it."""
        task = self.loop.create_task(coroutine, name=f"resilient_channels.{name}.{self.id}")
        self.readers.add(task)
        task.add_done_callback(self.readers.discard)
        return task
