"""New connections per second: more are sent away, and told to come back at different times."""

import pytest
from django.test import override_settings

from resilient_channels.crowds import crowds
from shells.clients import Listener
from shells.crowd import (
    ANN,
    HOME,
    come,
    come_with_protocol,
    every_server,
    is_in,
    leave_all,
    limited,
)
from shells.visits import Visit, both_colours, build, settle
from support.loop import virtual
from support.servers import UVICORN

RATE = {"new_per_second": 10, "new_burst": 5}


pytestmark = pytest.mark.usefixtures("nobody_is_left")


@every_server
@both_colours
@virtual
async def test_more_than_come_in_at_once_are_sent_away(colour, style, facts):
    consumer = limited(colour, **RATE)

    visits = [Visit(consumer, style=style) for _ in range(8)]
    await settle(0.01)

    assert [is_in(visit) for visit in visits] == [True] * 5 + [False] * 3
    for visit in visits[5:]:
        if style is UVICORN:
            start = visit.sent[0]
            assert start["status"] == 503
            [(name, seconds)] = start["headers"]
            assert name == b"retry-after"
            assert int(seconds) >= 1
        else:
            assert visit.sent == [{"type": "websocket.close"}]
        assert await visit.ended() is None
    causes = {(record.cause, record.code) for record in facts("connection.refused")}
    assert causes == {("too many at once", 3503)}
    await leave_all(*visits[:5])


@virtual
async def test_clients_of_the_protocol_are_given_different_times():
    consumer = limited(new_per_second=10, new_burst=1)

    clients = [await come_with_protocol(consumer) for _ in range(1)]
    clients += [Visit(consumer, subprotocols=["resilient.v1"]) for _ in range(100)]
    await settle(0.01)

    byes = [visit.texts[-1] for visit in clients[1:] if len(visit.texts) > 1]
    waits = sorted(int(text.partition('"after_ms":')[2].strip(" }")) for text in byes)
    assert len(waits) == len(set(waits)) >= 90
    assert waits[0] < 1000
    assert waits[-1] > 5000
    for client in clients[1:]:
        await client.ended() if not is_in(client) else await client.leave()
    await clients[0].leave()


@virtual
async def test_a_client_of_the_protocol_is_told_when_to_come_back():
    consumer = limited(new_per_second=1, new_burst=1)
    first = await come(consumer)

    refused = await come_with_protocol(consumer)

    assert refused.control_types() == ["hello", "bye"]
    bye = refused.controls[-1]
    assert (bye["code"], bye["verdict"]) == (3503, "backoff")
    assert 300 <= bye["after_ms"] <= 1500
    assert refused.closes == [3503]
    await refused.ended()
    await leave_all(first)


@virtual
async def test_by_default_those_of_two_seconds_come_in_at_once():
    consumer = limited(new_per_second=3)

    visits = [Visit(consumer) for _ in range(10)]
    await settle(0.01)

    assert sum(is_in(visit) for visit in visits) == 6
    for visit in visits:
        visit.client_closes()
        await visit.ended()


@virtual
async def test_time_lets_more_come_in():
    consumer = limited(new_per_second=11, new_burst=1)

    visits = [await come(consumer) for _ in range(20)]  # 0.1 s each

    assert all(is_in(visit) for visit in visits)
    await leave_all(*visits)


@virtual
async def test_who_is_refused_for_another_reason_uses_up_nothing():
    consumer = limited(new_per_second=0.01, new_burst=2, connections_per_address=1)
    first = await come(consumer, client=HOME)
    for _ in range(50):
        assert not is_in(await come(consumer, client=HOME))

    other = await come(consumer, client=("192.0.2.9", 1))

    assert is_in(other)
    await leave_all(first, other)


@virtual
async def test_nobody_has_to_go_for_one_that_may_not_come_in():
    consumer = limited(
        connections_per_user=1, when_full="newest_wins", new_per_second=0.01, new_burst=1
    )
    first = await come(consumer, user=ANN)

    second = await come(consumer, user=ANN)

    assert is_in(first)
    assert not is_in(second)
    await leave_all(first)


@virtual
async def test_the_rate_of_the_setting_is_for_all_and_that_of_a_class_for_itself():
    rate = {"new_per_second": 0.01, "new_burst": 2}
    with override_settings(RESILIENT_CHANNELS={"LIMITS": rate}):
        own = limited(new_per_second=0.01, new_burst=1)
        common = [await come(build(Listener)) for _ in range(3)]
        apart = [await come(own) for _ in range(2)]

        assert [is_in(visit) for visit in common] == [True, True, False]
        assert [is_in(visit) for visit in apart] == [True, False]
        await leave_all(*common[:2], apart[0])


@virtual
async def test_rates_that_are_at_rest_are_not_kept():
    kinds = [type(f"C{number}", (Listener,), {}) for number in range(100)]

    visits = [await come(build(kind, LIMITS={"new_per_second": 1000})) for kind in kinds]

    assert len(crowds._arrivals) <= 2
    await leave_all(*visits)
