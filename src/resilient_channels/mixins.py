"""The mixins: what a consumer class inherits, on the left."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import markcoroutinefunction
from channels.consumer import AsyncConsumer

from . import compat
from .arguments import build_frame, check_close_argument, check_frame, check_key
from .conf import ATTRIBUTE, check_own, get_policies
from .core.codes import check_portable_close
from .driver import Driver
from .handle import Handle
from .nesting import find_outer
from .traits import Traits, read_traits
from .turns import collect_outcome

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping
    from contextlib import AbstractContextManager

    from .core.outcomes import SendOutcome
    from .turns import Ticket


_UNSET = object()


class _LayerAttribute:
    """``self.channel_layer``: what is set comes back remembered and supervised."""

    def __init__(self, *default: Any) -> None:
        self._default = default

    def __get__(self, consumer: Any, owner: type | None = None) -> Any:
        if consumer is None:
            return self
        layer = consumer._resilient_layer
        if layer is not _UNSET:
            return layer
        if self._default:
            return self._default[0]
        raise AttributeError(f"{type(consumer).__name__!r} object has no attribute 'channel_layer'")

    def __set__(self, consumer: Any, layer: Any) -> None:
        driver: Driver | None = consumer._resilient_driver
        if driver is not None and layer is not None and driver.layer.client is None:
            layer = driver.layer.adopt(layer)
        consumer._resilient_layer = layer


class _ReceiveAttribute:
    """``self.channel_receive``, as Channels sets it; made when it is asked for, which is never."""

    def __get__(self, consumer: Any, owner: type | None = None) -> Any:
        if consumer is None:
            return self
        return partial(consumer.channel_layer.receive, consumer.channel_name)


class _Mixin:
    """What both colours share."""

    resilience: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    channel_layer = _LayerAttribute()
    channel_receive = _ReceiveAttribute()

    _resilient_driver: Driver | None = None
    _resilient_layer: Any = _UNSET
    _resilient_traits: ClassVar[Traits]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not issubclass(cls, AsyncConsumer):
            return  # a mixin of the project's own; its consumer classes will be looked at
        _check_order(cls)
        layer = vars(cls).get("channel_layer")
        if "channel_layer" in vars(cls) and not hasattr(layer, "__get__"):
            cls.channel_layer = _LayerAttribute(layer)  # a default; it would hide ours
        check_own(getattr(cls, ATTRIBUTE), cls)
        cls._resilient_traits = read_traits(cls, _Mixin, _RESERVED)

    @property
    def resilient(self) -> Handle:
        """The handle on this connection."""
        return Handle(self._resilient_driver)

    def _collect(self, *, wait: bool, key: str | None) -> AbstractContextManager[Ticket]:
        check_key(key, wait=wait)
        if not wait and self._resilient_driver is not None:
            self._resilient_driver.gate.is_plain = False  # from now on it looks at who sends
        return collect_outcome(waits=wait, key=key)

    # Returns a coroutine instead of being one: a connection keeps it as long as it lives.
    @markcoroutinefunction
    def __call__(self, scope: Any, receive: Any, send: Any) -> Coroutine[Any, Any, None]:
        """The ASGI application. Scopes other than ``websocket`` are not touched."""
        call: Any = super().__call__  # type: ignore[misc]
        given: tuple[Any, Any, Any] | None = (scope, receive, send)
        if scope["type"] != "websocket":
            given = None
        elif asyncio._get_running_loop() is None:
            return self._call_later(scope, receive, send)
        elif (outer := find_outer(receive, send)) is not None:
            given = outer.step_aside(scope, receive, send)
        if given is None:
            return call(scope, receive, send)  # type: ignore[no-any-return]
        cls = type(self)
        driver = Driver(self, cls._resilient_traits, *given, get_policies(cls))
        self._resilient_driver = driver
        if cls._resilient_traits.owns_call:
            return driver.run_consumer()
        self.dispatch = driver.dispatch
        return driver.run(partial(call, driver.scope, driver.receive, driver.gate.send))

    async def _call_later(self, *given: Any) -> None:
        """For a caller who has no event loop yet."""
        await self(*given)


def find_consumers() -> Iterator[type]:
    """Every consumer class with a mixin that has been imported."""
    seen, todo = set(), [_Mixin]
    while todo:
        for cls in todo.pop().__subclasses__():
            if cls not in seen:
                seen.add(cls)
                todo.append(cls)
                if issubclass(cls, AsyncConsumer):
                    yield cls


def _check_order(cls: type) -> None:
    mro = cls.__mro__
    if mro.index(_Mixin) > mro.index(AsyncConsumer):
        raise TypeError(_order_hint(cls))
    for base in mro[: mro.index(_Mixin)]:
        if base.__module__.startswith("channels.") and issubclass(base, AsyncConsumer):
            raise TypeError(_order_hint(cls))
    is_sync = compat.is_sync(cls)
    if is_sync and issubclass(cls, AsyncResilientMixin):
        raise TypeError(f"{cls.__qualname__} is synchronous; it needs ResilientMixin")
    if not is_sync and issubclass(cls, ResilientMixin):
        raise TypeError(f"{cls.__qualname__} is asynchronous; it needs AsyncResilientMixin")


def _order_hint(cls: type) -> str:
    mixin = "ResilientMixin" if compat.is_sync(cls) else "AsyncResilientMixin"
    return (
        f"{cls.__qualname__}: the mixin must be on the left of the consumer class: "
        f"class {cls.__name__}({mixin}, ...)"
    )


class AsyncResilientMixin(_Mixin):
    """Makes an asynchronous consumer survive its client and its channel layer.

    Put it on the left: ``class Chat(AsyncResilientMixin, AsyncJsonWebsocketConsumer)``. Until
    something fails the consumer behaves as it did.
    """

    async def safe_send(
        self,
        text_data: str | None = None,
        bytes_data: bytes | None = None,
        close: Any = False,
        *,
        wait: bool = True,
        key: str | None = None,
    ) -> SendOutcome:
        """Send a frame, and say what became of it.

        Takes the same road as ``send()``, overrides included. Never raises because the client is
        gone. ``SENT`` means "handed to the server, and the peer is not known to be gone".

        Args:
            text_data: The text of a text frame.
            bytes_data: The content of a binary frame.
            close: Close afterwards: ``True``, or a close code. What is queued goes first, for
                ``SEND.deadline`` at most.
            wait: Wait until the server takes the frame. If not, a frame that it does not take at
                once is ``QUEUED``, within the bounds of ``OUTBOX``; or ``DROPPED``, or the client
                is given up (``CLOSED``), as ``OUTBOX.overflow`` has it.
            key: Without *wait* and with ``OUTBOX.overflow = "coalesce"``: a frame that is queued
                under the same key is replaced by this one.

        Raises:
            TypeError, ValueError: A bad argument.
        """
        check_frame(text_data, bytes_data)
        check_close_argument(close)
        with self._collect(wait=wait, key=key) as ticket:
            if compat.is_bare(self):
                await self.send(build_frame(text_data, bytes_data))  # type: ignore[attr-defined]
            else:
                await self.send(  # type: ignore[attr-defined]
                    text_data=text_data, bytes_data=bytes_data, close=close
                )
        return ticket.outcome

    async def safe_send_json(
        self, content: Any, close: Any = False, *, wait: bool = True, key: str | None = None
    ) -> SendOutcome:
        """As :meth:`safe_send`, by way of ``send_json()`` and its encoder.

        Raises:
            TypeError: The consumer has no ``send_json``, or *content* cannot be encoded.
        """
        check_close_argument(close)
        send_json = _get_send_json(self)
        with self._collect(wait=wait, key=key) as ticket:
            await send_json(content, close=close)
        return ticket.outcome

    async def safe_close(self, code: int | None = None, reason: str | None = None) -> SendOutcome:
        """Close the connection; does nothing if it is over (``CLOSED``).

        Raises:
            TypeError, ValueError: A code that not every ASGI server can send (1000 and 3000-4999
                pass), or a reason of more than 123 bytes.
        """
        check_portable_close(code, reason)
        with collect_outcome() as ticket:
            await self.close(code, reason)  # type: ignore[attr-defined]
        return ticket.outcome


class ResilientMixin(_Mixin):
    """Makes a synchronous consumer survive its client and its channel layer.

    Put it on the left: ``class Chat(ResilientMixin, JsonWebsocketConsumer)``. Until something
    fails the consumer behaves as it did. Handlers run in Channels' thread; everything else runs
    on the event loop and does not wait for that thread.
    """

    def safe_send(
        self,
        text_data: str | None = None,
        bytes_data: bytes | None = None,
        close: Any = False,
        *,
        wait: bool = True,
        key: str | None = None,
    ) -> SendOutcome:
        """Send a frame, and say what became of it.

        Takes the same road as ``send()``, overrides included. Never raises because the client is
        gone. ``SENT`` means "handed to the server, and the peer is not known to be gone".

        Args:
            text_data: The text of a text frame.
            bytes_data: The content of a binary frame.
            close: Close afterwards: ``True``, or a close code. What is queued goes first, for
                ``SEND.deadline`` at most.
            wait: Wait until the server takes the frame. If not, a frame that it does not take at
                once is ``QUEUED``, within the bounds of ``OUTBOX``; or ``DROPPED``, or the client
                is given up (``CLOSED``), as ``OUTBOX.overflow`` has it.
            key: Without *wait* and with ``OUTBOX.overflow = "coalesce"``: a frame that is queued
                under the same key is replaced by this one.

        Raises:
            TypeError, ValueError: A bad argument.
        """
        check_frame(text_data, bytes_data)
        check_close_argument(close)
        with self._collect(wait=wait, key=key) as ticket:
            if compat.is_bare(self):
                self.send(build_frame(text_data, bytes_data))  # type: ignore[attr-defined]
            else:
                self.send(  # type: ignore[attr-defined]
                    text_data=text_data, bytes_data=bytes_data, close=close
                )
        return ticket.outcome

    def safe_send_json(
        self, content: Any, close: Any = False, *, wait: bool = True, key: str | None = None
    ) -> SendOutcome:
        """As :meth:`safe_send`, by way of ``send_json()`` and its encoder.

        Raises:
            TypeError: The consumer has no ``send_json``, or *content* cannot be encoded.
        """
        check_close_argument(close)
        send_json = _get_send_json(self)
        with self._collect(wait=wait, key=key) as ticket:
            send_json(content, close=close)
        return ticket.outcome

    def safe_close(self, code: int | None = None, reason: str | None = None) -> SendOutcome:
        """Close the connection; does nothing if it is over (``CLOSED``).

        Raises:
            TypeError, ValueError: A code that not every ASGI server can send (1000 and 3000-4999
                pass), or a reason of more than 123 bytes.
        """
        check_portable_close(code, reason)
        with collect_outcome() as ticket:
            self.close(code, reason)  # type: ignore[attr-defined]
        return ticket.outcome


def _get_send_json(consumer: object) -> Any:
    send_json = getattr(consumer, "send_json", None)
    if send_json is None:
        raise TypeError(f"{type(consumer).__qualname__} has no send_json(); use safe_send()")
    return send_json


_RESERVED = frozenset(
    name
    for cls in (_Mixin, AsyncResilientMixin, ResilientMixin)
    for name in vars(cls)
    if not name.startswith("_")
)
