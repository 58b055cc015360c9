"""The host: puts worker and triggers together, and takes them apart in good order."""

import asyncio
import ipaddress
import logging
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from asyncservice.devhost.connections import Accounts
from asyncservice.devhost.errors import HostError
from asyncservice.devhost.functions import Function, read_functions
from asyncservice.devhost.hostidentity import host_id
from asyncservice.devhost.hostjson import HostJson
from asyncservice.devhost.httptrigger import HttpServer, make_router
from asyncservice.devhost.invoker import Invoker
from asyncservice.devhost.listeners import Listeners
from asyncservice.devhost.logs import configure_logging
from asyncservice.devhost.pausing import Stop
from asyncservice.devhost.queuetrigger import HIDDEN_FOR
from asyncservice.devhost.settings import is_disabled, read_local_settings, worker_processes
from asyncservice.devhost.worker import Worker
from asyncservice.devhost.workerpool import WorkerPool

_log: Final = logging.getLogger("Host.Startup")

#: How long running functions may go on once the host is asked to stop.
GRACE: Final = timedelta(seconds=30)


class FunctionsHost:
    """Runs one function app; an asynchronous context manager that serves from entry to exit.

    *settings* win over the environment, which wins over local.settings.json. All three are in the environment while the
    host runs, as with Core Tools. *port* 0 takes a free one. Entering raises HostError when the app cannot be run;
    leaving drains the host first. Several hosts, in processes of their own, may share one storage account. With *tls*
    the host serves https, and nothing else.
    """

    def __init__(
        self,
        app_directory: Path,
        *,
        settings: Mapping[str, str] | None = None,
        port: int = 7071,
        host: str = "127.0.0.1",
        grace: timedelta = GRACE,
        message_hiding: timedelta = HIDDEN_FOR,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._directory = app_directory.resolve()
        self._given = dict(settings or {})
        self._address = (host, port)
        self._grace = grace
        self._message_hiding = message_hiding
        self._tls = tls
        self._stop = Stop()
        self._resources = AsyncExitStack()
        self._listeners: list[asyncio.Task[None]] = []
        self._server: HttpServer | None = None
        self._drained: asyncio.Task[bool] | None = None
        #: Where the host serves, without a slash at the end; empty until it is entered.
        self.url = ""
        #: The functions that run, switched-off ones left out; empty until the host is entered.
        self.functions: tuple[Function, ...] = ()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.drain()
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()
        await self._resources.aclose()

    async def drain(self) -> bool:
        """Stop in good order: take nothing more, let what runs finish within the grace period, cancel the rest.

        Returns whether everything finished. Messages of cancelled functions stay hidden and come back by themselves.
        Safe to repeat: a second call waits for the first.
        """
        if self._drained is None:
            self._stop.request()
            self._drained = asyncio.create_task(self._drain(), name="drain")
        return await asyncio.shield(self._drained)

    async def _drain(self) -> bool:
        closing = asyncio.create_task(self._server.close()) if self._server is not None else None
        tasks: list[asyncio.Task[None]] = [*self._listeners, *([closing] if closing else [])]
        if not tasks:
            return True
        # The server cancels its own at the end of the grace period; it gets a moment more to do so.
        _done, late = await asyncio.wait(tasks, timeout=self._grace.total_seconds() + 1)
        if late:
            _log.warning("Functions were still running after %s; they are cancelled.", self._grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return not late

    async def _start(self) -> None:
        settings = self._enter_settings()
        options = HostJson.read(self._directory / "host.json", os.environ)
        configure_logging(options.log_levels)
        listener = self._resources.enter_context(_bound_socket(*self._address))
        host, port = listener.getsockname()[:2]
        self._set_variable("WEBSITE_HOSTNAME", f"{host}:{port}")
        # Where only this machine can call, an app may do without asking who it is. On any other address it may not,
        # whatever the environment or local.settings.json say.
        if not is_loopback(host):
            self._set_variable(ONLY_THIS_MACHINE, "false")
        elif ONLY_THIS_MACHINE not in os.environ:
            self._set_variable(ONLY_THIS_MACHINE, "true")
        worker = await self._start_worker(worker_processes(settings), options)
        self._resources.push_async_callback(worker.stop)
        functions = read_functions(worker.descriptions, settings)
        self.functions = tuple(function for function in functions if not is_disabled(function.name, settings))
        invoker = Invoker(worker, options.function_timeout)
        await self._start_triggers(settings, options, invoker)
        self._server = HttpServer(
            make_router(self.functions, options.http.route_prefix), invoker, self._stop, grace=self._grace
        )
        await self._server.start(listener, self._tls)
        scheme = "http" if self._tls is None else "https"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        _log.info("%d functions of %s are served at %s.", len(self.functions), self._directory.name, self.url)

    async def _start_worker(self, processes: int, options: HostJson) -> Worker | WorkerPool:
        # A single worker needs no process of its own: it starts faster, and one process is easier to debug.
        if processes == 1:
            return await Worker.start(self._directory)
        return await WorkerPool.start(self._directory, processes, levels=options.log_levels)

    async def _start_triggers(self, settings: Mapping[str, str], options: HostJson, invoker: Invoker) -> None:
        listeners = Listeners(
            settings=settings,
            options=options,
            invoker=invoker,
            accounts=await self._resources.enter_async_context(Accounts(settings)),
            stop=self._stop,
            host_id=host_id(self._directory, settings),
            message_hiding=self._message_hiding,
        )
        # Everything is checked before anything runs.
        ready = [(function.name, listeners.make(function)) for function in self.functions]
        for name, listener in ready:
            if listener is not None:
                task = asyncio.create_task(listener.run(), name=f"listener of {name}")
                task.add_done_callback(partial(_tell_when_it_failed, name))
                self._listeners.append(task)

    def _enter_settings(self) -> Mapping[str, str]:
        local = read_local_settings(self._directory / "local.settings.json")
        self._set_variable("AzureWebJobsScriptRoot", str(self._directory))
        for name, value in {**_HOST_SETTINGS, **local}.items():
            if name not in os.environ:
                self._set_variable(name, value)
        for name, value in self._given.items():
            self._set_variable(name, value)
        return os.environ

    def _set_variable(self, name: str, value: str) -> None:
        before = os.environ.get(name)
        os.environ[name] = value
        if before is None:
            self._resources.callback(os.environ.pop, name, None)
        else:
            self._resources.callback(os.environ.__setitem__, name, before)


#: Tells the app whether only this machine can call it.
ONLY_THIS_MACHINE: Final = "ASYNCSERVICE_AUTH_LOCAL"

#: What Core Tools sets for every app.
_HOST_SETTINGS: Final[Mapping[str, str]] = {
    "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
    "FUNCTIONS_EXTENSION_VERSION": "~4",
    "FUNCTIONS_WORKER_RUNTIME": "python",
}


def _tell_when_it_failed(name: str, listener: "asyncio.Task[None]") -> None:
    if not listener.cancelled() and (error := listener.exception()) is not None:
        text = "The listener of function %s ended; the function no longer runs."
        logging.getLogger("Host").error(text, name, exc_info=error)


def is_loopback(address: str) -> bool:
    """Say whether only this machine can reach *address*, which is an IP address or `localhost`."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _bound_socket(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise HostError(f"Port {port} of {host} cannot be used: {error.strerror}. Give another one.") from error
    return bound
