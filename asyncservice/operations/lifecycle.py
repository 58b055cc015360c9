"""What the service itself does with an operation: pure functions from one record to the next.

Each function is one move of `asyncservice.operations.states.MOVES` (or two that belong in one write), takes the time
as an argument and raises StateChangeRefused when the record's status does not allow it. What people ask for is in
`requests`, what an operation waits for in `awaiting`, how it begins in `creation`; nothing else changes a record.
"""

import json
from copy import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from asyncservice.operations import recurrence
from asyncservice.operations.duedates import Readiness, has_expired, readiness
from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import Action, StateCode, StatusCode
from asyncservice.operations.transition import moved

#: An operation whose process died this often without a sign of progress is parked as Failed.
MAX_DEATHS: Final = 3
#: Most characters of message and friendlymessage.
MAX_MESSAGE: Final = 100_000


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
    return moved(
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
    return moved(operation, Action.FALL_DUE, now, postponeuntil=None)


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
    return moved(operation, Action.INTERRUPT, now, reason=reason, deaths=deaths)


def interrupted(operation: AsyncOperation, *, now: datetime, reason: str) -> AsyncOperation:
    """Give back the attempt because its host is leaving. Not a failure: nothing is counted against the operation."""
    return moved(operation, Action.INTERRUPT, now, reason=reason)


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
    return moved(operation, Action.YIELD, now, checkpoint=json.dumps(checkpoint, separators=(",", ":")), deaths=0)


def waiting(
    operation: AsyncOperation,
    *,
    now: datetime,
    until: datetime | None,
    checkpoint: Any = None,  # noqa: ANN401 - any JSON value
    message: str | None = None,
) -> AsyncOperation:
    """Suspend the operation at its own wish: until a moment, or until somebody resumes it."""
    return moved(
        operation,
        Action.WAIT,
        now,
        reason=message,
        postponeuntil=_held_back(operation, until),
        checkpoint=operation.checkpoint if checkpoint is None else json.dumps(checkpoint, separators=(",", ":")),
        friendlymessage=operation.friendlymessage if message is None else message[:MAX_MESSAGE],
        deaths=0,
    )


def stopped(operation: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """End the attempt because somebody asked to pause or cancel and the handler obeyed."""
    return moved(operation, Action.STOP, now, deaths=0)


def succeeded(operation: AsyncOperation, *, now: datetime, message: str | None = None) -> AsyncOperation:
    """Complete the operation, or send a recurring one to wait for its next run."""
    facts: dict[str, Any] = {"errorcode": None, "message": None, "deaths": 0}
    if message is not None:
        facts["friendlymessage"] = message[:MAX_MESSAGE]
    following = _next_run(operation, now)
    if following is None:
        return moved(operation, Action.SUCCEED, now, **facts)
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
        return moved(operation, Action.FAIL, now, reason=message, **facts)
    return _recurring(operation, now, following, f"the run failed: {message}", facts)


def tried_later(operation: AsyncOperation, *, now: datetime, due: datetime, code: int, message: str) -> AsyncOperation:
    """Suspend the operation after a failed attempt, to be tried again at *due*."""
    return moved(
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


def suspended(operation: AsyncOperation, *, now: datetime, code: int, message: str) -> AsyncOperation:
    """Suspend the operation after an error that only a person can mend, until it is resumed."""
    return moved(
        operation,
        Action.TRY_LATER,
        now,
        reason=message,
        postponeuntil=None,
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


def _held_back(operation: AsyncOperation, until: datetime | None) -> datetime | None:
    """Return until when the operation waits after this attempt: no sooner than a person asked for while it ran."""
    if operation.statuscode is not StatusCode.PAUSING or until is None:
        return until
    return None if operation.postponeuntil is None else max(operation.postponeuntil, until)


def _recurring(
    operation: AsyncOperation, now: datetime, following: datetime, reason: str, facts: dict[str, Any]
) -> AsyncOperation:
    fresh = {"postponeuntil": _held_back(operation, following), "checkpoint": None, "retrycount": 0, "startedon": None}
    return moved(operation, Action.RECUR, now, reason=reason, **(facts | fresh))


def _next_run(operation: AsyncOperation, now: datetime) -> datetime | None:
    if not operation.recurrencepattern:
        return None
    start = operation.recurrencestarttime or operation.createdon
    # The clock of the host that began this run may have been ahead: its slot must not come again.
    after = max(now, operation.startedon or now)
    return recurrence.next_run(operation.recurrencepattern, start, after=after)
