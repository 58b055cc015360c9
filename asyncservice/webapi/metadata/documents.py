"""The two documents that describe everything: the service document and `$metadata`."""

from functools import lru_cache
from http import HTTPStatus

from asyncservice.organization.schema.catalog import Catalog
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import JSON, Request, Response
from asyncservice.webapi.faults import not_allowed
from asyncservice.webapi.jsontext import dumps
from asyncservice.webapi.metadata.csdl import document


async def service(api: Api, request: Request) -> Response:
    """Answer with the names of the entity sets. Raises ApiError (405)."""
    _only_read(request, "the service document")
    sets = [
        {"name": entity.set_name, "kind": "EntitySet", "url": entity.set_name}
        for entity in sorted(api.organization.catalog, key=lambda entity: entity.set_name)
    ]
    body = dumps({"@odata.context": request.address.of("$metadata"), "value": sets})
    return Response(status=HTTPStatus.OK, headers={"Content-Type": JSON}, body=body)


async def metadata(api: Api, request: Request) -> Response:
    """Answer with the CSDL document; XML whatever Accept says. Raises ApiError (405)."""
    _only_read(request, "$metadata")
    body = _document(api.organization.catalog)
    return Response(status=HTTPStatus.OK, headers={"Content-Type": "application/xml"}, body=body)


@lru_cache(maxsize=2)
def _document(catalog: Catalog) -> bytes:
    # A catalog is a value: what changes the schema makes another one.
    return document(catalog)


def _only_read(request: Request, what: str) -> None:
    if request.method not in {"GET", "HEAD"}:
        raise not_allowed(request.method, what, "GET")
