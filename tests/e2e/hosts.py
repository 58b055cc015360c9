"""The app on real hosts, each a process of its own, with times short enough for a test."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: The settings that make repair quick. What they are by default is a matter of cost, not of function.
QUICK: Final[Mapping[str, str]] = {
    "ASYNCSERVICE_HANDLER_MODULES": "handlers,tests.e2e.handlers",
    "ASYNCSERVICE_LEASE": "00:00:05",
    "ASYNCSERVICE_HINT_GRACE": "00:00:05",
    "ASYNCSERVICE_SWEEP_SCHEDULE": "*/2 * * * * *",
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.5",
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
    # A host that was killed keeps the sweep's lease for as long; 15 seconds are the least that Blob Storage allows.
    "AzureFunctionsJobHost__singleton__listenerLockPeriod": "00:00:15",
    "AzureFunctionsJobHost__singleton__listenerLockRecoveryPollingInterval": "00:00:01",
}
_START_LIMIT: Final = 60.0
_STOP_LIMIT: Final = 30.0


class Host:
    """A host of this repository's app."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self._log = process, log
        self.url = ""

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self._log.read_text()

    async def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(_START_LIMIT):
            line = await asyncio.to_thread(self.process.stdout.readline)
        match = re.fullmatch(r"ready (http://\S+)\n", line)
        assert match, f"the host is not ready: {line!r}\n{self.log}"
        self.url = match[1]

    async def kill(self) -> None:
        """End it as the out-of-memory killer does: no warning, no cleaning up."""
        self.process.kill()
        assert await self.ends() == -signal.SIGKILL

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """Hold the process where it is until the end of the block; it may be killed inside."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGCONT)

    async def terminate(self) -> int:
        """Ask it to stop; return its exit code."""
        self.process.terminate()
        return await self.ends()

    async def ends(self) -> int:
        return await asyncio.to_thread(self.process.wait, _STOP_LIMIT)

    def must_run(self) -> None:
        """Fail, with its last words, when it has ended by itself."""
        assert self.process.poll() is None, f"the host ended with code {self.process.returncode}\n{self.log[-4000:]}"


class Hosts:
    """Starts hosts on one storage account, and ends those that still run when the block ends."""

    def __init__(self, connection: str, directory: Path) -> None:
        self._connection, self._directory = connection, directory
        self._started: list[Host] = []

    async def start(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        grace: float = 10,
        message_hiding: int = 5,
        arguments: Sequence[str] = (),
    ) -> Host:
        """Start a host and return when it serves."""
        path = self._directory / f"host-{len(self._started) + 1}.log"
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("ASYNCSERVICE_", "Azure"))}
        with path.open("w") as log:
            process = subprocess.Popen(  # noqa: ASYNC220 - returns once forked
                [
                    *(sys.executable, "-m", "asyncservice.devhost", "--app", str(ROOT), "--port", "0"),
                    *("--grace", str(grace), "--message-hiding", str(message_hiding), *arguments),
                ],
                cwd=ROOT,
                env={**ours, **QUICK, "AzureWebJobsStorage": self._connection, **(settings or {})},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        host = Host(process, path)
        self._started.append(host)
        await host.wait_until_ready()
        return host

    def close(self) -> None:
        for host in self._started:
            if host.process.poll() is None:
                host.process.kill()
                host.process.wait()
            assert host.process.stdout is not None
            host.process.stdout.close()


@contextmanager
def hosts_on(connection: str, directory: Path) -> Iterator[Hosts]:
    """Give the means to start hosts; those that still run at the end of the block are ended."""
    hosts = Hosts(connection, directory)
    try:
        yield hosts
    finally:
        hosts.close()


async def eventually[T](
    look: Callable[[], Awaitable[T | None]], *, within: timedelta, meanwhile: Callable[[], object] = lambda: None
) -> T:
    """Look until there is something to see, and return it; fail when *within* is over. *meanwhile* may fail sooner."""
    deadline = time.monotonic() + within.total_seconds()
    while True:
        if seen := await look():
            return seen
        meanwhile()
        assert time.monotonic() < deadline, f"{look.__name__} was not so within {within}"
        await asyncio.sleep(0.2)
