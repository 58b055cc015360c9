"""What a condition's value is, once the text or JSON that a client sent is taken as the column's type.

Clients send numbers as text and the other way round, whatever type they name beside it; what the column can compare
with is all that counts. A date without a time stays a date, so that whoever compares it decides where its day begins.
Nothing is held against the column's limits: a value that no row can have is a good question with an empty answer.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.values import RecordValue, Reference

type Raw = str | int | float | bool | Decimal | datetime | date | UUID | Reference
"""A value as a client wrote it."""

#: Operators whose value counts hours, days, years and so on.
COUNTS: Final = frozenset(operator for operator in Operator if "_X_" in operator.name)
#: Operators whose values number fiscal periods and years.
FISCAL: Final = frozenset(
    operator for operator in Operator if operator.name.startswith("IN_") and operator.value > Operator.IN.value
)
#: Operators whose value is a piece of text or a pattern.
TEXTUAL: Final = frozenset(
    {
        *(Operator.LIKE, Operator.NOT_LIKE, Operator.CONTAINS, Operator.DOES_NOT_CONTAIN, Operator.BEGINS_WITH),
        *(Operator.DOES_NOT_BEGIN_WITH, Operator.ENDS_WITH, Operator.DOES_NOT_END_WITH),
    }
)
#: Operators whose value is the id of a row in a hierarchy.
HIERARCHICAL: Final = frozenset(
    {Operator.UNDER, Operator.NOT_UNDER, Operator.UNDER_OR_EQUAL, Operator.ABOVE, Operator.ABOVE_OR_EQUAL}
)
#: Operators whose values are options of a column that holds several.
CHOOSING: Final = frozenset({Operator.CONTAIN_VALUES, Operator.DOES_NOT_CONTAIN_VALUES})

#: More characters than this are no number.
_LONGEST_NUMBER: Final = 64
#: System.Decimal ends here; beyond it arithmetic would take as long as the number is big.
_GREATEST: Final = Decimal(10) ** 29
_GREATEST_COUNT: Final = 2**31 - 1
_SHOWN: Final = 100
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_FLAGS: Final[Mapping[str, bool]] = {"1": True, "0": False, "true": True, "false": False}


def operand(attribute: Attribute, operator: Operator, raw: Raw) -> RecordValue:
    """Return what *operator* compares the column with. Raises QueryError when *raw* is nothing of that kind."""
    if operator in COUNTS:
        return _count(attribute, operator, raw)
    if operator in FISCAL:
        return _whole(attribute, raw)
    if operator in TEXTUAL:
        return plain(raw)
    if operator in HIERARCHICAL:
        return _guid(attribute, raw)
    if operator in CHOOSING:
        return _whole(attribute, raw)
    return comparable(attribute, raw)


def comparable(attribute: Attribute, raw: Raw) -> RecordValue:
    """Return *raw* as a value that the column's own can be compared with. Raises QueryError."""
    return _KINDS[attribute.type](attribute, raw)


def plain(raw: Raw) -> str:
    """Return the text that stands for a value."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, Reference):
        return str(raw.id)
    return raw.isoformat() if isinstance(raw, date) else str(raw)


def refused(attribute: Attribute, raw: object, wanted: str) -> QueryError:
    """Return the error for a value that is not what the column is compared with."""
    shown = str(raw) if len(str(raw)) <= _SHOWN else f"{str(raw)[:_SHOWN]}…"
    return QueryError(
        f"The column '{attribute.name}' is of type {attribute.type} and is compared with {wanted}, not with '{shown}'.",
        OrganizationErrorCode.QUERY_VALUE_INVALID,
    )


def _text(_attribute: Attribute, raw: Raw) -> str:
    return plain(raw)


def _whole(attribute: Attribute, raw: Raw) -> int:
    if isinstance(raw, bool):
        raise refused(attribute, plain(raw), "a whole number")
    if isinstance(raw, int):
        return int(raw)
    text = plain(raw).strip()
    if _WHOLE.fullmatch(text) and len(text) <= _LONGEST_NUMBER:
        return int(text)
    number = _number(attribute, raw, "a whole number")
    if number != number.to_integral_value():
        raise refused(attribute, raw, "a whole number")
    return int(number)


def _count(attribute: Attribute, operator: Operator, raw: Raw) -> int:
    number = _whole(attribute, raw)
    if number <= 0:
        raise QueryError(
            f"The operator '{operator.sdk_name}' on '{attribute.name}' takes a number greater than zero, not {number}.",
            OrganizationErrorCode.VALUE_NOT_GREATER_THAN_ZERO,
        )
    if number > _GREATEST_COUNT:
        raise refused(attribute, raw, f"a number up to {_GREATEST_COUNT}")
    return number


def _number(attribute: Attribute, raw: Raw, wanted: str) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise refused(attribute, plain(raw), wanted)
    text = str(raw).strip()
    try:
        number = Decimal(text) if text.isascii() and len(text) <= _LONGEST_NUMBER else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number) >= _GREATEST:
        raise refused(attribute, raw, wanted)
    return number


def _decimal(attribute: Attribute, raw: Raw) -> Decimal:
    return _number(attribute, raw, "a number")


def _double(attribute: Attribute, raw: Raw) -> float:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        raise refused(attribute, plain(raw), "a number")
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        raise refused(attribute, raw, "a number") from None
    if not math.isfinite(number):
        raise refused(attribute, raw, "a number")
    return number


def _flag(attribute: Attribute, raw: Raw) -> bool:
    if isinstance(raw, bool):
        return raw
    found = _FLAGS.get(plain(raw).strip().lower())
    if found is None:
        raise refused(attribute, raw, "true or false (1 or 0)")
    return found


def _moment(attribute: Attribute, raw: Raw) -> datetime | date:
    value: datetime | date
    if isinstance(raw, date):
        value = raw
    else:
        text = plain(raw).strip()
        try:
            value = date.fromisoformat(text)
        except ValueError:
            try:
                value = datetime.fromisoformat(text)
            except ValueError:
                raise refused(attribute, raw, "a date such as 2025-01-31 or 2025-01-31T08:00:00Z") from None
    if not isinstance(value, datetime):
        return value
    if attribute.is_date_only:
        return value.date()
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise refused(attribute, raw, "a date of the years 1 to 9999") from None


def _guid(attribute: Attribute, raw: Raw) -> UUID:
    if isinstance(raw, UUID):
        return raw
    try:
        return UUID(plain(raw).strip())
    except ValueError:
        raise refused(attribute, raw, "a GUID") from None


def _options(attribute: Attribute, raw: Raw) -> str:
    """Return the options of a multi-select choice as such a column keeps them: in order, with commas."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(int(raw))
    numbers = {_whole(attribute, piece) for piece in plain(raw).split(",") if piece.strip()}
    return ",".join(map(str, sorted(numbers)))


_KINDS: Final[Mapping[AttributeType, Callable[[Attribute, Raw], RecordValue]]] = {
    AttributeType.STRING: _text,
    AttributeType.MEMO: _text,
    AttributeType.ENTITY_NAME: _text,
    AttributeType.VIRTUAL: _text,
    AttributeType.INTEGER: _whole,
    AttributeType.BIGINT: _whole,
    AttributeType.PICKLIST: _whole,
    AttributeType.STATE: _whole,
    AttributeType.STATUS: _whole,
    AttributeType.MULTISELECT: _options,
    AttributeType.DECIMAL: _decimal,
    AttributeType.MONEY: _decimal,
    AttributeType.DOUBLE: _double,
    AttributeType.BOOLEAN: _flag,
    AttributeType.DATETIME: _moment,
    AttributeType.LOOKUP: _guid,
    AttributeType.CUSTOMER: _guid,
    AttributeType.OWNER: _guid,
    AttributeType.UNIQUEIDENTIFIER: _guid,
    AttributeType.FILE: _guid,
}
