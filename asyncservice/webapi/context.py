"""What the parts of the Web API are given to work with, and the shape that each of them has."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from asyncservice.operations.clock import Clock
from asyncservice.operations.engine import Engine
from asyncservice.organization.organization import Organization
from asyncservice.webapi.exchange import Caller, Request, Response


class Api(Protocol):
    """The Web API as its parts see it."""

    @property
    def organization(self) -> Organization:
        """The records, their catalog, and the sources that queries read."""
        ...

    @property
    def engine(self) -> Engine | None:
        """What carries out operations; its `control` is how jobs are changed. None where only records are served."""
        ...

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    async def carry_out(self, request: Request) -> Response:
        """Answer a request that has been let in; what a batch does with each of its parts. Never raises."""
        ...


type Part = Callable[[Api, Request], Awaitable[Response]]
"""How a part answers: metadata, batch, messages, jobs, records. Raises ApiError or an error that faults.known knows."""


class Door(Protocol):
    """Who may come in, and how many at once (webapi/authentication, webapi/admission)."""

    def admitted(self, api: Api, request: Request) -> AbstractAsyncContextManager[Caller]:
        """Let the request in for as long as the context is open, saying whose it is.

        Raises ApiError: 401 without a good token, 403 without the role, 429 when there are too many.
        """
        ...
