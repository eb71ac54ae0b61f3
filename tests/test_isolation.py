"""Whose fault a failure was, judged on the real exceptions of real Channels consumers."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from channels.consumer import AsyncConsumer, SyncConsumer
from channels.generic.websocket import (
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
)

from resilient_channels import isolation
from resilient_channels.compat import find_event_fault, find_input_fault, handler_name
from resilient_channels.core.policies import ErrorsPolicy
from resilient_channels.exceptions import ConnectionClosed, LayerUnavailable
from resilient_channels.isolation import IGNORE, ErrorJudge, Verdict, find_layer_failure
from support.loop import run
from support.unasync import sync_twin

Message = dict[str, Any]
Failing = Callable[[type, Message], BaseException]

DEEP = "[" * 200_000
LONG_INTEGER = "9" * 5000


class Broken(Exception):
    pass


async def dispatch(consumer: type[AsyncConsumer], message: Message) -> BaseException:
    """What *consumer*'s own dispatch raises for *message*."""
    try:
        await consumer().dispatch(message)
    except Exception as error:  # noqa: BLE001  # whatever it is
        return error
    raise AssertionError("nothing was raised")


@pytest.fixture(params=["async", "sync"])
def fail(request: pytest.FixtureRequest) -> Failing:
    """Dispatch to an async consumer class, or to its sync twin."""

    def fail(consumer: type, message: Message) -> BaseException:
        if request.param == "sync":
            consumer = sync_twin(consumer)
            assert issubclass(consumer, SyncConsumer)
        return run(dispatch(consumer, message))

    return fail


def frame(text: str | None = None, **more: Any) -> Message:
    message: Message = {"type": "websocket.receive", **more}
    return message if text is None else {**message, "text": text}


# --- what a client sent ----------------------------------------------------------------------


class Json(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content, **kwargs):
        raise Broken


class PickyJson(AsyncJsonWebsocketConsumer):
    """With a ``decode_json`` of its own, which fails in its own way."""

    @classmethod
    async def decode_json(cls, text_data):
        content = json.loads(text_data)
        if "version" not in content:
            raise Broken("no version")
        return content


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        raise Broken


BAD_TEXT = {
    "no JSON": "no json",
    "half an object": '{"a": ',
    "a lone surrogate": '"\ud83d',
    "deep": DEEP,
    "a long integer": LONG_INTEGER,
    "two documents": "{} {}",
    "a space": " ",
}


@pytest.mark.parametrize("text", BAD_TEXT.values(), ids=BAD_TEXT)
def test_text_that_is_no_json_is_the_clients_fault(fail: Failing, text: str):
    error = fail(Json, frame(text))

    assert find_input_fault(error) == "json"


@pytest.mark.parametrize("text", ["no json", DEEP, LONG_INTEGER, "{}", "3"], ids=lambda t: t[:8])
def test_whatever_an_own_decode_json_raises_is_the_clients_fault(fail: Failing, text: str):
    error = fail(PickyJson, frame(text))

    assert find_input_fault(error) == "json"


@pytest.mark.parametrize(
    "message",
    [frame(bytes=b"\x00"), frame(text="", bytes=None), frame(bytes=b""), frame(bytes=None)],
    ids=repr,
)
def test_a_frame_without_text_at_a_json_consumer_is_the_clients_fault(
    fail: Failing, message: Message
):
    error = fail(Json, message)

    assert find_input_fault(error) == "no text"


@pytest.mark.parametrize("consumer", [Echo, Json])
@pytest.mark.parametrize("message", [frame(), {"type": "websocket.receive", "text": None}])
def test_a_frame_without_text_and_bytes_is_the_clients_fault(
    fail: Failing, consumer: type, message: Message
):
    error = fail(consumer, message)

    assert find_input_fault(error) == "empty"


def test_an_overridden_receive_that_calls_its_parent_changes_nothing(fail: Failing):
    class Counting(AsyncJsonWebsocketConsumer):
        async def receive(self, text_data=None, bytes_data=None, **kwargs):
            await super().receive(text_data=text_data, bytes_data=bytes_data, **kwargs)

    assert find_input_fault(fail(Counting, frame("no json"))) == "json"
    assert find_input_fault(fail(Counting, frame(bytes=b"x"))) == "no text"


# --- what a handler did ----------------------------------------------------------------------


class RaisesValueError(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content, **kwargs):
        raise ValueError("No text section for incoming WebSocket frame!")


class DecodesItself(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content, **kwargs):
        json.loads("not what the client sent")


class CallsDecodeJson(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content, **kwargs):
        await self.decode_json("not what the client sent")


class RaisesKeyError(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        {}["bytes"]


class TakesNothing(AsyncJsonWebsocketConsumer):
    async def receive_json(self):
        pass


class TakesTwo(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content, user):
        pass


@pytest.mark.parametrize(
    "consumer",
    [Json, RaisesValueError, DecodesItself, CallsDecodeJson, RaisesKeyError],
)
def test_what_a_handler_raises_is_not_the_clients_fault(fail: Failing, consumer: type):
    error = fail(consumer, frame("{}"))

    assert find_input_fault(error) is None


@pytest.mark.parametrize("consumer", [TakesNothing, TakesTwo])
def test_a_handler_that_cannot_be_called_is_not_the_clients_fault(fail: Failing, consumer: type):
    """Symptom: a wrong signature of ``receive_json`` was reported as a frame without text."""
    error = fail(consumer, frame("{}"))

    assert isinstance(error, TypeError)
    assert find_input_fault(error) is None


def test_a_failure_of_a_consumer_without_channels_receive_is_not_the_clients_fault(fail: Failing):
    class Raw(AsyncConsumer):
        async def websocket_receive(self, message):
            return json.loads(message["text"])

    assert find_input_fault(fail(Raw, frame("no json"))) is None


@pytest.mark.parametrize("find", [find_input_fault, find_event_fault])
def test_an_error_that_was_never_raised_is_nobodys_fault(find: Callable[..., Any]):
    assert find(ValueError("made, not raised")) is None


# --- events that nobody handles --------------------------------------------------------------


class Room(AsyncWebsocketConsumer):
    seats = 12

    async def raises_value_error(self, event):
        raise ValueError("No handler for message type raises.value.error")

    async def raises_type_error(self, event):
        raise TypeError("boom")

    async def raises_attribute_error(self, event):
        return event.missing


@pytest.mark.parametrize("type_", ["no.such", "", "websocket", "a b c", "no.such\nnews"])
def test_an_event_type_without_a_handler_is_unhandled(fail: Failing, type_: str):
    assert find_event_fault(fail(Room, {"type": type_})) == "no handler"


@pytest.mark.parametrize("name", ["seats", "groups", "channel.layer.alias"])
def test_an_event_type_that_names_something_else_is_unhandled(fail: Failing, name: str):
    class Chat(Room):
        groups = ["lobby"]

    assert find_event_fault(fail(Chat, {"type": name})) == "no handler"


@pytest.mark.parametrize(
    "event", [{}, {"text": "x"}, {"type": "_private"}, {"type": ".private"}, {"type": "__init__"}]
)
def test_an_event_without_a_sensible_type_is_malformed(fail: Failing, event: Message):
    assert find_event_fault(fail(Room, event)) == "malformed"


@pytest.mark.parametrize("type_", [None, 3, b"chat.message", ["chat"]], ids=repr)
def test_an_event_whose_type_is_no_text_is_malformed(fail: Failing, type_: Any):
    assert find_event_fault(fail(Room, {"type": type_})) == "malformed"


@pytest.mark.parametrize(
    "name", ["raises.value.error", "raises.type.error", "raises.attribute.error"]
)
def test_a_handler_that_fails_is_not_unhandled(fail: Failing, name: str):
    assert find_event_fault(fail(Room, {"type": name})) is None


def test_a_handler_that_takes_no_event_is_a_bug_and_not_an_unknown_event(fail: Failing):
    """Symptom: a handler with a wrong signature was never heard of again."""

    class Chat(AsyncWebsocketConsumer):
        async def news(self):
            pass

    assert find_event_fault(fail(Chat, {"type": "news"})) is None


def test_a_plain_handler_on_an_asynchronous_consumer_is_a_bug_and_not_an_unknown_event():
    """Symptom: it ran, and the log said that there was no such handler."""
    ran = []

    class Chat(AsyncWebsocketConsumer):
        def news(self, event):
            ran.append(event)

    error = run(dispatch(Chat, {"type": "news"}))

    assert ran
    assert find_event_fault(error) is None


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"type": "chat.message"}, "chat_message"),
        ({"type": "safe.send"}, "safe_send"),
        ({"type": "plain"}, "plain"),
        ({"type": ""}, ""),
        ({"type": "_private"}, None),
        ({"type": 3}, None),
        ({"type": None}, None),
        ({}, None),
    ],
    ids=repr,
)
def test_an_events_attribute_is_the_one_that_channels_would_call(event: Message, name: str | None):
    assert handler_name(event) == name


# --- the verdict -----------------------------------------------------------------------------

WHO = {"connection": "c1", "consumer": "chat.Chat"}
EVENT = {"type": "chat.message"}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def nothing_seen(monkeypatch: pytest.MonkeyPatch) -> dict[Any, None]:
    seen: dict[Any, None] = {}
    monkeypatch.setattr(isolation, "_seen_types", seen)
    return seen


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="resilient_channels")


def judge(*, clock: Clock | None = None, is_down: bool = False, **policy: Any) -> ErrorJudge:
    return ErrorJudge(WHO, ErrorsPolicy(**policy), clock or Clock(), lambda: is_down)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001  # with its traceback
        return caught


@pytest.fixture(scope="module")
def bad_json() -> BaseException:
    return run(dispatch(Json, frame("secret text")))


@pytest.fixture(scope="module")
def unhandled() -> BaseException:
    return run(dispatch(Room, {"type": "no.such"}))


def names(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_bug_is_logged_with_its_traceback_and_told_to_the_hook(caplog):
    error = raised(Broken("secret"))

    verdict = judge().judge(error, frame("secret text"), from_layer=False)

    assert verdict == Verdict(is_bug=True)
    [record] = caplog.records
    assert (record.getMessage(), record.levelname) == ("handler.error", "ERROR")
    assert (record.handler, record.error, record.closes) == ("websocket.receive", "Broken", False)
    assert record.exc_info[1] is error


def test_more_bugs_than_the_budget_close_with_3500(caplog):
    judging = judge(budget=2)

    codes = [judging.judge(raised(Broken()), EVENT, from_layer=True).close_code for _ in range(3)]

    assert codes == [None, None, 3500]
    assert [record.closes for record in caplog.records] == [False, False, True]


def test_bad_input_is_one_warning_without_what_the_client_wrote(caplog, bad_json):
    verdict = judge().judge(bad_json, frame("secret text"), from_layer=False)

    assert verdict == IGNORE
    [record] = caplog.records
    assert (record.getMessage(), record.levelname) == ("input.rejected", "WARNING")
    assert (record.cause, record.size, record.error) == ("json", 11, "JSONDecodeError")
    assert "secret" not in str(vars(record))
    assert record.exc_info is None


def test_more_bad_input_than_the_budget_closes_with_3400(bad_json):
    judging = judge(budget=1)

    codes = [judging.judge(bad_json, frame("no"), from_layer=False).close_code for _ in range(2)]

    assert codes == [None, 3400]


def test_bugs_and_bad_input_share_one_budget(bad_json):
    judging = judge(budget=1)

    judging.judge(raised(Broken()), EVENT, from_layer=True)

    assert judging.judge(bad_json, frame("no"), from_layer=False).close_code == 3400


def test_old_errors_do_not_count():
    clock = Clock()
    judging = judge(clock=clock, budget=1, window=60)
    judging.judge(raised(Broken()), EVENT, from_layer=True)

    clock.now = 61

    assert judging.judge(raised(Broken()), EVENT, from_layer=True).close_code is None


def test_in_mode_close_the_first_error_closes(bad_json):
    bug = judge(mode="close").judge(raised(Broken()), EVENT, from_layer=True)
    input_ = judge(mode="close").judge(bad_json, frame("no"), from_layer=False)

    assert (bug.close_code, input_.close_code) == (3500, 3400)


def test_each_fault_has_a_reply_of_its_own(bad_json):
    judging = judge(bad_input_reply="unreadable", error_reply="sorry")

    replies = [
        judging.judge(bad_json, frame("no"), from_layer=False).reply,
        judging.judge(raised(Broken()), frame("{}"), from_layer=False).reply,
    ]

    assert replies == ["unreadable", "sorry"]


def test_a_client_is_not_told_of_errors_in_events_of_the_layer():
    judging = judge(error_reply="sorry")

    assert judging.judge(raised(Broken()), EVENT, from_layer=True).reply is None


def test_what_looks_like_bad_input_in_an_event_of_the_layer_is_a_bug(caplog, bad_json):
    verdict = judge().judge(bad_json, EVENT, from_layer=True)

    assert verdict.is_bug
    assert names(caplog) == ["handler.error"]


def test_a_missing_handler_for_a_frame_is_a_bug(caplog, unhandled):
    verdict = judge().judge(unhandled, {"type": "websocket.receive"}, from_layer=False)

    assert verdict.is_bug
    assert names(caplog) == ["handler.error"]


def test_a_handler_that_learned_that_its_client_has_gone_did_nothing_wrong(caplog):
    verdict = judge(mode="close").judge(raised(ConnectionClosed(None)), EVENT, from_layer=True)

    assert verdict == IGNORE
    assert caplog.records == []


# --- unknown events --------------------------------------------------------------------------


def test_an_unknown_event_is_one_warning_and_never_closes(caplog, unhandled):
    judging = judge(mode="close", budget=0)

    verdicts = [judging.judge(unhandled, {"type": "no.such"}, from_layer=True) for _ in range(9)]

    assert verdicts == [IGNORE] * 9
    [record] = caplog.records
    assert (record.getMessage(), record.levelname) == ("event.unhandled", "WARNING")
    assert (record.type, record.cause) == ("no.such", "no handler")


def test_an_unknown_event_is_told_once_for_all_connections_of_a_class(caplog):
    for number in range(3):
        who = {"connection": f"c{number}", "consumer": "chat.Chat"}
        judging = ErrorJudge(who, ErrorsPolicy(), Clock(), lambda: False)
        judging.report_unhandled({"type": "no.such"}, "no handler")

    assert len(caplog.records) == 1


def test_an_unknown_event_is_told_for_each_class_and_type(caplog):
    for consumer in ("chat.Chat", "chat.Other"):
        judging = ErrorJudge({**WHO, "consumer": consumer}, ErrorsPolicy(), Clock(), lambda: False)
        for type_ in ("one", "two"):
            judging.report_unhandled({"type": type_}, "no handler")

    assert [(r.consumer, r.type) for r in caplog.records] == [
        ("chat.Chat", "one"),
        ("chat.Chat", "two"),
        ("chat.Other", "one"),
        ("chat.Other", "two"),
    ]


def test_the_memory_of_unknown_events_is_bounded(nothing_seen):
    judging = judge()

    for number in range(isolation.MAX_SEEN_TYPES + 50):
        judging.report_unhandled({"type": f"type.{number}"}, "no handler")

    assert len(nothing_seen) == isolation.MAX_SEEN_TYPES


@pytest.mark.parametrize(
    ("event", "type_"),
    [
        ({}, "(none)"),
        ({"type": "a\nb"}, "a\\nb"),
        ({"type": 3}, "3"),
        ({"type": None}, "None"),
    ],
    ids=repr,
)
def test_the_type_of_an_unknown_event_is_logged_escaped(caplog, event: Message, type_: str):
    judge().report_unhandled(event, "malformed")

    assert [record.type for record in caplog.records] == [type_]


# --- outages ---------------------------------------------------------------------------------


def outage() -> LayerUnavailable:
    return LayerUnavailable("default", "group_send", 5.0)


def wrapped(error: Exception) -> BaseException:
    try:
        raise Broken from error
    except Broken as caught:
        return caught


@pytest.mark.parametrize("error", [outage(), wrapped(outage()), wrapped(wrapped(outage()))])
def test_a_handler_ended_by_an_outage_counts_against_nobody(caplog, error: Exception):
    judging = judge(mode="close", budget=0, error_reply="sorry")

    verdict = judging.judge(raised(error), frame("{}"), from_layer=False)

    assert verdict == Verdict(None, "sorry", is_bug=True)
    [record] = caplog.records
    assert (record.getMessage(), record.levelname) == ("layer.call_failed", "INFO")
    assert (record.handler, record.alias) == ("websocket.receive", "default")


def test_while_the_layer_is_down_no_error_closes():
    judging = judge(mode="close", budget=0, is_down=True)

    assert judging.judge(raised(Broken()), EVENT, from_layer=True).close_code is None


def test_while_the_layer_is_down_bad_input_still_closes(bad_json):
    judging = judge(budget=0, is_down=True)

    assert judging.judge(bad_json, frame("no"), from_layer=False).close_code == 3400


def test_a_failure_that_was_dealt_with_is_not_the_cause_of_the_next():
    error = Broken()
    error.__context__ = outage()

    assert find_layer_failure(error) is None


def test_errors_that_cause_each_other_in_a_circle_end():
    one, other = Broken("one"), Broken("other")
    one.__cause__, other.__cause__ = other, one

    assert find_layer_failure(one) is None


def test_a_cancellation_in_a_handler_is_judged_like_any_bug(caplog):
    verdict = judge().judge(raised(asyncio.CancelledError()), EVENT, from_layer=True)

    assert verdict == Verdict(is_bug=True)
    assert [record.error for record in caplog.records] == ["CancelledError"]
