"""`$expand`: rows within rows (reference web-api-wire, section 13).

A single-valued property costs one batch of look-ups for a whole page, a collection one query for a whole page; nested
ones the same again for all that was found. Rows of a collection that has `$top` are read for the page and cut.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote
from uuid import UUID

from asyncservice.organization.query.evaluation import run
from asyncservice.organization.query.model import MAX_COUNT, MAX_PAGE, AllOf, Column, Condition, LinkType, Paging, Query
from asyncservice.organization.query.odata import Expand, ODataQuery
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import ManyToMany, NavigationKind
from asyncservice.organization.sources import Values
from asyncservice.organization.values import Reference
from asyncservice.webapi.asking import asker_of
from asyncservice.webapi.contents import with_contents
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request
from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.finding import ends, lookup_of, own_id, pairs
from asyncservice.webapi.writing import Writer, names_of, readable

#: How deep `$expand` may be nested.
MAX_DEPTH: Final = 8
#: Most rows that all collections of one page hold together; more are for queries of their own.
MAX_ROWS: Final = 50_000
#: What a query may hold as it is, beside letters and digits.
_PLAIN: Final = "$,()';:/@="
#: What the id of the parent is called in rows found by pairs.
_PARENT: Final = "_parent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows on their way out, and what is asked of them."""

    entity: Entity
    values: Sequence[Values]
    asked: ODataQuery
    depth: int = 0


def columns_of(entity: Entity, asked: ODataQuery) -> tuple[Attribute, ...] | None:
    """Return the columns that are shown; None for all that can be read."""
    if asked.query.columns is None:
        return None
    return tuple(entity.attribute(column.attribute) for column in asked.query.columns)


def with_needed(entity: Entity, asked: ODataQuery) -> Query:
    """Return the query with the columns that expanding and ETags need beside those that are shown."""
    query = asked.query
    if query.columns is None or query.is_aggregate or query.is_distinct:
        return query
    needed = [entity.primary_id, *(["versionnumber"] if "versionnumber" in entity.attributes else [])]
    needed += [lookup_of(each.navigation) for each in asked.expands if each.navigation.kind is NavigationKind.TO_ONE]
    there = {column.attribute for column in query.columns}
    more = (Column(attribute=name) for name in dict.fromkeys(needed) if name not in there)
    return replace(query, columns=(*query.columns, *more))


async def written(api: Api, request: Request, rows: Rows) -> list[dict[str, object]]:
    """Return rows as JSON has them, with the rows that they expand to."""
    if rows.depth > MAX_DEPTH:
        raise ApiError(f"$expand is nested deeper than {MAX_DEPTH}.")
    entity, columns = rows.entity, columns_of(rows.entity, rows.asked)
    values_shown = await with_contents(
        api, rows.values, readable(entity) if columns is None else columns, selected=columns is not None
    )
    shown = values_shown if columns is None else [_only(values, columns) for values in values_shown]
    names = await names_of(api, request.preferences, shown)
    writer = Writer(catalog=api.organization.catalog, preferences=request.preferences, names=names)
    objects = [writer.row(entity, values, columns) for values in values_shown]
    for expand in rows.asked.expands:
        if expand.navigation.is_collection:
            await _expand_many(api, request, rows, expand, objects)
        else:
            await _expand_one(api, request, rows, expand, objects)
    return objects


def _only(values: Values, columns: Sequence[Attribute]) -> Values:
    return {column.name: values[column.name] for column in columns if column.name in values}


async def _expand_one(
    api: Api, request: Request, rows: Rows, expand: Expand, objects: Sequence[dict[str, object]]
) -> None:
    navigation = expand.navigation
    column = lookup_of(navigation)
    references = [_reference(values.get(column), navigation.target) for values in rows.values]
    found: dict[Reference, dict[str, object]] = {}
    wanted: defaultdict[str, list[UUID]] = defaultdict(list)
    for reference in dict.fromkeys(references):
        if reference is not None:
            wanted[reference.entity].append(reference.id)
    for name, ids in wanted.items():
        target = api.organization.catalog.entity(name)
        there = await api.organization.source(name).find_many(ids)
        if expand.is_reference:
            found |= {Reference(name, each): _reference_object(request, target, each) for each in there}
            continue
        values = list(there.values())
        if navigation.target != name:
            # An owner is shown by what users and teams have in common.
            values = [_as_owner(target, each) for each in values]
            target = api.organization.catalog.entity(navigation.target)
        inner = Rows(entity=target, values=values, asked=expand.options, depth=rows.depth + 1)
        objects_there = await written(api, request, inner)
        found |= {Reference(name, each): it for each, it in zip(there, objects_there, strict=True)}
    for it, reference in zip(objects, references, strict=True):
        it[navigation.name] = None if reference is None else found.get(reference)


def _as_owner(entity: Entity, values: Values) -> Values:
    name = values.get(entity.primary_name or "")
    return {"ownerid": own_id(entity, values), **({} if name is None else {"name": name})}


def _reference(value: object, target: str) -> Reference | None:
    # An owner's property leads to users and teams alike.
    if isinstance(value, Reference) and target in {value.entity, "owner"}:
        return value
    return None


async def _expand_many(
    api: Api, request: Request, rows: Rows, expand: Expand, objects: Sequence[dict[str, object]]
) -> None:
    navigation = expand.navigation
    target = api.organization.catalog.entity(navigation.target)
    ids = [own_id(rows.entity, values) for values in rows.values]
    most = MAX_PAGE if expand.options.query.top is None else expand.options.query.top
    everyone = await _members(api, request, target, expand, ids) if ids else {}
    members = {parent: each[:most] for parent, each in everyone.items()}
    flat = [values for each in members.values() for values in each]
    if expand.is_reference:
        texts = [_reference_object(request, target, own_id(target, values)) for values in flat]
    else:
        texts = await written(
            api, request, Rows(entity=target, values=flat, asked=expand.options, depth=rows.depth + 1)
        )
    by_parent: dict[UUID, list[dict[str, object]]] = {}
    position = 0
    for parent, each in members.items():
        by_parent[parent] = texts[position : position + len(each)]
        position += len(each)
    for it, parent in zip(objects, ids, strict=True):
        if expand.options.query.counts:
            it[f"{navigation.name}@odata.count"] = min(len(everyone.get(parent, ())), MAX_COUNT)
        it[navigation.name] = by_parent.get(parent, [])
        path = f"{rows.entity.set_name}({parent})/{navigation.name}"
        it[f"{navigation.name}@odata.nextLink"] = request.address.of(path + _query_of(expand, request))


async def _members(
    api: Api, request: Request, target: Entity, expand: Expand, parents: Sequence[UUID]
) -> Mapping[UUID, list[Values]]:
    """Return the rows that the collection of each parent leads to, in the order asked for, perhaps more than `$top`."""
    asked, navigation = expand.options, expand.navigation
    query = with_needed(target, asked)
    relationship = navigation.relationship
    if isinstance(relationship, ManyToMany):
        here, _ = ends(navigation)
        among = Condition(attribute=here, operator=Operator.IN, values=tuple(parents))
        parent_column = Column(attribute=here, alias=_PARENT)
        link = pairs(navigation, target, among, LinkType.INNER, (parent_column,))
        query = replace(query, links=(*query.links, link))
        key = _PARENT
    else:
        key = relationship.referencing_attribute
        among = Condition(attribute=key, operator=Operator.IN, values=tuple(parents))
        columns = query.columns
        if columns is not None and key not in {column.attribute for column in columns}:
            columns = (*columns, Column(attribute=key))
        where = among if query.where is None else AllOf((among, query.where))
        query = replace(query, where=where, columns=columns)
    # Of one parent $top is the query's own; of many it counts for each, and whoever counts has to see all.
    top = None if len(parents) > 1 or query.counts else query.top
    query = replace(query, top=top, counts=False, paging=Paging())
    asker = await asker_of(api, request, query)
    found: dict[UUID, list[Values]] = {}
    read = 0
    while True:
        page = await run(query, asker, api.organization)
        for values in page.rows:
            parent = values.get(key)
            parent_id = parent.id if isinstance(parent, Reference) else parent
            if isinstance(parent_id, UUID):
                found.setdefault(parent_id, []).append(values)
        read += len(page.rows)
        if not page.has_more or query.top is not None:
            return found
        if read >= MAX_ROWS:
            raise ApiError(
                f"$expand of '{navigation.name}' leads to more than {MAX_ROWS} rows; ask for smaller pages "
                "(Prefer: odata.maxpagesize) or query the collection itself."
            )
        query = replace(query, paging=replace(query.paging, number=query.paging.number + 1, cookie=page.cookie))


def _reference_object(request: Request, target: Entity, record_id: UUID) -> dict[str, object]:
    return {"@odata.id": request.address.of(f"{target.set_name}({record_id})")}


def _query_of(expand: Expand, request: Request) -> str:
    """Return the query of a link to the same rows: what was asked of them, and the aliases it may name."""
    parts = [f"{name}={quote(text, safe=_PLAIN)}" for name, text in expand.written.items()]
    if any("@" in text for text in expand.written.values()):
        parts += [f"{name}={quote(text, safe=_PLAIN)}" for name, text in request.options.aliases.items()]
    return f"?{'&'.join(parts)}" if parts else ""
