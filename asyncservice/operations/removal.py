"""How operations are removed, with all that belongs to them."""

from collections.abc import Sequence
from datetime import datetime
from itertools import batched

from asyncservice.operations import awaiting, children, ids, indices, requests, reservation
from asyncservice.operations.errors import ChangedMeanwhile
from asyncservice.operations.ids import Place
from asyncservice.operations.record import Stored
from asyncservice.operations.store import OperationStore
from asyncservice.storage.errors import RowConflict
from asyncservice.storage.tables import MAX_WRITES, Delete, Row, Write, prefix_end


async def delete_many(store: OperationStore, batch: Sequence[Stored], *, now: datetime) -> None:
    """Remove completed operations of one partition in as few transactions as can be.

    What hangs on a record (blobs, rows of children, events, history) goes before it, and the record is marked before
    that: a crash in between leaves a record that can be deleted again and not be reopened, never something nobody
    knows. A record that stands outside its id's own partition leaves a fence (see `reservation`). One that is gone
    already is no error. Raises ChangedMeanwhile when somebody wrote one of them first; the others of its transaction
    then stay.
    """
    writes: list[Write] = []
    aliases: list[Row] = []
    for each in batch:
        stored = await _without_what_hangs_on_it(store, each, now)
        if stored is None:
            continue
        if reservation.is_elsewhere(store, stored.operation):
            alias = await reservation.of(store, stored.operation.asyncoperationid)
            if alias is not None and ids.place_in(alias) == store.place(stored.operation):
                aliases.append(alias)
        rows = _rows_of(store, stored, now)
        if len(writes) + len(rows) > MAX_WRITES:
            await _delete_rows(store, batch, writes, now)
            writes = []
        writes += rows
    if writes:
        await _delete_rows(store, batch, writes, now)
    for alias in aliases:
        await reservation.forget(store, alias)


async def _without_what_hangs_on_it(store: OperationStore, stored: Stored, now: datetime) -> Stored | None:
    """Remove what would be left without the record; return the record as it then is, or None when it is gone."""
    operation = stored.operation
    place = store.place(operation)
    if not operation.has_belongings:
        return stored
    if not operation.removing:
        try:
            stored = await store.replace(stored, requests.removed(operation), now=operation.modifiedon)
        except ChangedMeanwhile:
            if await store.read_place(place) is None:
                return None
            raise
    if operation.haspayloads:
        async for blob in store.payloads.names(f"{operation.asyncoperationid}/"):
            await store.payloads.delete(blob)
    if operation.childcount:
        await _let_go(store, place, now)
        await _remove_rows(store, place.partition, ids.child_key(place.key, None, completed=True))
    if operation.events:
        await _remove_rows(store, place.partition, ids.event_key(place, ""))
    if operation.archivedhistory:
        await _remove_rows(store, place.partition, ids.history_prefix(place))
    return stored


async def _let_go(store: OperationStore, parent: Place, now: datetime) -> None:
    """Let children that are not completed go on by themselves; they would look for their parent's rows in vain."""
    for place in await children.unfinished(store, parent):
        child = await store.read_place(place)
        while child is not None and child.operation.parentkey == parent.key and not child.operation.is_completed:
            own = [Delete(ids.child_key(parent.key, place, completed=False))]
            try:
                await store.replace(child, awaiting.let_go(child.operation), now=now, also=own)
            except ChangedMeanwhile:
                child = await store.read_place(place)
            else:
                break


async def _remove_rows(store: OperationStore, partition: str, prefix: str) -> None:
    """Remove every row whose key begins with *prefix*; those that are gone already are no error."""
    rows = [row.key async for row in store.table.scan(partition, start=prefix, end=prefix_end(prefix), select=())]
    for batch in batched(rows, MAX_WRITES, strict=False):
        try:
            await store.table.commit(partition, [Delete(key) for key in batch])
        except RowConflict:
            await _remove_rows(store, partition, prefix)


def _rows_of(store: OperationStore, stored: Stored, now: datetime) -> list[Write]:
    """Return the writes that remove an operation, its record first."""
    operation = stored.operation
    place = store.place(operation)
    asked = indices.changes(operation, None, place)
    if operation.removes_itself and operation.completedon is not None:
        asked.append(Delete(ids.removal_key(operation.completedon, place)))
    if reservation.is_elsewhere(store, operation):
        return [*reservation.removal(place, stored, now=now), *asked]
    writes: list[Write] = [Delete(place.key, stored.etag), *asked]
    if ids.needs_alias(operation.asyncoperationid, place, store.shards):
        writes.append(Delete(ids.alias_key(operation.asyncoperationid)))
    if operation.agendaon is not None:
        writes.append(Delete(ids.agenda_key(operation.agendaon, place)))
    return writes


async def _delete_rows(store: OperationStore, batch: Sequence[Stored], writes: list[Write], now: datetime) -> None:
    """Commit deletions, leaving out records that are gone already with all their rows."""
    partition = store.place(batch[0].operation).partition
    while writes:
        try:
            await store.table.commit(partition, writes)
        except RowConflict as conflict:
            if indices.is_index(conflict.key):  # Not there: nothing more is to be removed of it.
                writes = [write for write in writes if write.key != conflict.key]
                continue
            loser = next(each for each in batch if any(row.key == conflict.key for row in _rows_of(store, each, now)))
            if await store.read_place(store.place(loser.operation)) is not None:
                raise ChangedMeanwhile(loser.operation.asyncoperationid) from conflict
            gone = {row.key for row in _rows_of(store, loser, now)}
            writes = [write for write in writes if write.key not in gone]
        else:
            return
