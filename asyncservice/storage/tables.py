"""The port to Table Storage: rows, conditional writes, entity group transactions and range scans."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, Literal, Protocol
from uuid import UUID

type Value = str | int | float | bool | datetime | UUID | bytes
"""What a column can hold. Integers beyond 32 bits are stored as Edm.Int64, datetimes must carry a zone."""

#: Most writes one entity group transaction may hold.
MAX_WRITES: Final = 100
#: Most characters a string column may hold (64 KiB of UTF-16).
MAX_TEXT: Final = 32 * 1024
#: Most bytes one row may take.
MAX_ROW_BYTES: Final = 1024 * 1024
#: Most columns beside the keys and the timestamp.
MAX_COLUMNS: Final = 252
#: Most comparisons the tests of a scan may be made of: the service takes 15, three of which say where the scan is.
MAX_COMPARISONS: Final = 12
#: Most bytes the body of one entity group transaction may take.
MAX_TRANSACTION_BYTES: Final = 4 * 1024 * 1024
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], object]]] = {
    "eq": eq,
    "ne": ne,
    "gt": gt,
    "ge": ge,
    "lt": lt,
    "le": le,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was read."""

    partition: str
    key: str
    values: Mapping[str, Value]
    #: Names this version of the row; a write that carries it applies to this version only.
    etag: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Insert:
    """Add a row; refused when it exists."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Replace:
    """Exchange all columns of the version that was read; refused when the row is gone or has changed."""

    key: str
    values: Mapping[str, Value]
    etag: str


@dataclass(frozen=True, slots=True)
class Put:
    """Write the row whatever is there now. Only for rows that one writer owns or that all writers agree on."""

    key: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the row; refused when it is gone or, where an etag is given, has changed."""

    key: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Require:
    """Refuse the transaction when the row is not there. Leaves the row's columns as they are."""

    key: str


type Write = Insert | Replace | Put | Delete | Require


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition of a scan that the storage itself evaluates. A row without the column does not match."""

    column: str
    operator: Literal["eq", "ne", "gt", "ge", "lt", "le"]
    value: Value


@dataclass(frozen=True, slots=True)
class Every:
    """All members hold; of none, that is true."""

    members: tuple["Test", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one member holds; of none, that is false."""

    members: tuple["Test", ...]


type Test = Comparison | Every | Either
"""What the storage can decide about a row."""


def comparisons(test: Test) -> int:
    """Return how many comparisons a test is made of."""
    return 1 if isinstance(test, Comparison) else sum(map(comparisons, test.members))


def holds(test: Test, values: Mapping[str, Value]) -> bool:
    """Whether a row of these columns meets a test, as the storage decides it."""
    match test:
        case Every(members):
            return all(holds(member, values) for member in members)
        case Either(members):
            return any(holds(member, values) for member in members)
        case Comparison(column, operator, wanted):
            value = values.get(column)
            return value is not None and bool(_OPERATORS[operator](value, wanted))


class Table(Protocol):
    """One table. Every method is one storage request, but for scans, which are one a page of up to 1,000 rows.

    All raise StorageUnavailable when no answer came (a write may then have been applied), TableMissing when the table
    was never made, and StorageRefused when the request can never succeed.
    """

    @property
    def name(self) -> str:
        """The table's name."""
        ...

    async def create(self) -> None:
        """Make the table. Safe to repeat."""
        ...

    async def read(self, partition: str, key: str) -> Row | None:
        """Return the row, or None when there is none."""
        ...

    async def commit(self, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        """Apply all *writes* or none, and return the new etag of each (empty for a deleted or a required row).

        Up to MAX_WRITES writes to different rows of one partition. Raises RowConflict naming the first row whose
        condition did not hold.
        """
        ...

    def scan(
        self,
        partition: str,
        *,
        start: str = "",
        end: str | None = None,
        where: Sequence[Test] = (),
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Row]:
        """Yield the rows of *partition* with start <= key < end, in key order, at most *limit*.

        *where*, of which every member must hold, is evaluated by the storage, so a page may come back short; it holds
        at most MAX_COMPARISONS. *select* names the columns to bring.
        """
        ...


def after(key: str) -> str:
    """Return the smallest key greater than *key*, to continue a scan behind it."""
    return key + "\0"


def prefix_end(prefix: str) -> str:
    """Return the smallest key greater than every key that starts with *prefix*."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
