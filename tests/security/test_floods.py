"""What a client costs that answers, asks or knocks without end."""

import time

import pytest

from resilient_channels.core.origins import parse_origin
from resilient_channels.core.subprotocols import read_offer
from resilient_channels.registry import registry
from shells.clients import V1, Listener, control, greeted
from shells.visits import Visit, both_colours, build, note, open_visit, settle
from support.loop import virtual


def timers(visit: Visit) -> int:
    """How many deadlines of the library's, and timers of the loop, there are."""
    driver = visit.consumer._resilient_driver
    waiting = sum(map(len, driver.wheel._slots.values()))
    return waiting + len(driver.loop._scheduled)


@both_colours
@virtual
async def test_however_many_pongs_come_there_is_one_heartbeat_and_one_timer(colour):
    client = await greeted(build(Listener, colour))
    await settle(2)
    before, tasks = timers(client), len(client.loop.pending_tasks())

    for number in range(1000):
        client.client_sends(control(type="pong", n=number))
        client.client_sends(control(type="hello", version=1))
    await settle()

    assert timers(client) <= before + 1
    assert len(client.loop.pending_tasks()) == tasks
    await client.leave()


@virtual
async def test_pongs_without_end_bring_no_ping_forward():
    client = await greeted(build(Listener))

    for second in range(100):
        for number in range(10):
            client.client_sends(control(type="pong", n=number + second))
        await settle(1)

    assert len(client.pings) <= 1 + 100 / 22.5
    await client.leave()


@both_colours
@virtual
async def test_a_handshake_that_nobody_decides_does_not_stay(colour):
    class Ponders(Listener):
        async def connect(self):
            await self.pause(60)

        async def disconnect(self, code):
            note(self, "disconnect", code)

    ponders = build(Ponders, colour, HANDSHAKE={"timeout": 10.0}, TEARDOWN={"timeout": 1.0})
    before = len(registry)
    visits = [Visit(ponders, path=f"/{number}") for number in range(20)]
    await settle(15)

    assert all(visit.closed and not visit.accepted for visit in visits)
    if colour == "async":  # a sync handler keeps its thread as long as it likes
        assert len(registry) == before
    for visit in visits:
        await visit.ended()
    assert len(registry) == before
    await settle(60 * len(visits))  # until the thread of all sync code has done its work


LONG = 100_000


@pytest.mark.parametrize("text", [
    "https://" + "a" * LONG, "https://" + "a." * LONG, "https://[" + ":" * LONG,
    "a" * LONG, "https://a:" + "9" * LONG, "https://" + "-" * LONG + "!",
])  # fmt: skip
def test_an_origin_without_end_costs_no_time(text: str):
    began = time.process_time()

    for _ in range(100):
        assert parse_origin(text) is None

    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("offered", [
    [f"{V1}." + "a" * LONG], [f"{V1}." * LONG], [f"{V1}.a b" * 1000],
    [f"{V1}.{number}" for number in range(LONG)], [" " * LONG, V1],
], ids=["long", "repeated", "spaces", "many", "blank"])  # fmt: skip
def test_an_offer_without_end_costs_no_time(offered: list[str]):
    began = time.process_time()

    offer = read_offer(offered)

    assert time.process_time() - began < 1.0
    assert offer is None or all(len(name) <= 200 for name in offer.combined)


@virtual
async def test_nothing_that_a_client_made_up_is_answered_in_a_header():
    """Only what an application has chosen, or a subprotocol that is one, comes back."""
    made_up = [f"{V1}.a\r\nset-cookie: x=y", f"{V1}.chät", f"{V1}. ", f"{V1}.\x00", f"{V1}."]

    visit = await open_visit(build(Listener), subprotocols=made_up)

    [accept] = visit.sent_of_type("websocket.accept")
    assert accept.get("subprotocol") is None
    assert accept.get("headers", []) == []
    await visit.leave()
    for made in made_up:
        assert read_offer([made]) is None
