"""The timer listener, with a clock that moves when somebody waits and blobs in memory."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from asyncservice.devhost.blobs import BlobsUnreachable
from asyncservice.devhost.functions import Function, TimerTrigger
from asyncservice.devhost.hostjson import SingletonOptions
from asyncservice.devhost.messages import TypedData
from asyncservice.devhost.pausing import Stop
from asyncservice.devhost.schedule import parse_schedule
from asyncservice.devhost.schedulestatus import ScheduleStatus, StatusStore
from asyncservice.devhost.timertrigger import TimerListener
from asyncservice.devhost.worker import Result

NOW = datetime(2026, 3, 10, 12, 0, 30, tzinfo=UTC)
STATUS = "timers/h/Host.Functions.tick/status"
LOCK = "locks/h/Host.Functions.tick.Listener"
FUNCTION = Function(
    id="1",
    name="tick",
    parameter="timer",
    trigger=TimerTrigger(schedule="0 * * * * *", run_on_startup=False, use_monitor=None),
)


class VirtualStop(Stop):
    """Waiting moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW

    async def pause(self, length: timedelta) -> None:
        await asyncio.sleep(0)
        if not self.requested:
            self.now += length


class MemoryBlobs:
    """Blobs in a dictionary, and leases that a test can take or break."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.leased: set[str] = set()
        self.broken = False
        self.unreachable = False
        self.asked = 0

    async def read(self, name: str) -> bytes | None:
        return self.content.get(name)

    async def write(self, name: str, content: bytes) -> None:
        if self.unreachable:
            raise BlobsUnreachable
        self.content[name] = content

    async def lease(self, name: str, length: timedelta) -> "MemoryLease | None":
        assert length == timedelta(seconds=60)
        self.asked += 1
        if name in self.leased:
            return None
        self.leased.add(name)
        return MemoryLease(self, name)


class MemoryLease:
    def __init__(self, blobs: MemoryBlobs, name: str) -> None:
        self._blobs, self._name = blobs, name

    async def renew(self) -> bool:
        return not self._blobs.broken

    async def release(self) -> None:
        self._blobs.leased.discard(self._name)


class World:
    """One timer and everything around it."""

    def __init__(
        self, schedule: str = "0 * * * * *", *, monitored: bool = True, run_on_startup: bool = False, runs: int = 1
    ) -> None:
        self.stop = VirtualStop()
        self.blobs = MemoryBlobs()
        self.runs = runs
        self.requests: list[tuple[datetime, Mapping[str, object]]] = []
        self.takes = timedelta(0)
        self.renewals = asyncio.Event()
        self._make: Callable[[], TimerListener] = lambda: TimerListener(
            function=FUNCTION,
            schedule=parse_schedule(schedule, NOW),
            monitored=monitored,
            run_on_startup=run_on_startup,
            invoker=self,
            blobs=self.blobs,
            statuses=StatusStore(self.blobs, "h"),
            options=SingletonOptions(),
            host_id="h",
            stop=self.stop,
            clock=lambda: self.stop.now,
            sleep=self._sleep,
        )

    async def _sleep(self, _seconds: float) -> None:
        await self.renewals.wait()

    async def invoke(
        self,
        function: Function,
        data: TypedData,
        metadata: Mapping[str, TypedData],
        *,
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Result:
        assert (function, metadata, trace_parent, trace_state) == (FUNCTION, {}, "", "")
        self.requests.append((self.stop.now, json.loads(data.value)))
        self.stop.now += self.takes
        if len(self.requests) == self.runs:
            self.stop.request()
        return Result()

    async def run(self) -> list[str]:
        await asyncio.wait_for(self._make().run(), 5)
        return [moment.strftime("%H:%M:%S") for moment, _ in self.requests]

    def remember(self, status: ScheduleStatus) -> None:
        self.blobs.content[STATUS] = json.dumps(status.to_json()).encode()

    @property
    def status(self) -> dict[str, str]:
        stored: dict[str, str] = json.loads(self.blobs.content[STATUS])
        return stored


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-10T{text}+00:00")


async def test_a_timer_runs_at_its_occurrences() -> None:
    world = World(runs=3)
    assert await world.run() == ["12:01:00", "12:02:00", "12:03:00"]
    assert world.status == {
        "Last": "2026-03-10T12:03:00+00:00",
        "Next": "2026-03-10T12:04:00+00:00",
        "LastUpdated": "2026-03-10T12:03:00+00:00",
    }


async def test_occurrences_during_a_run_are_made_up_for_once() -> None:
    world = World(runs=3)
    world.takes = timedelta(seconds=150)
    # Due at 12:02 when the first run ends at 12:03:30, and so on: late, never twice for one occurrence.
    assert await world.run() == ["12:01:00", "12:03:30", "12:06:00"]


async def test_the_request_is_what_the_real_host_sends() -> None:
    world = World()
    await world.run()
    assert world.requests[0][1] == {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": {
            "Last": "0001-01-01T00:00:00",
            "Next": "2026-03-10T12:01:00+00:00",
            "LastUpdated": "2026-03-10T12:00:30+00:00",
        },
        "IsPastDue": False,
    }


async def test_a_timer_that_is_not_monitored_has_no_status() -> None:
    world = World("*/10 * * * * *", monitored=False, runs=2)
    assert await world.run() == ["12:00:40", "12:00:50"]
    assert world.requests[0][1]["ScheduleStatus"] is None
    assert STATUS not in world.blobs.content


async def test_a_timer_whose_time_passed_runs_at_once_and_says_so() -> None:
    world = World(runs=2)
    world.remember(ScheduleStatus(last=at("11:00:00"), next=at("11:01:00"), last_updated=at("11:00:00")))
    assert await world.run() == ["12:00:30", "12:01:00"]
    assert [request["IsPastDue"] for _, request in world.requests] == [True, False]


async def test_a_timer_can_run_when_the_host_starts() -> None:
    world = World(runs=2, run_on_startup=True)
    assert await world.run() == ["12:00:30", "12:01:00"]
    assert [request["IsPastDue"] for _, request in world.requests] == [False, False]


async def test_a_status_that_cannot_be_understood_counts_as_none() -> None:
    world = World()
    world.blobs.content[STATUS] = b"{"
    assert await world.run() == ["12:01:00"]


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not fact():  # noqa: ASYNC110 - the world under test has no events to wait for
            await asyncio.sleep(0)


async def test_the_lease_is_asked_for_until_it_is_free_and_given_up_in_the_end() -> None:
    world = World()
    world.blobs.leased.add(LOCK)
    running = asyncio.create_task(world.run())
    await until(lambda: world.blobs.asked == 3)
    assert world.requests == []

    world.blobs.leased.clear()

    assert len(await running) == 1
    assert world.blobs.leased == set()


async def test_a_timer_that_lost_its_lease_asks_for_it_again() -> None:
    world = World(runs=10**9)
    running = asyncio.create_task(world.run())
    await until(lambda: len(world.requests) > 0)
    assert world.blobs.asked == 1

    world.blobs.broken = True
    world.renewals.set()
    await until(lambda: world.blobs.asked == 2)

    world.stop.request()
    await running
    assert world.blobs.leased == set()


async def test_a_schedule_goes_on_while_its_status_cannot_be_written() -> None:
    world = World(runs=2)
    world.blobs.unreachable = True
    assert await world.run() == ["12:01:00", "12:02:00"]
