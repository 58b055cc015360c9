"""What happened to an operation: one entry for each move, kept with the record it describes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asyncservice.operations.states import StatusCode


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One move of an operation."""

    #: When it happened, to the millisecond.
    on: datetime
    #: What moved it: an action of the table of moves, or "create".
    action: str
    status: StatusCode
    attempt: int = 0
    host: str | None = None
    #: Why, where that is not plain from the action: an error's text, a person's request.
    reason: str | None = None


def write(entries: Iterable[HistoryEntry]) -> str:
    """Return *entries* as compact JSON, trailing empty members left out."""
    return json.dumps([_plain(entry) for entry in entries], separators=(",", ":"), ensure_ascii=False)


def read(text: str) -> tuple[HistoryEntry, ...]:
    """Return the entries that `write` wrote."""
    return tuple(_entry(members) for members in json.loads(text))


def _plain(entry: HistoryEntry) -> list[object]:
    members: list[object] = [
        round(entry.on.timestamp() * 1000),
        entry.action,
        int(entry.status),
        entry.attempt,
        entry.host,
        entry.reason,
    ]
    while members[-1] is None:
        members.pop()
    return members


def _entry(members: list[Any]) -> HistoryEntry:
    milliseconds, action, status, *rest = members
    on = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return HistoryEntry(on, action, StatusCode(status), *rest)
