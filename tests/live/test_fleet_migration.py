"""A fleet goes over to the hub, and back, one process after the other; nobody else notices."""

import os
from contextlib import AsyncExitStack, suppress

import pytest

from live.fleet.consumers import say
from live.fleet.peers import meet_in
from live.fleet.processes import finish, hub, plain, serving, start
from live.stage import until
from tour.brokers import Broker, available

pytestmark = [
    pytest.mark.live,
    pytest.mark.redis,
    pytest.mark.skipif(
        not available() and "CI" not in os.environ, reason="redis-server is not installed"
    ),
]

GROUP = "counted"
ENOUGH = 40
# A machine that is busy elsewhere for seconds must not look like a lost message.
ROOMY = {"capacity": 1000}
COLOURS = {plain: ["plain/async", "plain/sync"], hub: ["resilient/async", "resilient/sync"]}


class Process:
    """One server of the fleet, with some people; begun anew when it gets another layer."""

    def __init__(self, name, broker, home):
        self.name = name
        self.people = []
        self.gone = []
        self._broker = broker
        self._home = home
        self._stack = AsyncExitStack()

    async def run_on(self, layer):
        await self.stop()
        side = layer.__name__
        server = serving(self.name, self._home / self.name, layer(self._broker, **ROOMY))
        stage = await self._stack.enter_async_context(server)
        for colour in COLOURS[layer]:
            peer = await meet_in(stage, colour, GROUP, f"{colour} on {side} {self.name}")
            self._stack.push_async_callback(peer.aclose)
            self.people.append(peer)

    async def stop(self):
        self.gone += self.people
        self.people = []
        await self._stack.aclose()


@pytest.fixture
async def broker():
    async with Broker() as broker:
        yield broker


async def test_every_message_is_heard_once_by_all_who_are_not_restarted(broker, tmp_path):
    first, second = Process("uvicorn", broker, tmp_path), Process("daphne", broker, tmp_path)
    counter = await start(plain(broker), "count", GROUP)
    try:
        for process, layer in (
            (first, plain),
            (second, plain),
            (first, hub),
            (second, hub),
            (first, plain),  # and back again
            (second, plain),
        ):
            await process.run_on(layer)
            await all_hear(first.people + second.people)
            if first.people and second.people:
                await talk(first.people, second.people)
        counted = int(await finish(counter))
        people = first.people + second.people
        assert await until(lambda: all(peer.heard[counted - 1] for peer in people))
    finally:
        await first.stop()
        await second.stop()
        with suppress(ProcessLookupError):
            counter.kill()
        await counter.communicate()

    everybody = first.gone + second.gone
    assert len(everybody) == 12
    for peer in everybody:
        numbers = [text for text in peer.order if isinstance(text, int)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), peer.label


async def all_hear(peers):
    """Wait until each has heard something new, and not only a little."""
    before = [len(peer.order) for peer in peers]

    def have_heard():
        return all(len(peer.order) >= old + ENOUGH for peer, old in zip(peers, before, strict=True))

    assert await until(have_heard, 20), [(peer.label, len(peer.order)) for peer in peers]


async def talk(here, there):
    """Direct messages go both ways between two processes, whatever their layers."""
    pairs = [*zip(here, there, strict=True), *zip(there, here, strict=True)]
    for sender, receiver in pairs:
        text = f"{sender.name} to you"
        await sender.ask("send", receiver.name, say(text))
        assert await receiver.hears(text)
