"""The checks that every option goes through, and the field that documents it."""

from dataclasses import dataclass, fields

import pytest
from hypothesis import example, given, strategies as st

from resilient_channels.core.options import (
    MOST,
    MOST_COUNTED,
    PolicyError,
    check_choice,
    check_count,
    check_rate,
    check_seconds,
    check_text,
    check_texts,
    option,
    show,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    limit: float = option(3.0, "Seconds.")
    table: dict[str, str] = option(dict, "Texts.")


def test_an_option_has_its_default_and_its_line_in_the_reference():
    assert Sample().limit == 3.0
    assert [known.metadata["doc"] for known in fields(Sample)] == ["Seconds.", "Texts."]


def test_a_default_that_can_be_changed_is_nobody_elses():
    assert Sample().table == {}
    assert Sample().table is not Sample().table


def test_a_refusal_is_a_value_error():
    assert issubclass(PolicyError, ValueError)


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
    st.complex_numbers(), st.lists(st.integers()), st.dictionaries(st.text(), st.text()),
)  # fmt: skip


def passes(check, *args, **kwargs) -> bool:
    try:
        check("SECTION", "name", *args, **kwargs)
    except PolicyError as error:
        sentence = str(error)
    else:
        return True
    assert sentence.startswith("SECTION.name must be ")
    assert sentence.endswith(f"not {args[0]!r}")
    return False


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@given(value=anything)
@example(value=float(MOST))
@example(value=MOST + 1)
@example(value=10**400)
@example(value=1.7e308)
def test_seconds_are_positive_and_not_endless(value: object):
    sound = is_number(value) and 0 < value <= MOST

    assert passes(check_seconds, value) is sound
    assert passes(check_seconds, value, optional=True) is (sound or value is None)


@given(value=anything, least=st.integers(0, 3))
@example(value=MOST_COUNTED, least=0)
@example(value=MOST_COUNTED + 1, least=1)
@example(value=10**400, least=0)
def test_a_count_is_whole_and_large_enough(value: object, least: int):
    is_int = isinstance(value, int) and not isinstance(value, bool)
    sound = is_int and least <= value <= MOST_COUNTED

    assert passes(check_count, value, least=least) is sound


@given(value=anything)
def test_a_text_is_a_str_or_none(value: object):
    assert passes(check_text, value) is (value is None or isinstance(value, str))


@pytest.mark.parametrize("value", ["auto", "off"])
def test_a_choice_is_one_of_the_choices(value: str):
    assert passes(check_choice, value, ("auto", "off"))


@given(value=anything)
def test_anything_else_is_no_choice(value: object):
    assert passes(check_choice, value, ("auto", "off")) is (value in ("auto", "off"))


@pytest.mark.parametrize("value", [{}, {"ping": "pong"}, {"": ""}, {"a": "b", "c": "d"}])
def test_texts_map_text_to_text(value: dict[str, str]):
    assert passes(check_texts, value)


@pytest.mark.parametrize(
    "value",
    [None, "ping", [("ping", "pong")], {"ping"}, {"ping": b"pong"}, {b"ping": "pong"}, {1: "one"},
     {"ping": None}, {"ping": {"pong": "x"}}, {"good": "good", "bad": 1}],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_no_texts(value: object):
    assert not passes(check_texts, value)


def test_what_no_reader_can_mean_is_told_with_the_most_there_is():
    with pytest.raises(PolicyError, match=r"a positive number per second \(up to 1000000000\) or"):
        check_rate("SECTION", "name", 1e300)


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value", [10**5000, Unspeakable(), [Unspeakable()]], ids=["int", "object", "list"]
)
def test_a_value_that_cannot_be_written_is_refused_like_any_other(value: object):
    with pytest.raises(PolicyError, match=f"a {type(value).__name__} that has no repr"):
        check_seconds("SECTION", "name", value)
    assert show(value).startswith("a ")
