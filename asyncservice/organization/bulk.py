"""Inserts many records with few transactions, and bears being called twice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from uuid import UUID

from asyncservice.organization.concurrency import together
from asyncservice.organization.files import File
from asyncservice.organization.ids import shard_of
from asyncservice.organization.keys import KeyPlace
from asyncservice.storage.errors import ConflictReason, RowConflict
from asyncservice.storage.tables import MAX_WRITES, Insert, Table, Value

#: Bytes a transaction may take. The storage would take four times as much, but a body of over a megabyte holds up the
#: event loop of everything else in the process while it is sent.
MOST_BYTES: Final = 1_000_000
#: What the body of a request takes beside the values themselves: headers of the part, keys, names of types.
_OVERHEAD_OF_A_ROW: Final = 1024
_OVERHEAD_OF_A_COLUMN: Final = 64
#: JSON writes a character outside ASCII as six.
_ESCAPED: Final = 6


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record ready to be written: its own row first, then what the outbox adds."""

    id: UUID
    inserts: Sequence[Insert]
    #: Where the rows of its alternate keys will stand.
    keys: Sequence[KeyPlace] = ()
    #: Contents that lie in blobs.
    files: Sequence[File] = ()

    @property
    def size(self) -> int:
        """About how many bytes of a request it takes, never too few."""
        return sum(size_of(insert.values) for insert in self.inserts)


def size_of(values: Mapping[str, Value]) -> int:
    """Return about how many bytes of a request a row takes, never too few."""
    return _OVERHEAD_OF_A_ROW + sum(_OVERHEAD_OF_A_COLUMN + _size(value) for value in values.values())


async def insert(table: Table, prepared: Sequence[Prepared], *, at_once: int) -> frozenset[UUID]:
    """Insert the records and return the ids of those that were there already."""
    there = await together(
        (
            _insert_batch(table, shard, batch)
            for shard, members in groupby(sorted(prepared, key=_shard), key=_shard)
            for batch in batches(members)
        ),
        at_once=at_once,
    )
    return frozenset().union(*there)


def batches(members: Iterator[Prepared]) -> Iterator[list[Prepared]]:
    """Cut a partition's records into transactions that the storage takes."""
    batch: list[Prepared] = []
    writes = size = 0
    for member in members:
        if batch and (writes + len(member.inserts) > MAX_WRITES or size + member.size > MOST_BYTES):
            yield batch
            batch, writes, size = [], 0, 0
        batch.append(member)
        writes += len(member.inserts)
        size += member.size
    if batch:
        yield batch


async def _insert_batch(table: Table, shard: str, batch: Sequence[Prepared]) -> frozenset[UUID]:
    """Insert one transaction's records; where some exist, find out which and insert the others."""
    there: set[UUID] = set()
    while len(there) < len(batch):
        missing = [member for member in batch if member.id not in there]
        try:
            await table.commit(shard, [insert for member in missing for insert in member.inserts])
        except RowConflict as conflict:
            if conflict.reason is not ConflictReason.EXISTS:
                raise
            found = await _existing(table, shard, missing)
            if not found:
                # Not a record but a row beside it is in the way: that is nobody's replay.
                raise
            there |= found
        else:
            break
    return frozenset(there)


async def _existing(table: Table, shard: str, batch: Sequence[Prepared]) -> set[UUID]:
    rows = await together(table.read(shard, member.inserts[0].key) for member in batch)
    return {member.id for member, row in zip(batch, rows, strict=True) if row is not None}


def _shard(prepared: Prepared) -> str:
    return shard_of(prepared.id)


def _size(value: Value) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else _ESCAPED * len(value)
    return 2 * len(value) if isinstance(value, bytes) else 40
