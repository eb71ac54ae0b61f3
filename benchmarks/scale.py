"""How long and how much: the whole run, and a quick one that only shows that all works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Sizes of one run; seconds are those of one sample.

    Attributes:
        rounds: Samples per variant; medians are taken over them.
        idle_early: Connections that are part of the baseline, so that what the first ones pay for
            everybody is not counted.
        group_sizes: How many members a group has, in ascending order.
        churn_looks: How many connections have come and gone at each look at the memory.
        redis_connections: Few and many, in that order.
        stalled_readers: How many read while one does not.
        disconnects_looks: How many connections have been torn down at each look; the first one is
            what the others are compared with.
        frozen_connections: How many fall silent at once.
    """

    rounds: int
    echo_connections: int
    echo_seconds: float
    idle_rounds: int
    idle_early: int
    idle_connections: int
    heartbeat_connections: int
    heartbeat_seconds: float
    sleep_seconds: float
    group_sizes: tuple[int, ...]
    group_seconds: float
    broadcast_members: int
    churn_looks: tuple[int, ...]
    redis_connections: tuple[int, int]
    redis_seconds: float
    stalled_readers: int
    stalled_seconds: float
    disconnects_looks: tuple[int, ...]
    disconnects_at_once: int
    frozen_connections: int


FULL = Scale(
    rounds=5,
    echo_connections=50,
    echo_seconds=0.8,
    idle_rounds=2,
    idle_early=100,
    idle_connections=1000,
    heartbeat_connections=1000,
    heartbeat_seconds=2.0,
    sleep_seconds=5.0,
    group_sizes=(100, 1000, 2000, 3000),
    group_seconds=0.8,
    broadcast_members=2000,
    churn_looks=(2000, 8000, 14_000, 20_000),
    redis_connections=(10, 2000),
    redis_seconds=20.0,
    stalled_readers=500,
    stalled_seconds=5.0,
    disconnects_looks=(2000, 6000, 10_000),
    disconnects_at_once=500,
    frozen_connections=1000,
)
QUICK = Scale(
    rounds=3,
    echo_connections=20,
    echo_seconds=0.2,
    idle_rounds=1,
    idle_early=50,
    idle_connections=100,
    heartbeat_connections=500,
    heartbeat_seconds=1.0,
    sleep_seconds=1.0,
    group_sizes=(20, 200),
    group_seconds=0.2,
    broadcast_members=200,
    churn_looks=(100, 300, 500),
    redis_connections=(5, 100),
    redis_seconds=10.0,
    stalled_readers=50,
    stalled_seconds=2.0,
    disconnects_looks=(100, 300, 500),
    disconnects_at_once=100,
    frozen_connections=100,
)
