"""Whether completed records slow the service down: `python -m bench --history 1000000`.

The records are written as the service would have left them, by transactions of a hundred; throughput is measured with
none of them, with a tenth, with three tenths and with all.
"""

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from asyncservice.operations import codec, creation, ids, lifecycle
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.store import DEFAULT_SHARDS, TABLE
from asyncservice.storage.azure import AzureStorage
from asyncservice.storage.tables import MAX_WRITES, Insert, Write
from bench import load
from bench.growth import in_memory, mebibytes, sized
from bench.load import MANY, TYPE, Load
from bench.progress import Steps
from bench.results import Results, Throughput
from bench.stage import Stage

_LOAD: Final = Load(MANY, 3000)
_ROUNDS: Final = 3
#: Transactions on their way at the same time.
_WRITERS: Final = 4
#: The emulator may take so much memory; Node by itself gives up at half of it.
_HEAP: Final = "--max-old-space-size=7168"
_MEMORY_LIMIT: Final = 7_000 * 1024 * 1024
#: The time over which the records are spread.
_MONTH: Final = timedelta(days=30)


async def measure(number: int, steps: Steps, results: Results) -> None:
    """Measure with none, and with ever more completed records, *number* in the end or as many as the emulator bears."""
    os.environ["NODE_OPTIONS"] = _HEAP
    async with in_memory() as stage:
        steps.begin("warming up")
        await load.measure(stage, Load(MANY, 500))
        done, present = 500, 0
        for goal in stops(number):
            steps.begin(f"writing completed records: {goal:,}", total=max(1, goal - present) / MAX_WRITES)
            present = await _write(stage, present, goal, steps)
            steps.begin(f"{_ROUNDS} x {_LOAD.operations} operations, {present:,} completed records present")
            before = stage.hosts.memory()
            rounds = [await load.measure(stage, _LOAD) for _ in range(_ROUNDS)]
            done += _ROUNDS * _LOAD.operations
            after = stage.hosts.memory()
            measured = Throughput.of(f"{present:,}", rounds)
            results.past.append(await sized(stage, present, measured, before, after, rows=present + done))
            if present < goal:
                results.skipped.append(
                    f"The emulator bears no more: {present:,} records, "
                    f"{mebibytes(stage.emulator_memory()) or 0:,.0f} MiB of memory."
                )
                return


def stops(number: int) -> Sequence[int]:
    """Return at which numbers of records to measure: none, a tenth, three tenths, all."""
    return sorted({0, number // 10, number * 3 // 10, number})


async def _write(stage: Stage, present: int, goal: int, steps: Steps) -> int:
    """Write records until *goal* stand there, or the emulator's memory is full; return how many do."""
    transactions = _transactions(present, goal)
    written = present
    async with AzureStorage.from_connection_string(stage.connection) as storage:
        table = storage.table(TABLE)

        async def writer() -> None:
            nonlocal written
            for partition, writes in transactions:
                if (stage.emulator_memory() or 0) > _MEMORY_LIMIT:
                    return
                await table.commit(partition, writes)
                written += len(writes)
                steps.step()

        async with asyncio.TaskGroup() as group:
            for _ in range(_WRITERS):
                group.create_task(writer())
    return written


def _transactions(first: int, end: int) -> Iterator[tuple[str, Sequence[Write]]]:
    now = datetime.now(UTC)
    for number, start in enumerate(range(first, end, MAX_WRITES), first // MAX_WRITES):
        shard = number % DEFAULT_SHARDS
        writes = []
        for _ in range(min(MAX_WRITES, end - start)):
            operation = a_completed_operation(now - random.random() * _MONTH, shard)
            place = ids.place_of(operation.asyncoperationid, DEFAULT_SHARDS, operation.createdon)
            writes.append(Insert(place.key, codec.to_row(operation, spilled={})))
        yield ids.partition_name(shard), writes


def a_completed_operation(created: datetime, shard: int) -> AsyncOperation:
    """Return an operation as it stands when it was done without an accident, with its history."""
    operation_id = ids.new_id(created, random.getrandbits, shard=shard)
    operation = creation.created(
        AsyncOperation(
            asyncoperationid=operation_id,
            operationtype=int(TYPE),
            name="Revise the price list",
            createdon=created,
            modifiedon=created,
            correlationid=operation_id,
            correlationupdatedtime=created,
            data='{"number": 4711}',
        )
    )
    seconds = timedelta(seconds=1)
    host = "vm-0123456789ab-4711-a1b2c3"
    operation = lifecycle.claimed(operation, now=created + seconds, host=host, lease=60 * seconds)
    return lifecycle.succeeded(operation, now=created + 2 * seconds, message=None)
