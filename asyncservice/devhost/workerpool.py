"""Several worker processes behind one: those that live run functions in turn, those that die are replaced."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

from asyncservice.devhost.errors import HostError
from asyncservice.devhost.functions import Description, Function
from asyncservice.devhost.messages import TypedData
from asyncservice.devhost.remoteworker import RemoteWorker
from asyncservice.devhost.worker import Result

_log: Final = logging.getLogger("Host.Worker")

#: The first that dies is replaced at once, those after it this long after the last replacement: a process that cannot
#: live must not keep the machine busy.
RESTART_PAUSE: Final = timedelta(seconds=10)


class WorkerPool:
    """Worker processes that have loaded the same app. Made by `WorkerPool.start`; ended by `stop`."""

    def __init__(self, directory: Path, levels: Mapping[str, int], workers: Sequence[RemoteWorker]) -> None:
        self._directory, self._levels = directory, levels
        self._workers = list(workers)
        self._turn = 0
        self._replaced = asyncio.Event()
        self._keepers = [
            asyncio.create_task(self._keep(place), name=f"keeper of worker process {worker.pid}")
            for place, worker in enumerate(workers)
        ]
        #: The functions that were indexed, switched-off ones included.
        self.descriptions: Sequence[Description] = workers[0].descriptions

    @classmethod
    async def start(cls, directory: Path, count: int, *, levels: Mapping[str, int]) -> Self:
        """Start *count* processes and load the app in each; raise IndexingFailed when that cannot be done."""
        starts = [asyncio.create_task(RemoteWorker.start(directory, levels=levels)) for _ in range(count)]
        try:
            return cls(directory, levels, await asyncio.gather(*starts))
        except BaseException:
            for start in starts:
                start.cancel()
            for started in await asyncio.gather(*starts, return_exceptions=True):
                if isinstance(started, RemoteWorker):
                    await started.stop()
            raise

    async def invoke(
        self,
        function: Function,
        data: TypedData,
        metadata: Mapping[str, TypedData],
        *,
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Result:
        """Run *function* once, in the process whose turn it is; wait where none lives."""
        worker = await self._next()
        return await worker.invoke(function, data, metadata, trace_parent=trace_parent, trace_state=trace_state)

    async def stop(self) -> None:
        """End all processes."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))

    async def _next(self) -> RemoteWorker:
        while True:
            for _ in self._workers:
                self._turn = (self._turn + 1) % len(self._workers)
                if self._workers[self._turn].is_running:
                    return self._workers[self._turn]
            self._replaced.clear()
            await self._replaced.wait()

    async def _keep(self, place: int) -> None:
        """Replace the process at *place* whenever it dies."""
        loop = asyncio.get_running_loop()
        not_before = loop.time()
        while True:
            dead = self._workers[place]
            code = await dead.ended()
            _log.error("Worker process %d ended with code %d; another one takes its place.", dead.pid, code)
            await dead.stop()
            while self._workers[place] is dead:
                await asyncio.sleep(not_before - loop.time())
                not_before = loop.time() + RESTART_PAUSE.total_seconds()
                try:
                    self._workers[place] = await RemoteWorker.start(self._directory, levels=self._levels)
                except (HostError, OSError) as error:
                    _log.error("No worker process could be started: %s", error)
            self._replaced.set()
