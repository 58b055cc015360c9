"""Whether an operation costs the same however many were done before it, where what has succeeded is removed.

`python -m bench.sustained [--operations N] [--portion N]` has operations done one portion after the other. They remove
themselves (`asyncautodelete`) half a minute after they have succeeded, so the emulator's table stays as small as it
was, and what could grow is ours. The removal's requests are counted with the others.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.ground import a_ground
from bench.growth import mebibytes
from bench.load import TYPE, WORKING
from bench.progress import Steps
from bench.results import Round, Throughput
from bench.run import forget_settings
from bench.stage import Stage, a_stage

#: Operations of one `submit_many`.
_TOGETHER: Final = 5000
#: How long what has succeeded stays, and when it is looked for; the whole portion is read before it goes.
_KEPT: Final = timedelta(seconds=30)
_SETTINGS: Final = {
    "ASYNCSERVICE_AUTODELETE_SCHEDULE": "*/5 * * * * *",
    "ASYNCSERVICE_AUTODELETE_DELAY": f"PT{_KEPT.total_seconds():.0f}S",
}
#: How many lines the table has at most.
_LINES: Final = 10


@dataclass(frozen=True, slots=True)
class Portion:
    """What one portion took, and the memory of the host behind it."""

    round: Round
    memory: float | None


async def _portion(stage: Stage, name: str, operations: int) -> Portion:
    start = stage.meter.mark()
    began = datetime.now(UTC)
    message = {"operationtype": int(TYPE), "name": name, "asyncautodelete": True}
    for first in range(0, operations, _TOGETHER):
        await stage.client.submit_many([message] * min(_TOGETHER, operations - first))
    outcome = await stage.completed(name, operations, start, WORKING)
    ended = max(seen.written for seen in outcome.seen.values())
    seconds = (ended - began).total_seconds()
    done = Round.of(outcome.span, operations=operations, seconds=seconds, working=WORKING)
    return Portion(done, mebibytes(stage.hosts.memory()))


async def measure(operations: int, portion: int, console: Console) -> Sequence[Portion]:
    """Have so many operations done, a portion at a time."""
    done = list[Portion]()
    with Steps(console) as steps:
        async with a_ground(on_disk=False) as ground, a_stage(ground, settings=_SETTINGS) as stage:
            await _portion(stage, "bench sustained: warm-up", 500)
            steps.begin(f"{operations:,} operations, {portion:,} at a time", total=operations / portion)
            for number in range(operations // portion):
                done.append(await _portion(stage, f"bench sustained {number}", portion))
                steps.step()
    return done


def _table(done: Sequence[Portion], portion: int) -> Table:
    table = Table("operations", "ms each", "requests each", "host CPU ms", "Azurite CPU ms", "host MiB")
    together = -(-len(done) // _LINES)
    for first in range(0, len(done), together):
        several = done[first : first + together]
        summed = Throughput.of("", [each.round for each in several])
        table.add_row(
            f"{first * portion + 1:,} to {(first + len(several)) * portion:,}",
            f"{1000 / summed.per_second.middle:.2f}",
            f"{summed.own + summed.polls:.2f}",
            f"{summed.cpu.get('host', 0):.2f}",
            f"{summed.cpu.get('azurite', 0):.2f}",
            f"{several[-1].memory}",
        )
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.sustained", description="Measure work that goes on and on.")
    parser.add_argument("--operations", type=int, default=200_000)
    parser.add_argument("--portion", type=int, default=5_000)
    given = parser.parse_args()
    forget_settings(os.environ)
    screen = Console(width=None if sys.stdout.isatty() else 120)
    screen.print(_table(asyncio.run(measure(given.operations, given.portion, screen)), given.portion))
