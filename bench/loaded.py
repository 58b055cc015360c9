"""Latency while the service is busy, but below what it can do."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from bench.load import TYPE, WORKING, data_of
from bench.lone import latencies
from bench.results import Latency
from bench.stage import Stage

_NAME: Final = "bench: loaded"


async def measure(
    stage: Stage, per_second: float, length: timedelta, step: Callable[[], object]
) -> tuple[Latency, Latency]:
    """Submit *per_second* operations, evenly spaced, for *length*; *step* is called every second.

    Each begins at its moment, whether or not those before it have been accepted: a service that falls behind is seen
    to, instead of being asked less.
    """
    loop = asyncio.get_running_loop()
    number = max(2, round(per_second * length.total_seconds()))
    start, began = stage.meter.mark(), loop.time()
    submitted: dict[UUID, datetime] = {}

    async def submit(place: int) -> None:
        moment = datetime.now(UTC)
        operation = await stage.client.submit(TYPE, data_of(place, 0), name=_NAME)
        submitted[operation.asyncoperationid] = moment

    async with asyncio.TaskGroup() as group:
        for place in range(number):
            await asyncio.sleep(began + place / per_second - loop.time())
            group.create_task(submit(place))
            if place % max(1, round(per_second)) == 0:
                step()
    outcome = await stage.completed(_NAME, number, start, WORKING)
    return latencies(submitted, outcome.seen, f"{per_second:.0f} a second")
