"""What an operation that is not running waits for: derived from its record and from what is stopped, never written.

So stopping the service costs no write for each operation that waits, and what is said is never out of date.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from asyncservice.operations import awaiting, lifecycle
from asyncservice.operations.hints import family_of
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.switch import Stopped


class WaitReason(StrEnum):
    """What is waited for, for machines to read."""

    RESOURCES = "resources"
    """A host that takes it: it may run at once."""
    TIME = "time"
    """The moment in postponeuntil."""
    TOKEN = "token"  # noqa: S105 - no secret
    """The operation in blockedby, which has the same dependency token and came before."""
    EVENT = "event"
    """An event that somebody raises."""
    CHILDREN = "children"
    """The operations that it has started."""
    SERVICE_STOPPED = "service_stopped"
    """The start of the service: it might run, but its family is stopped."""
    PERSON = "person"
    """Somebody who resumes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """What one operation waits for."""

    reason: WaitReason
    #: The operation that must be completed first.
    blockedby: UUID | None = None
    #: The name of the event.
    event: str | None = None
    #: When it goes on at the latest, where that is known.
    until: datetime | None = None
    #: The family that is stopped.
    family: Family | None = None

    @property
    def text(self) -> str:
        """The same as a sentence."""
        match self.reason:
            case WaitReason.RESOURCES:
                return "Waits for a host to take it."
            case WaitReason.TIME:
                return f"Waits until {_shown(self.until)}."
            case WaitReason.TOKEN if self.blockedby is not None:
                return lifecycle.waits_for(self.blockedby)
            case WaitReason.EVENT if self.until is not None:
                return f"Waits for the event {self.event}, until {_shown(self.until)} at the latest."
            case WaitReason.EVENT:
                return f"Waits for the event {self.event}."
            case WaitReason.CHILDREN:
                return "Waits for the operations that it has started."
            case WaitReason.SERVICE_STOPPED:
                return f"Waits for the start of the service: the family {self.family} is stopped."
            case _:
                return "Waits until somebody resumes it."

    def as_plain(self) -> dict[str, str]:
        """Return it as JSON can write it."""
        plain = {"reason": self.reason.value, "message": self.text}
        if self.blockedby is not None:
            plain["blockedby"] = str(self.blockedby)
        if self.event is not None:
            plain["event"] = self.event
        if self.until is not None:
            plain["until"] = self.until.isoformat()
        if self.family is not None:
            plain["family"] = self.family.value
        return plain


def wait_of(operation: AsyncOperation, *, stopped: Stopped, now: datetime) -> Wait | None:
    """Return what *operation* waits for at *now*; None when it runs or is completed."""
    known = operation.waitreason
    if known is None:
        return None
    reason, until = WaitReason(known), operation.postponeuntil
    if reason is WaitReason.EVENT and (until is None or until > now):
        return Wait(reason=reason, event=(operation.awaits or "").removeprefix(awaiting.EVENT), until=until)
    if reason in {WaitReason.CHILDREN, WaitReason.PERSON}:
        return Wait(reason=reason)
    if until is not None and until > now:
        return Wait(reason=WaitReason.TIME, until=until)
    # It might run, were it not for the others of its token, or for the switch.
    if operation.blockedby is not None:
        return Wait(reason=WaitReason.TOKEN, blockedby=operation.blockedby)
    family = family_of(operation)
    if family in stopped.families:
        return Wait(reason=WaitReason.SERVICE_STOPPED, family=family)
    return Wait(reason=WaitReason.RESOURCES)


def friendly(operation: AsyncOperation, wait: Wait | None) -> str | None:
    """Return the operation's friendlymessage as it is shown: what it waits for, then what it says itself."""
    if wait is None or operation.friendlymessage == wait.text:
        return operation.friendlymessage
    return f"{wait.text} {operation.friendlymessage}" if operation.friendlymessage else wait.text


def _shown(moment: datetime | None) -> str:
    return "somebody resumes it" if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
