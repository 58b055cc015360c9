"""Values as people read them: labels of choices, names of records, amounts, numbers and dates in the form of en-US.

What the annotation `OData.Community.Display.V1.FormattedValue` says (reference web-api-wire, section 15).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.values import RecordValue, Reference

_NOON: Final = 12
#: Decimals of what has none said.
_PLACES: Final = 2
_UTC: Final = ZoneInfo("UTC")


def formatted(
    column: Attribute, value: RecordValue, names: Mapping[Reference, str], *, zone: ZoneInfo = _UTC, symbol: str = "$"
) -> str | None:
    """Return what a person reads in place of a value; None where they read the value itself."""
    if isinstance(value, Reference):
        return names.get(value)
    if column.type in {AttributeType.STRING, AttributeType.MEMO, AttributeType.UNIQUEIDENTIFIER}:
        return None
    if isinstance(value, datetime):
        return moment(value, zone)
    if isinstance(value, date):
        return day(value)
    if isinstance(value, bool):
        return column.label_of(int(value)) or ("Yes" if value else "No")
    if column.type is AttributeType.MULTISELECT:
        labels = (column.label_of(int(each)) or each for each in str(value).split(",") if each.strip().isdigit())
        return "; ".join(labels)
    if column.type.is_choice and isinstance(value, int):
        return column.label_of(value)
    return _NUMBERS.get(column.type, _whole)(column, value, symbol) if not isinstance(value, str) else None


def moment(value: datetime, zone: ZoneInfo) -> str:
    """Return a moment as `3/1/2026 9:30 AM`, in the zone."""
    try:
        local = value.astimezone(zone)
    except OverflowError:
        local = value.astimezone(UTC)
    hour = local.hour % _NOON or _NOON
    return f"{day(local)} {hour}:{local.minute:02d} {'AM' if local.hour < _NOON else 'PM'}"


def day(value: date) -> str:
    """Return a day as `3/1/2026`."""
    return f"{value.month}/{value.day}/{value.year}"


def _whole(_column: Attribute, value: RecordValue, _symbol: str) -> str | None:
    return f"{value:,d}" if isinstance(value, int) else None


def _fraction(column: Attribute, value: RecordValue, _symbol: str) -> str | None:
    if not isinstance(value, int | float | Decimal):
        return None
    return f"{value:,.{_PLACES if column.precision is None else column.precision}f}"


def _amount(_column: Attribute, value: RecordValue, symbol: str) -> str | None:
    if not isinstance(value, int | float | Decimal):
        return None
    text = f"{symbol}{abs(value):,.{_PLACES}f}"
    return f"({text})" if value < 0 else text


_NUMBERS: Final[Mapping[AttributeType, Callable[[Attribute, RecordValue, str], str | None]]] = {
    AttributeType.DECIMAL: _fraction,
    AttributeType.DOUBLE: _fraction,
    AttributeType.MONEY: _amount,
}
