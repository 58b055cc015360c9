"""Alternate keys: a row for each set of values that is taken, so that two records never have the same.

The row stands in the entity's table, in a partition that follows from the values. A record whose id nobody chose gets
one of that partition, so that both are written in one request. Values compare as queries compare them: without regard
to capitals and accents.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Final
from uuid import UUID

from asyncservice.organization.errors import NoSuchKey
from asyncservice.organization.ids import SHARDS
from asyncservice.organization.query.text import fold
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import AlternateKey
from asyncservice.organization.values import RecordValue, Reference, coerce
from asyncservice.storage.tables import Row, Value

#: Keys of these rows start so; records start with `changes.RECORD_PREFIX`.
KEY_PREFIX: Final = "k-"
_RECORD: Final = "recordid"


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the row of an alternate key's values stands."""

    entity: str
    key: AlternateKey
    partition: str
    row_key: str


def key_of(entity: Entity, columns: Mapping[str, object]) -> AlternateKey:
    """Return the alternate key of exactly these columns. Raises NoSuchKey."""
    for key in entity.keys:
        if set(key.attributes) == set(columns):
            return key
    raise NoSuchKey(entity.name, tuple(columns))


def coerced(entity: Entity, values: Mapping[str, object]) -> dict[str, RecordValue]:
    """Return the values as records keep them. Raises ValueRefused, NoSuchAttribute.

    A lookup may be a bare id: which table it refers to makes no difference to where the row stands.
    """
    found: dict[str, RecordValue | None] = {}
    for name, value in values.items():
        column = entity.attribute(name)
        is_bare = column.type.is_lookup and isinstance(value, UUID)
        found[name] = Reference(column.targets[0], value) if is_bare else coerce(column, value)  # type: ignore[arg-type]
    return {name: value for name, value in found.items() if value is not None}


def completed(values: Mapping[str, object], key: Mapping[str, object]) -> dict[str, object]:
    """Return what a new record is given: its values, and those of the key by which it was not found.

    A lookup to several tables that the key holds as a bare id is taken from the values, which say the table.
    """
    found = {**values, **key}
    for name, value in key.items():
        given = values.get(name)
        if isinstance(given, Reference) and given.id == value:
            found[name] = given
    return found


def place_of(entity: Entity, key: AlternateKey, values: Mapping[str, RecordValue]) -> KeyPlace | None:
    """Return where the row of these values stands, or None when one of them is missing: such a record has no key."""
    parts = [values.get(name) for name in key.attributes]
    if any(part is None for part in parts):
        return None
    text = json.dumps([_comparable(part) for part in parts])
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return KeyPlace(entity.name, key, SHARDS[int(digest[-1], 16)], f"{KEY_PREFIX}{key.logical_name}-{digest}")


def places_of(entity: Entity, values: Mapping[str, RecordValue]) -> Iterator[KeyPlace]:
    """Yield the places of every alternate key that the record has values for."""
    for key in entity.keys:
        if (place := place_of(entity, key, values)) is not None:
            yield place


def row_of(record_id: UUID) -> dict[str, Value]:
    """Return the columns of the row."""
    return {_RECORD: record_id}


def record_of(row: Row) -> UUID:
    """Return the record that has the values."""
    return UUID(str(row.values[_RECORD]))


def _comparable(value: RecordValue | None) -> str:
    match value:
        case str():
            return f"text {fold(value)}"
        case Reference():
            return f"id {value.id}"
        case bool():
            return f"bool {value}"
        case int() | float() | Decimal():
            return f"number {Decimal(str(value)).normalize():f}"
        case datetime():
            return f"moment {value.isoformat()}"
        case _:
            return str(value)
