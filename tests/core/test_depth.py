"""The depth of a JSON text, against a count by hand, and in a time that nobody can stretch."""

import json
import time

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.depth import CHUNK, is_deeper

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NASTY = st.text(st.sampled_from('[]{}"\\,:1 \n\u00e9\u20ac\U0001f600\ud800'), max_size=60)


def depth_of(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0


def count_by_hand(text: str) -> int:
    depth = deepest = 0
    in_string = is_escaped = False
    for character in text:
        if in_string:
            if is_escaped:
                is_escaped = False
            elif character == "\\":
                is_escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


@given(value=VALUES, ascii=st.booleans())
def test_json_is_as_deep_as_its_value(value: object, ascii: bool):
    text, depth = json.dumps(value, ensure_ascii=ascii), depth_of(value)

    assert not is_deeper(text, max(depth, 1))
    if depth > 1:
        assert is_deeper(text, depth - 1)


@given(text=NASTY, limit=st.integers(1, 10))
def test_any_text_at_all_agrees_with_counting_by_hand(text: str, limit: int):
    assert is_deeper(text, limit) is (count_by_hand(text) > limit)


@pytest.mark.parametrize("depth", [32, 33, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_it_does_not_matter_where_a_chunk_ends(depth: int):
    text = "[" * depth + "]" * depth

    assert not is_deeper(text, depth)
    assert is_deeper(text, depth - 1)


def test_brackets_in_strings_and_side_by_side_are_no_depth():
    assert not is_deeper(json.dumps({"text": "[" * 1000, '"{': "\\"}), 1)
    assert not is_deeper("[" + ",".join(["[]"] * 1000) + "]", 2)


MEGABYTE = 1_000_000
HOSTILE = {
    "open brackets": "[" * MEGABYTE,
    "pairs": "[]" * (MEGABYTE // 2),
    "closing brackets": "]" * MEGABYTE,
    "quotes": '"' * MEGABYTE + "[" * 40,
    "escaped quotes that never end": '"' + '\\"' * (MEGABYTE // 2) + "[" * 40,
    "backslashes": "\\" * MEGABYTE + "[" * 40,
    "a string that never ends": "[" * 40 + '"' + "a" * MEGABYTE,
    "quote and bracket in turn": '"["[' * (MEGABYTE // 4),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_takes_no_more_than_a_moment(name: str):
    began = time.process_time()

    is_deeper(HOSTILE[name], 32)

    # It takes 0.1 s at most here; what grows with the square of the length would take hours.
    assert time.process_time() - began < 2.0
