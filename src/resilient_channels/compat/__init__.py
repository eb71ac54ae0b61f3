"""Every touch of an internal of Channels, asgiref or a server, each with a canary test.

Nothing else in this library knows how they work inside.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from asgiref.current_thread_executor import CurrentThreadExecutor
from asgiref.sync import AsyncToSync, SyncToAsync
from channels import db as channels_db
from channels.consumer import AsyncConsumer, SyncConsumer, get_handler_name
from channels.db import database_sync_to_async
from channels.generic.websocket import (
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
    JsonWebsocketConsumer,
    WebsocketConsumer,
)

from .layers import (
    abandon_cleaners as abandon_cleaners,
    check_message as check_message,
    close_layer as close_layer,
    drop_silent_links as drop_silent_links,
    find_alias as find_alias,
    find_process_prefix as find_process_prefix,
    has_groups as has_groups,
    heed_cleaner as heed_cleaner,
    is_in_process as is_in_process,
    is_plain_in_memory as is_plain_in_memory,
    keeps_one_queue as keeps_one_queue,
    name_a_group_per_host as name_a_group_per_host,
    read_option as read_option,
    receive_single as receive_single,
    shorten_blocking_reads as shorten_blocking_reads,
)
from .servers import (
    _GONE_BY_NAME as _GONE_BY_NAME,
    is_reloading as is_reloading,
    is_served as is_served,
    is_servers_own as is_servers_own,
    never_waits as never_waits,
    offers_denial_response as offers_denial_response,
    read_dialect as read_dialect,
    says_gone as says_gone,
)
from .signals import (
    Place as Place,
    take_place as take_place,
)
from .threads import (
    find_consumer as find_consumer,
    find_frames as find_frames,
    find_job as find_job,
    find_shared_thread as find_shared_thread,
    is_at_work as is_at_work,
    is_waited_for_by_a_thread as is_waited_for_by_a_thread,
    walk as walk,
)

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from concurrent.futures import Executor
    from contextvars import Context
    from types import CodeType, TracebackType

InputFault = Literal["json", "no text", "empty"]
_Function = TypeVar("_Function", bound=Callable[..., Any])

# --- consumers -------------------------------------------------------------------------------


def is_sync(consumer_class: type) -> bool:
    """Whether a consumer's handlers run in a thread."""
    return issubclass(consumer_class, SyncConsumer)


def is_bare(consumer: object) -> bool:
    """Whether a consumer takes raw ASGI messages in ``send`` (no ``WebsocketConsumer``)."""
    return not isinstance(consumer, AsyncWebsocketConsumer | WebsocketConsumer)


def reads_json(consumer_class: type) -> bool:
    """Whether the texts that a consumer receives are JSON."""
    return issubclass(consumer_class, AsyncJsonWebsocketConsumer | JsonWebsocketConsumer)


def overrides_call(consumer_class: type, mixin: type) -> bool:
    """Whether a class between *mixin* and ``AsyncConsumer`` has a ``__call__`` of its own."""
    mro = consumer_class.__mro__
    between = mro[mro.index(mixin) + 1 : mro.index(AsyncConsumer)]
    return any("__call__" in vars(cls) for cls in between)


_SENDING = ("send", "send_json", "encode_json")


def sends_plainly(consumer_class: type) -> bool:
    """Whether what a consumer sends goes out as Channels makes it, with nothing overridden."""
    return all(
        definer.__module__.startswith("channels.")
        for name in _SENDING
        for definer in consumer_class.__mro__
        if name in vars(definer)
    )


_ASYNC_DISPATCH = AsyncConsumer.dispatch
_IS_UNTOUCHED = _ASYNC_DISPATCH.__code__.co_qualname == "AsyncConsumer.dispatch"


def has_channels_dispatch(consumer: Any) -> bool:
    """Whether messages reach *consumer* by the async ``dispatch`` of Channels, and by nothing else.

    Not if a class, the instance, a test's mock or a tracing library has replaced or wrapped it.
    """
    dispatch = consumer.dispatch
    return _IS_UNTOUCHED and type(dispatch) is MethodType and dispatch.__func__ is _ASYNC_DISPATCH


_DISCONNECT = AsyncWebsocketConsumer.websocket_disconnect
_HAS_HOP = "aclose_old_connections" in _DISCONNECT.__code__.co_names


def without_hop(handler: Any, close: Callable[[], Awaitable[None]]) -> Any:
    """Channels' own ``websocket_disconnect``, with *close* for the hop at its end.

    Any other *handler* is returned as it is.
    """
    if not _HAS_HOP or getattr(handler, "__func__", None) is not _DISCONNECT:
        return handler
    namespace = {**_DISCONNECT.__globals__, "aclose_old_connections": close}
    return MethodType(FunctionType(_DISCONNECT.__code__, namespace), handler.__self__)


async def run_sync(function: Callable[..., object], *args: object) -> None:
    """Run a sync consumer's method where its handlers run, as Channels does."""
    await database_sync_to_async(function)(*args)


def read_executor() -> Any:
    """The thread that synchronous code of the running task goes to, if asgiref has fixed one."""
    return getattr(AsyncToSync.executors, "current", None)


def restore_executor(executor: Any) -> None:
    """Undo what a cancelled synchronous handler has left in the running task's context.

    asgiref copies the handler's context back when its task is cancelled, and with it the executor
    of an ``async_to_sync`` call that was under way. That executor is gone, and every later
    ``sync_to_async`` in this context would fail.
    """
    AsyncToSync.executors.current = executor
    SyncToAsync.deadlock_context.set(False)


# --- tasks -----------------------------------------------------------------------------------


CAN_START_EAGERLY = sys.version_info >= (3, 12)


def start_eagerly(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, None],
    context: Context | None = None,
) -> asyncio.Task[None]:
    """Start a task; from Python 3.12 on it runs at once, up to its first wait."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, context=context, eager_start=True)
    return loop.create_task(coroutine, context=context)


def find_executor(loop: AbstractEventLoop, *, is_enclosed: bool) -> Executor | None:
    """Where ``sync_to_async`` in the running context would run its function.

    None for a ``ThreadSensitiveContext`` that has no thread: not yet, or not any more.

    Args:
        is_enclosed: Whether an ``async_to_sync`` call may be under way around the caller.
    """
    executor: Executor | None = read_executor() if is_enclosed else None
    if executor is not None:
        return executor
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is not None:
        return SyncToAsync.context_to_thread_executor.get(context)
    return AsyncToSync.loop_thread_executors.get(loop, SyncToAsync.single_thread_executor)


def is_parents_executor(executor: Executor) -> bool:
    """Whether its thread waits in an ``async_to_sync`` call that encloses everything."""
    return isinstance(executor, CurrentThreadExecutor)


# --- databases -------------------------------------------------------------------------------


def read_close_old_connections() -> Callable[[], None]:
    """What Channels calls to close old connections, under the name its communicators patch."""
    close: Callable[[], None] = vars(channels_db)["close_old_connections"]
    return close


# --- whose fault was it ----------------------------------------------------------------------

_JSON_RECEIVE = (
    AsyncJsonWebsocketConsumer.receive.__code__,
    JsonWebsocketConsumer.receive.__code__,
)
_FRAME_RECEIVE = (
    AsyncWebsocketConsumer.websocket_receive.__code__,
    WebsocketConsumer.websocket_receive.__code__,
)
_DISPATCH = {AsyncConsumer.dispatch.__code__, vars(SyncConsumer)["dispatch"].func.__code__}
_HANDLER_NAME = get_handler_name.__code__


def is_dispatch(function: _Function) -> _Function:
    """Mark *function* as one that finds and calls handlers, as Channels' own ``dispatch``."""
    _DISPATCH.add(function.__code__)
    return function


def _codes(traceback: TracebackType | None) -> Iterator[CodeType]:
    while traceback is not None:
        yield traceback.tb_frame.f_code
        traceback = traceback.tb_next


def find_input_fault(error: BaseException) -> InputFault | None:
    """What was wrong with the frame, if *error* arose while Channels read it.

    Judged by where the error was raised, not by its class: any ``decode_json``, overridden or
    not, may raise anything, and a handler's own ``ValueError`` is not the client's.
    """
    codes = list(_codes(error.__traceback__))
    if not codes:
        return None
    if codes[-1] in _JSON_RECEIVE and isinstance(error, ValueError):
        return "no text"
    if codes[-1] in _FRAME_RECEIVE:
        if isinstance(error, KeyError):
            return "empty"
        # A receive(self, text_data), as in many a tutorial, cannot be given a binary frame.
        if isinstance(error, TypeError) and "'bytes_data'" in str(error):
            return "no text"
    names = [code.co_name for code in codes]
    if "decode_json" in names and any(code in _JSON_RECEIVE for code in codes):
        is_handlers_own = "receive_json" in names[: names.index("decode_json")]
        return None if is_handlers_own else "json"
    return None


def find_event_fault(error: BaseException) -> Literal["no handler", "malformed"] | None:
    """Why Channels could not find a handler for an event, if that is what *error* says."""
    codes = list(_codes(error.__traceback__))
    if not codes:
        return None
    if codes[-1] is _HANDLER_NAME:
        return "malformed"
    # Raised in dispatch itself: "No handler for message type", or the name is some attribute's. Any
    # other TypeError is a handler with a wrong signature.
    if codes[-1] in _DISPATCH:
        is_attribute = isinstance(error, TypeError) and "is not callable" in str(error)
        if is_attribute or isinstance(error, ValueError):
            return "no handler"
    return None


MAX_HANDLER_NAMES = 1000
MAX_REMEMBERED_TYPE = 200  # characters; no handler's name is longer, but what is sent here may be
_handler_names: dict[str, str] = {}


def find_handler_name(message: Mapping[str, Any]) -> str:
    """The attribute that Channels calls for *message*, remembered by type.

    Raises:
        ValueError, AttributeError: As Channels does, for a type that makes no sense.
    """
    kind = message.get("type")
    if type(kind) is not str:
        return str(get_handler_name(message))  # type: ignore[arg-type]
    name = _handler_names.get(kind)
    if name is None:
        name = str(get_handler_name(message))  # type: ignore[arg-type]
        if len(kind) > MAX_REMEMBERED_TYPE:
            return name
        if len(_handler_names) >= MAX_HANDLER_NAMES:
            _handler_names.clear()
        _handler_names[kind] = name
    return name


def handler_name(event: Mapping[str, Any]) -> str | None:
    """The attribute that Channels would call for *event*; None when it would refuse."""
    try:
        return find_handler_name(event)
    except (ValueError, AttributeError, TypeError):
        return None


Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
