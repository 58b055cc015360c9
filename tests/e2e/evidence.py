"""What the tables say, and nothing else: the checker of law 3 reads neither logs nor the memory of a process."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from asyncservice.operations import codec, history, ids
from asyncservice.operations.duedates import AgendaPolicy, Readiness, readiness
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.ids import Place
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import MOVES, Action, StatusCode
from asyncservice.operations.store import DEFAULT_SHARDS, TABLE
from asyncservice.storage.account import Storage
from asyncservice.storage.tables import Comparison
from tests.e2e.handlers.effects import EFFECTS, PARTITIONS
from tests.e2e.ledger import Effect

#: The moves that end an attempt.
_ENDINGS = frozenset(
    {
        *(Action.SUCCEED, Action.FAIL, Action.TRY_LATER, Action.WAIT),
        *(Action.YIELD, Action.INTERRUPT, Action.STOP, Action.RECUR),
    }
)
#: The endings after which the piece of work that was under way is done again: the window of "at least once".
_TAKEN_BACK = frozenset({Action.INTERRUPT, Action.TRY_LATER, Action.STOP})
#: The history counts milliseconds, the ledger microseconds.
_GRAIN = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that stands in the tables at one moment."""

    #: Each with its whole history, whatever of it stands in rows of its own.
    operations: Mapping[UUID, AsyncOperation]
    #: Where the record of each stands.
    places: Mapping[UUID, Place]
    #: Keys of agenda rows that are left.
    agenda: Sequence[str]
    #: For each operation, the attempts that made its effect.
    effects: Mapping[UUID, Sequence[int]]

    @classmethod
    async def of(cls, storage: Storage) -> "Evidence":
        """Read every row there is."""
        operations: dict[UUID, AsyncOperation] = {}
        places: dict[UUID, Place] = {}
        agenda: list[str] = []
        for shard in range(DEFAULT_SHARDS):
            rows = {row.key: row async for row in storage.table(TABLE).scan(ids.partition_name(shard))}
            agenda += [key for key in rows if key.startswith(ids.AGENDA)]
            for row in rows.values():
                if not row.key.startswith(ids.RECORD) or ids.is_alias(row):
                    continue
                operation, _ = codec.from_row(row.values)
                place = Place(row.partition, row.key)
                archived = [rows[ids.history_key(place, number)] for number in range(operation.archivedhistory)]
                entries = [entry for each in archived for entry in history.read(str(each.values["entries"]))]
                assert operation.asyncoperationid not in operations, f"{operation.asyncoperationid} is there twice"
                operations[operation.asyncoperationid] = replace(operation, history=(*entries, *operation.history))
                places[operation.asyncoperationid] = place
        effects: dict[UUID, list[int]] = {}
        for partition in PARTITIONS:
            async for row in storage.table(EFFECTS).scan(partition):
                operation_id, attempt = row.values["operation"], row.values["attempt"]
                assert isinstance(operation_id, UUID)
                assert isinstance(attempt, int)
                effects.setdefault(operation_id, []).append(attempt)
        return cls(operations, places, agenda, effects)

    def check_agenda(self, policy: AgendaPolicy, now: datetime) -> None:
        """Check that every unfinished operation has the one agenda row that it names, in time, and nobody else any."""
        named = list[str]()
        for operation in self.operations.values():
            label = f"{operation.asyncoperationid} ({operation.name}, {operation.statuscode.label})"
            assert (operation.agendaon is None) is operation.is_completed, f"{label} names {operation.agendaon}"
            due = policy.due(operation, now)
            if operation.agendaon is None or due is None:
                continue
            if readiness(operation, now) is Readiness.CLAIMABLE and not operation.is_locked:
                # When a sweep has looked and sent a hint, or seen it in the queue, it looks again later.
                due = max(due, now + policy.look_again)
            assert operation.agendaon <= due, f"{label} is due at {due}, its agenda row stands at {operation.agendaon}"
            named.append(ids.agenda_key(operation.agendaon, self.places[operation.asyncoperationid]))
        assert sorted(named) == sorted(self.agenda)

    @property
    def statuses(self) -> Counter[StatusCode]:
        return Counter(operation.statuscode for operation in self.operations.values())

    @property
    def hosts(self) -> Counter[str]:
        """How many claims each host has made."""
        return Counter(entry.host or "" for operation in self.operations.values() for entry in claims(operation))

    @property
    def interrupted(self) -> int:
        """How many attempts were taken back or given back."""
        return sum(entry.action == Action.INTERRUPT for each in self.operations.values() for entry in each.history)

    @property
    def repeated(self) -> int:
        """How many effects were made more than once over."""
        return sum(len(attempts) - 1 for attempts in self.effects.values())

    def check(self) -> None:
        """Check that all is done and nobody is left behind; that nothing ran twice at once; why what ran twice did."""
        assert self.agenda == []
        assert set(self.statuses) <= {StatusCode.SUCCEEDED}
        for operation in self.operations.values():
            check_attempts(operation)
            attempts = self.effects.get(operation.asyncoperationid, ())
            assert attempts, f"{operation.asyncoperationid} succeeded without its effect"
            last = claims(operation)[-1].attempt
            # Whatever attempt made the effect before the last one was interrupted, as every attempt but the last was.
            assert set(attempts) <= set(range(1, last + 1))
            assert max(attempts) == last, "the attempt that succeeded made the effect"


def claims(operation: AsyncOperation) -> list[HistoryEntry]:
    """Return the entries of the history with which attempts began."""
    return [entry for entry in operation.history if entry.action == Action.CLAIM]


def check_attempts(operation: AsyncOperation) -> None:
    """Check that attempts followed one another: each was claimed when the one before had ended, by name and by time."""
    running: HistoryEntry | None = None
    finished = 0
    before = operation.history[0].on
    for entry in operation.history:
        assert entry.on >= before, f"{operation.asyncoperationid}: time ran backwards: {operation.history}"
        before = entry.on
        if entry.action == Action.CLAIM:
            assert running is None, f"{operation.asyncoperationid}: attempt {entry.attempt} began inside another"
            assert entry.attempt == finished + 1
            running = entry
        elif entry.action in _ENDINGS:
            assert running is not None, f"{operation.asyncoperationid}: nothing ran when it ended"
            assert entry.attempt == running.attempt
            running, finished = None, entry.attempt
    assert running is None
    assert operation.attempt == finished


def check_moves(operation: AsyncOperation) -> None:
    """Check that the history is a way through the table of moves, and that it leads to where the operation is."""
    assert operation.history[0].action == "create"
    for before, entry in pairwise(operation.history):
        assert MOVES[Action(entry.action)].get(before.status) is entry.status, f"{before} was followed by {entry}"
    assert operation.history[-1].status is operation.statuscode


def check_wishes(operation: AsyncOperation) -> None:
    """Check that nothing ran between the moment at which a person paused it and the one at which it was resumed."""
    held = False
    for entry in operation.history:
        held = entry.action == Action.PAUSE or (held and entry.action != Action.RESUME)
        assert not (held and entry.action == Action.CLAIM), f"{operation.name} was claimed while it was paused"


def check_effects(operation: AsyncOperation, effects: Sequence[Effect]) -> int:
    """Check that what was done twice lay in the window of "at least once"; return how much that was.

    The window is the piece of work that an attempt was at when it was taken back, failed, or was paused: nothing that
    an attempt had finished before is done again, and nothing is done twice in one attempt.
    """
    label = f"{operation.asyncoperationid} ({operation.name})"
    began = {entry.attempt: entry for entry in claims(operation)}
    ended = {entry.attempt: entry for entry in operation.history if entry.action in _ENDINGS}
    last_piece = {effect.attempt: effect.piece for effect in effects}
    seen: dict[str, int] = {}
    for effect in effects:
        assert effect.attempt in began, f"{label}: {effect} was made in no attempt that the table knows"
        assert effect.on + _GRAIN >= began[effect.attempt].on, f"{label}: {effect} was made before its claim"
        # Who was given up for dead may still be at a piece of work when that is known; it comes no further.
        ending = ended[effect.attempt]
        is_late = effect.on > ending.on + _GRAIN
        assert not is_late or ending.action in {Action.INTERRUPT, Action.FAIL}, f"{label}: {effect} came after {ending}"
        if (earlier := seen.get(effect.piece)) is not None:
            assert earlier != effect.attempt, f"{label}: {effect} was made twice in one attempt"
            assert ended[earlier].action in _TAKEN_BACK, f"{label}: {effect} was repeated after {ended[earlier]}"
            assert last_piece[earlier] == effect.piece, f"{label}: {effect} was repeated although more was done since"
        seen[effect.piece] = effect.attempt
    return len(effects) - len(seen)


async def count(storage: Storage, status: StatusCode) -> int:
    """Return how many operations have a status now."""
    found = 0
    for shard in range(DEFAULT_SHARDS):
        rows = storage.table(TABLE).scan(
            ids.partition_name(shard),
            start=ids.RECORD,
            where=[Comparison("statuscode", "eq", int(status))],
            select=("statuscode",),
        )
        async for _ in rows:
            found += 1
    return found
