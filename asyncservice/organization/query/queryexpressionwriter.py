"""Queries to QueryExpression JSON, as the Web API's FetchXmlToQueryExpression answers (reference queries, section 1).

What is written reads to the same query again, but for what QueryExpression has no words for: that is refused.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import (
    MAX_AGGREGATED,
    AllOf,
    AnyOf,
    Column,
    Condition,
    Filter,
    Link,
    LinkType,
    Not,
    Order,
    Query,
    Related,
)
from asyncservice.organization.values import RecordValue, Reference

type Json = dict[str, Any]

_JOINS: Final[Mapping[LinkType, str]] = {
    LinkType.INNER: "Inner",
    LinkType.OUTER: "LeftOuter",
    LinkType.NATURAL: "Natural",
    LinkType.MATCH_FIRST_ROW: "MatchFirstRowUsingCrossApply",
    LinkType.IN: "In",
    LinkType.EXISTS: "Exists",
    LinkType.ANY: "Any",
    LinkType.NOT_ANY: "NotAny",
    LinkType.ALL: "All",
    LinkType.NOT_ALL: "NotAll",
}


def write_query_expression(query: Query) -> Json:
    """Return the query as a QueryExpression. Raises QueryError for what that cannot say."""
    if query.aggregate_limit != MAX_AGGREGATED:
        raise _unsayable("aggregatelimit")
    written: Json = {
        "EntityName": query.entity,
        "ColumnSet": _columns(query.columns),
        "Criteria": _criteria(query.where),
        "Distinct": query.is_distinct,
        "NoLock": False,
        "LinkEntities": [_link(query.entity, link) for link in query.links],
        "Orders": [_order(order) for order in query.orders],
    }
    if query.top is not None:
        return {**written, "TopCount": query.top}
    page = query.paging
    return {
        **written,
        "PageInfo": {
            "PageNumber": page.number,
            "Count": page.size,
            "PagingCookie": page.cookie,
            "ReturnTotalRecordCount": query.counts,
        },
    }


def _columns(columns: Sequence[Column] | None) -> Json:
    if columns is None:
        return {"AllColumns": True, "Columns": [], "AttributeExpressions": []}
    plain = [each for each in columns if each.alias is None and each.aggregate is None and not each.is_group]
    return {
        "AllColumns": False,
        "Columns": [each.attribute for each in plain],
        "AttributeExpressions": [_expression(each) for each in columns if each not in plain],
    }


def _expression(column: Column) -> Json:
    if column.distinct:
        raise _unsayable('distinct="true" on an attribute')
    if column.counts_children:
        raise _unsayable("rowaggregate")
    return {
        "AttributeName": column.attribute,
        "Alias": column.alias,
        "AggregateType": "None" if column.aggregate is None else _pascal(column.aggregate.name),
        "HasGroupBy": column.is_group,
        "DateTimeGrouping": "None" if column.date_grouping is None else _pascal(column.date_grouping.name),
    }


def _criteria(where: Filter | None) -> Json:
    if where is None:
        return _filter(AllOf(()))
    return _filter(where if isinstance(where, AllOf | AnyOf) else AllOf((where,)))


def _filter(where: AllOf | AnyOf) -> Json:
    written: Json = {
        "FilterOperator": "And" if isinstance(where, AllOf) else "Or",
        "Conditions": [],
        "Filters": [],
    }
    for member in where.members:
        match member:
            case Condition():
                written["Conditions"].append(_condition(member))
            case AllOf() | AnyOf():
                written["Filters"].append(_filter(member))
            case Related(link):
                # A filter has room for one; each further one gets a filter of its own.
                home = written if "AnyAllFilterLinkEntity" not in written else _filter(AllOf(()))
                home["AnyAllFilterLinkEntity"] = _link(None, link)
                if home is not written:
                    written["Filters"].append(home)
            case Not():
                raise _unsayable("not")
    return written


def _condition(condition: Condition) -> Json:
    written: Json = {"AttributeName": condition.attribute, "Operator": condition.operator.sdk_name}
    if condition.link is not None:
        written["EntityName"] = condition.link
    if condition.other_attribute is None:
        return {**written, "Values": [_value(value) for value in condition.values]}
    prefix = "" if condition.other_link in {None, condition.link} else f"{condition.other_link}."
    other = {"Value": f"{prefix}{condition.other_attribute}", "Type": "System.String"}
    return {**written, "CompareColumns": True, "Values": [other]}


def _link(parent: str | None, link: Link) -> Json:
    written: Json = {} if parent is None else {"LinkFromEntityName": parent}
    return {
        **written,
        "LinkFromAttributeName": link.to_attribute,
        "LinkToEntityName": link.entity,
        "LinkToAttributeName": link.from_attribute,
        "JoinOperator": _JOINS[link.type],
        "EntityAlias": link.alias,
        "Columns": _columns(link.columns),
        "LinkCriteria": _criteria(link.where),
        "LinkEntities": [_link(link.entity, each) for each in link.links],
        "Orders": [_order(order) for order in link.orders],
    }


def _order(order: Order) -> Json:
    way = "Descending" if order.descending else "Ascending"
    if order.is_alias:
        return {"Alias": order.attribute, "OrderType": way}
    written: Json = {"AttributeName": order.attribute, "OrderType": way}
    return written if order.link is None else {**written, "EntityName": order.link}


def _value(value: RecordValue) -> Json:
    match value:
        case bool():
            return {"Value": "true" if value else "false", "Type": "System.Boolean"}
        case int():
            return {"Value": str(value), "Type": "System.Int32" if abs(value) < 2**31 else "System.Int64"}
        case Decimal():
            return {"Value": str(value), "Type": "System.Decimal"}
        case float():
            return {"Value": repr(value), "Type": "System.Double"}
        case datetime():
            return {"Value": value.isoformat().replace("+00:00", "Z"), "Type": "System.DateTime"}
        case date():
            return {"Value": value.isoformat(), "Type": "System.DateTime"}
        case UUID():
            return {"Value": str(value), "Type": "System.Guid"}
        case Reference():
            return {"Value": str(value.id), "Type": "System.Guid"}
        case str():
            return {"Value": value, "Type": "System.String"}


def _pascal(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _unsayable(what: str) -> QueryError:
    return QueryError(
        f"A QueryExpression cannot say {what}; take it out of the query.",
        OrganizationErrorCode.CONDITION_OPERATOR_UNSUPPORTED,
    )
