"""Finding a handler without Channels' dispatch: the same answers, the same complaints."""

import asyncio
import functools
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from channels.consumer import AsyncConsumer, SyncConsumer
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer

from resilient_channels import AsyncResilientMixin, ResilientMixin, compat, dispatching
from resilient_channels.dispatching import find_dispatch
from support.loop import run


class Chat(AsyncConsumer):
    attribute = "no method"
    nothing = None

    def __init__(self) -> None:
        self.called: list[Any] = []

    async def chat_message(self, message):
        self.called.append(message)

    async def chat_broken(self, message):
        raise ValueError("No handler for message type of mine")

    async def chat_stop(self, message):
        raise StopConsumer

    async def chat_argument(self):
        pass

    def chat_plain(self, message):
        self.called.append(message)


def find(consumer: Any) -> Any:
    """As its driver would."""
    loop = asyncio.get_running_loop()
    driver = SimpleNamespace(consumer=consumer, loop=loop, executor=None, has_failed=False)
    return partial(find_dispatch(consumer), driver)


async def dispatch(consumer: Any, message: Any) -> None:
    await find(consumer)(message)


async def plain_dispatch(consumer: Any, message: Any) -> None:
    await consumer.dispatch(message)


def outcome_of(way: Any, message: Any) -> tuple[Any, ...]:
    """What came of dispatching *message*: error, its words, context and fault, calls."""
    consumer = Chat()
    try:
        run(way(consumer, message))
    except Exception as error:  # noqa: BLE001  # to be compared, whatever it is
        fault = compat.find_event_fault(error)
        return type(error), str(error), error.__context__, fault, consumer.called
    return None, "", None, None, consumer.called


MESSAGES = [
    {"type": "chat.message"},
    {"type": "chat_message", "more": 1},
    {"type": "no.such"},
    {"type": "attribute"},
    {"type": "nothing"},
    {"type": ""},
    {"type": "_private"},
    {"type": ".private"},
    {"type": "__class__"},
    {},
    {"type": None},
    {"type": 7},
    {"type": ["chat.message"]},
    {"type": b"chat.message"},
    {"type": "chat.broken"},
    {"type": "chat.stop"},
    {"type": "chat.argument"},
    {"type": "chat.plain"},
]


@pytest.fixture(params=["nothing is open", "something is open"], autouse=True)
def flag(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to a handler: at once, and after a look at the database."""
    ledgers = set() if request.param == "nothing is open" else {"any"}
    monkeypatch.setattr(dispatching, "ledgers", ledgers)


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_what_comes_of_a_message_is_what_comes_of_it_in_channels(message: dict[str, Any]):
    outcome = outcome_of(dispatch, message)

    assert outcome == outcome_of(plain_dispatch, message)
    assert outcome == outcome_of(dispatch, message)  # now that the type is known


def test_the_faults_of_an_event_are_still_told_apart():
    assert outcome_of(dispatch, {"type": "no.such"})[3] == "no handler"
    assert outcome_of(dispatch, {"type": "attribute"})[3] == "no handler"
    assert outcome_of(dispatch, {"type": "_private"})[3] == "malformed"
    assert outcome_of(dispatch, {"type": "chat.broken"})[3] is None
    assert outcome_of(dispatch, {"type": "chat.argument"})[3] is None


def test_a_handler_is_looked_up_anew_for_each_message():
    consumer = Chat()
    calls: list[str] = []

    async def other(message):
        calls.append("other")

    async def both():
        send = find(consumer)
        await send({"type": "chat.message"})
        consumer.chat_message = other
        await send({"type": "chat.message"})

    run(both())

    assert calls == ["other"]
    assert len(consumer.called) == 1


def test_only_so_many_types_are_remembered(monkeypatch: pytest.MonkeyPatch):
    names: dict[str, str] = {}
    monkeypatch.setattr(compat, "_handler_names", names)

    for number in range(3 * compat.MAX_HANDLER_NAMES):
        assert compat.find_handler_name({"type": f"a.{number}"}) == f"a_{number}"

    assert 0 < len(names) <= compat.MAX_HANDLER_NAMES


# --- whose dispatch --------------------------------------------------------------------------


def is_ours(consumer: Any) -> bool:
    return find_dispatch(consumer) is dispatching.dispatch_as_channels


@pytest.mark.parametrize("base", [AsyncConsumer, AsyncWebsocketConsumer])
def test_channels_own_dispatch_is_replaced(base: type):
    assert is_ours(base())
    assert is_ours(type("Chat", (AsyncResilientMixin, base), {})())


@pytest.mark.parametrize("base", [SyncConsumer, WebsocketConsumer])
def test_a_synchronous_one_is_not_for_its_handlers_are_in_the_thread(base: type):
    assert not compat.has_channels_dispatch(base())
    assert not compat.has_channels_dispatch(type("Chat", (ResilientMixin, base), {})())
    assert not is_ours(base())


def test_one_that_a_class_overrides_is_kept():
    class Logged(AsyncResilientMixin, AsyncConsumer):
        async def dispatch(self, message):
            await super().dispatch(message)

    assert not is_ours(Logged())


def test_one_that_was_set_on_the_instance_is_kept():
    consumer = Chat()
    consumer.dispatch = mock.AsyncMock()

    assert not is_ours(consumer)


def test_one_that_a_test_or_a_tracing_library_has_put_there_later_is_kept():
    original = AsyncConsumer.dispatch

    @functools.wraps(original)
    async def traced(self, message):
        await original(self, message)

    with mock.patch.object(Chat, "dispatch", mock.AsyncMock()):
        assert not is_ours(Chat())
    with mock.patch.object(AsyncConsumer, "dispatch", traced):
        assert not is_ours(Chat())
    assert is_ours(Chat())
