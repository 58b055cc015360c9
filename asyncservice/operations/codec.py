"""An operation as a table row, and back. Only columns that hold something are stored."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from enum import IntEnum
from hashlib import blake2b
from types import UnionType
from typing import Any, Final, get_args, get_type_hints
from uuid import UUID

from asyncservice.operations import history
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.storage.tables import MAX_TEXT, Value

#: Columns that may outgrow a row; a longer text goes to a blob and the row keeps its name in `<column>_blob`.
SPILLABLE: Final = ("data", "message", "friendlymessage", "rootexecutioncontext", "workflowstate", "checkpoint")
#: Texts longer than this leave the row, so that six of them and a full history still fit one.
MAX_INLINE: Final = MAX_TEXT
#: History longer than this is archived to rows of its own: every write carries what is kept, see bench/history.py.
MAX_HISTORY: Final = 6_000
#: Names the write itself: a writer that got no answer reads the row and sees whether it was his.
WRITE_ID: Final = "writeid"

_BLOB: Final = "_blob"
_FIELDS: Final = fields(AsyncOperation)
_DEFAULTS: Final[Mapping[str, Any]] = {
    each.name: None if each.default is MISSING else each.default for each in _FIELDS if each.name != "history"
}
_HINTS: Final = get_type_hints(AsyncOperation)


def _plain_type(name: str) -> type:
    hint: type | UnionType = _HINTS[name]
    if isinstance(hint, UnionType):
        hint = next(each for each in get_args(hint) if each is not type(None))
    return hint  # type: ignore[return-value]


_TYPES: Final[Mapping[str, type]] = {each.name: _plain_type(each.name) for each in _FIELDS if each.name != "history"}


def to_row(operation: AsyncOperation, *, spilled: Mapping[str, str]) -> dict[str, Value]:
    """Return the columns of *operation*; those named in *spilled* are in the blobs it names."""
    values: dict[str, Value] = {}
    for name, default in _DEFAULTS.items():
        value = getattr(operation, name)
        if value == default or name in spilled:
            continue
        # An enum's number, not the enum: the clients write those as text.
        values[name] = int(value) if isinstance(value, IntEnum) else value
    # The coarse state and the status are what people filter by, so they are always there.
    values["statecode"] = int(operation.statecode)
    values["statuscode"] = int(operation.statuscode)
    values["history"] = history.write(operation.history)
    for name, blob in spilled.items():
        values[name + _BLOB] = blob
    return values


def from_row(values: Mapping[str, Value]) -> tuple[AsyncOperation, dict[str, str]]:
    """Return the operation of a row, and which of its columns are in which blobs. Columns it does not know are left."""
    known: dict[str, Any] = {name: _typed(name, value) for name, value in values.items() if name in _TYPES}
    entries = values.get("history")
    known["history"] = history.read(entries) if isinstance(entries, str) else ()
    spilled = {name: str(values[name + _BLOB]) for name in SPILLABLE if name + _BLOB in values}
    return AsyncOperation(**known), spilled


def mistyped(operation: AsyncOperation) -> list[str]:
    """Return the columns whose values are not of their type, which no write of the service makes."""
    values = ((name, kind, getattr(operation, name)) for name, kind in _TYPES.items())
    return [name for name, kind, value in values if value is not None and not isinstance(value, kind)]


def to_json(values: Mapping[str, Value]) -> str:
    """Return the columns of a row as JSON."""
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False, default=_written)


def from_json(values: Mapping[str, Any]) -> dict[str, Value]:
    """Return the columns of the row that `to_json` wrote."""
    return {name: _read(_TYPES.get(name), value) for name, value in values.items()}


def overlong(operation: AsyncOperation) -> dict[str, str]:
    """Return the columns of *operation* that do not fit its row, with the text each holds."""
    texts = ((name, getattr(operation, name)) for name in SPILLABLE)
    return {name: text for name, text in texts if text is not None and _length(text) > MAX_INLINE}


def blob_name(operation_id: UUID, column: str, text: str) -> str:
    """Return where a long text is kept; named by its content, so that writing it twice is writing it once."""
    digest = blake2b(text.encode(), digest_size=12).hexdigest()
    return f"{operation_id}/{column}-{digest}"


def split_history(entries: tuple[HistoryEntry, ...]) -> tuple[tuple[HistoryEntry, ...], tuple[HistoryEntry, ...]]:
    """Return (what must be archived, what stays in the record); the first part is empty while the record has room."""
    # Written out at every move, only to be measured, it would take as long as all else.
    if sum(map(history.longest, entries)) <= MAX_HISTORY or len(history.write(entries)) <= MAX_HISTORY:
        return (), entries
    kept = max(1, len(entries) // 4)
    return entries[:-kept], entries[-kept:]


def _written(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _read(kind: type | None, value: Any) -> Value:  # noqa: ANN401 - what JSON holds
    if kind is datetime:
        return datetime.fromisoformat(value)
    return UUID(value) if kind is UUID else value


def _length(text: str) -> int:
    """Return the UTF-16 code units of *text*, which is how the service counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _typed(name: str, value: Value) -> Any:  # noqa: ANN401 - whatever the field holds
    kind = _TYPES[name]
    if kind is StatusCode:
        return StatusCode(int(value))  # type: ignore[arg-type]
    if kind is float and not isinstance(value, (datetime, UUID)):
        return float(value)
    return value
