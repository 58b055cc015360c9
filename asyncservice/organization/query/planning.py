"""How a query is answered: what its filters say alone, which links can wait, where it is best begun. No I/O."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from asyncservice.organization.query.comparisons import takes_null
from asyncservice.organization.query.filters import ROOT, aliases, conditions, conjuncts, relations
from asyncservice.organization.query.joins import BARE, SINGLE, Columns
from asyncservice.organization.query.model import (
    AllOf,
    Asker,
    Condition,
    Filter,
    Link,
    LinkType,
    Query,
    Related,
)
from asyncservice.organization.query.ordering import all_orders
from asyncservice.organization.query.pushing import is_selective, key_ids, pushed
from asyncservice.organization.schema.catalog import Catalog

#: Types of links without a match of which a row does not stay.
_REQUIRED: Final = frozenset({LinkType.INNER, LinkType.NATURAL, LinkType.IN, LinkType.EXISTS})


def with_required_links(query: Query) -> Query:
    """Return the query with outer links made inner where the filter wants a value of them anyway.

    The wish is repeated inside the link, where it narrows what is read of the other table.
    """
    wishes: defaultdict[str, list[Filter]] = defaultdict(list)
    for where in conjuncts(query.where):
        if (
            isinstance(where, Condition)
            and where.link is not None
            and where.other_attribute is None
            and not takes_null(where.operator)
        ):
            wishes[where.link].append(replace(where, link=None))
    return replace(query, links=tuple(_required(link, wishes) for link in query.links)) if wishes else query


def _required(link: Link, wishes: defaultdict[str, list[Filter]]) -> Link:
    links = tuple(_required(nested, wishes) for nested in link.links)
    wanted = wishes.get(link.alias, [])
    has_wanted = bool(wanted) or any(_is_wanted(nested, wishes) for nested in link.links)
    if not has_wanted or link.type not in {LinkType.OUTER, LinkType.INNER, LinkType.NATURAL}:
        return replace(link, links=links)
    where = AllOf((*([] if link.where is None else [link.where]), *wanted)) if wanted else link.where
    return replace(link, type=LinkType.INNER, where=where, links=links)


def _is_wanted(link: Link, wishes: defaultdict[str, list[Filter]]) -> bool:
    can_be = link.type in {LinkType.OUTER, LinkType.INNER, LinkType.NATURAL}
    return can_be and (link.alias in wishes or any(_is_wanted(nested, wishes) for nested in link.links))


def seeds(query: Query, catalog: Catalog, asker: Asker) -> Iterator[Link]:
    """Yield links that the query may begin with, best first.

    Each row of the result hangs on one of their rows, and a key or a lookup says that there are few of them.
    """
    related = (where.link for where in conjuncts(query.where) if isinstance(where, Related))
    wanting = {LinkType.ANY, LinkType.NOT_ALL}
    links = [link for link in query.links if link.type in _REQUIRED]
    links += [link for link in related if link.type in wanting]
    weighed = [(weight, link) for link in links if (weight := _weight(link, catalog, asker)) is not None]
    yield from (link for _, link in sorted(weighed, key=lambda pair: pair[0]))


def _weight(link: Link, catalog: Catalog, asker: Asker) -> int | None:
    """Return how far from a key the link's own narrowing is; None when it has none."""
    entity = catalog.entity(link.entity)
    simple = pushed(own_filters(link.where, link.alias), entity, asker)
    if key_ids(simple, entity) is not None:
        return 0
    if is_selective(simple, entity):
        return 1
    nested = (_weight(one, catalog, asker) for one in link.links if one.type in _REQUIRED)
    return min((weight + 2 for weight in nested if weight is not None), default=None)


def own_filters(where: Filter | None, here: str) -> list[Filter]:
    """Return the conjuncts that look at nothing but the row itself."""
    return [one for one in conjuncts(where) if aliases(one, here) <= {here} and not any(relations(one))]


def late_links(query: Query, catalog: Catalog) -> frozenset[str]:
    """Return the aliases of links that can wait until the rows of the page are known.

    Whether and in what order a row is in the result does not depend on them, and they never make two of one.
    """
    used = {one.link for one in conditions(query.where)} | {one.other_link for one in conditions(query.where)}
    used |= {order.link for order in all_orders(query.orders, query.links)}
    if query.is_aggregate or query.is_distinct:
        return frozenset()
    return frozenset(
        link.alias
        for link in query.links
        if link.type in {LinkType.OUTER, LinkType.MATCH_FIRST_ROW}
        and not used & set(names(link))
        and (link.type in SINGLE or _is_single(link, catalog))
    )


def names(link: Link) -> Iterator[str]:
    """Yield the alias of a link and those of all within it."""
    yield link.alias
    for nested in link.links:
        yield from names(nested)


def _is_single(link: Link, catalog: Catalog) -> bool:
    if link.type in SINGLE:
        return True
    to_one = link.from_attribute == catalog.entity(link.entity).primary_id
    return to_one and all(_is_single(nested, catalog) for nested in link.links)


def multiplying(links: Iterable[Link], catalog: Catalog) -> Iterator[str]:
    """Yield the aliases whose keys, with the parent's, tell apart the rows that one parent grows to."""
    for link in links:
        if link.type in SINGLE:
            continue
        if link.from_attribute != catalog.entity(link.entity).primary_id:
            yield link.alias
        yield from multiplying(link.links, catalog)


def needed_columns(query: Query, catalog: Catalog, *, results: bool = True) -> Columns:
    """Return the columns that each alias is read with; without *results* those that say which rows there are."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    whole: set[str] = set()
    _of_filter(query.where, ROOT, found)
    _of_links(query.links, ROOT, found, whole, results=results)
    if results:
        _of_columns(query, ROOT, found, whole)
        for order in query.orders:
            if not order.is_alias:
                found[ROOT if order.link is None else order.link].add(order.attribute)
    found[ROOT].add(catalog.entity(query.entity).primary_id)
    return {alias: None if alias in whole else frozenset(columns) for alias, columns in found.items()}


def _of_columns(part: Query | Link, alias: str, found: defaultdict[str, set[str]], whole: set[str]) -> None:
    if part.columns is None:
        whole.add(alias)
    else:
        found[alias].update(column.attribute for column in part.columns)


def _of_links(
    links: Iterable[Link], parent: str, found: defaultdict[str, set[str]], whole: set[str], *, results: bool
) -> None:
    for link in links:
        found[parent].add(link.to_attribute)
        found[link.alias].add(link.from_attribute)
        _of_filter(link.where, link.alias, found)
        if results and link.type not in BARE and not link.type.is_filter:
            _of_columns(link, link.alias, found, whole)
        for order in link.orders:
            found[link.alias if order.link is None else order.link].add(order.attribute)
        _of_links(link.links, link.alias, found, whole, results=results)


def _of_filter(where: Filter | None, here: str, found: defaultdict[str, set[str]]) -> None:
    if where is None:
        return
    for one in conditions(where):
        found[here if one.link is None else one.link].add(one.attribute)
        if one.other_attribute is not None:
            found[here if one.other_link is None else one.other_link].add(one.other_attribute)
    for related in relations(where):
        _of_links((related.link,), here, found, set(), results=False)
