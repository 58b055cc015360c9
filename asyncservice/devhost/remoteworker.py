"""A worker process as the host sees it: started, asked to run functions, stopped; and what it says when it dies."""

import asyncio
import contextlib
import itertools
import logging
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Final, Self

from asyncservice.devhost.errors import IndexingFailed, WorkerFailed
from asyncservice.devhost.functions import Description, Function
from asyncservice.devhost.messages import TypedData
from asyncservice.devhost.wire import Connection, Message
from asyncservice.devhost.worker import Result

_log: Final = logging.getLogger("Host.Worker")
#: Where the real host logs what a function prints.
_console: Final = logging.getLogger("Host.Function.Console")

#: How long a function may go on once it is cancelled; then its process is ended, as the real host does. Longer than an
#: operation has to be given back.
CANCEL_LIMIT: Final = timedelta(seconds=15)
#: How long a process that runs nothing any more may take to end.
STOP_LIMIT: Final = timedelta(seconds=10)


class RemoteWorker:
    """One worker process. Made by `RemoteWorker.start`; ended by `stop`."""

    def __init__(self, process: asyncio.subprocess.Process, connection: Connection) -> None:
        self._process, self._connection = process, connection
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Result]] = {}
        self._printing = asyncio.create_task(self._log_prints(), name=f"output of worker process {process.pid}")
        self._listening: asyncio.Task[None] | None = None
        #: The functions that were indexed.
        self.descriptions: Sequence[Description] = ()

    @classmethod
    async def start(cls, directory: Path, *, levels: Mapping[str, int]) -> Self:
        """Start a process and load the app in it; raise IndexingFailed when that cannot be done."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-u", "-m", "asyncservice.devhost.workerprocess", str(theirs.fileno())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for the host, which ends its workers when they have given back what they run.
                start_new_session=True,
            )
        worker = cls(process, await Connection.of(ours))
        try:
            await worker._load(directory, levels)
        except BaseException:
            worker._kill()
            await worker.stop()
            raise
        return worker

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it can be asked to run something."""
        return self._listening is not None and not self._listening.done()

    async def ended(self) -> int:
        """Return the exit code once it has ended and everybody who waited for it knows."""
        if self._listening is not None:
            await asyncio.wait({self._listening})
        return await self._process.wait()

    async def invoke(
        self,
        function: Function,
        data: TypedData,
        metadata: Mapping[str, TypedData],
        *,
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Result:
        """Run *function* once with *data* for its trigger's parameter.

        Never raises for what the function does; a process that dies meanwhile is a failure. Cancelling the call cancels
        an asynchronous function and returns when it has ended.
        """
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._connection.send(
                {
                    "do": "invoke",
                    "number": number,
                    "function": SimpleNamespace(id=function.id, parameter=function.parameter),
                    "data": data,
                    "metadata": metadata,
                    "parent": trace_parent,
                    "state": trace_state,
                }
            )
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await self._cancel(number, function, answer)
            raise

    async def _cancel(self, number: int, function: Function, answer: asyncio.Future[Result]) -> None:
        self._connection.post({"do": "cancel", "number": number})
        _done, going_on = await asyncio.wait({answer}, timeout=CANCEL_LIMIT.total_seconds())
        if going_on:
            _log.error(
                "Function %s goes on %s after it was cancelled; its process is ended.", function.name, CANCEL_LIMIT
            )
            self._kill()
            await asyncio.wait({answer})

    async def stop(self) -> None:
        """Let the process end, and end it by force when it does not. Safe to repeat."""
        self._connection.post({"do": "stop"})
        await self._exit_code()
        await self.ended()
        await self._printing
        self._connection.close()
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _exit_code(self) -> int:
        """Wait until the process has ended, which it is about to do; end it by force when it does not."""
        try:
            async with asyncio.timeout(STOP_LIMIT.total_seconds()):
                return await self._process.wait()
        except TimeoutError:
            _log.warning("Worker process %d did not end within %s; it is ended by force.", self.pid, STOP_LIMIT)
            self._kill()
        return await self._process.wait()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # It has ended by itself.
            self._process.kill()

    async def _load(self, directory: Path, levels: Mapping[str, int]) -> None:
        await self._connection.send({"directory": str(directory), "levels": levels})
        while (message := await self._connection.receive()) is not None:
            if "failed" in message:
                raise IndexingFailed(message["failed"], message["trace"])
            if "functions" in message:
                self.descriptions = tuple(
                    Description(id=each.id, name=each.name, bindings=each.bindings) for each in message["functions"]
                )
                self._listening = asyncio.create_task(self._listen(), name=f"worker process {self.pid}")
                return
            _log_line(message)
        raise WorkerFailed(
            f"A worker process ended with code {await self._process.wait()} before it had loaded the app."
        )

    async def _listen(self) -> None:
        try:
            while (message := await self._connection.receive()) is not None:
                if "number" in message:
                    result = Result(message["value"], message["error"], message["trace"])
                    self._waiting.pop(message["number"]).set_result(result)
                else:
                    _log_line(message)
        finally:
            await self._bury()

    async def _bury(self) -> None:
        """Tell everybody who waits for a function that its process is gone."""
        code = await self._exit_code()
        died = Result(error=f"Worker process {self.pid} ended with code {code} while the function ran.")
        for answer in self._waiting.values():
            answer.set_result(died)
        self._waiting.clear()

    async def _log_prints(self) -> None:
        if self._process.stdout is not None:
            async for line in self._process.stdout:
                _console.info("%s", line.decode(errors="replace").rstrip())


def _log_line(message: Message) -> None:
    logging.getLogger(message["log"]).log(message["level"], "%s", message["text"])
