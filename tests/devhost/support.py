"""Sample apps in a directory of their own, hosts that run them as processes, and waiting with a deadline."""

import asyncio
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PREAMBLE = """
import asyncio
import os
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

def note(*words):
    with open(os.environ["EVENTS"], "a", encoding="utf-8") as events:
        events.write(" ".join(str(word) for word in words) + "\\n")
"""

HOST_JSON: Mapping[str, Any] = {
    "version": "2.0",
    "logging": {"logLevel": {"default": "Information"}},
    "extensions": {
        "http": {"routePrefix": ""},
        "queues": {"messageEncoding": "none", "maxPollingInterval": "00:00:00.2", "visibilityTimeout": "00:00:01"},
    },
}


def write_app(directory: Path, source: str, host_json: Mapping[str, Any] = HOST_JSON) -> Path:
    """Make a function app of *source*, which finds `app`, `func` and `note` defined."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "function_app.py").write_text(PREAMBLE + source, encoding="utf-8")
    (directory / "host.json").write_text(json.dumps(host_json), encoding="utf-8")
    return directory


class HostProcess:
    """A host in a process of its own."""

    def __init__(self, app: Path, settings: Mapping[str, str], arguments: Sequence[str]) -> None:
        self.app = app
        self._events = app / "events.txt"
        self._log = (app / "log.txt").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "asyncservice.devhost", "--app", str(app), "--port", "0", *arguments],
            env=os.environ | {"EVENTS": str(self._events)} | dict(settings),
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.url = ""

    @property
    def events(self) -> list[str]:
        """The lines that the app has noted."""
        return self._events.read_text().splitlines() if self._events.exists() else []

    @property
    def log(self) -> str:
        """What the host has written to standard error."""
        return (self.app / "log.txt").read_text()

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], 20)
        line = self.process.stdout.readline() if readable else ""
        match = re.fullmatch(r"ready (https?://\S+)\n", line)
        assert match, f"the host is not ready: {line!r}\n{self.log}"
        self.url = match[1]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()


@contextmanager
def a_host(
    app: Path,
    connection: str,
    arguments: Sequence[str] = (),
    *,
    settings: Mapping[str, str] | None = None,
    ready: bool = True,
) -> Iterator[HostProcess]:
    """Run *app* until the end of the block."""
    host = HostProcess(app, {"AzureWebJobsStorage": connection, **(settings or {})}, arguments)
    try:
        if ready:
            host.wait_until_ready()
        yield host
    finally:
        host.close()


async def eventually(fact: Callable[[], bool | Awaitable[bool]], *, within: float = 20) -> None:
    """Return as soon as *fact* holds; fail when it does not in time."""
    deadline = time.monotonic() + within
    while True:
        holds = fact()
        if holds if isinstance(holds, bool) else await holds:
            return
        assert time.monotonic() < deadline, f"not so within {within} seconds"
        await asyncio.sleep(0.03)
