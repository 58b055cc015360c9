"""The row that decides a transaction which spans partitions, and what follows from it for the rows taking part.

    preparing ──> committed    the one conditional write that makes the transaction count
        └───────> aborted      by its own process, or by anybody once it is older than PATIENCE

Rows that take part carry their next state (`asyncservice.organization.pending`). As long as the decision is open their
present state counts; once committed the next one does, whether or not the row has been brought there. The decision's
row goes when no row carries the transaction any more, so a transaction without a row never was committed.

The process of a transaction removes its row. Others do so only when it is older than KEPT: until then its own process
may ask what was decided, and a request that got no answer may still arrive and must meet the decision.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from asyncservice.organization.errors import RequestRefused
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.pending import from_parts, in_parts
from asyncservice.storage.errors import ConflictReason, RowConflict, StorageUnavailable
from asyncservice.storage.tables import MAX_ROW_BYTES, Delete, Insert, Replace, Row, Value

TABLE: Final = "OrganizationTransactions"
#: How long a transaction may prepare before anybody may abort it; its process has died, or stands still.
PATIENCE: Final = timedelta(seconds=20)
#: How long the row of a decided transaction is kept for its own process, and for what of it is still on its way.
KEPT: Final = timedelta(minutes=10)
#: One partition, so that looking for transactions that died is one request.
_PARTITION: Final = "transactions"
_PARTICIPANTS: Final = "participants"
_TRIES: Final = 4
#: What the list of participants may take of the row.
_MOST_BYTES: Final = MAX_ROW_BYTES - 4096


class Verdict(StrEnum):
    """Where a transaction stands."""

    PREPARING = "preparing"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Participant:
    """Rows of one partition that take part."""

    table: str
    partition: str
    keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """The row of a transaction as it was read or written."""

    id: UUID
    verdict: Verdict
    begun: datetime
    participants: Sequence[Participant]
    etag: str

    def is_overdue(self, now: datetime) -> bool:
        """Whether it has been preparing for longer than anybody must wait."""
        return self.verdict is Verdict.PREPARING and now - self.begun > PATIENCE

    def is_past(self, now: datetime) -> bool:
        """Whether nothing of its process can be on its way any more."""
        return now - self.begun > KEPT


class Decisions:
    """The rows of all transactions. Lost answers are looked up: each write is known by what it leaves."""

    def __init__(self, tables: LazyTables) -> None:
        self._table = tables.table(TABLE)

    async def begin(self, transaction: UUID, participants: Sequence[Participant], *, now: datetime) -> Decision:
        """Write the row of a new transaction, preparing. Raises RequestRefused when it takes part in too much."""
        new = Decision(transaction, Verdict.PREPARING, now, participants, "")
        insert = Insert(str(transaction), _values(new, Verdict.PREPARING))
        if sum(2 * len(str(value)) for value in insert.values.values()) > _MOST_BYTES:
            raise RequestRefused("These requests write too many rows for one transaction; send fewer at a time.")
        for tries_left in reversed(range(_TRIES)):
            try:
                [etag] = await self._table.commit(_PARTITION, [insert])
            except StorageUnavailable:
                if not tries_left:
                    raise
            except RowConflict:
                # The id is new: what is there is what an earlier try has written.
                if (found := await self.find(transaction)) is not None:
                    return found
            else:
                return replace(new, etag=etag)
        raise StorageUnavailable(f"Transaction {transaction} could not be begun.")

    async def find(self, transaction: UUID) -> Decision | None:
        """Return how the transaction stands, or None when nothing of it is left to be done."""
        row = await self._table.read(_PARTITION, str(transaction))
        return None if row is None else _decision(row)

    async def decide(self, decision: Decision, verdict: Verdict) -> Decision | None:
        """Commit or abort a transaction that is preparing, and return how it stands: others may have been first.

        None: others have settled and forgotten it, so whether it counted its rows must tell. Raises StorageUnavailable
        when it cannot be told.
        """
        for tries_left in reversed(range(_TRIES)):
            if decision.verdict is not Verdict.PREPARING:
                return decision
            write = Replace(str(decision.id), _values(decision, verdict), decision.etag)
            try:
                [etag] = await self._table.commit(_PARTITION, [write])
            except StorageUnavailable:
                if not tries_left:
                    raise
            except RowConflict as conflict:
                if conflict.reason is ConflictReason.MISSING:
                    return None
            else:
                return replace(decision, verdict=verdict, etag=etag)
            found = await self.find(decision.id)
            if found is None:
                return None
            decision = found
        raise StorageUnavailable(f"Transaction {decision.id} could not be decided.")

    async def forget(self, decision: Decision) -> None:
        """Remove the row of a transaction that no row carries any more. Safe to repeat."""
        try:
            await self._table.commit(_PARTITION, [Delete(str(decision.id))])
        except RowConflict as conflict:
            if conflict.reason is not ConflictReason.MISSING:
                raise

    async def all(self) -> AsyncIterator[Decision]:
        """Yield every transaction that has a row: those under way, and those whose process died."""
        async for row in self._table.scan(_PARTITION):
            yield _decision(row)


def _values(decision: Decision, verdict: Verdict) -> dict[str, Value]:
    listed = json.dumps([[each.table, each.partition, [*each.keys]] for each in decision.participants])
    return {"verdict": verdict.value, "begun": decision.begun, **in_parts(_PARTICIPANTS, listed)}


def _decision(row: Row) -> Decision:
    begun = row.values["begun"]
    if not isinstance(begun, datetime):
        raise TypeError(f"Transaction {row.key} began at {begun!r}, no moment.")
    listed = json.loads("".join(from_parts(_PARTICIPANTS, row.values)))
    participants = [Participant(table, partition, tuple(keys)) for table, partition, keys in listed]
    return Decision(UUID(row.key), Verdict(str(row.values["verdict"])), begun, participants, row.etag)
