"""All activities as one table: activitypointer, whose rows are those of tasks, phone calls, e-mails and the others."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Final
from uuid import UUID

from asyncservice.organization.concurrency import together
from asyncservice.organization.ids import shard_of
from asyncservice.organization.query.model import Condition, Order
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.sources import Scan, Source, Values

#: The entity whose records are read from those of every activity.
POINTER: Final = "activitypointer"


class ActivitySource:
    """Reads every kind of activity at once. A look-up asks each kind's table, since an id does not say its kind."""

    def __init__(self, catalog: Catalog, source: Callable[[str], Source]) -> None:
        self._entity = catalog.entity(POINTER)
        self._members = [source(one.name) for one in catalog if one.is_activity]

    @property
    def entity(self) -> Entity:
        """What the rows are."""
        return self._entity

    async def find(self, record_id: UUID) -> Values | None:
        """Return the activity of that id, or None."""
        return (await self.find_many([record_id])).get(record_id)

    async def find_many(self, record_ids: Sequence[UUID]) -> Mapping[UUID, Values]:
        """Return those activities that exist."""

        async def of(member: Source) -> Mapping[UUID, Values]:
            return await member.find_many(record_ids)

        found = await together(map(of, self._members))
        return {record_id: self._shared(row) for rows in found for record_id, row in rows.items()}

    def scan(
        self,
        where: Sequence[Condition] = (),
        *,
        columns: Sequence[str] | None = None,
        orders: Sequence[Order] = (),
        behind: Values | None = None,
        at_most: int | None = None,
    ) -> Scan:
        """Yield rows in the natural order of record tables, merged: partition by partition, by id as text."""
        last = None if behind is None or orders else behind
        scans = [
            member.scan(where, columns=self._known(member, columns), behind=last, at_most=at_most).rows
            for member in self._members
        ]
        return Scan(rows=self._merged(scans), is_ordered=not orders)

    @staticmethod
    def _known(member: Source, columns: Sequence[str] | None) -> Sequence[str] | None:
        return None if columns is None else [name for name in columns if name in member.entity.attributes]

    def _shared(self, row: Values) -> Values:
        return {name: value for name, value in row.items() if name in self._entity.attributes}

    async def _merged(self, scans: Sequence[AsyncIterator[Values]]) -> AsyncGenerator[Values]:
        try:
            firsts = await together(_first(scan) for scan in scans)
            heap = [(self._place(row), number, row) for number, row in enumerate(firsts) if row is not None]
            heapify(heap)
            while heap:
                _, number, row = heap[0]
                yield self._shared(row)
                following = await anext(scans[number], None)
                if following is None:
                    heappop(heap)
                else:
                    heapreplace(heap, (self._place(following), number, following))
        finally:
            for scan in scans:
                if isinstance(scan, AsyncGenerator):
                    await scan.aclose()

    def _place(self, row: Values) -> tuple[str, str]:
        record_id = row[self._entity.primary_id]
        if not isinstance(record_id, UUID):
            raise TypeError(f"{self._entity.primary_id} is {record_id!r}, no id.")
        return shard_of(record_id), str(record_id)


async def _first(scan: AsyncIterator[Values]) -> Values | None:
    return await anext(scan, None)
