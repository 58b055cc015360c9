"""A service that runs, for the snippets of the documentation: an emulator of its own and a host process."""

import asyncio
import os
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from asyncservice.devhost.azurite import Azurite
from asyncservice.settings import STORAGE_SETTING
from tests.docs.pages import ROOT

_START = 60
_LEAVE = 45


@pytest.fixture(scope="session")
def running_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the connection string of a storage on which a host is at work."""
    # Names are the documented ones here, so the storage is shared with no other test.
    emulator = Azurite()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(emulator.start(), loop).result(_START)
    log = tmp_path_factory.mktemp("host") / "host.log"
    try:
        with _host(emulator.connection_string, log):
            yield emulator.connection_string
    finally:
        asyncio.run_coroutine_threadsafe(emulator.stop(), loop).result(_START)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class _host:  # noqa: N801 - reads as what it opens
    """A host in a process of its own; entered when it serves."""

    def __init__(self, connection: str, log: Path) -> None:
        self._connection, self._log = connection, log

    def __enter__(self) -> None:
        environment = os.environ | {STORAGE_SETTING: self._connection, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "asyncservice.devhost", "--port", "0", "--app", str(ROOT)]
        with self._log.open("wb") as errors:
            self._process = Popen(command, env=environment, stdout=PIPE, stderr=errors, cwd=ROOT)
        assert self._process.stdout is not None
        word, _, url = self._process.stdout.readline().decode().strip().partition(" ")
        assert word == "ready", self._log.read_text()
        # The first use of the service makes its queues.
        with urllib.request.urlopen(f"{url}/api/health", timeout=_START) as answer:  # noqa: S310 - our own host
            assert answer.status == 200

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_LEAVE)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
