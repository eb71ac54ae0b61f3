"""Connections of one user and of one address: never more than the limit, and counted as long as
they are open."""

import pytest

from resilient_channels.crowds import crowds
from resilient_channels.observers import counts
from shells.clients import Listener
from shells.crowd import (
    ANN,
    BOB,
    HOME,
    OFFICE,
    come,
    come_with_protocol,
    every_server,
    is_empty,
    is_in,
    leave_all,
    limited,
    user,
)
from shells.visits import Visit, both_colours, settle
from support.loop import virtual
from support.servers import UVICORN

PER_USER = {"connections_per_user": 2}
PER_ADDRESS = {"connections_per_address": 2}
BOTH_LIMITS = pytest.mark.parametrize(
    ("limits", "same", "other", "cause"),
    [
        (PER_USER, {"user": ANN}, {"user": BOB}, "user limit"),
        (PER_ADDRESS, {"client": HOME}, {"client": OFFICE}, "address limit"),
    ],
    ids=["user", "address"],
)


pytestmark = pytest.mark.usefixtures("nobody_is_left")


# --- refused -------------------------------------------------------------------------------------


@BOTH_LIMITS
@every_server
@both_colours
@virtual
async def test_one_connection_too_many_is_refused(colour, style, limits, same, other, cause, facts):
    consumer = limited(colour, **limits)
    inside = [await come(consumer, style=style, **same) for _ in range(2)]

    refused = await come(consumer, style=style, **same)
    stranger = await come(consumer, style=style, **other)

    assert [is_in(visit) for visit in (*inside, refused, stranger)] == [True, True, False, True]
    if style is UVICORN:
        assert refused.sent[0] == {
            "type": "websocket.http.response.start",
            "status": 429,
            "headers": [],
        }
    else:
        assert refused.sent == [{"type": "websocket.close"}]
    assert await refused.ended() is None
    assert refused.notes == []
    [record] = facts("connection.refused")
    assert (record.cause, record.code) == (cause, 3428)
    await leave_all(*inside, stranger)


@BOTH_LIMITS
@every_server
@both_colours
@virtual
async def test_a_client_of_the_protocol_is_told_not_to_come_back(
    colour, style, limits, same, other, cause
):
    consumer = limited(colour, **limits)
    inside = [await come_with_protocol(consumer, style=style, **same) for _ in range(2)]

    refused = await come_with_protocol(consumer, style=style, **same)

    assert refused.control_types() == ["hello", "bye"]
    bye = refused.controls[-1]
    assert (bye["code"], bye["verdict"], bye["after_ms"]) == (3428, "never", 0)
    assert refused.closes == [3428]
    assert await refused.ended() is None
    assert refused.notes == []
    await leave_all(*inside)


@virtual
async def test_each_refusal_counts():
    consumer = limited(**PER_USER)
    before = counts["connection.refused", "user limit"]
    inside = [await come(consumer, user=ANN) for _ in range(2)]

    for _ in range(5):
        await come(consumer, user=ANN)

    assert counts["connection.refused", "user limit"] - before == 5
    await leave_all(*inside)


@BOTH_LIMITS
@both_colours
@virtual
async def test_who_has_left_makes_room_at_once(colour, limits, same, other, cause):
    """Also while the handler for its end is at work: a page that is reloaded is not two."""

    class Slow(Listener):
        async def disconnect(self, code):
            await self.pause(1)

    consumer = limited(colour, Slow, **limits)
    inside = [await come(consumer, **same) for _ in range(2)]

    inside[0].client_closes(1001)
    await settle(0.1)
    again = await come(consumer, **same)

    assert not inside[0].task.done()
    if colour == "sync":
        await settle(2)  # all handlers share one thread
    assert is_in(again)
    assert not is_in(await come(consumer, **same))
    for visit in (*inside[1:], again):
        visit.client_vanishes()
    for visit in (*inside, again):
        assert await visit.ended() is None


@virtual
async def test_a_hundred_at_once_are_never_more_than_the_limit():
    consumer = limited(connections_per_user=7, connections_per_address=9)
    visits = [Visit(consumer, user=ANN, client=HOME) for _ in range(50)]
    visits += [Visit(consumer, user=user(n), client=HOME) for n in range(10, 60)]

    await settle(0.1)

    inside = [visit for visit in visits if is_in(visit)]
    assert len(inside) == 9
    assert sum(visit.scope["user"] is ANN for visit in inside) == 7
    await leave_all(*inside)


@pytest.mark.parametrize("ending", ["closes", "vanishes", "is refused", "fails", "is cancelled"])
@both_colours
@virtual
async def test_whatever_ends_a_connection_makes_room(colour, ending):
    class Ends(Listener):
        async def connect(self):
            if self.scope["ending"] == "is refused":
                await self.close()
            elif self.scope["ending"] == "fails":
                raise LookupError
            else:
                await self.accept()

    consumer = limited(colour, Ends, connections_per_user=1)
    for _ in range(3):
        visit = await come(consumer, user=ANN, ending=ending)
        assert ("websocket.close" in str(visit.sent)) is (ending in ("is refused", "fails"))
        if ending == "vanishes":
            visit.client_vanishes()
        elif ending == "is cancelled":
            visit.task.cancel()
        elif ending == "closes":
            visit.client_closes()
        await visit.ended()
        assert is_empty(crowds)


@virtual
async def test_a_thousand_connections_leave_nothing():
    consumer = limited(connections_per_user=2, connections_per_address=3, when_full="newest_wins")
    others = len(crowds._arrivals)
    for number in range(100):
        visits = [
            Visit(consumer, user=user(number * 10 + n // 2), client=(f"192.0.2.{n}", 1))
            for n in range(10)
        ]
        await settle(0.1)
        for visit in visits:
            visit.client_vanishes()
        for visit in visits:
            await visit.ended()

    assert is_empty(crowds)
    assert len(crowds._arrivals) <= others + 1
