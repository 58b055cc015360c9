"""Answers to writes: without a body, or with the row as it is now (reference web-api-wire, sections 3, 7, 9)."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from asyncservice.organization.requests import Outcome
from asyncservice.organization.schema.entities import Entity
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request, Response
from asyncservice.webapi.prefer import applied
from asyncservice.webapi.reading import answer_row

_log: Final = logging.getLogger(__name__)


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
    try:
        # Of what is no record, such as a job, the outcome does not tell the row.
        values = outcome.values or await api.organization.source(entity.name).find(outcome.id)
        if not values:
            return Response(headers=where)  # Somebody else removed it since.
        response = await answer_row(api, request, entity, values, status=status, expands=status is HTTPStatus.CREATED)
    except StorageUnavailable:
        # What was written counts, and who is told otherwise writes it again. A preference is a wish: without the row
        # the answer is that of a request that did not ask for it.
        _log.warning("%s %s is done, but its row cannot be shown.", request.method, request.path, exc_info=True)
        return Response(headers=where)
    preferences = response.headers.get("Preference-Applied")
    texts = ("return=representation", *((preferences,) if preferences else ()))
    return Response(status=status, headers={**response.headers, **where, **applied(*texts)}, body=response.body)
