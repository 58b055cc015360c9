"""One move of an operation: its new status, the entry of its history, and the columns that every move changes."""

from copy import replace
from datetime import datetime
from typing import Any, Final

from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import Action, StateCode, target

#: A text column in the history keeps this many characters of a reason; the record keeps all of it.
MAX_REASON: Final = 400


def moved(
    operation: AsyncOperation,
    action: Action,
    now: datetime,
    *,
    reason: str | None = None,
    host: str | None = None,
    **changes: Any,  # noqa: ANN401 - columns of the record
) -> AsyncOperation:
    """Return the operation after *action*, with *changes* to its columns.

    Raises StateChangeRefused when its status does not allow the action.
    """
    status = target(action, operation.statuscode)
    changes |= {"statuscode": status, "modifiedon": now, "version": operation.version + 1}
    if operation.is_locked and status.state is not StateCode.LOCKED:
        changes |= {"leaseuntil": None, "claimedon": None, "executiontimespan": _execution_time(operation, now)}
    if status.state is not StateCode.SUSPENDED:
        changes |= {"awaits": None, "iswaitingforevent": False}
    if status.state is StateCode.READY:
        changes["readyon"] = now
    if status.state is StateCode.COMPLETED:
        changes |= {"completedon": now, "postponeuntil": None}
    until = changes.get("postponeuntil", operation.postponeuntil)
    entry = HistoryEntry(
        millisecond(now),
        action.value,
        status,
        changes.get("attempt", operation.attempt),
        host,
        short(reason),
        until=None if until is None else millisecond(until),
        code=changes.get("errorcode"),
        retries=changes.get("retrycount") or None,
        awaits=changes.get("awaits", operation.awaits),
    )
    return replace(operation, history=(*operation.history, entry), **changes)


def _execution_time(operation: AsyncOperation, now: datetime) -> float:
    if operation.claimedon is None:
        return operation.executiontimespan
    return round(operation.executiontimespan + max(0.0, (now - operation.claimedon).total_seconds()), 2)


def short(reason: str | None) -> str | None:
    """Return *reason* as the history keeps it."""
    if reason is None or len(reason) <= MAX_REASON:
        return reason
    return reason[: MAX_REASON - 1] + "…"


def millisecond(moment: datetime) -> datetime:
    """Return *moment* as the history keeps it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
