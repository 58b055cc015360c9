"""Index rows: where the operations of one type, record, correlation or outcome are found without a look at all others.

An index row stands in the partition of its operation's record and is written and removed in the same transaction, so
it costs no request. Its key is what is looked for and then the time of creation inverted: each index is a contiguous
range, the newest operation first. It holds nothing, but for the few operations whose key is not made of their time of
creation (what an older id is submitted with, such as a child's): there it names the record.

Operations that are plain have none: system events (type 1), which come in floods, without a record they are about and
without a correlation of their own. What is not completed has no index either, since the agenda names it.

A row too many does no harm, because whoever reads it looks at the record; one too few would hide an operation.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from asyncservice.operations import ids
from asyncservice.operations.ids import Place
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.storage.tables import Delete, Put, Row, Value, Write

#: Most index rows one operation has.
MOST: Final = 5
#: Outcomes that are rare enough to be looked for.
RARE: Final = frozenset({StatusCode.FAILED, StatusCode.CANCELED})
#: Types that have no row in the index of types: those that come in floods.
UNINDEXED: Final = frozenset({int(OperationType.SYSTEM_EVENT)})

_RECORD: Final = "record"
#: What whoever looks something up needs of an index row.
COLUMNS: Final = (_RECORD,)
_NAMES: Final = "indices"
_UNSIGNED: Final = 0xFFFF_FFFF


class Index(StrEnum):
    """What operations are found by; values are the second character of the keys."""

    #: By the time of creation, where the record's own key is not made of it.
    CREATED = "n"
    CORRELATION = "c"
    REGARDING = "r"
    STATUS = "s"
    TYPE = "t"


def prefix(index: Index, value: UUID | int | None = None) -> str:
    """Return what the keys of an index begin with, for one value of the column it is about."""
    if value is None:
        return f"{ids.INDEX}{index.value}-"
    text = value.hex if isinstance(value, UUID) else f"{value & _UNSIGNED:08x}"
    return f"{ids.INDEX}{index.value}-{text}-"


def tail(operation_id: UUID, createdon: datetime) -> str:
    """Return what orders operations by their time of creation, the newest first; the end of every key of theirs."""
    own = ids.known_tail(operation_id)
    created = ids.inverted(createdon)
    return own if own is not None and own.startswith(created) else created + operation_id.hex


def rows(operation: AsyncOperation, place: Place) -> Mapping[str, Mapping[str, Value]]:
    """Return the index rows that an operation at *place* has, by their keys."""
    end = tail(operation.asyncoperationid, operation.createdon)
    values: Mapping[str, Value] = {} if end == place.tail else {_RECORD: place.key}
    return {start + end: values for start in _prefixes(operation, is_apart=bool(values))}


def count(operation: AsyncOperation) -> int:
    """Return how many index rows an operation has."""
    own_key = ids.record_key(operation.asyncoperationid, operation.createdon)
    return len(rows(operation, Place("", own_key)))


def changes(before: AsyncOperation | None, after: AsyncOperation | None, place: Place) -> list[Write]:
    """Return the writes that make the index rows those of *after*, where they were those of *before*.

    Rows are put, not inserted, so that one that was left over is none in the way.
    """
    if before is not None and after is not None and _same(before, after):
        return []
    had = {} if before is None else rows(before, place)
    has = {} if after is None else rows(after, place)
    added: list[Write] = [Put(key, values) for key, values in has.items() if key not in had]
    return [*added, *(Delete(key) for key in had if key not in has)]


def named(operation: AsyncOperation, place: Place) -> dict[str, Value]:
    """Return a column that names the index rows of an operation, for whoever removes it without reading it."""
    keys = rows(operation, place)
    return {_NAMES: " ".join(keys)} if keys else {}


def names_in(row: Row) -> list[str]:
    """Return the keys that such a column of *row* names."""
    return str(row.values.get(_NAMES, "")).split()


def is_index(key: str) -> bool:
    """Whether a key is one of an index row."""
    return key.startswith(ids.INDEX)


def record_key(row: Row) -> str:
    """Return the key of the record that an index row leads to."""
    named = row.values.get(_RECORD)
    return str(named) if named is not None else ids.RECORD + tail_of(row.key)


def tail_of(key: str) -> str:
    """Return the part of an index row's key that orders it among others."""
    return key.rpartition("-")[2]


def _same(before: AsyncOperation, after: AsyncOperation) -> bool:
    """Whether two versions of one operation have the same index rows: nearly every write of it, so it must be quick."""
    # Only the status ever changes of what the indices are about.
    return before.statuscode is after.statuscode or not (before.statuscode in RARE or after.statuscode in RARE)


def _prefixes(operation: AsyncOperation, *, is_apart: bool) -> Iterator[str]:
    if is_apart:
        yield prefix(Index.CREATED)
    if operation.correlationid != operation.asyncoperationid:
        yield prefix(Index.CORRELATION, operation.correlationid)
    if operation.regardingobjectid is not None:
        yield prefix(Index.REGARDING, operation.regardingobjectid)
    if operation.statuscode in RARE:
        yield prefix(Index.STATUS, int(operation.statuscode))
    if operation.operationtype not in UNINDEXED:
        yield prefix(Index.TYPE, operation.operationtype)
