"""What date operators mean: to the day, to the hour, where clocks change, and for columns of each behaviour."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query import fiscal
from asyncservice.organization.query.calendar import week_of_year
from asyncservice.organization.query.comparisons import test_of as check
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import Asker, Condition, Fiscal
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.schema.attributes import Attribute, AttributeType, DateBehavior
from asyncservice.organization.values import RecordValue

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
#: A Wednesday: 12:30 in Berlin, 06:30 in New York.
NOW = datetime(2025, 6, 18, 10, 30, 20, tzinfo=UTC)


def column(behavior: DateBehavior = DateBehavior.USER_LOCAL) -> Attribute:
    return Attribute(name="due", schema_name="Due", label="Due", type=AttributeType.DATETIME, behavior=behavior)


def asker(zone: ZoneInfo = BERLIN, now: datetime = NOW) -> Asker:
    return Asker(now=now, user_id=UUID(int=1), zone=zone)


def meets(
    operator: Operator,
    value: RecordValue | None,
    *values: RecordValue,
    who: Asker | None = None,
    behavior: DateBehavior = DateBehavior.USER_LOCAL,
) -> bool:
    condition = Condition(attribute="due", operator=operator, values=values)
    return check(condition, column(behavior), who or asker())(value)


def berlin(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BERLIN).astimezone(UTC)  # type: ignore[arg-type,misc]


#: Operator, its values, the first moment that meets it and the first one behind, as clocks in Berlin show them.
WINDOWS = [
    (Operator.YESTERDAY, (), (2025, 6, 17), (2025, 6, 18)),
    (Operator.TODAY, (), (2025, 6, 18), (2025, 6, 19)),
    (Operator.TOMORROW, (), (2025, 6, 19), (2025, 6, 20)),
    (Operator.LAST_7_DAYS, (), (2025, 6, 11), (2025, 6, 18, 12, 30, 20)),
    (Operator.NEXT_7_DAYS, (), (2025, 6, 18, 12, 30, 20), (2025, 6, 26)),
    (Operator.LAST_WEEK, (), (2025, 6, 8), (2025, 6, 15)),
    (Operator.THIS_WEEK, (), (2025, 6, 15), (2025, 6, 22)),
    (Operator.NEXT_WEEK, (), (2025, 6, 22), (2025, 6, 29)),
    (Operator.LAST_MONTH, (), (2025, 5, 1), (2025, 6, 1)),
    (Operator.THIS_MONTH, (), (2025, 6, 1), (2025, 7, 1)),
    (Operator.NEXT_MONTH, (), (2025, 7, 1), (2025, 8, 1)),
    (Operator.LAST_YEAR, (), (2024, 1, 1), (2025, 1, 1)),
    (Operator.THIS_YEAR, (), (2025, 1, 1), (2026, 1, 1)),
    (Operator.NEXT_YEAR, (), (2026, 1, 1), (2027, 1, 1)),
    (Operator.ON, (date(2025, 3, 30),), (2025, 3, 30), (2025, 3, 31)),
    (Operator.ON, (datetime(2025, 10, 26, 22, 30, tzinfo=UTC),), (2025, 10, 26), (2025, 10, 27)),
    (Operator.ON_OR_AFTER, (date(2025, 10, 26),), (2025, 10, 26), None),
    (Operator.ON_OR_BEFORE, (date(2025, 10, 26),), None, (2025, 10, 27)),
    (Operator.LAST_X_HOURS, (3,), (2025, 6, 18, 9), (2025, 6, 18, 12, 30, 20)),
    (Operator.NEXT_X_HOURS, (3,), (2025, 6, 18, 12, 30, 20), (2025, 6, 18, 16)),
    (Operator.LAST_X_DAYS, (2,), (2025, 6, 16), (2025, 6, 18, 12, 30, 20)),
    (Operator.NEXT_X_DAYS, (2,), (2025, 6, 18, 12, 30, 20), (2025, 6, 21)),
    (Operator.LAST_X_WEEKS, (2,), (2025, 6, 4), (2025, 6, 18, 12, 30, 20)),
    (Operator.NEXT_X_WEEKS, (2,), (2025, 6, 18, 12, 30, 20), (2025, 7, 3)),
    (Operator.LAST_X_MONTHS, (4,), (2025, 2, 18), (2025, 6, 18, 12, 30, 20)),
    (Operator.NEXT_X_MONTHS, (4,), (2025, 6, 18, 12, 30, 20), (2025, 10, 19)),
    (Operator.LAST_X_YEARS, (1,), (2024, 6, 18), (2025, 6, 18, 12, 30, 20)),
    (Operator.NEXT_X_YEARS, (1,), (2025, 6, 18, 12, 30, 20), (2026, 6, 19)),
    (Operator.OLDER_THAN_X_MINUTES, (5,), None, (2025, 6, 18, 12, 25)),
    (Operator.OLDER_THAN_X_HOURS, (5,), None, (2025, 6, 18, 7)),
    (Operator.OLDER_THAN_X_DAYS, (5,), None, (2025, 6, 13)),
    (Operator.OLDER_THAN_X_WEEKS, (1,), None, (2025, 6, 11)),
    (Operator.OLDER_THAN_X_MONTHS, (1,), None, (2025, 5, 18)),
    (Operator.OLDER_THAN_X_YEARS, (1,), None, (2024, 6, 18)),
    (Operator.THIS_FISCAL_YEAR, (), (2025, 1, 1), (2026, 1, 1)),
    (Operator.LAST_FISCAL_YEAR, (), (2024, 1, 1), (2025, 1, 1)),
    (Operator.NEXT_FISCAL_YEAR, (), (2026, 1, 1), (2027, 1, 1)),
    (Operator.THIS_FISCAL_PERIOD, (), (2025, 4, 1), (2025, 7, 1)),
    (Operator.LAST_FISCAL_PERIOD, (), (2025, 1, 1), (2025, 4, 1)),
    (Operator.NEXT_FISCAL_PERIOD, (), (2025, 7, 1), (2025, 10, 1)),
    (Operator.LAST_X_FISCAL_YEARS, (2,), (2023, 1, 1), (2025, 6, 18, 12, 30, 20)),
    (Operator.NEXT_X_FISCAL_YEARS, (2,), (2025, 6, 18, 12, 30, 20), (2028, 1, 1)),
    (Operator.LAST_X_FISCAL_PERIODS, (3,), (2024, 7, 1), (2025, 6, 18, 12, 30, 20)),
    (Operator.NEXT_X_FISCAL_PERIODS, (3,), (2025, 6, 18, 12, 30, 20), (2026, 4, 1)),
    (Operator.IN_FISCAL_YEAR, (2024,), (2024, 1, 1), (2025, 1, 1)),
    (Operator.IN_FISCAL_PERIOD_AND_YEAR, (2, 2024), (2024, 4, 1), (2024, 7, 1)),
    (Operator.IN_OR_BEFORE_FISCAL_PERIOD_AND_YEAR, (2, 2024), None, (2024, 7, 1)),
    (Operator.IN_OR_AFTER_FISCAL_PERIOD_AND_YEAR, (2, 2024), (2024, 4, 1), None),
]
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("operator", "values", "start", "end"), WINDOWS, ids=lambda each: getattr(each, "name", None))
def test_a_window_begins_and_ends_to_the_second_where_the_asker_is(
    operator: Operator,
    values: tuple[RecordValue, ...],
    start: tuple[int, ...] | None,
    end: tuple[int, ...] | None,
) -> None:
    if start is not None:
        assert meets(operator, berlin(*start), *values)
        assert not meets(operator, berlin(*start) - SECOND, *values)
    if end is not None:
        assert meets(operator, berlin(*end) - SECOND, *values)
        assert not meets(operator, berlin(*end), *values)
    assert not meets(operator, None, *values)


@pytest.mark.parametrize(("day", "hours"), [(date(2025, 3, 30), 23), (date(2025, 3, 31), 24), (date(2025, 10, 26), 25)])
def test_a_day_on_which_clocks_change_is_shorter_or_longer(day: date, hours: int) -> None:
    start = berlin(day.year, day.month, day.day)
    moments = [start + timedelta(hours=hour) for hour in range(-2, 28)]
    assert sum(meets(Operator.ON, moment, day) for moment in moments) == hours


def test_today_is_the_asker_s_day() -> None:
    late = datetime(2025, 6, 18, 23, 30, tzinfo=UTC)
    assert meets(Operator.TODAY, late, who=asker(NEW_YORK, late))
    assert not meets(Operator.TODAY, datetime(2025, 6, 18, 1, tzinfo=UTC), who=asker(NEW_YORK, late))
    assert not meets(Operator.TODAY, datetime(2025, 6, 18, 21, tzinfo=UTC), who=asker(BERLIN, late))


def test_a_column_that_knows_no_zones_is_compared_with_what_clocks_show() -> None:
    kind = DateBehavior.TIME_ZONE_INDEPENDENT
    assert meets(Operator.TODAY, datetime(2025, 6, 18, tzinfo=UTC), behavior=kind)
    assert not meets(Operator.TODAY, datetime(2025, 6, 17, 23, tzinfo=UTC), behavior=kind)
    assert meets(Operator.LAST_X_HOURS, datetime(2025, 6, 18, 12, 29, tzinfo=UTC), 1, behavior=kind)
    assert not meets(Operator.LAST_X_HOURS, datetime(2025, 6, 18, 12, 31, tzinfo=UTC), 1, behavior=kind)


def test_a_column_of_days_is_compared_with_days() -> None:
    kind = DateBehavior.DATE_ONLY
    assert meets(Operator.TODAY, date(2025, 6, 18), behavior=kind)
    assert meets(Operator.LAST_X_DAYS, date(2025, 6, 18), 1, behavior=kind)
    assert not meets(Operator.NEXT_X_DAYS, date(2025, 6, 18), 1, behavior=kind)
    assert meets(Operator.EQUAL, date(2025, 6, 18), datetime(2025, 6, 18, 12, tzinfo=UTC), behavior=kind)
    assert meets(Operator.BETWEEN, date(2025, 6, 18), date(2025, 6, 1), date(2025, 6, 18), behavior=kind)


def test_between_days_includes_the_whole_last_day() -> None:
    days = date(2025, 6, 1), date(2025, 6, 18)
    assert meets(Operator.BETWEEN, berlin(2025, 6, 18, 23, 59), *days)
    assert not meets(Operator.BETWEEN, berlin(2025, 6, 19), *days)
    assert not meets(Operator.NOT_BETWEEN, berlin(2025, 6, 18, 23, 59), *days)
    assert meets(Operator.NOT_BETWEEN, None, *days)


def test_not_on_is_the_opposite_of_on_and_takes_null() -> None:
    assert not meets(Operator.NOT_ON, berlin(2025, 6, 18, 5), date(2025, 6, 18))
    assert meets(Operator.NOT_ON, berlin(2025, 6, 19), date(2025, 6, 18))
    assert meets(Operator.NOT_ON, None, date(2025, 6, 18))


def test_weeks_begin_when_the_organization_says() -> None:
    who = replace(asker(), first_day_of_week=1)
    assert not meets(Operator.THIS_WEEK, berlin(2025, 6, 15, 12), who=who)
    assert meets(Operator.THIS_WEEK, berlin(2025, 6, 22, 12), who=who)


@pytest.mark.parametrize("count", [0, -3])
def test_no_units_are_refused(count: int) -> None:
    with pytest.raises(QueryError) as refused:
        meets(Operator.LAST_X_DAYS, NOW, count)
    assert refused.value.code is OrganizationErrorCode.VALUE_NOT_GREATER_THAN_ZERO


@pytest.mark.parametrize("value", ["3", 3.5, True])
def test_units_must_be_a_whole_number(value: RecordValue) -> None:
    with pytest.raises(QueryError) as refused:
        meets(Operator.LAST_X_DAYS, NOW, value)
    assert refused.value.code is OrganizationErrorCode.QUERY_VALUE_INVALID


@given(
    st.sampled_from([operator for operator in Operator if "_X_" in operator.name]),
    st.integers(min_value=1, max_value=2**31),
    st.sampled_from(list(DateBehavior)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago"]),
)
def test_however_many_units_are_asked_for_there_is_an_answer(
    operator: Operator, count: int, behavior: DateBehavior, zone: str
) -> None:
    value: RecordValue = date(2025, 6, 1) if behavior is DateBehavior.DATE_ONLY else datetime(2025, 6, 1, tzinfo=UTC)
    answer = meets(operator, value, count, who=asker(ZoneInfo(zone)), behavior=behavior)
    if count > 12 * 9000 * 366 * 24 * 60:
        assert answer is operator.name.startswith("LAST")


FISCALS = st.builds(
    Fiscal,
    start_month=st.integers(1, 12),
    start_day=st.integers(1, 31),
    period_type=st.sampled_from([2000, 2001, 2002, 2003, 2004]),
)


@given(FISCALS, st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_a_day_lies_in_its_fiscal_year_and_period(calendar: Fiscal, day: date) -> None:
    year, period = fiscal.year_of(calendar, day), fiscal.period_of(calendar, day)
    assert fiscal.year_start(calendar, year) <= day < fiscal.year_start(calendar, year + 1)
    assert 1 <= period <= fiscal.periods_in(calendar)
    assert fiscal.period_start(calendar, year, period) <= day < fiscal.period_start(calendar, year, period + 1)


def test_periods_of_four_weeks_are_thirteen_and_the_last_takes_the_rest() -> None:
    weeks = Fiscal(start_month=4, start_day=1, period_type=2004)
    assert fiscal.period_start(weeks, 2025, 2) == date(2025, 4, 29)
    assert fiscal.period_of(weeks, date(2026, 3, 31)) == 13
    assert fiscal.period_start(weeks, 2025, 14) == date(2026, 4, 1)


def test_a_period_that_no_year_has_is_refused() -> None:
    with pytest.raises(QueryError) as refused:
        meets(Operator.IN_FISCAL_PERIOD, NOW, 5)
    assert refused.value.code is OrganizationErrorCode.QUERY_VALUE_INVALID


def test_a_period_of_any_year() -> None:
    assert meets(Operator.IN_FISCAL_PERIOD, berlin(1999, 5, 1), 2)
    assert not meets(Operator.IN_FISCAL_PERIOD, berlin(1999, 7, 1), 2)


@pytest.mark.parametrize(("day", "week"), [((2025, 1, 1), 1), ((2025, 1, 5), 2), ((2024, 12, 31), 53)])
def test_weeks_are_numbered_from_the_first_of_january(day: tuple[int, int, int], week: int) -> None:
    assert week_of_year(date(*day), 0) == week
