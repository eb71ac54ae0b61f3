"""One consumer, in either colour, on one scripted connection."""

import asyncio
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync

from resilient_channels import AsyncResilientMixin, ResilientMixin
from support.scripted import ScriptedServer
from support.unasync import SYNC_NAMES, sync_twin

both_colours = pytest.mark.parametrize("colour", ["async", "sync"])


class AsyncTools:
    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SyncTools:
    def pause(self, seconds: float) -> None:
        async_to_sync(asyncio.sleep)(seconds)


def build(consumer: type, colour: str = "async", **resilience: Any) -> Any:
    """The resilient consumer of a *colour*, from a plain async one of Channels'.

    It gets ``self.pause(seconds)``, which blocks a handler in virtual time.
    """
    plain = twin(consumer) if colour == "sync" else consumer
    mixin, tools = (
        (ResilientMixin, SyncTools) if colour == "sync" else (AsyncResilientMixin, AsyncTools)
    )
    body = {"resilience": resilience, "__module__": consumer.__module__}
    return type(plain)(plain.__name__, (mixin, tools, plain), body)


def twin(consumer: type) -> type:
    """As ``sync_twin``; the consumer may also inherit from one in another of these modules."""
    parents = {
        base.__name__: twin(base)
        for base in consumer.__bases__
        if base.__module__.startswith("shells.")
    }
    with mock.patch.dict(SYNC_NAMES, parents):
        return sync_twin(consumer)


def note(consumer: Any, *what: Any) -> None:
    """Let a consumer write something down, in its connection's ``notes``."""
    consumer.scope["notes"].append(what[0] if len(what) == 1 else what)


class Visit(ScriptedServer):
    """A scripted connection with a consumer at its end.

    Attributes:
        notes: what the consumer wrote down.
        consumer: the consumer's instance, once it was called.
    """

    def __init__(self, consumer: type, **kwargs: Any) -> None:
        self.notes: list[Any] = []
        super().__init__(notes=self.notes, **kwargs)
        self.consumer: Any = consumer()
        self.start(self.consumer)
        self.client_connects()

    @property
    def texts(self) -> list[Any]:
        """What the client was sent."""
        return [sent.get("text", sent.get("bytes")) for sent in self.sent_of_type("websocket.send")]

    @property
    def closes(self) -> list[int | None]:
        """The codes of the close frames that were written."""
        return [sent.get("code") for sent in self.sent_of_type("websocket.close")]

    async def leave(self, code: int = 1000) -> None:
        """Close as a client does, and wait for the consumer to come to its end."""
        self.client_closes(code)
        assert await self.ended() is None

    async def leave_at_once(self) -> None:
        """Have the server cancel the application, whatever it is doing."""
        assert self.task is not None
        self.task.cancel()
        assert isinstance(await self.ended(), asyncio.CancelledError)


async def open_visit(consumer: type, **kwargs: Any) -> Visit:
    """A connection that the consumer has accepted."""
    visit = Visit(consumer, **kwargs)
    assert (await visit.next_sent())["type"] == "websocket.accept"
    await settle()
    return visit


async def settle(seconds: float = 0.01) -> None:
    """Let virtual time pass."""
    await asyncio.sleep(seconds)


def now() -> float:
    return asyncio.get_running_loop().time()
