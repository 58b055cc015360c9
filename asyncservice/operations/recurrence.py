"""Recurrence rules: RFC 5545 through a library, of which Dataverse documents FREQ and INTERVAL."""

from datetime import UTC, datetime
from typing import Final

from dateutil.rrule import rrule, rrulestr

from asyncservice.operations.errors import InvalidOperation

#: Longest pattern the column holds.
MAX_PATTERN: Final = 256


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
    return rule


def next_run(pattern: str, start: datetime, *, after: datetime) -> datetime | None:
    """Return the rule's first slot strictly after *after*, or None when it has ended.

    Missed slots are passed over: a service that was down runs once and goes on with the next regular slot.
    """
    slot = parse(pattern, start).after(after.astimezone(UTC), inc=False)
    return None if slot is None else slot.astimezone(UTC)
