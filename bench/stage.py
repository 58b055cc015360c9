"""What our service is measured on: the emulator, Functions hosts with the benchmark's handlers, a client."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from asyncservice.client import AsyncServiceClient
from bench import processes
from bench.children import ROOT, ChildFailed
from bench.ground import Ground
from bench.hosts import Hosts
from bench.meter import Mark, Meter, Span
from bench.records import Records, Seen
from bench.wire import Role

#: What a run may take before it counts as stuck: in any case, and for each operation.
_LIMIT, _LIMIT_EACH = timedelta(seconds=120), timedelta(milliseconds=20)
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
    hosts: Hosts
    #: The emulator's process id.
    emulator: int | None
    client: AsyncServiceClient
    records: Records
    meter: Meter

    def emulator_memory(self) -> int | None:
        """Return the emulator's resident memory in bytes."""
        return None if self.emulator is None else processes.memory([self.emulator])

    async def completed(self, name: str, count: int, start: Mark, working: frozenset[str]) -> Outcome:
        """Wait until *count* operations of that name have succeeded; raise ChildFailed when they do not.

        The wire tells when: the table is looked at only after requests for operations have ceased, so that watching
        costs the watched nothing.
        """
        limit = _LIMIT + count * _LIMIT_EACH
        give_up = time.monotonic() + limit.total_seconds()
        while True:
            end = await self._stillness(start, working)
            seen = await self.records.named(name)
            if len(seen) >= count and all(each.succeeded for each in seen.values()):
                return Outcome(seen, self.meter.between(start, end))
            if time.monotonic() > give_up:
                good = sum(each.succeeded for each in seen.values())
                raise ChildFailed("The service", f"completed {good} of {count} operations within {limit}", "")
            self.hosts.must_run()

    async def _stillness(self, start: Mark, working: frozenset[str]) -> Mark:
        """Wait until the work seems to be done; return a mark after the last request for an operation.

        Seems: no request was made for a while, and as many messages were removed as were sent. When some never are,
        the work is looked at all the same after a longer while.
        """
        last = time.monotonic()
        place, waiting = start.place, 0
        while time.monotonic() - last < (_LONG_STILL if waiting > 0 else _STILL):
            await asyncio.sleep(_LOOK_EVERY)
            end = self.meter.log.end()
            requests = self.meter.log.read(place, end)
            place = end
            kinds = Counter(request.kind for request in requests if request.role(working) is Role.OWN)
            waiting += kinds["queue put"] - kinds["queue delete"]
            if kinds:
                last = time.monotonic()
        return self.meter.mark()


@asynccontextmanager
async def a_stage(
    ground: Ground, *, app: Path = ROOT, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Stage]:
    """Start one host on the emulator, with the settings it has on a laptop, and a client; end both.

    *app* is another directory to take the app from, and its settings; *settings* are further ones.
    """
    connection, emulator = ground.azurite.connection_string, ground.azurite.pid
    async with (
        AsyncServiceClient.from_connection_string(connection) as client,
        Records(connection) as records,
        Hosts(connection, ground.directory, app=app, settings=settings) as hosts,
    ):
        await hosts.be(1)

        def taking_part() -> Mapping[str, Iterable[int]]:
            return {"host": hosts.pids()} | ({"azurite": [emulator]} if emulator else {})

        yield Stage(connection, hosts, emulator, client, records, Meter(ground.log, taking_part))
