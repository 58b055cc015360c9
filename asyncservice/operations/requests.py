"""What people and clients ask of an operation: pure functions from one record to the next.

Each is one move of `asyncservice.operations.states.MOVES`, and raises StateChangeRefused with Dataverse's code when the
operation's status or type does not allow it. *reason*, where given, stands in the history.
"""

from copy import replace
from datetime import datetime
from typing import Final

from asyncservice.operations import recurrence
from asyncservice.operations.errors import ErrorCode, InvalidOperation, StateChangeRefused
from asyncservice.operations.operationtypes import CASCADE_TYPES, PLATFORM_TYPES, OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import Action, StateCode, StatusCode, target
from asyncservice.operations.transition import moved

#: Types whose recurrence may be changed while they recur.
RESCHEDULED_TYPES: Final = frozenset({int(OperationType.BULK_DUPLICATE_DETECTION), int(OperationType.BULK_DELETE)})


def cancelled(operation: AsyncOperation, *, now: datetime, reason: str | None = None) -> AsyncOperation:
    """Cancel: at once when nobody runs it, else ask the attempt to stop (Canceling)."""
    if operation.type in PLATFORM_TYPES:
        raise StateChangeRefused("cancel", "a job of the platform", ErrorCode.CANNOT_CANCEL, operation.asyncoperationid)
    if operation.type in CASCADE_TYPES and operation.statecode is not StateCode.SUSPENDED:
        raise StateChangeRefused("cancel", "a running cascade", ErrorCode.CANNOT_CANCEL, operation.asyncoperationid)
    return moved(operation, Action.CANCEL, now, reason=reason)


def paused(operation: AsyncOperation, *, now: datetime, reason: str | None = None) -> AsyncOperation:
    """Ask the attempt to stop and wait until somebody resumes the operation."""
    if operation.type in PLATFORM_TYPES:
        raise StateChangeRefused("pause", "a job of the platform", ErrorCode.CANNOT_PAUSE, operation.asyncoperationid)
    return moved(operation, Action.PAUSE, now, reason=reason, postponeuntil=None)


def resumed(operation: AsyncOperation, *, now: datetime, reason: str | None = None) -> AsyncOperation:
    """Make a suspended operation Ready, whatever it waited for."""
    if operation.type in PLATFORM_TYPES:
        raise StateChangeRefused(
            "resume", "a job of the platform", ErrorCode.INVALID_STATE_CHANGE_TO_READY, operation.asyncoperationid
        )
    return moved(operation, Action.RESUME, now, reason=reason, postponeuntil=None)


def postponed(
    operation: AsyncOperation, *, now: datetime, until: datetime, reason: str | None = None
) -> AsyncOperation:
    """Suspend until a moment, or until another one; a running attempt is asked to stop first.

    What waits for its children or for an event is refused: the moment would end that.
    """
    if until <= now:
        raise InvalidOperation(f"postponeuntil must lie in the future; {until.isoformat()} has passed.")
    if operation.awaits is not None:
        waits = f"{operation.statuscode.label} for {operation.awaits}"
        code = ErrorCode.INVALID_STATE_CHANGE_TO_SUSPENDED
        raise StateChangeRefused("postpone", waits, code, operation.asyncoperationid)
    return moved(operation, Action.POSTPONE, now, reason=reason, postponeuntil=until)


def retried(operation: AsyncOperation, *, now: datetime, reason: str | None = None) -> AsyncOperation:
    """Make a failed operation Ready again, from its last checkpoint; its retries begin anew. An addition of ours."""
    if operation.removing:
        code = ErrorCode.INVALID_STATE_CHANGE_TO_READY
        raise StateChangeRefused("retry", "being removed", code, operation.asyncoperationid)
    return moved(
        operation,
        Action.RETRY,
        now,
        reason=reason,
        retrycount=0,
        errorcode=None,
        message=None,
        completedon=None,
        deaths=0,
    )


def rescheduled(operation: AsyncOperation, *, now: datetime, pattern: str, reason: str | None = None) -> AsyncOperation:
    """Give a recurring operation another pattern; one that waits for its next run waits for that of the new pattern.

    Dataverse's rules (reference, section 10): bulk deletes and duplicate detection only, and only those that recur.
    Raises InvalidOperation for a pattern that is none or has no slot from now on.
    """
    if operation.is_completed:
        label = operation.statuscode.label
        raise StateChangeRefused("reschedule", label, ErrorCode.INVALID_STATE_CHANGE, operation.asyncoperationid)
    if operation.operationtype not in RESCHEDULED_TYPES:
        raise InvalidOperation(
            "The recurrencepattern of this type of operation cannot be changed; cancel it and submit another.",
            code=ErrorCode.CANNOT_UPDATE_RECURRING,
        )
    if not operation.recurrencepattern:
        raise InvalidOperation(
            "The operation does not recur, so its recurrencepattern cannot be changed; submit one that recurs.",
            code=ErrorCode.CANNOT_UPDATE_NONRECURRING,
        )
    start = operation.recurrencestarttime or operation.createdon
    rule = recurrence.parse(pattern, start)
    following = rule.after(now)
    if following is None:
        raise InvalidOperation(f"recurrencepattern {pattern!r} has no slot from now on.")
    changed = replace(
        operation, recurrencepattern=pattern, recurrencestarttime=rule.start if rule.names_start else start
    )
    rests = operation.statuscode is StatusCode.WAITING and operation.startedon is None and operation.awaits is None
    if rests and operation.postponeuntil is not None:
        return moved(changed, Action.POSTPONE, now, reason=reason, postponeuntil=following)
    return replace(changed, modifiedon=now, version=operation.version + 1)


def removed(operation: AsyncOperation) -> AsyncOperation:
    """Mark a completed operation as being removed, so that nobody reopens it half-way."""
    target(Action.DELETE, operation.statuscode)
    return replace(operation, removing=True, version=operation.version + 1)
