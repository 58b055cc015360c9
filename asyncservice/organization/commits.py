"""Writes rows of any tables and partitions, all of them or none.

Rows of one partition are one entity group transaction: one request. Anything else goes in steps, each of which leaves
the storage in a state that any process can finish or undo:

1. the transaction's row is written, preparing, with the rows that take part;
2. each of these, guarded by its ETag, gets its next state beside the present one (a transaction a partition);
3. the transaction's row becomes committed: that one conditional write is the commit;
4. the rows are brought to their next states, and the transaction's row is removed.

Nobody waits for a lock: who finds a row taken gives up and tries again, so there is no deadlock. The first partition is
prepared alone, so that of two transactions over the same rows one gets through.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID, uuid4

from asyncservice.organization.bulk import MOST_BYTES, size_of
from asyncservice.organization.concurrency import together
from asyncservice.organization.decisions import Decision, Participant, Verdict
from asyncservice.organization.errors import RequestRefused
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.pending import LAST, Pending, changing, with_pending
from asyncservice.organization.settling import Busy, Settling, settling
from asyncservice.organization.values import utf16_length
from asyncservice.storage.errors import RowConflict, StorageUnavailable
from asyncservice.storage.tables import (
    MAX_COLUMNS,
    MAX_ROW_BYTES,
    MAX_WRITES,
    Delete,
    Insert,
    Replace,
    Row,
    Table,
    Value,
    Write,
)

log = logging.getLogger(__name__)

#: How often a request is made again that got no answer.
_TRIES: Final = 3
#: Partitions that are written side by side.
_AT_ONCE: Final = 16
#: Bytes that a column takes beside its name and its text, at most.
_OVERHEAD: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """A row that a transaction writes."""

    table: str
    partition: str
    key: str
    #: As it was read; None: it must not exist.
    before: Row | None
    #: What it becomes; None: it goes.
    after: dict[str, Value] | None
    #: Rows that are written with it, in the same partition.
    beside: tuple[Insert, ...] = ()

    @property
    def writes(self) -> int:
        """How many rows that are."""
        return 1 + len(self.beside)

    @property
    def size(self) -> int:
        """About how many bytes of a request its next state takes, never too few."""
        return size_of(self.after or {}) + sum(size_of(insert.values) for insert in self.beside)


@dataclass(frozen=True, slots=True)
class _Group:
    """Touches that share an entity group transaction."""

    table: Table
    partition: str
    touches: Sequence[Touch]


class Commits:
    """Commits touches. Raises RowConflict or Busy when somebody else was first; nothing has been written then."""

    def __init__(self, tables: LazyTables) -> None:
        self._tables = tables
        self.settling = Settling(tables)

    async def commit(self, touches: Sequence[Touch], *, now: datetime) -> None:
        """Apply all touches or none. StorageUnavailable: the storage is down, and what became of them is not known."""
        if not touches:
            return
        transaction = uuid4()
        groups = list(self._groups(touches))
        if len(groups) == 1:
            await self._commit_group(groups[0], transaction)
        else:
            await self._commit_groups(groups, transaction, now=now)

    def _groups(self, touches: Sequence[Touch]) -> Iterator[_Group]:
        def place(touch: Touch) -> tuple[str, str]:
            return touch.table, touch.partition

        for (table, partition), members in groupby(sorted(touches, key=place), key=place):
            for batch in _batches(members):
                yield _Group(self._tables.table(table), partition, batch)

    # One partition ----------------------------------------------------------------------------------------------------

    async def _commit_group(self, group: _Group, transaction: UUID) -> None:
        writes: list[Write] = []
        for touch in group.touches:
            writes += _plain_writes(touch, transaction)
        _insist_on_size(writes)
        await self._write(group, writes, column=LAST, transaction=transaction)

    async def _write(self, group: _Group, writes: Sequence[Write], *, column: str, transaction: UUID) -> Sequence[str]:
        """Commit *writes*; where the answer was lost, look whether they are there. Return ETags, empty if unknown."""
        for number in range(1, _TRIES + 1):
            try:
                return await group.table.commit(group.partition, writes)
            except StorageUnavailable:
                if await self._is_written(group, column=column, transaction=transaction):
                    return ()
                if number == _TRIES:
                    raise
            except RowConflict:
                if number > 1 and await self._is_written(group, column=column, transaction=transaction):
                    return ()
                raise
        raise AssertionError("The last try returns or raises.")

    @staticmethod
    async def _is_written(group: _Group, *, column: str, transaction: UUID) -> bool:
        """Whether the transaction's writes were applied; they bear its mark, and a row that was to go is gone."""
        witnesses = [touch for touch in group.touches if column != LAST or touch.after is not None]
        # Somebody may have written one of them since; any other that bears the mark tells as much.
        for witness in witnesses:
            if _has(await group.table.read(group.partition, witness.key), column, transaction):
                return True
        if witnesses:
            return False
        # Of rows that only go nothing stays to tell who removed them, but all of them must be gone.
        for touch in group.touches:
            if await group.table.read(group.partition, touch.key) is not None:
                return False
        return True

    # Several partitions -----------------------------------------------------------------------------------------------

    async def _commit_groups(self, groups: Sequence[_Group], transaction: UUID, *, now: datetime) -> None:
        for group in groups:
            _insist_on_size([_pending_write(touch, transaction) for touch in group.touches])
        participants = [
            Participant(group.table.name, group.partition, tuple(touch.key for touch in group.touches))
            for group in groups
        ]
        decision = await self.settling.decisions.begin(transaction, participants, now=now)
        try:
            etags = await self._prepare(groups, transaction)
        except RowConflict:
            await self._abort(decision, forget=True)
            raise
        except StorageUnavailable:
            # What got no answer may still arrive, and must find that the transaction was aborted.
            await self._abort(decision, forget=False)
            raise
        decided = await self.settling.decisions.decide(decision, Verdict.COMMITTED)
        if decided is None:
            # It stood still for so long that others have settled and forgotten it.
            if await self._has_counted(groups, transaction):
                return
            decided = replace(decision, verdict=Verdict.ABORTED)
        if decided.verdict is not Verdict.COMMITTED:
            await self.settling.finish(decided)
            raise Busy(f"Transaction {transaction} took so long that it was aborted.")
        try:
            await self._roll_forward(groups, etags, decided)
        except StorageUnavailable:
            # It counts whatever becomes of this: readers see the next states, and recovery writes them.
            log.warning("Transaction %s is committed; its rows are brought there later.", transaction, exc_info=True)

    async def _prepare(self, groups: Sequence[_Group], transaction: UUID) -> list[Sequence[str]]:
        async def prepare(group: _Group) -> Sequence[str] | RowConflict | StorageUnavailable:
            writes = [_pending_write(touch, transaction) for touch in group.touches]
            try:
                return await self._write(group, writes, column="", transaction=transaction)
            except (RowConflict, StorageUnavailable) as error:
                # Told, not raised: what is on its way must arrive before the transaction is undone.
                return error

        first = await prepare(groups[0])
        if isinstance(first, Exception):
            raise first
        results = [first, *await together((prepare(group) for group in groups[1:]), at_once=_AT_ONCE)]
        etags: list[Sequence[str]] = []
        for result in results:
            if isinstance(result, Exception):
                raise result
            etags.append(result)
        return etags

    async def _has_counted(self, groups: Sequence[_Group], transaction: UUID) -> bool:
        lasting = [group for group in groups if any(touch.after is not None for touch in group.touches)]
        told = [await self._is_written(group, column=LAST, transaction=transaction) for group in lasting or groups]
        return any(told) if lasting else all(told)

    async def _abort(self, decision: Decision, *, forget: bool) -> None:
        try:
            decided = await self.settling.decisions.decide(decision, Verdict.ABORTED)
            if decided is not None:
                await self.settling.finish(decided, forget=forget)
        except StorageUnavailable:
            # Whoever needs one of its rows, or recovery, undoes it as soon as the storage answers again.
            log.warning("Transaction %s could not be undone yet.", decision.id, exc_info=True)

    async def _roll_forward(self, groups: Sequence[_Group], etags: Sequence[Sequence[str]], decided: Decision) -> None:
        async def roll(group: _Group, versions: Sequence[str]) -> bool:
            if not versions:
                return False
            writes: list[Write] = []
            for touch, etag in zip(group.touches, versions, strict=True):
                row = Row(group.partition, touch.key, {}, etag)
                writes += settling(row, etag, _pending(touch, decided.id), committed=True)
            try:
                await group.table.commit(group.partition, writes)
            except RowConflict:
                # Somebody who met a row of it was faster.
                return False
            return True

        done = await together(
            (roll(group, versions) for group, versions in zip(groups, etags, strict=True)), at_once=_AT_ONCE
        )
        if all(done):
            await self.settling.decisions.forget(decided)
        else:
            await self.settling.finish(decided)


def _pending(touch: Touch, transaction: UUID) -> Pending:
    return Pending(transaction, touch.after, touch.beside)


def _pending_write(touch: Touch, transaction: UUID) -> Write:
    pending = _pending(touch, transaction)
    if touch.before is None:
        return Insert(touch.key, with_pending({}, pending))
    return Replace(touch.key, with_pending(touch.before.values, pending), touch.before.etag)


def _plain_writes(touch: Touch, transaction: UUID) -> Iterator[Write]:
    if touch.after is None:
        if touch.before is None:
            raise ValueError(f"{touch.table} {touch.key} neither was there nor will be.")
        yield Delete(touch.key, touch.before.etag)
    elif touch.before is None:
        yield Insert(touch.key, {**touch.after, LAST: str(transaction)})
    else:
        yield Replace(touch.key, {**touch.after, LAST: str(transaction)}, touch.before.etag)
    yield from touch.beside


def _insist_on_size(writes: Sequence[Write]) -> None:
    """Raise RequestRefused when a row is more than the storage takes."""
    for write in writes:
        if not isinstance(write, Insert | Replace):
            continue
        size = sum(_OVERHEAD + 2 * len(name) + _bytes(value) for name, value in write.values.items())
        if size > MAX_ROW_BYTES or len(write.values) > MAX_COLUMNS:
            raise RequestRefused(
                f"The record {write.key.partition('-')[2]} would take {size} bytes in {len(write.values)} columns; "
                f"{MAX_ROW_BYTES} bytes in {MAX_COLUMNS} columns is the most. Shorten its longest texts; written in a "
                "transaction with records of other tables a record takes twice its size for a moment."
            )


def _bytes(value: Value) -> int:
    if isinstance(value, str):
        return 2 * utf16_length(value)
    return len(value) if isinstance(value, bytes) else _OVERHEAD


def _has(row: Row | None, column: str, transaction: UUID) -> bool:
    if row is None:
        return False
    return row.values.get(LAST) == str(transaction) if column == LAST else changing(row.values) == transaction


def _batches(members: Iterator[Touch]) -> Iterator[list[Touch]]:
    """Cut a partition's touches into transactions that the storage takes."""
    batch: list[Touch] = []
    writes = size = 0
    for member in members:
        # A row that is pending carries its present state as well.
        weight = member.size + (size_of(member.before.values) if member.before else 0)
        if batch and (writes + member.writes > MAX_WRITES or size + weight > MOST_BYTES):
            yield batch
            batch, writes, size = [], 0, 0
        batch.append(member)
        writes += member.writes
        size += weight
    if batch:
        yield batch
