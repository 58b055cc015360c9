"""The audit, which says whether everything in the storage that belongs to operations agrees with everything else.

It looks at every record with what the record names (`evidence`), and at every other row and blob with the record that
it belongs to. It only reads, keeps no more than a page in memory, and may run while the service works: what looks
wrong is read again, and counts only when the record did not change in between.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncservice.operations import awaiting, ids, indices, switch, tokens
from asyncservice.operations.errors import OperationNotFound
from asyncservice.operations.evidence import Record, record_at, wrongs_of, wrongs_of_indices, wrongs_of_line
from asyncservice.operations.fingerprint import Fingerprint
from asyncservice.operations.ids import Place
from asyncservice.operations.store import OperationStore
from asyncservice.storage.tables import Row, prefix_end

#: Rows that are looked at side by side.
_AT_ONCE: Final = 32
#: An operation that looks wrong and changes meanwhile is looked at again this often.
_LOOKS: Final = 10
#: Leftovers that are looked at once more at the end, when what was being written meanwhile has been written.
_SUSPECTS: Final = 10_000
#: The first characters of row keys, in order: together they bound ranges that cover a partition.
_KINDS: Final = (
    ids.AGENDA,
    ids.CHILD,
    ids.REMOVAL,
    ids.EVENT,
    ids.HISTORY,
    ids.ALIAS,
    ids.RECORD,
    tokens.PREFIX,
    ids.INDEX,
)
#: Keys of rows that stand for no operation.
_GATES: Final = switch.Stopped().gates
#: So long is the key of a token's head row; a member's goes on with its number.
_HEAD_LENGTH: Final = len(tokens.head_key(""))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be."""

    #: What is wrong, as a sentence about the operation or the row.
    what: str
    #: The operation, where one is known.
    asyncoperationid: UUID | None = None
    #: Where: partition and key of a row, or the name of a blob.
    where: str = ""
    #: Whether it is only left over from a submission that died half-way: nobody waits for it and it does no harm.
    is_leftover: bool = False


@dataclass(slots=True)
class Tally:
    """How far an audit has come, and what it has found."""

    partitions: int = 0
    of_partitions: int = 0
    operations: int = 0
    unfinished: int = 0
    moves: int = 0
    #: Rows beside records: agenda, aliases, children, events, archived history, lines, indices.
    other_rows: int = 0
    blobs: int = 0
    deviations: int = 0
    leftovers: int = 0


@dataclass(slots=True)
class Audit:
    """One look at the storage of one service."""

    store: OperationStore
    now: Callable[[], datetime]
    tally: Tally = field(default_factory=Tally)

    async def one(self, operation_id: UUID) -> list[Finding]:
        """Return what is wrong with one operation and all that belongs to it.

        Reads the agenda of its partition to the end, a request for a thousand rows. Raises OperationNotFound.
        """
        place = await self._find(operation_id)
        row = await self.store.table.read(place.partition, place.key)
        if row is None or not ids.is_record(row):
            raise OperationNotFound(operation_id)
        found = await self._of_record(place)
        try:
            operation = Record.read(row).operation
        except ValueError:
            return self._counted(found)
        found += await self._of_record(place, self._wrongs_of_indices)
        self.tally.operations += 1
        self.tally.unfinished += not operation.is_completed
        self.tally.moves += len(operation.history)
        for kind in (ids.HISTORY, ids.EVENT, ids.CHILD):
            start = f"{kind}{place.tail}-"
            found += [each async for each in self._rows(place.partition, start, prefix_end(start))]
        # These are keyed by a moment, and end like the record's key.
        for kind in (ids.AGENDA, ids.REMOVAL):
            rows = self.store.table.scan(place.partition, start=kind, end=prefix_end(kind), select=())
            found += await self._look_at([row async for row in rows if row.key.endswith(place.tail)])
        if operation.dependencytoken is not None and not operation.is_completed:
            found += await self._of_line(place.partition, tokens.head_key(operation.dependencytoken))
        async for blob in self.store.payloads.names(f"{operation_id}/"):
            self.tally.blobs += 1
            if problem := await self._blob_problem(operation_id):
                found.append(_left_blob(blob, operation_id, problem))
        return self._counted(found)

    async def _find(self, operation_id: UUID) -> Place:
        """Return where an operation stands; its record need not be readable."""
        home = ids.partition_of(operation_id, self.store.shards)
        row = await self.store.table.read(home, ids.alias_key(operation_id))
        if row is None:
            raise OperationNotFound(operation_id)
        return ids.place_in(row) if ids.is_alias(row) else Place(row.partition, row.key)

    async def everything(self, *, seen: Callable[[Tally], object] = lambda _: None) -> AsyncIterator[Finding]:
        """Yield what is wrong anywhere, as it is found; *seen* is called after every page with the tally so far.

        One request for a thousand rows, and about two for each unfinished operation and each child.
        """
        self.tally.of_partitions = self.store.shards
        suspects: list[tuple[Finding, Callable[[], Awaitable[bool]]]] = []
        async for suspect in self._of_blobs(seen):
            suspects.append(suspect)
            if len(suspects) > _SUSPECTS:
                yield self._count(suspects.pop(0)[0])
        for shard in range(self.store.shards):
            async for finding in self._of_partition(ids.partition_name(shard), seen):
                yield self._count(finding)
            self.tally.partitions += 1
            seen(self.tally)
        for finding, still in suspects:
            if await still():
                yield self._count(finding)
        seen(self.tally)

    # One partition ----------------------------------------------------------------------------------------------------

    async def _of_partition(self, partition: str, seen: Callable[[Tally], object]) -> AsyncIterator[Finding]:
        """Look at every row of a partition, one kind after the other."""
        bounds = ["", *_KINDS]
        indexed = Fingerprint()
        for start, end in zip(bounds, [*_KINDS, None], strict=True):
            if start == ids.RECORD:
                async for finding in self._records(partition, start, end, seen, indexed):
                    yield finding
            elif start == ids.INDEX:
                async for finding in self._indices(partition, indexed, seen):
                    yield finding
            else:
                async for finding in self._rows(partition, start, end, seen):
                    yield finding

    async def _records(
        self, partition: str, start: str, end: str | None, seen: Callable[[Tally], object], indexed: Fingerprint
    ) -> AsyncIterator[Finding]:
        async for rows in _pages(self.store.table.scan(partition, start=start, end=end)):
            looks = []
            for row in rows:
                if not row.key.startswith(ids.RECORD):
                    looks.append(self._of_row(row))
                elif not ids.is_record(row):
                    self.tally.other_rows += 1
                    looks.append(self._of_alias(row) if ids.is_alias(row) else self._of_fence(row))
                else:
                    looks.append(self._of_scanned(row, indexed))
            for findings in await asyncio.gather(*looks):
                for finding in findings:
                    yield finding
            seen(self.tally)

    async def _of_scanned(self, row: Row, indexed: Fingerprint) -> list[Finding]:
        """Judge a record as it was scanned, noting its index rows; read it again when something seems wrong."""
        place = Place(row.partition, row.key)
        self.tally.operations += 1
        try:
            record = Record.read(row)
        except ValueError:
            return await self._of_record(place)
        operation = record.operation
        indexed.add_all(indices.rows(operation, place))
        self.tally.unfinished += not operation.is_completed
        self.tally.moves += len(operation.history)
        wrongs = await wrongs_of(self.store, record, now=self.now())
        return await self._of_record(place) if wrongs else []

    async def _wrongs(self, record: Record) -> list[str]:
        return await wrongs_of(self.store, record, now=self.now())

    async def _wrongs_of_indices(self, record: Record) -> list[str]:
        return await wrongs_of_indices(self.store, record)

    async def _of_record(
        self, place: Place, judge: Callable[[Record], Awaitable[list[str]]] | None = None
    ) -> list[Finding]:
        """Return what is wrong with the operation at *place*, seen without anybody changing it meanwhile."""
        judge = judge or self._wrongs
        where = f"{place.partition}/{place.key}"
        for _ in range(_LOOKS):
            try:
                record = await record_at(self.store, place)
                if record is None:
                    return []
                wrongs = await judge(record)
                again = await record_at(self.store, place)
            except ValueError as error:
                return [Finding(str(error), None, where)]
            if again is None or again.row == record.row:
                operation_id = record.operation.asyncoperationid
                return [] if again is None else [Finding(wrong, operation_id, where) for wrong in wrongs]
        return [Finding(f"it changed at each of {_LOOKS} looks; audit it again", None, where)]

    async def _indices(
        self, partition: str, expected: Fingerprint, seen: Callable[[Tally], object]
    ) -> AsyncIterator[Finding]:
        """Compare the index rows of a partition with those that its records should have.

        All together first, which takes a request for a thousand rows; one by one only where that shows a difference.
        """
        found = Fingerprint()
        async for rows in _pages(self.store.table.scan(partition, start=ids.INDEX)):
            for row in rows:
                if indices.is_index(row.key):
                    self.tally.other_rows += 1
                    found.add(row.key, row.values)
                else:
                    yield _unknown(row)
            seen(self.tally)
        if found == expected:
            return
        for one_by_one in (self._every_index_row(partition), self._every_indexed(partition)):
            async for finding in one_by_one:
                yield finding

    async def _every_index_row(self, partition: str) -> AsyncIterator[Finding]:
        """Look at the record of every index row."""
        scan = self.store.table.scan(partition, start=ids.INDEX, end=prefix_end(ids.INDEX))
        async for rows in _pages(scan):
            owners = [Place(partition, indices.record_key(row)) for row in rows]
            looks = (
                self._owned(row, owner, "an index row", _has_index_row) for row, owner in zip(rows, owners, strict=True)
            )
            for findings in await asyncio.gather(*looks):
                for finding in findings:
                    yield finding

    async def _every_indexed(self, partition: str) -> AsyncIterator[Finding]:
        """Look at the index rows of every record."""
        scan = self.store.table.scan(partition, start=ids.RECORD, end=prefix_end(ids.RECORD))
        async for rows in _pages(scan):
            for findings in await asyncio.gather(*map(self._lacks_index_rows, filter(ids.is_record, rows))):
                for finding in findings:
                    yield finding

    async def _lacks_index_rows(self, row: Row) -> list[Finding]:
        try:
            lacking = await wrongs_of_indices(self.store, Record.read(row))
        except ValueError:
            return []  # That was told of the record.
        place = Place(row.partition, row.key)
        return await self._of_record(place, self._wrongs_of_indices) if lacking else []

    # Rows that belong to a record -------------------------------------------------------------------------------------

    async def _rows(
        self, partition: str, start: str, end: str | None, seen: Callable[[Tally], object] = lambda _: None
    ) -> AsyncIterator[Finding]:
        # Which record they belong to stands in their keys, but for aliases and lines.
        select = None if start[:1] in {ids.ALIAS, tokens.PREFIX} else ()
        async for rows in _pages(self.store.table.scan(partition, start=start, end=end, select=select)):
            for finding in await self._look_at(rows):
                yield finding
            seen(self.tally)

    async def _look_at(self, rows: Sequence[Row]) -> list[Finding]:
        return [finding for found in await asyncio.gather(*map(self._of_row, rows)) for finding in found]

    async def _of_row(self, row: Row) -> list[Finding]:
        if row.key in _GATES:
            return []  # The sweep makes gates agree with what is stopped.
        self.tally.other_rows += 1
        match row.key[:1]:
            case ids.AGENDA:
                return await self._of_agenda_row(row)
            case ids.REMOVAL:
                owner = Place(row.partition, ids.removal_record_key(row.key))
                return await self._owned(row, owner, "a row that asks for a removal", _asked_for_removal)
            case ids.HISTORY:
                return await self._owned(row, _owner(row), "a row of archived history", _names_history)
            case ids.EVENT:
                return await self._owned(row, _owner(row), "an event", _names_event)
            case ids.CHILD:
                return await self._of_child(row)
            case ids.ALIAS:
                return await self._of_alias(row)
            case tokens.PREFIX:
                return await self._of_line_row(row)
            case _:
                return [_unknown(row)]

    async def _owned(self, row: Row, owner: Place, kind: str, names: Callable[[Record, Row], bool]) -> list[Finding]:
        """Check that the record a row belongs to knows of it; look again while either changes."""
        where = f"{row.partition}/{row.key}"
        for _ in range(_LOOKS):
            try:
                record = await record_at(self.store, owner)
                if record is not None and (names(record, row) or record.operation.removing):
                    return []
                if await self.store.table.read(row.partition, row.key) is None:
                    return []
                again = await record_at(self.store, owner)
            except ValueError:
                return []  # That is told of the record.
            if record is None and again is None:
                return [Finding(f"{kind} is there, and no record that it belongs to", None, where)]
            if record is not None and again is not None and record.row == again.row:
                what = f"{kind} is there that its record does not know"
                return [Finding(what, record.operation.asyncoperationid, where)]
        return [Finding(f"{kind} belongs to a record that changed at each of {_LOOKS} looks", None, where)]

    async def _of_agenda_row(self, row: Row) -> list[Finding]:
        owner = Place(row.partition, ids.agenda_record_key(row.key))
        standing = await self.store.table.read(owner.partition, owner.key)
        if standing is not None and ids.is_fence(standing) and _agenda_key(standing) == row.key:
            return []
        return await self._owned(row, owner, "an agenda row", _names_agenda_row)

    async def _of_fence(self, row: Row) -> list[Finding]:
        """Check that somebody will lift a fence."""
        if await self.store.table.read(row.partition, _agenda_key(row)) is not None:
            return []
        if await self.store.table.read(row.partition, row.key) != row:
            return []
        what = "a fence has no agenda row: nobody will lift it"
        return [Finding(what, ids.fenced_id(row), f"{row.partition}/{row.key}")]

    async def _of_child(self, row: Row) -> list[Finding]:
        """Check a child's row from its parent's side, and from the child's while it is unfinished."""
        parent, kind, child = _parts_of_child(row.key)
        found = await self._owned(row, Place(row.partition, parent), "a child's row", _has_children)
        if kind != "p" or found:
            return found

        def is_unfinished(record: Record, _: Row) -> bool:
            return not record.operation.is_completed and record.operation.parentkey == parent

        return await self._owned(row, Place(row.partition, child), "an unfinished child's row", is_unfinished)

    async def _of_alias(self, row: Row) -> list[Finding]:
        place = ids.place_in(row)
        if await self.store.table.read(place.partition, place.key) is not None:
            return []
        again = await self.store.table.read(row.partition, row.key)
        if again is None or await self.store.table.read(place.partition, place.key) is not None:
            return []
        # One in the record's own partition is written with the record; one elsewhere, before it.
        apart = place.partition != row.partition
        what = f"an alias leads to {place.partition}/{place.key}, where no record stands"
        return [Finding(what, None, f"{row.partition}/{row.key}", is_leftover=apart)]

    async def _of_line_row(self, row: Row) -> list[Finding]:
        head = row.key[:_HEAD_LENGTH]
        if row.key == head:
            return await self._of_line(row.partition, head)
        members = self.store.table.scan(row.partition, start=head, end=prefix_end(head), limit=1)
        first = [each.key async for each in members]
        # A line is looked at once: with its head, or with its first member where it has none.
        return await self._of_line(row.partition, head) if first == [row.key] else []

    async def _of_line(self, partition: str, head: str) -> list[Finding]:
        """Return what is wrong with a token's line, seen without anybody joining or leaving it meanwhile."""
        where = f"{partition}/{head}"
        for _ in range(_LOOKS):
            before = await self.store.table.read(partition, head)
            wrongs = await wrongs_of_line(self.store, partition, head)
            if not wrongs:
                return []
            after = await self.store.table.read(partition, head)
            rows = self.store.table.scan(partition, start=head, end=prefix_end(head), limit=1)
            if before == after and [each async for each in rows]:
                return [Finding(f"the line of a token: {wrong}", None, where) for wrong in wrongs]
            if after is None:
                return []
        return [Finding(f"the line of a token changed at each of {_LOOKS} looks; audit it again", None, where)]

    # Blobs ------------------------------------------------------------------------------------------------------------

    async def _of_blobs(
        self, seen: Callable[[Tally], object]
    ) -> AsyncIterator[tuple[Finding, Callable[[], Awaitable[bool]]]]:
        """Yield the blobs that no record will take along when it is removed, each with whether that is still so."""
        latest: UUID | None = None
        problem: str | None = None
        async for name in self.store.payloads.names():
            self.tally.blobs += 1
            owner = _uuid(name.partition("/")[0])
            if owner is None:
                yield _left_blob(name, None, "is none of the service's"), _always
                continue
            if owner != latest:
                latest, problem = owner, await self._blob_problem(owner)
                seen(self.tally)
            if problem is not None:

                async def still(owner: UUID = owner) -> bool:
                    return await self._blob_problem(owner) is not None

                yield _left_blob(name, owner, problem), still

    async def _blob_problem(self, owner: UUID) -> str | None:
        stored = await self.store.read(owner)
        if stored is None:
            return "belongs to no record"
        return None if stored.operation.haspayloads else "would stay when it is removed"

    def _counted(self, findings: Iterable[Finding]) -> list[Finding]:
        return [self._count(each) for each in findings]

    def _count(self, finding: Finding) -> Finding:
        self.tally.leftovers += finding.is_leftover
        self.tally.deviations += not finding.is_leftover
        return finding


async def _pages(rows: AsyncIterator[Row]) -> AsyncIterator[list[Row]]:
    """Yield rows in lists that are looked at side by side."""
    page: list[Row] = []
    async for row in rows:
        page.append(row)
        if len(page) == _AT_ONCE:
            yield page
            page = []
    if page:
        yield page


def _owner(row: Row) -> Place:
    """Return where the record stands that a row of history or an event belongs to."""
    return Place(row.partition, ids.RECORD + row.key[1:].partition("-")[0])


def _parts_of_child(key: str) -> tuple[str, str, str]:
    """Return the parent's key, whether the child is completed (d) or not (p), and the child's key."""
    parent, _, rest = key[1:].partition("-")
    kind, _, child = rest.partition("-")
    return ids.RECORD + parent, kind, ids.RECORD + child


def _agenda_key(fence: Row) -> str:
    """Return the key of the agenda row that has a fence lifted."""
    return ids.agenda_key(ids.fenced_until(fence), Place(fence.partition, fence.key))


def _names_agenda_row(record: Record, row: Row) -> bool:
    moment = record.operation.agendaon
    return moment is not None and ids.agenda_key(moment, record.place) == row.key


def _asked_for_removal(record: Record, row: Row) -> bool:
    operation = record.operation
    if not operation.removes_itself or operation.completedon is None:
        return False
    return ids.removal_key(operation.completedon, record.place) == row.key


def _names_history(record: Record, row: Row) -> bool:
    number = row.key.rpartition("-")[2]
    return number.isdecimal() and int(number) < record.operation.archivedhistory


def _names_event(record: Record, row: Row) -> bool:
    return row.key.partition("-")[2] in awaiting.arrived(record.operation)


def _has_index_row(record: Record, row: Row) -> bool:
    return indices.rows(record.operation, record.place).get(row.key) == row.values


def _unknown(row: Row) -> Finding:
    return Finding("the service writes no row with such a key", None, f"{row.partition}/{row.key}")


def _has_children(record: Record, _: Row) -> bool:
    return record.operation.childcount > 0


def _left_blob(name: str, owner: UUID | None, problem: str) -> Finding:
    return Finding(f"the blob {name} {problem}", owner, name, is_leftover=True)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


async def _always() -> bool:
    return True
