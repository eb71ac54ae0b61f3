"""Connections of one user and of one address: never more than the limit, and counted as long as
they are open."""

import asyncio
from typing import Any

import pytest
from channels.auth import UserLazyObject
from django.test import override_settings
from django.utils.functional import SimpleLazyObject

from resilient_channels import crowds as module
from resilient_channels.crowds import Crowds, crowds
from resilient_channels.observers import counts
from shells.clients import Listener
from shells.crowd import (
    ANN,
    BOB,
    HOME,
    OFFICE,
    come,
    come_with_protocol,
    is_empty,
    is_in,
    leave_all,
    user,
)
from shells.visits import Visit, both_colours, build, settle
from support.loop import virtual
from support.servers import ALL_STYLES, UVICORN

every_server = pytest.mark.parametrize("style", ALL_STYLES, ids=lambda style: style.name)

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


@pytest.fixture(autouse=True)
def nobody_is_left(monkeypatch):
    assert is_empty(crowds)
    yield
    assert is_empty(crowds)


def limited(colour: str = "async", consumer: type = Listener, **limits: Any) -> Any:
    return build(consumer, colour, LIMITS=limits)


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
            await self.pause(5)

    consumer = limited(colour, Slow, **limits)
    inside = [await come(consumer, **same) for _ in range(2)]

    inside[0].client_closes(1001)
    await settle(0.1)
    again = await come(consumer, **same)

    assert is_in(again)
    assert not inside[0].task.done()
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
            if ending == "is refused":
                await self.close()
            elif ending == "fails":
                raise LookupError
            else:
                await self.accept()

    consumer = limited(colour, Ends, connections_per_user=1)
    for _ in range(3):
        visit = await come(consumer, user=ANN)
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
async def test_ten_thousand_connections_leave_nothing():
    consumer = limited(connections_per_user=2, connections_per_address=3, when_full="newest_wins")
    for number in range(1000):
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
    assert len(crowds._arrivals) <= 1


# --- who is counted ------------------------------------------------------------------------------


@virtual
async def test_whoever_is_not_known_is_not_counted_by_user():
    consumer = limited(connections_per_user=1)
    nobody = UserLazyObject()
    scopes = [{}, {"user": None}, {"user": nobody}, {"user": SimpleLazyObject(lambda: 1 / 0)}]

    visits = [await come(consumer, **scope) for scope in scopes * 2]

    assert all(is_in(visit) for visit in visits)
    await leave_all(*visits)


@virtual
async def test_a_user_that_the_middleware_around_has_found_out_is_counted():
    ready = UserLazyObject()
    ready._wrapped = ANN
    consumer = limited(connections_per_user=1)

    first = await come(consumer, user=ready)

    assert not is_in(await come(consumer, user=ANN))
    await leave_all(first)


@virtual
async def test_without_an_address_nobody_is_counted_by_it():
    consumer = limited(connections_per_address=1)

    visits = [await come(consumer, client=client) for client in (None, None, ("", 0), ("", 0))]

    assert all(is_in(visit) for visit in visits)
    await leave_all(*visits)


@virtual
async def test_behind_a_trusted_proxy_its_clients_are_counted():
    consumer = limited(connections_per_address=1, trusted_proxies=["10.0.0.0/8"])

    async def through(*forwarded: bytes) -> Visit:
        headers = [(b"x-forwarded-for", value) for value in forwarded]
        return await come(consumer, client=("10.0.0.1", 1), headers=headers)

    first, other = await through(b"192.0.2.1"), await through(b"192.0.2.2")

    assert is_in(first)
    assert is_in(other)
    assert not is_in(await through(b"6.6.6.6, 192.0.2.1"))
    assert not is_in(await through(b"6.6.6.6", b"192.0.2.1"))
    await leave_all(first, other)


@virtual
async def test_a_network_of_64_bits_is_one_address():
    consumer = limited(connections_per_address=1)

    first = await come(consumer, client=("2001:db8:0:1::1", 1))
    other = await come(consumer, client=("2001:db8:0:2::1", 1))

    assert is_in(other)
    assert not is_in(await come(consumer, client=("2001:db8:0:1:ffff::", 1)))
    await leave_all(first, other)


# --- who is counted together ---------------------------------------------------------------------


class Chat(Listener):
    pass


class Game(Listener):
    pass


@virtual
async def test_a_limit_of_the_setting_is_for_all_classes_together():
    with override_settings(RESILIENT_CHANNELS={"LIMITS": PER_USER}):
        inside = [await come(build(cls), user=ANN) for cls in (Chat, Game)]

        assert not is_in(await come(build(Chat), user=ANN))
        await leave_all(*inside)


@virtual
async def test_a_limit_of_a_class_is_for_this_class_alone():
    with override_settings(RESILIENT_CHANNELS={"LIMITS": PER_USER}):
        chat, game = limited(consumer=Chat, connections_per_user=1), build(Game)

        inside = [await come(cls, user=ANN) for cls in (chat, game, game)]

        assert all(is_in(visit) for visit in inside)
        assert not is_in(await come(chat, user=ANN))
        assert not is_in(await come(game, user=ANN))
        await leave_all(*inside)


@virtual
async def test_classes_that_inherit_a_limit_are_counted_together():
    base = limited(connections_per_user=1)
    one, other = (type(name, (base,), {"__module__": __name__}) for name in ("One", "Other"))

    first = await come(one, user=ANN)

    assert not is_in(await come(other, user=ANN))
    await leave_all(first)


@virtual
async def test_a_class_may_lift_the_limit_of_the_setting():
    with override_settings(RESILIENT_CHANNELS={"LIMITS": PER_USER}):
        consumer = limited(connections_per_user=None)
        visits = [await come(consumer, user=ANN) for _ in range(5)]

        assert all(is_in(visit) for visit in visits)
        await leave_all(*visits)


@virtual
async def test_without_limits_nothing_is_kept():
    visits = [await come(build(Listener), user=ANN, client=HOME) for _ in range(5)]

    assert is_empty(crowds)
    assert module.current_seat.get() is None
    await leave_all(*visits)


# --- another event loop --------------------------------------------------------------------------


def test_two_event_loops_count_together():
    held = Crowds()
    done: list[Any] = []

    class Stub:
        """As much of a connection as is asked for here."""

        def __init__(self, number: int) -> None:
            self.id = f"c{number}"
            self.policies = build(Listener)  # replaced below
            self.scope = {"user": ANN}
            self.loop = asyncio.get_running_loop()

    async def enter(number: int) -> None:
        from resilient_channels.conf import get_policies

        stub = Stub(number)
        stub.policies = get_policies(limited(connections_per_user=3))
        done.append((stub, held.enter(stub)))

    for number in range(5):
        asyncio.run(enter(number))

    assert [refusal is None for _, refusal in done] == [True, True, True, False, False]
    for stub, _ in done:
        held.leave(stub)
    assert is_empty(held)
