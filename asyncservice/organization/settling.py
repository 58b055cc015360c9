"""Rows that a transaction is changing: how readers see them, and how they are brought to what was decided."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from asyncservice.organization.concurrency import together
from asyncservice.organization.decisions import Decision, Decisions, Participant, Verdict
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.pending import LAST, Pending, changing, is_partial, pending_of, present_of
from asyncservice.storage.errors import RowConflict, StorageUnavailable
from asyncservice.storage.tables import Delete, Insert, Put, Replace, Row, Table, Write

#: How often a row is read again because its transaction was finished meanwhile.
_READS: Final = 20
#: Rows that are settled side by side.
_AT_ONCE: Final = 16


class Busy(Exception):  # noqa: N818 - reads as the state it describes
    """Another transaction is changing the row; try again in a moment."""


class Settling:
    """Sees and settles rows that carry a transaction."""

    def __init__(self, tables: LazyTables) -> None:
        self._tables = tables
        self.decisions = Decisions(tables)

    async def seen(self, table: Table, row: Row | None) -> Row | None:
        """Return the row as a reader must see it, or None when it does not exist. Writes nothing.

        Its ETag is that of the row as it stands. Costs nothing unless a transaction is changing the row. Raises
        StorageUnavailable when transactions come and go faster than it can be read.
        """
        for _ in range(_READS):
            if row is None:
                return None
            transaction = changing(row.values)
            if transaction is None:
                return row
            decision = await self.decisions.find(transaction)
            if decision is not None:
                return await self._seen(table, row, committed=decision.verdict is Verdict.COMMITTED)
            # Nothing is left of the transaction, so the row was settled since it was read. Or it was written by a
            # process that did not know yet that its transaction had been aborted.
            read_again = await table.read(row.partition, row.key)
            if read_again is not None and changing(read_again.values) == transaction:
                return await self._seen(table, read_again, committed=False)
            row = read_again
        raise StorageUnavailable(f"{table.name}: a row keeps changing while it is read")

    async def settled(self, table: Table, partition: str, key: str, *, now: datetime) -> Row | None:
        """Return a row that nobody is changing, bringing it there where its transaction has been decided.

        For those who mean to write it. Raises Busy while its transaction is preparing.
        """
        for _ in range(_READS):
            row = await table.read(partition, key)
            transaction = None if row is None else changing(row.values)
            if row is None or transaction is None:
                return row
            decision = await self.decisions.find(transaction)
            if decision is not None and decision.is_overdue(now):
                decision = await self.decisions.decide(decision, Verdict.ABORTED)
            if decision is None:
                await self._settle_if_left(table, row)
            elif decision.verdict is Verdict.PREPARING:
                break
            else:
                await self._settle_row(table, row, committed=decision.verdict is Verdict.COMMITTED)
        raise Busy(f"{table.name} {key} is being changed by another transaction")

    async def finish(self, decision: Decision, *, forget: bool = True) -> None:
        """Bring every row of a decided transaction to where it belongs, then *forget* the transaction."""
        committed = decision.verdict is Verdict.COMMITTED
        await together(
            (self._settle_participant(decision, each, committed=committed) for each in decision.participants),
            at_once=_AT_ONCE,
        )
        if forget:
            await self.decisions.forget(decision)

    async def recover(self, *, now: datetime) -> int:
        """Finish or undo every transaction whose process died, and return how many. One request when there is none.

        Their own rows stay until nothing of them can be on its way any more; what arrives meanwhile is settled by the
        next call.
        """
        found = [decision async for decision in self.decisions.all()]
        recovered = 0
        for decision in found:
            decided: Decision | None = decision
            if decision.is_overdue(now):
                decided = await self.decisions.decide(decision, Verdict.ABORTED)
            if decided is not None and decided.verdict is not Verdict.PREPARING:
                await self.finish(decided, forget=decided.is_past(now))
                recovered += 1
        return recovered

    async def _settle_participant(self, decision: Decision, participant: Participant, *, committed: bool) -> None:
        table = self._tables.table(participant.table)

        async def settle(key: str) -> None:
            row = await table.read(participant.partition, key)
            if row is not None and changing(row.values) == decision.id:
                await self._settle_row(table, row, committed=committed)

        await together((settle(key) for key in participant.keys), at_once=_AT_ONCE)

    async def _settle_if_left(self, table: Table, row: Row) -> None:
        """Undo what a row carries of a transaction that has been forgotten."""
        again = await table.read(row.partition, row.key)
        if again is not None and changing(again.values) == changing(row.values):
            await self._settle_row(table, again, committed=False)

    @staticmethod
    async def _settle_row(table: Table, row: Row, *, committed: bool) -> None:
        pending = pending_of(row)
        if pending is None:
            return
        writes = settling(row, row.etag, pending, committed=committed)
        try:
            await table.commit(row.partition, writes)
        except RowConflict:
            again = await table.read(row.partition, row.key)
            if again is None or changing(again.values) != pending.transaction:
                # Somebody else settled it first; both would have written the same.
                return
            # A row beside it has the key of one that is there. What was decided comes about all the same.
            await table.commit(
                row.partition, [Put(each.key, each.values) if isinstance(each, Insert) else each for each in writes]
            )

    async def _seen(self, table: Table, row: Row, *, committed: bool) -> Row | None:
        whole: Row | None = row
        if is_partial(row):
            whole = await table.read(row.partition, row.key)
            if whole is None or changing(whole.values) != changing(row.values):
                return await self.seen(table, whole)
        pending = None if whole is None else pending_of(whole)
        if whole is None or pending is None:
            return whole
        values = pending.after if committed else present_of(whole)
        return None if values is None else Row(row.partition, row.key, values, whole.etag)


def settling(row: Row, etag: str, pending: Pending, *, committed: bool) -> Sequence[Write]:
    """Return the writes that bring a row which carries *pending* to where it belongs."""
    if not committed:
        present = present_of(row)
        return [Delete(row.key, etag) if present is None else Replace(row.key, present, etag)]
    if pending.after is None:
        return [Delete(row.key, etag), *pending.beside]
    return [Replace(row.key, {**pending.after, LAST: str(pending.transaction)}, etag), *pending.beside]
