"""The states of an operation and every move between them, as data.

Codes and rules are Dataverse's (reference: asynchronous service, sections 1.6, 2.1 and 10). `MOVES` answers the
engine, the API, the page and the tests; nothing else decides what may follow what.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final

from asyncservice.operations.errors import ErrorCode, StateChangeRefused


class StateCode(IntEnum):
    """The coarse state; `statecode`."""

    READY = 0
    SUSPENDED = 1
    LOCKED = 2
    COMPLETED = 3


class StatusCode(IntEnum):
    """Why an operation is in its state; `statuscode`."""

    WAITING_FOR_RESOURCES = 0
    """Ready: to be run as soon as a host takes it."""
    WAITING = 10
    """Suspended: until a moment, an event, its children, or somebody resumes it."""
    IN_PROGRESS = 20
    """Locked: a host holds a live lease."""
    PAUSING = 21
    """Locked: asked to stop and wait; the host will see it at its next checkpoint or heartbeat."""
    CANCELING = 22
    """Locked: asked to stop for good."""
    SUCCEEDED = 30
    FAILED = 31
    CANCELED = 32

    @property
    def state(self) -> StateCode:
        """The state this status belongs to."""
        return StateCode(self // 10)

    @property
    def label(self) -> str:
        """The label that Dataverse shows."""
        return _LABELS.get(self, self.name.replace("_", " ").title())


_LABELS: Final[Mapping[StatusCode, str]] = {StatusCode.WAITING_FOR_RESOURCES: "Waiting For Resources"}

LOCKED: Final = frozenset({StatusCode.IN_PROGRESS, StatusCode.PAUSING, StatusCode.CANCELING})
COMPLETED: Final = frozenset({StatusCode.SUCCEEDED, StatusCode.FAILED, StatusCode.CANCELED})


class Action(StrEnum):
    """Everything that moves an operation from one status to another."""

    # What people and clients ask for.
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    POSTPONE = "postpone"
    RETRY = "retry"
    DELETE = "delete"
    # What the service does.
    CLAIM = "claim"
    FALL_DUE = "fall due"
    SUCCEED = "succeed"
    FAIL = "fail"
    TRY_LATER = "try later"
    WAIT = "wait"
    YIELD = "yield"
    INTERRUPT = "interrupt"
    STOP = "stop"
    RECUR = "recur"


_S = StatusCode

#: For every action, from which status it leads where. What is not here is refused.
MOVES: Final[Mapping[Action, Mapping[StatusCode, StatusCode]]] = {
    Action.CANCEL: {
        _S.WAITING_FOR_RESOURCES: _S.CANCELED,
        _S.WAITING: _S.CANCELED,
        _S.IN_PROGRESS: _S.CANCELING,
        _S.PAUSING: _S.CANCELING,
        _S.CANCELING: _S.CANCELING,
    },
    Action.PAUSE: {_S.IN_PROGRESS: _S.PAUSING, _S.PAUSING: _S.PAUSING},
    Action.RESUME: {_S.WAITING: _S.WAITING_FOR_RESOURCES},
    Action.POSTPONE: {
        _S.WAITING_FOR_RESOURCES: _S.WAITING,
        # To another moment; what waits for its children or an event is refused, in `requests`.
        _S.WAITING: _S.WAITING,
        _S.IN_PROGRESS: _S.PAUSING,
        _S.PAUSING: _S.PAUSING,
    },
    # A documented addition: Dataverse does not reopen a finished job.
    Action.RETRY: {_S.FAILED: _S.WAITING_FOR_RESOURCES},
    Action.DELETE: {_S.SUCCEEDED: _S.SUCCEEDED, _S.FAILED: _S.FAILED, _S.CANCELED: _S.CANCELED},
    Action.CLAIM: {_S.WAITING_FOR_RESOURCES: _S.IN_PROGRESS},
    Action.FALL_DUE: {_S.WAITING: _S.WAITING_FOR_RESOURCES},
    # The work was done, so a pause has nothing left to hold; a cancel was promised and is kept.
    Action.SUCCEED: {_S.IN_PROGRESS: _S.SUCCEEDED, _S.PAUSING: _S.SUCCEEDED, _S.CANCELING: _S.CANCELED},
    Action.FAIL: {_S.IN_PROGRESS: _S.FAILED, _S.PAUSING: _S.FAILED, _S.CANCELING: _S.FAILED},
    # What would be tried again is what the cancel ends; the error stays on the record.
    Action.TRY_LATER: {_S.IN_PROGRESS: _S.WAITING, _S.PAUSING: _S.WAITING, _S.CANCELING: _S.CANCELED},
    Action.WAIT: {_S.IN_PROGRESS: _S.WAITING, _S.PAUSING: _S.WAITING, _S.CANCELING: _S.CANCELED},
    Action.YIELD: {
        _S.IN_PROGRESS: _S.WAITING_FOR_RESOURCES,
        _S.PAUSING: _S.WAITING,
        _S.CANCELING: _S.CANCELED,
    },
    Action.INTERRUPT: {
        _S.IN_PROGRESS: _S.WAITING_FOR_RESOURCES,
        _S.PAUSING: _S.WAITING,
        _S.CANCELING: _S.CANCELED,
    },
    # The handler obeyed a request to pause or cancel.
    Action.STOP: {_S.PAUSING: _S.WAITING, _S.CANCELING: _S.CANCELED},
    Action.RECUR: {_S.IN_PROGRESS: _S.WAITING, _S.PAUSING: _S.WAITING, _S.CANCELING: _S.CANCELED},
}

_REFUSALS: Final[Mapping[Action, ErrorCode]] = {
    Action.CANCEL: ErrorCode.INVALID_STATE_CHANGE_TO_COMPLETE,
    Action.PAUSE: ErrorCode.INVALID_STATE_CHANGE_TO_SUSPENDED,
    Action.POSTPONE: ErrorCode.INVALID_STATE_CHANGE_TO_SUSPENDED,
    Action.RESUME: ErrorCode.INVALID_STATE_CHANGE_TO_READY,
    Action.RETRY: ErrorCode.INVALID_STATE_CHANGE_TO_READY,
    Action.DELETE: ErrorCode.CANNOT_DELETE_UNLESS_COMPLETED,
}


def may(action: Action, status: StatusCode) -> bool:
    """Say whether *action* is allowed in *status*."""
    return status in MOVES[action]


def target(action: Action, status: StatusCode) -> StatusCode:
    """Return the status that *action* leads to. Raises StateChangeRefused with Dataverse's code when it may not."""
    reached = MOVES[action].get(status)
    if reached is None:
        raise StateChangeRefused(action.value, status.label, _REFUSALS.get(action, ErrorCode.INVALID_STATE_CHANGE))
    return reached
