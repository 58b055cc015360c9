"""What can go wrong with storage, from general to particular.

StorageError
├── RowConflict         a conditional write lost; nothing of its transaction was applied
├── StorageUnavailable  transient: the answer did not come; the write may or may not have been applied
└── StorageRefused      the request itself is wrong and will never succeed
    └── TableMissing    nobody has made the table yet
"""

from enum import StrEnum


class StorageError(Exception):
    """Something went wrong between the service and its storage."""


class ConflictReason(StrEnum):
    """Why a conditional write was refused."""

    EXISTS = "exists"
    """An insert found a row with the same keys."""
    MISSING = "missing"
    """A replace or delete found no row."""
    CHANGED = "changed"
    """A replace or delete found another version of the row."""


class RowConflict(StorageError):  # noqa: N818 - a refusal that callers expect, not a fault
    """A conditional write lost. No write of the same transaction was applied."""

    def __init__(self, table: str, partition: str, key: str, reason: ConflictReason) -> None:
        super().__init__(f"Row {partition}/{key} of table {table}: {reason.value}.")
        self.table, self.partition, self.key, self.reason = table, partition, key, reason


class StorageUnavailable(StorageError):  # noqa: N818 - reads as the state it describes
    """The storage did not answer, or asked to be left alone for a while. Safe to try again after a look."""


class StorageRefused(StorageError):  # noqa: N818 - reads as the state it describes
    """The storage understood the request and will never accept it: too large, malformed, forbidden."""


class TableMissing(StorageRefused):
    """The table was never made; nothing was read or written."""

    def __init__(self, table: str) -> None:
        super().__init__(f"Table {table} does not exist.")
        self.table = table
