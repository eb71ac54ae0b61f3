"""The same end of a connection is told the same way, whichever server reports it.

The tables are what each server was seen to report; see the reference page on servers.
"""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from resilient_channels.core.codes import CloseCode
from resilient_channels.core.disconnects import (
    DisconnectInfo,
    DisconnectKind,
    Initiator,
    ServerDialect,
    classify,
)

DAPHNE = ServerDialect.TELLS_LOSS_BY_1006
UVICORN = ServerDialect.TELLS_LOSS_BY_MISSING_REASON
HYPERCORN = GRANIAN = ServerDialect.CANNOT_TELL

CLEAN_CODES = [1000, 1001, 1011, 3000, 3512, 4000, 4999]


def report(code: int | None, **more: Any) -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, **more}


def client(code: int, reason: str = "") -> DisconnectInfo:
    return DisconnectInfo(code, reason, DisconnectKind.CLIENT, certain=True)


def lost(*, certain: bool = True) -> DisconnectInfo:
    return DisconnectInfo(1006, "", DisconnectKind.LOST, certain=certain)


@pytest.mark.parametrize("code", CLEAN_CODES)
@pytest.mark.parametrize(
    ("dialect", "more"),
    [(DAPHNE, {}), (UVICORN, {"reason": ""}), (GRANIAN, {})],
    ids=["daphne", "uvicorn", "granian"],
)
def test_a_clean_close_is_the_clients_with_its_code(
    code: int, dialect: ServerDialect, more: dict[str, Any]
):
    assert classify(report(code, **more), dialect) == client(code)


@pytest.mark.parametrize(
    ("dialect", "message"),
    [(DAPHNE, report(None)), (UVICORN, report(1005, reason=""))],
    ids=["daphne", "uvicorn"],
)
def test_a_clean_close_without_a_code_is_the_clients_with_1005(
    dialect: ServerDialect, message: dict[str, Any]
):
    assert classify(message, dialect) == client(1005)


@pytest.mark.parametrize(
    ("dialect", "message"),
    [
        (DAPHNE, report(1006)),
        (UVICORN, report(1005)),
        (UVICORN, report(1006)),
        (UVICORN, report(1006, reason="")),
    ],
    ids=["daphne", "uvicorn", "uvicorn --ws websockets", "the same with an empty reason"],
)
def test_a_lost_connection_is_lost_with_1006(dialect: ServerDialect, message: dict[str, Any]):
    assert classify(message, dialect) == lost()


@pytest.mark.parametrize(
    ("dialect", "message"),
    [(HYPERCORN, report(1006)), (GRANIAN, report(1005))],
    ids=["hypercorn, for every end", "granian, also for a close without a code"],
)
def test_where_the_server_cannot_tell_we_do_not_claim_to_know(
    dialect: ServerDialect, message: dict[str, Any]
):
    assert classify(message, dialect) == lost(certain=False)


@pytest.mark.parametrize("code", [1002, 1007, 1009])
def test_a_servers_answer_to_a_bad_frame_keeps_its_code_and_is_perhaps_the_clients(code: int):
    by_client = DisconnectKind.CLIENT

    told = classify(report(code, reason="bad frame"), UVICORN)

    assert told == DisconnectInfo(code, "bad frame", by_client, certain=False)
    assert classify(report(code), GRANIAN) == DisconnectInfo(code, "", by_client, certain=False)


@pytest.mark.parametrize("code", [1002, 1007, 1009])
def test_where_the_server_reports_no_code_of_its_own_it_is_the_clients(code: int):
    assert classify(report(code), DAPHNE) == client(code)


def test_uvicorns_own_shutdown_is_a_drain():
    info = classify(report(1012), UVICORN)

    assert (info.code, info.kind, info.certain) == (1012, DisconnectKind.DRAIN, True)


def test_a_client_that_closes_with_1012_on_uvicorn_is_a_client():
    assert classify(report(1012, reason=""), UVICORN) == client(1012)


@pytest.mark.parametrize("dialect", [DAPHNE, GRANIAN], ids=["daphne", "granian"])
def test_a_1012_on_a_server_that_never_reports_its_shutdown_is_the_clients(
    dialect: ServerDialect,
):
    """Neither ever passes a reason on, so a missing one says nothing there."""
    assert classify(report(1012), dialect) == client(1012)


def test_a_reason_is_passed_on():
    assert classify(report(4000, reason="done"), UVICORN) == client(4000, "done")


@pytest.mark.parametrize("dialect", ServerDialect)
def test_a_reason_of_none_is_an_empty_one(dialect: ServerDialect):
    assert classify(report(4000, reason=None), dialect) == client(4000)


@pytest.mark.parametrize("dialect", ServerDialect)
def test_a_message_without_a_code_is_a_clean_close_without_a_code(dialect: ServerDialect):
    assert classify({"type": "websocket.disconnect"}, dialect) == client(1005)


@given(
    code=st.one_of(st.none(), st.integers(1000, 4999), st.sampled_from(CloseCode)),
    more=st.sampled_from([{}, {"reason": None}, {"reason": ""}, {"reason": "text"}]),
    dialect=st.sampled_from(ServerDialect),
)
def test_whatever_is_reported_the_code_is_a_plain_int_and_the_reason_a_str(
    code: int | None, more: dict[str, Any], dialect: ServerDialect
):
    info = classify(report(code, **more), dialect)

    assert type(info.code) is int
    assert type(info.reason) is str
    assert info.kind in (DisconnectKind.CLIENT, DisconnectKind.LOST, DisconnectKind.DRAIN)
    assert (info.code == 1006) is (info.kind is DisconnectKind.LOST)


# --- who ended it ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "initiator"),
    [
        (DisconnectKind.CLIENT, Initiator.CLIENT),
        (DisconnectKind.LOST, Initiator.NETWORK),
        (DisconnectKind.TIMEOUT, Initiator.SERVER),
        (DisconnectKind.SERVER, Initiator.SERVER),
        (DisconnectKind.ERROR, Initiator.SERVER),
        (DisconnectKind.LAYER, Initiator.SERVER),
        (DisconnectKind.DRAIN, Initiator.SERVER),
        (DisconnectKind.CANCELLED, Initiator.SERVER),
    ],
)
def test_every_kind_says_who_ended_it(kind: DisconnectKind, initiator: Initiator):
    assert DisconnectInfo(1000, kind=kind).initiator is initiator


def test_the_kinds_are_the_published_ones():
    names = "CLIENT LOST TIMEOUT SERVER ERROR LAYER DRAIN CANCELLED"

    assert [kind.name for kind in DisconnectKind] == names.split()


def test_what_is_known_cannot_be_changed():
    info = lost()

    with pytest.raises(AttributeError):
        info.code = 1000  # type: ignore[misc]
