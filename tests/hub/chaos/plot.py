"""What happens on one day: who comes, goes and speaks, and what becomes of the layer."""

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.chaos.cast import Actor, Declared, DeclaredElsewhere, Elsewhere, Player, Worker, news
from resilient_channels.layers import ResilientChannelLayer
from support.faults import FREEZE, HANG
from support.hubs import AnyLayer

GROUPS = ["lobby", *(f"group.{number}" for number in range(5))]
MOST_PLAYERS = 16
ERRORS = [
    ConnectionError("refused"),
    TimeoutError("read"),
    RuntimeError("pool is closed"),
    AttributeError("None"),
]
PAUSES = [0, 0, 0, 0.001, 0.05, 0.3, 1, 3]
CALM_BEFORE_SILENCE = 12.0
BREAKABLE = ["send", "new_channel", "group_add", "group_discard", "group_send"]

if TYPE_CHECKING:
    from collections.abc import Callable

Said = tuple[str, float]


@dataclass
class World:
    """One broker, one or two hubs around its layers, a bystander on a plain one.

    Attributes:
        layers: the wrapped layers, by alias.
        hubs: what is installed under these aliases.
        neighbour: another process's layer, which no script troubles.
        said: to which group each numbered event was sent, and when.
        told: the same for events to one channel.
        jobs: which worker each numbered job was for.
        is_calm: whether nothing has gone wrong all day.
    """

    layers: dict[str, AnyLayer]
    hubs: dict[str, ResilientChannelLayer]
    neighbour: Any
    players: list[Player] = field(default_factory=list)
    said: dict[int, Said] = field(default_factory=dict)
    told: dict[int, Said] = field(default_factory=dict)
    speakers: dict[int, object] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    jobs: dict[int, str] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)
    is_calm: bool = True
    troubles: Counter[str] = field(default_factory=Counter)
    _numbers: int = 0

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def note(self, what: str) -> None:
        self.story.append(f"{self.now:9.3f} {what}")

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def here(self, alias: str | None = None) -> list[Player]:
        """Those whose connection is open."""
        return [
            player for player in self.players if player.is_here and alias in (None, player.alias)
        ]

    async def announce(self, group: str) -> int:
        """Let the neighbour say something to a group; returns its number."""
        number = self.number()
        self.said[number] = (group, self.now)
        self.speakers[number] = self
        await self.neighbour.group_send(group, news(number))
        return number

    async def give_job(self, alias: str) -> None:
        """Let the neighbour send a job to the worker there."""
        number = self.number()
        self.jobs[number] = alias
        await self.neighbour.send(self.workers[alias].channel, {"type": "job", "number": number})


class Plot:
    """Draws one thing after the other, from a seed."""

    def __init__(self, world: World, rng: random.Random, *, troubles: bool) -> None:
        self._world = world
        self._rng = rng
        self._troubled_at = 0.0
        self._breakdowns: dict[str, asyncio.TimerHandle] = {}
        self._scenes: list[tuple[Callable[[], Any], int]] = [
            (self.come, 14),
            (self.go, 8),
            (self.join, 18),
            (self.leave, 12),
            (self.say, 16),
            (self.shout, 8),
            (self.tell, 6),
            (self.work, 6),
            (self.hear_from_afar, 14),
        ]
        if troubles:
            self._scenes += [(self.hiccup, 8), (self.break_down, 5), (self.forget, 3)]
            self._scenes += [(self.fall_silent, 2)]
        self._pace = rng.choice([1.0, 1.0, 0.1, 5.0])

    async def play(self, scenes: int) -> None:
        self.come()
        functions, weights = zip(*self._scenes, strict=True)
        for scene in self._rng.choices(functions, weights, k=scenes):
            await asyncio.sleep(self._rng.choice(PAUSES) * self._pace)
            done = scene()
            if done is not None:
                await done

    def end(self) -> None:
        """No more trouble."""
        for timer in self._breakdowns.values():
            timer.cancel()
        for layer in self._world.layers.values():
            layer.heal()

    # -- the players ----------------------------------------------------------

    def come(self) -> None:
        world = self._world
        if len(world.here()) >= MOST_PLAYERS:
            return
        consumers: list[type] = [Actor, Declared, Declared]
        if "other" in world.layers:
            consumers += [Elsewhere, DeclaredElsewhere]
        for _ in range(self._rng.choice([1, 1, 1, 2, 5])):
            player = Player(self._rng.choice(consumers))
            world.players.append(player)
            world.note(f"{len(world.players) - 1} comes as {type(player.consumer).__name__}")

    def go(self) -> None:
        player = self._anybody(least=2)
        if player is None:
            return
        way = self._rng.choice(["closes", "vanishes", "is cancelled"])
        self._world.note(f"{self._world.players.index(player)} {way}")
        if way == "closes":
            player.client_closes()
        elif way == "vanishes":
            player.client_vanishes()
        else:
            player.client_is_gone = True
            assert player.task is not None
            player.task.cancel()

    def join(self) -> None:
        self._order(f"join {self._rng.choice(GROUPS)}", self._rng.choice([1, 1, 4]))

    def leave(self) -> None:
        self._order(f"leave {self._rng.choice(GROUPS)}", self._rng.choice([1, 1, 4]))

    def say(self) -> None:
        self._speak("say")

    def shout(self) -> None:
        self._speak("shout")

    def _speak(self, verb: str) -> None:
        player = self._anybody()
        if player is not None:
            number, group = self._world.number(), self._rng.choice(GROUPS)
            self._world.said[number] = (group, self._world.now)
            self._world.speakers[number] = player
            self._tell(player, f"{verb} {group} {number}")

    async def work(self) -> None:
        if self._world.workers:
            alias = self._rng.choice(list(self._world.workers))
            self._world.note(f"a job for {alias}")
            await self._world.give_job(alias)

    def tell(self) -> None:
        player, other = self._anybody(), self._anybody()
        if player is not None and other is not None:
            number = self._world.number()
            self._world.told[number] = (other.channel, self._world.now)
            self._tell(player, f"tell {other.channel} {number}")

    async def hear_from_afar(self) -> None:
        for _ in range(self._rng.choice([1, 1, 5])):
            group = self._rng.choice(GROUPS)
            number = await self._world.announce(group)
            self._world.note(f"from afar: {number} to {group}")

    def _order(self, order: str, count: int) -> None:
        for _ in range(count):
            player = self._anybody()
            if player is not None:
                self._tell(player, order)

    def _tell(self, player: Player, order: str) -> None:
        self._world.note(f"{self._world.players.index(player)} is told: {order}")
        player.client_sends(order)

    def _anybody(self, least: int = 1) -> Player | None:
        """One of those who are here, if there are enough; per process, so that one stays."""
        crowds: defaultdict[str, list[Player]] = defaultdict(list)
        for player in self._world.here():
            crowds[player.alias].append(player)
        here = [player for crowd in crowds.values() if len(crowd) >= least for player in crowd]
        return self._rng.choice(here) if here else None

    # -- the layer ------------------------------------------------------------

    def _trouble(self, what: str) -> None:
        self._world.is_calm = False
        self._troubled_at = self._world.now
        self._world.note(what)

    def hiccup(self) -> None:
        alias, layer = self._rng.choice(list(self._world.layers.items()))
        operation, fault = self._rng.choice(BREAKABLE), self._rng.choice([*ERRORS, HANG])
        # Each call that hangs takes its whole deadline. What fails for too long is given up.
        times = self._rng.choice([1, 2] if fault == HANG else [1, 1, 2, 3, 8])
        if self._rng.random() < 0.3:
            layer.fail_late(operation, fault, times)
            self._trouble(f"{alias}: {times} answers of {operation} are lost: {fault!r}")
        elif self._rng.random() < 0.2:
            layer.interrupt_receivers(self._rng.choice(ERRORS))
            self._trouble(f"{alias}: receivers are interrupted")
        else:
            layer.fail(operation, fault, times)
            self._trouble(f"{alias}: {operation} fails {times} times: {fault!r}")

    def break_down(self) -> None:
        alias, layer = self._rng.choice(list(self._world.layers.items()))
        operations = self._rng.choice([[], [], [], ["receive"], self._rng.sample(BREAKABLE, 2)])
        fault = self._rng.choice(ERRORS if operations else [*ERRORS, FREEZE])
        # What is refused for long beside a probe that succeeds is given up in the end.
        seconds = self._rng.choice([0.2, 1] if operations else [0.2, 2, 8, 30])
        layer.break_down(fault, *operations)
        self._trouble(f"{alias}: down for {seconds} s: {operations or 'all'}, {fault!r}")
        if alias in self._breakdowns:
            self._breakdowns[alias].cancel()
        loop = asyncio.get_running_loop()
        self._breakdowns[alias] = loop.call_later(seconds, self._heal, alias)

    def fall_silent(self) -> None:
        """Every link that waits for an event is dead from now on, and nobody is told.

        Not in a row with other trouble: a probe that begins to listen only afterwards, because it
        was just about to begin anew, proves nothing for the others.
        """
        if self._world.now - self._troubled_at > CALM_BEFORE_SILENCE:
            alias, layer = self._rng.choice(list(self._world.layers.items()))
            layer.interrupt_receivers(HANG)
            self._trouble(f"{alias}: whoever receives will wait for ever")

    def _heal(self, alias: str) -> None:
        self._trouble(f"{alias}: up again")
        self._world.layers[alias].heal()

    def forget(self) -> None:
        layer = self._rng.choice(list(self._world.layers.values()))
        if self._rng.random() < 0.5:
            layer.lose_groups()
            self._trouble("all groups are forgotten")
        else:
            group = self._rng.choice(GROUPS)
            layer.lose_group(group)
            self._trouble(f"{group} is forgotten")
