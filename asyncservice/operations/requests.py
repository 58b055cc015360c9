"""What people and clients ask of an operation: pure functions from one record to the next.

Each is one move of `asyncservice.operations.states.MOVES`, and raises StateChangeRefused with Dataverse's code when the
operation's status or type does not allow it. *reason*, where given, stands in the history.
"""

from copy import replace
from datetime import datetime

from asyncservice.operations.errors import ErrorCode, InvalidOperation, StateChangeRefused
from asyncservice.operations.operationtypes import CASCADE_TYPES, PLATFORM_TYPES
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import Action, StateCode, target
from asyncservice.operations.transition import moved


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
    """Suspend until a moment; a running attempt is asked to stop first."""
    if until <= now:
        raise InvalidOperation(f"postponeuntil must lie in the future; {until.isoformat()} has passed.")
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


def removed(operation: AsyncOperation) -> AsyncOperation:
    """Mark a completed operation as being removed, so that nobody reopens it half-way."""
    target(Action.DELETE, operation.statuscode)
    return replace(operation, removing=True, version=operation.version + 1)
