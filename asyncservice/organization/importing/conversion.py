"""Texts of a file as values of a column, in the form that a chunk keeps. Plain functions.

What a text cannot mean at all is refused here; whether the value fits the column (length, range) is asked when the
record is made.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.schema.attributes import Attribute, AttributeType

_WHOLE: Final = re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)")
_NUMBER: Final = re.compile(r"[+-]?((\d+|\d{1,3}(,\d{3})+)(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_SIGNS_OF_MONEY: Final = "$€£¥ \N{NO-BREAK SPACE}"
_YES: Final = frozenset({"1", "true", "yes"})
_NO: Final = frozenset({"0", "false", "no"})
#: What a user's format may be made of, and the digits each part stands for.
_PARTS_OF_A_DATE: Final[Mapping[str, str]] = {
    "yyyy": r"(?P<year>\d{4})",
    "MM": r"(?P<month>\d{2})",
    "M": r"(?P<month>\d{1,2})",
    "dd": r"(?P<day>\d{2})",
    "d": r"(?P<day>\d{1,2})",
}
_TIME: Final = r"(?:[ T](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?(?: ?(?P<half>[AaPp][Mm]))?)?"


def convert(attribute: Attribute, text: str, *, date_format: str) -> object:
    """Return the JSON value that *text* means in the column. Raises ValueRefused.

    Choices and names of records are not asked here: they need the import map.
    """
    return _CONVERSIONS[attribute.type](attribute, text if attribute.type.is_text else text.strip(), date_format)


def option_meant(attribute: Attribute, text: str, mapped: Mapping[str, int]) -> int:
    """Return the option that *text* means: by the import map, by label, or by number. Raises ValueRefused."""
    plain = text.strip()
    folded = plain.casefold()
    for options in (mapped, attribute.options_by_label):
        if folded in options:
            return options[folded]
    if plain.isdecimal() and plain.isascii() and int(plain) in attribute.option_values:
        return int(plain)
    labels = ", ".join(option.label for option in attribute.options[:10])
    more = "" if len(attribute.options) <= 10 else ", …"  # noqa: PLR2004 - as many as a sentence bears
    raise ValueRefused(
        f"{shown(plain)} is no option of '{attribute.name}': write the label or number of one ({labels}{more}), "
        "or map the value.",
        column=attribute.name,
        code=OrganizationErrorCode.PICKLIST_VALUE_NOT_MAPPED,
        value=text,
    )


@lru_cache(maxsize=64)
def pattern_of(date_format: str) -> re.Pattern[str]:
    """Return the pattern of dates in a format such as M/d/yyyy or dd.MM.yyyy, a time may follow. Raises ValueError."""
    parts = re.findall(r"y+|M+|d+|[^yMd]", date_format)
    letters = [part for part in parts if part[0] in "yMd"]
    if sorted(part[0] for part in letters) != ["M", "d", "y"] or any(part not in _PARTS_OF_A_DATE for part in letters):
        raise ValueError(f"{date_format!r} is no date format: use d or dd, M or MM, and yyyy once, as in M/d/yyyy.")
    return re.compile("".join(_PARTS_OF_A_DATE.get(part, re.escape(part)) for part in parts) + _TIME)


def shown(text: str) -> str:
    """Return a text as messages quote it: in quotes, and not at any length."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _as_is(_attribute: Attribute, text: str, _date_format: str) -> str:
    return text


def _integer(attribute: Attribute, text: str, _date_format: str) -> int:
    if _WHOLE.fullmatch(text) is None or not text.isascii():
        raise _bad_format(attribute, text, "a whole number such as 1200")
    return int(text.replace(",", "")[:_LONGEST_NUMBER])


def _number(attribute: Attribute, text: str, _date_format: str) -> str:
    plain = text.strip(_SIGNS_OF_MONEY) if attribute.type is AttributeType.MONEY else text
    if _NUMBER.fullmatch(plain) is None or not plain.isascii():
        raise _bad_format(attribute, text, "a number such as 1200.50")
    return plain.replace(",", "")


def _double(attribute: Attribute, text: str, date_format: str) -> float:
    return float(_number(attribute, text, date_format))


def _boolean(attribute: Attribute, text: str, _date_format: str) -> bool:
    folded = text.casefold()
    labelled = attribute.options_by_label.get(folded)
    if labelled is not None:
        return labelled == 1
    if folded in _YES | _NO:
        return folded in _YES
    labels = " or ".join(option.label for option in attribute.options) or "Yes or No"
    raise _bad_format(attribute, text, labels)


def _moment(attribute: Attribute, text: str, date_format: str) -> str:
    moment = _iso(text) or _local(text, date_format)
    if moment is None:
        raise _bad_format(attribute, text, f"a date as 2025-01-31 or {date_format}")
    return moment.date().isoformat() if attribute.is_date_only else moment.astimezone(UTC).isoformat()


def _iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _local(text: str, date_format: str) -> datetime | None:
    found = pattern_of(date_format).fullmatch(text)
    if found is None:
        return None
    hour = int(found["hour"] or 0)
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].casefold() == "pm" else 0)
    try:
        return datetime(
            int(found["year"]),
            int(found["month"]),
            int(found["day"]),
            hour,
            int(found["minute"] or 0),
            int(found["second"] or 0),
            tzinfo=UTC,
        )
    except ValueError:
        return None


def _guid(attribute: Attribute, text: str, _date_format: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise ValueRefused(
            f"{shown(text)} in '{attribute.name}' is no GUID.",
            column=attribute.name,
            code=OrganizationErrorCode.INVALID_GUID,
            value=text,
        ) from None


def _bad_format(attribute: Attribute, text: str, wanted: str) -> ValueRefused:
    return ValueRefused(
        f"{shown(text)} is not of the format that '{attribute.name}' takes: write {wanted}.",
        column=attribute.name,
        code=OrganizationErrorCode.INVALID_DATA_FORMAT,
        value=text,
    )


_SHOWN: Final = 100
#: No column holds a number of more digits; longer ones are out of range however they end.
_LONGEST_NUMBER: Final = 100

_CONVERSIONS: Final[Mapping[AttributeType, Callable[[Attribute, str, str], object]]] = {
    AttributeType.STRING: _as_is,
    AttributeType.MEMO: _as_is,
    AttributeType.INTEGER: _integer,
    AttributeType.BIGINT: _integer,
    AttributeType.DECIMAL: _number,
    AttributeType.MONEY: _number,
    AttributeType.DOUBLE: _double,
    AttributeType.BOOLEAN: _boolean,
    AttributeType.DATETIME: _moment,
    AttributeType.UNIQUEIDENTIFIER: _guid,
    AttributeType.LOOKUP: _guid,
}
