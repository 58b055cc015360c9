"""How messages start operations: one is submitted in the caller's name, and answered with its row."""

from collections.abc import Mapping
from copy import replace
from http import HTTPStatus
from secrets import randbits
from typing import Any
from uuid import UUID

from asyncservice.operations import ids
from asyncservice.operations.engine import Engine
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.submission import Submission
from asyncservice.organization.errors import RecordNotFound
from asyncservice.organization.jobrows import ENTITY
from asyncservice.organization.records import Record
from asyncservice.organization.values import Reference
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request, Response
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.messages.registry import Call
from asyncservice.webapi.reading import answer_row


async def start(
    call: Call,
    kind: OperationType,
    *,
    name: str,
    data: Mapping[str, Any],
    regarding: Reference | None = None,
    **members: Any,  # noqa: ANN401 - the other members of the message contract
) -> AsyncOperation:
    """Submit an operation that the caller owns. It is readable at once.

    A caller that had no answer and repeats the request starts another one. Raises InvalidOperation, and ApiError (501)
    where no operations are carried out.
    """
    engine = engine_of(call.api)
    submission = Submission.of(
        operationtype=int(kind),
        name=name[:256],
        data=dict(data),
        primaryentitytype=None if regarding is None else regarding.entity,
        regardingobjectid=None if regarding is None else regarding.id,
        **members,
    )
    user = call.request.user
    operation = replace(
        submission.operation(now=call.now, new_id=ids.new_id(call.now, randbits)),
        createdby=user.user_id,
        createdonbehalfby=user.on_behalf_of,
        modifiedby=user.user_id,
        modifiedonbehalfby=user.on_behalf_of,
        ownerid=user.user_id,
        requestid=request_id(call.request),
    )
    return (await engine.submit(operation)).operation


async def answer(call: Call, operation: AsyncOperation) -> Response:
    """Answer with the row of an operation that was started."""
    source = call.api.organization.source(ENTITY)
    values = await source.find(operation.asyncoperationid)
    if values is None:
        raise RecordNotFound(ENTITY, operation.asyncoperationid)
    return await answer_row(call.api, call.request, source.entity, values)


async def existing(api: Api, reference: Reference) -> Record:
    """Return the record that a message is about. One request. Raises RecordNotFound (404)."""
    found = await api.organization.find(reference.entity, reference.id)
    if found is None:
        raise RecordNotFound(reference.entity, reference.id)
    return found


def engine_of(api: Api) -> Engine:
    """Return what carries operations out. Raises ApiError (501) where only records are served."""
    if api.engine is None:
        raise ApiError(
            "Operations are not carried out here: only records are served.",
            status=HTTPStatus.NOT_IMPLEMENTED,
            code=Code.NOT_IMPLEMENTED,
        )
    return api.engine


def request_id(request: Request) -> UUID | None:
    """Return the id that the client gave its request, by which it may look for the job; None where it gave none."""
    text = request.headers.get("x-ms-client-request-id") or request.options.get("tag") or ""
    try:
        return UUID(text)
    except ValueError:
        return None
