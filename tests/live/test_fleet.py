"""Processes on the plain layer and on the hub are one fleet, before and after Redis restarts."""

import asyncio
import os
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from itertools import product

import pytest

from live.fleet.consumers import say
from live.fleet.peers import meet_in
from live.fleet.processes import Worker, hub, plain, run, serving
from live.stage import until
from tour.brokers import Broker, available

pytestmark = [
    pytest.mark.live,
    pytest.mark.redis,
    pytest.mark.skipif(
        not available() and "CI" not in os.environ, reason="redis-server is not installed"
    ),
]

GROUP = "everybody"
LAYERS = {"plain": plain, "hub": hub}
ON_PLAIN = ["plain/async", "plain/sync"]
# The last one is what a project has that configures the hub and changes no consumer.
ON_HUB = ["resilient/async", "resilient/sync", "plain/async"]


@pytest.fixture
async def broker():
    async with Broker() as broker:
        yield broker


class Fleet:
    """One server on the plain layer, one on the hub, and a worker; an async context manager.

    Attributes:
        worker_side: Which layer the worker is on.
    """

    def __init__(self, broker, home, *, plain_server, hub_server, worker_side):
        self.broker = broker
        self.worker_side = worker_side
        self.hub_peers = []
        self.plain_peers = []
        self._home = home
        self._servers = (plain_server, hub_server)
        self._stack = AsyncExitStack()

    async def __aenter__(self):
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *error):
        await self._stack.aclose()

    async def _start(self):
        enter = self._stack.enter_async_context
        plain_server, hub_server = self._servers
        self.plain_stage, self.hub_stage, _ = await asyncio.gather(
            enter(serving(plain_server, self._home / "plain", plain(self.broker))),
            enter(serving(hub_server, self._home / "hub", hub(self.broker))),
            self.hire(),
        )
        self.hub_peers = [await self._join(self.hub_stage, "hub", colour) for colour in ON_HUB]
        self.plain_peers = await self._plain_people()

    async def hire(self):
        """Start a worker; the one before may have ended."""
        layer = LAYERS[self.worker_side](self.broker)
        self.worker = await self._stack.enter_async_context(Worker(self._home, layer))

    async def replace_plain_peers(self):
        """The sockets of the plain server have ended with Redis, or are deaf."""
        for peer in self.plain_peers:
            await peer.aclose()
        self.plain_peers = await self._plain_people()

    async def _plain_people(self):
        return [await self._join(self.plain_stage, "plain", colour) for colour in ON_PLAIN]

    async def _join(self, stage, side, colour):
        peer = await meet_in(stage, colour, GROUP, f"{colour} on {side}")
        self._stack.push_async_callback(peer.aclose)
        return peer

    @property
    def peers(self):
        return [*self.plain_peers, *self.hub_peers]

    @property
    def across(self):
        """Pairs of peers of different servers, in both directions."""
        pairs = list(product(self.plain_peers, self.hub_peers))
        return [*pairs, *((there, here) for here, there in pairs)]


class Round:
    """What was sent, and who has to hear it, once."""

    def __init__(self, fleet, title):
        self.fleet = fleet
        self.title = title
        self._due = defaultdict(Counter)

    def expect(self, text, peers):
        text = f"{self.title}: {text}"
        for peer in peers:
            self._due[peer][text] += 1
        return text

    async def groups(self):
        for peer in self.fleet.peers:
            for way in ("group_send", "notify", "safe_group_send"):
                text = self.expect(f"{way} of {peer.label}", self.fleet.peers)
                await peer.ask(way, GROUP, say(text))
            text = self.expect(f"broadcast of {peer.label}", self.fleet.peers)
            assert await peer.ask("share", GROUP, {"said": text}) == "sent"

    async def directs(self):
        for sender, receiver in self.fleet.across:
            text = self.expect(f"{sender.label} to {receiver.label}", [receiver])
            await sender.ask("send", receiver.name, say(text))

    async def errands(self):
        """Each sends the worker off to a group, and to a consumer of the other process."""
        for channel, (sender, receiver) in product(("thumbnails", "previews"), self.pairs()):
            text = f"{channel} for {sender.label}"
            self.expect(f"{text} by group_send", self.fleet.peers)
            self.expect(f"{text} by send", [receiver])
            errand = {"group": GROUP, "channel": receiver.name, "text": f"{self.title}: {text}"}
            await sender.ask("send", channel, {"type": "make", **errand})

    def pairs(self):
        fleet = self.fleet
        return [
            *zip(fleet.plain_peers, fleet.hub_peers, strict=False),
            *zip(fleet.hub_peers, [*fleet.plain_peers, fleet.plain_peers[0]], strict=True),
        ]

    async def commands(self):
        names = [peer.name for peer in self.fleet.peers]
        commands = []
        for side, layer in LAYERS.items():
            text = f"a command on {side}"
            self.expect(f"{text} by notify", self.fleet.peers)
            self.expect(f"{text} by group_send", self.fleet.peers)
            self.expect(f"{text} by send", self.fleet.peers)
            self.expect(f"{text} through the worker by group_send", self.fleet.peers)
            self.expect(f"{text} through the worker by send", self.fleet.peers[:1])
            arguments = ("announce", GROUP, f"{self.title}: {text}", *names)
            commands.append(run(layer(self.fleet.broker), *arguments))
        assert await asyncio.gather(*commands) == ["sent\n", "sent\n"]

    async def question_to_the_worker(self):
        """A group that only the worker's own channel is in; it has joined long ago."""
        for peer in self.fleet.peers:
            text = self.expect(f"the worker's answer to {peer.label}", [peer])
            event = {"type": "chat.question", "channel": peer.name, "text": text}
            await peer.ask("group_send", "workers", event)

    def differences(self):
        """Who has not heard what was due, or has heard what was not."""
        found = []
        for peer in self.fleet.peers:
            heard = Counter(
                {text: n for text, n in peer.heard.items() if text.startswith(self.title)}
            )
            due = self._due[peer]
            found += [f"{peer.label} missed {text}" for text in due - heard]
            found += [f"{peer.label} heard once too often {text}" for text in heard - due]
        return found

    async def check(self):
        await until(lambda: not self.differences(), 8)
        assert self.differences() == []


async def everything_arrives(fleet, title):
    round = Round(fleet, title)
    await round.groups()
    await round.directs()
    await round.errands()
    await round.question_to_the_worker()
    await round.commands()
    await round.check()
    return round


async def worker_joins(fleet):
    peer = fleet.peers[0]
    await peer.ask("send", "previews", {"type": "join", "group": "workers", "channel": peer.name})
    assert await until(lambda: peer.heard.pop("joined", 0))


@pytest.mark.parametrize(
    "roles",
    [
        {"plain_server": "daphne", "hub_server": "uvicorn", "worker_side": "hub"},
        {"plain_server": "uvicorn", "hub_server": "daphne", "worker_side": "plain"},
    ],
    ids=lambda roles: " ".join(roles.values()),
)
async def test_everybody_reaches_everybody_before_and_after_a_restart_of_redis(
    roles, broker, tmp_path
):
    async with Fleet(broker, tmp_path, **roles) as fleet:
        hub_peers, worker = fleet.hub_peers, fleet.worker
        await worker_joins(fleet)
        before = await everything_arrives(fleet, "before")

        await restart(broker, fleet)

        assert [peer.ending for peer in hub_peers] == [None] * len(hub_peers)
        if fleet.worker_side == "hub":
            assert not worker.has_ended
            await fleet.replace_plain_peers()
        else:
            await fleet.hire()
            await fleet.replace_plain_peers()
            await worker_joins(fleet)
        await everything_arrives(fleet, "after")
        assert before.differences() == [], "something came late, or twice"
        events = fleet.hub_stage.events()
        assert (events["layer.down"], events["layer.up"]) == (1, 1)
        assert "Traceback" not in fleet.hub_stage.log()


async def restart(broker, fleet):
    """Kill Redis, let everybody notice, and start it again with nothing in it."""
    await broker.kill()
    assert await until(lambda: fleet.hub_stage.events()["layer.down"], 8)
    for peer in fleet.hub_peers:
        await peer.ask("echo")
    if fleet.worker_side == "plain":
        # Nobody keeps it: that is what its supervisor at home would see, too.
        assert await until(lambda: fleet.worker.has_ended, 15)
    await broker.restart()
    assert await until(lambda: fleet.hub_stage.events()["layer.up"], 8)
    if fleet.worker_side == "hub":
        assert await until(lambda: "layer.up" in fleet.worker.log(), 8)
