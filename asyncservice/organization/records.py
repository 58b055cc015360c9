"""The records of one entity, for the service's own use: jobs and imports, which know what they write.

What clients ask for goes through `Organization.transact`; here lookups are not checked, the rest is the same.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from asyncservice.operations.record import SYSTEM_USER
from asyncservice.organization import bulk, drafts, keyed, keys
from asyncservice.organization.changes import Change, ChangeKind, Outbox
from asyncservice.organization.concurrency import together
from asyncservice.organization.errors import RecordNotFound
from asyncservice.organization.files import kept_in_blobs
from asyncservice.organization.ids import SHARDS
from asyncservice.organization.reading import RecordReader
from asyncservice.organization.requests import Create, Delete, Update
from asyncservice.organization.rows import comparable, named, record_key, to_row
from asyncservice.organization.transactions import Transactions
from asyncservice.organization.values import RecordValue
from asyncservice.organization.workspace import Author
from asyncservice.storage.tables import Comparison, Insert, Test


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read."""

    entity: str
    id: UUID
    values: Mapping[str, RecordValue]

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

    def __init__(self, reader: RecordReader, transactions: Transactions, outbox: Outbox) -> None:
        self.entity = reader.entity
        self._reader, self._transactions, self._outbox = reader, transactions, outbox

    async def create(
        self,
        values: Mapping[str, object],
        *,
        now: datetime,
        record_id: UUID | None = None,
        by: UUID = SYSTEM_USER,
    ) -> UUID:
        """Make a record and return its id. Raises ValueRefused, NoSuchAttribute, RecordExists, or DuplicateKey."""
        request = Create(entity=self.entity.name, values=values, id=record_id)
        [outcome] = await self._transactions.transact([request], Author(now=now, by=by), is_trusted=True)
        return outcome.id

    def prepared(self, draft: Draft, *, now: datetime, by: UUID = SYSTEM_USER) -> bulk.Prepared:
        """Return what `create_prepared` writes for a draft. Raises ValueRefused or NoSuchAttribute; writes nothing."""
        given, files = kept_in_blobs(self.entity, draft.id, draft.values, uuid4().hex)
        values = drafts.new_values(self.entity, given, record_id=draft.id, now=now, by=by)
        change = Change(kind=ChangeKind.CREATE, entity=self.entity.name, id=draft.id, after=values, on=now, by=by)
        insert = Insert(record_key(draft.id), to_row(self.entity, values))
        places = tuple(keys.places_of(self.entity, values))
        return bulk.Prepared(draft.id, [insert, *self._outbox.rows_for(change)], places, files)

    async def create_prepared(
        self, prepared: Sequence[bulk.Prepared], *, now: datetime, at_once: int = 8
    ) -> frozenset[UUID]:
        """Make many records, up to a hundred in a transaction and *at_once* transactions in flight.

        A record that is there already is left alone; the ids of such are returned. So the second call of the same
        changes nothing, and a call that died half-way is simply made again. Records with alternate keys are one
        transaction each; raises DuplicateKeys for those whose key is taken, when all others have been made.
        """
        files = [file for new in prepared for file in new.files]
        notes = await self._transactions.write_files(files, now=now)
        there = await self._inserted(prepared, now=now, at_once=at_once)
        # Of those that were there already the sweep removes what was written for nothing.
        done = [note for file, note in zip(files, notes, strict=True) if file.named.record_id not in there]
        await self._transactions.leftovers.strike(done)
        return there

    async def _inserted(self, prepared: Sequence[bulk.Prepared], *, now: datetime, at_once: int) -> frozenset[UUID]:
        plain = [new for new in prepared if not new.keys]
        there = await bulk.insert(self._reader.table, plain, at_once=at_once)
        if len(plain) == len(prepared):
            return there
        return there | await keyed.insert(
            self._transactions.commits,
            self._reader.table,
            self.entity,
            [new for new in prepared if new.keys],
            now=now,
            at_once=at_once,
        )

    async def create_many(
        self, new: Sequence[Draft], *, now: datetime, by: UUID = SYSTEM_USER, at_once: int = 8
    ) -> frozenset[UUID]:
        """Check and make many records; see `create_prepared`. Nothing is written when one of them is refused."""
        prepared = [self.prepared(draft, now=now, by=by) for draft in new]
        return await self.create_prepared(prepared, now=now, at_once=at_once)

    async def find(self, record_id: UUID) -> Record | None:
        """Return the record, or None when there is none."""
        values = await self._reader.find(record_id)
        return None if values is None else Record(self.entity.name, record_id, values)

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
        is applied to whatever is there. Raises RecordNotFound.
        """
        request = Update(entity=self.entity.name, id=record_id, values=values, version=version)
        [outcome] = await self._transactions.transact([request], Author(now=now, by=by), is_trusted=True)
        return Record(self.entity.name, record_id, outcome.values)

    async def delete(
        self, record_id: UUID, *, now: datetime, by: UUID = SYSTEM_USER, version: int | None = None
    ) -> None:
        """Remove a record, with what its relationships say. Raises RecordNotFound, RecordChanged, CannotDelete."""
        request = Delete(entity=self.entity.name, id=record_id, version=version)
        await self._transactions.transact([request], Author(now=now, by=by), is_trusted=True)

    async def query(self, *where: Condition, columns: tuple[str, ...] | None = None) -> AsyncIterator[Record]:
        """Yield the records that meet every condition, partition by partition; never more than a page in memory."""
        async for values in self._reader.scan(_tests(where), columns=columns):
            yield self._record(values)

    async def few(self, *where: Condition, at_most: int = 1000) -> list[Record]:
        """Return the records that meet every condition, asking all partitions at once, ordered by id.

        For what is known to be little: at most *at_most* from each partition.
        """
        return await self._gathered(_tests(where), at_most)

    async def named(self, name: str, *, at_most: int = 2) -> list[Record]:
        """Return records whose primary name is *name*, however it is capitalised; at most so many a partition."""
        return await self._gathered([named(name)], at_most)

    async def _gathered(self, where: Sequence[Test], at_most: int) -> list[Record]:
        async def of(shard: str) -> list[Record]:
            found: list[Record] = []
            async for values in self._reader.shard(shard, where, at_most=at_most):
                found.append(self._record(values))
                if len(found) == at_most:
                    break
            return found

        found = await together(of(shard) for shard in SHARDS)
        return sorted((record for records in found for record in records), key=lambda record: record.id.int)

    def _record(self, values: Mapping[str, RecordValue]) -> Record:
        record_id = values[self.entity.primary_id]
        if not isinstance(record_id, UUID):
            raise TypeError(f"{self.entity.primary_id} is {record_id!r}, no id.")
        return Record(self.entity.name, record_id, values)


def _tests(where: Sequence[Condition]) -> list[Test]:
    return [Comparison(one.column, one.operator, comparable(one.value)) for one in where]
