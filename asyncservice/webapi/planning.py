"""Writes that have been read and checked, and not yet been carried out: so that several can be one transaction.

Whoever answers a write makes a plan of it first. A request on its own is a transaction of its own; those of a change
set are put together by webapi/changesets, all of them or none.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from asyncservice.organization import requests
from asyncservice.organization.requests import Outcome
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request, Response


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWrite:
    """What one HTTP request asks of the records."""

    requests: tuple[requests.Request, ...]
    #: Makes the answer when they have been carried out; is given their outcomes, in their order.
    respond: Callable[[Sequence[Outcome]], Awaitable[Response]]
    #: Which of them is about the record that the HTTP request names or makes: what `$<content id>` stands for.
    main: int = 0


type Planner = Callable[[Api, Request], Awaitable[PlannedWrite | None]]
"""Reads a request; None when it is none that `Organization.transact` could carry out (a read, an action, a job).

Raises ApiError or an error of the organization for what is wrong with it. Writes nothing.
"""


async def carry_out(api: Api, request: Request, planned: PlannedWrite) -> Response:
    """Carry out a planned write on its own. Raises what `Organization.transact` raises."""
    outcomes = await api.organization.transact(
        planned.requests, now=api.clock.now(), by=request.user.user_id, on_behalf_of=request.user.on_behalf_of
    )
    return await planned.respond(outcomes)
