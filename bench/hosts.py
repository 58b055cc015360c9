"""Functions hosts on one emulator, as many as are asked for."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from asyncservice.settings import STORAGE_SETTING
from bench import processes
from bench.children import ROOT, Child

_START_LIMIT: Final = timedelta(seconds=40)
#: How many worker processes a host has; the setting is the platform's.
_WORKERS: Final = "FUNCTIONS_WORKER_PROCESS_COUNT"


class Hosts:
    """Hosts that run the benchmark's handlers. An async context manager; none runs at first."""

    def __init__(
        self, connection: str, directory: Path, *, app: Path = ROOT, settings: Mapping[str, str] | None = None
    ) -> None:
        self._connection, self._directory, self._app = connection, directory, app
        self._settings = settings or {}
        self._running: list[Child] = []
        self._workers = 1
        self._numbers = count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.be(0)

    @property
    def number(self) -> int:
        """How many run."""
        return len(self._running)

    @property
    def first(self) -> Child:
        """The host that runs for longest."""
        return self._running[0]

    def pids(self) -> Sequence[int]:
        """Return the processes of all hosts."""
        return [pid for host in self._running for pid in processes.family(host.pid)]

    def memory(self) -> int | None:
        """Return the resident memory of all hosts in bytes."""
        return processes.memory(self.pids())

    def must_run(self) -> None:
        """Raise ChildFailed when one of them has ended."""
        for host in self._running:
            host.must_run()

    async def be(self, number: int, *, workers: int = 1) -> None:
        """Start or stop hosts until *number* run, each with so many worker processes."""
        wanted = number if workers == self._workers else 0
        while len(self._running) > wanted:
            # In good order: each gives back what it has taken.
            await self._running.pop().stop()
        self._workers = workers
        new = [self._host() for _ in range(number - len(self._running))]
        self._running += new
        await asyncio.gather(*(self._start(host) for host in new))

    def _host(self) -> Child:
        number = next(self._numbers)
        return Child.python(
            f"Functions host {number}",
            "asyncservice.devhost",
            *("--port", "0", "--app", str(self._app)),
            output=self._directory / f"host-{number}.log",
            environment={
                STORAGE_SETTING: self._connection,
                "ASYNCSERVICE_HANDLER_MODULES": "bench.handlers",
                _WORKERS: str(self._workers),
                **self._settings,
            },
        )

    async def _start(self, host: Child) -> None:
        await host.start()
        await host.says("ready http", _START_LIMIT)


def app_as_in_azure(directory: Path) -> Path:
    """Make the app's directory as it is deployed: without local.settings.json, which never leaves a laptop."""
    app = directory / "app"
    app.mkdir()
    for name in ("function_app.py", "host.json"):
        (app / name).symlink_to(ROOT / name)
    return app
