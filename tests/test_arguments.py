"""Bad arguments to ``safe_send`` and its kin: refused at once, with what was given."""

import pytest

from resilient_channels.arguments import build_frame, check_close_argument, check_frame
from resilient_channels.core.codes import CloseCode
from support.ids import named


@pytest.mark.parametrize("text", ["", "text", "\ud83d"])
def test_any_text_is_a_frame(text: str):
    check_frame(text, None)


@pytest.mark.parametrize("data", [b"", b"\x00", bytearray(b"ab"), memoryview(b"ab")], ids=named)
def test_any_bytes_are_a_frame(data: object):
    check_frame(None, data)


def test_a_frame_is_text_or_bytes_and_not_both():
    with pytest.raises(ValueError, match="text_data or bytes_data, not both"):
        check_frame("text", b"bytes")


def test_two_empty_ones_are_still_both():
    with pytest.raises(ValueError, match="not both"):
        check_frame("", b"")


def test_a_frame_of_nothing_is_refused():
    with pytest.raises(ValueError, match="needs text_data or bytes_data; both are None"):
        check_frame(None, None)


@pytest.mark.parametrize("text", [b"bytes", 1, 1.5, True, {"a": 1}, ["a"]], ids=repr)
def test_what_is_no_text_is_refused(text: object):
    with pytest.raises(TypeError, match=r"^text_data must be a str, not ") as caught:
        check_frame(text, None)

    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("data", ["text", 1, True, [1, 2], {"a": 1}], ids=repr)
def test_what_are_no_bytes_is_refused(data: object):
    with pytest.raises(TypeError, match=r"^bytes_data must be bytes, not ") as caught:
        check_frame(None, data)

    assert repr(data) in str(caught.value)


@pytest.mark.parametrize("close", [True, False, None, 1000, 3000, 4999, CloseCode.RESTART])
def test_a_frame_may_close_with_a_code_that_every_server_sends(close: object):
    check_close_argument(close)


@pytest.mark.parametrize("close", [0, 1, 999, 1001, 1005, 1011, 2999, 5000])
def test_a_frame_may_not_close_with_any_other_code(close: int):
    with pytest.raises(ValueError, match=rf"close code {close} .*3000-4999"):
        check_close_argument(close)


@pytest.mark.parametrize("close", ["1000", 1000.0, [], "yes"], ids=repr)
def test_a_frame_may_not_close_with_what_is_no_code(close: object):
    with pytest.raises(TypeError, match="close code must be an int or None"):
        check_close_argument(close)


def test_a_frame_carries_text_or_bytes():
    assert build_frame("text", None) == {"type": "websocket.send", "text": "text"}
    assert build_frame("", None) == {"type": "websocket.send", "text": ""}
    assert build_frame(None, b"bytes") == {"type": "websocket.send", "bytes": b"bytes"}
