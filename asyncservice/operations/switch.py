"""Stopping and starting the service: one row that every host looks at before it takes new work.

Stopped means: nothing new is executed, what runs yields at its next look, what arrives is kept. The row outlives
every process, so a service that was stopped stays stopped until somebody starts it.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from asyncservice.operations.clock import Clock
from asyncservice.operations.operationtypes import Family
from asyncservice.storage.tables import Put, Table

#: A host looks again this long after its last look, so every host has stopped taking work this long after a stop.
PATIENCE: Final = timedelta(seconds=2)
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


class Switch:
    """The row, and what this process last saw of it."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table, self._clock = table, clock
        self.seen = Stopped()
        self._seen_on: datetime | None = None
        self._looking = asyncio.Lock()

    async def look(self) -> Stopped:
        """Return which families are stopped, as of at most PATIENCE ago. One request, or none."""
        if self._is_stale():
            # All claims of a host share one look.
            async with self._looking:
                if self._is_stale():
                    await self.read()
        return self.seen

    def _is_stale(self) -> bool:
        return self._seen_on is None or self._clock.now() - self._seen_on >= PATIENCE

    async def read(self) -> Stopped:
        """Return which families are stopped now. One request."""
        # What is read is as old as the question, not as the answer: an answer that took long counts from when it was
        # asked for, or this host would go on for longer than a stop waits.
        asked_on = self._clock.now()
        row = await self._table.read(*_ROW)
        if row is None:
            self.seen = Stopped()
        else:
            names = str(row.values["families"]).split(",")
            since = row.values["since"]
            families = frozenset(family for family in Family if family.value in names)
            self.seen = Stopped(families, since if isinstance(since, datetime) else None)
        self._seen_on = asked_on
        return self.seen

    async def stop(self, families: Iterable[Family] = Family) -> Stopped:
        """Stop families, all by default; return when every host has seen it. Safe to repeat."""
        stopped = await self._write((await self.read()).families | frozenset(families))
        await self._clock.sleep(PATIENCE)
        return stopped

    async def start(self, families: Iterable[Family] = Family) -> Stopped:
        """Let families run again, all by default. Hints for what waits are the engine's affair. Safe to repeat."""
        return await self._write((await self.read()).families - frozenset(families))

    async def _write(self, families: frozenset[Family]) -> Stopped:
        now = self._clock.now()
        names = ",".join(sorted(family.value for family in families))
        await self._table.commit(_ROW[0], [Put(_ROW[1], {"families": names, "since": now})])
        return await self.read()
