"""Recurrence rules: RFC 5545 through a library, of which Dataverse documents FREQ and INTERVAL."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from dateutil.rrule import rrule, rrulestr

from asyncservice.operations.errors import InvalidOperation

#: Longest pattern the column holds.
MAX_PATTERN: Final = 256
#: A rule that has no slot for this long has none.
HORIZON: Final = timedelta(days=10 * 366)
#: Frequencies whose slots, without further conditions, are always equally far apart.
_LENGTHS: Final[Mapping[str, timedelta]] = {
    "SECONDLY": timedelta(seconds=1),
    "MINUTELY": timedelta(minutes=1),
    "HOURLY": timedelta(hours=1),
    "DAILY": timedelta(days=1),
    "WEEKLY": timedelta(weeks=1),
}


def parse(pattern: str, start: datetime) -> rrule:
    """Return the rule that *pattern* describes from *start* (aware) on.

    "FREQ=DAILY;INTERVAL=3;" with or without the last semicolon, as Dataverse writes it, or any RRULE of RFC 5545.
    Raises InvalidOperation saying what is wrong.
    """
    if len(pattern) > MAX_PATTERN:
        raise InvalidOperation(f"recurrencepattern has {len(pattern)} characters; {MAX_PATTERN} is the limit.")
    text = pattern.strip().strip(";")
    if "\n" in text or ":" in text:
        raise InvalidOperation(f"recurrencepattern {pattern!r} is no single rule; write it like FREQ=DAILY;INTERVAL=2.")
    try:
        rule = rrulestr(text, dtstart=start.astimezone(UTC))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidOperation(
            f"recurrencepattern {pattern!r} is no recurrence rule ({error}); write it like FREQ=DAILY;INTERVAL=2."
        ) from error
    if not isinstance(rule, rrule):
        raise InvalidOperation(f"recurrencepattern {pattern!r} must be one rule, not a set of rules.")
    parts = _parts(text)
    if parts["FREQ"] in {"SECONDLY", "MINUTELY"} and any(name.startswith("BY") for name in parts):
        raise InvalidOperation(
            f"recurrencepattern {pattern!r} cannot have {parts['FREQ']} with a BY part: use FREQ=HOURLY or longer."
        )
    # The library would look for the second slot of such a rule for ever.
    if int(parts.get("INTERVAL", 1)) < 1:
        raise InvalidOperation(f"recurrencepattern {pattern!r} must have an INTERVAL of 1 or more.")
    return rule


def next_run(pattern: str, start: datetime, *, after: datetime) -> datetime | None:
    """Return the rule's first slot strictly after *after*, or None when it has ended or none comes within HORIZON.

    Missed slots are passed over: a service that was down runs once and goes on with the next regular slot.
    """
    start, after = start.astimezone(UTC), after.astimezone(UTC)
    rule = parse(pattern, start)
    parts = _parts(pattern)
    period = _period(parts)
    if period is not None and after >= start:
        # The library counts slot by slot from the first; a rule of seconds that began last year would take minutes.
        number = (after - start) // period + 1
        if number >= int(parts.get("COUNT", number + 1)):
            return None
        rule = parse(
            ";".join(f"{name}={value}" for name, value in parts.items() if name != "COUNT"), start + number * period
        )
    elif "COUNT" not in parts and "UNTIL" not in parts:
        # A rule that no day fulfils, such as the 30th of February, would be looked for until the year 9999.
        rule = rule.replace(until=max(start, after) + HORIZON)
    slot = rule.after(after, inc=False)
    return None if slot is None else slot.astimezone(UTC)


def _period(parts: Mapping[str, str]) -> timedelta | None:
    """Return how far apart the slots of a valid rule are, or None when that varies."""
    if not set(parts) <= {"FREQ", "INTERVAL", "UNTIL", "COUNT"} or parts["FREQ"] not in _LENGTHS:
        return None
    return _LENGTHS[parts["FREQ"]] * int(parts.get("INTERVAL", 1))


def _parts(pattern: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in pattern.upper().strip().strip(";").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}
