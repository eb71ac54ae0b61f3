"""One day from its seed, and its verdict."""

import asyncio
import os
import random
from unittest import mock

from channels.layers import channel_layers

from hub.chaos import verdict
from hub.chaos.cast import Worker
from hub.chaos.plot import Plot, World
from support.hubs import CORE, GENERIC, around, make_layer
from support.loop import run

SETUPS = (GENERIC, CORE)
RECOVERY = 150.0
"""Virtual seconds from the last trouble until all is well. A group that the broker has forgotten
alone is found by the sweep, which takes a third of GROUP_EXPIRY."""

GROUP_EXPIRY = 240
LONGEST_DAY = 2 * 3600.0
LONGEST_END = 8 + 1


def live_through(setup: str, seed: int) -> None:
    """Live through the day that *seed* says.

    Raises:
        Broken: Something that must hold does not; its notes tell the story.
        TasksLeft, NeverRetrieved, Deadlock: Something was left behind.
    """
    stories: list[list[str]] = []
    with mock.patch.object(os, "urandom", random.randbytes):  # names, from the seed too
        try:
            run(one_day(setup, seed, stories), seed=seed, clocks=True, horizon=LONGEST_DAY)
        except BaseException as error:
            for story in stories:
                error.add_note("\n".join(story))
            raise


async def one_day(setup: str, seed: int, stories: list[list[str]]) -> None:
    rng = random.Random(seed)
    world = make_world(setup, has_two=rng.random() < 0.4)
    stories.append(world.story)
    before = dict(channel_layers.backends)
    channel_layers.backends.update(world.hubs)
    try:
        await play_and_judge(world, rng)
    finally:
        channel_layers.backends.clear()
        channel_layers.backends.update(before)


async def play_and_judge(world: World, rng: random.Random) -> None:
    plot = Plot(world, rng, troubles=rng.random() < 0.8)
    for alias, hub in world.hubs.items():
        if rng.random() < 0.5:
            world.workers[alias] = Worker(hub, f"jobs.{alias}")
    with verdict.recording() as records:
        try:
            await plot.play(rng.randint(10, 80))
        finally:
            plot.end()
        world.note("all trouble ends")
        await asyncio.sleep(1 if world.is_calm else RECOVERY)
        world.note("and now?")
        verdict.check_connections(world)
        await verdict.check_confirmations(world)
        verdict.check_memberships(world)
        await verdict.check_delivery(world)
        verdict.check_own_groups(world)
        await verdict.check_jobs(world)
        await asyncio.sleep(15)
        verdict.check_the_day(world)
        verdict.check_records(world, records)
        await everybody_leaves(world, rng)
        verdict.check_connections(world)
        verdict.check_nothing_left(world)


def make_world(setup: str, *, has_two: bool) -> World:
    layer = make_layer(setup)
    layers = {"default": layer}
    if has_two:
        layers["other"] = layer.neighbour()
    for each in layers.values():
        each.expire_after(GROUP_EXPIRY)
    neighbour = layer.neighbour()
    neighbour.expire_after(GROUP_EXPIRY)
    hubs = {alias: around(each) for alias, each in layers.items()}
    return World(layers, hubs, neighbour)


async def everybody_leaves(world: World, rng: random.Random) -> None:
    for worker in world.workers.values():
        await worker.stop()
    players = world.here()
    rng.shuffle(players)
    for player in players:
        if rng.random() < 0.5:
            await asyncio.sleep(rng.choice([0, 0.01, 1]))
        player.client_closes()
    await asyncio.sleep(LONGEST_END)
    stuck = [player for player in players if not player.task.done()]
    verdict.claim(not stuck, f"{len(stuck)} have not ended")
