"""What "last week" means: the days and moments between which a date must lie, seen from who asks and when.

A window is half-open. Its ends are days (midnight in the asker's zone) or moments. How it meets a column depends on
the column: one that knows the asker's zone is compared with moments, one that is independent of zones with what
the asker's clock showed, a day with days.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query import fiscal
from asyncservice.organization.query.calendar import (
    clock_time,
    midnight,
    shift_days,
    shift_moment,
    shift_months,
    week_start,
)
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import Asker
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.semantics import CHOSEN
from asyncservice.organization.schema.attributes import Attribute, DateBehavior
from asyncservice.organization.values import RecordValue

type Edge = date | datetime
"""A day, which begins when it does where the asker is, or a moment."""
type Window = tuple[Edge | None, Edge | None]
"""From, and up to but without; None: no end."""

_WEEK: Final = 7
_YEAR: Final = 12


def window(operator: Operator, values: tuple[RecordValue, ...], asker: Asker) -> Window | None:
    """Return when a date must lie to meet a date operator, or None when the operator is none of those.

    Raises QueryError for a value that is no positive whole number, no day, or no fiscal period.
    """
    find = _WINDOWS.get(operator)
    return None if find is None else find(_Clock(asker), values)


def placed(edge: Edge, attribute: Attribute, asker: Asker) -> date | datetime:
    """Return the end of a window as the column's values are kept, to be compared with them."""
    independent = attribute.behavior is DateBehavior.TIME_ZONE_INDEPENDENT
    if isinstance(edge, datetime):
        if attribute.is_date_only:
            # A day counts as its midnight: what is at or behind a moment within it begins with the next day.
            return _next_midnight(clock_time(edge, asker.zone))
        return clock_time(edge, asker.zone) if independent else edge
    if attribute.is_date_only:
        return edge
    return datetime.combine(edge, time(), UTC) if independent else midnight(edge, asker.zone)


def local_day(value: RecordValue, attribute: Attribute, asker: Asker) -> date:
    """Return the day that a value of the column shows to the asker."""
    if isinstance(value, datetime):
        independent = attribute.behavior is DateBehavior.TIME_ZONE_INDEPENDENT
        return value.date() if independent else value.astimezone(asker.zone).date()
    if isinstance(value, date):
        return value
    raise _no_day(value)


def _next_midnight(local: datetime) -> date:
    return local.date() if local.time() == time() else shift_days(local.date(), 1)


class _Clock:
    """The asker's now, today, and this hour and minute."""

    def __init__(self, asker: Asker) -> None:
        local = asker.now.astimezone(asker.zone)
        self.asker = asker
        self.now = asker.now
        self.today = local.date()
        into_minute = timedelta(seconds=local.second, microseconds=local.microsecond)
        self.minute = asker.now - into_minute if CHOSEN.whole_units else asker.now
        self.hour = asker.now - into_minute - timedelta(minutes=local.minute) if CHOSEN.whole_units else asker.now
        self.week = week_start(self.today, asker.first_day_of_week)
        self.month = self.today.replace(day=1)
        self.year = self.month.replace(month=1)
        self.fiscal = asker.fiscal
        self.fiscal_year = fiscal.year_of(asker.fiscal, self.today)
        self.fiscal_period = fiscal.period_of(asker.fiscal, self.today)

    def days_ago(self, days: int) -> Edge:
        """Return midnight of the day that many days ago."""
        return shift_days(self.today, -days) if CHOSEN.whole_units else shift_moment(self.now, timedelta(days=-days))

    def day(self, value: RecordValue) -> date:
        """Return the day that a condition names: a moment names the day it falls on where the asker is."""
        if isinstance(value, datetime):
            return value.astimezone(self.asker.zone).date()
        if isinstance(value, date):
            return value
        raise _no_day(value)

    def fiscal_years(self, first: int, last: int) -> Window:
        """Return from the first to the last of these years, counted from the present one."""
        start, end = self.fiscal_year + first, self.fiscal_year + last + 1
        return fiscal.year_start(self.fiscal, start), fiscal.year_start(self.fiscal, end)

    def fiscal_periods(self, first: int, last: int) -> Window:
        """Return from the first to the last of these periods, counted from the present one."""
        here = self.fiscal_year, self.fiscal_period
        start = fiscal.period_start(self.fiscal, here[0], here[1] + first)
        return start, fiscal.period_start(self.fiscal, here[0], here[1] + last + 1)

    def in_period(self, values: tuple[RecordValue, ...]) -> tuple[date, date]:
        """Return the period of that number in that year."""
        period, year = fiscal.checked_period(self.fiscal, whole(values[0])), whole(values[1])
        return fiscal.period_start(self.fiscal, year, period), fiscal.period_start(self.fiscal, year, period + 1)


def whole(value: RecordValue) -> int:
    """Return a value that must be a whole number. Raises QueryError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise QueryError(f"A whole number is needed here, not {value!r}.", OrganizationErrorCode.QUERY_VALUE_INVALID)
    return value


def _positive(values: tuple[RecordValue, ...]) -> int:
    number = whole(values[0])
    if number <= 0:
        raise QueryError(
            f"The number of units must be greater than zero; it is {number}.",
            OrganizationErrorCode.VALUE_NOT_GREATER_THAN_ZERO,
        )
    # More than the calendar holds in the smallest unit there is makes no difference, and would overflow.
    return min(number, _MANY)


_MANY: Final = 10**9


def _no_day(value: RecordValue) -> QueryError:
    return QueryError(
        f"A date such as 2025-01-31 is needed here, not {value!r}.", OrganizationErrorCode.QUERY_VALUE_INVALID
    )


type _Finder = Callable[[_Clock, tuple[RecordValue, ...]], Window]


def _days(first: int, last: int) -> _Finder:
    return lambda clock, _: (shift_days(clock.today, first), shift_days(clock.today, last + 1))


def _weeks(offset: int) -> _Finder:
    return lambda clock, _: (shift_days(clock.week, _WEEK * offset), shift_days(clock.week, _WEEK * (offset + 1)))


def _months(offset: int) -> _Finder:
    return lambda clock, _: (shift_months(clock.month, offset), shift_months(clock.month, offset + 1))


def _years(offset: int) -> _Finder:
    return lambda clock, _: (shift_months(clock.year, _YEAR * offset), shift_months(clock.year, _YEAR * (offset + 1)))


def _last(start: Callable[[_Clock, int], Edge | None]) -> _Finder:
    return lambda clock, values: (start(clock, _positive(values)), clock.now)


def _next(end: Callable[[_Clock, int], Edge | None]) -> _Finder:
    return lambda clock, values: (clock.now, end(clock, _positive(values)))


def _older(end: Callable[[_Clock, int], Edge]) -> _Finder:
    return lambda clock, values: (None, end(clock, _positive(values)))


def _hours_ago(clock: _Clock, count: int) -> Edge:
    return shift_moment(clock.hour, timedelta(hours=-count))


def _months_ago(clock: _Clock, count: int) -> Edge:
    return shift_months(clock.today, -count)


_WINDOWS: Final[Mapping[Operator, _Finder]] = {
    Operator.YESTERDAY: _days(-1, -1),
    Operator.TODAY: _days(0, 0),
    Operator.TOMORROW: _days(1, 1),
    Operator.LAST_7_DAYS: lambda clock, _: (clock.days_ago(_WEEK), clock.now),
    Operator.NEXT_7_DAYS: lambda clock, _: (clock.now, shift_days(clock.today, _WEEK + 1)),
    Operator.LAST_WEEK: _weeks(-1),
    Operator.THIS_WEEK: _weeks(0),
    Operator.NEXT_WEEK: _weeks(1),
    Operator.LAST_MONTH: _months(-1),
    Operator.THIS_MONTH: _months(0),
    Operator.NEXT_MONTH: _months(1),
    Operator.LAST_YEAR: _years(-1),
    Operator.THIS_YEAR: _years(0),
    Operator.NEXT_YEAR: _years(1),
    Operator.ON: lambda clock, values: (clock.day(values[0]), shift_days(clock.day(values[0]), 1)),
    Operator.ON_OR_BEFORE: lambda clock, values: (None, shift_days(clock.day(values[0]), 1)),
    Operator.ON_OR_AFTER: lambda clock, values: (clock.day(values[0]), None),
    Operator.LAST_X_HOURS: _last(_hours_ago),
    Operator.NEXT_X_HOURS: _next(lambda clock, count: shift_moment(clock.hour, timedelta(hours=count + 1))),
    Operator.LAST_X_DAYS: _last(lambda clock, count: clock.days_ago(count)),
    Operator.NEXT_X_DAYS: _next(lambda clock, count: shift_days(clock.today, count + 1)),
    Operator.LAST_X_WEEKS: _last(lambda clock, count: clock.days_ago(_WEEK * count)),
    Operator.NEXT_X_WEEKS: _next(lambda clock, count: shift_days(clock.today, _WEEK * count + 1)),
    Operator.LAST_X_MONTHS: _last(_months_ago),
    Operator.NEXT_X_MONTHS: _next(lambda clock, count: shift_months(shift_days(clock.today, 1), count)),
    Operator.LAST_X_YEARS: _last(lambda clock, count: _months_ago(clock, _YEAR * count)),
    Operator.NEXT_X_YEARS: _next(lambda clock, count: shift_months(shift_days(clock.today, 1), _YEAR * count)),
    Operator.OLDER_THAN_X_MINUTES: _older(lambda clock, count: shift_moment(clock.minute, timedelta(minutes=-count))),
    Operator.OLDER_THAN_X_HOURS: _older(_hours_ago),
    Operator.OLDER_THAN_X_DAYS: _older(lambda clock, count: clock.days_ago(count)),
    Operator.OLDER_THAN_X_WEEKS: _older(lambda clock, count: clock.days_ago(_WEEK * count)),
    Operator.OLDER_THAN_X_MONTHS: _older(_months_ago),
    Operator.OLDER_THAN_X_YEARS: _older(lambda clock, count: _months_ago(clock, _YEAR * count)),
    Operator.THIS_FISCAL_YEAR: lambda clock, _: clock.fiscal_years(0, 0),
    Operator.LAST_FISCAL_YEAR: lambda clock, _: clock.fiscal_years(-1, -1),
    Operator.NEXT_FISCAL_YEAR: lambda clock, _: clock.fiscal_years(1, 1),
    Operator.THIS_FISCAL_PERIOD: lambda clock, _: clock.fiscal_periods(0, 0),
    Operator.LAST_FISCAL_PERIOD: lambda clock, _: clock.fiscal_periods(-1, -1),
    Operator.NEXT_FISCAL_PERIOD: lambda clock, _: clock.fiscal_periods(1, 1),
    Operator.LAST_X_FISCAL_YEARS: _last(lambda clock, count: clock.fiscal_years(-count, 0)[0]),
    Operator.NEXT_X_FISCAL_YEARS: _next(lambda clock, count: clock.fiscal_years(0, count)[1]),
    Operator.LAST_X_FISCAL_PERIODS: _last(lambda clock, count: clock.fiscal_periods(-count, 0)[0]),
    Operator.NEXT_X_FISCAL_PERIODS: _next(lambda clock, count: clock.fiscal_periods(0, count)[1]),
    Operator.IN_FISCAL_YEAR: lambda clock, values: (
        fiscal.year_start(clock.fiscal, whole(values[0])),
        fiscal.year_start(clock.fiscal, whole(values[0]) + 1),
    ),
    Operator.IN_FISCAL_PERIOD_AND_YEAR: lambda clock, values: clock.in_period(values),
    Operator.IN_OR_BEFORE_FISCAL_PERIOD_AND_YEAR: lambda clock, values: (None, clock.in_period(values)[1]),
    Operator.IN_OR_AFTER_FISCAL_PERIOD_AND_YEAR: lambda clock, values: (clock.in_period(values)[0], None),
}
