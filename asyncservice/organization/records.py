"""The store of one entity's records, over one table with sixteen partitions."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID, uuid4

from asyncservice.operations.record import SYSTEM_USER
from asyncservice.organization import bulk, drafts
from asyncservice.organization.changes import RECORD_PREFIX, Change, ChangeKind, NoOutbox, Outbox
from asyncservice.organization.concurrency import together
from asyncservice.organization.errors import RecordChanged, RecordExists, RecordNotFound
from asyncservice.organization.files import kept_in_blobs
from asyncservice.organization.ids import SHARDS, shard_of
from asyncservice.organization.rows import FOLDED_NAME, columns_of, comparable, from_row, to_row
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import RecordValue
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import ConflictReason, RowConflict
from asyncservice.storage.tables import Comparison, Delete, Insert, Replace, Row, prefix_end

#: How often an unconditional update reads and writes again when others change the record at the same time.
_UPDATE_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read."""

    entity: str
    id: UUID
    values: Mapping[str, RecordValue]
    etag: str = field(compare=False)

    def __getitem__(self, column: str) -> RecordValue:
        return self.values[column]

    def get(self, column: str) -> RecordValue | None:
        """Return the column's value, or None when it has none."""
        return self.values.get(column)

    @property
    def version(self) -> int:
        """The record's own version number, one more with every change."""
        version = self.values.get("versionnumber", 0)
        return version if isinstance(version, int) else 0


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison that the storage evaluates. A record without a value in the column does not match."""

    column: str
    operator: Literal["eq", "ne", "gt", "ge", "lt", "le"]
    value: RecordValue


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to be made, under an id that says what it is, so that making it twice is making it once."""

    id: UUID
    values: Mapping[str, object]


class Records:
    """Reads and writes the records of one entity. Every write is one transaction with what the outbox adds to it."""

    def __init__(self, storage: Storage, entity: Entity, outbox: Outbox | None = None) -> None:
        self.entity = entity
        self._storage = storage
        self._table = storage.table(entity.table_name)
        self._outbox = outbox or NoOutbox()

    async def create(
        self,
        values: Mapping[str, object],
        *,
        now: datetime,
        record_id: UUID | None = None,
        by: UUID = SYSTEM_USER,
    ) -> UUID:
        """Make a record and return its id. Raises ValueRefused, NoSuchAttribute, or RecordExists."""
        record_id = record_id or uuid4()
        rest, files = kept_in_blobs(self.entity, record_id, values)
        for file in files:
            await self._storage.blobs(file.container).write(file.name, file.content)
        insert = self._insert(record_id, drafts.new_values(self.entity, rest, record_id=record_id, now=now, by=by))
        try:
            await self._table.commit(shard_of(record_id), insert)
        except RowConflict as conflict:
            raise RecordExists(self.entity.name, record_id) from conflict
        return record_id

    def prepared(self, draft: Draft, *, now: datetime, by: UUID = SYSTEM_USER) -> bulk.Prepared:
        """Return what `create_prepared` writes for a draft. Raises ValueRefused or NoSuchAttribute; writes nothing."""
        values = drafts.new_values(self.entity, draft.values, record_id=draft.id, now=now, by=by)
        return bulk.Prepared(draft.id, self._insert(draft.id, values))

    async def create_prepared(self, prepared: Sequence[bulk.Prepared], *, at_once: int = 8) -> frozenset[UUID]:
        """Make many records, up to a hundred in a transaction and *at_once* transactions in flight.

        A record that is there already is left alone; the ids of such are returned. So the second call of the same
        changes nothing, and a call that died half-way is simply made again.
        """
        return await bulk.insert(self._table, prepared, at_once=at_once)

    async def create_many(
        self, new: Sequence[Draft], *, now: datetime, by: UUID = SYSTEM_USER, at_once: int = 8
    ) -> frozenset[UUID]:
        """Check and make many records; see `create_prepared`. Nothing is written when one of them is refused."""
        return await self.create_prepared([self.prepared(draft, now=now, by=by) for draft in new], at_once=at_once)

    async def find(self, record_id: UUID) -> Record | None:
        """Return the record, or None when there is none."""
        row = await self._table.read(shard_of(record_id), _key(record_id))
        return None if row is None else self._record(row)

    async def retrieve(self, record_id: UUID) -> Record:
        """Return the record. Raises RecordNotFound."""
        found = await self.find(record_id)
        if found is None:
            raise RecordNotFound(self.entity.name, record_id)
        return found

    async def update(
        self,
        record_id: UUID,
        values: Mapping[str, object],
        *,
        now: datetime,
        by: UUID = SYSTEM_USER,
        version: int | None = None,
    ) -> Record:
        """Change some columns and return the record as it is now.

        With *version*, only that version is changed: raises RecordChanged when there is another. Without, the change
        is applied to whatever is there.
        """
        rest, files = kept_in_blobs(self.entity, record_id, values)
        for file in files:
            await self._storage.blobs(file.container).write(file.name, file.content)
        for _ in range(_UPDATE_TRIES):
            before = await self.retrieve(record_id)
            if version is not None and before.version != version:
                break
            after = drafts.changed_values(self.entity, before.values, rest, now=now, by=by)
            change = Change(
                kind=ChangeKind.UPDATE, entity=self.entity.name, id=record_id, before=before.values, after=after
            )
            replace = Replace(_key(record_id), to_row(self.entity, after), before.etag)
            try:
                etags = await self._table.commit(shard_of(record_id), [replace, *self._outbox.rows_for(change)])
            except RowConflict as conflict:
                if conflict.reason is ConflictReason.MISSING:
                    raise RecordNotFound(self.entity.name, record_id) from conflict
                continue
            return Record(self.entity.name, record_id, after, etags[0])
        raise RecordChanged(self.entity.name, record_id)

    async def delete(self, record_id: UUID, *, version: int | None = None) -> None:
        """Remove a record. Raises RecordNotFound, or RecordChanged when it is not that *version*."""
        before = await self.retrieve(record_id)
        if version is not None and before.version != version:
            raise RecordChanged(self.entity.name, record_id)
        change = Change(kind=ChangeKind.DELETE, entity=self.entity.name, id=record_id, before=before.values)
        etag = None if version is None else before.etag
        try:
            await self._table.commit(
                shard_of(record_id), [Delete(_key(record_id), etag), *self._outbox.rows_for(change)]
            )
        except RowConflict as conflict:
            if conflict.reason is ConflictReason.MISSING:
                raise RecordNotFound(self.entity.name, record_id) from conflict
            raise RecordChanged(self.entity.name, record_id) from conflict

    async def query(self, *where: Condition, columns: tuple[str, ...] | None = None) -> AsyncIterator[Record]:
        """Yield the records that meet every condition, partition by partition; never more than a page in memory."""
        for shard in SHARDS:
            async for row in self._rows(shard, _comparisons(where), columns):
                yield self._record(row)

    async def few(self, *where: Condition, at_most: int = 1000) -> list[Record]:
        """Return the records that meet every condition, asking all partitions at once, ordered by id.

        For what is known to be little: at most *at_most* from each partition.
        """
        return await self._gathered(_comparisons(where), at_most)

    async def named(self, name: str, *, at_most: int = 2) -> list[Record]:
        """Return records whose primary name is *name*, however it is capitalised; at most so many a partition."""
        return await self._gathered([Comparison(FOLDED_NAME, "eq", name.casefold())], at_most)

    async def _gathered(self, where: Sequence[Comparison], at_most: int) -> list[Record]:
        async def of(shard: str) -> list[Record]:
            return [self._record(row) async for row in self._rows(shard, where, None, limit=at_most)]

        found = await together(of(shard) for shard in SHARDS)
        return sorted((record for records in found for record in records), key=lambda record: record.id.int)

    def _rows(
        self, shard: str, where: Sequence[Comparison], columns: tuple[str, ...] | None, limit: int | None = None
    ) -> AsyncIterator[Row]:
        return self._table.scan(
            shard,
            start=RECORD_PREFIX,
            end=prefix_end(RECORD_PREFIX),
            where=where,
            select=None if columns is None else columns_of(self.entity, columns),
            limit=limit,
        )

    def _insert(self, record_id: UUID, values: Mapping[str, RecordValue]) -> list[Insert]:
        change = Change(kind=ChangeKind.CREATE, entity=self.entity.name, id=record_id, after=values)
        return [Insert(_key(record_id), to_row(self.entity, values)), *self._outbox.rows_for(change)]

    def _record(self, row: Row) -> Record:
        record_id = UUID(row.key.removeprefix(RECORD_PREFIX))
        return Record(self.entity.name, record_id, from_row(self.entity, row.values), row.etag)


def _key(record_id: UUID) -> str:
    return f"{RECORD_PREFIX}{record_id}"


def _comparisons(where: Sequence[Condition]) -> list[Comparison]:
    return [Comparison(one.column, one.operator, comparable(one.value)) for one in where]
