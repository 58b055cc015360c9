"""The app on a host that serves https, as clients of Dataverse insist on it."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asyncservice.devhost.azurite import Azurite
from asyncservice.devhost.certificates import AUTHORITY
from tests.e2e.hosts import QUICK, ROOT

_STOP_LIMIT = 30.0


@dataclass(frozen=True)
class Served:
    """Where the host serves, and the certificate authority that vouches for it."""

    url: str
    authority: Path
    #: The connection string of the storage behind it.
    connection: str

    @property
    def api(self) -> str:
        """The service root of the Web API."""
        return f"{self.url}/api/data/v9.2"


@contextmanager
def served(directory: Path) -> Iterator[Served]:
    """Serve the app on an emulator of its own until the end of the block."""
    emulator = Azurite()
    asyncio.run(emulator.start(), loop_factory=asyncio.new_event_loop)
    try:
        yield from _host(emulator.connection_string, directory)
    finally:
        asyncio.run(emulator.stop(), loop_factory=asyncio.new_event_loop)


def _host(connection: str, directory: Path) -> Iterator[Served]:
    certificates, log = directory / "certificates", directory / "host.log"
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("ASYNCSERVICE_", "Azure"))}
    with log.open("w") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "asyncservice.devhost", "--app", str(ROOT), "--port", "0"),
                *("--https", str(certificates)),
            ],
            cwd=ROOT,
            env={**ours, **QUICK, "AzureWebJobsStorage": connection},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        ready = re.fullmatch(r"ready (https://\S+)\n", line)
        assert ready, f"the host is not ready: {line!r}\n{log.read_text()}"
        yield Served(ready[1], certificates / AUTHORITY, connection)
    finally:
        process.terminate()
        process.wait(_STOP_LIMIT)
        assert process.stdout is not None
        process.stdout.close()
