"""Writes of asyncoperations: people and clients control jobs, they neither make them nor change what they are about.

A job is changed by its own transaction, so its writes share no change set with others (webapi/changesets refuses that).
"""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from asyncservice.operations.control import Control
from asyncservice.operations.errors import InvalidOperation
from asyncservice.operations.record import AsyncOperation
from asyncservice.organization.requests import Outcome
from asyncservice.organization.schema.entities import Kept
from asyncservice.webapi import conditions, jsontext
from asyncservice.webapi.answers import updated
from asyncservice.webapi.conditions import Condition
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request, Response
from asyncservice.webapi.faults import ApiError, Code, not_allowed
from asyncservice.webapi.finding import own_id, row_of
from asyncservice.webapi.jobchanges import JobChange
from asyncservice.webapi.resources import Resource, Tail, read_resource

_NOT_MADE: Final = (
    "System jobs cannot be created directly; they come of the messages that start them, such as BulkDelete or "
    "ImportRecordsImport."
)


async def write(api: Api, request: Request) -> Response:
    """Answer POST, PATCH, PUT or DELETE on asyncoperations.

    Raises ApiError, OperationNotFound (404), StateChangeRefused, InvalidOperation or ValueRefused.
    """
    resource = read_resource(request.segments, api.organization.catalog, request.options.aliases)
    if resource is None:
        raise ApiError("The path leads to no system job.", status=HTTPStatus.NOT_FOUND)
    if resource.entity.kept is not Kept.OPERATIONS:
        where = f"{resource.entity.set_name}(<id>)"
        raise ApiError(f"What a system job refers to is changed under its own address: {where}.", code=Code.URI)
    if request.method == "POST" and not resource.is_row and not resource.steps:
        raise InvalidOperation(_NOT_MADE)
    if not resource.is_row:
        raise not_allowed(request.method, f"the set '{resource.entity.set_name}'", "GET")
    job_id = await _job_id(api, resource)
    condition = conditions.read(request.headers)
    if request.method == "DELETE" and resource.column is None:
        await _control(api).delete(job_id, check=lambda job: _check_version(job, condition))
        return Response(status=HTTPStatus.NO_CONTENT)
    if condition.must_not_exist:
        raise InvalidOperation(f"{_NOT_MADE} Leave out If-None-Match.")
    return await _changed(api, request, resource, job_id, condition)


async def _changed(api: Api, request: Request, resource: Resource, job_id: UUID, condition: Condition) -> Response:
    body = _body(request, resource)
    change = JobChange.read(body, resource.entity, job_id)
    user = request.user.user_id

    def apply(job: AsyncOperation, now: datetime) -> AsyncOperation:
        _check_version(job, condition)
        return change.apply(job, now=now, by=user)

    await _control(api).update(job_id, apply)
    return await updated(api, request, resource.entity, Outcome(entity=resource.entity.name, id=job_id))


def _body(request: Request, resource: Resource) -> Mapping[str, object]:
    """Return the columns that are to be changed: of a row by PATCH, or a single one by PUT."""
    if resource.tail is not None:
        raise not_allowed(request.method, resource.tail.value, "GET")
    if resource.column is None:
        if request.method != "PATCH":
            raise not_allowed(request.method, "a row", "GET", "PATCH", "DELETE")
        return jsontext.read_object(request.body)
    if request.method != "PUT":
        raise not_allowed(request.method, f"the column '{resource.column.name}' of a system job", "GET", "PUT")
    body = jsontext.read_object(request.body)
    if "value" not in body:
        raise ApiError('The body has to be {"value": …}.', code=Code.PAYLOAD)
    return {resource.column.name: body["value"]}


async def _job_id(api: Api, resource: Resource) -> UUID:
    if resource.tail is Tail.REF:
        raise ApiError("What a system job refers to cannot be changed.", code=Code.INVALID_ARGUMENT)
    if not resource.steps and resource.key is not None and resource.key.id is not None:
        return resource.key.id
    return own_id(resource.entity, await row_of(api, resource))


def _check_version(job: AsyncOperation, condition: Condition) -> None:
    if condition.version is not None and condition.version != job.version:
        raise ApiError(
            "The version of the existing record doesn't match the RowVersion property provided.",
            status=HTTPStatus.PRECONDITION_FAILED,
            code=Code.CONCURRENCY_VERSION_MISMATCH,
        )


def _control(api: Api) -> Control:
    if api.engine is None:
        raise ApiError(
            "System jobs cannot be changed here: only records are served.",
            status=HTTPStatus.NOT_IMPLEMENTED,
            code=Code.NOT_IMPLEMENTED,
        )
    return api.engine.control
