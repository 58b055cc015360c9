"""The service put together: storage, engine, handlers and settings, one of each in a process."""

import asyncio
import importlib
import os
import pkgutil
import secrets
import socket
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

from asyncservice.operations.clock import Clock, SystemClock
from asyncservice.operations.engine import Engine
from asyncservice.operations.handling import Registry, registry
from asyncservice.organization.jobs import JobSource
from asyncservice.organizations import organization_of
from asyncservice.settings import Settings, storage_from_environment
from asyncservice.storage.account import Storage


def host_name() -> str:
    """Return a name for this process: the machine, the process, and something of its own."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


def load_handlers(packages: str) -> Registry:
    """Import every module of the named packages, so that the handlers in them register; return the registry."""
    for name in filter(None, (each.strip() for each in packages.split(","))):
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(getattr(package, "__path__", ())):
            importlib.import_module(f"{name}.{module.name}")
    return registry


class Service:
    """Everything an edge (function_app, client, command line) calls. Use as an async context manager."""

    def __init__(self, storage: Storage, *, settings: Settings, handlers: Registry, clock: Clock | None = None) -> None:
        self.storage, self.settings = storage, settings
        self.engine = Engine(
            storage, handlers, clock=clock or SystemClock(), host=host_name(), options=settings.engine_options()
        )
        self.control = self.engine.control
        self.organization = organization_of(storage, settings)
        self.organization.register(JobSource(self.engine.store, lambda: self.organization.catalog))

    async def __aenter__(self) -> Self:
        """Open the storage and, at the very first start, make what is missing in it."""
        await self.storage.__aenter__()
        try:
            await self.engine.open(prepare=self._prepare)
            # Where an older release made the first start, its records are missing. One request otherwise.
            await self.organization.seed(now=self.engine.clock.now())
        except BaseException as error:
            await self.storage.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the storage."""
        await self.storage.__aexit__(kind, error, trace)

    async def _prepare(self) -> None:
        """Make what the organization needs beside the engine. Safe to repeat."""
        await self.organization.create()


class Runtime:
    """The one service of a function app: made at its first use, in the event loop that uses it, closed with that loop.

    Nobody tells a function app that its process ends. But whoever ends an event loop in good order finishes the
    asynchronous generators that are open in it: `asyncio.run` does, in which the Functions worker and the local host
    run. So the service is held open by a generator.
    """

    def __init__(self) -> None:
        self.settings = Settings()
        self._service: Service | None = None
        self._held: AsyncGenerator[Service] | None = None
        self._opening = asyncio.Lock()

    async def service(self) -> Service:
        """Return the service, opening it first where that has not been done. A failed opening is tried again."""
        if self._service is None:
            async with self._opening:
                if self._service is None:
                    held = self._opened()
                    self._service = await anext(held)
                    self._held = held
        return self._service

    async def _opened(self) -> AsyncGenerator[Service]:
        handlers = load_handlers(self.settings.handler_modules)
        async with Service(storage_from_environment(), settings=self.settings, handlers=handlers) as service:
            yield service
