"""FetchXML to queries (reference queries, sections 6 to 8).

The links are named in a first pass over the elements, since a condition may name a link that comes after it. What
Dataverse ignores is ignored: attributes nobody knows, and columns of links that only say yes or no.
"""

from collections.abc import Callable, Iterator
from typing import Final
from xml.etree.ElementTree import Element

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.checks import checked, column_alias, date_grouping
from asyncservice.organization.query.coercion import Raw
from asyncservice.organization.query.conditions import compare, compare_columns
from asyncservice.organization.query.cookies import read_position
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.fetchxmltext import flag, needed, number, parse, unexpected
from asyncservice.organization.query.linknames import LinkNames
from asyncservice.organization.query.model import (
    MAX_AGGREGATED,
    MAX_PAGE,
    Aggregate,
    AllOf,
    AnyOf,
    Column,
    Condition,
    Filter,
    Link,
    LinkType,
    Order,
    Paging,
    Query,
    Related,
)
from asyncservice.organization.query.operators import Operator, by_fetch_name
from asyncservice.organization.query.relating import both_ends
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity

_GREATEST: Final = 2**31 - 1
_LONGEST_CODE: Final = 10
_WITHOUT_COLUMNS: Final = frozenset({LinkType.IN, LinkType.EXISTS})


def read_fetch(xml: str, catalog: Catalog) -> Query:
    """Return the query that FetchXML describes.

    Raises QueryError for text that is none, NoSuchEntity and NoSuchAttribute for names that do not exist.
    """
    fetch = parse(xml)
    if fetch.tag != "fetch":
        raise QueryError(f"FetchXML begins with <fetch>, not with <{fetch.tag}>.", OrganizationErrorCode.INVALID_NODE)
    entities = [child for child in fetch if child.tag == "entity"]
    if len(entities) != 1 or len(fetch) != 1:
        raise QueryError(
            "A <fetch> holds one <entity> and nothing else.",
            OrganizationErrorCode.INVALID_NODE if len(fetch) else OrganizationErrorCode.ELEMENT_NOT_FOUND,
        )
    return checked(_Reader(fetch, entities[0], catalog).query(), catalog)


class _Reader:
    """Reads one query."""

    def __init__(self, fetch: Element, root: Element, catalog: Catalog) -> None:
        self._fetch, self._root, self._catalog = fetch, root, catalog
        self._entity = catalog.entity(needed(root, "name"))
        self._is_aggregate = flag(fetch, "aggregate", OrganizationErrorCode.INVALID_AGGREGATE)
        self._by_number = flag(fetch, "useraworderby", OrganizationErrorCode.INVALID_RAW_ORDER_BY)
        self._names = LinkNames(self._entity)
        #: The alias of each link, by element.
        self._aliases: dict[Element, str] = {}
        # Those that bring columns come first, since their made-up aliases are seen in results.
        for link in sorted(_links(root), key=lambda each: each[1]):
            entity = catalog.entity(needed(link[0], "name"))
            self._aliases[link[0]] = self._names.add(entity, link[0].get("alias") or None)

    def query(self) -> Query:
        """Return the whole query."""
        fetch = self._fetch
        flag(fetch, "no-lock", OrganizationErrorCode.INVALID_NO_LOCK)
        if fetch.get("mapping", "logical") not in {"logical", "internal"}:
            raise QueryError("The only mapping is 'logical'.", OrganizationErrorCode.INVALID_MAPPING)
        is_distinct = flag(fetch, "distinct", OrganizationErrorCode.INVALID_DISTINCT)
        if is_distinct and self._root.find("no-attrs") is not None:
            raise QueryError(
                "<no-attrs/> leaves nothing to be distinct.", OrganizationErrorCode.NO_ATTRIBUTES_WITH_DISTINCT
            )
        top = number(fetch, "top", fewest=1, most=MAX_PAGE)
        counts = flag(fetch, "returntotalrecordcount", OrganizationErrorCode.INVALID_FETCH_XML)
        paged = [name for name in ("count", "page", "paging-cookie") if fetch.get(name) is not None]
        if top is not None and (paged or counts):
            raise QueryError(
                f"'top' cannot stand beside '{[*paged, 'returntotalrecordcount'][0]}'; leave one of them out.",
                OrganizationErrorCode.INVALID_FETCH_XML,
            )
        _check_children(self._root, {"attribute", "all-attributes", "no-attrs", "order", "filter", "link-entity"})
        limit = number(fetch, "aggregatelimit", fewest=1, most=_GREATEST)
        return Query(
            entity=self._entity.name,
            columns=self._columns(self._root, self._entity, of_nothing=None),
            where=self._where(self._root, self._entity),
            links=self._links(self._root, self._entity),
            orders=self._orders(self._root, self._entity),
            top=top,
            paging=self._paging(),
            is_distinct=is_distinct,
            is_aggregate=self._is_aggregate,
            aggregate_limit=MAX_AGGREGATED if limit is None else min(limit, MAX_AGGREGATED),
            counts=counts,
        )

    def _paging(self) -> Paging:
        # 0 is what clients send that want the default.
        size = number(self._fetch, "count", fewest=0, most=_GREATEST) or MAX_PAGE
        page = number(self._fetch, "page", fewest=1, most=_GREATEST) or 1
        cookie = self._fetch.get("paging-cookie")
        return Paging(number=page, size=min(size, MAX_PAGE), cookie=read_position(cookie) if cookie else None)

    def _columns(
        self, parent: Element, entity: Entity, *, of_nothing: tuple[Column, ...] | None
    ) -> tuple[Column, ...] | None:
        if parent.find("all-attributes") is not None:
            if self._is_aggregate:
                raise QueryError(
                    "<all-attributes/> cannot stand in an aggregate query.",
                    OrganizationErrorCode.ATTRIBUTE_WITH_AGGREGATE,
                )
            return None
        if parent.find("no-attrs") is not None:
            return ()
        columns = tuple(self._column(child, entity) for child in parent.findall("attribute"))
        if columns:
            return columns
        return () if self._is_aggregate else of_nothing

    def _column(self, element: Element, entity: Entity) -> Column:
        _check_children(element, set())
        attribute = entity.attribute(needed(element, "name"))
        grouping, aggregate = element.get("dategrouping"), element.get("aggregate")
        distinct = flag(element, "distinct", OrganizationErrorCode.INVALID_DISTINCT)
        counts_children = element.get("rowaggregate")
        if counts_children is not None and counts_children.lower() != "countchildren":
            raise QueryError(
                f"The only rowaggregate is 'CountChildren', not '{counts_children}'.",
                OrganizationErrorCode.INVALID_AGGREGATE,
            )
        column = Column(
            attribute=attribute.name,
            alias=column_alias(element.get("alias")),
            aggregate=None if aggregate is None else _aggregate(aggregate),
            distinct=distinct,
            is_group=flag(element, "groupby", OrganizationErrorCode.INVALID_GROUP_BY),
            date_grouping=None if grouping is None else date_grouping(grouping),
            counts_children=counts_children is not None,
        )
        if column.counts_children and column.alias is None:
            raise QueryError("A column with a rowaggregate needs an alias.", OrganizationErrorCode.INVALID_ALIAS)
        if distinct and column.aggregate is not Aggregate.COUNT_COLUMN:
            raise QueryError(
                f"'distinct' on the column '{attribute.name}' goes with aggregate='countcolumn' only.",
                OrganizationErrorCode.INVALID_DISTINCT,
            )
        return column

    def _orders(self, parent: Element, entity: Entity) -> tuple[Order, ...]:
        return tuple(self._order(child, entity) for child in parent.findall("order"))

    def _order(self, element: Element, entity: Entity) -> Order:
        _check_children(element, set())
        descending = flag(element, "descending", OrganizationErrorCode.INVALID_DESCENDING)
        name, alias = element.get("attribute"), element.get("alias")
        if alias:
            if not self._is_aggregate:
                raise QueryError(
                    f"An alias ('{alias}') orders aggregate queries only; name the attribute.",
                    OrganizationErrorCode.ORDER_NEEDS_ATTRIBUTE,
                )
            if all(column.get("alias") != alias for column in self._root.iter("attribute")):
                raise QueryError(
                    f"The query has no column with the alias '{alias}' to be ordered by.",
                    OrganizationErrorCode.ALIAS_DOES_NOT_EXIST,
                )
            return Order(attribute=alias, descending=descending, is_alias=True)
        if not name:
            raise QueryError(
                "An <order> needs the attribute 'attribute' (in an aggregate query: 'alias').",
                OrganizationErrorCode.ORDER_NEEDS_ATTRIBUTE,
            )
        if self._is_aggregate:
            raise QueryError(
                f"An aggregate query is ordered by alias; give <order> the alias of '{name}' instead of its name.",
                OrganizationErrorCode.INVALID_AGGREGATE,
            )
        link, owner = self._meant(element.get("entityname"), entity)
        attribute = owner.attribute(name)
        return Order(
            attribute=name, descending=descending, link=link, by_label=not self._by_number and _has_labels(attribute)
        )

    def _links(self, parent: Element, entity: Entity) -> tuple[Link, ...]:
        return tuple(self._link(child, entity, in_filter=False) for child in parent.findall("link-entity"))

    def _link(self, element: Element, parent: Entity, *, in_filter: bool) -> Link:
        kind = _link_type(element, in_filter=in_filter)
        alias = self._aliases[element]
        entity = self._names.entity(alias)
        _check_children(element, {"attribute", "all-attributes", "no-attrs", "order", "filter", "link-entity"})
        near, far = both_ends(self._catalog, parent, entity, to=element.get("to"), source=element.get("from"))
        columns = self._columns(element, entity, of_nothing=())
        return Link(
            entity=entity.name,
            from_attribute=far,
            to_attribute=near,
            alias=alias,
            type=kind,
            columns=() if kind.is_filter or kind in _WITHOUT_COLUMNS else columns,
            where=self._where(element, entity),
            links=self._links(element, entity),
            orders=self._orders(element, entity),
        )

    def _where(self, parent: Element, entity: Entity) -> Filter | None:
        """Return what the filters of an element say together; None when they say nothing."""
        filters = tuple(self._filter(child, entity) for child in parent.findall("filter"))
        if len(filters) > 1:
            return AllOf(filters)
        return filters[0] if filters else None

    def _filter(self, element: Element, entity: Entity) -> Filter:
        kind = element.get("type", "and").strip().lower()
        if kind not in {"and", "or"}:
            raise QueryError(
                f"The type of a <filter> is 'and' or 'or', not '{kind}'.", OrganizationErrorCode.FILTER_TYPE_UNSUPPORTED
            )
        members = tuple(self._member(child, element, entity) for child in element)
        return AllOf(members) if kind == "and" else AnyOf(members)

    def _member(self, child: Element, parent: Element, entity: Entity) -> Filter:
        match child.tag:
            case "condition":
                return self._condition(child, entity)
            case "filter":
                return self._filter(child, entity)
            case "link-entity":
                return Related(self._link(child, entity, in_filter=True))
            case _:
                raise unexpected(child, parent)

    def _condition(self, element: Element, entity: Entity) -> Condition:
        _check_children(element, {"value"})
        for name in ("aggregate", "rowaggregate"):
            if element.get(name) is not None:
                raise QueryError(
                    f"A <condition> on an aggregate ('{name}') is not supported; filter the rows, or the answer.",
                    OrganizationErrorCode.BAD_CONDITION,
                )
        link, owner = self._meant(element.get("entityname"), entity)
        attribute = owner.attribute(needed(element, "attribute"))
        operator = _operator(needed(element, "operator"))
        other = element.get("valueof")
        if other is not None:
            return self._comparison(attribute, operator, other, link=link, entity=entity)
        return compare(attribute, operator, tuple(_values(element, attribute, self._type_name)), link=link)

    def _comparison(
        self, attribute: Attribute, operator: Operator, other: str, *, link: str | None, entity: Entity
    ) -> Condition:
        alias, _, name = other.rpartition(".")
        if alias:
            other_link, owner = self._meant(alias, entity)
        else:
            other_link, owner = link, entity if link is None else self._names.entity(link)
        return compare_columns(attribute, operator, owner.attribute(name), link=link, other_link=other_link)

    def _meant(self, name: str | None, entity: Entity) -> tuple[str | None, Entity]:
        """Return the link (None: where it stands) and the entity that `entityname` means."""
        if not name:
            return None, entity
        if self._names.is_root(name):
            if entity is not self._entity:
                raise QueryError(
                    f"A condition in a link cannot name the query's own entity '{name}'; put it into its own filter.",
                    OrganizationErrorCode.ALIAS_MISSING,
                )
            return None, entity
        return self._names.find(name)

    def _type_name(self, text: str) -> str:
        """Return the logical name of a type code, which older clients send for columns that hold names of entities."""
        plain = text.strip()
        if plain.isascii() and plain.isdigit() and len(plain) < _LONGEST_CODE:
            return self._catalog.by_type_code(int(plain)).name
        return text


def _links(element: Element, *, in_filter: bool = False) -> Iterator[tuple[Element, bool]]:
    """Yield every link in the order of the text, and whether it stands in a filter."""
    for child in element:
        if child.tag == "link-entity":
            yield child, in_filter
        yield from _links(child, in_filter=in_filter or child.tag == "filter")


def _values(element: Element, attribute: Attribute, type_name: Callable[[str], str]) -> Iterator[Raw]:
    children = [child.text or "" for child in element.findall("value")]
    single = element.get("value")
    for text in children if single is None else [single, *children]:
        yield type_name(text) if attribute.type is AttributeType.ENTITY_NAME else text


def _operator(name: str) -> Operator:
    found = by_fetch_name().get(name.strip().lower())
    if found is None:
        raise QueryError(
            f"FetchXML has no operator '{name}'; there are {', '.join(sorted(by_fetch_name()))}.",
            OrganizationErrorCode.CONDITION_OPERATOR_UNSUPPORTED,
        )
    return found


def _aggregate(name: str) -> Aggregate:
    try:
        return Aggregate(name.strip().lower())
    except ValueError:
        raise QueryError(
            f"There is no aggregate '{name}'; there are {', '.join(Aggregate)}.",
            OrganizationErrorCode.INVALID_AGGREGATE,
        ) from None


def _link_type(element: Element, *, in_filter: bool) -> LinkType:
    name = element.get("link-type")
    if name is None and in_filter:
        raise QueryError(
            "A <link-entity> in a <filter> needs a link-type: any, not any, all or not all.",
            OrganizationErrorCode.INVALID_LINK_TYPE,
        )
    try:
        kind = LinkType((name or LinkType.INNER).strip().lower())
    except ValueError:
        raise QueryError(
            f"There is no link-type '{name}'; there are {', '.join(LinkType)}.", OrganizationErrorCode.INVALID_LINK_TYPE
        ) from None
    if kind.is_filter is not in_filter:
        place = "in a <filter> only" if kind.is_filter else "outside of filters only"
        raise QueryError(f"The link-type '{kind}' stands {place}.", OrganizationErrorCode.JOIN_OPERATOR_UNSUPPORTED)
    return kind


def _has_labels(attribute: Attribute) -> bool:
    return attribute.type.is_choice or attribute.type is AttributeType.BOOLEAN


def _check_children(element: Element, allowed: set[str]) -> None:
    for child in element:
        if child.tag not in allowed:
            raise unexpected(child, element)
