"""An operation as JSON can write it, for programs that read what the command line and the client tell."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.record import DATAVERSE_FIELDS, AsyncOperation
from asyncservice.operations.waitreasons import Wait, friendly


def as_plain(
    operation: AsyncOperation, *, wait: Wait | None, history: Iterable[HistoryEntry] | None = None
) -> dict[str, Any]:
    """Return Dataverse's columns that hold something; what it waits for (`waitreason`, null when it does not wait).

    Then its history, where one is given.
    """
    plain: dict[str, Any] = {"statecode": int(operation.statecode)}
    for name in DATAVERSE_FIELDS:
        value = friendly(operation, wait) if name == "friendlymessage" else getattr(operation, name)
        if value is not None:
            plain[name] = _json_value(value)
    plain["waitreason"] = None if wait is None else wait.as_plain()
    if history is not None:
        plain["history"] = [entry_as_plain(entry) for entry in history]
    return plain


def entry_as_plain(entry: HistoryEntry) -> dict[str, Any]:
    """Return one move of a history."""
    return {
        "on": entry.on.isoformat(),
        "action": entry.action,
        "statuscode": int(entry.status),
        "attempt": entry.attempt,
        "host": entry.host,
        "reason": entry.reason,
        "postponeuntil": None if entry.until is None else entry.until.isoformat(),
        "errorcode": entry.code,
        "retrycount": entry.retries,
        "awaits": entry.awaits,
    }


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, bool | int | float) else str(value)
