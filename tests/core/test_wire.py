"""Control frames: what is written, what is understood, and that nothing else is."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core import wire
from resilient_channels.core.codes import CloseCode
from resilient_channels.core.wire import MARK, Hello, Ping, Pong, WireError, decode

GOLDEN = json.loads(
    (Path(__file__).parent.parent / "golden" / "wire-v1.json").read_text(encoding="utf-8")
)
CLIENT_TYPES = {"hello": Hello, "ping": Ping, "pong": Pong}

# The only one in the golden list that says something; it is the moment that makes it pointless.
SOUND_BUT_UNASKED = "a pong nobody asked for"


def golden(*parts: str, sender: str = "") -> Any:
    rows = [row for part in parts for row in GOLDEN[part] if row.get("from", "") == sender]
    assert rows, f"no golden frames of {sender!r} in {parts}"
    return pytest.mark.parametrize("row", rows, ids=[row["name"] for row in rows])


def cause(text: str) -> str:
    with pytest.raises(WireError) as caught:
        decode(text)
    return str(caught.value)


def control(**content: Any) -> str:
    return MARK + json.dumps(content)


# --- the golden frames, which the browser client is tested with, too -------------------------


def encode(frame: dict[str, Any]) -> str:
    """The server's text for a frame, by way of the function that is meant for it."""
    match frame:
        case {"type": "hello", "connection": connection}:
            interval, timeout = frame["interval_ms"], frame["timeout_ms"]
            return wire.encode_hello(
                connection, interval and interval / 1000, timeout and timeout / 1000
            )
        case {"type": "ping", "n": nonce}:
            rtt_ms = frame.get("rtt_ms")
            return wire.encode_ping(nonce, None if rtt_ms is None else rtt_ms / 1000)
        case {"type": "pong", "n": nonce}:
            return wire.encode_pong(nonce)
        case {"type": "bye", "code": code, "reason": reason, "verdict": verdict}:
            return wire.encode_bye(code, reason, verdict, frame["after_ms"])
        case _:
            raise AssertionError(f"nothing writes {frame}")


@golden("frames", sender="server")
def test_the_server_writes_a_golden_frame_letter_by_letter(row: dict[str, Any]):
    assert encode(row["frame"]) == row["text"]


@golden("frames", "tolerated", sender="client")
def test_a_golden_frame_of_a_client_is_understood(row: dict[str, Any]):
    frame = decode(row["text"])

    assert type(frame) is CLIENT_TYPES[row["frame"]["type"]]
    assert getattr(frame, "nonce", None) == row["frame"].get("n")
    assert getattr(frame, "version", None) == row["frame"].get("version")


@golden("ignored")
def test_a_golden_text_that_both_sides_ignore_is_refused(row: dict[str, Any]):
    if row["name"] == SOUND_BUT_UNASKED:
        assert decode(row["text"]) == Pong(999999)
    else:
        assert cause(row["text"]) in {"too long", "not json", "malformed", "unknown type"}


# --- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MARK, "not json"),
        (MARK + "hello", "not json"),
        (MARK + '{"type":"ping","n":17', "not json"),
        (MARK + "[" * 1000, "not json"),
        (MARK + '{"type":"ping","n":"' + "\x07" + '"}', "not json"),
        (MARK + "null", "malformed"),
        (MARK + "[]", "malformed"),
        (MARK + "{}", "malformed"),
        (MARK + '{"type":7}', "malformed"),
        (MARK + '{"type":["ping"]}', "malformed"),
        (MARK + '{"type":"ping"}', "malformed"),
        (MARK + '{"type":"ping","n":null}', "malformed"),
        (MARK + '{"type":"ping","n":true}', "malformed"),
        (MARK + '{"type":"ping","n":1.0}', "malformed"),
        (MARK + '{"type":"ping","n":NaN}', "malformed"),
        (MARK + '{"type":"pong","n":{}}', "malformed"),
        (MARK + '{"type":"hello"}', "malformed"),
        (MARK + '{"type":"hello","version":true}', "malformed"),
        (MARK + '{"type":"hello","version":1.0}', "malformed"),
        (MARK + '{"type":"bye","code":1000}', "unknown type"),
        (MARK + '{"type":"","n":1}', "unknown type"),
        (MARK + '{"type":"Ping","n":1}', "unknown type"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_says_nothing_is_refused_with_its_cause(text: str, expected: str):
    assert cause(text) == expected


@pytest.mark.parametrize("length", [1025, 2000, 1_000_000])
def test_a_frame_that_is_too_long_is_not_even_parsed(length: int, monkeypatch):
    monkeypatch.setattr(wire.json, "loads", lambda text: pytest.fail("parsed"))

    assert cause(MARK + "[" * (length - 1)) == "too long"


def test_a_frame_of_1024_characters_is_read():
    start = MARK + '{"type":"ping","n":1,"pad":"'
    text = start + "ü" * (1024 - len(start) - 2) + '"}'

    assert len(text) == 1024
    assert decode(text) == Ping(1)
    assert cause(text.replace('"}', 'x"}')) == "too long"


@pytest.mark.parametrize("kind", ["ping", "pong"])
@pytest.mark.parametrize("nonce", [0, -1, 2**53 - 1, 1 - 2**53, "", "tab-3", "x" * 64, "😀" * 64])
def test_a_nonce_is_an_exact_number_or_a_short_text(kind: str, nonce: int | str):
    assert decode(control(type=kind, n=nonce)) == CLIENT_TYPES[kind](nonce)


@pytest.mark.parametrize("kind", ["ping", "pong"])
@pytest.mark.parametrize("nonce", [2**53, -(2**53), 10**400, 17.5, "x" * 65, [1], {"n": 1}, False])
def test_any_other_nonce_is_refused(kind: str, nonce: object):
    assert cause(control(type=kind, n=nonce)) == "malformed"


def test_a_hello_says_that_the_client_speaks_this_version():
    assert decode(control(type="hello", version=1)) == Hello(1)


@pytest.mark.parametrize("version", [2, 0, -1, 10**30, "1", None, [1]])
def test_a_hello_of_another_version_says_nothing(version: object):
    assert cause(control(type="hello", version=version)) == "malformed"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
near_misses = st.fixed_dictionaries(
    {"type": st.sampled_from(["ping", "pong", "hello", "bye"]) | json_values},
    optional={"n": json_values, "version": json_values, "extra": json_values},
)


def read(text: str) -> Hello | Ping | Pong | None:
    try:
        return decode(text)
    except WireError as error:
        found = str(error)
    assert found in {"too long", "not json", "malformed", "unknown type"}
    return None


@given(text=st.text(max_size=1100))
def test_no_text_at_all_makes_reading_fail_in_another_way(text: str):
    read(MARK + text)


@given(text=st.text(alphabet='{}[]":,\\u0123456789eE+-.truefalsn \x00\x1e\ud800', max_size=200))
def test_no_text_that_looks_like_json_makes_reading_fail_in_another_way(text: str):
    read(MARK + text)


@given(content=near_misses | json_values)
def test_what_is_understood_is_always_sound(content: object):
    frame = read(MARK + json.dumps(content))

    match frame:
        case Ping(nonce) | Pong(nonce):
            assert isinstance(content, dict)
            assert type(nonce) in (int, str)
            assert nonce == content["n"]
            assert len(nonce) <= 64 if isinstance(nonce, str) else abs(nonce) < 2**53
        case Hello(version):
            assert version == 1


@given(length=st.integers(1, 400), opening=st.sampled_from(["[", '{"a":', '[{"a":']))
def test_no_depth_makes_reading_fail_in_another_way(length: int, opening: str):
    read((MARK + opening * length)[:1024])


# --- writing ---------------------------------------------------------------------------------

nonces = st.integers(1 - 2**53, 2**53 - 1) | st.text(
    st.characters(codec="utf-8") | st.sampled_from("\ud800\udfff"), max_size=64
)


@given(nonce=nonces)
def test_a_pong_carries_the_nonce_back_unchanged(nonce: int | str):
    text = wire.encode_pong(nonce)

    assert decode(text) == Pong(nonce)
    text.encode()  # a lone surrogate would have the server choke


@given(nonce=st.integers(0, 2**53 - 1), rtt=st.none() | st.floats(0, 1e6))
def test_a_ping_is_json_that_says_what_it_should(nonce: int, rtt: float | None):
    text = wire.encode_ping(nonce, rtt)

    expected = {"type": "ping", "n": nonce}
    if rtt is not None:
        expected["rtt_ms"] = round(rtt * 1000, 1)
    assert text[0] == MARK
    assert json.loads(text[1:]) == expected
    assert decode(text) == Ping(nonce)


@pytest.mark.parametrize(
    "text",
    [
        wire.encode_hello("c1", 25.0, 20.0),
        wire.encode_hello("c1", None, None),
        wire.encode_ping(1),
        wire.encode_ping(1, 0.0123),
        wire.encode_pong("with blank, and: colon"),
        wire.encode_bye(CloseCode.MAX_AGE, "max_age", "now", 0),
    ],
)
def test_no_blank_travels_that_the_content_does_not_need(text: str):
    compact = json.dumps(json.loads(text[1:]), separators=(",", ":"))

    assert text == MARK + compact


@pytest.mark.parametrize(("seconds", "milliseconds"), [(25.0, 25000), (0.0005, 0), (1.2345, 1234)])
def test_times_travel_as_whole_milliseconds(seconds: float, milliseconds: int):
    content = json.loads(wire.encode_hello("c1", seconds, seconds)[1:])

    assert content["interval_ms"] == content["timeout_ms"] == milliseconds
    assert type(content["interval_ms"]) is int


@given(connection=st.text(st.characters(codec="utf-8"), max_size=20))
def test_every_frame_of_ours_is_short_enough_to_be_read(connection: str):
    longest = [
        wire.encode_hello(connection, 1e9, 1e9),
        wire.encode_ping(2**53, 1e6),
        wire.encode_pong("😀" * 64),
        wire.encode_bye(4999, "credentials_expired", "backoff", 10**9),
    ]

    assert all(len(text) <= wire.MAX_LENGTH for text in longest)
