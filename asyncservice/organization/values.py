"""What a column's value may be, as plain functions: each takes what a caller sent and returns what a record keeps.

| type                     | kept as              | also accepted                          |
| ------------------------ | -------------------- | -------------------------------------- |
| String, Memo             | str                  |                                        |
| Integer, BigInt, choices | int                  |                                        |
| Decimal, Money           | Decimal              | int, float, decimal text               |
| Double                   | float                | int, Decimal                           |
| Boolean                  | bool                 |                                        |
| DateTime                 | datetime in UTC      | RFC 3339 text                          |
| DateTime, DateOnly       | date                 | ISO text                               |
| lookups                  | Reference            | {"entity": name, "id": id}, an id      |
| Uniqueidentifier, File   | UUID                 | text                                   |
| EntityName, Virtual      | str                  |                                        |
| MultiSelectPicklist      | str: "1,3", sorted   | a list of numbers; "3, 1"              |

None clears a column whatever its type; so does an empty string, as in Dataverse.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.schema.attributes import Attribute, AttributeType


@dataclass(frozen=True, slots=True)
class Reference:
    """A record, by kind and id."""

    entity: str
    id: UUID


type RecordValue = str | int | float | bool | Decimal | datetime | date | UUID | Reference
"""What a record keeps in a column."""

#: Dates before this one are refused, as SQL Server's datetime refuses them.
EARLIEST: Final = datetime(1753, 1, 1, tzinfo=UTC)

#: How much of a refused value a message repeats.
_SHOWN: Final = 100
_INT32: Final = (-(2**31), 2**31 - 1)
_INT64: Final = (-(2**63), 2**63 - 1)
#: What a Decimal or Money column holds when its definition names no limits.
_WIDEST: Final[Mapping[AttributeType, int]] = {
    AttributeType.DECIMAL: 100_000_000_000,
    AttributeType.MONEY: 922_337_203_685_477,
    AttributeType.DOUBLE: 100_000_000_000,
}
_PLACES: Final[Mapping[AttributeType, int]] = {AttributeType.DECIMAL: 10, AttributeType.MONEY: 4}
_EXACT: Final = Context(prec=60)


def coerce(attribute: Attribute, value: object) -> RecordValue | None:
    """Return *value* as the column keeps it. Raises ValueRefused, which says what the column would take."""
    if value is None or value == "":
        return None
    return _COERCIONS[attribute.type](attribute, value)


def _text(attribute: Attribute, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong_type(attribute, value, "text")
    limit = attribute.max_length
    try:
        # Counted in UTF-16 code units, as SQL Server counts nvarchar.
        length = utf16_length(value)
    except UnicodeEncodeError:
        raise _wrong_type(attribute, value, "text without half surrogate pairs") from None
    if limit is not None and length > limit:
        raise ValueRefused(
            f"The length of the '{attribute.name}' attribute exceeded the maximum allowed length of '{limit}': "
            f"it has {length} characters.",
            column=attribute.name,
            code=OrganizationErrorCode.STRING_TOO_LONG,
            value=value,
        )
    return value


def utf16_length(text: str) -> int:
    """Return how many UTF-16 code units a text takes."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _integer(attribute: Attribute, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(attribute, value, "a whole number")
    widest = _INT64 if attribute.type is AttributeType.BIGINT else _INT32
    low = widest[0] if attribute.min_value is None else attribute.min_value
    high = widest[1] if attribute.max_value is None else attribute.max_value
    if not low <= value <= high:
        raise _out_of_range(attribute, value, low, high, OrganizationErrorCode.INTEGER_OUT_OF_RANGE)
    # An enum of ours becomes the number it stands for.
    return int(value)


def _choice(attribute: Attribute, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(attribute, value, "the number of an option")
    if value not in attribute.option_values:
        raise ValueRefused(
            f"The value {value} of '{attribute.name}' is outside the valid range. "
            f"Accepted Values: {','.join(str(option.value) for option in attribute.options)}",
            column=attribute.name,
            code=OrganizationErrorCode.OPTION_OUT_OF_RANGE,
            value=value,
        )
    return int(value)


def _choices(attribute: Attribute, value: object) -> str | None:
    if isinstance(value, str):
        try:
            value = [int(part) for part in value.split(",")]
        except ValueError:
            raise _wrong_type(attribute, value, "numbers of options with commas between them") from None
    elif isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple | set | frozenset):
        raise _wrong_type(attribute, value, "the numbers of options")
    return ",".join(str(number) for number in sorted({_choice(attribute, one) for one in value})) or None


def _decimal(attribute: Attribute, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise _wrong_type(attribute, value, "a number")
    try:
        number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise _wrong_type(attribute, value, "a number") from None
    if not number.is_finite():
        raise _wrong_type(attribute, value, "a number")
    low, high = _limits(attribute)
    # The range is looked at first: rounding a number of astronomical size would take as long as it is big.
    if low <= number <= high:
        return rounded(attribute, number)
    raise _out_of_range(attribute, number, low, high, OrganizationErrorCode.NUMBER_OUT_OF_RANGE)


def rounded(attribute: Attribute, number: Decimal) -> Decimal:
    """Return the number with as many decimals as the column has."""
    places = _PLACES[attribute.type] if attribute.precision is None else attribute.precision
    return number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP, context=_EXACT)


def _double(attribute: Attribute, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _wrong_type(attribute, value, "a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong_type(attribute, value, "a number")
    low, high = _limits(attribute)
    if not low <= value <= high:
        raise _out_of_range(attribute, value, low, high, OrganizationErrorCode.NUMBER_OUT_OF_RANGE)
    number = float(value)
    return number if attribute.precision is None else round(number, attribute.precision)


def _boolean(attribute: Attribute, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(attribute, value, "true or false")
    return value


def _moment(attribute: Attribute, value: object) -> datetime | date:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _wrong_type(attribute, value, "a date such as 2025-01-31T08:00:00Z") from None
    if attribute.is_date_only:
        if isinstance(value, datetime):
            value = value.date()
        if not isinstance(value, date):
            raise _wrong_type(attribute, value, "a date such as 2025-01-31")
        if value < EARLIEST.date():
            raise _too_early(attribute, value)
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise _wrong_type(attribute, value, "a date such as 2025-01-31T08:00:00Z")
    try:
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise _too_early(attribute, value) from None
    if moment < EARLIEST:
        raise _too_early(attribute, value)
    return to_the_second(moment)


def to_the_second(moment: datetime) -> datetime:
    """Return the moment as records keep it: readers are shown whole seconds, and must find it by them."""
    return moment.replace(microsecond=0)


def _reference(attribute: Attribute, value: object) -> Reference:
    if isinstance(value, Mapping):
        value = Reference(str(value.get("entity")), _guid(attribute, value.get("id")))
    if not isinstance(value, Reference):
        # An id alone says enough where only one kind of record can be meant, and an owner is a user unless said.
        target = attribute.targets[0] if len(attribute.targets) == 1 or attribute.type is AttributeType.OWNER else None
        if target is None:
            raise _wrong_type(attribute, value, f"a record of {' or '.join(attribute.targets)}")
        value = Reference(target, _guid(attribute, value))
    if value.entity not in attribute.targets:
        raise _wrong_type(attribute, value.entity, f"a record of {' or '.join(attribute.targets)}")
    return value


def _guid(attribute: Attribute, value: object) -> UUID:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(str(value))
    except ValueError:
        raise _wrong_type(attribute, value, "a GUID") from None


def _limits(attribute: Attribute) -> tuple[Decimal, Decimal]:
    widest = _WIDEST[attribute.type]
    low = -widest if attribute.min_value is None else attribute.min_value
    high = widest if attribute.max_value is None else attribute.max_value
    return Decimal(str(low)), Decimal(str(high))


def _wrong_type(attribute: Attribute, value: object, wanted: str) -> ValueRefused:
    shown = repr(value) if len(repr(value)) <= _SHOWN else f"{repr(value)[:_SHOWN]}…"
    return ValueRefused(
        f"The attribute '{attribute.name}' is of type {attribute.type} and takes {wanted}, not {shown}.",
        column=attribute.name,
        code=OrganizationErrorCode.INVALID_PROPERTY_VALUE,
        value=value,
    )


def _out_of_range(
    attribute: Attribute, value: object, low: object, high: object, code: OrganizationErrorCode
) -> ValueRefused:
    return ValueRefused(
        f"The value {value} of '{attribute.name}' is outside the valid range ({low} to {high}).",
        column=attribute.name,
        code=code,
        value=value,
    )


def _too_early(attribute: Attribute, value: object) -> ValueRefused:
    return ValueRefused(
        f"The date {value} of '{attribute.name}' is outside the range that is kept; the first is {EARLIEST.date()}.",
        column=attribute.name,
        code=OrganizationErrorCode.INVALID_ARGUMENT,
        value=value,
    )


_COERCIONS: Final[Mapping[AttributeType, Callable[[Attribute, Any], RecordValue | None]]] = {
    AttributeType.STRING: _text,
    AttributeType.MEMO: _text,
    AttributeType.INTEGER: _integer,
    AttributeType.BIGINT: _integer,
    AttributeType.DECIMAL: _decimal,
    AttributeType.MONEY: _decimal,
    AttributeType.DOUBLE: _double,
    AttributeType.BOOLEAN: _boolean,
    AttributeType.DATETIME: _moment,
    AttributeType.PICKLIST: _choice,
    AttributeType.STATE: _choice,
    AttributeType.STATUS: _choice,
    AttributeType.LOOKUP: _reference,
    AttributeType.CUSTOMER: _reference,
    AttributeType.OWNER: _reference,
    AttributeType.UNIQUEIDENTIFIER: _guid,
    AttributeType.FILE: _guid,
    AttributeType.MULTISELECT: _choices,
    AttributeType.ENTITY_NAME: _text,
    AttributeType.VIRTUAL: _text,
}
