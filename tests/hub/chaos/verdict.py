"""What must hold after any day, whatever went wrong on it."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from hub.chaos.cast import Player
from hub.chaos.plot import GROUPS, World

ALARMS = {"layer.down", "layer.membership_lost", "handler.cut_off"}


class Broken(AssertionError):
    """Something that had to hold does not."""


def claim(holds: object, what: str) -> None:
    if not holds:
        raise Broken(what)


class Records(logging.Handler):
    """What the library logged, DEBUG left out."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def of(self, name: str, alias: str) -> list[logging.LogRecord]:
        return [
            record
            for record in self.records
            if record.getMessage() == name and getattr(record, "alias", None) == alias
        ]

    @property
    def alarms(self) -> set[str]:
        return {record.getMessage() for record in self.records if record.levelno >= logging.WARNING}


@contextmanager
def recording() -> Iterator[Records]:
    """Collect the library's records."""
    logger = logging.getLogger("resilient_channels")
    records, level = Records(), logger.level
    logger.addHandler(records)
    logger.setLevel(logging.INFO)
    try:
        yield records
    finally:
        logger.removeHandler(records)
        logger.setLevel(level)


def who(world: World, player: Player) -> str:
    return f"{world.players.index(player)} ({player.alias})"


def check_connections(world: World) -> None:
    """Nobody was closed who did not go."""
    for player in world.players:
        name = who(world, player)
        assert player.task is not None
        if player.client_is_gone:
            claim(player.task.done(), f"{name} has gone, and its consumer has not ended")
        elif not player.sent_of_type("websocket.accept"):
            claim(not world.is_calm, f"{name} was refused")  # as Channels does, if a join fails
        else:
            claim(player.closes == [], f"{name} was closed: {player.closes}")
            claim(not player.task.done(), f"{name} was ended: {player.sent}")
        if player.task.done() and not player.task.cancelled():
            error = player.task.exception()
            claim(error is None, f"{name} failed: {error!r}")


def check_memberships(world: World) -> None:
    """Consumer, hub and broker agree on who is in which group."""
    for player in world.here():
        found, expected = player.consumer.resilient.groups, player.diary.groups
        claim(
            found == expected,
            f"{who(world, player)} is in {sorted(found)}, not {sorted(expected)}",
        )
    for group in GROUPS:
        expected_upstream = set()
        for alias in world.hubs:
            hub = world.hubs[alias].get_hub()
            local = {player.channel for player in world.here(alias) if group in player.diary.groups}
            there = set(hub.directory.groups.get(group, ()))
            claim(there == local, f"{alias}: {group} has {there}, not {local}")
            if local:
                expected_upstream.add(hub.channel_for(group))
        upstream = world.neighbour.members(group)
        claim(
            upstream == expected_upstream,
            f"the broker has {upstream} in {group}, not {expected_upstream}",
        )


def check_own_groups(world: World) -> None:
    """Each hub that has somebody is in the group of all hubs once, and has one probe."""
    groups = world.neighbour.all_groups
    used = [alias for alias in world.hubs if world.here(alias) or alias in world.workers]
    hubs = [world.hubs[alias].get_hub() for alias in used]
    controls = {hub.channel_for("rc.control") for hub in hubs}
    found = set(groups.get("rc.control", ()))
    claim(found == controls, f"rc.control has {found}, not {controls}")
    probes = [name for name in groups if name.startswith("rc.") and name != "rc.control"]
    claim(len(probes) == len(hubs), f"{len(probes)} probes: {probes}")


async def check_confirmations(world: World) -> None:
    """Nothing stays unconfirmed for long; what a sweep doubts is joined again at once."""
    for alias in world.hubs:
        hub = world.hubs[alias].get_hub()
        for _ in range(20):
            if not hub.unconfirmed:
                break
            await asyncio.sleep(0.25)
        claim(not hub.unconfirmed, f"{alias}: still unconfirmed: {sorted(hub.unconfirmed)}")


async def check_delivery(world: World) -> None:
    """Everyone hears everything of the groups that it is in, once, and nothing else."""
    heard = {player: len(player.heard) for player in world.here()}
    numbers = {}
    for _ in range(3):
        for group in GROUPS:
            numbers[await world.announce(group)] = group
    private = {}
    for player in world.here():
        number = private[player] = world.number()
        world.told[number] = (player.channel, world.now)
        await world.neighbour.send(
            player.channel, {"type": "news", "number": number, "text": "everybody's"}
        )
    await asyncio.sleep(1)
    for player in world.here():
        news = player.heard[heard[player] :]
        mine = [number for number, group in numbers.items() if group in player.diary.groups]
        expected = [*mine, private[player]]
        name = who(world, player)
        claim(sorted(news) == sorted(expected), f"{name} hears {news}, not {expected}")
        for group in player.diary.groups:
            of_group = [number for number in news if numbers.get(number) == group]
            claim(of_group == sorted(of_group), f"{name} hears {group} out of order: {of_group}")


def check_the_day(world: World) -> None:
    """What was heard all day long: nothing too often, and on a calm day in order and complete."""
    for player in world.players:
        name = who(world, player)
        counts = Counter(player.heard)
        for number, count in counts.items():
            to = world.told[number][0] if number in world.told else None
            claim(to in (None, player.channel), f"{name} heard {number}, which was told {to}")
            # In an outage a hub serves its own at once. A call that is made again because its
            # answer was lost may have been taken each time.
            claim(count == 1 or not world.is_calm, f"{name} heard {number} {count} times")
        shared = [line for line in player.diary.refusals if line.startswith("news:")]
        claim(not shared, f"{name}: {shared}")
        if world.is_calm:
            claim(not player.diary.refusals, f"{name}: {player.diary.refusals}")
            claim(not player.diary.outages, f"{name} was told of an outage")
            check_calm_order(world, player)
            check_calm_completeness(world, player)


def check_calm_order(world: World, player: Player) -> None:
    by_speaker: dict[tuple[object, str], list[int]] = {}
    for number in player.heard:
        if number in world.said:
            group = world.said[number][0]
            by_speaker.setdefault((id(world.speakers[number]), group), []).append(number)
    for (_, group), numbers in by_speaker.items():
        claim(
            numbers == sorted(numbers),
            f"{who(world, player)} heard {group} out of order: {numbers}",
        )


def check_calm_completeness(world: World, player: Player) -> None:
    """What was said while it had been a member for a second, and stayed one."""
    if not player.is_here:
        return
    heard = set(player.heard)
    for group, since in player.diary.since.items():
        for number, (spoken_to, at) in world.said.items():
            if spoken_to == group and at > since + 1 and was_sent(world, number):
                claim(
                    number in heard,
                    f"{who(world, player)} missed {number} to {group}",
                )


def was_sent(world: World, number: int) -> bool:
    """Not if who was to send it was cancelled before it could."""
    speaker = world.speakers[number]
    return number in speaker.diary.spoken if isinstance(speaker, Player) else True


async def check_jobs(world: World) -> None:
    """Each job was done once, whatever went wrong, and in order."""
    for alias, worker in world.workers.items():
        for _ in range(3):
            await world.give_job(alias)
        await asyncio.sleep(1)
        expected = [number for number, given in world.jobs.items() if given == alias]
        claim(not worker.task.done(), f"the worker of {alias} has ended: {worker.task}")
        claim(worker.done == expected, f"{alias} did {worker.done}, not {expected}")


def check_records(world: World, records: Records) -> None:
    """Every outage has a beginning and an end, and there is no other alarm."""
    for alias in world.hubs:
        down, up = records.of("layer.down", alias), records.of("layer.up", alias)
        claim(len(down) == len(up), f"{alias}: {len(down)} outages began and {len(up)} ended")
    allowed = set() if world.is_calm else set(ALARMS)
    if any(not player.sent_of_type("websocket.accept") for player in world.players):
        allowed.add("handler.error")  # a join that a handshake could not do without
    unexpected = records.alarms - allowed
    claim(not unexpected, f"alarms: {sorted(unexpected)}")
    for player in world.here():
        # A consumer that is busy for long is told of the latest only.
        told = player.diary.outages
        claim(told[-1:] in ([], ["up"]), f"{who(world, player)} was told {told}")


def check_nothing_left(world: World) -> None:
    """The broker knows nobody any more, and nobody is left to clean up."""
    left = {name: list(members) for name, members in world.neighbour.all_groups.items() if members}
    claim(not left, f"left in the broker: {left}")
    for alias in world.hubs:
        hub = world.hubs[alias].get_hub()
        claim(not hub.directory.channels, f"{alias}: channels are left")
        claim(not hub.directory.groups, f"{alias}: groups are left: {list(hub.directory.groups)}")
        claim(not hub._joins._tasks, f"{alias}: joins are left")
