"""How much is measured: a full run, and a quick one that only shows that everything works."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The sizes of one run."""

    name: str
    #: Operations in each round of each way to submit.
    operations: int
    #: Rounds of each way: this many at most, fewer when the time for them runs out. Results are medians.
    rounds: int
    rounds_time: timedelta
    #: Submitters that work side by side.
    submitters: int = 32
    #: Operations submitted alone, each to the queue that has been idle for longest.
    lone: int
    #: Pause between two of them. A queue's turn comes every tenth time, when its listener polls at its rarest.
    lone_pause: timedelta
    #: How long it takes every listener to go back to polling at its rarest.
    settling: timedelta
    #: How long the idle service is watched.
    idle: timedelta
    #: Tasks in each round of Celery on Azure Storage, which is slow.
    azure_tasks: int
    #: Tasks in each round of Celery on Redis.
    redis_tasks: int
    peer_rounds: int
    #: Threads of a Celery worker.
    peer_threads: int = 32


FULL: Final = Plan(
    name="full",
    operations=1000,
    rounds=3,
    rounds_time=timedelta(seconds=75),
    lone=60,
    lone_pause=timedelta(milliseconds=600),
    settling=timedelta(seconds=6),
    idle=timedelta(seconds=60),
    azure_tasks=300,
    redis_tasks=1000,
    peer_rounds=3,
)

QUICK: Final = Plan(
    name="quick",
    operations=64,
    rounds=1,
    rounds_time=timedelta(seconds=5),
    lone=10,
    lone_pause=timedelta(milliseconds=200),
    settling=timedelta(seconds=1),
    idle=timedelta(seconds=2),
    azure_tasks=20,
    redis_tasks=50,
    peer_rounds=1,
)
