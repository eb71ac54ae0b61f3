"""Class over setting over default, key by key; nonsense is told, never obeyed."""

import logging
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from django.test import override_settings

from resilient_channels import (
    AsyncResilientMixin,
    AsyncResilientWebsocketConsumer,
    ResilientMiddleware,
    conf,
)
from resilient_channels.conf import find_problems, find_setting_problems, get_policies
from resilient_channels.core.policies import (
    SECTIONS,
    Policies,
    SendPolicy,
    option_names,
    process_wide_options,
)

ANOTHER_VALUE: dict[tuple[str, str], tuple[Any, Any]] = {
    # section, option: one for the setting, one for the class
    ("HEARTBEAT", "mode"): ("off", "always"),
    ("HEARTBEAT", "interval"): (1.0, 2),
    ("HEARTBEAT", "timeout"): (1.0, 2),
    ("HEARTBEAT", "ping"): ("ping", None),
    ("HEARTBEAT", "pong"): ("pong", ""),
    ("HEARTBEAT", "reply"): ({"ping": "pong"}, {}),
    ("HEARTBEAT", "proxy_idle_timeout"): (60.0, None),
    ("LIFETIME", "idle_timeout"): (60.0, None),
    ("LIFETIME", "max_age"): (3600, 7200.0),
    ("SEND", "deadline"): (11.0, None),
    ("OUTBOX", "messages"): (10, 20),
    ("OUTBOX", "bytes"): (1000, 2000),
    ("OUTBOX", "overflow"): ("drop_oldest", "coalesce"),
    ("OUTBOX", "process_bytes"): (10_000, 20_000),
    ("LIMITS", "message_bytes"): (1000, 2000),
    ("LIMITS", "json_depth"): (8, 16),
    ("LIMITS", "rate"): (10, 0.5),
    ("LIMITS", "burst"): (20, 1),
    ("LIMITS", "groups"): (10, 20),
    ("LIMITS", "connections_per_user"): (1, 2),
    ("LIMITS", "connections_per_address"): (10, 20),
    ("LIMITS", "when_full"): ("newest_wins", "refuse"),
    ("LIMITS", "new_per_second"): (10, 0.5),
    ("LIMITS", "new_burst"): (20, 1),
    ("LIMITS", "trusted_proxies"): (["10.0.0.0/8"], ["unix:"]),
    ("HANDLER", "deadline"): (30, 60.0),
    ("HANDLER", "stall_after"): (1.0, None),
    ("DRAIN", "mode"): ("on", "off"),
    ("DRAIN", "duration"): (10, 20.0),
    ("DRAIN", "spread"): (10, 20.0),
    ("DRAIN", "directory"): ("/somewhere", "/elsewhere"),
    ("INBOX", "frames"): (2, 3),
    ("INBOX", "bytes"): (1000, 2000),
    ("INBOX", "warn_after"): (1.0, 2.0),
    ("INBOX", "close_after"): (None, 7),
    ("HANDSHAKE", "timeout"): (3.0, None),
    ("ERRORS", "mode"): ("close", "raise"),
    ("ERRORS", "budget"): (0, 7),
    ("ERRORS", "window"): (1.0, 2.0),
    ("ERRORS", "bad_input_reply"): ("bad", "worse"),
    ("ERRORS", "error_reply"): ("sorry", ""),
    ("LAYER", "deadline"): (1.0, 2.0),
    ("LAYER", "probe"): (1.0, 2.0),
    ("LAYER", "hold"): (60, 120.0),
    ("LAYER", "pending"): (10, 0),
    ("TEARDOWN", "timeout"): (1.0, 2.0),
}

OF_THE_PROCESS = {
    ("OUTBOX", "process_bytes"),
    ("HANDLER", "stall_after"),
    ("DRAIN", "mode"),
    ("DRAIN", "duration"),
    ("DRAIN", "spread"),
    ("DRAIN", "directory"),
}


def each(options: Iterable[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("section", "option", "set_to", "class_says"),
        [(*key, *ANOTHER_VALUE[key]) for key in options],
        ids=[".".join(key) for key in options],
    )


each_option = each(list(ANOTHER_VALUE))
each_option_of_a_class = each([key for key in ANOTHER_VALUE if key not in OF_THE_PROCESS])
each_option_of_the_process = each(sorted(OF_THE_PROCESS))


def consumer(resilience: dict[str, Any] | None = None) -> type:
    body = {} if resilience is None else {"resilience": resilience}
    return type("Chat", (AsyncResilientWebsocketConsumer,), body)


def value(cls: type, section: str, option: str) -> Any:
    return getattr(getattr(get_policies(cls), section.lower()), option)


# --- who wins --------------------------------------------------------------------------------


def test_this_file_knows_every_option():
    assert set(ANOTHER_VALUE) == {
        (section, option) for section in SECTIONS for option in option_names(section)
    }


def test_without_settings_the_defaults_apply():
    assert get_policies(consumer()) == Policies()


@each_option
def test_a_setting_beats_the_default(section: str, option: str, set_to: Any, class_says: Any):
    with override_settings(RESILIENT_CHANNELS={section: {option: set_to}}):
        assert value(consumer(), section, option) == set_to


@each_option_of_a_class
def test_the_class_beats_the_setting(section: str, option: str, set_to: Any, class_says: Any):
    chat = consumer({section: {option: class_says}})

    with override_settings(RESILIENT_CHANNELS={section: {option: set_to}}):
        assert value(chat, section, option) == class_says


def test_they_are_merged_key_by_key():
    chat = consumer({"ERRORS": {"budget": 1}, "SEND": {"deadline": 3}})

    with override_settings(RESILIENT_CHANNELS={"ERRORS": {"budget": 9, "window": 7}}):
        policies = get_policies(chat)

    assert (policies.errors.budget, policies.errors.window) == (1, 7)
    assert policies.errors.mode == "isolate"
    assert policies.send.deadline == 3
    assert policies.teardown == Policies().teardown


def test_off_in_the_class_beats_a_number_in_the_setting():
    chat = consumer({"SEND": {"deadline": None}})

    with override_settings(RESILIENT_CHANNELS={"SEND": {"deadline": 5}}):
        assert get_policies(chat).send.deadline is None


def test_a_class_does_not_speak_for_its_neighbour():
    consumer({"SEND": {"deadline": 1}})

    assert get_policies(consumer()).send == SendPolicy()


def test_a_subclass_inherits_the_options_of_its_parent():
    parent = consumer({"SEND": {"deadline": 1}})
    child = type("Child", (parent,), {})

    assert get_policies(child).send.deadline == 1


# --- when they are read ----------------------------------------------------------------------


def test_an_override_is_followed_and_taken_back():
    chat = consumer()
    found = [get_policies(chat).send.deadline]

    with override_settings(RESILIENT_CHANNELS={"SEND": {"deadline": 1}}):
        found.append(get_policies(chat).send.deadline)
        with override_settings(RESILIENT_CHANNELS={"SEND": {"deadline": 2}}):
            found.append(get_policies(chat).send.deadline)
        found.append(get_policies(chat).send.deadline)
    found.append(get_policies(chat).send.deadline)

    assert found == [30.0, 1, 2, 1, 30.0]


def test_other_settings_do_not_matter():
    chat = consumer()
    before = get_policies(chat)

    with override_settings(TIME_ZONE="UTC"):
        assert get_policies(chat) is before


def test_policies_are_built_once_per_class():
    chat = consumer()

    assert get_policies(chat) is get_policies(chat)


# --- nonsense in the settings ----------------------------------------------------------------

NONSENSE: list[tuple[Any, str]] = [
    ({"SENT": {}}, "RESILIENT_CHANNELS has no section 'SENT'; did you mean 'SEND'?"),
    ({"send": {}}, "RESILIENT_CHANNELS has no section 'send'; known are HEARTBEAT, LIFETIME, "),
    ({"HEARTBEATS": {}}, "RESILIENT_CHANNELS has no section 'HEARTBEATS'; did you mean 'HEARTB"),
    ({7: {}}, "RESILIENT_CHANNELS has no section 7; known are HEARTBEAT, "),
    (
        {"SEND": {"deadlin": 3}},
        "RESILIENT_CHANNELS['SEND'] has no option 'deadlin'; did you mean 'deadline'?",
    ),
    (
        {"ERRORS": {"colour": 3}},
        "RESILIENT_CHANNELS['ERRORS'] has no option 'colour'; known are mode, budget, window, ",
    ),
    ({"SEND": 30}, "RESILIENT_CHANNELS['SEND'] must be a dict of options, not 30"),
    ({"SEND": None}, "RESILIENT_CHANNELS['SEND'] must be a dict of options, not None"),
    (
        {"SEND": {"deadline": "30"}},
        "RESILIENT_CHANNELS: SEND.deadline must be a positive number of seconds or None (off), "
        "not '30'",
    ),
    (None, "RESILIENT_CHANNELS must be a dict of sections, not None"),
    (["SEND"], "RESILIENT_CHANNELS must be a dict of sections, not ['SEND']"),
]


@pytest.mark.parametrize(("setting", "sentence"), NONSENSE, ids=[repr(n) for n, _ in NONSENSE])
def test_nonsense_is_told_with_the_key_and_the_way_out(setting: Any, sentence: str):
    with override_settings(RESILIENT_CHANNELS=setting):
        [problem] = find_setting_problems()

    assert problem.startswith(sentence)


def test_every_problem_is_told_at_once():
    config = {"SENT": {}, "ERRORS": {"mod": 1, "budget": -1, "window": 0}, "SEND": 1}

    problems = list(find_problems(config, "settings"))

    assert len(problems) == 5


@pytest.mark.parametrize("config", [{}, {"SEND": {}}, {"SEND": {"deadline": None}}])
def test_what_makes_sense_is_no_problem(config: dict[str, Any]):
    assert list(find_problems(config, "settings")) == []


def settings_errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("setting", [setting for setting, _ in NONSENSE], ids=repr)
def test_nonsense_at_run_time_is_logged_and_the_defaults_apply(
    setting: Any, caplog: pytest.LogCaptureFixture
):
    with override_settings(RESILIENT_CHANNELS=setting):
        policies = get_policies(consumer())

        assert policies == Policies()
        [record] = settings_errors(caplog)
        assert record.name == "resilient_channels"
        assert record.problems == find_setting_problems()


def test_nonsense_at_run_time_is_logged_once(caplog: pytest.LogCaptureFixture):
    with override_settings(RESILIENT_CHANNELS={"SENT": {}}):
        for chat in [consumer(), consumer()] * 3:
            get_policies(chat)

    assert len(settings_errors(caplog)) == 1


def test_nonsense_at_run_time_does_not_touch_what_the_class_says(
    caplog: pytest.LogCaptureFixture,
):
    chat = consumer({"SEND": {"deadline": 3}})

    with override_settings(RESILIENT_CHANNELS={"SEND": {"deadline": "soon"}}):
        assert get_policies(chat).send.deadline == 3


# --- nonsense on a class ---------------------------------------------------------------------


def test_a_class_with_nonsense_is_refused_when_it_is_made():
    with pytest.raises(TypeError, match=r"Chat\.resilience has no section 'SENT'; did you mean"):

        class Chat(AsyncResilientMixin, AsyncWebsocketConsumer):
            resilience = {"SENT": {"deadline": 1}}


def test_all_that_is_wrong_with_a_class_is_told_at_once():
    with pytest.raises(TypeError) as caught:
        consumer({"SENT": {}, "SEND": {"deadline": 0}})

    assert "Chat.resilience has no section 'SENT'" in str(caught.value)
    assert "Chat.resilience: SEND.deadline must be" in str(caught.value)


@pytest.mark.parametrize("resilience", [None, "SEND", [("SEND", {})], 1], ids=repr)
def test_options_of_a_class_are_a_dict(resilience: Any):
    with pytest.raises(TypeError, match=r"Chat\.resilience must be a dict of sections"):
        type("Chat", (AsyncResilientWebsocketConsumer,), {"resilience": resilience})


def test_the_options_of_a_class_can_be_any_mapping():
    options = MappingProxyType({"SEND": MappingProxyType({"deadline": 2})})
    chat = type("Chat", (AsyncResilientWebsocketConsumer,), {"resilience": options})

    assert get_policies(chat).send.deadline == 2


# --- what is the process's -------------------------------------------------------------------


@each_option_of_the_process
def test_an_option_of_the_process_is_refused_on_a_class(
    section: str, option: str, set_to: Any, class_says: Any
):
    """It would reach beyond the clients of that class, or nothing at all."""
    sentence = (
        f"Chat.resilience: {section}.{option} is for the whole process; set it in "
        f"settings.RESILIENT_CHANNELS"
    )
    with pytest.raises(TypeError) as caught:
        consumer({section: {option: class_says}})

    assert str(caught.value) == sentence


@each_option_of_the_process
def test_an_option_of_the_process_is_refused_on_a_middleware(
    section: str, option: str, set_to: Any, class_says: Any
):
    with pytest.raises(TypeError, match=rf"resilience: {section}\.{option} is for the whole proc"):
        ResilientMiddleware(consumer(), resilience={section: {option: set_to}})


def test_a_class_may_say_the_rest_of_such_a_section():
    chat = consumer({"OUTBOX": {"bytes": 10}, "HANDLER": {"deadline": 3}, "DRAIN": {}})

    with override_settings(RESILIENT_CHANNELS={"OUTBOX": {"process_bytes": 20}}):
        outbox = get_policies(chat).outbox

    assert (outbox.bytes, outbox.process_bytes) == (10, 20)


@pytest.mark.parametrize("section", SECTIONS)
def test_only_these_options_are_the_processs(section: str):
    assert {(section, name) for name in process_wide_options(section)} == {
        key for key in OF_THE_PROCESS if key[0] == section
    }


def test_the_names_are_the_documented_ones():
    assert (conf.SETTING, conf.ATTRIBUTE) == ("RESILIENT_CHANNELS", "resilience")
