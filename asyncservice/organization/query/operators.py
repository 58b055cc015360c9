"""The operators of conditions: one value each, known to FetchXML, to QueryExpression and to OData's query functions."""

from enum import Enum, StrEnum
from functools import cache
from typing import Self


class Kind(StrEnum):
    """Which columns an operator makes sense for."""

    TEXT = "S"
    NUMBER = "N"
    DATE = "D"
    CHOICE = "C"
    LOOKUP = "L"
    ID = "G"
    HIERARCHY = "H"
    CHOICES = "M"


class Operator(Enum):
    """A member of Dataverse's ConditionOperator.

    Its value is Dataverse's number. `sdk_name` is what QueryExpression and query functions call it, `fetch_name` what
    FetchXML does (None where FetchXML has no such operator). It takes at least `fewest` and at most `most` values
    (None: any number), and columns of `kinds` (empty: of every kind). An operator that `takes_null` also meets a column
    without a value; all others never do, but for NULL.
    """

    EQUAL = (0, "Equal", "eq", 1, 1, "", False)
    NOT_EQUAL = (1, "NotEqual", "ne", 1, 1, "", True)
    GREATER_THAN = (2, "GreaterThan", "gt", 1, 1, "SND", False)
    LESS_THAN = (3, "LessThan", "lt", 1, 1, "SND", False)
    GREATER_EQUAL = (4, "GreaterEqual", "ge", 1, 1, "SND", False)
    LESS_EQUAL = (5, "LessEqual", "le", 1, 1, "SND", False)
    LIKE = (6, "Like", "like", 1, 1, "S", False)
    NOT_LIKE = (7, "NotLike", "not-like", 1, 1, "S", True)
    IN = (8, "In", "in", 1, None, "SNCLG", False)
    NOT_IN = (9, "NotIn", "not-in", 1, None, "SNCLG", True)
    BETWEEN = (10, "Between", "between", 2, 2, "ND", False)
    NOT_BETWEEN = (11, "NotBetween", "not-between", 2, 2, "ND", True)
    NULL = (12, "Null", "null", 0, 0, "", False)
    NOT_NULL = (13, "NotNull", "not-null", 0, 0, "", False)
    YESTERDAY = (14, "Yesterday", "yesterday", 0, 0, "D", False)
    TODAY = (15, "Today", "today", 0, 0, "D", False)
    TOMORROW = (16, "Tomorrow", "tomorrow", 0, 0, "D", False)
    LAST_7_DAYS = (17, "Last7Days", "last-seven-days", 0, 0, "D", False)
    NEXT_7_DAYS = (18, "Next7Days", "next-seven-days", 0, 0, "D", False)
    LAST_WEEK = (19, "LastWeek", "last-week", 0, 0, "D", False)
    THIS_WEEK = (20, "ThisWeek", "this-week", 0, 0, "D", False)
    NEXT_WEEK = (21, "NextWeek", "next-week", 0, 0, "D", False)
    LAST_MONTH = (22, "LastMonth", "last-month", 0, 0, "D", False)
    THIS_MONTH = (23, "ThisMonth", "this-month", 0, 0, "D", False)
    NEXT_MONTH = (24, "NextMonth", "next-month", 0, 0, "D", False)
    ON = (25, "On", "on", 1, 1, "D", False)
    ON_OR_BEFORE = (26, "OnOrBefore", "on-or-before", 1, 1, "D", False)
    ON_OR_AFTER = (27, "OnOrAfter", "on-or-after", 1, 1, "D", False)
    LAST_YEAR = (28, "LastYear", "last-year", 0, 0, "D", False)
    THIS_YEAR = (29, "ThisYear", "this-year", 0, 0, "D", False)
    NEXT_YEAR = (30, "NextYear", "next-year", 0, 0, "D", False)
    LAST_X_HOURS = (31, "LastXHours", "last-x-hours", 1, 1, "D", False)
    NEXT_X_HOURS = (32, "NextXHours", "next-x-hours", 1, 1, "D", False)
    LAST_X_DAYS = (33, "LastXDays", "last-x-days", 1, 1, "D", False)
    NEXT_X_DAYS = (34, "NextXDays", "next-x-days", 1, 1, "D", False)
    LAST_X_WEEKS = (35, "LastXWeeks", "last-x-weeks", 1, 1, "D", False)
    NEXT_X_WEEKS = (36, "NextXWeeks", "next-x-weeks", 1, 1, "D", False)
    LAST_X_MONTHS = (37, "LastXMonths", "last-x-months", 1, 1, "D", False)
    NEXT_X_MONTHS = (38, "NextXMonths", "next-x-months", 1, 1, "D", False)
    LAST_X_YEARS = (39, "LastXYears", "last-x-years", 1, 1, "D", False)
    NEXT_X_YEARS = (40, "NextXYears", "next-x-years", 1, 1, "D", False)
    EQUAL_USER_ID = (41, "EqualUserId", "eq-userid", 0, 0, "LG", False)
    NOT_EQUAL_USER_ID = (42, "NotEqualUserId", "ne-userid", 0, 0, "LG", True)
    EQUAL_BUSINESS_ID = (43, "EqualBusinessId", "eq-businessid", 0, 0, "LG", False)
    NOT_EQUAL_BUSINESS_ID = (44, "NotEqualBusinessId", "ne-businessid", 0, 0, "LG", True)
    CONTAINS = (49, "Contains", None, 1, 1, "S", False)
    DOES_NOT_CONTAIN = (50, "DoesNotContain", None, 1, 1, "S", True)
    EQUAL_USER_LANGUAGE = (51, "EqualUserLanguage", "eq-userlanguage", 0, 0, "N", False)
    NOT_ON = (52, "NotOn", None, 1, 1, "D", True)
    OLDER_THAN_X_MONTHS = (53, "OlderThanXMonths", "olderthan-x-months", 1, 1, "D", False)
    BEGINS_WITH = (54, "BeginsWith", "begins-with", 1, 1, "S", False)
    DOES_NOT_BEGIN_WITH = (55, "DoesNotBeginWith", "not-begin-with", 1, 1, "S", True)
    ENDS_WITH = (56, "EndsWith", "ends-with", 1, 1, "S", False)
    DOES_NOT_END_WITH = (57, "DoesNotEndWith", "not-end-with", 1, 1, "S", True)
    THIS_FISCAL_YEAR = (58, "ThisFiscalYear", "this-fiscal-year", 0, 0, "D", False)
    THIS_FISCAL_PERIOD = (59, "ThisFiscalPeriod", "this-fiscal-period", 0, 0, "D", False)
    NEXT_FISCAL_YEAR = (60, "NextFiscalYear", "next-fiscal-year", 0, 0, "D", False)
    NEXT_FISCAL_PERIOD = (61, "NextFiscalPeriod", "next-fiscal-period", 0, 0, "D", False)
    LAST_FISCAL_YEAR = (62, "LastFiscalYear", "last-fiscal-year", 0, 0, "D", False)
    LAST_FISCAL_PERIOD = (63, "LastFiscalPeriod", "last-fiscal-period", 0, 0, "D", False)
    LAST_X_FISCAL_YEARS = (64, "LastXFiscalYears", "last-x-fiscal-years", 1, 1, "D", False)
    LAST_X_FISCAL_PERIODS = (65, "LastXFiscalPeriods", "last-x-fiscal-periods", 1, 1, "D", False)
    NEXT_X_FISCAL_YEARS = (66, "NextXFiscalYears", "next-x-fiscal-years", 1, 1, "D", False)
    NEXT_X_FISCAL_PERIODS = (67, "NextXFiscalPeriods", "next-x-fiscal-periods", 1, 1, "D", False)
    IN_FISCAL_YEAR = (68, "InFiscalYear", "in-fiscal-year", 1, 1, "D", False)
    IN_FISCAL_PERIOD = (69, "InFiscalPeriod", "in-fiscal-period", 1, 1, "D", False)
    IN_FISCAL_PERIOD_AND_YEAR = (70, "InFiscalPeriodAndYear", "in-fiscal-period-and-year", 2, 2, "D", False)
    IN_OR_BEFORE_FISCAL_PERIOD_AND_YEAR = (
        71,
        "InOrBeforeFiscalPeriodAndYear",
        "in-or-before-fiscal-period-and-year",
        2,
        2,
        "D",
        False,
    )
    IN_OR_AFTER_FISCAL_PERIOD_AND_YEAR = (
        72,
        "InOrAfterFiscalPeriodAndYear",
        "in-or-after-fiscal-period-and-year",
        2,
        2,
        "D",
        False,
    )
    EQUAL_USER_TEAMS = (73, "EqualUserTeams", "eq-userteams", 0, 0, "L", False)
    EQUAL_USER_OR_USER_TEAMS = (74, "EqualUserOrUserTeams", "eq-useroruserteams", 0, 0, "L", False)
    UNDER = (75, "Under", "under", 1, 1, "H", False)
    NOT_UNDER = (76, "NotUnder", "not-under", 1, 1, "H", True)
    UNDER_OR_EQUAL = (77, "UnderOrEqual", "eq-or-under", 1, 1, "H", False)
    ABOVE = (78, "Above", "above", 1, 1, "H", False)
    ABOVE_OR_EQUAL = (79, "AboveOrEqual", "eq-or-above", 1, 1, "H", False)
    EQUAL_USER_OR_USER_HIERARCHY = (80, "EqualUserOrUserHierarchy", "eq-useroruserhierarchy", 0, 0, "L", False)
    EQUAL_USER_OR_USER_HIERARCHY_AND_TEAMS = (
        81,
        "EqualUserOrUserHierarchyAndTeams",
        "eq-useroruserhierarchyandteams",
        0,
        0,
        "L",
        False,
    )
    OLDER_THAN_X_YEARS = (82, "OlderThanXYears", "olderthan-x-years", 1, 1, "D", False)
    OLDER_THAN_X_WEEKS = (83, "OlderThanXWeeks", "olderthan-x-weeks", 1, 1, "D", False)
    OLDER_THAN_X_DAYS = (84, "OlderThanXDays", "olderthan-x-days", 1, 1, "D", False)
    OLDER_THAN_X_HOURS = (85, "OlderThanXHours", "olderthan-x-hours", 1, 1, "D", False)
    OLDER_THAN_X_MINUTES = (86, "OlderThanXMinutes", "olderthan-x-minutes", 1, 1, "D", False)
    CONTAIN_VALUES = (87, "ContainValues", "contain-values", 1, None, "M", False)
    DOES_NOT_CONTAIN_VALUES = (88, "DoesNotContainValues", "not-contain-values", 1, None, "M", True)

    sdk_name: str
    fetch_name: str | None
    fewest: int
    most: int | None
    kinds: frozenset[Kind]
    takes_null: bool

    def __new__(  # noqa: PLR0917 - members are written as tuples
        cls,
        number: int,
        sdk_name: str,
        fetch_name: str | None,
        fewest: int,
        most: int | None,
        kinds: str,
        takes_null: bool,  # noqa: FBT001 - as above
    ) -> Self:
        """Make a member whose value is its number."""
        member = object.__new__(cls)
        member._value_ = number
        member.sdk_name, member.fetch_name = sdk_name, fetch_name
        member.fewest, member.most = fewest, most
        member.kinds = frozenset(map(Kind, kinds))
        member.takes_null = takes_null
        return member


@cache
def by_fetch_name() -> dict[str, Operator]:
    """Return the operators by what FetchXML calls them, old spellings included."""
    named = {operator.fetch_name: operator for operator in Operator if operator.fetch_name is not None}
    return {**named, "neq": Operator.NOT_EQUAL}


@cache
def by_sdk_name() -> dict[str, Operator]:
    """Return the operators by what QueryExpression calls them."""
    return {operator.sdk_name: operator for operator in Operator}
