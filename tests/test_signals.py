"""Coming before a server's handler of a signal, and giving it back."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from resilient_channels import compat

TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in (TERM, INT)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


class Server:
    """Counts the signals that it is given."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def handle(self, signum: int, frame: Any) -> None:
        self.heard.append(signum)


async def until(probe: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not probe():  # noqa: ASYNC110  # a signal comes between any two instructions
            await asyncio.sleep(0)


# --- set by signal.signal: Uvicorn, Daphne -------------------------------------------------------


async def test_a_servers_handler_waits_until_the_signal_is_passed_on():
    server, ours = Server(), []
    signal.signal(TERM, server.handle)
    place = compat.take_place(asyncio.get_running_loop(), TERM, lambda: ours.append(1))
    assert place is not None

    signal.raise_signal(TERM)
    await until(lambda: ours)
    assert server.heard == []
    place.pass_on()

    assert (ours, server.heard) == ([1], [TERM])
    assert signal.getsignal(TERM) == server.handle


async def test_afterwards_the_server_is_alone():
    server, ours = Server(), []
    signal.signal(TERM, server.handle)
    place = compat.take_place(asyncio.get_running_loop(), TERM, lambda: ours.append(1))
    assert place is not None
    place.pass_on()

    signal.raise_signal(TERM)
    await asyncio.sleep(0)

    assert (ours, server.heard) == ([], [TERM, TERM])


async def test_whoever_came_after_us_stays():
    """Somebody who has chained to our handler as we have to the server's."""
    server, ours, theirs = Server(), [], []
    signal.signal(TERM, server.handle)
    place = compat.take_place(asyncio.get_running_loop(), TERM, lambda: ours.append(1))
    assert place is not None
    chained: Any = signal.getsignal(TERM)

    def foreign(signum: int, frame: Any) -> None:
        theirs.append(signum)
        chained(signum, frame)

    signal.signal(TERM, foreign)

    signal.raise_signal(TERM)
    await until(lambda: ours)
    place.pass_on()

    assert signal.getsignal(TERM) is foreign
    assert (theirs, server.heard) == ([TERM], [TERM])


def test_a_signal_after_the_loop_ended_is_the_servers():
    server, ours = Server(), []
    signal.signal(TERM, server.handle)

    async def take() -> None:
        compat.take_place(asyncio.get_running_loop(), TERM, lambda: ours.append(1))

    asyncio.run(take())
    signal.raise_signal(TERM)

    assert (ours, server.heard) == ([], [TERM])


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN], ids=["default", "ignored"])
async def test_where_nobody_handles_it_nothing_is_changed(handler):
    signal.signal(TERM, handler)

    assert compat.take_place(asyncio.get_running_loop(), TERM, lambda: None) is None

    assert signal.getsignal(TERM) is handler


# --- set by the loop: Hypercorn, Granian ---------------------------------------------------------


async def test_a_handler_of_the_loop_waits_too():
    server, ours = [], []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(TERM, server.append, "TERM")
    place = compat.take_place(loop, TERM, lambda: ours.append(1))
    assert place is not None

    signal.raise_signal(TERM)
    await until(lambda: ours)
    assert server == []
    place.pass_on()
    assert server == ["TERM"]
    signal.raise_signal(TERM)
    await until(lambda: len(server) == 2)

    assert ours == [1]
    loop.remove_signal_handler(TERM)


async def test_whoever_came_after_us_on_the_loop_stays():
    server, ours, theirs = [], [], []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(TERM, server.append, "TERM")
    place = compat.take_place(loop, TERM, lambda: ours.append(1))
    assert place is not None
    signal.raise_signal(TERM)
    await until(lambda: ours)
    loop.add_signal_handler(TERM, theirs.append, "TERM")

    place.pass_on()
    signal.raise_signal(TERM)
    await until(lambda: theirs)

    assert (server, theirs) == (["TERM"], ["TERM"])
    loop.remove_signal_handler(TERM)


class SecretiveLoop:
    """As uvloop, which does not show its handlers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        if name == "_signal_handlers":
            raise AttributeError(name)
        return getattr(self._loop, name)


async def test_where_handlers_cannot_be_seen_the_server_is_given_its_other_signal():
    server, ours = [], []
    loop = asyncio.get_running_loop()
    for signum in (TERM, INT):
        loop.add_signal_handler(signum, server.append, signum)
    place = compat.take_place(SecretiveLoop(loop), TERM, lambda: ours.append(1))  # type: ignore[arg-type]
    assert place is not None

    signal.raise_signal(TERM)
    await until(lambda: ours)
    assert server == []
    place.pass_on()
    await until(lambda: server)

    assert server == [INT]
    for signum in (TERM, INT):
        loop.remove_signal_handler(signum)


async def test_not_if_the_other_signal_is_not_its_own():
    server = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(TERM, server.append, "TERM")

    assert compat.take_place(SecretiveLoop(loop), TERM, lambda: None) is None  # type: ignore[arg-type]

    signal.raise_signal(TERM)
    await until(lambda: server)
    loop.remove_signal_handler(TERM)


async def test_asyncio_keeps_its_handlers_where_they_are_looked_for():
    loop: Any = asyncio.get_running_loop()
    loop.add_signal_handler(TERM, int)

    assert signal.getsignal(TERM) is asyncio.unix_events._sighandler_noop  # type: ignore[attr-defined]
    assert list(loop._signal_handlers) == [TERM]
    assert loop._signal_handlers[TERM]._callback is int
    loop.remove_signal_handler(TERM)


# --- what is behind a scope ----------------------------------------------------------------------


def test_a_communicator_is_no_server():
    from channels.testing import WebsocketCommunicator

    assert not compat.is_served(WebsocketCommunicator(object(), "/").scope)


@pytest.mark.parametrize(
    ("argv", "environment", "expected"),
    [
        (["uvicorn", "app:app"], {}, False),
        (["uvicorn", "--reload", "app:app"], {}, True),
        (["granian", "app:app"], {"GRANIAN_RELOAD": "true"}, True),
        (["uvicorn"], {"UVICORN_RELOAD": "1"}, True),
        (["uvicorn"], {"UVICORN_RELOAD": "0"}, False),
        (["manage.py", "runserver"], {"RUN_MAIN": "true"}, True),
    ],
)
def test_a_server_that_reloads_is_known_by_its_command_line(argv, environment, expected):
    assert compat.is_reloading(argv, environment) is expected
