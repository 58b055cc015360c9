"""The fiscal calendar: which fiscal year and period a day falls in, and when they begin.

A fiscal year is named after the year it begins in. Its periods count from 1: one, two, four or twelve of equal
months, or thirteen of four weeks, the last of which takes the days that remain.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.calendar import LAST_YEAR, shift_months
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import Fiscal

#: Periods of a year by the organization's fiscalperiodtype: annually, semi-annually, quarterly, monthly, four weeks.
_PERIODS: Final[Mapping[int, int]] = {2000: 1, 2001: 2, 2002: 4, 2003: 12, 2004: 13}
_FOUR_WEEKS: Final = 2004
_MONTHS: Final = 12


def periods_in(fiscal: Fiscal) -> int:
    """Return how many periods a fiscal year has."""
    return _PERIODS[fiscal.period_type]


def year_start(fiscal: Fiscal, year: int) -> date:
    """Return the first day of the fiscal year that begins in *year*; years outside the calendar give its ends."""
    if year < 1:
        return date.min
    if year > LAST_YEAR:
        return date.max
    # The 29th of February begins on the 28th where there is none.
    return shift_months(date(year, fiscal.start_month, 1), 0, day=fiscal.start_day)


def year_of(fiscal: Fiscal, day: date) -> int:
    """Return the fiscal year of a day."""
    return day.year if day >= year_start(fiscal, day.year) else day.year - 1


def period_start(fiscal: Fiscal, year: int, period: int) -> date:
    """Return the first day of a period; one before the first or behind the last belongs to another year."""
    count = periods_in(fiscal)
    year, period = year + (period - 1) // count, (period - 1) % count
    start = year_start(fiscal, year)
    if start in {date.min, date.max}:
        return start
    if fiscal.period_type == _FOUR_WEEKS:
        return start + timedelta(weeks=4 * period) if start <= date.max - timedelta(weeks=4 * period) else date.max
    return shift_months(start, period * _MONTHS // count, day=fiscal.start_day)


def period_of(fiscal: Fiscal, day: date) -> int:
    """Return the period of a day, in its fiscal year."""
    year = year_of(fiscal, day)
    return max(period for period in range(1, periods_in(fiscal) + 1) if period_start(fiscal, year, period) <= day)


def checked_period(fiscal: Fiscal, period: int) -> int:
    """Return the number of a period. Raises QueryError when the year has none of that number."""
    if not 1 <= period <= periods_in(fiscal):
        raise QueryError(
            f"A fiscal year has {periods_in(fiscal)} periods here; {period} is none of them.",
            OrganizationErrorCode.QUERY_VALUE_INVALID,
        )
    return period
