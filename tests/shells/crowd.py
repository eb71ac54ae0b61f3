"""Clients of certain users, from certain addresses, who may come in or not."""

from types import SimpleNamespace
from typing import Any

import pytest

from resilient_channels.crowds import Crowds, crowds
from shells.clients import Listener, WireClient
from shells.visits import Visit, build, settle
from support.servers import ALL_STYLES

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)

HOME, OFFICE = ("192.0.2.1", 1), ("192.0.2.2", 1)


def user(number: int) -> SimpleNamespace:
    return SimpleNamespace(is_authenticated=True, pk=number)


ANN, BOB = user(1), user(2)


def is_empty(crowds: Crowds) -> bool:
    """Whether nobody is counted, in no way."""
    return len(crowds) == 0 and not crowds._seats and len(crowds._present) == 0


@pytest.fixture
def nobody_is_left(monkeypatch):
    """Nobody is counted before a test, and nobody after it; and nobody has come yet."""
    monkeypatch.setattr(crowds, "_arrivals", {})
    assert is_empty(crowds)
    yield
    assert is_empty(crowds)


def limited(colour: str = "async", consumer: type = Listener, **limits: Any) -> Any:
    """A consumer with such ``LIMITS``."""
    return build(consumer, colour, LIMITS=limits)


async def come(consumer: type, **scope: Any) -> Visit:
    """A client that has come in, or was turned away."""
    visit = Visit(consumer, **scope)
    await settle(0.1)
    return visit


async def come_with_protocol(consumer: type, **scope: Any) -> WireClient:
    """One that speaks the wire protocol."""
    client = WireClient(consumer, **scope)
    await settle(0.5)
    return client


def is_in(visit: Visit) -> bool:
    """Whether the client is in, and has not been told to go."""
    return visit.accepted and not visit.closed


async def leave_all(*visits: Visit) -> None:
    for visit in visits:
        await visit.leave()
