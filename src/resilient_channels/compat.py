"""Every touch of an internal of Channels, asgiref or a server, each with a canary test.

Nothing else in this library knows how they work inside.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import parse_qs, urlsplit

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
from channels.layers import InMemoryChannelLayer, channel_layers

from .core.disconnects import ServerDialect

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


# --- servers ---------------------------------------------------------------------------------

# What servers raise, besides OSError, for a send on a connection that is over. Matched by name:
# none of them may be imported here, and two are not even public.
_GONE_BY_NAME = {
    ("autobahn.exception", "Disconnected"),
    ("hypercorn.utils", "UnexpectedMessageError"),
    ("wsproto.utilities", "LocalProtocolError"),
    ("websockets.exceptions", "ConnectionClosed"),
    ("websockets.exceptions", "ConnectionClosedOK"),
    ("websockets.exceptions", "ConnectionClosedError"),
    ("websockets.exceptions", "InvalidState"),
}


def says_gone(error: Exception) -> bool:
    """Whether a server's ``send`` failed because the connection is over.

    ASGI 2.4 asks for an ``OSError``; only Uvicorn follows. Uvicorn's other form is a
    ``RuntimeError`` that names the message it did not expect.
    """
    if isinstance(error, OSError):
        return True
    if type(error) is RuntimeError:
        return "after sending 'websocket.close'" in str(error)
    return (type(error).__module__, type(error).__name__) in _GONE_BY_NAME


def read_dialect(scope: Mapping[str, Any]) -> ServerDialect:
    """How the server behind *scope* reports the end of a connection."""
    version = (scope.get("asgi") or {}).get("spec_version")
    if version is None:
        return ServerDialect.TELLS_LOSS_BY_1006  # Daphne; test communicators too
    if tuple(int(part) for part in str(version).split(".") if part.isdigit()) >= (2, 4):
        return ServerDialect.TELLS_LOSS_BY_MISSING_REASON
    return ServerDialect.CANNOT_TELL


def offers_denial_response(scope: Mapping[str, Any]) -> bool:
    """Whether a handshake can be refused with an HTTP response of one's own."""
    return "websocket.http.response" in (scope.get("extensions") or {})


# --- channel layers --------------------------------------------------------------------------


def is_in_process(layer: object) -> bool:
    """Whether a layer cannot have an outage, because it lives in this process."""
    return isinstance(layer, InMemoryChannelLayer)


def read_option(layer: object, name: str) -> Any:
    """An attribute of a layer that holds its configuration; ``None`` if it has none.

    Never by way of ``__getattr__``: the pub/sub layer's asks for a running event loop.
    """
    return inspect.getattr_static(layer, name, None)


def check_message(layer: Any, args: tuple[Any, ...]) -> None:
    """Raise what *layer* raises for a message that it cannot put into bytes.

    Layers of channels_redis have ``serialize``; nothing is known about others' messages.
    """
    if hasattr(type(layer), "serialize"):
        serialize = layer.serialize
        for arg in args:
            if isinstance(arg, Mapping):
                serialize(arg)


def is_plain_in_memory(layer_class: object) -> bool:
    """Whether a layer's class is the in-memory layer of Channels itself."""
    return layer_class is InMemoryChannelLayer


def keeps_one_queue(layer: Any) -> bool:
    """Whether a layer keeps all channels of a process in one queue, as ``channels_redis.core``."""
    return all(
        hasattr(type(layer), name) for name in ("receive_single", "non_local_name", "new_channel")
    ) and isinstance(read_option(layer, "client_prefix"), str)


def find_process_prefix(layer: Any) -> str:
    """What the names of all channels of this process have before their ``!``."""
    return str(layer.client_prefix)


async def receive_single(layer: Any, queue: str) -> tuple[str | list[str], dict[str, Any]]:
    """The next message of one of the process's queues, with the channels it is meant for."""
    received: tuple[str | list[str], dict[str, Any]] = await layer.receive_single(queue)
    # It leaves a task behind, and looks at its failure nowhere.
    for cleaner in layer.receive_cleaners[-1:]:
        cleaner.add_done_callback(lambda task: task.cancelled() or task.exception())
    return received


def abandon_cleaners(layer: Any) -> None:
    """End what a queue's next ``receive_single`` would wait for: it may hang on a dead link."""
    for cleaner in list(layer.receive_cleaners):
        cleaner.cancel()


PUBSUB = "channels_redis.pubsub"

BLOCKING_READ = 2
"""Seconds that a read of ``channels_redis.core`` blocks under a hub."""


def shorten_blocking_reads(layer: Any) -> None:
    """Let a read of the broker end by itself before the client's own time limit ends it by error.

    From redis-py 8 on that limit is 5 seconds by default, and so is the read: a message that comes
    just then is lost.
    """
    limits = [limit for host in layer.hosts if (limit := _read_socket_timeout(host)) > 0]
    half = min([BLOCKING_READ * 2.0, *limits]) / 2
    layer.brpop_timeout = int(half) if half >= 1 else half  # brokers before Redis 6 know no halves


def _read_socket_timeout(host: Mapping[str, Any]) -> float:
    """The time limit of one host's client; 0 if there is none, or the client's default."""
    address = host.get("address")
    query = parse_qs(urlsplit(address).query) if isinstance(address, str) else {}
    # The URL has the last word, as in redis-py.
    [limit] = query.get("socket_timeout", [host.get("socket_timeout")])[-1:]
    try:
        return float(limit)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0


def name_a_group_per_host(layer: Any, make_name: Callable[[], str]) -> tuple[str, ...]:
    """Names of groups, one for each host of a layer of ``channels_redis``; one on any other."""
    if isinstance(read_option(layer, "ring_size"), int):
        hosts, find_host = layer.ring_size, layer.consistent_hash
    elif type(layer).__module__ == PUBSUB:
        inner = layer._get_layer()
        hosts = len(inner._shards)

        def find_host(group: str) -> int:
            shard = inner._get_shard(inner._get_group_channel_name(group))
            return int(inner._shards.index(shard))
    else:
        return (make_name(),)
    names: dict[int, str] = {}
    while len(names) < hosts:
        name = make_name()
        names.setdefault(find_host(name), name)
    return tuple(names.values())


async def drop_silent_links(layer: Any) -> None:
    """Let a pub/sub layer subscribe anew, on new connections, at its next read."""
    if type(layer).__module__ != PUBSUB:
        return
    for shard in layer._get_layer()._shards:
        connection = getattr(shard._pubsub, "connection", None)
        if connection is not None:
            with suppress(Exception):  # it is dead, that is why
                await connection.disconnect(nowait=True)


async def close_layer(layer: Any) -> None:
    """Close the connections that a layer has on the running event loop, as far as it lets us."""
    for name in ("close_pools", "close"):
        if hasattr(type(layer), name):
            await getattr(layer, name)()
            return
    if type(layer).__module__ == PUBSUB:
        await layer.flush()  # there it deletes nothing: it is the way to close


def find_alias(layer: object, default: str = "default") -> str:
    """What the settings call *layer*."""
    aliases = (alias for alias, known in channel_layers.backends.items() if known is layer)
    return next(aliases, default)


def has_groups(layer: object) -> bool:
    """Whether a layer has the groups extension of the specification."""
    return hasattr(layer, "group_send") and "groups" in getattr(layer, "extensions", ("groups",))


Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
