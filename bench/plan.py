"""How much is measured: a full run, and a quick one that only shows that everything works."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bench.load import MANY, MANY_AND_WAIT, Load, messages, side_by_side

#: The two lengths of an operation: one that does nothing, and one that waits for somebody's answer.
SHORT, LONG = 0, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes of one run."""

    name: str
    #: What is measured in every round, our ways and the peers taking turns, by the length of the operations.
    loads: Sequence[Load]
    #: Rounds: this many at most, fewer when the time for them runs out. Results are medians.
    rounds: int
    rounds_time: timedelta
    #: How much of a load is done before any is measured: one part of so many.
    warm_up: int = 10
    #: Operations submitted alone, each to the queue that has been idle for longest.
    lone: int
    #: Pause between two of them. A queue's turn comes every tenth time, when its listener polls at its rarest.
    lone_pause: timedelta
    #: How long it takes every listener to go back to polling at its rarest, with either settings.
    settling: timedelta
    azure_settling: timedelta
    #: How long the idle service is watched.
    idle: timedelta
    #: How long operations are submitted at a quarter of the rate that was measured.
    loaded: timedelta
    #: The part of the measured rate at which they are.
    loaded_part: float = 0.25
    #: Tasks in each round of Celery on Azure Storage, which is slow, and of Celery on Redis.
    azure_tasks: int
    redis_tasks: int
    #: Threads of a Celery worker.
    peer_threads: int = 32
    #: Hosts, and worker processes of each, that share a load.
    hosting: Sequence[tuple[int, int]]
    hosting_loads: Sequence[Load]
    hosting_rounds: int


FULL: Final = Plan(
    name="full",
    loads=(
        Load(side_by_side(1), 300),
        Load(side_by_side(32), 2000),
        Load(side_by_side(500), 5000),
        Load(MANY, 5000),
        Load(MANY_AND_WAIT, 2000),
        Load(messages(32), 2000),
        Load(side_by_side(1), 100, LONG),
        Load(side_by_side(32), 1000, LONG),
        Load(side_by_side(500), 2000, LONG),
        Load(MANY, 2000, LONG),
    ),
    rounds=5,
    rounds_time=timedelta(seconds=200),
    lone=60,
    lone_pause=timedelta(milliseconds=600),
    settling=timedelta(seconds=6),
    azure_settling=timedelta(seconds=45),
    idle=timedelta(seconds=60),
    loaded=timedelta(seconds=15),
    azure_tasks=300,
    redis_tasks=1000,
    hosting=((1, 1), (2, 1), (3, 1), (1, 2)),
    hosting_loads=(Load(MANY, 3000), Load(MANY, 3000, LONG)),
    hosting_rounds=3,
)

QUICK: Final = Plan(
    name="quick",
    loads=(
        Load(side_by_side(1), 20),
        Load(side_by_side(32), 64),
        Load(side_by_side(500), 100),
        Load(MANY, 64),
        Load(MANY_AND_WAIT, 64),
        Load(messages(32), 64),
        Load(MANY, 64, LONG),
    ),
    rounds=1,
    rounds_time=timedelta(seconds=20),
    lone=10,
    lone_pause=timedelta(milliseconds=100),
    settling=timedelta(milliseconds=500),
    azure_settling=timedelta(milliseconds=500),
    idle=timedelta(seconds=2),
    loaded=timedelta(seconds=1),
    azure_tasks=10,
    redis_tasks=30,
    hosting=((1, 1), (2, 1), (1, 2)),
    hosting_loads=(Load(MANY, 64, LONG),),
    hosting_rounds=1,
)
