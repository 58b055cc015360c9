"""A job as a row: every column of the asyncoperation table that may be read, as queries and the Web API know values."""

from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final
from uuid import UUID

from asyncservice.operations.columns import COLUMNS, Column, ColumnType
from asyncservice.operations.record import DATAVERSE_FIELDS, AsyncOperation
from asyncservice.organization.values import RecordValue, Reference

#: The logical name of the table.
ENTITY: Final = "asyncoperation"
PRIMARY_ID: Final = "asyncoperationid"
#: Counts the writes of a row; its ETag.
VERSION: Final = "versionnumber"
#: What a lookup refers to where the operation does not say of which table the record is.
_UNKNOWN: Final = ""
_LOOKUPS: Final = frozenset({ColumnType.LOOKUP, ColumnType.OWNER})
_READABLE: Final = tuple(COLUMNS[name] for name in DATAVERSE_FIELDS if COLUMNS[name].readable)
_HALF: Final = timedelta(microseconds=500)


def row_of(operation: AsyncOperation) -> dict[str, RecordValue]:
    """Return the columns of an operation that hold something."""
    row: dict[str, RecordValue] = {"statecode": int(operation.statecode), VERSION: operation.version}
    for column in _READABLE:
        value = getattr(operation, column.name)
        if value is not None:
            row[column.name] = _value(operation, column, value)
    row["createdon"] = createdon(operation)
    return row


def createdon(operation: AsyncOperation) -> datetime:
    """Return when it was created, to the millisecond: what jobs are ordered by."""
    return to_millisecond(operation.createdon)


def to_millisecond(moment: datetime) -> datetime:
    """Return the nearest whole millisecond, as keys have it."""
    moment += _HALF
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _value(operation: AsyncOperation, column: Column, value: RecordValue) -> RecordValue:
    if column.type in _LOOKUPS and isinstance(value, UUID):
        return Reference(_target(operation, column), value)
    # An enum of ours becomes the number it stands for.
    return int(value) if isinstance(value, IntEnum) else value


def _target(operation: AsyncOperation, column: Column) -> str:
    match column.name:
        case "regardingobjectid":
            return operation.regardingobjecttypecode or operation.primaryentitytype or _UNKNOWN
        case "ownerid":
            return operation.owneridtype
        case _:
            return column.targets[0] if column.targets else _UNKNOWN
