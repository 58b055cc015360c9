"""Where operations are kept: records, their agenda rows, aliases and archived history, in one sharded table.

Every change is one entity group transaction, conditional on the version that was read. The agenda row moves in the
same transaction, so that no moment passes in which nobody would look at an unfinished operation.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from secrets import token_hex
from typing import Any, Final
from uuid import UUID

from asyncservice.operations import codec, history, ids
from asyncservice.operations.errors import ChangedMeanwhile
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.ids import Place
from asyncservice.operations.lifecycle import AgendaPolicy
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import RowConflict, StorageRefused, StorageUnavailable
from asyncservice.storage.tables import (
    MAX_WRITES,
    Comparison,
    Delete,
    Insert,
    Put,
    Replace,
    Row,
    Table,
    Write,
    prefix_end,
)

TABLE: Final = "AsyncOperations"
PAYLOADS: Final = "async-operation-payloads"
DEFAULT_SHARDS: Final = 16
#: Counts what a release needs in the storage; raised when it needs another table, queue or container.
FORMAT: Final = 1
_LAYOUT: Final = ("layout", "layout")


@dataclass(frozen=True, slots=True)
class AgendaRow:
    """Somebody must look at this operation at this moment."""

    place: Place
    key: str
    due: datetime


class OperationStore:
    """The operations of one account. `open` first: it reads, or at the first start decides, the number of shards."""

    def __init__(self, storage: Storage, *, agenda: AgendaPolicy | None = None) -> None:
        self._table: Table = storage.table(TABLE)
        self._payloads = storage.blobs(PAYLOADS)
        self.agenda = agenda or AgendaPolicy()
        self._shards: int | None = None

    @property
    def shards(self) -> int:
        """How many partitions the operations are spread over; fixed at the first start."""
        if self._shards is None:
            raise RuntimeError("The store is used before it was opened.")
        return self._shards

    async def open(self, *, shards: int = DEFAULT_SHARDS, prepare: Callable[[], Awaitable[None]] | None = None) -> None:
        """Read the layout: one request. At the very first start, make what is missing and decide it.

        *shards* counts then only; *prepare* makes whatever else the service needs, then and after an upgrade to a
        release that needs more. The layout is written last, so a start that died half-way is simply repeated. Safe
        to call from many processes at once.
        """
        layout = await self._layout()
        if layout is None or layout["format"] < FORMAT:
            await self._table.create()
            await self._payloads.create()
            if prepare is not None:
                await prepare()
            if layout is None:
                with suppress(RowConflict):  # Another process was faster; what it decided is read below.
                    await self._table.commit(_LAYOUT[0], [Insert(_LAYOUT[1], {"shards": shards, "format": FORMAT})])
            else:
                await self._table.commit(_LAYOUT[0], [Put(_LAYOUT[1], layout | {"format": FORMAT})])
            layout = await self._layout()
        self._shards = shards if layout is None else layout["shards"]

    async def _layout(self) -> dict[str, int] | None:
        """Return what was decided at the very first start, or None before it."""
        try:
            row = await self._table.read(*_LAYOUT)
        except StorageRefused:  # There is no table yet.
            return None
        return None if row is None else {name: int(str(value)) for name, value in row.values.items()}

    async def ping(self) -> None:
        """Make one cheap request, to see whether the storage answers."""
        await self._table.read(*_LAYOUT)

    async def insert(self, operation: AsyncOperation) -> tuple[Stored, bool]:
        """Write a new operation, with its agenda row; return it and True, or the one of that id and False."""
        [result] = await self.insert_many([operation])
        return result

    async def insert_many(self, operations: Sequence[AsyncOperation]) -> list[tuple[Stored, bool]]:
        """Write new operations of one partition in one transaction, each with its agenda row.

        Returns for each the stored record and whether it was written now. Ids that exist already do not keep the
        others from being written. At most `batch_size` operations.
        """
        drafts = [await self._draft(operation) for operation in operations]
        partition = drafts[0].place.partition
        results: dict[UUID, tuple[Stored, bool]] = {}
        while drafts:
            try:
                etags = iter(await self._table.commit(partition, [each for draft in drafts for each in draft.writes]))
            except RowConflict as conflict:
                known = next(draft for draft in drafts if any(each.key == conflict.key for each in draft.writes))
                existing = await self.read(known.stored.operation.asyncoperationid)
                if existing is None:  # It was deleted between our insert and our look.
                    continue
                results[known.stored.operation.asyncoperationid] = existing, self._is_ours(existing, known)
                drafts.remove(known)
            except StorageUnavailable:
                # One transaction: if the first was written, all were.
                first = await self.read(drafts[0].stored.operation.asyncoperationid)
                if first is None or not self._is_ours(first, drafts[0]):
                    raise
                etags = iter(())
                for draft in drafts:
                    written = await self.read(draft.stored.operation.asyncoperationid)
                    if written is not None:
                        results[draft.stored.operation.asyncoperationid] = written, True
                break
            else:
                for draft in drafts:
                    mine = [next(etags) for _ in draft.writes]
                    stored = replace(draft.stored, etag=mine[0])
                    results[stored.operation.asyncoperationid] = stored, True
                break
        return [results[operation.asyncoperationid] for operation in operations]

    @staticmethod
    def batch_size(operation_ids: Sequence[UUID]) -> int:
        """Return how many of these operations fit one transaction."""
        rows = 3 if any(ids.alias_of(each) for each in operation_ids) else 2
        return MAX_WRITES // rows

    async def read(self, operation_id: UUID, place: Place | None = None) -> Stored | None:
        """Return the operation, or None. One request; two for a caller's own id whose *place* is not given."""
        place = place or ids.known_place(operation_id, self.shards)
        if place is None:
            partition = ids.partition_of(operation_id, self.shards)
            alias = await self._table.read(partition, ids.ALIAS + operation_id.hex)
            if alias is None:
                return None
            place = Place(partition, str(alias.values["record"]))
        row = await self._table.read(place.partition, place.key)
        return None if row is None else _stored(row)

    def place(self, operation: AsyncOperation) -> Place:
        """Return where *operation* stands."""
        return ids.place_of(operation.asyncoperationid, self.shards, operation.createdon)

    async def replace(
        self, before: Stored, after: AsyncOperation, *, now: datetime, look_again: datetime | None = None
    ) -> Stored:
        """Write *after* in the place of the version that was read, moving its agenda row with it.

        *look_again* is when the sweep, having just looked, wants to look next; without it the agenda's rules say.
        Raises ChangedMeanwhile when somebody else wrote first. A write whose answer was lost is recognised.
        """
        place = self.place(after)
        due = look_again or self.agenda.due(after, now)
        writes: list[Write] = []
        moment = before.operation.agendaon
        if look_again or self.agenda.needs_move(moment, due):
            # The old row's absence fails the transaction too: a second guard beside the ETag.
            if moment is not None:
                writes.append(Delete(ids.agenda_key(moment, place)))
            if due is not None:
                writes.append(Insert(ids.agenda_key(due, place), {}))
            after = replace(after, agendaon=due)
        archived, kept = codec.split_history(after.history)
        if archived:
            number = after.archivedhistory
            writes.append(Put(ids.history_key(place, number), {"entries": history.write(archived)}))
            after = replace(after, history=kept, archivedhistory=number + 1)
        spilled = await self._spill(after, before.spilled)
        after = replace(after, haspayloads=after.haspayloads or bool(spilled))
        write_id = token_hex(8)
        values = codec.to_row(after, spilled=spilled)
        values[codec.WRITE_ID] = write_id
        try:
            etags = await self._table.commit(place.partition, [Replace(place.key, values, before.etag), *writes])
        except (RowConflict, StorageUnavailable) as error:
            row = await self._table.read(place.partition, place.key)
            if row is not None and row.values.get(codec.WRITE_ID) == write_id:
                return Stored(after, row.etag, spilled, write_id)
            if isinstance(error, StorageUnavailable):
                raise
            raise ChangedMeanwhile(after.asyncoperationid) from error
        return Stored(after, etags[0], spilled)

    def is_current(self, stored: Stored, row: AgendaRow) -> bool:
        """Whether *row* is the agenda row that the record itself names."""
        moment = stored.operation.agendaon
        return moment is not None and ids.agenda_key(moment, row.place) == row.key

    async def drop_agenda_row(self, row: AgendaRow) -> None:
        """Remove an agenda row that no record names any more."""
        try:
            await self._table.commit(row.place.partition, [Delete(row.key)])
        except RowConflict:
            return  # Another host's sweep removed it first.

    async def delete(self, stored: Stored) -> None:
        """Remove an operation and all that belongs to it; see `delete_many`."""
        await self.delete_many([stored])

    async def delete_many(self, batch: Sequence[Stored]) -> None:
        """Remove operations of one partition, and all that belongs to them, in as few transactions as can be.

        Blobs go first: a crash in between leaves a record that can be deleted again, never a blob nobody knows. One
        that is gone already is no error. Raises ChangedMeanwhile when somebody wrote one of them first; the others
        of its transaction then stay.
        """
        writes: list[Write] = []
        for stored in batch:
            await self._delete_payloads(stored.operation)
            rows = self._rows_of(stored)
            if len(writes) + len(rows) > MAX_WRITES:
                await self._delete_rows(batch, writes)
                writes = []
            writes += rows
        if writes:
            await self._delete_rows(batch, writes)

    async def load(self, stored: Stored) -> Stored:
        """Return the operation with every long text brought in from its blob."""
        if not stored.spilled:
            return stored
        texts: dict[str, Any] = {}
        for column, blob in stored.spilled.items():
            content = await self._payloads.read(blob)
            texts[column] = None if content is None else content.decode()
        return replace(stored, operation=replace(stored.operation, **texts))

    async def due(self, shard: int, now: datetime, *, limit: int | None = None) -> AsyncIterator[AgendaRow]:
        """Yield the agenda rows of a partition that are due, the oldest first."""
        partition = ids.partition_name(shard)
        rows = self._table.scan(partition, start=ids.AGENDA, end=ids.agenda_until(now), select=(), limit=limit)
        async for row in rows:
            place = Place(partition, ids.agenda_record_key(row.key))
            yield AgendaRow(place, row.key, ids.agenda_moment(row.key))

    async def read_place(self, place: Place) -> Stored | None:
        """Return the operation at *place*, or None."""
        row = await self._table.read(place.partition, place.key)
        return None if row is None else _stored(row)

    async def scan(
        self,
        shard: int,
        *,
        where: Sequence[Comparison] = (),
        created_before: datetime | None = None,
        start: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Stored]:
        """Yield the operations of a partition, the newest first; *start* continues at a record key."""
        first = start or (ids.RECORD if created_before is None else ids.created_before(created_before))
        rows = self._table.scan(
            ids.partition_name(shard), start=first, end=prefix_end(ids.RECORD), where=where, limit=limit
        )
        async for row in rows:
            yield _stored(row)

    async def history(self, stored: Stored) -> tuple[HistoryEntry, ...]:
        """Return the whole history, archived entries included."""
        operation = stored.operation
        if not operation.archivedhistory:
            return operation.history
        place = self.place(operation)
        first = ids.history_key(place, 0)
        last = ids.history_key(place, operation.archivedhistory)
        archived = [
            entry
            async for row in self._table.scan(place.partition, start=first, end=last)
            for entry in history.read(str(row.values["entries"]))
        ]
        return (*archived, *operation.history)

    async def _delete_payloads(self, operation: AsyncOperation) -> None:
        if operation.haspayloads:
            async for blob in self._payloads.names(f"{operation.asyncoperationid}/"):
                await self._payloads.delete(blob)

    def _rows_of(self, stored: Stored) -> list[Write]:
        """Return the deletions that remove an operation, its record first."""
        operation = stored.operation
        place = self.place(operation)
        writes: list[Write] = [Delete(place.key, stored.etag)]
        if alias := ids.alias_of(operation.asyncoperationid):
            writes.append(Delete(alias))
        if operation.agendaon is not None:
            writes.append(Delete(ids.agenda_key(operation.agendaon, place)))
        writes += [Delete(ids.history_key(place, number)) for number in range(operation.archivedhistory)]
        return writes

    async def _delete_rows(self, batch: Sequence[Stored], writes: list[Write]) -> None:
        """Commit deletions, leaving out records that are gone already with all their rows."""
        partition = self.place(batch[0].operation).partition
        while writes:
            try:
                await self._table.commit(partition, writes)
            except RowConflict as conflict:
                loser = next(each for each in batch if any(row.key == conflict.key for row in self._rows_of(each)))
                if await self.read_place(self.place(loser.operation)) is not None:
                    raise ChangedMeanwhile(loser.operation.asyncoperationid) from conflict
                gone = {row.key for row in self._rows_of(loser)}
                writes = [write for write in writes if write.key not in gone]
            else:
                return

    async def _draft(self, operation: AsyncOperation) -> "_Draft":
        place = self.place(operation)
        due = self.agenda.due(operation, operation.createdon)
        operation = replace(operation, agendaon=due)
        spilled = await self._spill(operation, {})
        operation = replace(operation, haspayloads=bool(spilled))
        write_id = token_hex(8)
        values = codec.to_row(operation, spilled=spilled)
        values[codec.WRITE_ID] = write_id
        writes: list[Write] = [Insert(place.key, values)]
        if due is not None:
            writes.append(Insert(ids.agenda_key(due, place), {}))
        if alias := ids.alias_of(operation.asyncoperationid):
            writes.append(Insert(alias, {"record": place.key}))
        return _Draft(Stored(operation, "", spilled), place, writes, write_id)

    @staticmethod
    def _is_ours(found: Stored, draft: "_Draft") -> bool:
        """Whether the record found is the one we tried to write: our answer was lost, or somebody sent the id twice."""
        return found.write_id == draft.write_id

    async def _spill(self, operation: AsyncOperation, known: Mapping[str, str]) -> Mapping[str, str]:
        """Write the texts that do not fit the row to blobs; those that are there already, unloaded, stay."""
        spilled = {column: blob for column, blob in known.items() if getattr(operation, column) is None}
        for column, text in codec.overlong(operation).items():
            blob = codec.blob_name(operation.asyncoperationid, column, text)
            if known.get(column) != blob:
                await self._payloads.write(blob, text.encode())
            spilled[column] = blob
        return spilled


@dataclass(frozen=True, slots=True)
class _Draft:
    """A new operation with the rows that make it."""

    stored: Stored
    place: Place
    writes: Sequence[Write]
    write_id: str


def _stored(row: Row) -> Stored:
    operation, spilled = codec.from_row(row.values)
    return Stored(operation, row.etag, spilled, str(row.values.get(codec.WRITE_ID, "")))
