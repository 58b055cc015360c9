"""Change sets: requests of a batch that are one transaction of the organization, all of them or none.

Each request is planned first, in order; `$<content id>` stands for the record of an earlier one, whose id is made up
before anything is written. Then all plans are carried out by one `Organization.transact`, and each makes its answer. A
change set of a single request is no more than that request, so anything but a read may stand in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote
from uuid import UUID, uuid4

from asyncservice.organization import requests
from asyncservice.organization.keys import completed
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.webapi import faults, permissions
from asyncservice.webapi.batchreading import BatchRequest, ChangeSet
from asyncservice.webapi.batchurls import relative
from asyncservice.webapi.batchwriting import Answer
from asyncservice.webapi.blame import TOLD, blamed
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import JSON, Headers, Request, Response
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.messages import dispatch
from asyncservice.webapi.planning import PlannedWrite, Planner

_READS: Final = frozenset({"GET", "HEAD"})
_VERSION: Final = {"OData-Version": "4.0"}


@dataclass(frozen=True, slots=True)
class _Planned:
    """A request of a change set on its way into the transaction."""

    part: BatchRequest
    plan: PlannedWrite


class ChangeSets:
    """Carries out change sets."""

    def __init__(self, plan: Planner) -> None:
        self._plan = plan

    async def carry_out(self, api: Api, batch: Request, change_set: ChangeSet) -> tuple[Answer, ...]:
        """Return an answer for each request or, when nothing was done, the one that tells why."""
        parts = change_set.requests
        if len(parts) == 1 and parts[0].method not in _READS:
            return (await _alone(api, batch, parts[0]),)
        planned: list[_Planned] = []
        references: dict[str, str] = {}
        # Made-up ids stand in one partition, so that records of one table need no more than one storage transaction.
        shard = uuid4().int & 0xF
        for number, part in enumerate(parts):
            try:
                request = as_request(batch, part, references)
                plan = await self._planned(api, request)
                if part.content_id is not None and _is_referred_to(part.content_id, parts[number + 1 :]):
                    plan = await _identified(api, plan, shard)
                    references[part.content_id] = _url(api.organization.catalog, plan, request)
            except TOLD as error:
                return (_told(error, part),)
            planned.append(_Planned(part, plan))
        return await _transacted(api, batch, planned)

    async def _planned(self, api: Api, request: Request) -> PlannedWrite:
        if request.method in _READS:
            raise ApiError(f"{request.method} cannot stand in a change set; put it beside the change set.")
        plan = await self._plan(api, request)
        if plan is None:
            if not api.organization.catalog.has_set(request.segments[0].name if request.segments else ""):
                # What is neither a set nor a message is nothing at all.
                dispatch.find(api, request)
            raise ApiError(
                f"{request.method} {request.path[:200]} cannot be undone, so it cannot share a change set with other "
                "requests; put it into the batch outside the change set, or into one of its own.",
                code=Code.INVALID_ARGUMENT,
            )
        return plan


async def _alone(api: Api, batch: Request, part: BatchRequest) -> Answer:
    try:
        request = as_request(batch, part, {})
    except ApiError as error:
        return _told(error, part)
    return Answer(await api.carry_out(request), part.content_id)


async def _transacted(api: Api, batch: Request, planned: Sequence[_Planned]) -> tuple[Answer, ...]:
    user = batch.user
    try:
        outcomes = await api.organization.transact(
            [each for one in planned for each in one.plan.requests],
            now=api.clock.now(),
            by=user.user_id,
            on_behalf_of=user.on_behalf_of,
        )
    except TOLD as error:
        place = blamed(error, [one.plan for one in planned])
        return (_told(error, planned[place or 0].part),)
    answers: list[Answer] = []
    position = 0
    for one in planned:
        own = outcomes[position : position + len(one.plan.requests)]
        position += len(own)
        response = await one.plan.respond(own)
        answers.append(Answer(response.having(_VERSION), one.part.content_id))
    return tuple(answers)


def as_request(batch: Request, part: BatchRequest, references: dict[str, str]) -> Request:
    """Return the request that a part of *batch* stands for.

    Raises ApiError: for an address that cannot be read, for another batch, for what the caller may not do (403).
    """
    path, query = relative(part.url, references)
    request = Request(
        method=part.method,
        path=path,
        query=query,
        headers=Headers(part.headers),
        body=part.body,
        address=batch.address,
        caller=batch.caller,
        references=dict(references),
    )
    if request.segments and request.segments[0].name.lower() == "$batch":
        raise ApiError("A batch cannot hold another batch; put its requests into this one.")
    permissions.require(request)
    return request


def failure(error: ApiError) -> Response:
    """Return the response that tells of an error in a part of a batch."""
    return Response(
        status=error.status,
        headers={"Content-Type": JSON, **_VERSION, **error.headers},
        body=error.as_body(),
    )


def _told(error: Exception, part: BatchRequest) -> Answer:
    told = faults.known(error)
    if told is None:
        raise error
    return Answer(failure(told), part.content_id)


def _is_referred_to(content_id: str, later: Sequence[BatchRequest]) -> bool:
    """Whether `$<content id>` may stand in one of these requests; rather too often than too rarely."""
    written = f"${content_id}"
    return any(written in unquote(each.url) or written.encode() in each.body for each in later)


async def _identified(api: Api, plan: PlannedWrite, shard: int) -> PlannedWrite:
    """Return the plan with an id for the record that it makes or, going by an alternate key, changes."""
    main = plan.requests[plan.main]
    if not isinstance(main, requests.Create | requests.Upsert) or main.id is not None:
        return plan
    made: requests.Request
    new_id = UUID(int=uuid4().int & ~0xF | shard)
    if isinstance(main, requests.Create):
        made = replace(main, id=new_id)
    elif (found := await api.organization.find_by_key(main.entity, main.key)) is None:
        # Should another one take the key meanwhile, the change set is refused; sent again, it finds that record.
        made = requests.Create(entity=main.entity, values=completed(main.values, main.key), id=new_id)
    else:
        made = requests.Update(entity=main.entity, values=main.values, id=found.id)
    return replace(plan, requests=(*plan.requests[: plan.main], made, *plan.requests[plan.main + 1 :]))


def _url(catalog: Catalog, plan: PlannedWrite, request: Request) -> str:
    """Return what a reference to the request stands for: the record that it makes or changes."""
    main = plan.requests[plan.main]
    if isinstance(main, requests.Associate | requests.Disassociate) or main.id is None:
        return request.path
    return f"{catalog.entity(main.entity).set_name}({main.id})"
