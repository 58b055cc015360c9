"""How new operations are written: each with its agenda row, its alias and its place in a token's line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from secrets import token_hex
from uuid import UUID

from asyncservice.operations import codec, ids, lifecycle, tokens
from asyncservice.operations.ids import Place
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.store import OperationStore
from asyncservice.operations.tokens import Line
from asyncservice.storage.errors import RowConflict, StorageUnavailable
from asyncservice.storage.tables import MAX_WRITES, Insert, Put, Write


@dataclass(frozen=True, slots=True)
class Inserted:
    """An operation that was to be written."""

    stored: Stored
    #: False when an operation of that id was there already; `stored` is then that one.
    new: bool


@dataclass(frozen=True, slots=True)
class _Draft:
    """A new operation with the rows that make it."""

    stored: Stored
    writes: Sequence[Write]

    @property
    def id(self) -> UUID:
        return self.stored.operation.asyncoperationid


def batch_size(operations: Sequence[AsyncOperation]) -> int:
    """Return how many of these operations fit one transaction: each is two to four rows, a token's line one more."""
    tokened = any(operation.dependencytoken is not None for operation in operations)
    aliased = any(ids.known_place(operation.asyncoperationid, 1) is None for operation in operations)
    adopted = any(operation.parentkey is not None for operation in operations)
    return MAX_WRITES // (2 + aliased + 2 * tokened + adopted)


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
    waiting: list[AsyncOperation] = []
    for operation in operations:
        place = store.place(operation)
        if place.partition == ids.partition_of(operation.asyncoperationid, store.shards):
            waiting.append(operation)
            continue
        settled = await _reserve(store, operation, place)
        if isinstance(settled, Stored):
            results[operation.asyncoperationid] = Inserted(settled, new=False)
        else:
            waiting.append(settled)
    cut = False
    while waiting:
        drafts = await _drafts(store, waiting)
        partition = store.place(waiting[0]).partition
        writes = [write for draft in drafts for write in draft.writes]
        try:
            etags = iter(await store.table.commit(partition, writes))
        except RowConflict as conflict:
            known = next((draft for draft in drafts if _names(draft, conflict.key)), None)
            existing = None if known is None else await store.read(known.id)
            if known is None:
                continue  # A token's line changed under us.
            if existing is None:
                # The operation in our way is gone, or never came: whoever reserved the id for it died in between.
                await store.forget_alias(known.id)
                continue
            results[known.id] = Inserted(existing, new=existing.write_id == known.stored.write_id)
            waiting = [operation for operation in waiting if operation.asyncoperationid != known.id]
        except StorageUnavailable:
            found = [await store.read(draft.id) for draft in drafts]
            # It is one transaction: when the first was written, all were.
            if found[0] is None or found[0].write_id != drafts[0].stored.write_id:
                if cut:
                    raise
                cut = True  # An idle connection that was cut, which the clients pass on; once is no outage.
                continue
            results |= {each.operation.asyncoperationid: Inserted(each, new=True) for each in found if each}
            break
        else:
            for draft in drafts:
                mine = [next(etags) for _ in draft.writes]
                results[draft.id] = Inserted(replace(draft.stored, etag=mine[0]), new=True)
            break
    return [results[operation.asyncoperationid] for operation in operations]


async def _reserve(store: OperationStore, operation: AsyncOperation, place: Place) -> AsyncOperation | Stored:
    """Write the alias of a record that stands outside its id's own partition.

    Returns the operation to insert, or the stored one when the id is taken. An alias whose record is missing was
    left by a process that died in between: the insert is carried on where it said.
    """
    home = ids.partition_of(operation.asyncoperationid, store.shards)
    key = ids.alias_key(operation.asyncoperationid)
    try:
        await store.table.commit(home, [Insert(key, ids.alias_row(place, operation.createdon))])
    except RowConflict:
        row = await store.table.read(home, key)
        if row is None:
            return await _reserve(store, operation, place)
        existing = await store.read(operation.asyncoperationid)
        if existing is not None:
            return existing
        if ids.place_in(row).partition != place.partition:
            # The dangling alias is of another token: nothing stands there, so it is ours to take back.
            await store.forget_alias(operation.asyncoperationid)
            return await _reserve(store, operation, place)
        createdon = row.values["createdon"]
        return replace(operation, createdon=createdon)  # type: ignore[arg-type]
    return operation


async def _drafts(store: OperationStore, operations: Sequence[AsyncOperation]) -> list[_Draft]:
    """Return the rows of new operations; those with a token queue up at the end of its line."""
    lines: dict[str, Line] = {}
    drafts = []
    for operation in operations:
        token = operation.dependencytoken
        if token is not None and not operation.is_completed:
            line = lines.get(token) or await store.lines.line(store.place(operation).partition, token)
            operation, lines[token] = tokens.behind(operation, line)  # noqa: PLW2901 - the same one, in its line
            if operation.blockedby is not None:
                waits = lifecycle.waits_for(operation.blockedby)
                operation = replace(operation, friendlymessage=waits)  # noqa: PLW2901 - as above
        drafts.append(await _draft(store, operation))
    if lines:
        # The line's own row comes last: the records' etags are then counted from the front.
        last = drafts[-1]
        drafts[-1] = replace(last, writes=[*last.writes, *(line.write() for line in lines.values())])
    return drafts


async def _draft(store: OperationStore, operation: AsyncOperation) -> _Draft:
    place = store.place(operation)
    due = store.agenda.due(operation, operation.createdon)
    spilled = await store.spill(operation, {})
    operation = replace(operation, agendaon=due, haspayloads=bool(spilled))
    write_id = token_hex(8)
    values = codec.to_row(operation, spilled=spilled) | {codec.WRITE_ID: write_id}
    writes: list[Write] = [Insert(place.key, values)]
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
    return _Draft(Stored(operation, "", spilled, write_id), writes)


def _names(draft: _Draft, key: str) -> bool:
    """Whether *key* is one of the rows that only this operation writes: its record or its alias."""
    own = (draft.writes[0].key, ids.alias_key(draft.id))
    return key in own
