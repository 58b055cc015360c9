"""Reading one row, or something of one: the row, a column, what it refers to (reference web-api-wire, section 8)."""

from http import HTTPStatus

from asyncservice.organization.query.odata import read_options
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.sources import Values
from asyncservice.webapi import conditions, files
from asyncservice.webapi.contents import with_contents
from asyncservice.webapi.context import Api
from asyncservice.webapi.contexts import column_context, reference_context, row_context
from asyncservice.webapi.exchange import JSON, Request, Response
from asyncservice.webapi.expanding import Rows, written
from asyncservice.webapi.faults import ApiError, Code, not_allowed
from asyncservice.webapi.finding import OWNERS, found_row, own_id, row_of
from asyncservice.webapi.jsontext import dumps
from asyncservice.webapi.prefer import applied
from asyncservice.webapi.resources import Resource, Tail
from asyncservice.webapi.sets import answer_set, count_set, reference_set
from asyncservice.webapi.values import as_json, etag_of

#: Query options of a read of one row.
_OPTIONS = frozenset({"$select", "$expand"})


async def read(api: Api, request: Request, resource: Resource) -> Response:
    """Answer a read of whatever a path means. Raises ApiError, or an error of the organization or the query."""
    if request.method not in {"GET", "HEAD"}:
        raise not_allowed(request.method, "what is only read", "GET")
    if resource.tail is Tail.COUNT:
        return await count_set(api, request, resource)
    if resource.column is not None:
        return await _column(api, request, resource)
    if resource.tail is Tail.REF:
        return await _reference(api, request, resource)
    if not resource.is_row:
        return await answer_set(api, request, resource)
    values = await found_row(api, resource)
    if values is None:
        return Response(status=HTTPStatus.NO_CONTENT)
    return await answer_row(api, request, _entity_of(api, resource, values), values)


async def answer_row(
    api: Api,
    request: Request,
    entity: Entity,
    values: Values,
    *,
    status: int = HTTPStatus.OK,
    expands: bool = True,
) -> Response:
    """Answer with a row as `$select` and `$expand` ask for it; 304 when the client has that version already."""
    unknown = sorted(request.options.system.keys() - _OPTIONS)
    if unknown and request.method == "GET":
        raise ApiError(f"{', '.join(unknown)} cannot be used with a single row; take it out of the URL.")
    taken = _OPTIONS if expands else _OPTIONS - {"$expand"}
    system = {name: text for name, text in request.options.system.items() if name in taken}
    asked = read_options(system, entity, api.organization.catalog, aliases=request.options.aliases)
    version = values.get("versionnumber")
    etag = {} if version is None else {"ETag": etag_of(version)}
    is_plain = not asked.expands and not request.preferences.annotations
    if request.method == "GET" and is_plain:
        known = conditions.read(request.headers).known_version
        if known is not None and known == version:
            return Response(status=HTTPStatus.NOT_MODIFIED, headers=etag)
    (row,) = await written(api, request, Rows(entity=entity, values=[values], asked=asked))
    body = {"@odata.context": row_context(request.address, entity, asked), **row}
    return Response(
        status=status,
        headers={"Content-Type": JSON, **etag, **applied(*annotations_applied(request))},
        body=dumps(body),
    )


def annotations_applied(request: Request) -> tuple[str, ...]:
    """Return what Preference-Applied says of annotations."""
    terms = request.preferences.texts.get("odata.include-annotations")
    return () if not terms else (f'odata.include-annotations="{terms}"',)


def _entity_of(api: Api, resource: Resource, values: Values) -> Entity:
    """Return what a row is; a path along an owner's property leads to a user or a team."""
    if resource.entity.primary_id in values:
        return resource.entity
    for name in OWNERS:
        entity = api.organization.catalog.entity(name)
        if entity.primary_id in values:
            return entity
    raise TypeError(f"A row that {resource.entity.set_name} leads to has no key that is known.")


async def _column(api: Api, request: Request, resource: Resource) -> Response:
    column = resource.column
    if column is None:
        raise TypeError("No column is meant.")
    values = await row_of(api, resource)
    if files.is_file(column):
        return await files.download(api, request, resource, values)
    (values,) = await with_contents(api, [values], [column], selected=True)
    value = values.get(column.name)
    if value is None:
        return Response(status=HTTPStatus.NO_CONTENT)
    if resource.tail is Tail.VALUE:
        plain = as_json(value)
        text = str(plain).lower() if isinstance(plain, bool) else str(plain)
        return Response(status=HTTPStatus.OK, headers={"Content-Type": "text/plain"}, body=text.encode())
    record_id = own_id(resource.entity, values)
    body = {
        "@odata.context": column_context(request.address, resource.entity, record_id, column),
        "value": as_json(value),
    }
    return Response(status=HTTPStatus.OK, headers={"Content-Type": JSON}, body=dumps(body))


async def _reference(api: Api, request: Request, resource: Resource) -> Response:
    if not resource.is_row:
        return await reference_set(api, request, resource)
    values = await found_row(api, resource)
    if values is None:
        raise ApiError(
            f"'{resource.steps[-1].navigation.name}' of the row is not set.",
            status=HTTPStatus.NOT_FOUND,
            code=Code.OBJECT_DOES_NOT_EXIST,
        )
    entity = _entity_of(api, resource, values)
    url = request.address.of(f"{entity.set_name}({own_id(entity, values)})")
    body = {"@odata.context": reference_context(request.address), "@odata.id": url}
    return Response(status=HTTPStatus.OK, headers={"Content-Type": JSON}, body=dumps(body))
