"""The query options of OData to queries (reference web-api-wire, sections 13 and 14; reference queries).

    read_options({"$select": "name", "$filter": "statecode eq 0", "$top": "5"}, account, catalog, aliases={})

Expansions are queries of their own, since whoever answers asks for the rows of each parent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from asyncservice.organization.query.checks import MAX_DEPTH, checked, too_deep
from asyncservice.organization.query.cookies import read_token
from asyncservice.organization.query.model import MAX_PAGE, Column, Order, Paging, Query
from asyncservice.organization.query.odataapply import Applied, read_apply
from asyncservice.organization.query.odatafilter import read_filter
from asyncservice.organization.query.odatascope import Scope, names, navigation_of, selected
from asyncservice.organization.query.odatatext import closing, excerpt, split, url_error
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import Navigation

#: What a set or a collection takes.
OPTIONS: Final = frozenset({*("$select", "$filter", "$orderby", "$top", "$count", "$expand", "$apply", "$skiptoken")})
#: What an expansion takes.
EXPAND_OPTIONS: Final = frozenset({"$select", "$filter", "$orderby", "$top", "$count", "$expand"})

_WITH_APPLY: Final = frozenset({"$apply", "$orderby", "$top", "$skiptoken"})
_REF: Final = "/$ref"
_ORDER: Final = re.compile(r"(?P<path>[\w/]+)(?:\s+(?P<way>asc|desc))?")
_LONGEST_NUMBER: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class ODataQuery:
    """What the options of a request ask of one set."""

    query: Query
    #: The rows beside each row.
    expands: tuple["Expand", ...] = ()
    #: The properties as they were asked for, in order; None: all.
    select: tuple[str, ...] | None = None
    #: Whether it came by `$apply`: rows are plain objects of the aliases.
    is_applied: bool = False
    #: The size of the page that `$skiptoken` goes on with; None: whatever the client prefers.
    page_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expand:
    """Rows of a navigation property that come with each row, or only the references to them."""

    navigation: Navigation
    options: ODataQuery
    is_reference: bool = False
    #: The options as they were written, by name: what a link to the same rows repeats.
    written: Mapping[str, str] = field(default_factory=dict)


def read_options(
    options: Mapping[str, str], entity: Entity, catalog: Catalog, *, aliases: Mapping[str, str]
) -> ODataQuery:
    """Return what query options ask of an entity's rows. *aliases* are the `@name` parameters of the URL.

    Options without `$` are not OData's and are not looked at. Raises QueryError.
    """
    return _read(options, entity, catalog, aliases, allowed=OPTIONS, depth=0)


def read_expand(
    text: str, entity: Entity, catalog: Catalog, *, aliases: Mapping[str, str], depth: int = 0
) -> tuple[Expand, ...]:
    """Return what `$expand` asks. Raises QueryError."""
    if depth >= MAX_DEPTH:
        raise too_deep()
    found = tuple(_expand(piece, entity, catalog, aliases, depth) for piece in split(text, ","))
    if len({each.navigation.name for each in found}) < len(found):
        raise url_error(
            f"'{excerpt(text)}' expands a property twice; put all its options into one pair of parentheses."
        )
    return found


def _expand(text: str, entity: Entity, catalog: Catalog, aliases: Mapping[str, str], depth: int) -> Expand:
    opening = text.find("(")
    name, inside = text, ""
    if opening >= 0:
        if closing(text, opening) != len(text) - 1:
            raise url_error(f"'{excerpt(text, opening)}' cannot be read; write $expand=property($select=…;$filter=…).")
        name, inside = text[:opening].strip(), text[opening + 1 : -1]
    is_reference = name.endswith(_REF)
    navigation = navigation_of(entity, name.removesuffix(_REF), catalog)
    options: dict[str, str] = {}
    for piece in split(inside, ";") if inside.strip() else []:
        key, equals, value = piece.partition("=")
        if not equals or key.strip() in options:
            raise url_error(f"'{excerpt(piece)}' is no option of $expand, or is there twice; write $select=a,b.")
        options[key.strip()] = value.strip()
    target = catalog.entity(navigation.target)
    return Expand(
        navigation=navigation,
        options=_read(options, target, catalog, aliases, allowed=EXPAND_OPTIONS, depth=depth + 1),
        is_reference=is_reference,
        written=options,
    )


def _read(
    options: Mapping[str, str],
    entity: Entity,
    catalog: Catalog,
    aliases: Mapping[str, str],
    *,
    allowed: frozenset[str],
    depth: int,
) -> ODataQuery:
    unknown = sorted(name for name in options if name.startswith("$") and name not in allowed)
    if unknown:
        more = " Page with the preference odata.maxpagesize and @odata.nextLink." if unknown[0] == "$skip" else ""
        raise url_error(
            f"The query option {unknown[0]} is not supported here; there are {', '.join(sorted(allowed))}.{more}"
        )
    scope = Scope(entity, catalog)
    applied = None
    if "$apply" in options:
        beside = sorted(name for name in options if name.startswith("$") and name not in _WITH_APPLY)
        if beside:
            raise url_error(f"{beside[0]} cannot stand beside $apply; put a condition into $apply=filter(…)/….")
        applied = read_apply(options["$apply"], scope, aliases)
    where = applied.where if applied else None
    if "$filter" in options:
        where = read_filter(options["$filter"], scope, aliases)
    select, columns = _select(options.get("$select"), entity, catalog)
    token = read_token(options["$skiptoken"]) if options.get("$skiptoken") else None
    orders = _orders(options.get("$orderby"), scope, applied)
    query = Query(
        entity=entity.name,
        columns=tuple(applied.columns) if applied else columns,
        where=where,
        # Last, since every path so far may have led along one.
        links=scope.links(),
        orders=orders,
        top=_top(options.get("$top")),
        paging=Paging()
        if token is None
        else Paging(number=token.number, size=token.size or MAX_PAGE, cookie=token.cookie),
        is_aggregate=applied is not None,
        counts=_counts(options.get("$count")),
    )
    return ODataQuery(
        query=checked(query, catalog),
        expands=read_expand(options["$expand"], entity, catalog, aliases=aliases, depth=depth)
        if options.get("$expand")
        else (),
        select=select,
        is_applied=applied is not None,
        page_size=None if token is None else token.size,
    )


def _select(
    text: str | None, entity: Entity, catalog: Catalog
) -> tuple[tuple[str, ...] | None, tuple[Column, ...] | None]:
    if text is None or text.strip() == "*":
        return None, None
    asked = tuple(names([name for name in split(text, ",") if name]))
    if not asked:
        return None, None
    columns = names([selected(entity, name, catalog).name for name in asked])
    return asked, tuple(Column(attribute=name) for name in columns)


def _orders(text: str | None, scope: Scope, applied: Applied | None) -> tuple[Order, ...]:
    return tuple(_order(piece, scope, applied) for piece in split(text, ",")) if text and text.strip() else ()


def _order(text: str, scope: Scope, applied: Applied | None) -> Order:
    said = _ORDER.fullmatch(text)
    if said is None:
        raise url_error(f"'{excerpt(text)}' is no order; write $orderby=property, or property desc.")
    descending = said["way"] == "desc"
    if applied is not None:
        if said["path"] not in applied.aliases:
            raise url_error(f"'{said['path']}' is neither a group nor an aggregate of $apply.")
        return Order(attribute=said["path"], descending=descending, is_alias=True)
    link, attribute = scope.attribute(said["path"].split("/"))
    return Order(attribute=attribute.name, descending=descending, link=link)


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    plain = text.strip()
    if not (plain.isascii() and plain.isdigit() and len(plain) <= _LONGEST_NUMBER):
        raise url_error(f"$top is a whole number from 0 on, not '{excerpt(text)}'.")
    return min(int(plain), MAX_PAGE)


def _counts(text: str | None) -> bool:
    if text is None:
        return False
    if text.strip() not in {"true", "false"}:
        raise url_error(f"$count is true or false, not '{excerpt(text)}'.")
    return text.strip() == "true"
