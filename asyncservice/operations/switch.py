"""Stopping and starting the service.

One row says which families are stopped. It outlives every process, so a service that was stopped stays stopped until
somebody starts it. What enforces it are the gates: one row for each family in each partition. A claim requires its
family's gate in the very transaction that makes it, so once a gate is gone nothing is claimed in that partition, by no
host, whatever that host believes; and an operation costs no look at the switch.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from asyncservice.operations.clock import Clock
from asyncservice.operations.operationtypes import Family
from asyncservice.storage.errors import RowConflict
from asyncservice.storage.tables import Delete, Insert, Replace, Require, Row, Table, Value, Write, prefix_end

#: What runs learns of a stop within this time, and a claim that took longer asks before its handler begins. A stop
#: returns after it, so nothing begins that was not under way.
PATIENCE: Final = timedelta(seconds=2)
#: First character of a gate's key. It comes before those of the agenda, so that the sweep sees both in one scan.
GATE: Final = "_"
_ROW: Final = ("layout", "switch")


@dataclass(frozen=True, slots=True)
class Stopped:
    """Which families are stopped."""

    families: frozenset[Family] = frozenset()
    #: When the latest stop or start was asked for.
    since: datetime | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no family runs."""
        return len(self.families) == len(Family)

    @property
    def gates(self) -> frozenset[str]:
        """The keys of the gates that each partition must have."""
        return frozenset(gate(family).key for family in Family if family not in self.families)


def gate(family: Family) -> Require:
    """Return what a claim of the family requires."""
    return Require(GATE + family.value)


class Switch:
    """The row, the gates, and what this process last saw of the row."""

    def __init__(self, table: Table, clock: Clock, *, partitions: Callable[[], Sequence[str]]) -> None:
        self._table, self._clock, self._partitions = table, clock, partitions
        self.seen = Stopped()
        self._seen_on: datetime | None = None
        self._looking = asyncio.Lock()

    async def look(self) -> Stopped:
        """Return which families are stopped, as of at most PATIENCE ago. One request, or none."""
        if self._is_stale():
            # All attempts of a host share one look.
            async with self._looking:
                if self._is_stale():
                    await self.read()
        return self.seen

    def _is_stale(self) -> bool:
        return self._seen_on is None or self._clock.now() - self._seen_on >= PATIENCE

    async def read(self) -> Stopped:
        """Return which families are stopped now. One request."""
        await self._read_row()
        return self.seen

    async def stop(self, families: Iterable[Family] = Family) -> Stopped:
        """Stop families, all by default; return when nothing of theirs begins any more. Safe to repeat.

        Two requests for each partition, and a few.
        """
        stopped = await self._set(lambda already: already | frozenset(families))
        await self._clock.sleep(PATIENCE)
        return stopped

    async def start(self, families: Iterable[Family] = Family) -> Stopped:
        """Let families run again, all by default. Hints for what waits are the engine's affair. Safe to repeat."""
        return await self._set(lambda already: already - frozenset(families))

    async def settle(self) -> Stopped:
        """Make the gates agree with the row, whoever left them otherwise. Safe at any moment, and on many hosts."""
        while True:
            row = await self._read_row()
            stopped = self.seen
            await asyncio.gather(*(self._set_gates(partition, stopped.gates) for partition in self._partitions()))
            # Writing the row anew proves that it still says what the gates were set to.
            if await self._write_row(row, stopped.families, stopped.since):
                return stopped

    async def _set(self, change: Callable[[frozenset[Family]], frozenset[Family]]) -> Stopped:
        while True:
            row = await self._read_row()
            if await self._write_row(row, change(self.seen.families), self._clock.now()):
                return await self.settle()

    async def _read_row(self) -> Row | None:
        # What is read is as old as the question, not as the answer: an answer that took long counts from when it was
        # asked for.
        asked_on = self._clock.now()
        row = await self._table.read(*_ROW)
        self.seen = Stopped() if row is None else _stopped(row)
        self._seen_on = asked_on
        return row

    async def _write_row(self, row: Row | None, families: frozenset[Family], since: datetime | None) -> bool:
        """Write the row over the version that was read; return whether nobody was faster."""
        values: dict[str, Value] = {"families": ",".join(sorted(family.value for family in families))}
        if since is not None:
            values["since"] = since
        partition, key = _ROW
        try:
            await self._table.commit(
                partition, [Insert(key, values) if row is None else Replace(key, values, row.etag)]
            )
        except RowConflict:
            return False
        return True

    async def _set_gates(self, partition: str, wanted: frozenset[str]) -> None:
        while True:
            rows = self._table.scan(partition, start=GATE, end=prefix_end(GATE), select=())
            there = {row.key async for row in rows}
            writes: list[Write] = [*map(Delete, sorted(there - wanted))]
            writes += (Insert(key, {}) for key in sorted(wanted - there))
            if not writes:
                return
            try:
                await self._table.commit(partition, writes)
            except RowConflict:
                continue  # Somebody else is at it too.
            return


def _stopped(row: Row) -> Stopped:
    names = str(row.values["families"]).split(",")
    since = row.values.get("since")
    families = frozenset(family for family in Family if family.value in names)
    return Stopped(families, since if isinstance(since, datetime) else None)
