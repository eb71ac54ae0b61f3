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
    "SEND": {"deadline": 30.0},
    "INBOX": {"frames": 8, "bytes": 262_144, "warn_after": 30.0, "close_after": 300.0},
    "HANDSHAKE": {"timeout": 30.0},
    "ERRORS": {
        "mode": "isolate",
        "budget": 5,
        "window": 60.0,
        "bad_input_reply": None,
        "error_reply": None,
    },
    "LAYER": {"deadline": 5.0, "probe": 5.0, "hold": None},
    "TEARDOWN": {"timeout": 8.0},
}

SECONDS = [
    ("INBOX", "warn_after"),
    ("ERRORS", "window"),
    ("LAYER", "deadline"),
    ("LAYER", "probe"),
    ("TEARDOWN", "timeout"),
]
SECONDS_OR_OFF = [
    ("SEND", "deadline"),
    ("INBOX", "close_after"),
    ("HANDSHAKE", "timeout"),
    ("LAYER", "hold"),
]
COUNTS = [("INBOX", "frames", 1), ("INBOX", "bytes", 1), ("ERRORS", "budget", 0)]
REPLIES = [("ERRORS", "bad_input_reply"), ("ERRORS", "error_reply")]

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
    assert {option.name for option in fields(Policies)} == {name.lower() for name in SECTIONS}


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
    tested = {(section, option) for section, option, *_ in SECONDS + SECONDS_OR_OFF + REPLIES}
    tested |= {(section, option) for section, option, _ in COUNTS} | {("ERRORS", "mode")}

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


# --- the rest --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["isolate", "close", "raise"])
def test_there_are_three_ways_to_meet_an_error(mode: str):
    assert build_section("ERRORS", {"mode": mode}).mode == mode


@pytest.mark.parametrize("mode", ["", "Isolate", "ignore", None, True, 1, ["raise"], {}])
def test_any_other_mode_is_refused_with_the_three(mode: object):
    sentence = refusal("ERRORS", "mode", mode)

    assert sentence == (f"ERRORS.mode must be one of 'isolate', 'close', 'raise', not {mode!r}")


@pytest.mark.parametrize(("section", "option"), REPLIES)
@pytest.mark.parametrize("value", [None, "", '{"error": "bad"}'])
def test_a_reply_is_a_text_or_none(section: str, option: str, value: str | None):
    assert getattr(build_section(section, {option: value}), option) == value


@pytest.mark.parametrize(("section", "option"), REPLIES)
@pytest.mark.parametrize("value", [b"bad", 1, True, {"error": "bad"}])
def test_any_other_reply_is_refused(section: str, option: str, value: object):
    sentence = refusal(section, option, value)

    assert sentence == f"{section}.{option} must be a str or None, not {value!r}"


def test_a_refusal_is_a_value_error():
    assert issubclass(PolicyError, ValueError)
