"""Options: the documented defaults, and a sentence for every value that makes no sense."""

from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from resilient_channels.core.options import PolicyError
from resilient_channels.core.policies import (
    SECTIONS,
    Policies,
    build_section,
    option_names,
)

DEFAULTS: dict[str, dict[str, Any]] = {
    "HEARTBEAT": {
        "mode": "auto",
        "interval": 25.0,
        "timeout": 20.0,
        "ping": None,
        "pong": None,
        "reply": {},
        "proxy_idle_timeout": None,
    },
    "LIFETIME": {"idle_timeout": None, "max_age": None},
    "SEND": {"deadline": 30.0},
    "OUTBOX": {
        "messages": 1000,
        "bytes": 1_048_576,
        "overflow": "close",
        "process_bytes": 268_435_456,
    },
    "INBOX": {"frames": 8, "bytes": 262_144, "warn_after": 30.0, "close_after": 300.0},
    "LIMITS": {
        "message_bytes": None,
        "json_depth": None,
        "rate": None,
        "burst": None,
        "groups": None,
        "connections_per_user": None,
        "connections_per_address": None,
        "when_full": "refuse",
        "new_per_second": None,
        "new_burst": None,
        "trusted_proxies": (),
    },
    "HANDSHAKE": {"timeout": 30.0},
    "HANDLER": {"deadline": None, "stall_after": 5.0},
    "ERRORS": {
        "mode": "isolate",
        "budget": 5,
        "window": 60.0,
        "bad_input_reply": None,
        "error_reply": None,
    },
    "LAYER": {"deadline": 5.0, "probe": 5.0, "hold": None, "pending": 1000},
    "DRAIN": {"mode": "auto", "duration": None, "spread": None, "directory": None},
    "TEARDOWN": {"timeout": 8.0},
}

SECONDS = [
    ("HEARTBEAT", "interval"),
    ("HEARTBEAT", "timeout"),
    ("INBOX", "warn_after"),
    ("ERRORS", "window"),
    ("LAYER", "deadline"),
    ("LAYER", "probe"),
    ("TEARDOWN", "timeout"),
]
SECONDS_OR_OFF = [
    ("HEARTBEAT", "proxy_idle_timeout"),
    ("LIFETIME", "idle_timeout"),
    ("LIFETIME", "max_age"),
    ("SEND", "deadline"),
    ("INBOX", "close_after"),
    ("HANDSHAKE", "timeout"),
    ("LAYER", "hold"),
    ("HANDLER", "deadline"),
    ("HANDLER", "stall_after"),
    ("DRAIN", "duration"),
    ("DRAIN", "spread"),
]
RATES_OR_OFF = [("LIMITS", "rate"), ("LIMITS", "new_per_second")]
COUNTS = [
    ("INBOX", "frames", 1),
    ("INBOX", "bytes", 1),
    ("ERRORS", "budget", 0),
    ("LAYER", "pending", 0),
    ("OUTBOX", "messages", 1),
    ("OUTBOX", "bytes", 1),
    ("OUTBOX", "process_bytes", 1),
]
COUNTS_OR_OFF = [
    ("LIMITS", "message_bytes"),
    ("LIMITS", "json_depth"),
    ("LIMITS", "burst"),
    ("LIMITS", "groups"),
    ("LIMITS", "connections_per_user"),
    ("LIMITS", "connections_per_address"),
    ("LIMITS", "new_burst"),
]
TEXTS = [
    ("HEARTBEAT", "ping"),
    ("HEARTBEAT", "pong"),
    ("ERRORS", "bad_input_reply"),
    ("ERRORS", "error_reply"),
    ("DRAIN", "directory"),
]
CHOICES = {
    ("HEARTBEAT", "mode"): ("auto", "always", "off"),
    ("ERRORS", "mode"): ("isolate", "close", "raise"),
    ("OUTBOX", "overflow"): ("close", "drop_oldest", "drop_newest", "coalesce"),
    ("LIMITS", "when_full"): ("refuse", "newest_wins"),
    ("DRAIN", "mode"): ("auto", "on", "off"),
}

NAN, INFINITY = float("nan"), float("inf")


def refusal(section: str, option: str, value: object) -> str:
    """The sentence that *value* is refused with."""
    with pytest.raises(PolicyError) as caught:
        build_section(section, {option: value})
    return str(caught.value)


# --- defaults --------------------------------------------------------------------------------


def test_the_defaults_are_the_documented_ones():
    found = {
        name: {option.name: getattr(section(), option.name) for option in fields(section)}
        for name, section in SECTIONS.items()
    }

    assert found == DEFAULTS


def test_all_sections_together_are_the_policies():
    policies = Policies()

    for name, section in SECTIONS.items():
        assert getattr(policies, name.lower()) == section()
    others = {option.name for option in fields(Policies)} - {name.lower() for name in SECTIONS}
    assert others == {"places"}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_option_is_documented(section: str):
    docs = [option.metadata["doc"] for option in fields(SECTIONS[section])]

    assert docs
    assert all(doc.strip().endswith(".") for doc in docs)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_names_its_options(section: str):
    assert list(option_names(section)) == list(DEFAULTS[section])


@pytest.mark.parametrize("section", SECTIONS)
def test_every_default_is_a_value_that_may_be_set(section: str):
    assert build_section(section, DEFAULTS[section]) == SECTIONS[section]()


def test_options_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Policies().send.deadline = 1.0  # type: ignore[misc]


def test_this_file_knows_every_option():
    tested = {*SECONDS, *SECONDS_OR_OFF, *RATES_OR_OFF, *COUNTS_OR_OFF, *TEXTS, *CHOICES}
    tested |= {("HEARTBEAT", "reply"), ("LIMITS", "trusted_proxies")}
    tested |= {(section, option) for section, option, _ in COUNTS}

    assert tested == {(section, option) for section in SECTIONS for option in option_names(section)}


# --- seconds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("section", "option"), SECONDS + SECONDS_OR_OFF)
@pytest.mark.parametrize("value", [0.001, 1, 12.5, 86_400])
def test_a_time_is_any_positive_number(section: str, option: str, value: float):
    assert getattr(build_section(section, {option: value}), option) == value


@pytest.mark.parametrize(("section", "option"), SECONDS + SECONDS_OR_OFF)
@pytest.mark.parametrize(
    "value", [0, 0.0, -1, -0.5, NAN, INFINITY, -INFINITY, True, False, "30", b"30", [30], 3j]
)
def test_an_impossible_time_is_refused_with_key_value_and_what_is_allowed(
    section: str, option: str, value: object
):
    sentence = refusal(section, option, value)

    assert sentence.startswith(f"{section}.{option} must be a positive number of seconds")
    assert sentence.endswith(f", not {value!r}")


@pytest.mark.parametrize(("section", "option"), SECONDS_OR_OFF)
def test_some_limits_can_be_switched_off(section: str, option: str):
    assert getattr(build_section(section, {option: None}), option) is None


@pytest.mark.parametrize(("section", "option"), SECONDS_OR_OFF)
def test_the_refusal_says_that_a_limit_can_be_switched_off(section: str, option: str):
    assert "or None (off)" in refusal(section, option, "off")


@pytest.mark.parametrize(("section", "option"), SECONDS)
def test_other_limits_cannot_be_switched_off(section: str, option: str):
    assert "None (off)" not in refusal(section, option, None)


# --- counts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("section", "option", "least"), COUNTS)
def test_a_count_may_be_as_low_as_its_least(section: str, option: str, least: int):
    assert getattr(build_section(section, {option: least}), option) == least


@pytest.mark.parametrize(("section", "option", "least"), COUNTS)
@pytest.mark.parametrize("value", [-1, 1.0, 2.5, NAN, INFINITY, True, False, "5", None])
def test_an_impossible_count_is_refused_with_key_value_and_what_is_allowed(
    section: str, option: str, least: int, value: object
):
    sentence = refusal(section, option, value)

    assert sentence == (f"{section}.{option} must be a whole number >= {least}, not {value!r}")


@pytest.mark.parametrize(("section", "option", "least"), COUNTS)
def test_one_below_the_least_is_refused(section: str, option: str, least: int):
    assert refusal(section, option, least - 1).endswith(f"not {least - 1}")


@pytest.mark.parametrize(("section", "option"), COUNTS_OR_OFF)
def test_some_counts_can_be_switched_off_and_none_can_be_zero(section: str, option: str):
    assert getattr(build_section(section, {option: None}), option) is None
    assert getattr(build_section(section, {option: 1}), option) == 1

    sentence = refusal(section, option, 0)

    assert sentence == f"{section}.{option} must be a whole number >= 1 or None (off), not 0"


@pytest.mark.parametrize(("section", "option"), RATES_OR_OFF)
@pytest.mark.parametrize("value", [None, 0.1, 1, 50])
def test_a_rate_is_any_positive_number_or_none(section: str, option: str, value: float | None):
    assert getattr(build_section(section, {option: value}), option) == value


@pytest.mark.parametrize(("section", "option"), RATES_OR_OFF)
@pytest.mark.parametrize("value", [0, -1, NAN, INFINITY, True, "5", [5]])
def test_an_impossible_rate_is_refused(section: str, option: str, value: object):
    sentence = refusal(section, option, value)

    allowed = "a positive number per second or None (off)"
    assert sentence == f"{section}.{option} must be {allowed}, not {value!r}"


# --- the rest --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "option", "choice"),
    [(*key, choice) for key, choices in CHOICES.items() for choice in choices],
)
def test_each_of_the_choices_can_be_made(section: str, option: str, choice: str):
    assert getattr(build_section(section, {option: choice}), option) == choice


@pytest.mark.parametrize(("section", "option"), CHOICES)
@pytest.mark.parametrize("value", ["", "Off", "Isolate", "never", None, True, 1, ["raise"], {}])
def test_any_other_choice_is_refused_with_what_there_is(section: str, option: str, value: object):
    sentence = refusal(section, option, value)

    allowed = ", ".join(repr(choice) for choice in CHOICES[section, option])
    assert sentence == f"{section}.{option} must be one of {allowed}, not {value!r}"


@pytest.mark.parametrize(("section", "option"), TEXTS)
@pytest.mark.parametrize("value", [None, "", '{"error": "bad"}'])
def test_a_text_is_a_text_or_none(section: str, option: str, value: str | None):
    assert getattr(build_section(section, {option: value}), option) == value


@pytest.mark.parametrize(("section", "option"), TEXTS)
@pytest.mark.parametrize("value", [b"bad", 1, True, {"error": "bad"}])
def test_any_other_text_is_refused(section: str, option: str, value: object):
    sentence = refusal(section, option, value)

    assert sentence == f"{section}.{option} must be a str or None, not {value!r}"


@pytest.mark.parametrize("value", [{}, {"ping": "pong"}, {'{"type": "ping"}': '{"type": "pong"}'}])
def test_replies_map_text_to_text(value: dict[str, str]):
    assert build_section("HEARTBEAT", {"reply": value}).reply == value


@pytest.mark.parametrize("value", [None, "pong", {"ping": None}, {b"ping": "pong"}, ["ping"]])
def test_anything_else_is_no_replies(value: object):
    sentence = refusal("HEARTBEAT", "reply", value)

    assert sentence == f"HEARTBEAT.reply must be a dict of str to str, not {value!r}"


# --- what contradicts itself -----------------------------------------------------------------

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"mode": "always"}, "HEARTBEAT.mode 'always' needs HEARTBEAT.ping, the text to send"),
    ({"pong": "pong"}, "HEARTBEAT.pong without HEARTBEAT.ping: nobody is asked"),
    ({"ping": "ping"}, "HEARTBEAT.ping without HEARTBEAT.pong is not sent in mode 'auto', "),
    ({"proxy_idle_timeout": 25}, "HEARTBEAT.interval is 25.0, but HEARTBEAT.proxy_idle_timeout "),
    ({"proxy_idle_timeout": 10, "interval": 60}, "HEARTBEAT.interval is 60, but "),
]
SOUND: list[dict[str, Any]] = [
    {},
    {"mode": "off"},
    {"ping": "ping", "pong": "pong"},
    {"mode": "always", "ping": "ping"},
    {"mode": "always", "ping": "ping", "pong": "pong"},
    {"mode": "off", "ping": "ping"},
    {"reply": {"ping": "pong"}},
    {"proxy_idle_timeout": 60},
]


@pytest.mark.parametrize(("values", "sentence"), CONTRADICTIONS, ids=str)
def test_what_contradicts_itself_is_told(values: dict[str, Any], sentence: str):
    assert build_section("HEARTBEAT", values).contradiction.startswith(sentence)


@pytest.mark.parametrize("values", SOUND, ids=str)
def test_what_makes_sense_is_no_contradiction(values: dict[str, Any]):
    assert build_section("HEARTBEAT", values).contradiction is None


def test_a_proxy_that_is_too_quick_is_met_with_an_interval_that_is_not():
    policy = build_section("HEARTBEAT", {"interval": 60.0, "proxy_idle_timeout": 30})

    assert policy.contradiction.endswith("set the interval to 15 or less")


def test_a_refusal_is_a_value_error():
    assert issubclass(PolicyError, ValueError)
