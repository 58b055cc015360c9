"""The invariants, read from the tables alone: of every write as it is committed, and of all rows together."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final
from uuid import UUID

from asyncservice.operations import awaiting, codec, history, ids, indices, tokens
from asyncservice.operations.duedates import NEVER, AgendaPolicy
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import MOVES, Action, StateCode, StatusCode
from asyncservice.operations.store import TABLE
from asyncservice.storage.memory import MemoryStorage, MemoryTable
from asyncservice.storage.tables import Row, Write

#: Which process makes the call that is under way, and what its clock says.
WRITER: ContextVar[tuple[str, datetime] | None] = ContextVar("WRITER", default=None)
#: What the history says of a parent that is woken.
JOINED: Final = "every operation it started is completed"
#: What it says of an operation on which another one acted.
ASKED_BY: Final = "asked by operation "
BULK: Final = OperationType.CANCEL_ASYNC_OPERATIONS
#: Agenda rows are keyed by whole milliseconds, rounded down.
GRAIN: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Known:
    """A record as it was last written, with its whole history."""

    operation: AsyncOperation
    history: tuple[HistoryEntry, ...]


class Watch:
    """Sees every committed transaction and collects what must not be."""

    def __init__(self, policy: AgendaPolicy, shards: int) -> None:
        self.violations: list[str] = []
        self.table: MemoryTable | None = None
        #: The records that are there, by where they stand.
        self.known: dict[tuple[str, str], Known] = {}
        self.accepted: set[UUID] = set()
        self.deleted: set[UUID] = set()
        self.commits = 0
        #: How often each move of the table of moves was made.
        self.moves: Counter[tuple[str, StatusCode]] = Counter()
        #: The status at the last write of everything that was ever written, for the count at the end.
        self.last_status: dict[UUID, StatusCode] = {}
        #: How often what waited for others was woken, and actions on many operations were done.
        self.wakings: Counter[str] = Counter()
        #: On which operations each action on many was done.
        self.deeds: dict[UUID, set[UUID]] = {}
        #: Whether any host ever stood still.
        self.is_haunted: Callable[[], bool] = lambda: False
        self._policy, self._shards = policy, shards
        self._reopened: set[UUID] = set()
        self._woken: list[AsyncOperation] = []
        self._done_in_bulk: list[AsyncOperation] = []
        self._last_sweep: datetime | None = None
        self._not_before: dict[UUID, datetime] = {}
        #: Archived history by the version of its row, so that each is read once.
        self._archived: dict[str, tuple[HistoryEntry, ...]] = {}

    def swept(self, now: datetime) -> None:
        """Note that a sweep was under way at *now*."""
        self._last_sweep = now

    # Each write -------------------------------------------------------------------------------------------------------

    def committed(self, table: MemoryTable, partition: str, writes: Sequence[Write]) -> None:
        """Check the records that a transaction wrote against what they were before."""
        self.table = table
        self.commits += 1
        for write in writes:
            if not write.key.startswith(ids.RECORD):
                continue
            before = self.known.pop((partition, write.key), None)
            row = table._rows[partition].get(write.key)
            if row is None or not ids.is_record(row):
                if before is not None:
                    self._removed(before.operation)
            else:
                after = self._read(row)
                self.known[partition, write.key] = after
                self._written(before, after)
        # Only now, for what a move relies on may have been written by the same transaction.
        for write in writes:
            if (one := self.known.get((partition, write.key))) is not None:
                self._check_waiting(one.operation)
        for operation in self._woken:
            self._check_woken(operation)
        for operation in self._done_in_bulk:
            self._check_bulk(operation)
        self._woken, self._done_in_bulk = [], []

    def _removed(self, operation: AsyncOperation) -> None:
        if not operation.is_completed:
            self._say(operation, f"is removed while it is {operation.statuscode.label}")
        self.deleted.add(operation.asyncoperationid)

    def _written(self, before: Known | None, after: Known) -> None:
        now = self._writers_now(after.operation)
        operation = after.operation
        self.last_status[operation.asyncoperationid] = operation.statuscode
        if before is None:
            self.deleted.discard(operation.asyncoperationid)
            self._not_before.pop(operation.asyncoperationid, None)
            first = after.history[0]
            if len(after.history) != 1 or first.action != "create" or operation.version != 1:
                self._say(operation, "does not begin at its beginning")
            return
        if operation.version <= before.operation.version:
            self._say(operation, f"goes from version {before.operation.version} to {operation.version}")
        if after.history[: len(before.history)] != before.history:
            self._say(operation, "has another past than before")
            return
        if after.history[-1].status is not operation.statuscode:
            self._say(operation, f"is {operation.statuscode.label}, its history says {after.history[-1].status.label}")
        new = after.history[len(before.history) :]
        self._check_moves(operation, [before.history[-1], *new])
        self._check_wishes(operation, new, now)
        self._check_wakings(before.operation, operation, new, now)
        self._check_lease(before.operation, operation, now)
        self._note_deeds(before.operation, operation, new)

    def _check_moves(self, operation: AsyncOperation, entries: Sequence[HistoryEntry]) -> None:
        for one, following in pairwise(entries):
            self.moves[following.action, one.status] += 1
            if MOVES[Action(following.action)].get(one.status) is not following.status:
                self._say(operation, f"moves from {one.status.label} to {following.status.label} by {following.action}")

    def _check_wishes(self, operation: AsyncOperation, entries: Sequence[HistoryEntry], now: datetime) -> None:
        """Check that nothing runs which a person paused, or before the moment to which a person postponed it."""
        operation_id = operation.asyncoperationid
        for entry in entries:
            match entry.action:
                case Action.PAUSE:
                    self._not_before[operation_id] = NEVER
                case Action.POSTPONE:
                    self._not_before[operation_id] = operation.postponeuntil or NEVER
                case Action.RESUME | Action.RETRY:
                    self._not_before.pop(operation_id, None)
                case Action.CLAIM if now < self._not_before.get(operation_id, now):
                    until = self._not_before[operation_id]
                    self._say(operation, f"runs although a person held it back until {until}")

    def _check_wakings(
        self, before: AsyncOperation, after: AsyncOperation, entries: Sequence[HistoryEntry], now: datetime
    ) -> None:
        """Check that what waits for children or for an event is woken by nothing else, and that no event is lost."""
        if not awaiting.arrived(before) <= awaiting.arrived(after):
            self._say(after, f"has lost events: {before.events} became {after.events}")
        if before.awaits is None or not entries or entries[0].action != Action.FALL_DUE:
            return
        self.wakings[before.awaits.partition(":")[0]] += 1
        if before.awaits == awaiting.CHILDREN:
            self._woken.append(after)
        else:
            name = before.awaits.removeprefix(awaiting.EVENT)
            has_passed = before.postponeuntil is not None and before.postponeuntil <= now
            self.wakings["time-out"] += has_passed
            if name not in awaiting.arrived(after) and not has_passed:
                self._say(after, f"is woken although {name} has not arrived and {before.postponeuntil} has not passed")

    def _check_woken(self, parent: AsyncOperation) -> None:
        """Check that all children of a parent that was woken are completed at that very moment."""
        for child in self.children_of(parent):
            if not child.is_completed:
                self._say(parent, f"is woken while its child {child.asyncoperationid} is {child.statuscode.label}")

    def _check_waiting(self, operation: AsyncOperation) -> None:
        """Check that nobody waits for an event that has arrived, and only who waits waits for something."""
        waits = operation.awaits is not None
        if waits and operation.statuscode is not StatusCode.WAITING:
            self._say(operation, f"is {operation.statuscode.label} and waits for {operation.awaits}")
        if operation.iswaitingforevent is not (waits and operation.awaits != awaiting.CHILDREN):
            self._say(
                operation, f"waits for {operation.awaits} and says iswaitingforevent {operation.iswaitingforevent}"
            )
        if waits and (operation.awaits or "").removeprefix(awaiting.EVENT) in awaiting.arrived(operation):
            self._say(operation, f"waits for {operation.awaits}, which has arrived")

    def _note_deeds(self, before: AsyncOperation, after: AsyncOperation, entries: Sequence[HistoryEntry]) -> None:
        """Note what was reopened, and what an action on many operations has done."""
        for entry in entries:
            if entry.action == Action.RETRY and after.parentkey is not None:
                self._reopened.add(after.asyncoperationid)
            if entry.reason is not None and entry.reason.startswith(ASKED_BY):
                self.deeds.setdefault(UUID(entry.reason.removeprefix(ASKED_BY)), set()).add(after.asyncoperationid)
        if after.operationtype == BULK and after.statuscode is StatusCode.SUCCEEDED and not before.is_completed:
            self._done_in_bulk.append(after)

    def _check_bulk(self, operation: AsyncOperation) -> None:
        """Check that an action on many operations counted what the history says, and cancelled what it had to."""
        data = json.loads(operation.data or "{}")
        done = len(self.deeds.get(operation.asyncoperationid, ()))
        counted = operation.successcount or 0
        # A host that stood still may do after it was taken over what the other one was refused.
        leaves_traces = not data.get("DryRun") and data["Action"] != "delete"
        if leaves_traces and (counted > done if self.is_haunted() else counted != done):
            self._say(operation, f"has done {data} to {done} operations and counts {counted}")
        if "Parent" in data and (parent := self.known.get(tuple(data["Parent"]))) is not None:
            for child in self.children_of(parent.operation):
                ends = child.is_completed or child.statuscode is StatusCode.CANCELING
                if not ends and child.asyncoperationid not in self._reopened:
                    self._say(child, f"is {child.statuscode.label}, though its parent was cancelled with all children")
        self.wakings["bulk"] += 1

    def children_of(self, parent: AsyncOperation) -> list[AsyncOperation]:
        """Return the operations that *parent* has started and that are there."""
        all_known = (known.operation for known in self.known.values())
        return [
            each
            for each in all_known
            if each.parentoperationid == parent.asyncoperationid and each.parentkey is not None
        ]

    def has_reopened(self, parent: AsyncOperation) -> bool:
        """Whether somebody tried a child of *parent* again."""
        return any(each.asyncoperationid in self._reopened for each in self.children_of(parent))

    def _check_lease(self, before: AsyncOperation, after: AsyncOperation, now: datetime) -> None:
        """Check that what belongs to an attempt whose lease is live is written by its own host and by nobody else."""
        if not before.is_locked or before.leaseuntil is None or before.leaseuntil <= now:
            return
        writer = WRITER.get()
        own = [
            (each.is_locked, each.attempt, each.hostid, each.leaseuntil, each.checkpoint) for each in (before, after)
        ]
        if own[0] != own[1] and (writer is None or writer[0] != before.hostid):
            self._say(after, f"belongs to {before.hostid}, whose lease is live; {writer} made {own[0]} {own[1]}")

    def _read(self, row: Row) -> Known:
        assert self.table is not None
        operation, _ = codec.from_row(row.values)
        entries = list[HistoryEntry]()
        place = ids.Place(row.partition, row.key)
        for number in range(operation.archivedhistory):
            archived = self.table._rows[row.partition][ids.history_key(place, number)]
            if archived.etag not in self._archived:
                self._archived[archived.etag] = history.read(str(archived.values["entries"]))
            entries += self._archived[archived.etag]
        return Known(operation, (*entries, *operation.history))

    def _writers_now(self, operation: AsyncOperation) -> datetime:
        writer = WRITER.get()
        return operation.modifiedon if writer is None else writer[1]

    # All rows together ------------------------------------------------------------------------------------------------

    def check(self, now: datetime) -> None:
        """Raise AssertionError saying everything that is wrong at *now*."""
        if self.table is not None:
            self._check_rows(self.table.all_rows(), now)
        assert not self.violations, "\n".join(self.violations)

    def _check_rows(self, rows: Sequence[Row], now: datetime) -> None:
        by_id: dict[UUID, list[tuple[str, str]]] = defaultdict(list)
        for place, known in self.known.items():
            by_id[known.operation.asyncoperationid].append(place)
        for operation_id in self.accepted - self.deleted - by_id.keys():
            self.violations.append(f"{operation_id} was accepted and has vanished")
        for operation_id, places in by_id.items():
            if len(places) > 1:
                self.violations.append(f"{operation_id} stands in {places}")
        self._check_agenda(rows, now)
        self._check_lines(rows)
        self._check_families(rows)
        self._check_indices(rows)
        keys = {(row.partition, row.key): row for row in rows}
        for (partition, key), known in self.known.items():
            operation = known.operation
            if not operation.is_completed and self._found(operation.asyncoperationid, keys) != (partition, key):
                self._say(operation, "cannot be found by its id")

    def _found(self, operation_id: UUID, rows: dict[tuple[str, str], Row]) -> tuple[str, str] | None:
        home = ids.partition_of(operation_id, self._shards), ids.alias_key(operation_id)
        row = rows.get(home)
        if row is None:
            return None
        if not ids.is_alias(row):
            return home
        place = ids.place_in(row)
        return place.partition, place.key

    def _check_agenda(self, rows: Sequence[Row], now: datetime) -> None:
        """Check that every unfinished operation has exactly one row, in time, and nobody else has any.

        In time: not after what AgendaPolicy.due says. Where a sweep has looked at an operation that may be run at
        once, and sent it a hint, the row may instead stand as long after that look as the sweep waits before it looks
        again.
        """
        moments: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in rows:
            if row.key.startswith(ids.AGENDA):
                moments[row.partition, ids.agenda_record_key(row.key)].append(row.key)
        for place, known in self.known.items():
            operation = known.operation
            own = moments.pop(place, [])
            named = operation.agendaon
            expected = [] if named is None else [ids.agenda_key(named, ids.Place(*place))]
            if own != expected:
                self._say(operation, f"names the agenda row {expected} and has {own}")
            if (named is None) is not operation.is_completed:
                self._say(operation, f"is {operation.statuscode.label} and has agenda rows {own}")
            due = self._policy.due(operation, now)
            if named is None or due is None:
                continue
            looked_again = None if self._last_sweep is None else self._last_sweep + self._policy.look_again
            runnable = operation.statecode is StateCode.READY or due <= now + SKEW
            if runnable and not operation.is_locked and looked_again is not None:
                due = max(due, looked_again + SKEW)
            if operation.awaits == awaiting.CHILDREN:
                due += SKEW  # It counts from the look of the host that wrote it.
            if named > due + GRAIN:
                self._say(operation, f"is due at {due}, its agenda row stands at {named}")
        for row in rows:
            if row.key.startswith(ids.RECORD) and ids.is_fence(row):
                fenced = ids.Place(row.partition, row.key)
                if moments.pop((row.partition, row.key), []) != [ids.agenda_key(ids.fenced_until(row), fenced)]:
                    self.violations.append(f"the fence at {fenced} is not lifted when it says")
        for place, keys in moments.items():
            self.violations.append(f"agenda rows {keys} name nothing that stands at {place}")

    def _check_indices(self, rows: Sequence[Row]) -> None:
        """Check that every operation has the index rows that its columns call for, and that there are no others."""
        found = {(row.partition, row.key): row.values for row in rows if indices.is_index(row.key)}
        for (partition, key), known in self.known.items():
            for name, values in indices.rows(known.operation, ids.Place(partition, key)).items():
                if found.pop((partition, name), None) != values:
                    self._say(known.operation, f"has no index row {name}")
        for place in found:
            self.violations.append(f"the index row {place} leads to no operation")

    def _check_families(self, rows: Sequence[Row]) -> None:
        """Check that a parent's rows say of its children what their records say, and that it counts them right."""
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in rows:
            if row.key.startswith(ids.CHILD):
                found[row.partition, ids.RECORD + row.key[1:].split("-")[0]].append(row)
        for (partition, key), known in self.known.items():
            parent = known.operation
            own = found.pop((partition, key), [])
            if parent.removing:
                continue
            if len(own) != parent.childcount:
                self._say(parent, f"has started {parent.childcount} operations and has rows of {len(own)}")
            for row in own:
                _, kind, tail = row.key.split("-")
                child = self.known.get((partition, ids.RECORD + tail))
                status = None if kind == "p" else StatusCode(int(str(row.values["status"])))
                told = None if child is None or not child.operation.is_completed else child.operation.statuscode
                if told is not status and not (child is None and kind == "d"):
                    self._say(parent, f"takes its child {tail} for {status}, which is {told}")
        for place, left in found.items():
            self.violations.append(f"rows of children {[row.key for row in left]} name no parent at {place}")

    def _check_lines(self, rows: Sequence[Row]) -> None:
        """Check that each token's line holds its unfinished operations, each behind the one that came before it."""
        lines: dict[str, list[AsyncOperation]] = defaultdict(list)
        for known in self.known.values():
            operation = known.operation
            if operation.dependencytoken is not None and not operation.is_completed:
                lines[operation.dependencytoken].append(operation)
            elif operation.blockedby is not None or operation.tokennumber is not None:
                self._say(operation, "stands in no line and has a place in one")
        heads = {str(row.values["token"]): row for row in rows if "token" in row.values and row.key.startswith("t")}
        members = Counter(row.key.split("-")[0] for row in rows if row.key.startswith("t") and "-" in row.key)
        for token in lines.keys() | heads.keys():
            line = sorted(lines[token], key=lambda each: each.tokennumber or 0)
            head = heads.get(token)
            if head is None or head.values["members"] != len(line) or members[tokens.head_key(token)] != len(line):
                self.violations.append(f"token {token} has {len(line)} unfinished operations and the head {head}")
                continue
            before: UUID | None = None
            for each in line:
                if each.blockedby != before:
                    self._say(each, f"waits for {each.blockedby} and stands behind {before}")
                if before is not None and each.is_locked:
                    self._say(each, "runs out of turn")
                before = each.asyncoperationid
            if head.values["tail"] != before:
                self.violations.append(f"token {token} ends with {before} and its head says {head.values['tail']!r}")

    def ahead_of(self, operation: AsyncOperation) -> list[UUID]:
        """Return the unfinished operations that stand before *operation* in its token's line."""
        if operation.dependencytoken is None:
            return []
        return [
            each.operation.asyncoperationid
            for each in self.known.values()
            if each.operation.dependencytoken == operation.dependencytoken
            and not each.operation.is_completed
            and (each.operation.tokennumber or 0) < (operation.tokennumber or 0)
        ]

    def unfinished(self) -> list[AsyncOperation]:
        """Return the operations that are not completed."""
        return [known.operation for known in self.known.values() if not known.operation.is_completed]

    def _say(self, operation: AsyncOperation, what: str) -> None:
        self.violations.append(f"{operation.asyncoperationid} {what}")


#: Hosts' clocks differ by at most this much.
SKEW: Final = timedelta(seconds=2)


class WatchedTable(MemoryTable):
    """The table of operations, with somebody who looks at every transaction."""

    def __init__(self, name: str, watch: Watch) -> None:
        super().__init__(name)
        self._watch = watch
        watch.table = self

    async def commit(self, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        # Nothing can come between the transaction and the look: memory applies it in one step.
        etags = await super().commit(partition, writes)
        self._watch.committed(self, partition, writes)
        return etags


class WatchedStorage(MemoryStorage):
    """An account in memory whose table of operations is watched."""

    def __init__(self, now: Callable[[], datetime], watch: Watch) -> None:
        super().__init__(now)
        self._tables[TABLE] = WatchedTable(TABLE, watch)
