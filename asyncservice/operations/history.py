"""What happened to an operation: one entry for each move, kept with the record it describes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from asyncservice.operations.states import StatusCode

#: What the first entry of a history says; every other says an action of the table of moves.
CREATE: Final = "create"
#: What a move may leave behind, beside a moment.
_LEFT: Final = ("code", "retries", "awaits")
#: Characters of an entry's numbers, names and punctuation, and of one character of text when it is escaped.
_MOST_WITHOUT_TEXTS: Final = 250
_MOST_A_CHARACTER: Final = 6


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One move of an operation."""

    #: When it happened, to the millisecond.
    on: datetime
    #: What moved it: an action of the table of moves, or CREATE.
    action: str
    status: StatusCode
    attempt: int = 0
    host: str | None = None
    #: Why, where that is not plain from the action: an error's text, a person's request.
    reason: str | None = None
    # What the move left behind, so that the record's life can be rebuilt (`rebuilding`); None where it left nothing.
    #: Until when it waits (postponeuntil), to the millisecond.
    until: datetime | None = None
    #: The error that ended the attempt.
    code: int | None = None
    #: Retries so far, where this is one more.
    retries: int | None = None
    #: What it waits for (awaits).
    awaits: str | None = None


def write(entries: Iterable[HistoryEntry]) -> str:
    """Return *entries* as compact JSON: a list for each, empty members at its end left out.

    What a move left behind is an object at the end of its list, where there is anything.
    """
    return json.dumps([_plain(entry) for entry in entries], separators=(",", ":"), ensure_ascii=False)


def read(text: str) -> tuple[HistoryEntry, ...]:
    """Return the entries that `write` wrote. Raises ValueError when it is no such text."""
    try:
        return tuple(_entry(members) for members in json.loads(text))
    except (TypeError, IndexError, OverflowError) as error:
        raise ValueError(f"{text[:200]!r} is no history of an operation.") from error


def longest(entry: HistoryEntry) -> int:
    """Return a number of characters that *entry* certainly does not exceed, without writing it out."""
    texts = (entry.action, entry.host, entry.reason, entry.awaits)
    return _MOST_WITHOUT_TEXTS + _MOST_A_CHARACTER * sum(len(text) for text in texts if text)


def _plain(entry: HistoryEntry) -> list[object]:
    members: list[object] = [
        _milliseconds(entry.on),
        entry.action,
        int(entry.status),
        entry.attempt,
        entry.host,
        entry.reason,
    ]
    left: dict[str, object] = {} if entry.until is None else {"until": _milliseconds(entry.until)}
    left |= {name: value for name in _LEFT if (value := getattr(entry, name)) is not None}
    if left:
        return [*members, left]
    while members[-1] is None:
        members.pop()
    return members


def _entry(members: list[Any]) -> HistoryEntry:
    left = members.pop() if isinstance(members[-1], dict) else {}
    on, action, status, *rest = members
    if until := left.pop("until", None):
        left["until"] = _moment(until)
    return HistoryEntry(_moment(on), action, StatusCode(status), *rest, **left)


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
