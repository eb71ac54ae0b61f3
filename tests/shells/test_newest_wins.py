"""Of too many connections the oldest is closed, and told that a newer one took its place."""

from typing import Any

import pytest

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
    is_in,
    leave_all,
    user,
)
from shells.mounts import mount, plain
from shells.visits import Visit, both_colours, build, note, settle
from support.loop import virtual

pytestmark = pytest.mark.usefixtures("nobody_is_left")


def limited(colour: str = "async", consumer: type = Listener, **limits: Any) -> Any:
    return build(consumer, colour, LIMITS={"when_full": "newest_wins", **limits})


@every_server
@both_colours
@virtual
async def test_the_oldest_one_goes_and_the_new_one_comes_in(colour, style, facts):
    consumer = limited(colour, connections_per_user=2)
    before = counts["connection.replaced", "user limit"]
    visits = [await come(consumer, style=style, user=ANN) for _ in range(2)]
    stranger = await come(consumer, style=style, user=BOB)

    visits.append(await come(consumer, style=style, user=ANN))
    await settle(1)

    assert [is_in(visit) for visit in visits] == [False, True, True]
    assert await visits[0].ended() is None
    assert visits[0].closes == [3409]
    assert visits[0].notes == [("closed by us", 3409), ("disconnect", 3409)]
    [record] = facts("connection.replaced")
    assert record.cause == "user limit"
    assert counts["connection.replaced", "user limit"] - before == 1
    [closed] = facts("connection.closed")
    assert (closed.code, closed.kind, closed.connection) == (3409, "server", record.connection)
    assert facts("connection.refused") == []
    assert is_in(stranger)
    await leave_all(*visits[1:], stranger)


@both_colours
@virtual
async def test_a_client_of_the_protocol_is_told_that_it_was_replaced(colour):
    consumer = limited(colour, connections_per_user=1)
    first = await come_with_protocol(consumer, user=ANN)

    second = await come_with_protocol(consumer, user=ANN)

    bye = first.controls[-1]
    assert (bye["type"], bye["code"], bye["verdict"]) == ("bye", 3409, "never")
    assert bye["reason"] == "replaced"
    assert first.closes == [3409]
    assert await first.ended() is None
    await second.leave()


@virtual
async def test_the_oldest_connection_from_an_address_goes():
    consumer = limited(connections_per_address=1)
    first, other = await come(consumer, client=HOME), await come(consumer, client=OFFICE)

    second = await come(consumer, client=HOME)
    await settle(1)

    assert [is_in(visit) for visit in (first, second, other)] == [False, True, True]
    await first.ended()
    await leave_all(second, other)


@virtual
async def test_with_two_limits_each_finds_its_own_to_go():
    consumer = limited(connections_per_user=1, connections_per_address=2)
    office = await come(consumer, user=ANN, client=OFFICE)
    home = [await come(consumer, user=user(n), client=HOME) for n in (10, 11)]

    new = await come(consumer, user=ANN, client=HOME)
    await settle(1)

    assert not is_in(office)
    assert [is_in(visit) for visit in home] == [False, True]
    assert is_in(new)
    for visit in (office, home[0]):
        await visit.ended()
    await leave_all(new, home[1])


@virtual
async def test_who_counts_for_both_limits_goes_once():
    consumer = limited(connections_per_user=1, connections_per_address=1)
    first = await come(consumer, user=ANN, client=HOME)

    second = await come(consumer, user=ANN, client=HOME)
    await settle(1)

    assert first.closes == [3409]
    assert is_in(second)
    await first.ended()
    await leave_all(second)


@both_colours
@virtual
async def test_of_a_hundred_at_once_the_last_ones_stay(colour):
    consumer = limited(colour, connections_per_user=3)

    visits = [Visit(consumer, user=ANN) for _ in range(100)]
    await settle(30)

    assert [is_in(visit) for visit in visits] == [False] * 97 + [True] * 3
    for visit in visits[:97]:
        assert await visit.ended() is None
    await leave_all(*visits[97:])


@virtual
async def test_one_that_is_not_in_yet_can_be_replaced(facts):
    class Slow(Listener):
        async def connect(self):
            note(self, "connecting")
            await self.pause(5)
            await self.accept()
            note(self, "connected")

    consumer = limited(consumer=Slow, connections_per_user=1)
    first = await come(consumer, user=ANN)
    second = await come(consumer, user=ANN)
    await settle(20)

    assert [sent["type"] for sent in first.sent] == ["websocket.close"]
    assert await first.ended() is None
    assert is_in(second)
    [record] = facts("connection.refused")
    assert (record.cause, record.code) == ("replaced", 3409)
    await second.leave()


@both_colours
@virtual
async def test_what_the_replaced_client_has_sent_is_still_handled(colour):
    consumer = limited(colour, connections_per_user=1)
    first = await come(consumer, user=ANN)
    first.client_sends("work 2")
    first.client_sends("last words")
    await settle(1)

    second = await come(consumer, user=ANN)
    assert await first.ended() is None

    assert first.notes[:3] == ["work 2", "worked", "last words"]
    await settle(5)
    await second.leave()


@virtual
async def test_a_client_that_does_not_read_is_replaced_all_the_same():
    async def never(message):
        if message["type"] == "websocket.close":
            await settle(10_000)

    consumer = limited(connections_per_user=1)
    first = await come(consumer, user=ANN, on_send=never)

    second = await come(consumer, user=ANN)

    assert is_in(second)
    assert await first.ended() is None
    assert first.notes[-1] == ("disconnect", 3409)
    await settle(60)  # after SEND.deadline nobody waits for its server any longer
    await second.leave()


@both_colours
@virtual
async def test_what_is_behind_a_middleware_is_replaced_too(colour):
    limits = {"connections_per_user": 1, "when_full": "newest_wins"}
    application = mount(plain(Listener, colour), LIMITS=limits)
    first = await come(application, user=ANN)

    second = await come(application, user=ANN)

    assert await first.ended() is None
    assert first.closes == [3409]
    assert first.notes == [("disconnect", 3409)]
    assert is_in(second)
    await second.leave()
