"""Ids whose record stands outside their own partition: who may write that record, so that there is never a second one.

Such an id is reserved first, by an alias row in its own partition that names the place; then the record is written at
that place. Two partitions cannot share a transaction, so whoever reserved the id may die or stand still in between.
Others then take the id over, for another place perhaps. Before they do, they write a fence at the place that was
named: the record's own key, so that the late writer finds it taken. Whoever wants that place for himself after all
writes his record over the very fence that he saw, and reserves the id anew after he saw it.

There is never a second record: a writer names his place and then writes there what was not there before he named it;
whoever names another place writes a fence at the first one before, and only over the reservation that he read. So
the late writer's write either came before the fence, and the other one found his record, or it is refused.

A record that is removed leaves a fence too, for the same reason. A fence stands for KEPT and is then lifted by the
sweep; no request stays under way that long (its signature is refused after a quarter of an hour, its token after
about a day).
"""

from collections.abc import Sequence
from copy import replace
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from asyncservice.operations import ids
from asyncservice.operations.ids import Place
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.store import AgendaRow, OperationStore, stored_from
from asyncservice.storage.errors import RowConflict
from asyncservice.storage.tables import Delete, Insert, Replace, Row, Write

#: How long a fence stands.
KEPT: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Reservation:
    """The leave to write a record at its place."""

    #: As it must be written: one whose submission was begun before keeps its time of creation, and so its place.
    operation: AsyncOperation
    #: What stands there now and is to be replaced.
    fence: Row | None = None


def is_elsewhere(store: OperationStore, operation: AsyncOperation) -> bool:
    """Whether the record of *operation* stands outside its id's own partition, because of its token."""
    return store.place(operation).partition != ids.partition_of(operation.asyncoperationid, store.shards)


async def reserve(store: OperationStore, operation: AsyncOperation) -> Reservation | Stored:
    """Reserve the id of an operation that stands elsewhere, or return the operation that has the id.

    One request when nobody has the id. Safe to repeat.
    """
    home = ids.partition_of(operation.asyncoperationid, store.shards)
    key = ids.alias_key(operation.asyncoperationid)
    place = store.place(operation)
    wanted = ids.alias_row(place, operation.createdon)
    while True:
        try:
            await store.table.commit(home, [Insert(key, wanted)])
        except RowConflict:
            alias = await store.table.read(home, key)
        else:
            return Reservation(operation)
        if alias is None:
            continue
        if ids.is_record(alias):
            return stored_from(alias)
        named = ids.place_in(alias)
        standing = await store.table.read(named.partition, named.key)
        if standing is not None and ids.is_record(standing):
            return stored_from(standing)
        # Whoever reserved the id has not written yet, or died.
        if named.partition == place.partition:
            carried_on = replace(operation, createdon=alias.values["createdon"])  # type: ignore[arg-type]
            if standing is None or await _write(store, home, [Replace(key, alias.values, alias.etag)]):
                return Reservation(carried_on, standing)
        elif await _fence_off(
            store, alias, standing, operation_id=operation.asyncoperationid, until=_until(alias, operation)
        ) and await _write(store, home, [Replace(key, wanted, alias.etag)]):
            return Reservation(operation)


async def take_back(store: OperationStore, operation: AsyncOperation) -> None:
    """Free the id of an operation that stands in its own partition, where a reservation without a record is in its way.

    Does nothing when there is none, or when its record has come meanwhile.
    """
    alias = await of(store, operation.asyncoperationid)
    if alias is None:
        return
    named = ids.place_in(alias)
    standing = await store.table.read(named.partition, named.key)
    if standing is not None and ids.is_record(standing):
        return
    if await _fence_off(
        store, alias, standing, operation_id=operation.asyncoperationid, until=_until(alias, operation)
    ):
        await forget(store, alias)


async def of(store: OperationStore, operation_id: UUID) -> Row | None:
    """Return the row that says where the record of that id stands, or None."""
    row = await store.table.read(ids.partition_of(operation_id, store.shards), ids.alias_key(operation_id))
    return None if row is None or not ids.is_alias(row) else row


async def forget(store: OperationStore, alias: Row) -> None:
    """End a reservation as it was read. One that was renewed meanwhile stays."""
    await _write(store, alias.partition, [Delete(alias.key, alias.etag)])


def removal(place: Place, stored: Stored, *, now: datetime) -> list[Write]:
    """Return the writes that put a fence in the place of a record."""
    until = now + KEPT
    values = ids.fence_row(stored.operation.asyncoperationid, until)
    return [Replace(place.key, values, stored.etag), Insert(ids.agenda_key(until, place), {})]


def over(fence: Row, agenda_key: str | None) -> list[Write]:
    """Return what must be written with a record that replaces a fence and whose agenda row has that key."""
    left = ids.agenda_key(ids.fenced_until(fence), Place(fence.partition, fence.key))
    return [] if left == agenda_key else [Delete(left)]


async def lift(store: OperationStore, row: AgendaRow, *, now: datetime) -> None:
    """Remove the fence that a due agenda row names.

    A reservation that led there and was never used goes first; the fence then stands once more as long.
    """
    place = row.place
    standing = await store.table.read(place.partition, place.key)
    if standing is None or not ids.is_fence(standing):
        await store.drop_agenda_row(row)
        return
    alias = await of(store, ids.fenced_id(standing))
    if alias is None or ids.place_in(alias) != place:
        # When somebody uses the place meanwhile, he takes the agenda row away with the fence.
        await _write(store, place.partition, [Delete(place.key, standing.etag), Delete(row.key)])
        return
    standing = await store.table.read(place.partition, place.key)
    if (
        standing is not None
        and ids.is_fence(standing)
        and await _fence_off(store, alias, standing, operation_id=ids.fenced_id(standing), until=now + KEPT)
    ):
        await forget(store, alias)


async def _fence_off(
    store: OperationStore, alias: Row, standing: Row | None, *, operation_id: UUID, until: datetime
) -> bool:
    """Write a fence, or write it anew, where *alias* points; return whether nobody was faster.

    Afterwards nobody can use the reservation as it was read, and it may be ended or changed.
    """
    place = ids.place_in(alias)
    values = ids.fence_row(operation_id, until)
    agenda = ids.agenda_key(until, place)
    if standing is None:
        return await _write(store, place.partition, [Insert(place.key, values), Insert(agenda, {})])
    moved = over(standing, agenda)
    if moved:
        moved.append(Insert(agenda, {}))
    return await _write(store, place.partition, [Replace(place.key, values, standing.etag), *moved])


def _until(alias: Row, operation: AsyncOperation) -> datetime:
    """Return until when a fence stands where *operation* takes a reservation over: KEPT from the later of both."""
    reserved = alias.values["createdon"]
    if not isinstance(reserved, datetime):
        raise TypeError(f"The reservation at {alias.key} was made on {reserved!r}.")
    return max(reserved, operation.createdon) + KEPT


async def _write(store: OperationStore, partition: str, writes: Sequence[Write]) -> bool:
    """Commit *writes*; return False when somebody else was faster."""
    try:
        await store.table.commit(partition, writes)
    except RowConflict:
        return False
    return True
