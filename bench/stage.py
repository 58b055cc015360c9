"""What our service is measured on: the emulator, a Functions host with the no-op handlers, a client."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from asyncservice.client import AsyncServiceClient
from asyncservice.devhost.azurite import Azurite
from bench import processes
from bench.children import ROOT, Child, ChildFailed
from bench.meter import Mark, Meter, Span
from bench.records import Records, Seen
from bench.wire import AccessLog, Role

_START_LIMIT: Final = timedelta(seconds=40)
#: What a run of any number of operations may take before it counts as stuck.
_LIMIT: Final = timedelta(seconds=120)
#: Seconds without a request for an operation after which the work is taken for done; the second value holds while
#: there are messages on the queues, whose listeners may be resting.
_STILL, _LONG_STILL = 0.4, 5.0
_LOOK_EVERY: Final = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known when operations have completed."""

    seen: Mapping[UUID, Seen]
    #: From the first request for them to the last, and a little more.
    span: Span


@dataclass(frozen=True, slots=True)
class Stage:
    """A running service."""

    connection: str
    host: Child
    client: AsyncServiceClient
    records: Records
    meter: Meter

    async def completed(self, name: str, count: int, start: Mark, working: frozenset[str]) -> Outcome:
        """Wait until *count* operations of that name have succeeded; raise ChildFailed when they do not.

        The wire tells when: the table is looked at only after requests for operations have ceased, so that watching
        costs the watched nothing.
        """
        give_up = time.monotonic() + _LIMIT.total_seconds()
        while True:
            end = await self._stillness(start, working)
            seen = await self.records.named(name)
            if len(seen) >= count and all(each.succeeded for each in seen.values()):
                return Outcome(seen, self.meter.between(start, end))
            if time.monotonic() > give_up:
                good = sum(each.succeeded for each in seen.values())
                raise ChildFailed(self.host.name, f"completed {good} of {count} operations within {_LIMIT}", "")
            self.host.must_run()

    async def _stillness(self, start: Mark, working: frozenset[str]) -> Mark:
        """Wait until the work seems to be done; return a mark after the last request for an operation.

        Seems: no request was made for a while, and as many messages were removed as were sent. When some never are,
        the work is looked at all the same after a longer while.
        """
        last = end = self.meter.mark()
        place, waiting = start.place, 0
        while end.at - last.at < (_LONG_STILL if waiting > 0 else _STILL):
            await asyncio.sleep(_LOOK_EVERY)
            end = self.meter.mark()
            requests = self.meter.log.read(place, end.place)
            place = end.place
            kinds = Counter(request.kind for request in requests if request.role(working) is Role.OWN)
            waiting += kinds["queue put"] - kinds["queue delete"]
            if kinds:
                last = end
        return end

    def memory(self) -> int | None:
        """Return the resident memory of the host in bytes."""
        return processes.memory(self.host.pid)


@asynccontextmanager
async def a_stage(azurite: Azurite, log: AccessLog, directory: Path) -> AsyncIterator[Stage]:
    """Start a host on the emulator, with the settings it has on a laptop, and a client; end both."""
    connection = azurite.connection_string
    host = Child.python(
        "The Functions host",
        "asyncservice.devhost",
        *("--port", "0", "--app", str(ROOT)),
        output=directory / "host.log",
        environment={"AzureWebJobsStorage": connection, "ASYNCSERVICE_HANDLER_MODULES": "bench.handlers"},
    )
    async with (
        AsyncServiceClient.from_connection_string(connection) as client,
        Records(connection) as records,
        host,
    ):
        await host.says("ready http", _START_LIMIT)
        pids = {"host": host.pid} | ({"azurite": azurite.pid} if azurite.pid else {})
        yield Stage(connection, host, client, records, Meter(log, pids))
