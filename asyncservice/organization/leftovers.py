"""Blobs that may be left over: noted before they are written or dropped, struck out when that is through, else removed.

A row names a blob that was written before it, and lets go of one that is removed after it; between the two a process
may die. So before either it writes a note of the blobs and of the column that is to name them, or did. Whoever finds a
note that is old looks at the record: what it does not name is removed. There are only as many notes as there is work
under way, so looking for what was left costs one request, however many files there are.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched
from typing import Final
from uuid import UUID, uuid4

from asyncservice.organization.concurrency import together
from asyncservice.organization.files import Named
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.values import RecordValue
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import ConflictReason, RowConflict
from asyncservice.storage.tables import MAX_WRITES, Comparison, Delete, Put, Row, Value

TABLE: Final = "OrganizationLeftovers"
#: Nothing is taken for left over before: longer than any transaction, and than an upload in parts may go on.
QUIET: Final = timedelta(days=2)
_PARTITION: Final = "blobs"
_DUE: Final = "due"
#: Notes that one call looks at; the next goes on.
_MOST: Final = 5000
_AT_ONCE: Final = 8

type Find = Callable[[str, UUID], Awaitable[Mapping[str, RecordValue] | None]]
"""Returns a record's values. Raises OrganizationError for a table that is not known."""
type Knows = Callable[[str, str], bool]
"""Whether there is such a table, with such a column."""


class Leftovers:
    """The notes of an organization."""

    def __init__(self, storage: Storage, tables: LazyTables, find: Find, knows: Knows) -> None:
        self._storage, self._table, self._find, self._knows = storage, tables.table(TABLE), find, knows

    async def note(self, named: Sequence[Named], *, now: datetime) -> Sequence[str]:
        """Note blobs before they are written or dropped, and return the keys of the notes."""
        notes = [Put(str(uuid4()), _values(each, due=now + QUIET)) for each in named]
        for some in batched(notes, MAX_WRITES, strict=False):
            await self._table.commit(_PARTITION, some)
        return [note.key for note in notes]

    async def note_file(self, named: Named, file_id: UUID, *, now: datetime) -> None:
        """Note a file whose upload begins; its id is the note's key."""
        await self._table.commit(_PARTITION, [Put(str(file_id), _values(named, due=now + QUIET))])

    async def strike(self, keys: Iterable[str]) -> None:
        """Strike out notes. Safe to repeat."""
        for some in batched(keys, MAX_WRITES, strict=False):
            try:
                await self._table.commit(_PARTITION, [Delete(key) for key in some])
            except RowConflict:
                # One of them was struck out by somebody else, or before.
                await together((self._strike_one(key) for key in some), at_once=_AT_ONCE)

    async def remove(self, named: Iterable[Named]) -> None:
        """Remove blobs that no row names. Safe to repeat."""
        await together(map(self._remove_one, named), at_once=_AT_ONCE)

    async def collect(self, *, now: datetime) -> int:
        """Remove what was left, and return of how many contents; one request when there is nothing."""
        due = [row async for row in self._table.scan(_PARTITION, where=[Comparison(_DUE, "lt", now)], limit=_MOST)]
        for container in {str(row.values["container"]) for row in due}:
            # Whoever died may have died before it made the container.
            await self._storage.blobs(container).create()
        return sum(await together(map(self._settle, due), at_once=_AT_ONCE))

    async def _settle(self, row: Row) -> bool:
        named = _named(row)
        if not self._knows(named.entity, named.column):
            # A table or a column that was removed may come back with its rows.
            return False
        values = await self._find(named.entity, named.record_id) or {}
        is_left = str(values.get(named.column)) != named.value
        if is_left:
            await self._remove_one(named)
        await self._strike_one(row.key)
        return is_left

    async def _strike_one(self, key: str) -> None:
        try:
            await self._table.commit(_PARTITION, [Delete(key)])
        except RowConflict as conflict:
            if conflict.reason is not ConflictReason.MISSING:
                raise

    async def _remove_one(self, named: Named) -> None:
        blobs = self._storage.blobs(named.container)
        names = [named.blobs]
        if named.blobs.endswith("/"):
            names = [name async for name in blobs.names(named.blobs)]
        for name in names:
            await blobs.delete(name)


def _values(named: Named, *, due: datetime) -> dict[str, Value]:
    return {
        "container": named.container,
        "blobs": named.blobs,
        "entity": named.entity,
        "recordid": named.record_id,
        "column": named.column,
        "value": named.value,
        _DUE: due,
    }


def _named(row: Row) -> Named:
    values = row.values
    return Named(
        container=str(values["container"]),
        blobs=str(values["blobs"]),
        entity=str(values["entity"]),
        record_id=UUID(str(values["recordid"])),
        column=str(values["column"]),
        value=str(values["value"]),
    )
