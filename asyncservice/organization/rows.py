"""Records as rows of a table and back, so that what compares in a record compares the same in the storage.

Lookups take two columns (the id, and the entity's name), numbers with exact decimals become text that sorts as the
numbers do, days become ISO text. Text over the storage's limit goes on in further columns.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from asyncservice.organization.pending import LAST
from asyncservice.organization.query.text import fold
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import RecordValue, Reference, rounded, utf16_length
from asyncservice.storage.tables import MAX_TEXT, Comparison, Either, Row, Test, Value

#: Keys of records start so; the rows of an outbox and those of alternate keys take other prefixes.
RECORD_PREFIX: Final = "r-"
#: The primary name without regard to capitals and accents, since the storage compares every letter as it is.
FOLDED_NAME: Final = "name__folded"
#: The column beside a lookup's id that says what kind of record it is.
_KIND: Final = "__kind"
#: What further columns of one long text are called: description__2, description__3, …
_PART: Final = "__"
#: Digits before and behind the point in sortable decimals; enough for Money and for Decimal.
_WHOLE, _FRACTION = 15, 10
_COMPLEMENT: Final = str.maketrans("0123456789", "9876543210")


def record_key(record_id: UUID) -> str:
    """Return the key of the record's row."""
    return f"{RECORD_PREFIX}{record_id}"


def id_of(row: Row) -> UUID:
    """Return the id of the record that the row keeps."""
    return UUID(row.key.removeprefix(RECORD_PREFIX))


def to_row(entity: Entity, values: Mapping[str, RecordValue]) -> dict[str, Value]:
    """Return the columns that keep *values*."""
    row: dict[str, Value] = {}
    name = values.get(entity.primary_name or "")
    if isinstance(name, str):
        row[FOLDED_NAME] = folded_name(name)
    for column, value in values.items():
        if isinstance(value, str) and utf16_length(value) > MAX_TEXT:
            for number, part in enumerate(_parts(value), start=1):
                row[column if number == 1 else f"{column}{_PART}{number}"] = part
            continue
        row[column] = comparable(value)
        if isinstance(value, Reference):
            row[column + _KIND] = value.entity
    return row


def folded_name(name: str) -> str:
    """Return what stands in FOLDED_NAME for a name."""
    return fold(name)[: MAX_TEXT // 4]


def named(name: str) -> Test:
    """Return the test that rows of that primary name meet, however it is written."""
    folded, before = folded_name(name), name[: MAX_TEXT // 4].casefold()
    now = Comparison(FOLDED_NAME, "eq", folded)
    # Rows that were written before accents were folded keep them until they are written again.
    return now if folded == before else Either((now, Comparison(FOLDED_NAME, "eq", before)))


def unknown_columns(entity: Entity, row: Mapping[str, Value]) -> dict[str, Value]:
    """Return the columns that the entity does not have: of a newer schema than this process knows, or removed ones.

    Whoever writes the row keeps them, since they are somebody's values.
    """
    own = (FOLDED_NAME, LAST)
    return {
        name: value
        for name, value in row.items()
        if name not in entity.attributes and name.rpartition(_PART)[0] not in entity.attributes and name not in own
    }


def from_row(entity: Entity, row: Mapping[str, Value]) -> dict[str, RecordValue]:
    """Return the values that the columns keep. Columns that the schema no longer knows are left out."""
    values: dict[str, RecordValue] = {}
    for name, kept in row.items():
        attribute = entity.attributes.get(name)
        if attribute is not None:
            values[name] = _restored(attribute, kept, row)
    return values


def comparable(value: RecordValue) -> Value:
    """Return what stands in the row for a value; a query's right-hand sides pass through here too."""
    match value:
        case Reference():
            return value.id
        case Decimal():
            return sortable(value)
        case datetime():
            return value
        case date():
            return value.isoformat()
        case _:
            return value


def sortable(number: Decimal) -> str:
    """Return a text that sorts as the number does: p for positive, n and nines' complement for negative."""
    digits = f"{abs(number):0{_WHOLE + 1 + _FRACTION}.{_FRACTION}f}"
    return f"p{digits}" if number >= 0 else f"n{digits.translate(_COMPLEMENT)}"


def exact_in_storage(number: Decimal) -> bool:
    """Whether a number fits the sortable text to the last digit, so that it compares as itself."""
    return number.is_finite() and abs(number) < 10**_WHOLE and number == round(number, _FRACTION)


def from_sortable(text: str) -> Decimal:
    """Return the number of a sortable text."""
    return Decimal(text[1:]) if text[0] == "p" else -Decimal(text[1:].translate(_COMPLEMENT))


def columns_of(entity: Entity, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the storage columns that must be read to know the columns *names*."""
    columns: list[str] = []
    for name in names:
        attribute = entity.attribute(name)
        columns.append(name)
        if attribute.type.is_lookup:
            columns.append(name + _KIND)
        elif attribute.max_length is not None and attribute.max_length > MAX_TEXT and attribute.container is None:
            most = min(attribute.max_length, _MOST_TEXT) // MAX_TEXT + 1
            columns.extend(f"{name}{_PART}{number}" for number in range(2, most + 1))
    return tuple(columns)


#: What one row could hold at all, in characters.
_MOST_TEXT: Final = 512 * 1024


def _restored(attribute: Attribute, kept: Value, row: Mapping[str, Value]) -> RecordValue:
    if attribute.type.is_lookup and isinstance(kept, UUID):
        return Reference(str(row.get(attribute.name + _KIND, attribute.targets[0])), kept)
    if attribute.type in {AttributeType.DECIMAL, AttributeType.MONEY} and isinstance(kept, str):
        return rounded(attribute, from_sortable(kept))
    if attribute.is_date_only and isinstance(kept, str):
        return date.fromisoformat(kept)
    if isinstance(kept, str) and f"{attribute.name}{_PART}2" in row:
        return "".join(_further(attribute.name, kept, row))
    if isinstance(kept, bytes):
        raise TypeError(f"Column {attribute.name} holds bytes, which no attribute type keeps.")
    return kept


def _further(name: str, first: str, row: Mapping[str, Value]) -> Iterator[str]:
    yield first
    number = 2
    while (part := row.get(f"{name}{_PART}{number}")) is not None:
        yield str(part)
        number += 1


def _parts(text: str) -> Iterator[str]:
    """Cut a text so that each part fits a column, whatever its characters."""
    # Half the limit in characters fits in any case: a character takes at most two UTF-16 code units.
    length = MAX_TEXT if text.isascii() else MAX_TEXT // 2
    for start in range(0, len(text), length):
        yield text[start : start + length]
