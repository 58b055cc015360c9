"""`$batch`: the requests of a batch one after the other, each change set as one transaction (web-api-wire, section 19).

What is outside change sets is committed request by request, in order; the next one sees what the last one did. The
first failure ends the batch unless the client prefers to go on.
"""

from http import HTTPStatus
from typing import Final

from asyncservice.webapi.batchreading import BatchRequest, ChangeSet, Part, read_batch
from asyncservice.webapi.batchwriting import Answer, ChangeSetAnswer, write_batch
from asyncservice.webapi.changesets import ChangeSets, as_request, failure
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request, Response
from asyncservice.webapi.faults import ApiError, not_allowed
from asyncservice.webapi.planning import Planner
from asyncservice.webapi.prefer import applied

#: The first segment of a batch's own path.
SEGMENT: Final = "$batch"


class Batch:
    """The part of the Web API that answers `$batch`. *plan* makes plans of writes, for change sets."""

    def __init__(self, plan: Planner) -> None:
        self._change_sets = ChangeSets(plan)

    async def __call__(self, api: Api, request: Request) -> Response:
        """Carry out a batch. Raises ApiError when it cannot be read; nothing has been carried out then."""
        if request.method != "POST":
            raise not_allowed(request.method, SEGMENT, "POST")
        goes_on = request.preferences.continue_on_error
        parts = read_batch(request.headers.get("Content-Type", ""), request.body)
        answers: list[Answer | ChangeSetAnswer] = []
        for part in parts:
            answers.append(await self._answer(api, request, part))
            if answers[-1].has_failed and not goes_on:
                break
        has_failed = not goes_on and answers[-1].has_failed
        response = write_batch(answers, status=HTTPStatus.BAD_REQUEST if has_failed else HTTPStatus.OK)
        return response.having(applied("odata.continue-on-error") if goes_on else {})

    async def _answer(self, api: Api, request: Request, part: Part) -> Answer | ChangeSetAnswer:
        if isinstance(part, ChangeSet):
            return ChangeSetAnswer(await self._change_sets.carry_out(api, request, part))
        return Answer(await _single(api, request, part), part.content_id)


async def _single(api: Api, batch: Request, part: BatchRequest) -> Response:
    try:
        request = as_request(batch, part, {})
    except ApiError as error:
        return failure(error)
    return await api.carry_out(request)
