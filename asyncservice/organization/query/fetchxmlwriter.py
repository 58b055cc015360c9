"""Queries to FetchXML: how a bulk deletion keeps the query it was given (bulkdeleteoperation.orderedquerysetxml).

What is written reads to the same query again. FetchXML has no `not` and no words for a few operators; those are
written as others that mean the same, and what cannot be said at all is refused.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID
from xml.etree.ElementTree import Element, SubElement, tostring

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import (
    MAX_AGGREGATED,
    MAX_PAGE,
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
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.text import literal
from asyncservice.organization.values import RecordValue, Reference

#: Operators that mean the opposite of each other, null rows included.
_OPPOSITES: Final[Mapping[Operator, Operator]] = {
    one: other
    for pair in (
        (Operator.EQUAL, Operator.NOT_EQUAL),
        (Operator.LIKE, Operator.NOT_LIKE),
        (Operator.IN, Operator.NOT_IN),
        (Operator.BETWEEN, Operator.NOT_BETWEEN),
        (Operator.NULL, Operator.NOT_NULL),
        (Operator.CONTAINS, Operator.DOES_NOT_CONTAIN),
        (Operator.ON, Operator.NOT_ON),
        (Operator.BEGINS_WITH, Operator.DOES_NOT_BEGIN_WITH),
        (Operator.ENDS_WITH, Operator.DOES_NOT_END_WITH),
        (Operator.CONTAIN_VALUES, Operator.DOES_NOT_CONTAIN_VALUES),
        (Operator.EQUAL_USER_ID, Operator.NOT_EQUAL_USER_ID),
        (Operator.EQUAL_BUSINESS_ID, Operator.NOT_EQUAL_BUSINESS_ID),
    )
    for one, other in (pair, pair[::-1])
}


def write_fetch(query: Query) -> str:
    """Return the query as FetchXML. Raises QueryError for a filter that FetchXML has no words for."""
    fetch = Element("fetch", {"version": "1.0", "mapping": "logical"})
    flags = {
        "distinct": query.is_distinct,
        "aggregate": query.is_aggregate,
        "returntotalrecordcount": query.counts,
    }
    for name, is_set in flags.items():
        if is_set:
            fetch.set(name, "true")
    if query.aggregate_limit != MAX_AGGREGATED:
        fetch.set("aggregatelimit", str(query.aggregate_limit))
    if query.top is not None:
        fetch.set("top", str(query.top))
    if query.paging.size != MAX_PAGE:
        fetch.set("count", str(query.paging.size))
    if query.paging.number != 1:
        fetch.set("page", str(query.paging.number))
    if query.paging.cookie is not None:
        fetch.set("paging-cookie", query.paging.cookie)
    entity = SubElement(fetch, "entity", {"name": query.entity})
    _write_body(entity, query.columns, query.where, query.links, query.orders)
    if not query.is_aggregate and _orders_by_number(query):
        fetch.set("useraworderby", "true")
    return tostring(fetch, encoding="unicode")


def _orders_by_number(query: Query) -> bool:
    """Whether no order goes by labels, which is what FetchXML does unless it is told otherwise."""
    orders, links = list(query.orders), list(query.links)
    while links:
        link = links.pop()
        orders += link.orders
        links += link.links
    return bool(orders) and not any(order.by_label for order in orders)


def _write_body(
    parent: Element,
    columns: Sequence[Column] | None,
    where: Filter | None,
    links: Sequence[Link],
    orders: Sequence[Order],
) -> None:
    if columns is None:
        SubElement(parent, "all-attributes")
    elif not columns and parent.tag == "entity":
        SubElement(parent, "no-attrs")
    for column in columns or ():
        _write_column(parent, column)
    for order in orders:
        element = SubElement(parent, "order", {"alias" if order.is_alias else "attribute": order.attribute})
        if order.descending:
            element.set("descending", "true")
        if order.link is not None:
            element.set("entityname", order.link)
    if where is not None:
        _write_filter(parent, where if isinstance(where, AllOf | AnyOf) else AllOf((where,)))
    for link in links:
        _write_link(parent, link)


def _write_column(parent: Element, column: Column) -> None:
    element = SubElement(parent, "attribute", {"name": column.attribute})
    if column.alias is not None:
        element.set("alias", column.alias)
    if column.aggregate is not None:
        element.set("aggregate", column.aggregate)
    if column.distinct:
        element.set("distinct", "true")
    if column.is_group:
        element.set("groupby", "true")
    if column.date_grouping is not None:
        element.set("dategrouping", column.date_grouping)
    if column.counts_children:
        element.set("rowaggregate", "CountChildren")


def _write_link(parent: Element, link: Link) -> None:
    element = SubElement(parent, "link-entity", {"name": link.entity})
    element.set("from", link.from_attribute)
    element.set("to", link.to_attribute)
    element.set("alias", link.alias)
    if link.type is not LinkType.INNER:
        element.set("link-type", link.type)
    _write_body(element, link.columns, link.where, link.links, link.orders)


def _write_filter(parent: Element, filter_: AllOf | AnyOf) -> None:
    element = SubElement(parent, "filter", {"type": "and" if isinstance(filter_, AllOf) else "or"})
    for member in filter_.members:
        _write_member(element, member)


def _write_member(parent: Element, member: Filter) -> None:
    match member:
        case Condition():
            _write_condition(parent, member)
        case AllOf() | AnyOf():
            _write_filter(parent, member)
        case Related(link):
            _write_link(parent, link)
        case Not(inner):
            _write_member(parent, _opposite(inner))


def _opposite(filter_: Filter) -> Filter:
    """Return the filter that holds where this one does not. Raises QueryError when there is none without `not`."""
    match filter_:
        case Not(inner):
            return inner
        case AllOf(members) if members:
            return AnyOf(tuple(_opposite(member) for member in members))
        case AnyOf(members) if members:
            return AllOf(tuple(_opposite(member) for member in members))
        case Condition(other_attribute=None) if filter_.operator in _OPPOSITES:
            return Condition(
                attribute=filter_.attribute,
                operator=_OPPOSITES[filter_.operator],
                values=filter_.values,
                link=filter_.link,
            )
        case _:
            what = filter_.operator.sdk_name if isinstance(filter_, Condition) else "this filter"
            raise QueryError(
                f"FetchXML cannot say 'not' of {what}; put it without 'not'.",
                OrganizationErrorCode.CONDITION_OPERATOR_UNSUPPORTED,
            )


def _write_condition(parent: Element, condition: Condition) -> None:
    match condition.operator:
        case Operator.CONTAINS:
            _write_condition(parent, _like(condition, Operator.LIKE))
            return
        case Operator.DOES_NOT_CONTAIN:
            _write_condition(parent, _like(condition, Operator.NOT_LIKE))
            return
        case Operator.NOT_ON:
            _write_filter(parent, _not_on(condition))
            return
        case _:
            pass
    element = SubElement(parent, "condition", {"attribute": condition.attribute})
    element.set("operator", str(condition.operator.fetch_name))
    if condition.link is not None:
        element.set("entityname", condition.link)
    if condition.other_attribute is not None:
        prefix = "" if condition.other_link is None else f"{condition.other_link}."
        element.set("valueof", f"{prefix}{condition.other_attribute}")
    if len(condition.values) == 1 and condition.operator.most == 1:
        element.set("value", _text(condition.values[0]))
        return
    for value in condition.values:
        SubElement(element, "value").text = _text(value)


def _like(condition: Condition, operator: Operator) -> Condition:
    pattern = f"%{literal(_text(condition.values[0]))}%"
    return Condition(attribute=condition.attribute, operator=operator, values=(pattern,), link=condition.link)


def _not_on(condition: Condition) -> AnyOf:
    """Return what is not on a day: it is before or after it, or there is no date at all."""
    (value,) = condition.values
    if not isinstance(value, date):
        raise QueryError("NotOn takes a date.", OrganizationErrorCode.QUERY_VALUE_INVALID)
    members = (
        Condition(attribute=condition.attribute, operator=operator, values=(value + step,), link=condition.link)
        for operator, step in (
            (Operator.ON_OR_BEFORE, timedelta(days=-1)),
            (Operator.ON_OR_AFTER, timedelta(days=1)),
        )
    )
    nothing = Condition(attribute=condition.attribute, operator=Operator.NULL, link=condition.link)
    return AnyOf((*members, nothing))


def _text(value: RecordValue) -> str:
    match value:
        case bool():
            return "1" if value else "0"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
        case Reference():
            return str(value.id)
        case _:
            return str(value)
