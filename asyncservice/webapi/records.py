"""Entity sets: reads and writes of records, each sent to where it is answered."""

from http import HTTPStatus

from asyncservice.organization.schema.entities import Kept
from asyncservice.webapi import files, planning, reading, writes
from asyncservice.webapi.context import Api, Part
from asyncservice.webapi.exchange import Request, Response
from asyncservice.webapi.faults import ApiError, Code, not_allowed
from asyncservice.webapi.resources import read_resource

_READS = frozenset({"GET", "HEAD"})
_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


class Records:
    """The part of the Web API that answers for entity sets. *jobs* answers writes of operations."""

    def __init__(self, jobs: Part | None = None) -> None:
        self._jobs = jobs

    async def __call__(self, api: Api, request: Request) -> Response:
        """Answer a request whose path begins with an entity set and calls no message."""
        resource = read_resource(request.segments, api.organization.catalog, request.options.aliases)
        if resource is None:
            raise ApiError(
                f"Resource not found for the segment '{request.segments[-1].name}'.", status=HTTPStatus.NOT_FOUND
            )
        if request.method in _READS:
            return await reading.read(api, request, resource)
        if request.method not in _WRITES:
            raise not_allowed(request.method, f"'{resource.start.set_name}'", "GET", "POST", "PATCH", "PUT", "DELETE")
        if resource.start.kept is Kept.OPERATIONS:
            if self._jobs is None:
                raise ApiError(
                    "Operations cannot be changed here.", status=HTTPStatus.NOT_IMPLEMENTED, code=Code.NOT_IMPLEMENTED
                )
            return await self._jobs(api, request)
        if files.is_file(resource.column):
            return await files.change(api, request, resource)
        return await planning.carry_out(api, request, await writes.plan_of(api, request, resource))
