"""Reads the rows of one entity's records as they must be seen, whatever transaction is changing them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from asyncservice.organization.concurrency import together
from asyncservice.organization.ids import SHARDS, shard_of
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.pending import CHANGING, IS_CHANGING, LAST
from asyncservice.organization.rows import RECORD_PREFIX, columns_of, from_row, id_of, record_key
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.settling import Settling
from asyncservice.organization.values import RecordValue
from asyncservice.storage.tables import Either, Every, Row, Test, after, holds, prefix_end

type Values = Mapping[str, RecordValue]

#: Rows of a storage page.
_PAGE: Final = 1000
#: A scan asks for this many rows at least, since a request costs the same.
_LEAST: Final = 16
#: Point reads that are under way at the same time.
_READS_AT_ONCE: Final = 32
_VERSION: Final = "versionnumber"


class RecordReader:
    """Reads one entity's records. The natural order is partition by partition, in each by id as text."""

    def __init__(self, entity: Entity, tables: LazyTables, settling: Settling) -> None:
        self.entity = entity
        self.table = tables.table(entity.table_name)
        self._settling = settling

    async def find(self, record_id: UUID) -> Values | None:
        """Return the record's values, or None. One request."""
        row = await self._settling.seen(self.table, await self.table.read(shard_of(record_id), record_key(record_id)))
        return None if row is None else from_row(self.entity, row.values)

    async def find_many(self, record_ids: Sequence[UUID]) -> dict[UUID, Values]:
        """Return those that exist. One request each, side by side."""
        wanted = list(dict.fromkeys(record_ids))
        found = await together(map(self.find, wanted), at_once=_READS_AT_ONCE)
        return {record_id: values for record_id, values in zip(wanted, found, strict=True) if values is not None}

    async def scan(
        self,
        where: Sequence[Test] = (),
        *,
        columns: Sequence[str] | None = None,
        behind: UUID | None = None,
        at_most: int | None = None,
    ) -> AsyncIterator[Values]:
        """Yield the records that meet *where*, in the natural order, going on behind an id where one is given."""
        shards = SHARDS if behind is None else SHARDS[SHARDS.index(shard_of(behind)) :]
        left = at_most
        for shard in shards:
            start = after(record_key(behind)) if behind is not None and shard == shard_of(behind) else RECORD_PREFIX
            async for values in self.shard(shard, where, columns=columns, start=start, at_most=left):
                yield values
                left = None if left is None else max(left - 1, _LEAST)

    async def shard(
        self,
        shard: str,
        where: Sequence[Test] = (),
        *,
        columns: Sequence[str] | None = None,
        start: str = RECORD_PREFIX,
        at_most: int | None = None,
    ) -> AsyncIterator[Values]:
        """Yield the records of one partition. *at_most* makes pages small; more is read when it is asked for."""
        # A row that a transaction is changing may meet the test in another state than the one the storage sees.
        tests = [Either((Every(tuple(where)), IS_CHANGING))] if where else []
        select = None if columns is None else (*columns_of(self.entity, tuple(columns)), CHANGING)
        size: int | None = None if at_most is None else max(at_most, _LEAST)
        while True:
            read = 0
            rows = self.table.scan(
                shard, start=start, end=prefix_end(RECORD_PREFIX), where=tests, select=select, limit=size
            )
            async for row in rows:
                read += 1
                start = after(row.key)
                seen = await self._seen(row, where)
                if seen is not None:
                    # The key comes with every row, whatever columns were asked for.
                    yield {**from_row(self.entity, seen.values), self.entity.primary_id: id_of(row)}
            if size is None or read < size:
                return
            size = min(size * 4, _PAGE)

    async def states(self, shard: str) -> AsyncIterator[tuple[UUID, str]]:
        """Yield the ids of one partition's records, each with a text that every write of the record changes.

        A write may change it twice: when it is decided, and when its row has been brought there.
        """
        select = (_VERSION, LAST, CHANGING)
        rows = self.table.scan(shard, start=RECORD_PREFIX, end=prefix_end(RECORD_PREFIX), select=select)
        async for row in rows:
            seen = await self._settling.seen(self.table, row)
            if seen is not None:
                # The ETag alone would not do: a transaction is committed before its rows are written again.
                yield id_of(row), f"{seen.etag} {seen.values.get(_VERSION)!r} {seen.values.get(LAST)!r}"

    async def _seen(self, row: Row, where: Sequence[Test]) -> Row | None:
        if CHANGING not in row.values:
            return row
        seen = await self._settling.seen(self.table, row)
        return seen if seen is not None and all(holds(test, seen.values) for test in where) else None
