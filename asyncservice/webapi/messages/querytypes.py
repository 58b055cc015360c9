"""Queries as parameters and results of messages. They are handed on as JSON: organization/query has their reader."""

from collections.abc import Callable
from enum import IntEnum
from typing import cast

from asyncservice.organization.query.operators import Operator
from asyncservice.webapi.messages.types import complex_type, enum_type


@enum_type
class LogicalOperator(IntEnum):
    """How the members of a filter go together."""

    And = 0
    Or = 1


@enum_type
class OrderType(IntEnum):
    """Which way rows are ordered."""

    Ascending = 0
    Descending = 1


@enum_type
class JoinOperator(IntEnum):
    """How the rows of a link go together with those it hangs on."""

    Inner = 0
    LeftOuter = 1
    Natural = 2
    MatchFirstRowUsingCrossApply = 3
    In = 4
    Exists = 5
    Any = 6
    NotAny = 7
    All = 8
    NotAll = 9


#: The operators of conditions; one table knows them all.
ConditionOperator = enum_type(
    cast("Callable[[str, dict[str, int]], type[IntEnum]]", IntEnum)(
        "ConditionOperator", {each.sdk_name: each.value for each in Operator}
    )
)


@complex_type(is_raw=True)
class Object:
    """A value together with the name of its type."""

    type: str | None
    value: str | None


@complex_type(is_raw=True)
class ColumnSet:
    """Which columns are wanted."""

    all_columns: bool | None
    columns: tuple[str, ...] | None


@complex_type(is_raw=True)
class ConditionExpression:
    """A column compared with values."""

    entity_name: str | None
    attribute_name: str
    operator: ConditionOperator  # type: ignore[valid-type]
    values: tuple[Object, ...] | None
    compare_columns: bool | None


@complex_type(is_raw=True)
class FilterExpression:
    """Conditions and filters, all or any of which must hold."""

    filter_operator: LogicalOperator | None
    conditions: tuple[ConditionExpression, ...] | None
    filters: "tuple[FilterExpression, ...] | None"
    is_quick_find_filter: bool | None
    filter_hint: str | None
    any_all_filter_link_entity: "LinkEntity | None"


@complex_type(is_raw=True)
class OrderExpression:
    """A column that rows are ordered by."""

    attribute_name: str | None
    order_type: OrderType | None
    alias: str | None
    entity_name: str | None


@complex_type(is_raw=True)
class LinkEntity:
    """Rows of another table that are joined."""

    link_from_entity_name: str | None
    link_from_attribute_name: str
    link_to_entity_name: str
    link_to_attribute_name: str
    join_operator: JoinOperator | None
    entity_alias: str | None
    columns: ColumnSet | None
    link_criteria: FilterExpression | None
    link_entities: "tuple[LinkEntity, ...] | None"
    orders: tuple[OrderExpression, ...] | None


@complex_type(is_raw=True)
class PagingInfo:
    """Which page of the rows."""

    page_number: int | None
    count: int | None
    paging_cookie: str | None
    return_total_record_count: bool | None


@complex_type(is_raw=True, is_abstract=True)
class QueryBase:
    """Any form of a query; `@odata.type` says which."""


@complex_type(is_raw=True)
class QueryExpression(QueryBase):
    """A query as a tree."""

    entity_name: str
    column_set: ColumnSet | None
    criteria: FilterExpression | None
    distinct: bool | None
    link_entities: tuple[LinkEntity, ...] | None
    orders: tuple[OrderExpression, ...] | None
    page_info: PagingInfo | None
    top_count: int | None
    no_lock: bool | None


@complex_type(is_raw=True)
class FetchExpression(QueryBase):
    """A query in FetchXML."""

    query: str


@complex_type(is_raw=True)
class QueryByAttribute(QueryBase):
    """A query for rows whose columns have given values."""

    entity_name: str
    attributes: tuple[str, ...]
    values: tuple[Object, ...]
    column_set: ColumnSet | None
    orders: tuple[OrderExpression, ...] | None
    page_info: PagingInfo | None
    top_count: int | None
