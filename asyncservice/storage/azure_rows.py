"""Rows as Table Storage writes them: OData's JSON with an Edm type beside each value that JSON cannot tell.

Every number is Edm.Int64 or Edm.Double whatever it holds, so that a column keeps one type.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from asyncservice.storage.tables import Comparison, Either, Row, Test, Value

_TYPE: Final = "@odata.type"
_METADATA: Final = "odata."
_PLACED: Final = frozenset({"PartitionKey", "RowKey", "Timestamp", "Timestamp@odata.type"})

_EMPTY: Final = {"or": "eq", "and": "ne"}


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _read_instant(text: str) -> datetime:
    # The service answers with up to seven digits of a second; Python reads six.
    head, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{fraction[:6] or '0'}+00:00")


_DECODE: Final[Mapping[str, Callable[[Any], Value]]] = {
    "Edm.Int64": int,
    "Edm.Int32": int,
    "Edm.Double": float,  # NaN and infinities come as text.
    "Edm.DateTime": _read_instant,
    "Edm.Guid": UUID,
    "Edm.Binary": b64decode,
    "Edm.Boolean": bool,
    "Edm.String": str,
}


def encode(partition: str, key: str, values: Mapping[str, Value]) -> str:
    """Return the JSON that writes a row."""
    entity: dict[str, str | bool | float] = {"PartitionKey": partition, "RowKey": key}
    for name, value in values.items():
        match value:
            case bool() | str():
                entity[name] = value
            case int():
                entity[name], entity[name + _TYPE] = str(value), "Edm.Int64"
            case float():
                entity[name], entity[name + _TYPE] = value, "Edm.Double"
            case datetime():
                entity[name], entity[name + _TYPE] = _instant(value), "Edm.DateTime"
            case UUID():
                entity[name], entity[name + _TYPE] = str(value), "Edm.Guid"
            case bytes():
                entity[name], entity[name + _TYPE] = b64encode(value).decode(), "Edm.Binary"
    return json.dumps(entity, ensure_ascii=False, separators=(",", ":"))


def decode(entity: Mapping[str, Any], etag: str | None = None) -> Row:
    """Return the row that the service's JSON describes; *etag* where the entity does not carry its own."""
    values: dict[str, Value] = {}
    for name, value in entity.items():
        if name in _PLACED or name.startswith(_METADATA) or name.endswith(_TYPE) or value is None:
            continue
        kind = entity.get(name + _TYPE)
        values[name] = value if kind is None else _DECODE[kind](value)
    return Row(entity["PartitionKey"], entity["RowKey"], values, etag or entity["odata.etag"])


def address(table: str, partition: str, key: str) -> str:
    """Return the path of a row below the account, percent-encoded."""
    return f"/{table}(PartitionKey='{_quoted(partition)}',RowKey='{_quoted(key)}')"


def condition(test: Test) -> str:
    """Return *test* as it stands in a $filter."""
    if isinstance(test, Comparison):
        return f"{test.column} {test.operator} {literal(test.value)}"
    word = "or" if isinstance(test, Either) else "and"
    # No row has an empty key: that is how the service is told "never" and "always".
    return f"({f' {word} '.join(map(_in_brackets, test.members))})" if test.members else f"(RowKey {_EMPTY[word]} '')"


def literal(value: Value) -> str:
    """Return *value* as it stands in a $filter."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case int():
            return f"{value}L"
        case float():
            return repr(value)
        case datetime():
            return f"datetime'{_instant(value)}'"
        case UUID():
            return f"guid'{value}'"
        case bytes():
            return f"X'{value.hex()}'"


def _in_brackets(member: Test) -> str:
    return f"({condition(member)})" if isinstance(member, Comparison) else condition(member)


def _quoted(text: str) -> str:
    return quote(text.replace("'", "''"), safe="")
