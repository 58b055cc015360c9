"""More than one core: the same work on one process, on two worker processes of one host, and on two hosts.

`python -m bench.cores [--rounds N]` prints a table. Operations compute for 20 ms, or do nothing. The arrangements take
turns, so that what else the machine does meets all alike; the medians are shown, and how evenly the work was shared.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from asyncservice.operations.operationtypes import OperationType
from bench.families import COMPUTES
from bench.ground import a_ground
from bench.load import WORKING
from bench.records import shares
from bench.results import Round
from bench.run import forget_settings
from bench.stage import Stage, a_stage

_TYPE: Final = OperationType.EXECUTE_ASYNC_REQUEST
#: Hosts, and worker processes of each.
_ARRANGEMENTS: Final = {"one process": (1, 1), "two worker processes": (1, 2), "two hosts": (2, 1)}
#: What an operation does, and how many of them are a round.
_WORK: Final[Mapping[str, tuple[Mapping[str, int], int]]] = {
    "20 ms of computing": ({COMPUTES: 20}, 600),
    "nothing": ({}, 1000),
}
_numbers = count(1)


async def _round(stage: Stage, data: Mapping[str, int], operations: int) -> Round:
    name = f"bench cores {next(_numbers)}"
    start = stage.meter.mark()
    began = datetime.now(UTC)
    await stage.client.submit_many([{"operationtype": int(_TYPE), "name": name, "data": data}] * operations)
    outcome = await stage.completed(name, operations, start, WORKING)
    ended = max(seen.written for seen in outcome.seen.values())
    return Round.of(
        outcome.span,
        operations=operations,
        seconds=(ended - began).total_seconds(),
        working=WORKING,
        shares=shares(outcome.seen.values()),
    )


async def _measure(rounds: int) -> Table:
    measured: dict[tuple[str, str], list[Round]] = {}
    async with a_ground(on_disk=True) as ground, a_stage(ground) as stage:
        for _ in range(rounds):
            for arrangement, (hosts, workers) in _ARRANGEMENTS.items():
                await stage.hosts.be(hosts, workers=workers)
                await _round(stage, {}, 100)  # Finds connections made and modules loaded.
                for work, (data, operations) in _WORK.items():
                    done = await _round(stage, data, operations)
                    measured.setdefault((work, arrangement), []).append(done)
    table = Table("operations do", "on", "a second", "requests each", "least share of a process")
    for (work, arrangement), each in measured.items():
        requests = median(done.requests.own.total() / done.operations for done in each)
        least = median(min(done.shares.values()) / done.operations for done in each)
        rate = median(done.rate for done in each)
        table.add_row(work, arrangement, f"{rate:,.0f}", f"{requests:.2f}", f"{least:.0%}")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.cores", description="Measure what more cores bring.")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    forget_settings(os.environ)
    Console(width=None if sys.stdout.isatty() else 120).print(asyncio.run(_measure(given.rounds)))
