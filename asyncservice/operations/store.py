"""Where operations are kept: records, their agenda rows and archived history, in one sharded table.

Every change is one entity group transaction, conditional on the version that was read. The agenda row moves in the
same transaction, so that no moment passes in which nobody would look at an unfinished operation.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from copy import replace
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import Any, Final
from uuid import UUID

from asyncservice.operations import awaiting, codec, creation, history, ids, indices, lifecycle, tokens
from asyncservice.operations.duedates import AgendaPolicy
from asyncservice.operations.errors import ChangedMeanwhile
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.ids import Place
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.states import StatusCode
from asyncservice.operations.switch import GATE
from asyncservice.operations.tokens import Tokens
from asyncservice.storage.account import Storage
from asyncservice.storage.company import LINGER
from asyncservice.storage.errors import RowConflict, StorageRefused, StorageUnavailable
from asyncservice.storage.sharing import SharedTable
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
    after,
    prefix_end,
)

TABLE: Final = "AsyncOperations"
PAYLOADS: Final = "async-operation-payloads"
DEFAULT_SHARDS: Final = 16
#: Counts what a release needs in the storage; raised when it needs another table, queue, container, or other rows.
FORMAT: Final = 3
#: A write that was certainly not applied is made again this often before its caller hears of it.
TRIES: Final = 10
#: The format from which on operations have index rows.
_INDEXED: Final = 3
_LAYOUT: Final = ("layout", "layout")


@dataclass(frozen=True, slots=True)
class AgendaRow:
    """Somebody must look at this operation at this moment."""

    place: Place
    key: str
    due: datetime


class OperationStore:
    """The operations of one account. `open` first: it reads, or at the first start decides, the number of shards."""

    def __init__(self, storage: Storage, *, agenda: AgendaPolicy | None = None, linger: float | None = LINGER) -> None:
        self.table: Table = SharedTable(storage.table(TABLE), linger=linger)
        self.payloads = storage.blobs(PAYLOADS)
        self.lines = Tokens(self.table)
        self.agenda = agenda or AgendaPolicy()
        self._shards: int | None = None

    @property
    def shards(self) -> int:
        """How many partitions the operations are spread over; fixed at the first start."""
        if self._shards is None:
            raise RuntimeError("The store is used before it was opened.")
        return self._shards

    @property
    def partitions(self) -> Sequence[str]:
        """The keys of those partitions."""
        return [ids.partition_name(shard) for shard in range(self.shards)]

    async def open(self, *, shards: int = DEFAULT_SHARDS, prepare: Callable[[], Awaitable[None]] | None = None) -> None:
        """Read the layout: one request. At the very first start, make what is missing and decide it.

        *shards* counts then only; *prepare* makes whatever else the service needs, then and after an upgrade to a
        release that needs more. The layout's format is written last, so a start that died half-way is simply
        repeated. Safe to call from many processes at once.
        """
        layout = await self._layout()
        if layout is None or layout["format"] < FORMAT:
            await self.table.create()
            await self.payloads.create()
            if layout is None:
                with suppress(RowConflict):  # Another process was faster; what it decided is read below.
                    await self.table.commit(_LAYOUT[0], [Insert(_LAYOUT[1], {"shards": shards, "format": 0})])
                layout = await self._layout() or {"shards": shards}
            self._shards = layout["shards"]
            if prepare is not None:
                await prepare()
            if 0 < layout.get("format", 0) < _INDEXED:
                await self.index_everything()
            await self.table.commit(_LAYOUT[0], [Put(_LAYOUT[1], layout | {"format": FORMAT})])
        self._shards = layout["shards"]

    async def _layout(self) -> dict[str, int] | None:
        """Return what was decided at the very first start, or None before it."""
        try:
            row = await self.table.read(*_LAYOUT)
        except StorageRefused:  # There is no table yet.
            return None
        return None if row is None else {name: int(str(value)) for name, value in row.values.items()}

    async def ping(self) -> None:
        """Make one cheap request, to see whether the storage answers."""
        await self.table.read(*_LAYOUT)

    async def read(self, operation_id: UUID) -> Stored | None:
        """Return the operation, or None. One request; two when its id alone does not say where it stands."""
        known = ids.known_place(operation_id, self.shards)
        home = ids.partition_of(operation_id, self.shards)
        row = await self.table.read(home, ids.alias_key(operation_id))
        if row is None:
            return None
        if known is not None and ids.is_record(row):
            return stored_from(row)
        return await self.read_place(ids.place_in(row))

    async def read_place(self, place: Place) -> Stored | None:
        """Return the operation at *place*, or None. One request."""
        row = await self.table.read(place.partition, place.key)
        return None if row is None or not ids.is_record(row) else stored_from(row)

    async def read_places(self, places: Sequence[Place]) -> Mapping[Place, Stored | None]:
        """Return the operations at *places*. One request for each partition where they stand close together."""
        found: dict[Place, Stored | None] = {}
        partitions: dict[str, list[str]] = {}
        for place in places:
            partitions.setdefault(place.partition, []).append(place.key)
        for partition, keys in partitions.items():
            if len(keys) > 1:
                first, last = min(keys), max(keys)
                async for row in self.table.scan(partition, start=first, end=after(last), limit=2 * len(keys)):
                    if ids.is_record(row):
                        found[Place(partition, row.key)] = stored_from(row)
        missing = [place for place in places if place not in found]
        found |= zip(missing, await asyncio.gather(*map(self.read_place, missing)), strict=True)
        return {place: found[place] for place in places}

    def place(self, operation: AsyncOperation) -> Place:
        """Return where *operation* stands."""
        return ids.place_of(
            operation.asyncoperationid, self.shards, operation.createdon, token=operation.dependencytoken
        )

    async def replace(
        self,
        before: Stored,
        after: AsyncOperation,
        *,
        now: datetime,
        look_again: datetime | None = None,
        also: Sequence[Write] = (),
    ) -> Stored:
        """Write *after* in the place of the version that was read, moving its agenda row with it.

        An operation with a dependency token leaves its line in the same transaction when it is completed, and joins
        it again when it is reopened; the one that may run next is among those returned as `released`. A child's row
        under its parent changes with it, and a cancelled parent leaves the operation that cancels its children.
        *look_again* is when the sweep, having just looked, wants to look next; without it the agenda's rules say.
        *also* are writes of the caller's own; RowConflict is raised when one of them is refused. Raises
        ChangedMeanwhile when somebody else wrote first. A write whose answer was lost is recognised.
        """
        place = self.place(after)
        unanswered = False
        unindexed = set[str]()
        for tries_left in reversed(range(TRIES)):
            line = await self._line_changes(before.operation, after, place, now)
            kin = await self._kin_changes(before.operation, line.operation, place, now)
            change = await self.prepare(before, kin.operation, now=now, look_again=look_again)
            released = (*line.released, *kin.released)
            try:
                writes = [*change.writes, *line.writes, *kin.writes, *also]
                writes = [write for write in writes if write.key not in unindexed]
                etags = await self.table.commit(place.partition, writes)
            except (RowConflict, StorageUnavailable) as error:
                if isinstance(error, RowConflict) and indices.is_index(error.key):
                    unindexed.add(error.key)  # An index row that was to go was not there: the record is what counts.
                    continue
                if isinstance(error, RowConflict) and any(write.key == error.key for write in also):
                    raise
                row = await self.table.read(place.partition, place.key)
                if row is not None and row.values.get(codec.WRITE_ID) == change.write_id:
                    return replace(change.stored, etag=row.etag, released=released)
                is_unchanged = row is not None and row.etag == before.etag
                if is_unchanged and tries_left and not (unanswered and isinstance(error, StorageUnavailable)):
                    # The token's line changed under us; after a try without an answer that looks like another one.
                    unanswered |= isinstance(error, StorageUnavailable)
                    continue
                if isinstance(error, StorageUnavailable):
                    raise
                raise ChangedMeanwhile(after.asyncoperationid) from error
            return replace(change.stored, etag=etags[0], released=released)
        raise ChangedMeanwhile(after.asyncoperationid)

    async def prepare(
        self, before: Stored, after: AsyncOperation, *, now: datetime, look_again: datetime | None = None
    ) -> "Change":
        """Return the writes that put *after* in the place of *before*, its own row first; long texts are kept now."""
        place = self.place(after)
        due = look_again or self.agenda.due(after, now)
        writes: list[Write] = []
        moment = before.operation.agendaon
        left = None if moment is None else ids.agenda_key(moment, place)
        taken = None if due is None else ids.agenda_key(due, place)
        # Keys are a millisecond apart at least, and a transaction may name each row once.
        if left != taken and (look_again or self.agenda.needs_move(moment, due)):
            # The old row's absence fails the transaction too: a second guard beside the ETag.
            if left is not None:
                writes.append(Delete(left))
            if taken is not None:
                writes.append(Insert(taken, {}))
            after = replace(after, agendaon=due)
        archived, kept = codec.split_history(after.history)
        if archived:
            number = after.archivedhistory
            writes.append(Put(ids.history_key(place, number), {"entries": history.write(archived)}))
            after = replace(after, history=kept, archivedhistory=number + 1)
        spilled = await self.spill(after, before.spilled)
        if spilled and not after.haspayloads:
            after = replace(after, haspayloads=True)
        if after.removes_itself and after.completedon is not None and not before.operation.is_completed:
            # Says whether the record can go without a look at it.
            apart = after.has_belongings or place.partition != ids.partition_of(after.asyncoperationid, self.shards)
            asked = {"apart": True} if apart else indices.named(after, place)
            writes.append(Put(ids.removal_key(after.completedon, place), asked))
        writes += indices.changes(before.operation, after, place)
        write_id = token_hex(8)
        values = codec.to_row(after, spilled=spilled) | {codec.WRITE_ID: write_id}
        return Change(
            Stored(after, "", spilled, write_id, values), [Replace(place.key, values, before.etag), *writes], write_id
        )

    async def _line_changes(
        self, before: AsyncOperation, after: AsyncOperation, place: Place, now: datetime
    ) -> "_LineChange":
        """Return what a change of an operation does to the line of its token: nothing, join, or leave."""
        token = after.dependencytoken
        if token is None or before.is_completed == after.is_completed:
            return _LineChange(after)
        if before.is_completed:
            joined, line = tokens.behind(after, await self.lines.line(place.partition, token))
            return _LineChange(joined, [line.write(), tokens.membership(joined, place.key)])
        departure = await self.lines.departure(place.partition, before)
        left = replace(after, tokennumber=None, blockedby=None)
        if departure.successor is None:
            return _LineChange(left, departure.writes)
        successor = await self.read_place(Place(place.partition, departure.successor))
        if successor is None:
            return _LineChange(left, departure.writes)
        freed = lifecycle.moved_up(successor.operation, now=now, blockedby=before.blockedby)
        change = await self.prepare(successor, freed, now=now)
        return _LineChange(left, [*departure.writes, *change.writes], (change.stored.operation,))

    async def _kin_changes(
        self, before: AsyncOperation, after: AsyncOperation, place: Place, now: datetime
    ) -> "_LineChange":
        """Return what a change of an operation does to its parent's row of it, and to its children."""
        writes: list[Write] = []
        if before.is_completed == after.is_completed:
            return _LineChange(after)
        if after.parentkey is not None:
            pending = ids.child_key(after.parentkey, place, completed=False)
            done = ids.child_key(after.parentkey, place, completed=True)
            if after.is_completed:
                writes += [Delete(pending), Put(done, {"status": int(after.statuscode)})]
            else:
                parent = await self.read_place(Place(place.partition, after.parentkey))
                if parent is None or parent.operation.removing:
                    after = awaiting.let_go(after)
                else:
                    # The parent's version changes too: whoever was about to wake it looks again.
                    touched = replace(parent.operation, version=parent.operation.version + 1)
                    touch = await self.prepare(parent, touched, now=now)
                    writes += [Put(pending, {}), Delete(done), *touch.writes]
        # Somebody wanted it and what it has started to end, even where its handler failed before it obeyed.
        was_cancelled = StatusCode.CANCELING is before.statuscode or StatusCode.CANCELED is after.statuscode
        if was_cancelled and after.is_completed and after.childcount:
            shard = int(place.partition, 16)
            canceller_id = ids.derived_id(now, f"{after.asyncoperationid}/cancel", shard=shard)
            canceller = creation.created(creation.canceller(after, place.key, place.partition, canceller_id, now=now))
            canceller = replace(canceller, agendaon=self.agenda.due(canceller, now))
            own = self.place(canceller)
            writes.append(Insert(own.key, codec.to_row(canceller, spilled={})))
            writes += indices.changes(None, canceller, own)
            if canceller.agendaon is not None:
                writes.append(Insert(ids.agenda_key(canceller.agendaon, own), {}))
            return _LineChange(after, writes, (canceller,))
        return _LineChange(after, writes)

    def is_current(self, stored: Stored, row: AgendaRow) -> bool:
        """Whether *row* is the agenda row that the record itself names."""
        moment = stored.operation.agendaon
        return moment is not None and ids.agenda_key(moment, row.place) == row.key

    async def drop_agenda_row(self, row: AgendaRow) -> None:
        """Remove an agenda row that no record names any more."""
        try:
            await self.table.commit(row.place.partition, [Delete(row.key)])
        except RowConflict:
            return  # Another host's sweep removed it first.

    async def load(self, stored: Stored) -> Stored:
        """Return the operation with every long text brought in from its blob."""
        if not stored.spilled:
            return stored
        texts: dict[str, Any] = {}
        for column, blob in stored.spilled.items():
            content = await self.payloads.read(blob)
            texts[column] = None if content is None else content.decode()
        return replace(stored, operation=replace(stored.operation, **texts))

    async def look(self, shard: int, now: datetime, *, limit: int) -> tuple[frozenset[str], list[AgendaRow]]:
        """Return the keys of a partition's gates, and its agenda rows that are due, the oldest first. One request."""
        partition = ids.partition_name(shard)
        gates, due = [], []
        rows = self.table.scan(partition, start=GATE, end=ids.agenda_until(now), select=(), limit=limit + len(Family))
        async for row in rows:
            if row.key.startswith(GATE):
                gates.append(row.key)
            else:
                place = Place(partition, ids.agenda_record_key(row.key))
                due.append(AgendaRow(place, row.key, ids.agenda_moment(row.key)))
        return frozenset(gates), due

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
        rows = self.table.scan(
            ids.partition_name(shard), start=first, end=prefix_end(ids.RECORD), where=where, limit=limit
        )
        async for row in rows:
            if ids.is_record(row):
                yield stored_from(row)

    async def index_everything(self) -> None:
        """Write the index rows of every operation, of which a former release has written none. Safe to repeat.

        One request for a thousand operations, and one for each hundred rows.
        """
        for partition in self.partitions:
            writes: list[Write] = []
            rows = self.table.scan(partition, start=ids.RECORD, end=prefix_end(ids.RECORD))
            async for row in rows:
                if ids.is_record(row):
                    writes += indices.changes(None, stored_from(row).operation, Place(partition, row.key))
                if len(writes) > MAX_WRITES - indices.MOST:
                    await self.table.commit(partition, writes)
                    writes = []
            if writes:
                await self.table.commit(partition, writes)

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
            async for row in self.table.scan(place.partition, start=first, end=last)
            for entry in history.read(str(row.values["entries"]))
        ]
        return (*archived, *operation.history)

    async def spill(self, operation: AsyncOperation, known: Mapping[str, str]) -> Mapping[str, str]:
        """Write the texts that do not fit the row to blobs; those that are there already, unloaded, stay."""
        spilled = {column: blob for column, blob in known.items() if getattr(operation, column) is None}
        for column, text in codec.overlong(operation).items():
            blob = codec.blob_name(operation.asyncoperationid, column, text)
            if known.get(column) != blob:
                await self.payloads.write(blob, text.encode())
            spilled[column] = blob
        return spilled


@dataclass(frozen=True, slots=True)
class Change:
    """The writes that change one record, and what it then is."""

    stored: Stored
    writes: Sequence[Write]
    write_id: str


@dataclass(frozen=True, slots=True)
class _LineChange:
    """What a change of an operation does to the line of its token."""

    operation: AsyncOperation
    writes: Sequence[Write] = ()
    #: Operations that may run because of it.
    released: Sequence[AsyncOperation] = ()


def stored_from(row: Row) -> Stored:
    """Return the operation that a row holds."""
    operation, spilled = codec.from_row(row.values)
    return Stored(operation, row.etag, spilled, str(row.values.get(codec.WRITE_ID, "")), row.values)
