"""The life of an operation: pure functions from one record to the next. No other module changes a record.

Each function is one move of `asyncservice.operations.states.MOVES` (or two that belong in one write), takes the time
as an argument and raises StateChangeRefused when the record's status does not allow it.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from asyncservice.operations import recurrence
from asyncservice.operations.errors import ErrorCode, InvalidOperation, StateChangeRefused
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.operationtypes import CASCADE_TYPES, PLATFORM_TYPES, OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import Action, StateCode, StatusCode, target

#: Stands for "nobody needs to look": an operation that only a person or an event can move.
NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
#: A chain of operations that cause each other counts anew after this long without activity.
QUIET: Final = timedelta(minutes=10)
#: What `awaits` holds.
CHILDREN: Final = "children"
EVENT: Final = "event:"
#: An operation whose process died this often without a sign of progress is parked as Failed.
MAX_DEATHS: Final = 3
#: A text column in the history keeps this many characters of a reason; the record keeps all of it.
MAX_REASON: Final = 400
#: Most characters of message and friendlymessage.
MAX_MESSAGE: Final = 100_000


class Readiness(Enum):
    """What a host that looks at an operation may do with it."""

    CLAIMABLE = auto()
    """Run it: it is Ready, due, or its last attempt's lease has run out."""
    NOT_YET = auto()
    """It waits for a moment, an event, a person, or the operation before it in its token's line."""
    HELD = auto()
    """Another attempt holds a live lease."""
    FINISHED = auto()
    """It is Completed."""


def readiness(operation: AsyncOperation, now: datetime) -> Readiness:
    """Say what may be done with *operation* at *now*."""
    if operation.is_completed:
        return Readiness.FINISHED
    if operation.is_locked:
        return Readiness.CLAIMABLE if has_expired(operation, now) else Readiness.HELD
    if operation.blockedby is not None:
        return Readiness.NOT_YET
    if operation.statecode is StateCode.SUSPENDED:
        due = operation.postponeuntil is not None and operation.postponeuntil <= now
        return Readiness.CLAIMABLE if due else Readiness.NOT_YET
    return Readiness.CLAIMABLE


def has_expired(operation: AsyncOperation, now: datetime) -> bool:
    """Whether *operation* is Locked by an attempt whose lease has run out."""
    return operation.is_locked and (operation.leaseuntil is None or operation.leaseuntil <= now)


def created(operation: AsyncOperation, *, reason: str | None = None) -> AsyncOperation:
    """Return *operation* as it is first written: with its owner's columns and the entry that begins its history."""
    entry = HistoryEntry(_millisecond(operation.createdon), "create", operation.statuscode, reason=_short(reason))
    readyon = operation.createdon if operation.statecode is StateCode.READY else None
    owned_by_user = operation.owneridtype == "systemuser"
    return replace(
        operation,
        history=(entry,),
        readyon=readyon,
        owninguser=operation.ownerid if owned_by_user else None,
        owningteam=None if owned_by_user else operation.ownerid,
    )


def caused(operation: AsyncOperation, parent: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """Return a new operation as one that *parent* caused: one deeper in the same chain, with the same owner.

    A chain that was quiet for QUIET begins to count anew (reference, section 3.9).
    """
    is_quiet = now - parent.correlationupdatedtime > QUIET
    return replace(
        operation,
        correlationid=parent.correlationid,
        correlationupdatedtime=now,
        depth=1 if is_quiet else parent.depth + 1,
        parentoperationid=parent.asyncoperationid,
        ownerid=parent.ownerid,
        owneridtype=parent.owneridtype,
    )


def adopted(operation: AsyncOperation, parentkey: str) -> AsyncOperation:
    """Return a new operation as a child of the one whose record has that key in the same partition."""
    return replace(operation, parentkey=parentkey)


def canceller(parent: AsyncOperation, key: str, partition: str, operation_id: UUID, *, now: datetime) -> AsyncOperation:
    """Return the operation that cancels what *parent* has started."""
    kind = OperationType.CANCEL_ASYNC_OPERATIONS
    new = AsyncOperation(
        asyncoperationid=operation_id,
        operationtype=int(kind),
        name=f"{kind.label}: what {parent.label} has started"[:256],
        data=json.dumps({"Action": "cancel", "Parent": [partition, key]}),
        createdon=now,
        modifiedon=now,
        correlationid=parent.correlationid,
        correlationupdatedtime=now,
    )
    return caused(new, parent, now=now)


def parent_of(operation: AsyncOperation, count: int) -> AsyncOperation:
    """Return the operation with the number of operations it has started."""
    return replace(operation, childcount=count, version=operation.version + 1)


# What the service does ------------------------------------------------------------------------------------------------


def claimed(operation: AsyncOperation, *, now: datetime, host: str, lease: timedelta) -> AsyncOperation:
    """Take the operation for a new attempt of *host*: Ready -> Locked (In Progress).

    A postponed operation that is due passes through Ready on the way, and one whose process died is given back
    first; each is its own entry of the history, in one write. What may then not run (it was being paused or cancelled
    when its process died, or has died too often) comes back as it is.
    """
    if has_expired(operation, now):
        operation = died(operation, now=now)
    if operation.statuscode is StatusCode.WAITING and readiness(operation, now) is Readiness.CLAIMABLE:
        operation = fallen_due(operation, now=now)
    if operation.statecode is not StateCode.READY:
        return operation
    return _moved(
        operation,
        Action.CLAIM,
        now,
        host=host,
        hostid=host,
        attempt=operation.attempt + 1,
        startedon=operation.startedon or now,
        claimedon=now,
        leaseuntil=now + lease,
        postponeuntil=None,
    )


def fallen_due(operation: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """Make a postponed operation Ready: its moment has come."""
    return _moved(operation, Action.FALL_DUE, now, postponeuntil=None)


def died(operation: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """Give back the attempt of a process that died, or park the operation when that has happened too often in a row."""
    deaths = operation.deaths + 1
    if deaths >= MAX_DEATHS and operation.statuscode is not StatusCode.CANCELING:
        message = (
            f"The process that ran this operation died {deaths} times in a row without progress; the last attempt "
            f"({operation.attempt}) was on host {operation.hostid}."
        )
        parked = failed(operation, now=now, code=ErrorCode.WORKER_NOT_AVAILABLE, message=message, recur=False)
        return replace(parked, deaths=deaths)
    reason = f"the lease of attempt {operation.attempt} ran out"
    return _moved(operation, Action.INTERRUPT, now, reason=reason, deaths=deaths)


def interrupted(operation: AsyncOperation, *, now: datetime, reason: str) -> AsyncOperation:
    """Give back the attempt because its host is leaving. Not a failure: nothing is counted against the operation."""
    return _moved(operation, Action.INTERRUPT, now, reason=reason)


def renewed(operation: AsyncOperation, *, now: datetime, lease: timedelta) -> AsyncOperation:
    """Extend the lease of the attempt."""
    return replace(operation, leaseuntil=now + lease, version=operation.version + 1)


def saved(
    operation: AsyncOperation,
    *,
    now: datetime,
    lease: timedelta,
    checkpoint: Any,  # noqa: ANN401 - any JSON value
    succeeded: int | None = None,
    failed: int | None = None,
    total: int | None = None,
    message: str | None = None,
) -> AsyncOperation:
    """Record progress: where the work stands, its counters, and a lease that begins anew."""
    return replace(
        operation,
        checkpoint=json.dumps(checkpoint, separators=(",", ":")),
        successcount=operation.successcount if succeeded is None else succeeded,
        failurecount=operation.failurecount if failed is None else failed,
        totalcount=operation.totalcount if total is None else total,
        friendlymessage=operation.friendlymessage if message is None else message[:MAX_MESSAGE],
        leaseuntil=now + lease,
        modifiedon=now,
        deaths=0,
        version=operation.version + 1,
    )


def yielded(operation: AsyncOperation, *, now: datetime, checkpoint: Any) -> AsyncOperation:  # noqa: ANN401
    """End a slice: Ready again at once, to go on from *checkpoint*."""
    return _moved(operation, Action.YIELD, now, checkpoint=json.dumps(checkpoint, separators=(",", ":")), deaths=0)


def waiting(
    operation: AsyncOperation,
    *,
    now: datetime,
    until: datetime | None,
    checkpoint: Any = None,  # noqa: ANN401 - any JSON value
    message: str | None = None,
) -> AsyncOperation:
    """Suspend the operation at its own wish: until a moment, or until somebody resumes it."""
    return _moved(
        operation,
        Action.WAIT,
        now,
        reason=message,
        postponeuntil=_held_back(operation, until),
        checkpoint=operation.checkpoint if checkpoint is None else json.dumps(checkpoint, separators=(",", ":")),
        friendlymessage=operation.friendlymessage if message is None else message[:MAX_MESSAGE],
        deaths=0,
    )


def waiting_for_children(
    operation: AsyncOperation,
    *,
    now: datetime,
    checkpoint: Any = None,  # noqa: ANN401 - any JSON value
) -> AsyncOperation:
    """Suspend the operation until every operation that it started is completed.

    One that a person paused meanwhile waits for that person; its next attempt waits for what it started.
    """
    kept = operation.checkpoint if checkpoint is None else json.dumps(checkpoint, separators=(",", ":"))
    if operation.statuscode is StatusCode.PAUSING:
        return _moved(operation, Action.STOP, now, checkpoint=kept, deaths=0)
    message = f"Waits for the {operation.childcount} operations that it started."
    return _moved(
        operation, Action.WAIT, now, reason=message, awaits=CHILDREN, postponeuntil=None, checkpoint=kept, deaths=0
    )


def waiting_for_event(
    operation: AsyncOperation,
    *,
    now: datetime,
    name: str,
    until: datetime | None = None,
    checkpoint: Any = None,  # noqa: ANN401 - any JSON value
) -> AsyncOperation:
    """Suspend the operation until the event arrives or *until* passes; Ready at once when it has arrived before.

    One that a person paused meanwhile waits for that person; its next attempt waits for the event.
    """
    kept = operation.checkpoint if checkpoint is None else json.dumps(checkpoint, separators=(",", ":"))
    if name in arrived(operation):
        return _moved(operation, Action.YIELD, now, reason=f"event {name} had arrived", checkpoint=kept, deaths=0)
    if operation.statuscode is StatusCode.PAUSING:
        return _moved(operation, Action.STOP, now, checkpoint=kept, deaths=0)
    return _moved(
        operation,
        Action.WAIT,
        now,
        reason=f"waits for event {name}",
        awaits=EVENT + name,
        iswaitingforevent=True,
        postponeuntil=until,
        checkpoint=kept,
        deaths=0,
    )


def arrived(operation: AsyncOperation) -> frozenset[str]:
    """Return the names of the events that have arrived for the operation."""
    return frozenset(operation.events.split(",")) if operation.events else frozenset()


def informed(operation: AsyncOperation, *, now: datetime, event: str) -> AsyncOperation:
    """Let the operation know that an event has arrived; one that waits for it becomes Ready."""
    names = ",".join(sorted(arrived(operation) | {event}))
    if operation.awaits == EVENT + event:
        reason = f"event {event} arrived"
        return _moved(operation, Action.FALL_DUE, now, reason=reason, postponeuntil=None, events=names)
    return replace(operation, events=names, version=operation.version + 1)


def joined(operation: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """Make an operation Ready that waited for the operations it started: all are completed."""
    return _moved(operation, Action.FALL_DUE, now, reason="every operation it started is completed")


def stopped(operation: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """End the attempt because somebody asked to pause or cancel and the handler obeyed."""
    return _moved(operation, Action.STOP, now, deaths=0)


def succeeded(operation: AsyncOperation, *, now: datetime, message: str | None = None) -> AsyncOperation:
    """Complete the operation, or send a recurring one to wait for its next run."""
    facts: dict[str, Any] = {"errorcode": None, "message": None, "deaths": 0}
    if message is not None:
        facts["friendlymessage"] = message[:MAX_MESSAGE]
    following = _next_run(operation, now)
    if following is None:
        return _moved(operation, Action.SUCCEED, now, **facts)
    return _recurring(operation, now, following, "the run succeeded", facts)


def failed(
    operation: AsyncOperation,
    *,
    now: datetime,
    code: int,
    message: str,
    friendly: str | None = None,
    recur: bool = True,
) -> AsyncOperation:
    """Fail the operation for good; a recurring one keeps its next run unless *recur* is false."""
    facts: dict[str, Any] = {"errorcode": code, "message": message[:MAX_MESSAGE]}
    if friendly is not None:
        facts["friendlymessage"] = friendly[:MAX_MESSAGE]
    following = _next_run(operation, now) if recur else None
    if following is None or operation.statuscode is StatusCode.CANCELING:
        return _moved(operation, Action.FAIL, now, reason=message, **facts)
    return _recurring(operation, now, following, f"the run failed: {message}", facts)


def tried_later(operation: AsyncOperation, *, now: datetime, due: datetime, code: int, message: str) -> AsyncOperation:
    """Suspend the operation after a failed attempt, to be tried again at *due*."""
    return _moved(
        operation,
        Action.TRY_LATER,
        now,
        reason=message,
        postponeuntil=_held_back(operation, due),
        retrycount=operation.retrycount + 1,
        errorcode=code,
        message=message[:MAX_MESSAGE],
        deaths=0,
    )


def moved_up(operation: AsyncOperation, *, now: datetime, blockedby: UUID | None) -> AsyncOperation:
    """Let the operation wait for *blockedby*, now that the one before it has left the line of their token."""
    ready = blockedby is None and operation.statecode is StateCode.READY
    return replace(
        operation,
        blockedby=blockedby,
        readyon=now if ready else operation.readyon,
        friendlymessage=None if blockedby is None else waits_for(blockedby),
        version=operation.version + 1,
    )


def waits_for(blockedby: UUID) -> str:
    """Return what an operation says of itself while another of its token is before it."""
    return f"Waits for operation {blockedby}, which has the same dependency token and was submitted before."


def suspended(operation: AsyncOperation, *, now: datetime, code: int, message: str) -> AsyncOperation:
    """Suspend the operation after an error that only a person can mend, until it is resumed."""
    return _moved(
        operation,
        Action.TRY_LATER,
        now,
        reason=message,
        postponeuntil=None,
        errorcode=code,
        message=message[:MAX_MESSAGE],
        deaths=0,
    )


# What people and clients ask for --------------------------------------------------------------------------------------


def cancelled(operation: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """Cancel: at once when nobody runs it, else ask the attempt to stop (Canceling)."""
    if operation.type in PLATFORM_TYPES:
        raise StateChangeRefused("cancel", "a job of the platform", ErrorCode.CANNOT_CANCEL, operation.asyncoperationid)
    if operation.type in CASCADE_TYPES and operation.statecode is not StateCode.SUSPENDED:
        raise StateChangeRefused("cancel", "a running cascade", ErrorCode.CANNOT_CANCEL, operation.asyncoperationid)
    return _moved(operation, Action.CANCEL, now)


def paused(operation: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """Ask the attempt to stop and wait until somebody resumes the operation."""
    if operation.type in PLATFORM_TYPES:
        raise StateChangeRefused("pause", "a job of the platform", ErrorCode.CANNOT_PAUSE, operation.asyncoperationid)
    return _moved(operation, Action.PAUSE, now, postponeuntil=None)


def resumed(operation: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """Make a suspended operation Ready, whatever it waited for."""
    if operation.type in PLATFORM_TYPES:
        raise StateChangeRefused(
            "resume", "a job of the platform", ErrorCode.INVALID_STATE_CHANGE_TO_READY, operation.asyncoperationid
        )
    return _moved(operation, Action.RESUME, now, postponeuntil=None)


def postponed(operation: AsyncOperation, *, now: datetime, until: datetime) -> AsyncOperation:
    """Suspend until a moment; a running attempt is asked to stop first."""
    if until <= now:
        raise InvalidOperation(f"postponeuntil must lie in the future; {until.isoformat()} has passed.")
    return _moved(operation, Action.POSTPONE, now, postponeuntil=until)


def retried(operation: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """Make a failed operation Ready again, from its last checkpoint; its retries begin anew. An addition of ours."""
    if operation.removing:
        code = ErrorCode.INVALID_STATE_CHANGE_TO_READY
        raise StateChangeRefused("retry", "being removed", code, operation.asyncoperationid)
    return _moved(operation, Action.RETRY, now, retrycount=0, errorcode=None, message=None, completedon=None, deaths=0)


# ----------------------------------------------------------------------------------------------------------------------


def removed(operation: AsyncOperation) -> AsyncOperation:
    """Mark a completed operation as being removed, so that nobody reopens it half-way."""
    target(Action.DELETE, operation.statuscode)
    return replace(operation, removing=True, version=operation.version + 1)


@dataclass(frozen=True, slots=True)
class AgendaPolicy:
    """When somebody must look at an operation again."""

    #: A Ready operation that nobody took for this long has lost its hint.
    hint_grace: timedelta = timedelta(seconds=60)
    #: A row may be this much early before a write takes it along; it is never late.
    slack: timedelta = timedelta(minutes=2)
    #: An operation that waits for those it started is looked at this often, in case the last one's word was lost.
    children_net: timedelta = timedelta(minutes=5)
    #: Hints can be sent this long ahead of time; what is due later gets its hint from the sweep.
    horizon: timedelta = timedelta(days=6, hours=23)

    def due(self, operation: AsyncOperation, now: datetime) -> datetime | None:
        """Return the latest moment at which the agenda must name *operation*, or None when it is Completed."""
        if operation.is_completed:
            return None
        if operation.is_locked:
            return operation.leaseuntil or now
        if operation.blockedby is not None:
            return NEVER
        if operation.statecode is StateCode.READY:
            return (operation.readyon or now) + self.hint_grace
        if operation.awaits == CHILDREN:
            return now + self.children_net
        if operation.postponeuntil is None:
            return NEVER
        far_ahead = operation.postponeuntil - self.horizon
        return far_ahead if far_ahead > now else operation.postponeuntil

    def needs_move(self, current: datetime | None, due: datetime | None) -> bool:
        """Whether a row at *current* must be written anew for *due*: it would be late, or too early to be worth it."""
        if current is None or due is None:
            return current is not due
        return current > due or due - current > self.slack


def _moved(
    operation: AsyncOperation,
    action: Action,
    now: datetime,
    *,
    reason: str | None = None,
    host: str | None = None,
    **changes: Any,  # noqa: ANN401 - columns of the record
) -> AsyncOperation:
    status = target(action, operation.statuscode)
    entry = HistoryEntry(
        _millisecond(now), action.value, status, changes.get("attempt", operation.attempt), host, _short(reason)
    )
    changes |= {"statuscode": status, "history": (*operation.history, entry), "modifiedon": now}
    changes["version"] = operation.version + 1
    if operation.is_locked and status.state is not StateCode.LOCKED:
        changes |= {"leaseuntil": None, "claimedon": None, "executiontimespan": _execution_time(operation, now)}
    if operation.statecode is StateCode.SUSPENDED:
        changes |= {"awaits": None, "iswaitingforevent": False}
    if status.state is StateCode.READY:
        changes["readyon"] = now
    if status.state is StateCode.COMPLETED:
        changes |= {"completedon": now, "postponeuntil": None}
    return replace(operation, **changes)


def _held_back(operation: AsyncOperation, until: datetime | None) -> datetime | None:
    """Return until when the operation waits after this attempt: no sooner than a person asked for while it ran."""
    if operation.statuscode is not StatusCode.PAUSING or until is None:
        return until
    return None if operation.postponeuntil is None else max(operation.postponeuntil, until)


def _recurring(
    operation: AsyncOperation, now: datetime, following: datetime, reason: str, facts: dict[str, Any]
) -> AsyncOperation:
    fresh = {"postponeuntil": _held_back(operation, following), "checkpoint": None, "retrycount": 0, "startedon": None}
    return _moved(operation, Action.RECUR, now, reason=reason, **(facts | fresh))


def _next_run(operation: AsyncOperation, now: datetime) -> datetime | None:
    if not operation.recurrencepattern:
        return None
    start = operation.recurrencestarttime or operation.createdon
    return recurrence.next_run(operation.recurrencepattern, start, after=now)


def _execution_time(operation: AsyncOperation, now: datetime) -> float:
    if operation.claimedon is None:
        return operation.executiontimespan
    return round(operation.executiontimespan + max(0.0, (now - operation.claimedon).total_seconds()), 2)


def _short(reason: str | None) -> str | None:
    if reason is None or len(reason) <= MAX_REASON:
        return reason
    return reason[: MAX_REASON - 1] + "…"


def _millisecond(moment: datetime) -> datetime:
    """Return *moment* as the history keeps it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
