"""TimeSpan texts of host.json and of schedules: `hh:mm:ss`, `d.hh:mm:ss`, `dd:hh:mm`."""

import re
from datetime import timedelta
from typing import Final

_TIME_SPAN: Final = re.compile(
    r"(?P<sign>-)?(?:(?P<days>\d+)\.)?"
    r"(?P<first>\d+):(?P<second>[0-5]?\d)(?::(?P<third>[0-5]?\d)(?P<fraction>\.\d{1,7})?)?"
)
_DAYS_ONLY: Final = re.compile(r"-?\d+")
_HOURS_OF_A_DAY: Final = 24


def parse_time_span(text: str) -> timedelta:
    """Return the duration that .NET reads in *text*; raise ValueError when it reads none.

    A first part of 24 or more means days (`24:00:00` is twenty-four days), as the documentation of the timer trigger
    warns; a bare number means days too.
    """
    text = text.strip()
    if _DAYS_ONLY.fullmatch(text):
        return timedelta(days=int(text))
    match = _TIME_SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 00:00:30 or 1.12:00:00")
    first, second, third = int(match["first"]), int(match["second"]), int(match["third"] or 0)
    if first >= _HOURS_OF_A_DAY and match["days"] is None and match["third"] is not None:
        span = timedelta(days=first, hours=second, minutes=third)
    elif first < _HOURS_OF_A_DAY:
        fraction = float(match["fraction"] or 0)
        span = timedelta(
            days=int(match["days"] or 0), hours=first, minutes=second, seconds=third, microseconds=round(fraction * 1e6)
        )
    else:
        raise ValueError(f"{text!r} has more than 23 hours")
    return -span if match["sign"] else span


def format_time_span(span: timedelta) -> str:
    """Return *span* as `[d.]hh:mm:ss`, the way the host prints it."""
    minutes, seconds = divmod(span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days = f"{span.days}." if span.days else ""
    return f"{days}{hours:02}:{minutes:02}:{seconds:02}"
