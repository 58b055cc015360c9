"""The records of one entity as a source that queries read."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

from asyncservice.organization.pushdown import pushed
from asyncservice.organization.query.model import Condition, Order
from asyncservice.organization.reading import RecordReader
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.sources import Scan, Values


class RecordSource:
    """Reads a record table; the storage decides of a scan what it can (`asyncservice.organization.pushdown`)."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader

    @property
    def entity(self) -> Entity:
        """What the rows are."""
        return self._reader.entity

    async def find(self, record_id: UUID) -> Values | None:
        """Return the row of that id, or None. One request."""
        return await self._reader.find(record_id)

    async def find_many(self, record_ids: Sequence[UUID]) -> Mapping[UUID, Values]:
        """Return those rows that exist. One request each, side by side."""
        return await self._reader.find_many(record_ids)

    def states(self, shard: str) -> AsyncIterator[tuple[UUID, str]]:
        """Yield the ids of one partition, each with a text that every write of the row changes."""
        return self._reader.states(shard)

    def scan(
        self,
        where: Sequence[Condition] = (),
        *,
        columns: Sequence[str] | None = None,
        orders: Sequence[Order] = (),
        behind: Values | None = None,
        at_most: int | None = None,
    ) -> Scan:
        """Yield rows in the natural order: partition by partition, by id as text. Another order is not kept."""
        last = None if behind is None or orders else behind.get(self.entity.primary_id)
        rows: AsyncIterator[Values] = self._reader.scan(
            pushed(self.entity, where),
            columns=columns,
            behind=last if isinstance(last, UUID) else None,
            at_most=at_most,
        )
        return Scan(rows=rows, is_ordered=not orders)
