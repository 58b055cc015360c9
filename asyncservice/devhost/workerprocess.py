"""A worker in a process of its own: `python -m asyncservice.devhost.workerprocess SOCKET`, started by the host.

It loads the app as `asyncservice.devhost.worker` does and runs what the host sends over a pair of sockets, whose number
is its argument. Its log lines go to the host as messages; whatever the app prints goes to a pipe that the host reads.

It ends with the host: standard input is a pipe that nobody writes to, and a thread sees it close, whatever the event
loop is busy with, even when the host was killed. The process ends at once then, as it would have in the host's place.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Final

from asyncservice.devhost.errors import HostError, IndexingFailed
from asyncservice.devhost.logs import configure_logging
from asyncservice.devhost.wire import Connection, Message
from asyncservice.devhost.worker import Result, Worker

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_HOST_IS_GONE: Final = 3


class LinesToHost(logging.Handler):
    """Sends log lines to the host, which writes them with its own."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection, self._loop = connection, asyncio.get_running_loop()
        #: Once the host listens no more, lines are printed: the host reads that to the last byte.
        self.is_open = True

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line."""
        text = self.format(record)
        if self.is_open:
            line = {"log": record.name, "level": record.levelno, "text": text}
            self._loop.call_soon_threadsafe(self._connection.post, line)
        else:
            print(f"{record.levelname} {text}", file=sys.stderr)  # noqa: T201 - as above


class WorkerProcess:
    """What a worker process does with what the host sends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._running: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Load the app, run functions until the host says that it is enough, end."""
        start = await self._connection.receive()
        if start is None:
            return
        lines = LinesToHost(self._connection)
        logging.getLogger().addHandler(lines)
        configure_logging(start["levels"])
        try:
            await self._work(Path(start["directory"]))
        finally:
            lines.is_open = False

    async def _work(self, directory: Path) -> None:
        worker = await self._load(directory)
        if worker is None:
            return
        while (message := await self._connection.receive()) is not None and message["do"] != "stop":
            if message["do"] == "invoke":
                self._begin(worker, message, message["number"])
            elif (running := self._running.get(message["number"])) is not None:
                running.cancel()
        await worker.stop()

    async def _load(self, directory: Path) -> Worker | None:
        try:
            worker = await Worker.start(directory)
        except IndexingFailed as error:
            await self._connection.send({"failed": error.reason, "trace": error.stack_trace})
            return None
        except HostError as error:
            await self._connection.send({"failed": str(error), "trace": ""})
            return None
        described = [
            SimpleNamespace(id=each.id, name=each.name, bindings=each.bindings) for each in worker.descriptions
        ]
        await self._connection.send({"functions": described})
        return worker

    def _begin(self, worker: Worker, message: Message, number: int) -> None:
        task = self._running[number] = asyncio.create_task(self._invoke(worker, message))
        task.add_done_callback(lambda _: self._running.pop(number))

    async def _invoke(self, worker: Worker, message: Message) -> None:
        try:
            result = await worker.invoke(
                message["function"],
                message["data"],
                message["metadata"],
                trace_parent=message["parent"],
                trace_state=message["state"],
            )
        except asyncio.CancelledError:
            result = Result(error="CancelledError: the host cancelled the function.")
        answer = {"value": result.value, "error": result.error, "trace": result.stack_trace}
        await self._connection.send({"number": message["number"], **answer})


def _end_with_host() -> None:
    while os.read(0, 1024):
        pass
    os._exit(_HOST_IS_GONE)


def _ignored(_number: int, _frame: object) -> None:
    """Do nothing: whoever signals a whole group of processes means the host, which ends this one when it is time."""


async def _main(descriptor: int) -> None:
    end = socket.socket(fileno=descriptor)
    end.set_inheritable(False)
    await WorkerProcess(await Connection.of(end)).run()


if __name__ == "__main__":
    for each in _SIGNALS:
        signal.signal(each, _ignored)
    threading.Thread(target=_end_with_host, name="end with host", daemon=True).start()
    asyncio.run(_main(int(sys.argv[1])))
