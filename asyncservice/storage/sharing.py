"""Concurrent commits to one partition share one entity group transaction.

Storage bills and answers by the transaction, however many rows it writes. So whatever this process wants to write to a
partition at the same time goes out together, and each caller gets its own answer: one whose condition did not hold does
not keep the others from being written. A commit that is alone goes out at once.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from typing import Final

from asyncservice.storage.company import LINGER, Company, Member
from asyncservice.storage.errors import RowConflict, StorageRefused
from asyncservice.storage.tables import (
    MAX_TRANSACTION_BYTES,
    MAX_WRITES,
    Delete,
    Require,
    Row,
    Table,
    Test,
    Write,
)

#: What a shared transaction may weigh, by the length of its texts; some characters take more than one byte.
_MAX_WEIGHT: Final = MAX_TRANSACTION_BYTES // 8


type _Commit = Member[Sequence[Write], Sequence[str]]


class SharedTable:
    """A table whose concurrent commits share transactions. Everything else goes through as it is.

    *linger* is how many seconds a commit may wait for one that is under way; None waits until that has its answer.
    """

    def __init__(self, table: Table, *, linger: float | None = LINGER) -> None:
        self._table, self._linger = table, linger
        self._lanes: dict[str, Company[Sequence[Write], Sequence[str]]] = {}

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
            new_batch = partial(_Transaction, self._table, partition)
            lane = self._lanes[partition] = Company(new_batch, linger=self._linger)
        return await lane.join(writes)

    def scan(
        self,
        partition: str,
        *,
        start: str = "",
        end: str | None = None,
        where: Sequence[Test] = (),
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Row]:
        """Yield rows in key order."""
        return self._table.scan(partition, start=start, end=end, where=where, select=select, limit=limit)


class _Transaction:
    """Commits that go out together. No row is named twice, but where several only require that it is there."""

    def __init__(self, table: Table, partition: str, members: Iterable[_Commit] = ()) -> None:
        self._table, self._partition = table, partition
        self._members: list[_Commit] = []
        self._writes: dict[str, Write] = {}
        self._weight = 0
        for member in members:
            self.takes(member)

    def takes(self, member: _Commit) -> bool:
        """Take *member* in, or say that it must wait for the next."""
        new = [write for write in member.item if write.key not in self._writes]
        weight = _weight(new)
        if self._members:
            is_full = len(self._writes) + len(new) > MAX_WRITES or self._weight + weight > _MAX_WEIGHT
            if is_full or not all(self._shares(write) for write in member.item):
                return False
        self._members.append(member)
        self._writes |= {write.key: write for write in new}
        self._weight += weight
        return True

    async def send(self) -> None:
        """Send the transaction, again without those whose conditions did not hold; answer every member."""
        try:
            etags = await self._table.commit(self._partition, list(self._writes.values()))
        except RowConflict as conflict:
            losers = [each for each in self._members if any(write.key == conflict.key for write in each.item)]
            for member in losers or self._members:
                member.fail(conflict)
            await self._send_again([member for member in self._members if losers and member not in losers])
        except StorageRefused as error:
            if len(self._members) == 1:
                self._members[0].fail(error)
            # Else one of them is at fault: alone, each gets the answer that is its own.
            else:
                for member in self._members:
                    await self._send_again([member])
        except BaseException as error:  # noqa: BLE001 - it is not swallowed: everybody who waits gets it
            for member in self._members:
                member.fail(error)
        else:
            by_key = dict(zip(self._writes, etags, strict=True))
            for member in self._members:
                member.succeed([by_key[write.key] for write in member.item])

    async def _send_again(self, members: Sequence[_Commit]) -> None:
        if members:
            await _Transaction(self._table, self._partition, members).send()

    def _shares(self, write: Write) -> bool:
        """Whether *write* can stand in this transaction: its row is not named yet, or both only require it."""
        known = self._writes.get(write.key)
        return known is None or (isinstance(known, Require) and isinstance(write, Require))


def _weight(writes: Iterable[Write]) -> int:
    """Return about how many characters *writes* take."""
    rows = (write.values.values() for write in writes if not isinstance(write, Delete | Require))
    return sum(len(value) for row in rows for value in row if isinstance(value, str | bytes))
