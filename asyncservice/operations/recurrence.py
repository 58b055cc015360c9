"""The column recurrencepattern: RFC 5545's rules, of which Dataverse documents FREQ and INTERVAL.

Without more, a rule begins at recurrencestarttime and is reckoned in UTC, as in Dataverse. With RFC 5545's own DTSTART
before it, the pattern says both: "DTSTART;TZID=Europe/Berlin:20260302T090000 RRULE:FREQ=DAILY".
"""

import re
from datetime import UTC, datetime, tzinfo
from typing import Final

from asyncservice.operations import timezones
from asyncservice.operations.errors import InvalidOperation
from asyncservice.operations.rules import Rule

#: Longest pattern the column holds.
MAX_PATTERN: Final = 256
#: Largest INTERVAL; of seconds, three years.
MAX_INTERVAL: Final = 100_000_000
#: Largest COUNT of a rule whose slots must be counted one by one.
MAX_COUNT: Final = 10_000

_PATTERN: Final = re.compile(
    r"(?:DTSTART(?P<parameters>(?:;[^:]*)?):(?P<start>\S+)\s+RRULE:|(?:RRULE:)?)(?P<rule>[^\s:]+)", re.IGNORECASE
)
_MOMENT: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z?")
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 9998
_PLAIN: Final = "FREQ=DAILY;INTERVAL=2"
_ZONED: Final = "DTSTART;TZID=Europe/Berlin:20260302T090000 RRULE:FREQ=DAILY"


def parse(pattern: str, start: datetime) -> Rule:
    """Return the rule that *pattern* describes.

    "FREQ=DAILY;INTERVAL=3;", with or without the last semicolon, as Dataverse writes it, or any RRULE of RFC 5545: from
    *start* (aware) on, in UTC. Or a DTSTART with a TZID, then white space, then "RRULE:" and the rule: from there on,
    in that zone. Raises InvalidOperation saying what is wrong.
    """
    if len(pattern) > MAX_PATTERN:
        raise InvalidOperation(f"recurrencepattern has {len(pattern)} characters; {MAX_PATTERN} is the limit.")
    found = _PATTERN.fullmatch(pattern.strip().strip(";"))
    if found is None:
        raise _wrong(pattern, f"is no single rule; write it like {_PLAIN} or like {_ZONED}.")
    parts = dict(_part(pattern, part) for part in found["rule"].upper().split(";"))
    most, until = parts.pop("COUNT", None), parts.pop("UNTIL", None)
    names_start = found["start"] is not None
    if names_start:
        wall, where = _start(pattern, found["parameters"], found["start"].upper())
    else:
        wall, where = start.astimezone(UTC).replace(tzinfo=None, microsecond=0), UTC
    rule = Rule(
        parts=parts,
        wall=wall,
        zone=where,
        count=None if most is None else _whole_number(pattern, "a COUNT", most),
        until=None if until is None else _until(pattern, until),
        names_start=names_start,
    )
    _check(pattern, rule)
    return rule


def next_run(pattern: str, start: datetime, *, after: datetime) -> datetime | None:
    """Return the pattern's first slot strictly after *after*, or None when it has ended or none comes within HORIZON.

    *start* counts where the pattern names none. Missed slots are passed over: a service that was down runs once and
    goes on with the next regular slot.
    """
    return parse(pattern, start).after(after)


def _check(pattern: str, rule: Rule) -> None:
    """Raise InvalidOperation when the rule is none, or would take for ever to work out."""
    if _whole_number(pattern, "an INTERVAL", rule.parts.get("INTERVAL", "1")) > MAX_INTERVAL:
        raise _wrong(pattern, f"must have an INTERVAL of {MAX_INTERVAL:,} or less.")
    try:
        rule.check()
    except (ValueError, KeyError, TypeError) as error:
        raise _wrong(pattern, f"is no recurrence rule ({error}); write it like {_PLAIN}.") from error
    if rule.frequency in {"SECONDLY", "MINUTELY"} and rule.has_by_parts:
        raise _wrong(pattern, f"cannot have {rule.frequency} with a BY part: use FREQ=HOURLY or longer.")
    if rule.count is not None and rule.count > MAX_COUNT and rule.is_counted_slot_by_slot:
        raise _wrong(pattern, f"can have a COUNT of {MAX_COUNT:,} at most; say by UNTIL when it ends.")


def _start(pattern: str, parameters: str, value: str) -> tuple[datetime, tzinfo]:
    """Return what a DTSTART says: the time on the wall, and of which zone."""
    known = dict(_part(pattern, each) for each in parameters.split(";") if each)
    name, form = known.pop("TZID", None), known.pop("VALUE", "DATE-TIME")
    if known or form.upper() != "DATE-TIME" or _MOMENT.fullmatch(value) is None:
        raise _wrong(pattern, f"has a DTSTART that is no date with a time; write it like {_ZONED}.")
    if value.endswith("Z") is (name is not None):
        raise _wrong(pattern, f"must say of which zone its DTSTART is, by a TZID or by Z for UTC, as in {_ZONED}.")
    try:
        where: tzinfo = UTC if name is None else timezones.zone(name.strip('"'))
        wall = _read(value)
    except InvalidOperation as error:
        raise _wrong(pattern, f"has an impossible DTSTART: {error}") from error
    except ValueError as error:
        raise _wrong(pattern, f"has an impossible DTSTART: {error}.") from error
    if not _FIRST_YEAR <= wall.year <= _LAST_YEAR:
        raise _wrong(pattern, "has an impossible DTSTART: it must lie between the years 1900 and 9998.")
    return wall, where


def _until(pattern: str, value: str) -> datetime:
    try:
        return _read(value if value.endswith("Z") else f"{value} without Z").replace(tzinfo=UTC)
    except ValueError as error:
        raise _wrong(pattern, "has an UNTIL that is no moment in UTC; write it like 20261231T225959Z.") from error


def _read(value: str) -> datetime:
    """Return the naive date-time that a value in RFC 5545's form says. Raises ValueError."""
    return datetime.strptime(value.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - the zone is said elsewhere


def _whole_number(pattern: str, what: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and int(value) >= 1):
        raise _wrong(pattern, f"must have {what} of 1 or more.")
    return int(value)


def _part(pattern: str, text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not value:
        raise _wrong(pattern, f"is no recurrence rule ({text} is not NAME=VALUE); write it like {_PLAIN}.")
    return name.upper(), value


def _wrong(pattern: str, what: str) -> InvalidOperation:
    return InvalidOperation(f"recurrencepattern {pattern!r} {what}")
