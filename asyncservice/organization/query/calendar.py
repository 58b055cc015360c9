"""Days of the calendar, saturated: what would lie before its first day or behind its last one is that day."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

LAST_YEAR: Final = date.max.year
FIRST_MOMENT: Final = datetime.min.replace(tzinfo=UTC)
LAST_MOMENT: Final = datetime.max.replace(tzinfo=UTC)
_DAYS: Final = 7
_MONTHS: Final = 12


def shift_days(day: date, days: int) -> date:
    """Return the day that many days later (earlier when negative)."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.min if days < 0 else date.max


def shift_months(start: date, months: int, *, day: int | None = None) -> date:
    """Return the same day (or *day*) of the month that many months later; its last one where it is shorter."""
    total = start.year * _MONTHS + start.month - 1 + months
    year, month = divmod(total, _MONTHS)
    if year < 1:
        return date.min
    if year > LAST_YEAR:
        return date.max
    return date(year, month + 1, 1) + relativedelta(day=start.day if day is None else day)


def shift_moment(moment: datetime, length: timedelta) -> datetime:
    """Return the moment that much later (earlier when negative)."""
    try:
        return moment + length
    except OverflowError:
        return FIRST_MOMENT if length < timedelta() else LAST_MOMENT


def week_start(day: date, first_day_of_week: int) -> date:
    """Return the first day of a day's week; 0 is Sunday."""
    return shift_days(day, -((day.isoweekday() - first_day_of_week) % _DAYS))


def week_of_year(day: date, first_day_of_week: int) -> int:
    """Return the number of a day's week as SQL Server counts: the week of the first of January is the first."""
    first = week_start(date(day.year, 1, 1), first_day_of_week)
    return (week_start(day, first_day_of_week) - first).days // _DAYS + 1


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the moment a day begins in a zone, in UTC. Where clocks skip midnight it is the moment they do."""
    try:
        return datetime.combine(day, time(), zone).astimezone(UTC)
    except OverflowError:
        return datetime.combine(day, time(), UTC)


def clock_time(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return what the clocks of a zone show at a moment, written as UTC."""
    try:
        return moment.astimezone(zone).replace(tzinfo=UTC)
    except OverflowError:
        return moment
