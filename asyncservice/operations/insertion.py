"""How new operations are written: each with its agenda row, its alias and its place in a token's line."""

from collections.abc import Sequence
from copy import replace
from dataclasses import dataclass
from secrets import token_hex
from typing import Final
from uuid import UUID

from asyncservice.operations import codec, ids, indices, lifecycle, reservation, tokens
from asyncservice.operations.hints import MAX_TICKETS
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.reservation import Reservation
from asyncservice.operations.store import OperationStore
from asyncservice.operations.tokens import Line
from asyncservice.storage.errors import RowConflict, StorageUnavailable
from asyncservice.storage.tables import MAX_WRITES, Insert, Put, Replace, Row, Write

#: How many operations are written together that have one index row, as nearly all but system events: a full hint.
USUAL_BATCH: Final = min(MAX_WRITES // 3, MAX_TICKETS)


@dataclass(frozen=True, slots=True)
class Inserted:
    """An operation that was to be written."""

    stored: Stored
    #: False when an operation of that id was there already; `stored` is then that one.
    new: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """A new operation with the rows that make it."""

    stored: Stored
    writes: Sequence[Write]

    @property
    def id(self) -> UUID:
        """The operation's id."""
        return self.stored.operation.asyncoperationid


def batch_size(operations: Sequence[AsyncOperation], *, beside: int = 0) -> int:
    """Return how many of these operations fit one transaction, by the rows of the one that has most.

    Each has its record and its agenda row; it may have an alias, index rows, a place in a token's line, and a fence.
    *beside* is how many other rows the transaction has.
    """
    tokened = any(operation.dependencytoken is not None for operation in operations)
    aliased = any(ids.known_place(operation.asyncoperationid, 1) is None for operation in operations)
    adopted = any(operation.parentkey is not None for operation in operations)
    indexed = max(map(indices.count, operations), default=0)
    return (MAX_WRITES - beside) // (2 + aliased + 3 * tokened + adopted + indexed)


async def insert(store: OperationStore, operation: AsyncOperation) -> Inserted:
    """Write a new operation, or find the one that has its id."""
    [result] = await insert_many(store, [operation])
    return result


async def insert_many(store: OperationStore, operations: Sequence[AsyncOperation]) -> list[Inserted]:
    """Write new operations of one partition in one transaction; at most `batch_size`, each id once.

    Ids that exist already do not keep the others from being written. Safe to repeat: a write whose answer was lost
    is recognised. One request; one more for each token, and for each id that does not say where its record stands.
    """
    results: dict[UUID, Inserted] = {}
    waiting = await _reserve(store, operations, results)
    unanswered = False
    while waiting:
        drafts = await _drafts(store, waiting)
        partition = store.place(waiting[0].operation).partition
        writes = [write for each in drafts for write in each.writes]
        try:
            etags = iter(await store.table.commit(partition, writes))
        except RowConflict as conflict:
            known = next((each for each in drafts if _names(each, conflict.key)), None)
            if known is None:
                continue  # A token's line changed under us.
            number = next(n for n, each in enumerate(waiting) if each.operation.asyncoperationid == known.id)
            settled = await _look(store, waiting[number].operation)
            if isinstance(settled, Stored):
                results[known.id] = Inserted(settled, new=settled.write_id == known.stored.write_id)
                del waiting[number]
            else:
                waiting[number] = settled
        except StorageUnavailable:
            found = [await store.read(each.id) for each in drafts]
            # It is one transaction: when the first was written, all were.
            if found[0] is None or found[0].write_id != drafts[0].stored.write_id:
                if unanswered:
                    raise
                # Certainly not written. A row in our way, met after a try without an answer, looks like that, too.
                unanswered = True
                waiting = await _reserve(store, [each.operation for each in waiting], results)
                continue
            results |= {each.operation.asyncoperationid: Inserted(each, new=True) for each in found if each}
            break
        else:
            for each in drafts:
                mine = [next(etags) for _ in each.writes]
                results[each.id] = Inserted(replace(each.stored, etag=mine[0]), new=True)
            break
    return [results[operation.asyncoperationid] for operation in operations]


async def _reserve(
    store: OperationStore, operations: Sequence[AsyncOperation], results: dict[UUID, Inserted]
) -> list[Reservation]:
    """Return the leave to write each operation; where an operation has the id already, note that in *results*.

    No request for those whose transaction decides.
    """
    waiting: list[Reservation] = []
    for operation in operations:
        settled: Reservation | Stored = Reservation(operation)
        if reservation.is_elsewhere(store, operation):
            settled = await reservation.reserve(store, operation)
        if isinstance(settled, Stored):
            results[operation.asyncoperationid] = Inserted(settled, new=False)
        else:
            waiting.append(settled)
    return waiting


async def _look(store: OperationStore, operation: AsyncOperation) -> Reservation | Stored:
    """Return what is in the way of *operation*, or the leave to try again."""
    if reservation.is_elsewhere(store, operation):
        return await reservation.reserve(store, operation)
    existing = await store.read(operation.asyncoperationid)
    if existing is None:
        # It is gone, or never came: whoever reserved the id for it stands still or died in between.
        await reservation.take_back(store, operation)
    return existing or Reservation(operation)


async def _drafts(store: OperationStore, reservations: Sequence[Reservation]) -> list[Draft]:
    """Return the rows of new operations; those with a token queue up at the end of its line."""
    lines: dict[str, Line] = {}
    drafts = []
    for reserved in reservations:
        operation = reserved.operation
        token = operation.dependencytoken
        if token is not None and not operation.is_completed:
            line = lines.get(token) or await store.lines.line(store.place(operation).partition, token)
            operation, lines[token] = tokens.behind(operation, line)
            if operation.blockedby is not None:
                waits = lifecycle.waits_for(operation.blockedby)
                operation = replace(operation, friendlymessage=waits)
        drafts.append(await draft(store, operation, reserved.fence))
    if lines:
        # The line's own row comes last: the records' etags are then counted from the front.
        last = drafts[-1]
        drafts[-1] = replace(last, writes=[*last.writes, *(line.write() for line in lines.values())])
    return drafts


async def draft(store: OperationStore, operation: AsyncOperation, fence: Row | None = None) -> Draft:
    """Return the rows of a new operation that has its place in its token's line; long texts are kept now.

    Its record replaces *fence*, where one stands in its place.
    """
    place = store.place(operation)
    due = store.agenda.due(operation, operation.createdon)
    spilled = await store.spill(operation, {})
    operation = replace(operation, agendaon=due, haspayloads=bool(spilled))
    write_id = token_hex(8)
    values = codec.to_row(operation, spilled=spilled) | {codec.WRITE_ID: write_id}
    writes: list[Write] = [Insert(place.key, values) if fence is None else Replace(place.key, values, fence.etag)]
    if fence is not None:
        writes += reservation.over(fence, None if due is None else ids.agenda_key(due, place))
    if due is not None:
        writes.append(Put(ids.agenda_key(due, place), {}))
    own_partition = place.partition == ids.partition_of(operation.asyncoperationid, store.shards)
    if own_partition and ids.needs_alias(operation.asyncoperationid, place, store.shards):
        alias = ids.alias_row(place, operation.createdon)
        writes.append(Insert(ids.alias_key(operation.asyncoperationid), alias))
    if operation.tokennumber is not None:
        writes.append(tokens.membership(operation, place.key))
    if operation.parentkey is not None:
        writes.append(Insert(ids.child_key(operation.parentkey, place, completed=False), {}))
    writes += indices.changes(None, operation, place)
    return Draft(Stored(operation, "", spilled, write_id, values), writes)


def _names(new: Draft, key: str) -> bool:
    """Whether *key* is one of the rows that only this operation writes: its record or its alias."""
    own = (new.writes[0].key, ids.alias_key(new.id))
    return key in own
