"""When an operation may be run, and when somebody must look at it again. Pure functions of a record and the time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final

from asyncservice.operations.awaiting import CHILDREN
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StateCode

#: Stands for "nobody needs to look": an operation that only a person or an event can move.
NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


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


@dataclass(frozen=True, slots=True)
class AgendaPolicy:
    """When somebody must look at an operation again."""

    #: A Ready operation that nobody took for this long has lost its hint.
    hint_grace: timedelta = timedelta(seconds=60)
    #: A row may be this much early before a write takes it along; it is never late.
    slack: timedelta = timedelta(minutes=2)
    #: An operation that waits for those it started is looked at this often, in case the last one's word was lost.
    children_net: timedelta = timedelta(minutes=5)
    #: One that may run, and that the sweep hinted at or saw wait behind others, is looked at again after this long.
    look_again: timedelta = timedelta(minutes=2)
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
