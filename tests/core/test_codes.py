"""Close codes: a complete registry, and a refusal for every frame that may not travel."""

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.codes import (
    MAX_REASON_BYTES,
    REGISTRY,
    CloseCode,
    Sender,
    Verdict,
    check_close_frame,
    check_portable_close,
    is_portable,
    may_travel,
    verdict_for,
)

OURS = [code for code in CloseCode if code >= 3000]
PROTOCOLS = [code for code in CloseCode if code < 3000]

# RFC 6455 section 7.4 and the IANA registry, up to 1015.
MAY_TRAVEL = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}


# --- the registry ----------------------------------------------------------------------------


def test_every_close_code_is_registered_and_nothing_else():
    assert set(REGISTRY) == {int(code) for code in CloseCode}


@pytest.mark.parametrize("code", CloseCode)
def test_a_row_speaks_of_its_own_code(code: CloseCode):
    row = REGISTRY[code]

    assert (row.code, row.name) == (code, code.name.lower())
    assert type(row.code) is int
    assert row.meaning.endswith(".")


@pytest.mark.parametrize("code", OURS)
def test_our_codes_are_3000_and_a_http_status(code: CloseCode):
    assert 400 <= code - 3000 < 600


@pytest.mark.parametrize("code", OURS)
def test_every_server_can_send_our_codes(code: CloseCode):
    assert REGISTRY[code].every_server_sends_it
    assert REGISTRY[code].may_travel


def test_the_codes_of_applications_are_left_alone():
    assert not [code for code in CloseCode if 4000 <= code <= 4999]


def test_only_reports_that_never_travel_are_sent_by_nobody():
    nobodys = {row.code for row in REGISTRY.values() if row.sender is Sender.NOBODY}

    assert nobodys == {1005, 1006, 1015}


@pytest.mark.parametrize("code", CloseCode)
def test_the_registry_and_the_protocol_agree_on_what_may_travel(code: CloseCode):
    assert REGISTRY[code].may_travel is may_travel(code)


PUBLISHED = """
    1000 NORMAL                never    -
    1001 GOING_AWAY            now      resume
    1002 PROTOCOL_ERROR        backoff  resume
    1003 UNSUPPORTED_DATA      backoff  resume
    1005 NO_STATUS             now      resume
    1006 ABNORMAL              now      resume
    1007 INVALID_PAYLOAD       backoff  resume
    1008 POLICY_VIOLATION      auth     -
    1009 MESSAGE_TOO_BIG       backoff  resume
    1010 MANDATORY_EXTENSION   never    -
    1011 SERVER_ERROR          backoff  resume
    1012 SERVICE_RESTART       now      resume
    1013 TRY_AGAIN_LATER       backoff  resume
    1014 BAD_GATEWAY           backoff  resume
    1015 TLS_FAILURE           backoff  resume
    3400 BAD_MESSAGES          never    -
    3401 NOT_AUTHENTICATED     auth     -
    3403 FORBIDDEN             never    -
    3408 HEARTBEAT_TIMEOUT     now      resume
    3409 REPLACED              never    -
    3410 REVOKED               never    -
    3411 CREDENTIALS_EXPIRED   auth     resume
    3412 GAP                   now      resume
    3413 TOO_BIG               backoff  resume
    3420 SLOW_CONSUMER         backoff  resume
    3428 TOO_MANY_CONNECTIONS  never    -
    3429 RATE_LIMITED          backoff  resume
    3440 IDLE                  never    resume
    3500 HANDLER_ERRORS        backoff  resume
    3503 OVERLOAD              backoff  resume
    3504 LAYER_DOWN            backoff  resume
    3512 RESTART               now      resume
    3513 MAX_AGE               now      resume
"""


@pytest.mark.parametrize("line", PUBLISHED.strip().splitlines(), ids=lambda line: line.split()[1])
def test_a_published_code_keeps_its_number_and_its_meaning_for_clients(line: str):
    number, name, verdict, resume = line.split()

    code = CloseCode[name]

    assert code == int(number)
    assert REGISTRY[code].verdict.value == verdict_for(code).value == verdict
    assert REGISTRY[code].keeps_resume_state is (resume == "resume")


def test_no_code_goes_unpublished():
    assert len(PUBLISHED.strip().splitlines()) == len(CloseCode)


# --- what a client should do -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (3399, Verdict.BACKOFF),
        (3402, Verdict.NEVER),
        (3404, Verdict.NEVER),
        (3499, Verdict.NEVER),
        (3501, Verdict.BACKOFF),
        (3599, Verdict.BACKOFF),
        (3000, Verdict.BACKOFF),
        (4001, Verdict.BACKOFF),
        (1004, Verdict.BACKOFF),
    ],
)
def test_an_unknown_34xx_is_the_clients_fault_and_anything_else_is_retried(
    code: int, verdict: Verdict
):
    assert verdict_for(code) is verdict


# --- what may be sent ------------------------------------------------------------------------


@given(code=st.integers(-10, 6000))
def test_only_1000_and_3000_to_4999_are_portable(code: int):
    assert is_portable(code) is (code == 1000 or 3000 <= code <= 4999)


@given(code=st.one_of(st.integers(-10, 6000), st.integers(990, 1020)))
def test_a_code_travels_as_the_protocol_says(code: int):
    assert may_travel(code) is (code in MAY_TRAVEL or 3000 <= code <= 4999)


@given(code=st.integers())
def test_what_is_portable_may_travel(code: int):
    assert may_travel(code) or not is_portable(code)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1014, 3000, 4999, CloseCode.RESTART])
def test_a_legal_close_frame_passes(code: int | None):
    check_close_frame(code, "done")


@pytest.mark.parametrize("code", [None, 1000, 3000, 3512, 4000, 4999, CloseCode.RESTART])
def test_a_portable_close_passes(code: int | None):
    check_portable_close(code, None)


@pytest.mark.parametrize("check", [check_close_frame, check_portable_close])
@pytest.mark.parametrize(
    "code", [0, -1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 2**63, CloseCode.NO_STATUS]
)
def test_a_code_that_may_not_travel_is_refused_by_number(check, code: int):
    with pytest.raises(ValueError, match=rf"close code {int(code)} .*3000-4999"):
        check(code, None)


@pytest.mark.parametrize("code", sorted(MAY_TRAVEL - {1000}))
def test_a_code_that_some_server_cannot_send_is_refused(code: int):
    with pytest.raises(ValueError, match=rf"close code {code} .*every ASGI server.*3000-4999"):
        check_portable_close(code, None)


@pytest.mark.parametrize("check", [check_close_frame, check_portable_close])
@pytest.mark.parametrize("code", [True, False, "1000", 1000.0, b"1000", [], object], ids=repr)
def test_a_code_that_is_no_number_is_refused_with_what_was_given(check, code: object):
    with pytest.raises(TypeError, match="close code must be an int or None, not ") as caught:
        check(code, None)

    assert repr(code) in str(caught.value)


@pytest.mark.parametrize("check", [check_close_frame, check_portable_close])
@pytest.mark.parametrize("reason", [b"bye", 7, ["bye"], False], ids=repr)
def test_a_reason_that_is_no_text_is_refused_with_what_was_given(check, reason: object):
    with pytest.raises(TypeError, match="close reason must be a str or None, not ") as caught:
        check(1000, reason)

    assert repr(reason) in str(caught.value)


@pytest.mark.parametrize(
    "reason",
    [None, "", "a" * 123, "é" * 61 + "a", "€" * 41, "😀" * 30 + "abc"],
    ids=["none", "empty", "ascii", "two bytes", "three bytes", "four bytes"],
)
def test_a_reason_of_up_to_123_bytes_passes(reason: str | None):
    check_portable_close(4000, reason)


@pytest.mark.parametrize(
    ("reason", "size"),
    [("a" * 124, 124), ("é" * 62, 124), ("€" * 41 + "a", 124), ("😀" * 31, 124)],
    ids=["ascii", "two bytes", "three bytes", "four bytes"],
)
def test_one_byte_more_is_refused_with_both_numbers(reason: str, size: int):
    with pytest.raises(ValueError, match=rf"{size} bytes.*{MAX_REASON_BYTES}"):
        check_close_frame(4000, reason)


def test_a_reason_is_checked_without_a_code_too():
    with pytest.raises(ValueError, match="124 bytes"):
        check_portable_close(None, "a" * 124)


def test_a_reason_that_is_not_encodable_is_refused():
    with pytest.raises(ValueError, match="surrogate"):
        check_close_frame(4000, "half an emoji: \ud83d")
