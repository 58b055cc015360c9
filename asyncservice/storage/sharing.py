"""Concurrent commits to one partition share one entity group transaction.

Storage bills and answers by the transaction, however many rows it writes. So whatever this process wants to write to a
partition at the same time goes out together, and each caller gets its own answer: one whose condition did not hold does
not keep the others from being written. A commit that is alone goes out at once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from asyncservice.storage.errors import RowConflict, StorageRefused
from asyncservice.storage.tables import (
    MAX_TRANSACTION_BYTES,
    MAX_WRITES,
    Comparison,
    Delete,
    Require,
    Row,
    Table,
    Write,
)

#: A commit waits at most this long, in seconds, for one of the same partition that is under way.
LINGER: Final = 0.005
#: Transactions that one process sends to one partition at the same time, when there is enough for them.
_AT_ONCE: Final = 4
#: What a shared transaction may weigh, by the length of its texts; some characters take more than one byte.
_MAX_WEIGHT: Final = MAX_TRANSACTION_BYTES // 8


class SharedTable:
    """A table whose concurrent commits share transactions. Everything else goes through as it is.

    *linger* is how many seconds a commit may wait for one that is under way; None waits until that has its answer.
    """

    def __init__(self, table: Table, *, linger: float | None = LINGER) -> None:
        self._table, self._linger = table, linger
        self._lanes: dict[str, _Lane] = {}

    @property
    def name(self) -> str:
        """The table's name."""
        return self._table.name

    async def create(self) -> None:
        """Make the table."""
        await self._table.create()

    async def read(self, partition: str, key: str) -> Row | None:
        """Return the row, or None."""
        return await self._table.read(partition, key)

    async def commit(self, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        """Apply all writes or none, in a transaction that others may share."""
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = _Lane(self._table, partition, self._linger)
        return await lane.add(_Member(tuple(writes), asyncio.get_running_loop().create_future()))

    def scan(
        self,
        partition: str,
        *,
        start: str = "",
        end: str | None = None,
        where: Sequence[Comparison] = (),
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Row]:
        """Yield rows in key order."""
        return self._table.scan(partition, start=start, end=end, where=where, select=select, limit=limit)


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    """One caller's commit."""

    writes: tuple[Write, ...]
    etags: "asyncio.Future[Sequence[str]]"

    @property
    def weight(self) -> int:
        """About how many characters it writes."""
        values = (write.values.values() for write in self.writes if not isinstance(write, Delete | Require))
        return sum(len(value) for row in values for value in row if isinstance(value, str | bytes))

    def names(self, key: str) -> bool:
        return any(write.key == key for write in self.writes)

    def fail(self, error: BaseException) -> None:
        if self.etags.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.etags.cancel()
        else:
            self.etags.set_exception(error)


class _Batch:
    """Commits that go out together. No row is named twice, but where several only require that it is there."""

    def __init__(self) -> None:
        self.members: list[_Member] = []
        self._rows: dict[str, Write] = {}
        self._weight = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def writes(self) -> list[Write]:
        return list(self._rows.values())

    def takes(self, member: _Member) -> bool:
        """Take *member* in, or say that it must wait for the next."""
        new = [write for write in member.writes if write.key not in self._rows]
        shared = all(
            isinstance(write, Require) and isinstance(self._rows[write.key], Require)
            for write in member.writes
            if write.key in self._rows
        )
        weight = member.weight
        fits = len(self._rows) + len(new) <= MAX_WRITES and self._weight + weight <= _MAX_WEIGHT
        if self.members and not (shared and fits):
            return False
        self.members.append(member)
        self._rows |= {write.key: write for write in new}
        self._weight += weight
        return True

    def without(self, losers: Sequence[_Member]) -> "_Batch":
        rest = _Batch()
        for member in self.members:
            if member not in losers:
                rest.takes(member)
        return rest

    def answer(self, etags: Sequence[str]) -> None:
        by_key = dict(zip(self._rows, etags, strict=True))
        for member in self.members:
            if not member.etags.done():
                member.etags.set_result([by_key[write.key] for write in member.writes])


class _Lane:
    """What waits for one partition, and what is under way to it."""

    def __init__(self, table: Table, partition: str, linger: float | None) -> None:
        self._table, self._partition, self._linger = table, partition, linger
        self._waiting: deque[_Member] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._call: asyncio.Handle | None = None

    async def add(self, member: _Member) -> Sequence[str]:
        self._waiting.append(member)
        self._arrange()
        return await member.etags

    def _arrange(self) -> None:
        """See to it that what waits goes out: soon when nothing is under way, else a little later."""
        if not self._waiting or self._call is not None:
            return
        loop = asyncio.get_running_loop()
        if not self._under_way:
            # Not at once: whoever is ready to run now may want to come along.
            self._call = loop.call_soon(self._depart)
        elif self._linger is not None:
            self._call = loop.call_later(self._linger, self._depart)

    def _depart(self) -> None:
        self._call = None
        while self._waiting:
            batch = _Batch()
            while self._waiting and (self._waiting[0].etags.done() or batch.takes(self._waiting[0])):
                self._waiting.popleft()
            if batch.members:
                task = asyncio.get_running_loop().create_task(self._send(batch))
                self._under_way.add(task)
                task.add_done_callback(self._arrived)
            if len(self._under_way) >= _AT_ONCE:
                break
        self._arrange()

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._call is not None and not self._under_way:
            self._call.cancel()
            self._call = None
        self._arrange()

    async def _send(self, batch: _Batch) -> None:
        """Send a batch, again without those whose conditions did not hold."""
        while batch.members:
            try:
                etags = await self._table.commit(self._partition, batch.writes)
            except RowConflict as conflict:
                losers = [member for member in batch.members if member.names(conflict.key)]
                for member in losers or batch.members:
                    member.fail(conflict)
                batch = batch.without(losers or batch.members)
            except StorageRefused as error:
                if len(batch.members) == 1:
                    batch.members[0].fail(error)
                    return
                # One of them is at fault: alone, each gets the answer that is its own.
                for member in batch.members:
                    alone = _Batch()
                    alone.takes(member)
                    await self._send(alone)
                return
            except BaseException as error:  # noqa: BLE001 - it is not swallowed: everybody who waits gets it
                for member in batch.members:
                    member.fail(error)
                return
            else:
                batch.answer(etags)
                return
