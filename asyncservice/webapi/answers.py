"""Answers to writes: without a body, or with the row as it is now (reference web-api-wire, sections 3, 7, 9)."""

from collections.abc import Sequence
from http import HTTPStatus

from asyncservice.organization.errors import RecordNotFound
from asyncservice.organization.requests import Outcome
from asyncservice.organization.schema.entities import Entity
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request, Response
from asyncservice.webapi.prefer import applied
from asyncservice.webapi.reading import answer_row


async def created(api: Api, request: Request, entity: Entity, outcome: Outcome) -> Response:
    """Answer a create: 204 and where the row is, or 201 and the row."""
    url = request.address.of(f"{entity.set_name}({outcome.id})")
    where = {"OData-EntityId": url, "Location": url}
    if not request.preferences.representation:
        return Response(headers=where)
    return await _represented(api, request, entity, outcome, where, status=HTTPStatus.CREATED)


async def updated(api: Api, request: Request, entity: Entity, outcome: Outcome) -> Response:
    """Answer an update or upsert: as a create when it was one; else 204, or 200 and the row without `$expand`."""
    if outcome.created:
        return await created(api, request, entity, outcome)
    where = {"OData-EntityId": request.address.of(f"{entity.set_name}({outcome.id})")}
    if not request.preferences.representation:
        return Response(headers=where)
    return await _represented(api, request, entity, outcome, where, status=HTTPStatus.OK)


async def deleted(_outcomes: Sequence[Outcome]) -> Response:
    """Answer what leaves nothing to say."""
    return Response(status=HTTPStatus.NO_CONTENT)


async def _represented(
    api: Api, request: Request, entity: Entity, outcome: Outcome, where: dict[str, str], *, status: HTTPStatus
) -> Response:
    values = await api.organization.source(entity.name).find(outcome.id)
    if values is None:
        # Somebody else removed it since.
        raise RecordNotFound(entity.name, outcome.id)
    response = await answer_row(api, request, entity, values, status=status, expands=status is HTTPStatus.CREATED)
    preferences = response.headers.get("Preference-Applied")
    texts = ("return=representation", *((preferences,) if preferences else ()))
    return Response(status=status, headers={**response.headers, **where, **applied(*texts)}, body=response.body)
