"""What a client gave for a parameter, checked against its declared type and made the Python value of it.

Given are values of JSON, or what `literals` makes of an address; both know text, numbers, words, lists and objects.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final
from uuid import UUID

from asyncservice.organization.errors import NoSuchEntity
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.values import Reference
from asyncservice.webapi.batchurls import relative
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.messages.types import (
    NAMESPACE,
    CollectionType,
    ComplexType,
    EntityType,
    EnumType,
    Int64,
    Member,
    Primitive,
    Row,
    Type,
)
from asyncservice.webapi.urls import read_path

#: How deep objects may lie in each other.
MAX_DEPTH: Final = 64
#: How much of a value is repeated in a refusal.
_SHOWN: Final = 80
_INT32: Final = 2**31
_INT64: Final = 2**63


class Reader:
    """Reads values; *references* are what `$<content id>` stands for inside a change set."""

    def __init__(self, catalog: Catalog, references: Mapping[str, str] | None = None) -> None:
        self._catalog = catalog
        self._references = references or {}

    def members(self, what: str, members: Sequence[Member], given: Mapping[str, object]) -> dict[str, Any]:
        """Return a value for each member, by name; None for one that may be missing and is.

        *what* names the message or type in refusals. Members that begin with `@` or hold one are annotations and are
        left out. Raises ApiError: for what is missing, for what is not declared, for a value of another type.
        """
        known = {each.name for each in members}
        for name in given:
            if name not in known and "@" not in name:
                raise ApiError(
                    f"The parameter '{name}' is not a valid parameter of '{what}'. It has: "
                    f"{', '.join(sorted(known)) or 'none'}.",
                    code=Code.PAYLOAD,
                )
        return {each.name: self._member(what, each, given.get(each.name), 0) for each in members}

    def _member(self, what: str, member: Member, value: object, depth: int) -> Any:  # noqa: ANN401 - as declared
        if value is not None:
            return self._value(f"{what}.{member.name}", member.type, value, depth)
        if member.is_required:
            raise ApiError(
                f"Required field '{member.name}' of '{what}' is missing; give it a value of type {member.type.edm}.",
                code=Code.INVALID_ARGUMENT,
            )
        return None

    def _value(self, where: str, declared: Type, value: object, depth: int) -> Any:  # noqa: ANN401 - as declared
        if depth > MAX_DEPTH:
            raise ApiError(f"{where} is nested more than {MAX_DEPTH} deep.", code=Code.PAYLOAD)
        match declared:
            case Primitive():
                return _PRIMITIVES[declared.python](where, value)
            case EnumType():
                return _enumerated(where, declared, value)
            case CollectionType():
                if not isinstance(value, list):
                    raise _refused(where, declared, value)
                return tuple(
                    self._value(f"{where}[{index}]", declared.item, each, depth + 1) for index, each in enumerate(value)
                )
            case EntityType():
                if not isinstance(value, dict):
                    raise _refused(where, declared, value)
                return Row(value) if declared.is_row else self.reference(where, declared.name, value)
            case ComplexType():
                return self._complex(where, declared, value, depth)

    def _complex(self, where: str, declared: ComplexType, value: object, depth: int) -> Any:  # noqa: ANN401 - as declared
        if not isinstance(value, dict):
            raise _refused(where, declared, value)
        if declared.is_raw:
            return value
        known = {each.name for each in declared.members}
        unknown = next((name for name in value if name not in known and "@" not in name), None)
        if unknown is not None and not declared.is_open:
            raise ApiError(
                f"The property '{unknown}' does not exist on type '{declared.edm}' ({where}).", code=Code.PAYLOAD
            )
        return declared.python(
            **{each.field: self._member(where, each, value.get(each.name), depth + 1) for each in declared.members}
        )

    def reference(self, where: str, entity: str | None, value: Mapping[str, object]) -> Reference:
        """Return which row an object names: by `@odata.id`, or by primary key and `@odata.type`. Raises ApiError."""
        url = value.get("@odata.id")
        if isinstance(url, str):
            return self._fitting(where, entity, self._by_url(where, url))
        named = type_name(value)
        if named is None:
            named = entity
        elif entity is not None and named != entity:
            raise ApiError(f"{where} is of type {entity}, not {named}.", code=Code.PAYLOAD)
        if named is None:
            raise ApiError(
                f'{where} does not say which table it is of; add "@odata.type": "{NAMESPACE}.<table>".',
                code=Code.PAYLOAD,
            )
        try:
            key = self._catalog.entity(named).primary_id
        except NoSuchEntity as error:
            raise ApiError(f"{where}: {error}", code=Code.INVALID_ARGUMENT) from error
        if value.get(key) is None:
            raise ApiError(f"{where} has no '{key}', so it names no row.", code=Code.INVALID_ARGUMENT)
        return Reference(named, _guid(f"{where}.{key}", value[key]))

    def _by_url(self, where: str, url: str) -> Reference:
        path, _ = relative(url, self._references)
        segments = read_path(path, self._references)
        key = segments[0].single if len(segments) == 1 else None
        if key is None:
            raise ApiError(f"{where} names no row by its id: '{url[:_SHOWN]}'; write <set>(<id>).", code=Code.PAYLOAD)
        try:
            entity = self._catalog.by_set(segments[0].name)
        except NoSuchEntity as error:
            raise ApiError(f"{where}: {error}", code=Code.INVALID_ARGUMENT) from error
        return Reference(entity.name, _guid(where, key))

    @staticmethod
    def _fitting(where: str, entity: str | None, reference: Reference) -> Reference:
        if entity is not None and reference.entity != entity:
            raise ApiError(f"{where} is of type {entity}, not {reference.entity}.", code=Code.PAYLOAD)
        return reference


def type_name(value: Mapping[str, object]) -> str | None:
    """Return the entity that `@odata.type` names, with or without a `#`; None where it says nothing."""
    named = value.get("@odata.type")
    if not isinstance(named, str):
        return None
    return named.removeprefix("#").removeprefix(f"{NAMESPACE}.").removeprefix("mscrm.")


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise _mistyped(where, "text", value)
    return value


def _boolean(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _mistyped(where, "true or false", value)
    return value


def _whole(bound: int) -> Callable[[str, object], int]:
    def read(where: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not -bound <= value < bound:
            raise _mistyped(where, f"a whole number from {-bound} to {bound - 1}", value)
        return value

    return read


def _double(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _mistyped(where, "a number", value)
    try:
        return float(value)
    except OverflowError:
        raise _mistyped(where, "a number of that size", value) from None


def _decimal(where: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _mistyped(where, "a number", value)
    return Decimal(str(value))


def _guid(where: str, value: object) -> UUID:
    try:
        return UUID(_text(where, value).strip())
    except ValueError:
        raise _mistyped(where, "a GUID", value) from None


def _moment(where: str, value: object) -> datetime:
    try:
        read = datetime.fromisoformat(_text(where, value))
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _mistyped(where, "a date and time such as 2026-03-01T09:30:00Z", value) from None


def _day(where: str, value: object) -> date:
    try:
        return date.fromisoformat(_text(where, value))
    except ValueError:
        raise _mistyped(where, "a date such as 2026-03-01", value) from None


def _binary(where: str, value: object) -> bytes:
    text = _text(where, value)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _mistyped(where, "base64 text", value) from None


def _enumerated(where: str, declared: EnumType, value: object) -> IntEnum:
    members = declared.python.__members__
    if isinstance(value, str) and value in members:
        return members[value]
    if isinstance(value, int) and not isinstance(value, bool):
        by_number = {each.value: each for each in members.values()}
        if value in by_number:
            return by_number[value]
    raise _mistyped(where, f"one of {', '.join(members)}", value)


def _refused(where: str, declared: Type, value: object) -> ApiError:
    wanted = "an array" if isinstance(declared, CollectionType) else "an object"
    return _mistyped(where, f"{wanted} ({declared.edm})", value)


def _mistyped(where: str, wanted: str, value: object) -> ApiError:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return ApiError(f"{where} takes {wanted}, not {shown}.", code=Code.PAYLOAD)


_PRIMITIVES: Final[Mapping[object, Callable[[str, object], Any]]] = {
    str: _text,
    bool: _boolean,
    int: _whole(_INT32),
    Int64: _whole(_INT64),
    float: _double,
    Decimal: _decimal,
    UUID: _guid,
    datetime: _moment,
    date: _day,
    bytes: _binary,
}
