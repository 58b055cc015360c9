"""What a row carries while a transaction that spans partitions is under way: its next state beside the present one.

`tx__id` names the transaction, `tx__next` (in as many columns as its length asks for) holds what the transaction would
make of the row. A row that would be new has these columns only and does not exist yet. Every row also carries
`tx__last`, the transaction that wrote it last, by which a writer whose answer was lost knows its own work.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from asyncservice.storage import azure_rows
from asyncservice.storage.tables import MAX_TEXT, Comparison, Insert, Row, Value

#: The transaction that is changing the row.
CHANGING: Final = "tx__id"
#: The transaction that wrote the row last.
LAST: Final = "tx__last"
_NEXT: Final = "tx__next"
_OWN: Final = (CHANGING, _NEXT)
#: A test that every row meets which some transaction is changing.
IS_CHANGING: Final = Comparison(CHANGING, "ge", "0")


@dataclass(frozen=True, slots=True)
class Pending:
    """What a transaction would make of a row."""

    transaction: UUID
    #: The columns of the row; None removes it.
    after: Mapping[str, Value] | None
    #: Rows that are written with it, in the same partition.
    beside: Sequence[Insert] = ()


def changing(values: Mapping[str, Value]) -> UUID | None:
    """Return the transaction that is changing the row, if any."""
    found = values.get(CHANGING)
    return None if found is None else UUID(str(found))


def is_partial(row: Row) -> bool:
    """Whether the row was read without what a transaction would make of it."""
    return CHANGING in row.values and f"{_NEXT}__1" not in row.values


def pending_of(row: Row) -> Pending | None:
    """Return what a transaction would make of the row, or None where none is changing it."""
    transaction = changing(row.values)
    if transaction is None:
        return None
    said = json.loads("".join(from_parts(_NEXT, row.values)))
    after = said["after"]
    return Pending(
        transaction,
        None if after is None else _decoded(after).values,
        tuple(Insert(each.key, each.values) for each in (_decoded(one) for one in said["beside"])),
    )


def with_pending(present: Mapping[str, Value], pending: Pending) -> dict[str, Value]:
    """Return the columns of a row that keeps its present state and carries the pending one."""
    said = {
        "after": None if pending.after is None else _encoded("", pending.after),
        "beside": [_encoded(insert.key, insert.values) for insert in pending.beside],
    }
    return {
        **present,
        CHANGING: str(pending.transaction),
        **in_parts(_NEXT, json.dumps(said, ensure_ascii=False, separators=(",", ":"))),
    }


def present_of(row: Row) -> dict[str, Value] | None:
    """Return the columns of the row without what is pending, or None where only that is there."""
    present = {name: value for name, value in row.values.items() if not name.startswith(_OWN)}
    return present or None


def in_parts(column: str, text: str) -> dict[str, Value]:
    """Return the columns that keep a text of any length: column__1, column__2 and so on."""
    # Half the limit in characters fits in any case: a character takes at most two UTF-16 code units.
    length = MAX_TEXT // 2
    return {
        f"{column}__{number}": text[start : start + length]
        for number, start in enumerate(range(0, len(text), length), start=1)
    }


def from_parts(column: str, values: Mapping[str, Value]) -> Iterator[str]:
    """Yield the parts of such a text."""
    number = 1
    while (part := values.get(f"{column}__{number}")) is not None:
        yield str(part)
        number += 1


def _encoded(key: str, values: Mapping[str, Value]) -> object:
    return json.loads(azure_rows.encode("", key, values))


def _decoded(said: Mapping[str, Any]) -> Row:
    # What is pending has no version of its own.
    return azure_rows.decode(said, etag="pending")
