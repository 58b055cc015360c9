"""What the tables say, and nothing else: the checker of law 3 reads neither logs nor the memory of a process."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

from asyncservice.operations import codec, ids
from asyncservice.operations.history import HistoryEntry
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

    operations: Mapping[UUID, AsyncOperation]
    #: Keys of agenda rows that are left.
    agenda: Sequence[str]
    #: For each operation, the attempts that made its effect.
    effects: Mapping[UUID, Sequence[int]]

    @classmethod
    async def of(cls, storage: Storage) -> "Evidence":
        """Read every row there is."""
        operations: dict[UUID, AsyncOperation] = {}
        agenda: list[str] = []
        for shard in range(DEFAULT_SHARDS):
            async for row in storage.table(TABLE).scan(ids.partition_name(shard)):
                if row.key.startswith(ids.RECORD) and ids.is_record(row):
                    operation, _ = codec.from_row(row.values)
                    operations[operation.asyncoperationid] = operation
                elif row.key.startswith(ids.AGENDA):
                    agenda.append(row.key)
        effects: dict[UUID, list[int]] = {}
        for partition in PARTITIONS:
            async for row in storage.table(EFFECTS).scan(partition):
                operation_id, attempt = row.values["operation"], row.values["attempt"]
                assert isinstance(operation_id, UUID)
                assert isinstance(attempt, int)
                effects.setdefault(operation_id, []).append(attempt)
        return cls(operations, agenda, effects)

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
    assert operation.archivedhistory == 0, "the history is whole"
    running: HistoryEntry | None = None
    finished = 0
    before = operation.history[0].on
    for entry in operation.history:
        assert entry.on >= before, f"{operation.asyncoperationid}: time ran backwards"
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
