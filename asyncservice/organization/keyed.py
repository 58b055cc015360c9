"""Inserts many records that have alternate keys: one transaction each, since each key may be somebody else's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncservice.organization import keys
from asyncservice.organization.bulk import Prepared
from asyncservice.organization.commits import Commits, Touch
from asyncservice.organization.concurrency import together
from asyncservice.organization.errors import DuplicateKey, DuplicateKeys, RecordChanged
from asyncservice.organization.ids import shard_of
from asyncservice.organization.lazytables import LazyTable
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.settling import Busy
from asyncservice.storage.errors import RowConflict

_TRIES: Final = 20


async def insert(
    commits: Commits, table: LazyTable, entity: Entity, prepared: Sequence[Prepared], *, now: datetime, at_once: int
) -> frozenset[UUID]:
    """Insert the records and return the ids of those that were there already.

    Raises DuplicateKeys, when all others have been made, for those whose key another record has.
    """

    async def one(new: Prepared) -> UUID | DuplicateKey | None:
        for _ in range(_TRIES):
            try:
                if await commits.settling.settled(table, shard_of(new.id), new.inserts[0].key, now=now) is not None:
                    return new.id
                if (taken := await _taken(commits, table, entity, new, now=now)) is not None:
                    return taken
                await commits.commit(list(_touches(table, new)), now=now)
            except (RowConflict, Busy):
                continue
            return None
        raise RecordChanged(entity.name, new.id)

    results = await together(map(one, prepared), at_once=at_once)
    refused = {
        new.id: result for new, result in zip(prepared, results, strict=True) if isinstance(result, DuplicateKey)
    }
    if refused:
        raise DuplicateKeys(refused)
    return frozenset(result for result in results if isinstance(result, UUID))


async def _taken(
    commits: Commits, table: LazyTable, entity: Entity, new: Prepared, *, now: datetime
) -> DuplicateKey | None:
    for place in new.keys:
        row = await commits.settling.settled(table, place.partition, place.row_key, now=now)
        if row is not None and keys.record_of(row) != new.id:
            return DuplicateKey(entity.name, new.id, place.key.schema_name, place.key.attributes)
    return None


def _touches(table: LazyTable, new: Prepared) -> list[Touch]:
    first, *beside = new.inserts
    return [
        Touch(
            table=table.name,
            partition=shard_of(new.id),
            key=first.key,
            before=None,
            after=dict(first.values),
            beside=tuple(beside),
        ),
        *(
            Touch(
                table=table.name, partition=place.partition, key=place.row_key, before=None, after=keys.row_of(new.id)
            )
            for place in new.keys
        ),
    ]
