"""Every contract consumer plain, under the mixin, and behind the middleware; async and sync."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator

from resilient_channels import AsyncResilientMixin, ResilientMiddleware, ResilientMixin
from support.scripted import ScriptedServer
from support.unasync import sync_twin


@dataclass
class Transcript:
    """Everything one connection let the world see.

    Attributes:
        sent: each ASGI message the application sent.
        notes: what the consumer wrote down with ``note``.
        ended: how the application ended.
    """

    sent: list[Any] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)
    ended: str = "was not awaited"


@dataclass(frozen=True)
class Variant:
    """One of the six: how to build its consumers and its connections.

    Behind the middleware a consumer is a plain one.
    """

    sync: bool
    resilient: bool
    guarded: bool = False
    transcripts: list[Transcript] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def differs(self, why: str) -> None:
        """This test says itself what is different from plain Channels, and *why*."""
        self.differences.append(why)

    @property
    def is_ours(self) -> bool:
        """Whether anything of the library is at work."""
        return self.resilient or self.guarded

    @property
    def name(self) -> str:
        kind = "mixin" if self.resilient else "middleware" if self.guarded else "plain"
        return f"{'sync' if self.sync else 'async'}-{kind}"

    def __call__(self, consumer: type, resilience: dict[str, Any] | None = None) -> Any:
        """The consumer class of this variant, from the plain async one."""
        plain = sync_twin(consumer) if self.sync else consumer
        return self.mix(plain, resilience) if self.resilient else plain

    def mix(self, plain: type, resilience: dict[str, Any] | None = None) -> type:
        mixin = ResilientMixin if self.sync else AsyncResilientMixin
        body = {} if resilience is None else {"resilience": resilience}
        return type(plain)(plain.__name__, (mixin, plain), body)

    def raising(self, consumer: type) -> Any:
        """The same, with errors reaching the server, as Channels has it."""
        return self(consumer, {"ERRORS": {"mode": "raise"}})

    def transcribe(self, application: Any) -> Any:
        """Wrap an application so that its transcript is kept and can be compared."""
        transcript = Transcript()
        self.transcripts.append(transcript)
        if self.guarded:
            application = ResilientMiddleware(application)

        async def transcribed(scope: Any, receive: Any, send: Any) -> None:
            scope["notes"] = transcript.notes
            transcript.ended = "cancelled"
            try:
                await application(scope, receive, recording(send, transcript.sent))
                transcript.ended = "returned"
            except Exception as error:
                transcript.ended = f"{type(error).__name__}: {error}"
                raise

        return transcribed

    def communicator(
        self, application: Any, path: str = "/", *, scope: Any = None, **kwargs: Any
    ) -> WebsocketCommunicator:
        """Channels' own test client for a consumer class or an application."""
        application = as_application(application)
        communicator = WebsocketCommunicator(self.transcribe(application), path, **kwargs)
        communicator.scope.update(scope or {})
        return communicator

    def server(self, application: Any, **kwargs: Any) -> ScriptedServer:
        """A scripted server that already runs the application."""
        server = ScriptedServer(**kwargs)
        server.start(self.transcribe(as_application(application)))
        return server

    @property
    def notes(self) -> list[Any]:
        """What the consumer of the last connection wrote down."""
        return self.transcripts[-1].notes

    @property
    def sent(self) -> list[Any]:
        return self.transcripts[-1].sent


def as_application(application: Any) -> Any:
    return application.as_asgi() if isinstance(application, type) else application


def recording(
    send: Callable[[Any], Awaitable[None]], sent: list[Any]
) -> Callable[[Any], Awaitable[None]]:
    async def record(message: Any) -> None:
        await send(message)
        sent.append(message)

    return record


def note(consumer: Any, *what: Any) -> None:
    """Let a consumer write something into its transcript."""
    consumer.scope["notes"].append(what[0] if len(what) == 1 else what)


VARIANTS = tuple(
    pytest.param((sync, resilient), id=Variant(sync, resilient).name)
    for sync in (False, True)
    for resilient in (False, True)
)
GUARDED = tuple(
    pytest.param((sync, False, True), id=Variant(sync, False, True).name) for sync in (False, True)
)
