"""A consumer on its connection: one message after the other, in the server's own task.

The consumer's handlers run where they run without this library. Beside them one task reads the
client and one the channel layer.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync
from channels.exceptions import StopConsumer
from channels.layers import get_channel_layer

from . import compat
from .connection import DISCONNECT, Connection
from .core.codes import is_portable
from .core.disconnects import DisconnectKind
from .core.frames import Frame
from .dispatching import find_dispatch
from .failures import FailureHandler
from .forwarding import forward
from .guarding import guard
from .intake import LEFT
from .layers.side import LayerSide
from .refusing import admit
from .tasks import TaskGroup
from .teardown import Teardown
from .turns import Turn, current_turn, is_being_cancelled
from .watchdog import is_work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from .core.inbox import Message
    from .core.policies import Policies
    from .traits import Traits

CONNECT = "websocket.connect"


class Driver(Connection):
    """Drives one consumer through one connection.

    Attributes:
        was_connected: Whether the consumer was ever given ``websocket.connect``.
        has_failed: Whether a handler has failed since old database connections were closed.
    """

    __slots__ = (
        "_dispatch", "_failures", "_tasks", "consumer", "has_failed", "layer",
        "traits", "was_connected",
    )  # fmt: skip

    def __init__(
        self,
        consumer: Any,
        traits: Traits,
        scope: Mapping[str, Any],
        receive: compat.Receive,
        send: compat.Send,
        policies: Policies,
    ) -> None:
        super().__init__(traits.name, scope, receive, send, policies)
        self.consumer = consumer
        self.traits = traits
        self.was_connected = False
        self.has_failed = False
        self.layer = LayerSide(self)
        # Made when they are needed: most connections never fail and have no tasks.
        self._failures: FailureHandler | None = None
        self._tasks: TaskGroup | None = None
        self._dispatch = guard(self, find_dispatch(consumer))

    @property
    def failures(self) -> FailureHandler:
        """What is done about handlers that fail."""
        if self._failures is None:
            self._failures = FailureHandler(self)
        return self._failures

    @property
    def tasks(self) -> TaskGroup:
        """The connection's background tasks."""
        if self._tasks is None:
            self._tasks = TaskGroup(self.who, self.loop)
        return self._tasks

    async def run_consumer(self) -> None:
        """What ``AsyncConsumer.__call__`` does, with a loop that reads ahead.

        All in one coroutine, as there is one per connection.
        """
        consumer, intake = self.consumer, self.intake
        failure: BaseException | None = None
        try:
            self.begin()
            consumer.scope = self.scope
            consumer.channel_layer = get_channel_layer(consumer.channel_layer_alias)
            if consumer.channel_layer is not None:
                consumer.channel_name = await consumer.channel_layer.new_channel()
            send = self.gate.send
            consumer.base_send = async_to_sync(send) if self.traits.is_sync else send
            is_admitted = await admit(self)
            while is_admitted:
                message = intake.take()
                if message is None:
                    message = await intake.wait_to_take()
                if message is LEFT:
                    break
                if message is not None:
                    await self._handle(message, from_layer=intake.took_event)
        except BaseException as error:  # noqa: BLE001  # raised again at the end
            failure = error
        await self.end(failure)

    def opened(self) -> None:
        """The handshake was accepted."""
        if self.layer.client is not None:
            self.layer.client.handshake_done()
        super().opened()

    def _ensure_teardown(self, context: Context) -> asyncio.Task[None]:
        self.layer.stop_waiting()
        return super()._ensure_teardown(context)

    def _make_ending(self) -> Teardown:
        return Teardown(self)

    # --- for consumers whose class brings its own __call__ -------------------------------------

    async def receive(self) -> Message:
        """The ASGI ``receive`` that such a consumer gets."""
        return await self.intake.next_frame()

    async def dispatch(self, message: Message) -> None:
        """The ``dispatch`` that such a consumer gets."""
        if message is LEFT:
            await self.clean_up()
            raise StopConsumer
        await self._handle(message, from_layer=message is self.layer.last_event)

    def dispatch_raw(self, message: Message) -> Awaitable[None]:
        """Let the consumer handle *message*, with nothing around it."""
        return self._dispatch(self, message)

    # --- handling ------------------------------------------------------------------------------

    @is_work
    async def _handle(self, message: Message, *, from_layer: bool) -> None:
        if type(message) is Frame:
            forward(self, message, message.key)
            return
        if from_layer and not await self._admits(message):
            return
        self.handling = kind = message.get("type", "")
        if kind == CONNECT:
            self.was_connected = True
        turn = Turn()
        token = current_turn.set(turn)
        is_connected = False
        try:
            await self._dispatch(self, message)
            if kind == CONNECT:
                is_connected = True
                self.layer.remember_declared_groups()
        except StopConsumer:
            raise
        except asyncio.CancelledError as error:
            if is_being_cancelled():
                raise
            self.has_failed = True
            await self.failures.meet(error, message, from_layer=from_layer)
        except Exception as error:  # noqa: BLE001  # this is what isolation is
            self.has_failed = True
            if kind == CONNECT and not from_layer:
                await self.failures.meet_in_connect(error, message)
            else:
                await self.failures.meet(error, message, from_layer=from_layer)
        finally:
            turn.is_over = True
            current_turn.reset(token)  # a context lives long: nothing of a message is kept in it
            self.handling = None
        if is_connected:
            self.context = copy_context()

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
