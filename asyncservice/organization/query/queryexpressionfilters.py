"""The inside of a QueryExpression: columns, filters, conditions, links and orders."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.checks import MAX_DEPTH, column_alias, too_deep
from asyncservice.organization.query.coercion import Raw
from asyncservice.organization.query.conditions import compare, compare_columns
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.linknames import LinkNames
from asyncservice.organization.query.model import (
    Aggregate,
    AllOf,
    AnyOf,
    Column,
    Condition,
    DateGrouping,
    Filter,
    Link,
    LinkType,
    Order,
    Related,
)
from asyncservice.organization.query.operators import Operator, by_sdk_name
from asyncservice.organization.query.queryexpressionjson import Node, placed
from asyncservice.organization.query.relating import both_ends
from asyncservice.organization.schema.attributes import AttributeType
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity

_COLUMN_SET: Final = frozenset({"AllColumns", "Columns", "AttributeExpressions", "ExtensionData"})
_EXPRESSION: Final = frozenset(
    {"AttributeName", "AggregateType", "Alias", "HasGroupBy", "DateTimeGrouping", "ExtensionData"}
)
_FILTER: Final = frozenset(
    {
        *("FilterOperator", "Conditions", "Filters", "AnyAllFilterLinkEntity", "IsQuickFindFilter"),
        *("FilterHint", "ExtensionData"),
    }
)
_CONDITION: Final = frozenset({"EntityName", "AttributeName", "Operator", "Values", "CompareColumns", "ExtensionData"})
_LINK: Final = frozenset(
    {
        *("LinkFromEntityName", "LinkFromAttributeName", "LinkToEntityName", "LinkToAttributeName", "JoinOperator"),
        *("LinkCriteria", "LinkEntities", "Columns", "EntityAlias", "Orders", "ForceSeek", "ExtensionData"),
    }
)
_ORDER: Final = frozenset({"AttributeName", "OrderType", "Alias", "EntityName", "ExtensionData"})
_VALUE: Final = frozenset({"Value", "Type", "ExtensionData"})

_LOGICAL: Final = ("And", "Or")
_DIRECTIONS: Final = ("Ascending", "Descending")
#: Dataverse's names of the joins; their numbers are the places.
_JOINS: Final[Mapping[str, LinkType]] = {
    "Inner": LinkType.INNER,
    "LeftOuter": LinkType.OUTER,
    "Natural": LinkType.NATURAL,
    "MatchFirstRowUsingCrossApply": LinkType.MATCH_FIRST_ROW,
    "In": LinkType.IN,
    "Exists": LinkType.EXISTS,
    "Any": LinkType.ANY,
    "NotAny": LinkType.NOT_ANY,
    "All": LinkType.ALL,
    "NotAll": LinkType.NOT_ALL,
}
_AGGREGATES: Final[Mapping[str, Aggregate | str]] = {
    "None": "",
    "Count": Aggregate.COUNT,
    "CountColumn": Aggregate.COUNT_COLUMN,
    "Sum": Aggregate.SUM,
    "Avg": Aggregate.AVG,
    "Min": Aggregate.MIN,
    "Max": Aggregate.MAX,
}
_GROUPINGS: Final[Mapping[str, DateGrouping | str]] = {
    "None": "",
    "Day": DateGrouping.DAY,
    "Week": DateGrouping.WEEK,
    "Month": DateGrouping.MONTH,
    "Quarter": DateGrouping.QUARTER,
    "Year": DateGrouping.YEAR,
    "FiscalPeriod": DateGrouping.FISCAL_PERIOD,
    "FiscalYear": DateGrouping.FISCAL_YEAR,
}
_WITHOUT_COLUMNS: Final = frozenset({LinkType.IN, LinkType.EXISTS})


def _numbered[M](members: Mapping[str, M]) -> dict[int, M]:
    return dict(enumerate(members.values()))


def raw_value(value: object) -> Raw | None:
    """Return a value of a condition, whether it is bare or `{"Value", "Type"}`. Raises QueryError for no scalar."""
    if isinstance(value, Mapping):
        if unknown := sorted(name for name in value if "@" not in str(name) and name not in _VALUE):
            raise QueryError(
                f"A value has a Value and a Type, and no {unknown[0]}.", OrganizationErrorCode.INVALID_PROPERTY_VALUE
            )
        value = value.get("Value")
    if value is None or isinstance(value, str | int | float | bool | Decimal):
        return value
    raise QueryError(
        "A value is a text, a number, true, false, or an object with a Value of these.",
        OrganizationErrorCode.INVALID_PROPERTY_VALUE,
    )


class FilterReader:
    """Reads the parts of one query; the links are named first, since conditions may name a link that comes later."""

    def __init__(self, names: LinkNames, catalog: Catalog) -> None:
        self._names, self._catalog = names, catalog
        #: By the place in the JSON.
        self._aliases: dict[str, str] = {}
        self._column_aliases: set[str] = set()
        self.is_aggregate = False

    def name_links(self, node: Node) -> None:
        """Give every link of the query its alias; those in filters last, since no result shows theirs."""
        for link, _ in sorted(_links(node, "Criteria", in_filter=False, depth=0), key=lambda each: each[1]):
            with placed(link.child("LinkToEntityName")):
                linked = self._catalog.entity(link.text("LinkToEntityName"))
            with placed(link.child("EntityAlias")):
                self._aliases[link.path] = self._names.add(linked, link.text_or_none("EntityAlias"))

    def columns(self, node: Node | None, entity: Entity) -> tuple[Column, ...] | None:
        """Return what a ColumnSet selects: nothing but the key when there is none. Raises QueryError."""
        if node is None:
            return ()
        node.allow(_COLUMN_SET)
        if node.flag("AllColumns"):
            return None
        columns: list[Column] = []
        for position, name in enumerate(node.items("Columns")):
            with placed(f"{node.child('Columns')}[{position}]"):
                column = Column(attribute=entity.attribute(str(name)).name)
            if column not in columns:
                columns.append(column)
        columns += [self._expression(each, entity) for each in node.nodes("AttributeExpressions")]
        return tuple(columns)

    def _expression(self, node: Node, entity: Entity) -> Column:
        node.allow(_EXPRESSION)
        with placed(node.child("AttributeName")):
            attribute = entity.attribute(node.text("AttributeName"))
        code = OrganizationErrorCode.INVALID_AGGREGATE
        aggregate = node.member("AggregateType", _AGGREGATES, _numbered(_AGGREGATES), "", code)
        code = OrganizationErrorCode.INVALID_DATE_GROUPING
        grouping = node.member("DateTimeGrouping", _GROUPINGS, _numbered(_GROUPINGS), "", code)
        with placed(node.child("Alias")):
            alias = column_alias(node.text_or_none("Alias"))
        column = Column(
            attribute=attribute.name,
            alias=alias,
            aggregate=Aggregate(aggregate) if aggregate else None,
            is_group=node.flag("HasGroupBy"),
            date_grouping=DateGrouping(grouping) if grouping else None,
        )
        self.is_aggregate |= column.aggregate is not None or column.is_group
        if alias is not None:
            self._column_aliases.add(alias)
        return column

    def criteria(self, node: Node | None, entity: Entity, *, depth: int = 0) -> Filter | None:
        """Return a FilterExpression; None when there is none or it says nothing. Raises QueryError."""
        if node is None:
            return None
        found = self._filter(node, entity, depth)
        return found if found.members else None

    def _filter(self, node: Node, entity: Entity, depth: int) -> AllOf | AnyOf:
        if depth > MAX_DEPTH:
            raise too_deep()
        node.allow(_FILTER)
        logical = node.member(
            "FilterOperator",
            {name: name for name in _LOGICAL},
            dict(enumerate(_LOGICAL)),
            "And",
            OrganizationErrorCode.INVALID_LOGICAL_OPERATOR,
        )
        members: list[Filter] = [self._condition(each, entity) for each in node.nodes("Conditions")]
        members += [self._filter(each, entity, depth + 1) for each in node.nodes("Filters")]
        related = node.node("AnyAllFilterLinkEntity")
        if related is not None:
            members.append(Related(self._link(related, entity, in_filter=True, depth=depth + 1)))
        return AllOf(tuple(members)) if logical == "And" else AnyOf(tuple(members))

    def _condition(self, node: Node, entity: Entity) -> Condition:
        node.allow(_CONDITION)
        link, owner = self._meant(node, entity)
        with placed(node.child("AttributeName")):
            attribute = owner.attribute(node.text("AttributeName"))
        operator = node.member(
            "Operator",
            by_sdk_name(),
            {each.value: each for each in Operator},
            Operator.EQUAL,
            OrganizationErrorCode.CONDITION_OPERATOR_UNSUPPORTED,
        )
        values = list(_values(node))
        if node.flag("CompareColumns"):
            with placed(node.path):
                if len(values) != 1:
                    raise node.error("has CompareColumns and must have one value, the name of a column")
                alias, _, name = str(values[0]).rpartition(".")
                other_link, other = self._names.find(alias) if alias else (link, owner)
                return compare_columns(attribute, operator, other.attribute(name), link=link, other_link=other_link)
        with placed(node.path):
            return compare(attribute, operator, values, link=link)

    def links(self, node: Node, entity: Entity, *, depth: int = 0) -> tuple[Link, ...]:
        """Return the LinkEntities of a query or a link. Raises QueryError."""
        return tuple(self._link(each, entity, in_filter=False, depth=depth) for each in node.nodes("LinkEntities"))

    def _link(self, node: Node, parent: Entity, *, in_filter: bool, depth: int) -> Link:
        if depth > MAX_DEPTH:
            raise too_deep()
        node.allow(_LINK)
        code = OrganizationErrorCode.JOIN_OPERATOR_UNSUPPORTED
        default = LinkType.ANY if in_filter else LinkType.INNER
        kind = node.member("JoinOperator", _JOINS, _numbered(_JOINS), default, code)
        if kind.is_filter is not in_filter:
            where = "as an AnyAllFilterLinkEntity only" if kind.is_filter else "among LinkEntities only"
            raise node.error(f"has a JoinOperator that can stand {where}", code)
        said = node.text_or_none("LinkFromEntityName")
        if said not in {None, parent.name}:
            raise node.error(
                f"begins at '{said}', but stands under '{parent.name}'", OrganizationErrorCode.ENTITIES_DO_NOT_MATCH
            )
        alias = self._aliases[node.path]
        entity = self._names.entity(alias)
        near, far = node.text_or_none("LinkFromAttributeName"), node.text_or_none("LinkToAttributeName")
        with placed(node.path):
            near, far = both_ends(self._catalog, parent, entity, to=near, source=far)
        columns = self.columns(node.node("Columns"), entity)
        return Link(
            entity=entity.name,
            from_attribute=far,
            to_attribute=near,
            alias=alias,
            type=kind,
            columns=() if kind.is_filter or kind in _WITHOUT_COLUMNS else columns,
            where=self.criteria(node.node("LinkCriteria"), entity, depth=depth + 1),
            links=self.links(node, entity, depth=depth + 1),
            orders=self.orders(node, entity),
        )

    def orders(self, node: Node, entity: Entity) -> tuple[Order, ...]:
        """Return the Orders of a query or a link. Raises QueryError."""
        return tuple(self._order(each, entity) for each in node.nodes("Orders"))

    def _order(self, node: Node, entity: Entity) -> Order:
        node.allow(_ORDER)
        way = node.member(
            "OrderType",
            {name: name for name in _DIRECTIONS},
            dict(enumerate(_DIRECTIONS)),
            "Ascending",
            OrganizationErrorCode.INVALID_DESCENDING,
        )
        alias = node.text_or_none("Alias")
        if alias is not None and self.is_aggregate:
            if alias not in self._column_aliases:
                raise node.error(
                    f"names the alias '{alias}', which no column has", OrganizationErrorCode.ALIAS_DOES_NOT_EXIST
                )
            return Order(attribute=alias, descending=way == "Descending", is_alias=True)
        if self.is_aggregate:
            raise node.error(
                "must name an Alias: an aggregate query is ordered by these", OrganizationErrorCode.INVALID_AGGREGATE
            )
        link, owner = self._meant(node, entity)
        with placed(node.child("AttributeName")):
            attribute = owner.attribute(node.text("AttributeName"))
        by_label = attribute.type.is_choice or attribute.type is AttributeType.BOOLEAN
        return Order(attribute=attribute.name, descending=way == "Descending", link=link, by_label=by_label)

    def _meant(self, node: Node, entity: Entity) -> tuple[str | None, Entity]:
        """Return the link (None: where it stands) and the entity that EntityName means."""
        name = node.text_or_none("EntityName")
        # Some clients name the entity that the condition stands in.
        if name is None or (name == entity.name and not self._names.has(name)):
            return None, entity
        with placed(node.child("EntityName")):
            return self._names.find(name)


def _values(node: Node) -> Iterator[Raw]:
    for position, item in enumerate(node.items("Values")):
        path = f"{node.child('Values')}[{position}]"
        with placed(path):
            value = raw_value(item)
            if value is None:
                raise Node(path, {}).error(
                    "is null; use the operator Null or NotNull", OrganizationErrorCode.BAD_CONDITION
                )
        yield value


def _links(node: Node, criteria: str, *, in_filter: bool, depth: int) -> Iterator[tuple[Node, bool]]:
    """Yield every link below a query or link, and whether it stands in a filter."""
    if depth > MAX_DEPTH:
        raise too_deep()
    for link in node.nodes("LinkEntities"):
        yield link, in_filter
        yield from _links(link, "LinkCriteria", in_filter=in_filter, depth=depth + 1)
    where = node.node(criteria)
    if where is not None:
        yield from _links_of_filter(where, depth + 1)


def _links_of_filter(node: Node, depth: int) -> Iterator[tuple[Node, bool]]:
    if depth > MAX_DEPTH:
        raise too_deep()
    related = node.node("AnyAllFilterLinkEntity")
    if related is not None:
        yield related, True
        yield from _links(related, "LinkCriteria", in_filter=True, depth=depth + 1)
    for inner in node.nodes("Filters"):
        yield from _links_of_filter(inner, depth + 1)
