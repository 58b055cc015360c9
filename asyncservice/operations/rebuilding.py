"""The life of an operation, told by its history alone: pure functions that rebuild what the record must say.

`rebuilt` folds the entries of a history into the columns that moves change, `deviations` says where a record says
something else, and where its history tells what cannot have happened.
"""

from collections.abc import Collection, Iterator, Sequence
from copy import replace
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from asyncservice.operations.history import CREATE, HistoryEntry
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import COMPLETED, LOCKED, MOVES, Action, StateCode, StatusCode
from asyncservice.operations.transition import MAX_REASON, millisecond, short

#: Two hosts make the moves of one operation; their clocks may differ by this much before time counts as run backwards.
CLOCK_SKEW: Final = timedelta(seconds=5)
#: executiontimespan is rounded to hundredths of a second at the end of each attempt, moments to milliseconds.
_ROUNDING: Final = 0.006
#: Moves after which the error of an earlier attempt is no longer the operation's.
_CLEARING: Final = frozenset({Action.SUCCEED, Action.RECUR, Action.RETRY})
#: Moves after which retries are counted anew.
_AFRESH: Final = frozenset({Action.RECUR, Action.RETRY})
#: What the entry of a failed run says before the error.
_RUN_FAILED: Final = "the run failed: "


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """The columns that a history determines. Moments are to the millisecond."""

    statuscode: StatusCode
    attempt: int = 0
    hostid: str | None = None
    retrycount: int = 0
    startedon: datetime | None = None
    completedon: datetime | None = None
    claimedon: datetime | None = None
    readyon: datetime | None = None
    postponeuntil: datetime | None = None
    awaits: str | None = None
    #: Seconds; rounding not done.
    executiontimespan: float = 0.0
    errorcode: int | None = None
    #: The error's text as the history keeps it.
    message: str | None = None
    #: How many attempts have ended.
    ended: int = 0


def rebuilt(entries: Sequence[HistoryEntry]) -> Life:
    """Return what the record of this history must say. Raises ValueError when there is no entry."""
    if not entries:
        raise ValueError("The history is empty.")
    life = Life(statuscode=entries[0].status)
    for entry in entries:
        life = _after(life, entry)
    return life


def _after(life: Life, entry: HistoryEntry) -> Life:
    """Return the life with one move more; what `transition.moved` does, from the entry alone."""
    on, status = entry.on, entry.status
    if life.claimedon is not None and status not in LOCKED:
        spent = max(0.0, (on - life.claimedon).total_seconds())
        life = replace(life, claimedon=None, executiontimespan=life.executiontimespan + spent, ended=life.ended + 1)
    if entry.action == Action.CLAIM:
        life = replace(life, hostid=entry.host, startedon=life.startedon or on, claimedon=on)
    if entry.action == Action.RECUR:
        life = replace(life, startedon=None)
    if entry.action in _AFRESH:
        life = replace(life, retrycount=0)
    if entry.code is not None:
        text = entry.reason
        if entry.action == Action.RECUR and text is not None:
            text = text.removeprefix(_RUN_FAILED)
        life = replace(life, errorcode=entry.code, message=text)
    elif entry.action in _CLEARING:
        life = replace(life, errorcode=None, message=None)
    return replace(
        life,
        statuscode=status,
        attempt=entry.attempt,
        retrycount=life.retrycount if entry.retries is None else entry.retries,
        readyon=on if status.state is StateCode.READY else life.readyon,
        completedon=on if status in COMPLETED else None,
        postponeuntil=entry.until,
        awaits=entry.awaits,
    )


def deviations(
    operation: AsyncOperation, entries: Sequence[HistoryEntry], *, unread: Collection[str] = ()
) -> Iterator[str]:
    """Yield what is wrong with a history, and where the record says something else than it; nothing when all is well.

    *unread* are columns that stand in blobs and were not loaded; they are not compared.
    """
    if not entries:
        yield "its history is empty"
        return
    yield from _impossible(entries)
    life = rebuilt(entries)
    for name in ("statuscode", "attempt", "hostid", "retrycount", "awaits", "errorcode"):
        yield from _different(name, getattr(operation, name), getattr(life, name))
    for name in ("startedon", "completedon", "claimedon", "postponeuntil"):
        yield from _different(name, _kept(getattr(operation, name)), getattr(life, name))
    if operation.dependencytoken is None:
        yield from _different("readyon", _kept(operation.readyon), life.readyon)
    if abs(operation.executiontimespan - life.executiontimespan) > _ROUNDING * life.ended + 1e-6:
        yield from _different("executiontimespan", operation.executiontimespan, round(life.executiontimespan, 2))
    if "message" not in unread:
        yield from _message(operation, life)
    yield from _contradictions(operation)
    if operation.version < len(entries):
        yield f"it was written {operation.version} times and has moved {len(entries)} times"
    if operation.modifiedon < entries[-1].on - CLOCK_SKEW:
        yield f"modifiedon is {operation.modifiedon.isoformat()}, before its last move at {entries[-1].on.isoformat()}"


def _impossible(entries: Sequence[HistoryEntry]) -> Iterator[str]:
    """Yield the entries that cannot have followed the one before."""
    first = entries[0]
    if first.action != CREATE or first.attempt != 0:
        yield f"its history begins with {first.action}, attempt {first.attempt}, not with {CREATE}"
    for number, (before, entry) in enumerate(pairwise(entries), start=2):
        where = f"entry {number} of its history"
        if entry.action not in set(Action) or MOVES[Action(entry.action)].get(before.status) is not entry.status:
            yield f"{where} moves from {before.status.label} to {entry.status.label} by {entry.action}"
        expected = before.attempt + (entry.action == Action.CLAIM)
        if entry.attempt != expected:
            yield f"{where} ({entry.action}) is of attempt {entry.attempt} and should be of {expected}"
        if entry.action == Action.CLAIM and not entry.host:
            yield f"{where} is a claim of no host"
        if entry.on < before.on - CLOCK_SKEW:
            yield f"{where} is of {entry.on.isoformat()}, before the entry before it of {before.on.isoformat()}"


def _contradictions(operation: AsyncOperation) -> Iterator[str]:
    """Yield where columns of the record contradict each other."""
    if operation.is_locked is (operation.leaseuntil is None):
        yield f"it is {operation.statuscode.label} and leaseuntil is {operation.leaseuntil}"
    is_event = operation.awaits is not None and operation.awaits.startswith("event:")
    if operation.iswaitingforevent is not is_event:
        yield f"iswaitingforevent is {operation.iswaitingforevent} and awaits is {operation.awaits}"
    for name in ("agendaon", "tokennumber", "blockedby"):
        value = getattr(operation, name)
        if operation.is_completed and value is not None:
            yield f"it is {operation.statuscode.label} and {name} is {value}"
    if operation.removing and not operation.is_completed:
        yield f"it is {operation.statuscode.label} and its removal has begun"


def _different(name: str, stored: object, from_history: object) -> Iterator[str]:
    if stored != from_history:
        yield f"{name} is {_shown(stored)}, its history says {_shown(from_history)}"


def _message(operation: AsyncOperation, life: Life) -> Iterator[str]:
    """Compare the error's text as far as the history keeps it."""
    kept, told = short(operation.message), life.message
    if kept is not None and told is not None:
        # A failed run's entry had room for less of the text.
        room = MAX_REASON - len(_RUN_FAILED) - 1
        kept, told = kept[:room], told[:room]
    yield from _different("message", kept, told)


def _kept(moment: datetime | None) -> datetime | None:
    return None if moment is None else millisecond(moment)


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StatusCode):
        return value.label
    return "empty" if value is None else str(value)
