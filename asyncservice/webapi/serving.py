"""The Web API of a function app: made with the service at its first use, and kept as long as the service is."""

import os
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import azure.functions as func

from asyncservice.service import Runtime, Service
from asyncservice.webapi.application import WebApi, refused
from asyncservice.webapi.authentication import Authentication
from asyncservice.webapi.exchange import Headers
from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.functions import outgoing


class WebApiOf:
    """The one Web API of a process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._door = Authentication.of(runtime.settings, os.environ)
        self._made: tuple[Service, WebApi] | None = None

    @property
    def level(self) -> func.AuthLevel:
        """What the host asks of callers of the endpoints beside the Web API.

        A function key; nothing where callers show a token or have signed in, since the host passes on no request
        without a key to an app that could look at its token.
        """
        return func.AuthLevel.ANONYMOUS if self._door.trust.is_configured else func.AuthLevel.FUNCTION

    async def guarded(
        self, request: func.HttpRequest, answer: Callable[[], Awaitable[func.HttpResponse]]
    ) -> func.HttpResponse:
        """Return the answer of an endpoint beside the Web API, or the refusal for who may not call it."""
        try:
            await self._door.check(Headers(request.headers), request.method, urlsplit(request.url).path)
        except ApiError as error:
            return outgoing(refused(error))
        return await answer()

    async def opened(self) -> WebApi:
        """Return it, opening the service first where that has not been done."""
        service = await self._runtime.service()
        if self._made is None or self._made[0] is not service:
            api = WebApi(service.organization, clock=service.engine.clock, engine=service.engine, door=self._door)
            self._made = (service, api)
        return self._made[1]
