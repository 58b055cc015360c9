"""Sets and collections: queries in OData or FetchXML, page by page (reference web-api-wire, sections 13 to 16)."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from asyncservice.organization.query import cookies
from asyncservice.organization.query.cookies import Token
from asyncservice.organization.query.evaluation import run
from asyncservice.organization.query.fetchxml import read_fetch
from asyncservice.organization.query.model import MAX_COUNT, MAX_PAGE, AllOf, Column, Paging, Query, Result
from asyncservice.organization.query.odata import ODataQuery, read_options
from asyncservice.organization.query.sql import read_sql
from asyncservice.organization.schema.entities import Entity
from asyncservice.webapi.asking import asker_of
from asyncservice.webapi.context import Api
from asyncservice.webapi.contexts import reference_context, set_context
from asyncservice.webapi.exchange import JSON, Request, Response
from asyncservice.webapi.expanding import Rows, with_needed, written
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.finding import own_id, related, row_of
from asyncservice.webapi.jsontext import dumps
from asyncservice.webapi.prefer import applied
from asyncservice.webapi.resources import Resource
from asyncservice.webapi.tracking import LOOK, begun, changes, link, tracked
from asyncservice.webapi.writing import VERSION, Writer, names_of

_CRM: Final = "Microsoft.Dynamics.CRM."
_COOKIE: Final = f"{_CRM}fetchxmlpagingcookie"
_MORE: Final = f"{_CRM}morerecords"
_TOTAL: Final = f"{_CRM}totalrecordcount"
_TOTAL_IS_MORE: Final = f"{_CRM}totalrecordcountlimitexceeded"
_VERSION: Final = f"{_CRM}globalmetadataversion"
_VERSION_COLUMN: Final = "versionnumber"
#: What a query of a set may say.
_OPTIONS: Final = frozenset({"$select", "$filter", "$orderby", "$top", "$count", "$expand", "$apply", "$skiptoken"})


async def answer_set(api: Api, request: Request, resource: Resource) -> Response:
    """Answer a query of a set or of a collection-valued navigation property."""
    custom, track = request.options.custom, tracked(request, resource)
    if "fetchXml" in custom:
        return await _answer_fetch(api, request, resource, custom["fetchXml"])
    if "sql" in custom:
        return await _answer_sql(api, request, resource, custom["sql"])
    for name in ("savedQuery", "userQuery"):
        if name in custom:
            raise ApiError(
                f"Queries by {name} are not supported here; write the query with $filter or fetchXml.",
                status=HTTPStatus.NOT_IMPLEMENTED,
                code=Code.NOT_IMPLEMENTED,
            )
    asked = _read(api, request, resource.entity, tracks=track is not None)
    if track is not None and track.is_delta:
        return _listed(request, await changes(api, request, resource, track, asked), tracks=True)
    # Before the first row is read: what changes meanwhile is told again.
    look = None if track is None else f"{LOOK}={await begun(api, resource, track)}"
    shown = replace(asked, query=with_needed(resource.entity, asked))
    query = await _within(api, resource, _paged(request, shown))
    result = await run(query, await asker_of(api, request, query), api.organization)
    rows = await _objects(api, request, resource.entity, asked, result)
    body: dict[str, object] = {"@odata.context": set_context(request.address, resource.entity, asked)}
    body |= _annotations(api, request, result)
    if result.count is not None and query.counts:
        body["@odata.count"] = min(result.count, MAX_COUNT)
    body["value"] = rows
    if result.has_more and query.top is None:
        body["@odata.nextLink"] = _next_link(request, query.paging, result, *filter(None, [look]))
    elif look is not None:
        body["@odata.deltaLink"] = link(request, look)
    return _listed(request, body, tracks=look is not None)


async def count_set(api: Api, request: Request, resource: Resource) -> Response:
    """Answer `…/$count`: the bare number."""
    asked = _read(api, request, resource.entity)
    query = replace(asked.query, columns=(), orders=(), top=None, counts=True, paging=Paging(size=1))
    query = await _within(api, resource, query)
    result = await run(query, await asker_of(api, request, query), api.organization)
    count = min(result.count or 0, MAX_COUNT)
    return Response(status=HTTPStatus.OK, headers={"Content-Type": "text/plain"}, body=str(count).encode())


async def reference_set(api: Api, request: Request, resource: Resource) -> Response:
    """Answer `…/$ref` of a collection: where its rows are."""
    asked = _read(api, request, resource.entity)
    query = await _within(api, resource, replace(_paged(request, asked), columns=()))
    result = await run(query, await asker_of(api, request, query), api.organization)
    set_name = resource.entity.set_name
    body: dict[str, object] = {
        "@odata.context": reference_context(request.address, collection=True),
        "value": [
            {"@odata.id": request.address.of(f"{set_name}({own_id(resource.entity, row)})")} for row in result.rows
        ],
    }
    if result.has_more and query.top is None:
        body["@odata.nextLink"] = _next_link(request, query.paging, result)
    return _listed(request, body)


def _read(api: Api, request: Request, entity: Entity, *, tracks: bool = False) -> ODataQuery:
    unknown = sorted(request.options.system.keys() - _OPTIONS - ({LOOK} if tracks else set()))
    if unknown:
        raise ApiError(f"The query option {unknown[0]} is not supported; use {', '.join(sorted(_OPTIONS))}.")
    options = {name: text for name, text in request.options.system.items() if name not in {"$skiptoken", LOOK}}
    return read_options(options, entity, api.organization.catalog, aliases=request.options.aliases)


def _paged(request: Request, asked: ODataQuery) -> Query:
    """Return the query with the page that is meant, and the columns that are needed beside those shown."""
    paging, top = _page(request), asked.query.top
    if top is not None and top > paging.size:
        # As in Dataverse, where $top counts for nothing beside a smaller page; clients cut the list themselves.
        top = None
    return replace(asked.query, top=top, paging=paging)


def _page(request: Request) -> Paging:
    """Return the page that is meant."""
    text = request.options.system.get("$skiptoken")
    token = Token(number=1, cookie=None) if text is None else cookies.read_token(text)
    size = request.preferences.page_size or token.size or MAX_PAGE
    return Paging(number=token.number, size=size, cookie=token.cookie)


async def _within(api: Api, resource: Resource, query: Query) -> Query:
    """Return the query as one of a collection's rows only."""
    if not resource.steps:
        return query
    parent = await row_of(api, resource.parent)
    where, links = related(resource.steps[-1].navigation, resource.entity, own_id(resource.parent.entity, parent))
    if where is not None and query.where is not None:
        where = AllOf((where, query.where))
    return replace(query, where=where or query.where, links=(*query.links, *links))


async def _objects(
    api: Api, request: Request, entity: Entity, asked: ODataQuery, result: Result
) -> list[dict[str, object]]:
    if not asked.is_applied:
        return await written(api, request, Rows(entity=entity, values=result.rows, asked=asked))
    writer = await _writer(api, request, result)
    return [writer.result(values, result.columns, etag=False) for values in result.rows]


async def _writer(api: Api, request: Request, result: Result) -> Writer:
    return Writer(
        catalog=api.organization.catalog,
        preferences=request.preferences,
        names=await names_of(api, request.preferences, result.rows),
    )


def _annotations(api: Api, request: Request, result: Result) -> Mapping[str, object]:
    preferences = request.preferences
    found: dict[str, object] = {}
    if preferences.wants(_TOTAL):
        found[f"@{_TOTAL}"] = -1 if result.count is None else min(result.count, MAX_COUNT)
    if preferences.wants(_TOTAL_IS_MORE):
        found[f"@{_TOTAL_IS_MORE}"] = result.count_is_more
    if preferences.wants(_VERSION):
        # What a client keeps of the schema is good as long as this stays.
        found[f"@{_VERSION}"] = api.organization.catalog.stamp
    return found


def _next_link(request: Request, paging: Paging, result: Result, *more: str) -> str:
    """Return the URL of the next page: everything the client asked for, and where to go on."""
    cookie = result.cookie or f'<cookie page="{paging.number}"></cookie>'
    token = Token(number=paging.number + 1, cookie=cookie, size=None if paging.size == MAX_PAGE else paging.size)
    return link(request, *more, f"$skiptoken={quote(cookies.skiptoken(token), safe='')}")


async def _answer_fetch(api: Api, request: Request, resource: Resource, text: str) -> Response:
    query = read_fetch(text, api.organization.catalog)
    entity = resource.entity
    if query.entity != entity.name:
        raise ApiError(
            f"The FetchXML asks for '{query.entity}', the URL for '{entity.set_name}'; name the same table in both.",
            code=Code.INVALID_ARGUMENT,
        )
    if request.options.system.get("$count", "").lower() == "true":
        query = replace(query, counts=True)
    query = await _within(api, resource, _with_version(query, entity))
    result = await run(query, await asker_of(api, request, query), api.organization)
    writer = await _writer(api, request, result)
    body: dict[str, object] = {"@odata.context": set_context(request.address, entity)}
    body |= _annotations(api, request, result)
    if query.counts and result.count is not None:
        body["@odata.count"] = min(result.count, MAX_COUNT)
    if result.has_more and query.top is None:
        if request.preferences.wants(_COOKIE):
            cookie = result.cookie or f'<cookie page="{query.paging.number}"></cookie>'
            body[f"@{_COOKIE}"] = cookies.annotation(cookie, number=query.paging.number + 1)
        if request.preferences.wants(_MORE):
            body[f"@{_MORE}"] = True
    body["value"] = [writer.result(values, result.columns, etag=not query.is_aggregate) for values in result.rows]
    return _listed(request, body)


def _with_version(query: Query, entity: Entity) -> Query:
    """Return the query with what ETags are made of, where its rows are rows of the entity."""
    if query.columns is None or query.is_aggregate or query.is_distinct or _VERSION_COLUMN not in entity.attributes:
        return query
    if any(column.attribute == _VERSION_COLUMN and column.alias is None for column in query.columns):
        return query
    return replace(query, columns=(*query.columns, Column(attribute=_VERSION_COLUMN, alias=VERSION)))


async def _answer_sql(api: Api, request: Request, resource: Resource, text: str) -> Response:
    asked = read_sql(text, api.organization.catalog, paging=_page(request))
    query, entity = asked.query, resource.entity
    if query.entity != entity.name or resource.steps:
        raise ApiError(
            f"The SQL selects from '{query.entity}'; send it to the set of that table, "
            f"'{api.organization.catalog.entity(query.entity).set_name}'.",
            code=Code.INVALID_ARGUMENT,
        )
    result = await run(query, await asker_of(api, request, query), api.organization)
    writer = await _writer(api, request, result)
    body: dict[str, object] = {"@odata.context": set_context(request.address, entity)}
    body |= _annotations(api, request, result)
    body["value"] = [writer.flat(values, result.columns, asked.members) for values in result.rows]
    if result.has_more:
        body["@odata.nextLink"] = _next_link(request, query.paging, result)
    return _listed(request, body)


def _listed(request: Request, body: Mapping[str, object], *, tracks: bool = False) -> Response:
    terms = request.preferences.texts.get("odata.include-annotations")
    size = request.preferences.page_size
    honoured = [
        *([f'odata.include-annotations="{terms}"'] if terms else []),
        *([f"odata.maxpagesize={size}"] if size else []),
        *(["odata.track-changes"] if tracks and request.preferences.track_changes else []),
    ]
    return Response(status=HTTPStatus.OK, headers={"Content-Type": JSON, **applied(*honoured)}, body=dumps(body))
