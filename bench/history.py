"""What its history costs an operation that recurs for years, by how much of it the record keeps.

python -m bench.history
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from asyncservice.operations import codec, creation, history, ids, lifecycle
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.storage.azure_rows import encode

BOUNDS: Final = (24_000, 12_000, 8_000, 6_000, 4_000, 2_000)
RUNS: Final = 2_000
_BEGIN: Final = datetime(2026, 3, 1, tzinfo=UTC)
_HOST: Final = "vm-0123456789ab-4711-a1b2c3"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one write of the record costs on average, and the largest one."""

    #: Characters of history that the record keeps at most.
    bound: int
    bytes_a_write: float
    largest: int
    #: Rows of archived history, each in the transaction of a write.
    archived_a_write: float
    #: Microseconds to archive, encode and read back.
    processor_time: float


def measure(bound: int, *, runs: int = RUNS) -> Cost:
    """Write the record of an hourly operation twice a run, claim and end, as Table Storage would get it."""
    sent: list[int] = []
    archived_rows = 0
    began = time.process_time()
    with patch.object(codec, "MAX_HISTORY", bound):
        kept: tuple[HistoryEntry, ...] | None = None
        for operation in _writes(runs):
            archived, kept = codec.split_history((*(kept or ()), *operation.history))
            values = codec.to_row(replace(operation, history=kept), spilled={})
            size = len(encode("00", "o", values).encode())
            if archived:
                archived_rows += 1
                size += len(encode("00", "h", {"entries": history.write(archived)}).encode())
            codec.from_row(values)
            sent.append(size)
    spent = time.process_time() - began
    return Cost(bound, sum(sent) / len(sent), max(sent), archived_rows / len(sent), spent / len(sent) * 1e6)


def _writes(runs: int) -> Iterator[AsyncOperation]:
    """Yield the record as each write makes it, with the entries that are new since the one before."""
    operation_id = ids.derived_id(_BEGIN, "history")
    operation = creation.created(
        AsyncOperation(
            asyncoperationid=operation_id,
            operationtype=int(OperationType.BULK_DELETE),
            name="Remove old leads",
            createdon=_BEGIN,
            modifiedon=_BEGIN,
            correlationid=operation_id,
            correlationupdatedtime=_BEGIN,
            data='{"QuerySet": [{"EntityName": "lead"}]}',
            recurrencepattern="FREQ=HOURLY",
            recurrencestarttime=_BEGIN,
        )
    )
    for _ in range(runs):
        due = operation.postponeuntil or _BEGIN
        yield (operation := lifecycle.claimed(operation, now=due, host=_HOST, lease=timedelta(minutes=1)))
        done = due + timedelta(seconds=5)
        operation = lifecycle.succeeded(replace(operation, history=()), now=done, message="12 leads removed")
        yield operation
        operation = replace(operation, history=())


def main() -> None:
    """Measure every bound and print a table."""
    table = Table(title=f"Writes of an operation that has run {RUNS:,} times")
    for heading in ("characters kept", "KiB a write", "largest, KiB", "archived rows in 1,000 writes", "µs a write"):
        table.add_column(heading, justify="right")
    for cost in map(measure, BOUNDS):
        table.add_row(
            f"{cost.bound:,}",
            f"{cost.bytes_a_write / 1024:.1f}",
            f"{cost.largest / 1024:.1f}",
            f"{cost.archived_a_write * 1000:.1f}",
            f"{cost.processor_time:,.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
