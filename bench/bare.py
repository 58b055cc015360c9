"""Single requests to the emulator on a table as it stands: what grows here is the emulator's, not ours.

The rows go to partitions that no operation uses, in the table of the operations: the emulator keeps one index a table.
They are removed again.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Final

from asyncservice.operations.store import TABLE
from asyncservice.storage.azure import AzureStorage
from asyncservice.storage.tables import MAX_WRITES, Delete, Insert, Put, Table
from bench.results import Bare

_PARTITION: Final = "bench"
_TIMES: Final = 40
_FEW_TIMES: Final = 8
#: About what a record holds.
_VALUES: Final = {f"column{number}": "x" * 40 for number in range(20)}


async def measure(connection: str, rows: int) -> Bare:
    """Take the time of single requests, one after the other, on a table of so many *rows*."""
    async with AzureStorage.from_connection_string(connection) as storage:
        table = storage.table(TABLE)
        # The first request finds the connection made.
        await _hundred(table)(0)
        milliseconds = {
            "transaction of 2 inserts": await _median(_pair(table), _TIMES),
            "point read": await _median(_read(table), _TIMES),
            "replace": await _median(_replace(table), _TIMES),
            "delete": await _median(_delete(table), _TIMES),
            "transaction of 100 inserts": await _median(_hundred(table), _FEW_TIMES, first=1),
            "query of one partition": await _median(_query(table), _FEW_TIMES),
        }
        await _clean(table)
    return Bare(rows=rows, milliseconds=milliseconds)


async def _median(request: Callable[[int], Awaitable[object]], times: int, *, first: int = 0) -> float:
    taken: list[float] = []
    for number in range(first, first + times):
        began = time.perf_counter()
        await request(number)
        taken.append((time.perf_counter() - began) * 1000)
    return round(median(taken), 2)


def _pair(table: Table) -> Callable[[int], Awaitable[object]]:
    return lambda number: table.commit(
        _PARTITION, [Insert(f"p{number:04}-{each}", _VALUES) for each in ("record", "agenda")]
    )


def _read(table: Table) -> Callable[[int], Awaitable[object]]:
    return lambda number: table.read(_PARTITION, f"p{number:04}-record")


def _replace(table: Table) -> Callable[[int], Awaitable[object]]:
    return lambda number: table.commit(_PARTITION, [Put(f"p{number:04}-record", _VALUES)])


def _delete(table: Table) -> Callable[[int], Awaitable[object]]:
    return lambda number: table.commit(_PARTITION, [Delete(f"p{number:04}-agenda")])


def _hundred(table: Table) -> Callable[[int], Awaitable[Sequence[str]]]:
    return lambda number: table.commit(
        _PARTITION, [Insert(f"h{number:04}-{each:02}", _VALUES) for each in range(MAX_WRITES)]
    )


def _query(table: Table) -> Callable[[int], Awaitable[object]]:
    async def query(_number: int) -> object:
        return [row async for row in table.scan(_PARTITION, start="p", end="q", select=(), limit=_TIMES)]

    return query


async def _clean(table: Table) -> None:
    keys = [row.key async for row in table.scan(_PARTITION, select=())]
    for start in range(0, len(keys), MAX_WRITES):
        await table.commit(_PARTITION, [Delete(key) for key in keys[start : start + MAX_WRITES]])
