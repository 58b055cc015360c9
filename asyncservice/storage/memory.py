"""Storage in memory, strict to the letter: what Azure Storage would refuse is refused here too.

It exists so that any failure and any minute can be staged in a test. Conditional writes, batch limits, size limits and
visibility times are those of the real services; nothing here is more forgiving than they are.
"""

import asyncio
import itertools
import re
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self
from uuid import UUID, uuid4

from asyncservice.storage.errors import ConflictReason, RowConflict, StorageRefused, TableMissing
from asyncservice.storage.queues import MAX_HIDDEN, MAX_MESSAGE_BYTES, MAX_RECEIVE, QueueMessage
from asyncservice.storage.tables import (
    MAX_COLUMNS,
    MAX_COMPARISONS,
    MAX_ROW_BYTES,
    MAX_TEXT,
    MAX_TRANSACTION_BYTES,
    MAX_WRITES,
    Delete,
    Every,
    Insert,
    Replace,
    Require,
    Row,
    Test,
    Value,
    Write,
    comparisons,
    holds,
)

_FORBIDDEN_IN_KEYS: Final = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_MAX_KEY: Final = 512
_TABLE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")
_QUEUE_NAME: Final = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")


class MemoryTable:
    """A table whose rows live in this process."""

    def __init__(self, name: str) -> None:
        if not _TABLE_NAME.fullmatch(name):
            raise StorageRefused(f"{name!r} is no table name: 3 to 63 letters and digits, a letter first.")
        self._name = name
        self._created = False
        self._rows: dict[str, dict[str, Row]] = {}
        self._keys: dict[str, list[str]] = {}
        self._versions = itertools.count(1)

    @property
    def name(self) -> str:
        """The table's name."""
        return self._name

    async def create(self) -> None:
        """Make the table."""
        await asyncio.sleep(0)
        self._created = True

    async def read(self, partition: str, key: str) -> Row | None:
        """Return the row, or None."""
        await asyncio.sleep(0)
        self._must_exist()
        return self._rows.get(partition, {}).get(key)

    async def commit(self, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        """Apply all writes or none."""
        await asyncio.sleep(0)
        self._must_exist()
        self._check_limits(partition, writes)
        for write in writes:
            self._check_condition(partition, write)
        return [self._apply(partition, write) for write in writes]

    async def scan(
        self,
        partition: str,
        *,
        start: str = "",
        end: str | None = None,
        where: Sequence[Test] = (),
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Row]:
        """Yield rows in key order; like the service, rows written while the scan runs may or may not be seen."""
        await asyncio.sleep(0)
        self._must_exist()
        if comparisons(Every(tuple(where))) > MAX_COMPARISONS:
            raise StorageRefused(f"A scan takes at most {MAX_COMPARISONS} comparisons.")
        keys = self._keys.get(partition, [])
        position, found = bisect_left(keys, start), 0
        while position < len(keys) and (limit is None or found < limit):
            key = keys[position]
            if end is not None and key >= end:
                return
            row = self._rows[partition][key]
            if all(holds(test, row.values) for test in where):
                found += 1
                yield _only(row, select)
            position = bisect_left(keys, key + "\0")

    def all_rows(self) -> list[Row]:
        """Return every row, for checkers that read only the tables."""
        return [rows[key] for partition, rows in sorted(self._rows.items()) for key in self._keys[partition]]

    def _must_exist(self) -> None:
        if not self._created:
            raise TableMissing(self._name)

    def _check_limits(self, partition: str, writes: Sequence[Write]) -> None:
        if not 1 <= len(writes) <= MAX_WRITES:
            raise StorageRefused(f"A transaction holds 1 to {MAX_WRITES} writes, not {len(writes)}.")
        keys = [write.key for write in writes]
        if len(set(keys)) != len(keys):
            raise StorageRefused("A transaction may name each row once.")
        total = 0
        for write in writes:
            for key in (partition, write.key):
                if _FORBIDDEN_IN_KEYS.search(key) or len(key) > _MAX_KEY:
                    raise StorageRefused(f"{key!r} is no valid key.")
            if not isinstance(write, Delete | Require):
                total += _size(write.values)
        if total > MAX_TRANSACTION_BYTES:
            raise StorageRefused(f"A transaction of {total} bytes is over {MAX_TRANSACTION_BYTES}.")

    def _check_condition(self, partition: str, write: Write) -> None:
        row = self._rows.get(partition, {}).get(write.key)
        reason: ConflictReason | None = None
        match write:
            case Insert() if row is not None:
                reason = ConflictReason.EXISTS
            case Replace() | Delete() | Require() if row is None:
                reason = ConflictReason.MISSING
            case Replace(etag=etag) | Delete(etag=etag) if row is not None and etag not in {None, row.etag}:
                reason = ConflictReason.CHANGED
        if reason is not None:
            raise RowConflict(self._name, partition, write.key, reason)

    def _apply(self, partition: str, write: Write) -> str:
        rows = self._rows.setdefault(partition, {})
        keys = self._keys.setdefault(partition, [])
        if isinstance(write, Delete):
            del rows[write.key]
            del keys[bisect_left(keys, write.key)]
            return ""
        if isinstance(write, Require):
            # The real service gives the row a new etag, as it does for any write.
            rows[write.key] = replace(rows[write.key], etag=f'W/"{next(self._versions)}"')
            return ""
        etag = f'W/"{next(self._versions)}"'
        if write.key not in rows:
            insort(keys, write.key)
        rows[write.key] = Row(partition, write.key, dict(write.values), etag)
        return etag


class MemoryQueue:
    """A queue whose messages live in this process; time is the given clock's."""

    def __init__(self, name: str, now: Callable[[], datetime]) -> None:
        if not _QUEUE_NAME.fullmatch(name):
            raise StorageRefused(f"{name!r} is no queue name: 3 to 63 lower-case letters, digits and single hyphens.")
        self._name, self._now = name, now
        self._created = False
        self._messages: list[_Held] = []

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._name

    async def create(self) -> None:
        """Make the queue."""
        await asyncio.sleep(0)
        self._created = True

    async def send(self, text: str, *, hidden_for: timedelta = timedelta(0)) -> None:
        """Put a message on the queue."""
        await asyncio.sleep(0)
        self._must_exist()
        if len(text.encode()) > MAX_MESSAGE_BYTES:
            raise StorageRefused(f"A message may hold {MAX_MESSAGE_BYTES} bytes.")
        if not timedelta(0) <= hidden_for <= MAX_HIDDEN:
            raise StorageRefused(f"A message may be hidden for at most {MAX_HIDDEN}, not {hidden_for}.")
        now = self._now()
        self._messages.append(_Held(str(uuid4()), text, "", 0, inserted_on=now, visible_on=now + hidden_for))

    async def receive(self, *, count: int, hidden_for: timedelta) -> Sequence[QueueMessage]:
        """Take up to *count* messages."""
        await asyncio.sleep(0)
        self._must_exist()
        taken = self._visible(count)
        for held in taken:
            held.visible_on = self._now() + hidden_for
            held.pop_receipt = str(uuid4())
            held.dequeue_count += 1
        return [held.seen() for held in taken]

    async def delete(self, message: QueueMessage) -> None:
        """Remove a received message."""
        await asyncio.sleep(0)
        self._must_exist()
        for held in self._messages:
            if held.id == message.id:
                if held.pop_receipt != message.pop_receipt:
                    raise StorageRefused(f"Message {message.id} was taken by somebody else meanwhile.")
                self._messages.remove(held)
                return

    async def peek(self, *, count: int = 1) -> Sequence[QueueMessage]:
        """Look at the oldest visible messages."""
        await asyncio.sleep(0)
        self._must_exist()
        return [held.seen() for held in self._visible(count)]

    async def length(self) -> int:
        """Return how many messages the queue holds, hidden ones included."""
        await asyncio.sleep(0)
        self._must_exist()
        return len(self._messages)

    def clear(self) -> None:
        """Lose every message, as a test of law 1 wants it."""
        self._messages.clear()

    def next_visible_on(self) -> datetime | None:
        """Return when the next message becomes visible, for tests that move time forward."""
        return min((held.visible_on for held in self._messages), default=None)

    def _visible(self, count: int) -> list["_Held"]:
        if not 1 <= count <= MAX_RECEIVE:
            raise StorageRefused(f"One request takes 1 to {MAX_RECEIVE} messages, not {count}.")
        now = self._now()
        waiting = (held for held in sorted(self._messages, key=lambda held: held.visible_on) if held.visible_on <= now)
        return list(itertools.islice(waiting, count))

    def _must_exist(self) -> None:
        if not self._created:
            raise StorageRefused(f"Queue {self._name} does not exist.")


class MemoryBlobs:
    """A container whose blobs live in this process."""

    def __init__(self, name: str) -> None:
        if not _QUEUE_NAME.fullmatch(name):
            raise StorageRefused(f"{name!r} is no container name: 3 to 63 lower-case letters, digits, single hyphens.")
        self._name = name
        self._created = False
        self._contents: dict[str, bytes] = {}

    @property
    def name(self) -> str:
        """The container's name."""
        return self._name

    async def create(self) -> None:
        """Make the container."""
        await asyncio.sleep(0)
        self._created = True

    async def write(self, name: str, content: bytes) -> None:
        """Store content under a name."""
        await asyncio.sleep(0)
        self._must_exist()
        self._contents[name] = bytes(content)

    async def read(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes | None:
        """Return a range of a blob."""
        await asyncio.sleep(0)
        self._must_exist()
        content = self._contents.get(name)
        if content is None:
            return None
        return content[offset : None if length is None else offset + length]

    async def size(self, name: str) -> int | None:
        """Return a blob's length."""
        await asyncio.sleep(0)
        self._must_exist()
        content = self._contents.get(name)
        return None if content is None else len(content)

    async def delete(self, name: str) -> None:
        """Remove a blob."""
        await asyncio.sleep(0)
        self._must_exist()
        self._contents.pop(name, None)

    async def names(self, prefix: str = "") -> AsyncIterator[str]:
        """Yield the names that start with *prefix*."""
        await asyncio.sleep(0)
        self._must_exist()
        for name in sorted(self._contents):
            if name.startswith(prefix):
                yield name

    def _must_exist(self) -> None:
        if not self._created:
            raise StorageRefused(f"Container {self._name} does not exist.")


class MemoryStorage:
    """A storage account in memory."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._tables: dict[str, MemoryTable] = {}
        self._queues: dict[str, MemoryQueue] = {}
        self._containers: dict[str, MemoryBlobs] = {}

    def table(self, name: str) -> MemoryTable:
        """Return the table of that name."""
        return self._tables.setdefault(name, MemoryTable(name))

    def queue(self, name: str) -> MemoryQueue:
        """Return the queue of that name."""
        return self._queues.setdefault(name, MemoryQueue(name, self._now))

    def blobs(self, name: str) -> MemoryBlobs:
        """Return the container of that name."""
        return self._containers.setdefault(name, MemoryBlobs(name))

    async def __aenter__(self) -> Self:
        """Open nothing: memory is always open."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep everything, so that a test can come back to it."""


@dataclass(slots=True)
class _Held:
    id: str
    text: str
    pop_receipt: str
    dequeue_count: int
    inserted_on: datetime
    visible_on: datetime

    def seen(self) -> QueueMessage:
        return QueueMessage(self.id, self.text, self.pop_receipt, self.dequeue_count, self.inserted_on)


def _only(row: Row, select: Sequence[str] | None) -> Row:
    if select is None:
        return row
    return Row(row.partition, row.key, {name: row.values[name] for name in select if name in row.values}, row.etag)


def _size(values: Mapping[str, Value]) -> int:
    """Return the bytes a row takes, by the service's published formula; refuse what it would refuse."""
    if len(values) > MAX_COLUMNS:
        raise StorageRefused(f"A row may have {MAX_COLUMNS} columns, not {len(values)}.")
    total = 4
    for name, value in values.items():
        total += 8 + 2 * len(name) + _size_of(name, value)
    if total > MAX_ROW_BYTES:
        raise StorageRefused(f"A row of {total} bytes is over {MAX_ROW_BYTES}.")
    return total


def _size_of(name: str, value: Value) -> int:
    match value:
        case bool():
            return 1
        case str():
            size = len(value.encode("utf-16-le"))
            if size > 2 * MAX_TEXT:
                raise StorageRefused(f"Column {name} holds {size // 2} characters; {MAX_TEXT} is the limit.")
            return size + 4
        case int():
            if not -(2**63) <= value < 2**63:
                raise StorageRefused(f"Column {name}: {value} does not fit 64 bits.")
            return 8
        case float():
            return 8
        case UUID():
            return 16
        case datetime():
            if value.tzinfo is None:
                raise StorageRefused(f"Column {name}: {value} carries no time zone.")
            return 8
        case bytes():
            if len(value) > 2 * MAX_TEXT:
                raise StorageRefused(f"Column {name} holds {len(value)} bytes; {2 * MAX_TEXT} is the limit.")
            return len(value) + 4
