"""What the tables must hold for one operation: its record, its history, and every row and blob that belongs to it.

`wrongs_of` looks at one record and says what is wrong with it. It only reads. The rows of an operation change in one
transaction with its record, so what it says of a record that did not change meanwhile is so.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from asyncservice.operations import awaiting, codec, history, ids, indices, rebuilding, tokens
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.ids import Place
from asyncservice.operations.rebuilding import CLOCK_SKEW
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StateCode
from asyncservice.operations.store import OperationStore, stored_from
from asyncservice.storage.tables import Row, prefix_end

#: Agenda rows are keyed by whole milliseconds, rounded down.
_GRAIN: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Record:
    """An operation as its row says it is."""

    place: Place
    row: Row
    operation: AsyncOperation
    #: Columns that stand in blobs, by the blob that holds each.
    spilled: dict[str, str]

    @classmethod
    def read(cls, row: Row) -> "Record":
        """Return the operation of a row. Raises ValueError saying why the row is no operation."""
        try:
            stored = stored_from(row)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"its row cannot be read: {error}") from error
        if wrong := codec.mistyped(stored.operation):
            raise ValueError(f"its row cannot be read: {', '.join(wrong)} is of another type")
        return cls(Place(row.partition, row.key), row, stored.operation, dict(stored.spilled))


async def record_at(store: OperationStore, place: Place) -> Record | None:
    """Return the operation at *place*, or None. One request. Raises ValueError when the row cannot be read."""
    row = await store.table.read(place.partition, place.key)
    return None if row is None or not ids.is_record(row) else Record.read(row)


async def wrongs_of(store: OperationStore, record: Record, *, now: datetime) -> list[str]:
    """Return what is wrong with one operation, by its record and the rows that the record names.

    No request for a completed operation of which nothing stands apart; else about one for each row it should have.
    """
    operation = record.operation
    if operation.removing:
        # What hangs on the record is being taken away from it, its history first.
        return [] if operation.is_completed else [f"it is {operation.statuscode.label} and its removal has begun"]
    wrongs = list(_of_the_row(store, record))
    entries = [entry async for entry in _history(store, record, wrongs)]
    wrongs += rebuilding.deviations(operation, entries, unread=record.spilled)
    async for wrong in _of_other_rows(store, record, now):
        wrongs.append(wrong)
    return wrongs


async def wrongs_of_indices(store: OperationStore, record: Record) -> list[str]:
    """Return which of its index rows an operation lacks. One request for each that it should have."""
    wrongs = []
    for key, values in indices.rows(record.operation, record.place).items():
        row = await store.table.read(record.place.partition, key)
        if row is None or row.values != values:
            wrongs.append(f"its index row {key} is missing or leads elsewhere: it may not be found in lists")
    return wrongs


def _of_the_row(store: OperationStore, record: Record) -> Iterator[str]:
    """Compare what the row says twice."""
    operation, values = record.operation, record.row.values
    if values.get("statecode") != int(operation.statecode):
        state = operation.statecode
        yield f"statecode is {values.get('statecode')!r}, its status {operation.statuscode.label} is of {int(state)}"
    if store.place(operation) != record.place:
        yield f"it stands at {record.place.partition}/{record.place.key}, where its id and token do not lead"


async def _history(store: OperationStore, record: Record, wrongs: list[str]) -> AsyncIterator[HistoryEntry]:
    """Yield the whole history, noting archived rows that are missing or cannot be read."""
    for number in range(record.operation.archivedhistory):
        row = await store.table.read(record.place.partition, ids.history_key(record.place, number))
        try:
            entries = () if row is None else history.read(str(row.values["entries"]))
        except (ValueError, KeyError) as error:
            entries = ()
            wrongs.append(f"row {number} of its archived history cannot be read: {error}")
        if row is None:
            wrongs.append(f"row {number} of its archived history is missing")
        for entry in entries:
            yield entry
    for entry in record.operation.history:
        yield entry


async def _of_other_rows(store: OperationStore, record: Record, now: datetime) -> AsyncIterator[str]:
    operation, place = record.operation, record.place
    if not operation.is_completed:
        async for wrong in _of_its_agenda(store, record, now):
            yield wrong
        if operation.dependencytoken is not None:
            async for wrong in _of_its_line(store, record):
                yield wrong
        elif operation.tokennumber is not None or operation.blockedby is not None:
            yield "it has a place in a token's line and no token"
    if operation.removes_itself and operation.completedon is not None:
        asked = ids.removal_key(operation.completedon, place)
        if await store.table.read(place.partition, asked) is None:
            yield "it was to be removed when it had succeeded, and no row asks for that: it will stay"
    if ids.needs_alias(operation.asyncoperationid, place, store.shards):
        home = ids.partition_of(operation.asyncoperationid, store.shards)
        alias = await store.table.read(home, ids.alias_key(operation.asyncoperationid))
        if alias is None or not ids.is_alias(alias) or ids.place_in(alias) != place:
            yield "it cannot be found by its id: its alias is missing or leads elsewhere"
    if operation.parentkey is not None:
        async for wrong in _of_its_parent(store, record):
            yield wrong
    for name in sorted(awaiting.arrived(operation)):
        if await store.table.read(place.partition, ids.event_key(place, name)) is None:
            yield f"event {name} has arrived for it and its row is missing"
    for column, blob in record.spilled.items():
        if await store.payloads.size(blob) is None:
            yield f"{column} is kept in the blob {blob}, which is missing"


async def _of_its_agenda(store: OperationStore, record: Record, now: datetime) -> AsyncIterator[str]:
    """Check that somebody will look at it, and in time; see `latest_row`."""
    operation, place = record.operation, record.place
    if operation.agendaon is None:
        yield f"it is {operation.statuscode.label} and has no agenda row: nobody will look at it"
        return
    if await store.table.read(place.partition, ids.agenda_key(operation.agendaon, place)) is None:
        yield f"its agenda row of {operation.agendaon.isoformat()} is missing: nobody will look at it"
    due = latest_row(store, operation, now)
    if due is not None and operation.agendaon > due + _GRAIN:
        yield f"its agenda row stands at {operation.agendaon.isoformat()}, and it is due by {due.isoformat()}"


def latest_row(store: OperationStore, operation: AsyncOperation, now: datetime) -> datetime | None:
    """Return the latest moment at which the agenda row of *operation* may stand.

    That is what the agenda's rules say. When a sweep has looked at an operation that may run at once, and sent it a
    hint, the row may instead stand as long after that look as the sweep waits before it looks again.
    """
    # The clock of the host that wrote the row may have been ahead of ours.
    now += CLOCK_SKEW
    due = store.agenda.due(operation, now)
    if due is None or operation.is_locked:
        return due
    may_run = operation.statecode is StateCode.READY or due <= now
    return max(due, now + store.agenda.look_again) if may_run else due


async def _of_its_line(store: OperationStore, record: Record) -> AsyncIterator[str]:
    operation = record.operation
    if operation.dependencytoken is None or operation.tokennumber is None:
        yield "it has a dependency token and no place in the token's line"
        return
    key = tokens.member_key(operation.dependencytoken, operation.tokennumber)
    member = await store.table.read(record.place.partition, key)
    if member is None or member.values.get("record") != record.place.key:
        yield f"its row in the line of its token (number {operation.tokennumber}) is missing or names another"
    if operation.is_locked and operation.blockedby is not None:
        yield f"it is {operation.statuscode.label} out of turn: {operation.blockedby} stands before it"


async def _of_its_parent(store: OperationStore, record: Record) -> AsyncIterator[str]:
    """Check that its parent knows it, as long as there is a parent: a removed one has taken its rows along."""
    operation, place = record.operation, record.place
    parent = str(operation.parentkey)
    rows = {
        completed: await store.table.read(place.partition, ids.child_key(parent, place, completed=completed))
        for completed in (False, True)
    }
    if rows[operation.is_completed] is None and await store.table.read(place.partition, parent) is not None:
        yield f"its parent does not know it as {'completed' if operation.is_completed else 'unfinished'}"
    if rows[not operation.is_completed] is not None:
        yield f"its parent knows it as {'unfinished' if operation.is_completed else 'completed'}"
    done = rows[True]
    if operation.is_completed and done is not None and done.values.get("status") != int(operation.statuscode):
        yield f"its parent knows it with status {done.values.get('status')!r}, it is {operation.statuscode.label}"


async def wrongs_of_line(store: OperationStore, partition: str, head_key: str) -> list[str]:
    """Return what is wrong with the line of one token. One request, and one for each member."""
    head = await store.table.read(partition, head_key)
    if head is None:
        return ["the line has members and no head row"]
    wrongs: list[str] = []
    before: Record | None = None
    members = 0
    rows = store.table.scan(partition, start=head_key + "-", end=prefix_end(head_key + "-"))
    async for row in rows:
        members += 1
        try:
            record = await record_at(store, Place(partition, str(row.values.get("record"))))
        except ValueError as error:
            wrongs.append(f"member {row.key}: {error}")
            continue
        if record is None:
            wrongs.append(f"member {row.key} names a record that is not there")
            continue
        operation = record.operation
        if operation.dependencytoken is None or operation.tokennumber is None or operation.is_completed:
            wrongs.append(f"member {row.key} is {operation.asyncoperationid}, which has left the line")
            continue
        if tokens.member_key(operation.dependencytoken, operation.tokennumber) != row.key:
            wrongs.append(f"member {row.key} is {operation.asyncoperationid}, which has another number or token")
        expected = None if before is None else before.operation.asyncoperationid
        if operation.blockedby != expected:
            wrongs.append(f"{operation.asyncoperationid} waits for {operation.blockedby} and stands behind {expected}")
        before = record
    tail = None if before is None else before.operation.asyncoperationid
    if head.values.get("members") != members:
        wrongs.append(f"the head counts {head.values.get('members')!r} members, there are {members}")
    if head.values.get("tail") != tail:
        wrongs.append(f"the head says that {head.values.get('tail')!s} is the last, {tail} is")
    last = None if before is None else before.operation.tokennumber
    latest = head.values.get("latest")
    if last is not None and (not isinstance(latest, int) or latest < last):
        wrongs.append(f"the head has given out {latest!r} numbers, the last member has {last}")
    return wrongs
