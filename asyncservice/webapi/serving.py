"""The Web API of a function app: made with the service at its first use, and kept as long as the service is."""

import os

from asyncservice.service import Runtime, Service
from asyncservice.webapi.application import WebApi
from asyncservice.webapi.authentication import Authentication


class WebApiOf:
    """The one Web API of a process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._door = Authentication.of(runtime.settings, os.environ)
        self._made: tuple[Service, WebApi] | None = None

    async def opened(self) -> WebApi:
        """Return it, opening the service first where that has not been done."""
        service = await self._runtime.service()
        if self._made is None or self._made[0] is not service:
            api = WebApi(service.organization, clock=service.engine.clock, engine=service.engine, door=self._door)
            self._made = (service, api)
        return self._made[1]
