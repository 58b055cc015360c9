"""Operations in the order of their creation, the newest first, out of all partitions.

Two orders are offered. By key: the record's own, which a range scan delivers. By creation: the same but for the few
records whose key is not made of their time of creation; these stand in an index of their own (see `indices`), and are
merged in where they belong. Positions in either order are the tails of keys, so a list goes on where it was left.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import Final

from asyncservice.operations import ids, indices
from asyncservice.operations.ids import Place
from asyncservice.operations.indices import Index
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.store import OperationStore, stored_from
from asyncservice.storage.tables import Row, Test, after, prefix_end

#: Records that the keys of an index name and that are read side by side: at first so many, then ever more.
_FIRST_READ: Final = 64
_LONGEST_READ: Final = 1000
#: Point reads under way at the same time.
_AT_ONCE: Final = 32
#: Fewer keys than this are not worth a range scan.
_WORTH_A_SCAN: Final = 8


@dataclass(frozen=True, slots=True)
class Span:
    """A range of positions: behind *behind*, from *first* on, and before *end*, where they are given."""

    behind: str | None = None
    first: str | None = None
    end: str | None = None

    def within(self, start: str) -> tuple[str, str]:
        """Return the range of the keys that begin with *start* and whose tails lie in the span."""
        low = start
        if self.first is not None:
            low = max(low, start + self.first)
        if self.behind is not None:
            low = max(low, after(start + self.behind))
        return low, prefix_end(start) if self.end is None else start + self.end

    def holds(self, tail: str) -> bool:
        """Whether a position lies in it."""
        low, high = self.within("o")
        return low <= f"o{tail}" < high


EVERYTHING: Final = Span()

type Positioned = tuple[str, Stored]
"""An operation, and its position in the order of the list."""
type _Found = tuple[str, Place]
"""Where an index leads, and the position there."""


def created_tail(operation: AsyncOperation) -> str:
    """Return the position of an operation in the order of creation."""
    return indices.tail(operation.asyncoperationid, operation.createdon)


def is_apart(operation: AsyncOperation) -> bool:
    """Whether its record's key is not made of its time of creation."""
    own = ids.record_key(operation.asyncoperationid, operation.createdon)
    return own[1:] != created_tail(operation)


async def by_key(
    store: OperationStore, span: Span = EVERYTHING, *, where: Sequence[Test] = (), first_page: int | None = None
) -> AsyncIterator[Stored]:
    """Yield operations in the order of their records' keys. *where* is what the storage compares."""
    streams = [_records(store, each, span, where, first_page) for each in store.partitions]
    async for _, stored in merged(streams):
        yield stored


async def by_creation(
    store: OperationStore, span: Span = EVERYTHING, *, where: Sequence[Test] = (), first_page: int | None = None
) -> AsyncIterator[Stored]:
    """Yield operations in the order of their creation.

    One request more for each partition than `by_key`, and what it takes to read the records that stand apart: of them
    *where* is not asked, so the caller must look at each.
    """
    apart = indices.prefix(Index.CREATED)

    async def in_place(partition: str) -> AsyncIterator[Positioned]:
        async for tail, stored in _records(store, partition, span, where, first_page):
            if not is_apart(stored.operation):
                yield tail, stored

    streams = [in_place(each) for each in store.partitions]
    named = [_named(store, each, apart, span, first_page) for each in store.partitions]
    streams.append(_read(store, merged(named), first_page))
    async for _, stored in merged(streams):
        yield stored


async def indexed(
    store: OperationStore,
    prefixes: Sequence[str],
    span: Span = EVERYTHING,
    *,
    also: Iterable[Stored] = (),
    first_page: int | None = None,
) -> AsyncIterator[Stored]:
    """Yield the operations that index rows with these prefixes lead to, and *also*, in the order of creation."""
    named = [_named(store, each, start, span, first_page) for start in prefixes for each in store.partitions]
    beside = sorted((created_tail(each.operation), each) for each in also)

    async def those() -> AsyncIterator[Positioned]:
        for tail, stored in beside:
            if span.holds(tail):
                yield tail, stored

    async for _, stored in merged([_read(store, merged(named), first_page), those()]):
        yield stored


async def unfinished(store: OperationStore, *, at_most: int) -> list[Stored] | None:
    """Return every operation that is not completed, in no order, or None when there are more than *at_most*.

    The agenda names them: one request for each partition, then what it takes to read the records.
    """
    found = await asyncio.gather(*(_on_agenda(store, each, at_most + 1) for each in store.partitions))
    places = [place for several in found for place in several]
    if len(places) > at_most:
        return None
    return [each for each in await read_all(store, places) if each is not None]


async def read_all(store: OperationStore, places: Sequence[Place]) -> list[Stored | None]:
    """Return the operations at *places*, in their order; None for what is gone.

    Where several stand close together they are read by one range scan; the others one by one.
    """
    partitions: dict[str, list[str]] = {}
    for place in places:
        partitions.setdefault(place.partition, []).append(place.key)
    found: dict[Place, Stored] = {}
    for several in await asyncio.gather(*(_close_together(store, *each) for each in partitions.items())):
        found |= several
    missing = [place for place in places if place not in found]
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(place: Place) -> Stored | None:
        async with gate:
            return await store.read_place(place)

    found |= {
        place: stored
        for place, stored in zip(missing, await asyncio.gather(*map(one, missing)), strict=True)
        if stored is not None
    }
    return [found.get(place) for place in places]


async def merged[T](streams: Sequence[AsyncIterator[tuple[str, T]]]) -> AsyncIterator[tuple[str, T]]:
    """Yield what all streams yield, each in the order of its positions, in that order; begins all side by side."""
    begun = await asyncio.gather(*(anext(each, None) for each in streams))
    heads = [(each[0], number, each) for number, each in enumerate(begun) if each is not None]
    heapify(heads)
    while heads:
        _, number, first = heads[0]
        yield first
        following = await anext(streams[number], None)
        if following is None:
            heappop(heads)
        else:
            heapreplace(heads, (following[0], number, following))


async def _records(
    store: OperationStore, partition: str, span: Span, where: Sequence[Test], first_page: int | None
) -> AsyncIterator[Positioned]:
    async for row in _rows(store, partition, ids.RECORD, span, where=where, select=None, first_page=first_page):
        if ids.is_record(row):
            yield row.key[1:], stored_from(row)


async def _named(
    store: OperationStore, partition: str, prefix: str, span: Span, first_page: int | None
) -> AsyncIterator[_Found]:
    async for row in _rows(store, partition, prefix, span, where=(), select=indices.COLUMNS, first_page=first_page):
        yield indices.tail_of(row.key), Place(partition, indices.record_key(row))


async def _rows(
    store: OperationStore,
    partition: str,
    prefix: str,
    span: Span,
    *,
    where: Sequence[Test],
    select: Sequence[str] | None,
    first_page: int | None,
) -> AsyncIterator[Row]:
    """Yield rows; no more than *first_page* by the first request, since often no others are wanted."""
    start, end = span.within(prefix)
    seen = 0
    async for row in store.table.scan(partition, start=start, end=end, where=where, select=select, limit=first_page):
        yield row
        seen, start = seen + 1, after(row.key)
    if first_page is not None and seen == first_page:
        async for row in store.table.scan(partition, start=start, end=end, where=where, select=select):
            yield row


async def _read(
    store: OperationStore, found: AsyncIterator[_Found], first_page: int | None
) -> AsyncIterator[Positioned]:
    """Read the records that an index leads to, some at a time. What is gone is left out."""
    size = first_page or _FIRST_READ
    batch: list[_Found] = []

    async def records() -> list[Positioned]:
        stored = await read_all(store, [place for _, place in batch])
        return [(tail, each) for (tail, _), each in zip(batch, stored, strict=True) if each is not None]

    async for each in found:
        batch.append(each)
        if len(batch) == size:
            for positioned in await records():
                yield positioned
            size, batch = min(2 * size, _LONGEST_READ), []
    for positioned in await records():
        yield positioned


async def _on_agenda(store: OperationStore, partition: str, limit: int) -> list[Place]:
    rows = store.table.scan(partition, start=ids.AGENDA, end=prefix_end(ids.AGENDA), select=(), limit=limit)
    return [Place(partition, ids.agenda_record_key(row.key)) async for row in rows]


async def _close_together(store: OperationStore, partition: str, keys: Sequence[str]) -> dict[Place, Stored]:
    """Return those of the records that a few range scans find; none where they stand far apart."""
    found: dict[Place, Stored] = {}
    left = sorted(keys)
    while len(left) >= _WORTH_A_SCAN:
        wanted, last = set(left), ""
        rows = store.table.scan(partition, start=left[0], end=after(left[-1]), limit=2 * len(left))
        before = len(found)
        async for row in rows:
            last = row.key
            if row.key in wanted and ids.is_record(row):
                found[Place(partition, row.key)] = stored_from(row)
        left = [key for key in left if key > last]
        if not last or 2 * (len(found) - before) < len(wanted) - len(left) or len(found) - before < _WORTH_A_SCAN:
            break
    return found
