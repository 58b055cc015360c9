"""QueryExpression, FetchExpression and QueryByAttribute, as the Web API's JSON has them, to queries.

Reference queries, sections 1 and 2. Members of enumerations go by name or by number; values are `{Value, Type}` or
bare, and become what their column is compared with, whatever type they claim. Errors name the place in the JSON.
"""

from collections.abc import Mapping
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.checks import checked
from asyncservice.organization.query.conditions import compare
from asyncservice.organization.query.cookies import read_position
from asyncservice.organization.query.fetchxml import read_fetch
from asyncservice.organization.query.linknames import LinkNames
from asyncservice.organization.query.model import MAX_PAGE, AllOf, Filter, Paging, Query
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.queryexpressionfilters import FilterReader, raw_value
from asyncservice.organization.query.queryexpressionjson import Node, placed
from asyncservice.organization.schema.catalog import Catalog

_QUERY: Final = frozenset(
    {
        *("EntityName", "ColumnSet", "Criteria", "Distinct", "LinkEntities", "Orders", "PageInfo", "TopCount"),
        *("NoLock", "QueryHints", "DataSource", "ForceSeek", "SubQueryExpression", "ExtensionData"),
    }
)
_BY_ATTRIBUTE: Final = frozenset(
    {*("EntityName", "Attributes", "Values", "ColumnSet", "Orders", "PageInfo", "TopCount", "ExtensionData")}
)
_PAGE: Final = frozenset({"PageNumber", "Count", "PagingCookie", "ReturnTotalRecordCount", "ExtensionData"})
_GREATEST: Final = 2**31 - 1


def read_query_expression(value: Mapping[str, object], catalog: Catalog, *, path: str = "Query") -> Query:
    """Return the query that JSON describes; *path* is where it stands, for messages.

    The kind of query is said by `@odata.type`, and follows from the members where that is missing. Raises QueryError,
    for unknown tables and columns as well.
    """
    node = Node(path, value)
    kind = node.type_name()
    if kind == "FetchExpression" or (kind is None and node.has("Query") and not node.has("EntityName")):
        node.allow({"Query", "ExtensionData"})
        with placed(node.child("Query")):
            return read_fetch(node.text("Query"), catalog)
    if kind == "QueryByAttribute" or (kind is None and node.has("Attributes")):
        node.allow(_BY_ATTRIBUTE)
        return _by_attribute(node, catalog)
    if kind not in {None, "QueryExpression"}:
        raise node.error(f"is a {kind}; it can be a QueryExpression, a FetchExpression or a QueryByAttribute")
    node.allow(_QUERY)
    return _expression(node, catalog)


def _expression(node: Node, catalog: Catalog) -> Query:
    if node.get("SubQueryExpression") is not None:
        raise node.error("has a SubQueryExpression, which is not supported; use a LinkEntity with the JoinOperator In")
    with placed(node.child("EntityName")):
        entity = catalog.entity(node.text("EntityName"))
    names = LinkNames(entity)
    reader = FilterReader(names, catalog)
    reader.name_links(node)
    columns = reader.columns(node.node("ColumnSet"), entity)
    top, paging, counts = _paging(node)
    query = Query(
        entity=entity.name,
        columns=columns,
        where=reader.criteria(node.node("Criteria"), entity),
        links=reader.links(node, entity),
        orders=reader.orders(node, entity),
        top=top,
        paging=paging,
        is_distinct=node.flag("Distinct"),
        is_aggregate=reader.is_aggregate,
        counts=counts,
    )
    with placed(node.path):
        return checked(query, catalog)


def _by_attribute(node: Node, catalog: Catalog) -> Query:
    with placed(node.child("EntityName")):
        entity = catalog.entity(node.text("EntityName"))
    attributes, values = node.items("Attributes"), node.items("Values")
    if not attributes or len(attributes) != len(values):
        raise node.error(
            f"has {len(attributes)} Attributes and {len(values)} Values; there must be as many of one as of the other",
            OrganizationErrorCode.BY_ATTRIBUTE_MISMATCH,
        )
    conditions: list[Filter] = []
    for position, (name, given) in enumerate(zip(attributes, values, strict=True)):
        with placed(f"{node.child('Attributes')}[{position}]"):
            attribute = entity.attribute(str(name))
        with placed(f"{node.child('Values')}[{position}]"):
            raw = raw_value(given)
            conditions.append(
                compare(attribute, Operator.NULL) if raw is None else compare(attribute, Operator.EQUAL, [raw])
            )
    reader = FilterReader(LinkNames(entity), catalog)
    columns = reader.columns(node.node("ColumnSet"), entity)
    top, paging, counts = _paging(node)
    query = Query(
        entity=entity.name,
        columns=columns,
        where=AllOf(tuple(conditions)),
        orders=reader.orders(node, entity),
        top=top,
        paging=paging,
        is_aggregate=reader.is_aggregate,
        counts=counts,
    )
    with placed(node.path):
        return checked(query, catalog)


def _paging(node: Node) -> tuple[int | None, Paging, bool]:
    """Return the top, the page, and whether rows are counted."""
    top = node.number("TopCount", fewest=0, most=_GREATEST) or None
    info = node.node("PageInfo")
    if info is None:
        return _bounded(top), Paging(), False
    info.allow(_PAGE)
    size = info.number("Count", fewest=0, most=_GREATEST) or 0
    page = info.number("PageNumber", fewest=0, most=_GREATEST) or 1
    cookie = info.get("PagingCookie")
    if top is not None and (size or page > 1 or cookie):
        raise node.error("has a TopCount and a PageInfo; leave one of them out")
    with placed(info.child("PagingCookie")):
        position = read_position(str(cookie)) if cookie else None
    paging = Paging(number=page, size=min(size or MAX_PAGE, MAX_PAGE), cookie=position)
    return _bounded(top), paging, info.flag("ReturnTotalRecordCount")


def _bounded(top: int | None) -> int | None:
    return None if top is None else min(top, MAX_PAGE)
