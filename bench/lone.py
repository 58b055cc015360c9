"""Operations that are submitted alone to a service that has nothing else to do: latency, and what each one costs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Final
from uuid import UUID

from bench.families import TYPES
from bench.quantiles import percentile
from bench.records import Seen
from bench.results import Latency, Round, Throughput
from bench.stage import Stage

_NAME: Final = "bench: alone"
WORKING: Final = frozenset(family.queue_name for family in TYPES)


async def measure(
    stage: Stage, operations: int, pause: timedelta, step: Callable[[], object], *, settings: str
) -> tuple[Throughput, tuple[Latency, Latency]]:
    """Submit operations with a *pause* between them, to one queue after the other; *step* is called after each.

    *settings* says whose they are, for the tables.

    When the turn of a queue comes again its listener has gone back to polling rarely, so each operation finds a queue
    that has been idle, and fifty of them do not take five minutes.
    """
    name = f"{_NAME}, {settings} settings"
    start = stage.meter.mark()
    began = datetime.now(UTC)
    submitted: dict[UUID, datetime] = {}
    for kind in islice(cycle(TYPES.values()), operations):
        moment = datetime.now(UTC)
        operation = await stage.client.submit(int(kind), name=name)
        submitted[operation.asyncoperationid] = moment
        await asyncio.sleep(pause.total_seconds())
        step()
    outcome = await stage.completed(name, operations, start, WORKING)
    seconds = (datetime.now(UTC) - began).total_seconds()
    only = Round.of(outcome.span, operations=operations, seconds=seconds, working=WORKING)
    return Throughput.of("alone", [only]), latencies(submitted, outcome.seen, f"idle, {settings} settings")


def latencies(
    submitted: Mapping[UUID, datetime], seen: Mapping[UUID, Seen], circumstances: str
) -> tuple[Latency, Latency]:
    """Return how long operations took from their submission to their start and to their completion."""
    starts = [
        (started - moment) / timedelta(milliseconds=1)
        for each, moment in submitted.items()
        if (started := seen[each].started) is not None
    ]
    ends = [(seen[each].written - moment) / timedelta(milliseconds=1) for each, moment in submitted.items()]
    return (
        _latency(f"submit to start, {circumstances}", starts),
        _latency(f"submit to completion, {circumstances}", ends),
    )


def _latency(name: str, milliseconds: Sequence[float]) -> Latency:
    return Latency(
        name=name,
        operations=len(milliseconds),
        p50=round(percentile(milliseconds, 50), 1),
        p99=round(percentile(milliseconds, 99), 1),
    )
