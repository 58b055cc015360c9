"""A query as a value, whatever language it was written in. Plain data: reading and answering it are others' work.

Names of columns are logical names (a lookup is `primarycontactid`, never `_primarycontactid_value`). Values of
conditions have been coerced to their column's type by whoever read the query: a number for a choice, a UUID for a
lookup or an id, a datetime or date, a Decimal, a bool, text as it came; the x of "last x days" is an int.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from asyncservice.organization.query.operators import Operator
from asyncservice.organization.values import RecordValue

#: Most rows a page holds, and how many it holds when nobody says.
MAX_PAGE = 5000
#: Most rows that are counted; more than that is "more than that".
MAX_COUNT = 5000
#: Most rows that an aggregate may be made of.
MAX_AGGREGATED = 50_000


class LinkType(StrEnum):
    """How the rows of a link go together with those it hangs on; values are FetchXML's words."""

    INNER = "inner"
    OUTER = "outer"
    NATURAL = "natural"
    MATCH_FIRST_ROW = "matchfirstrowusingcrossapply"
    IN = "in"
    EXISTS = "exists"
    ANY = "any"
    NOT_ANY = "not any"
    ALL = "all"
    NOT_ALL = "not all"

    @property
    def is_filter(self) -> bool:
        """Whether it stands in a filter and only says yes or no to a row."""
        return self in {LinkType.ANY, LinkType.NOT_ANY, LinkType.ALL, LinkType.NOT_ALL}


class Aggregate(StrEnum):
    """What becomes of the values of a group; values are FetchXML's words."""

    COUNT = "count"
    COUNT_COLUMN = "countcolumn"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"


class DateGrouping(StrEnum):
    """What of a date a group has in common."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    FISCAL_PERIOD = "fiscal-period"
    FISCAL_YEAR = "fiscal-year"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the result.

    Without *alias* its key in a result row is the column's own name, or `link.column` for one of a link. In an
    aggregate query each has an alias and is either an aggregate or a group (perhaps by a part of a date).
    """

    attribute: str
    alias: str | None = None
    aggregate: Aggregate | None = None
    #: With COUNT_COLUMN (and OData's countdistinct): every value counts once.
    distinct: bool = False
    is_group: bool = False
    date_grouping: DateGrouping | None = None
    #: rowaggregate="CountChildren": the number of direct children in the hierarchy, under the alias.
    counts_children: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A column compared with values, or with another column."""

    attribute: str
    operator: Operator
    values: tuple[RecordValue, ...] = ()
    #: The alias of the link whose column it is; None: a column of the entity or link the condition stands in.
    link: str | None = None
    #: Instead of a value: the column to compare with, and the alias of its link.
    other_attribute: str | None = None
    other_link: str | None = None


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every member holds; of no members that is true."""

    members: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one member holds; of no members that is true as well, as in Dataverse an empty filter is no filter."""

    members: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The member does not hold. OData's `not`; the other languages have none."""

    member: "Filter"


@dataclass(frozen=True, slots=True)
class Related:
    """A filter link: says yes or no by what rows there are at the other end of *link*, whose type is a filter's."""

    link: "Link"


type Filter = Condition | AllOf | AnyOf | Not | Related


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A column, or in an aggregate query an alias, that rows are ordered by."""

    attribute: str
    descending: bool = False
    link: str | None = None
    #: Whether *attribute* is an alias of the result.
    is_alias: bool = False
    #: Choice columns are ordered by label in FetchXML and QueryExpression, by number in OData.
    by_label: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Another entity's rows, joined where its column *from_attribute* equals the parent's column *to_attribute*.

    A lookup counts by its id, and where it may refer to several entities only as far as it refers to this one.
    """

    entity: str
    from_attribute: str
    to_attribute: str
    #: Unique in the query; readers make one up where the text has none.
    alias: str
    type: LinkType = LinkType.INNER
    #: None: all columns. Empty: none.
    columns: tuple[Column, ...] | None = ()
    where: Filter | None = None
    links: tuple["Link", ...] = ()
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Which page of the rows. With a cookie the page begins behind the position it holds."""

    number: int = 1
    size: int = MAX_PAGE
    cookie: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A whole query."""

    entity: str
    #: None: all columns. The primary key comes in any case, but in distinct and aggregate queries.
    columns: tuple[Column, ...] | None = None
    where: Filter | None = None
    links: tuple[Link, ...] = ()
    orders: tuple[Order, ...] = ()
    top: int | None = None
    paging: Paging = field(default_factory=Paging)
    is_distinct: bool = False
    is_aggregate: bool = False
    #: Most rows an aggregate may be made of.
    aggregate_limit: int = MAX_AGGREGATED
    #: Whether the number of all matching rows is wanted.
    counts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fiscal:
    """When the fiscal year begins and how it is cut; codes are the organization's fiscalperiodtype."""

    start_month: int = 1
    start_day: int = 1
    period_type: int = 2002


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, and when: what operators such as eq-userid, today and this-fiscal-year mean by it."""

    now: datetime
    user_id: UUID
    business_unit_id: UUID | None = None
    team_ids: frozenset[UUID] = frozenset()
    #: Users below the caller in the hierarchy of managers.
    subordinate_ids: frozenset[UUID] = frozenset()
    subordinate_team_ids: frozenset[UUID] = frozenset()
    #: What "today" means.
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    language: int = 1033
    #: 0 is Sunday.
    first_day_of_week: int = 0
    fiscal: Fiscal = field(default_factory=Fiscal)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultColumn:
    """What stands under a key of the result rows: a column of an entity, or something computed (no attribute)."""

    entity: str
    attribute: str | None = None
    #: The alias of the link it came from; None for the query's own entity.
    link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A page of rows. Keys that a row lacks have no value (null)."""

    rows: tuple[Mapping[str, RecordValue], ...]
    #: What the keys mean, in the order of the query.
    columns: Mapping[str, ResultColumn]
    #: Whether rows remain behind this page.
    has_more: bool = False
    #: The position behind this page's last row; None when no rows remain, and in distinct and aggregate queries.
    #: Decoded text: `<cookie page="1"><name last="B" first="A" /><accountid last="{ID}" first="{ID}" /></cookie>`.
    cookie: str | None = None
    #: When asked for: how many rows match, at most MAX_COUNT, and whether there are more than that.
    count: int | None = None
    count_is_more: bool = False
