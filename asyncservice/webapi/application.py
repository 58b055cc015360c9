"""The Web API put together: lets requests in, hands each to the part that answers it, makes errors of what goes wrong.

    api = WebApi(organization, clock=clock, engine=engine, door=door)
    response = await api.answer(request)

Each part is a function of webapi/context.Part. `PARTS` says which one a path belongs to; the rest are
messages and entity sets.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from uuid import UUID, uuid4

from asyncservice.operations.clock import Clock
from asyncservice.operations.engine import Engine
from asyncservice.operations.record import SYSTEM_USER
from asyncservice.organization.jobs import JobSource
from asyncservice.organization.organization import Organization
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.webapi import faults, jobs, permissions, writes
from asyncservice.webapi.batch import Batch
from asyncservice.webapi.context import Api, Door, Part
from asyncservice.webapi.exchange import JSON, Caller, Request, Response
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.messages import dispatch
from asyncservice.webapi.messages.standard import STANDARD
from asyncservice.webapi.metadata.parts import PARTS as METADATA
from asyncservice.webapi.permissions import Role
from asyncservice.webapi.records import Records

_log: Final = logging.getLogger(__name__)

#: Parts by the first segment of the path. What is not here calls a message, or begins with an entity set.
PARTS: Final[Mapping[str, Part]] = {
    "$batch": Batch(writes.plan),
    **METADATA,
}


class OpenDoor:
    """Asks nobody: everyone is the same user. For tests, and for a host that only this machine can reach."""

    def __init__(self, user_id: UUID = SYSTEM_USER) -> None:
        self._caller = Caller(user_id=user_id, roles=Role.ADMINISTRATOR.including)

    @asynccontextmanager
    async def admitted(self, api: Api, request: Request) -> AsyncIterator[Caller]:  # noqa: ARG002 - the port's signature
        """Let everything in."""
        yield self._caller


class WebApi:
    """Answers requests below `/api/data/v9.x/`."""

    def __init__(
        self,
        organization: Organization,
        *,
        clock: Clock,
        engine: Engine | None = None,
        door: Door | None = None,
        parts: Mapping[str, Part] = PARTS,
        records: Part | None = None,
    ) -> None:
        self.organization, self.engine, self.clock = organization, engine, clock
        self._door: Door = door or OpenDoor()
        self._parts, self._records = parts, records or Records(jobs=jobs.write)
        if engine is not None:
            organization.register(JobSource(engine.store, lambda: organization.catalog))

    async def answer(self, request: Request) -> Response:
        """Let a request in and answer it. Never raises: what goes wrong becomes the error object."""
        try:
            async with self._door.admitted(self, request) as caller:
                strong = request.headers.get("Consistency", "").strip().lower() == "strong"
                await self.organization.refresh(now=self.clock.now(), strong=strong)
                response = await self._carried_out(request.asked_by(caller))
        except Exception as error:  # noqa: BLE001 - the edge: nothing may pass it
            response = _refusal(error, request)
        return _signed(response)

    async def carry_out(self, request: Request) -> Response:
        """Answer a request that has been let in. Never raises."""
        try:
            response = await self._carried_out(request)
        except Exception as error:  # noqa: BLE001 - one part of a batch that fails must not take the others with it
            response = _refusal(error, request)
        return response.having({"OData-Version": "4.0"})

    async def _carried_out(self, request: Request) -> Response:
        # A batch has been let in by its own path; each of its parts needs the role for its.
        permissions.require(request)
        first = request.segments[0].name if request.segments else ""
        part = self._parts.get(first)
        if part is not None:
            return await part(self, request)
        if dispatch.is_called_by(request, STANDARD):
            return await dispatch.answer(self, request, STANDARD)
        return await self._records(self, request)


def refused(error: ApiError | StorageUnavailable) -> Response:
    """Return the whole answer to a request that does not even reach the Web API."""
    return _signed(refusal(faults.known(error) or ApiError(str(error), status=HTTPStatus.INTERNAL_SERVER_ERROR)))


def refusal(error: ApiError) -> Response:
    """Return the response that tells of an error."""
    return Response(status=error.status, headers={"Content-Type": JSON, **error.headers}, body=error.as_body())


def _signed(response: Response) -> Response:
    request_id = str(uuid4())
    return response.having({"OData-Version": "4.0", "x-ms-service-request-id": request_id, "REQ_ID": request_id})


def _refusal(error: Exception, request: Request) -> Response:
    told = faults.known(error)
    if told is None:
        request_id = str(uuid4())
        _log.error("Request %s, %s %s, failed: %r", request_id, request.method, request.path, error, exc_info=error)
        told = ApiError(
            "An unexpected error occurred; the log of the service has it under the request id of this answer.",
            status=HTTPStatus.INTERNAL_SERVER_ERROR,
            code=Code.UNEXPECTED,
            headers={"x-ms-service-request-id": request_id, "REQ_ID": request_id},
        )
    return refusal(told)
