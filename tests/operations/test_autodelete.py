"""Operations that are removed of themselves when they have succeeded."""

from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from asyncservice.operations import autodelete, ids, retention
from asyncservice.operations.autodelete import KEPT
from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.errors import OperationNotFound
from asyncservice.operations.handling import (
    Done,
    OperationContext,
    OperationFailed,
    Outcome,
    RetryOperation,
    WaitingForChildren,
)
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.retention import Retention
from asyncservice.operations.states import COMPLETED, StatusCode
from asyncservice.operations.store import PAYLOADS, TABLE
from asyncservice.operations.submission import Submission
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from tests.faults import FaultyStorage
from tests.operations.world import World
from tests.support import VirtualClock, an_id

PLENTY = timedelta(hours=1)
PARENT, CHILD = OperationType.BULK_DELETE, OperationType.BULK_DELETE_SUBPROCESS


async def handler(context: OperationContext) -> Outcome:
    match context.data.get("do"):
        case "fail":
            raise OperationFailed("no")
        case "retry" if context.operation.retrycount == 0:
            raise RetryOperation("busy")
    return Done("done")


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    world = await World(storage, clock).open()
    world.handle(handler)
    return world


async def remove(world: World) -> int:
    return await autodelete.remove(world.engine, kept=KEPT, budget=PLENTY)


async def rows(world: World) -> list[str]:
    """Return the keys of all rows of operations; those of the service itself begin with an underscore."""
    table = world.storage.table(TABLE)
    partitions = map(ids.partition_name, range(world.engine.store.shards))
    return [row.key for each in partitions async for row in table.scan(each) if not row.key.startswith("_")]


@pytest.mark.parametrize("own_id", [False, True], ids=["our id", "a caller's id"])
async def test_it_stands_for_an_hour_and_is_gone(world: World, own_id: bool) -> None:  # noqa: FBT001
    operation_id = await world.submit(operation_id=uuid4() if own_id else an_id(), asyncautodelete=True)
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.SUCCEEDED
    world.clock.jump(KEPT)
    assert await remove(world) == 0
    assert await world.submit(operation_id=operation_id) == operation_id, "till then it is the one of its id"
    assert (await world.get(operation_id)).friendlymessage == "done"
    world.clock.jump(timedelta(milliseconds=1))
    assert await remove(world) == 1
    assert await rows(world) == []
    with pytest.raises(OperationNotFound):
        await world.get(operation_id)
    assert await remove(world) == 0


async def test_what_failed_or_was_cancelled_stays(world: World) -> None:
    failed = await world.submit(asyncautodelete=True, data='{"do": "fail"}')
    waiting = await world.submit(
        asyncautodelete=True, statuscode=StatusCode.WAITING, postponeuntil=world.clock.now() + timedelta(days=90)
    )
    cancelled = await world.submit(asyncautodelete=True)
    await world.control.cancel(cancelled)
    plain = await world.submit()
    await world.run_everything()
    world.clock.jump(timedelta(days=1))
    assert await remove(world) == 0
    statuses = [(await world.get(each)).statuscode for each in (failed, waiting, cancelled, plain)]
    assert statuses == [StatusCode.FAILED, StatusCode.WAITING, StatusCode.CANCELED, StatusCode.SUCCEEDED]


async def test_one_that_failed_is_removed_when_it_succeeds_after_all(clock: VirtualClock) -> None:
    world = await World(MemoryStorage(clock.now), clock).open()
    works = False

    async def moody(_: OperationContext) -> Outcome:
        if not works:
            raise OperationFailed("no")

    world.handle(moody)
    operation_id = await world.submit(asyncautodelete=True)
    await world.run_everything()
    works = True
    await world.control.retry(operation_id)
    await world.run_everything()
    world.clock.jump(2 * KEPT)
    assert await remove(world) == 1
    assert await rows(world) == []


async def test_its_texts_and_history_go_with_it(world: World) -> None:
    await world.submit(asyncautodelete=True, data='{"text": "' + "x" * 50_000 + '"}')
    await world.run_everything()
    assert [name async for name in world.storage.blobs(PAYLOADS).names()] != []
    world.clock.jump(2 * KEPT)
    assert await remove(world) == 1
    assert await rows(world) == []
    assert [name async for name in world.storage.blobs(PAYLOADS).names()] == []


async def test_the_next_of_its_token_runs_and_its_parent_is_woken(clock: VirtualClock) -> None:
    world = await World(MemoryStorage(clock.now), clock).open()
    tallies = []

    async def parent(context: OperationContext) -> Outcome:
        if context.checkpoint is None:
            child = Submission(operationtype=int(CHILD), asyncautodelete=True)
            await context.start_children([child, child.model_copy(update={"asyncautodelete": False})])
            return WaitingForChildren("started")
        tallies.append(await context.children())
        return None

    world.handle(handler)
    world.handle(parent, type=PARENT)
    world.handle(handler, type=CHILD)
    first = await world.submit(dependencytoken="invoice-7", asyncautodelete=True)
    second = await world.submit(dependencytoken="invoice-7")
    of_two = await world.submit(type=PARENT)
    await world.run_everything()
    assert (await world.get(second)).statuscode is StatusCode.SUCCEEDED
    assert (await world.get(of_two)).statuscode is StatusCode.SUCCEEDED
    assert [tally.succeeded for tally in tallies] == [2]
    world.clock.jump(2 * KEPT)
    assert await remove(world) == 2, "the first of the token, and a child"
    assert await world.engine.store.read(first) is None


async def test_a_recurring_one_goes_after_its_last_run(clock: VirtualClock) -> None:
    world = await World(MemoryStorage(clock.now), clock).open()
    world.handle(handler)
    start = world.clock.now()
    await world.submit(asyncautodelete=True, recurrencepattern="FREQ=DAILY;COUNT=2", recurrencestarttime=start)
    await world.run_everything()
    world.clock.jump(2 * KEPT)
    assert await remove(world) == 0
    world.clock.jump(timedelta(days=1))
    await world.run_everything()
    world.clock.jump(2 * KEPT)
    assert await remove(world) == 1
    assert await rows(world) == []


async def removed_by_hand(world: World, operation_id: UUID) -> None:
    await world.control.delete(operation_id)


async def removed_by_age(world: World, _: UUID) -> None:
    nothing_kept = Retention(dict.fromkeys(COMPLETED, timedelta(0)))
    assert await retention.purge(world.engine, nothing_kept, budget=PLENTY) == 1


@pytest.mark.parametrize("removed", [removed_by_hand, removed_by_age])
@pytest.mark.parametrize("token", [None, "invoice-7"])
async def test_whoever_removes_it_first_takes_its_row_along(world: World, removed: object, token: str | None) -> None:
    operation_id = await world.submit(asyncautodelete=True, dependencytoken=token)
    await world.run_everything()
    world.clock.jump(2 * KEPT)
    await removed(world, operation_id)  # type: ignore[operator]
    assert [key for key in await rows(world) if key.startswith(ids.REMOVAL)] == []
    assert await remove(world) == 0


async def test_one_that_is_removed_by_hand_meanwhile_keeps_no_other_from_going(clock: VirtualClock) -> None:
    storage = MemoryStorage(clock.now)
    world = await World(storage, clock).open()
    world.handle(handler)
    operations = [await world.submit(operation_id=an_id(shard=1), asyncautodelete=True) for _ in range(5)]
    await world.run_everything()
    world.clock.jump(2 * KEPT)
    table = world.engine.store.table
    scan = table.scan

    async def scan_then_delete(*arguments: object, **options: object) -> object:
        found = [row async for row in scan(*arguments, **options)]  # type: ignore[arg-type]
        if found:
            await world.control.delete(operations[2])
        for row in found:
            yield row

    class Watched:
        def __getattr__(self, name: str) -> object:
            return scan_then_delete if name == "scan" else getattr(table, name)

    world.engine.store.table = Watched()  # type: ignore[assignment]
    assert sum([await remove(world), await remove(world)]) == 4
    world.engine.store.table = table
    assert await rows(world) == []


async def test_it_costs_next_to_nothing(clock: VirtualClock) -> None:
    """Two hundred removals are seven transactions and a look at each partition; and the settle costs nothing more."""

    async def two_hundred(*, asyncautodelete: bool) -> tuple[World, list[str]]:
        counted = FaultyStorage(MemoryStorage(clock.now))
        world = await World(counted, clock, options=EngineOptions(shards=4)).open()
        world.handle(handler)
        for _ in range(200):
            await world.submit(operation_id=an_id(clock.now(), shard=1), asyncautodelete=asyncautodelete)
        await world.run_everything()
        return world, counted.calls

    _, plain = await two_hundred(asyncautodelete=False)
    world, calls = await two_hundred(asyncautodelete=True)
    assert len(calls) == len(plain)
    clock.jump(2 * KEPT)
    calls.clear()
    assert await remove(world) == 200
    assert Counter(call.partition(" ")[0] for call in calls) == {"scan": 4, "commit": 7}


class TickingClock(VirtualClock):
    """A clock on which every look takes a tenth of a second."""

    def now(self) -> datetime:
        self.jump(timedelta(milliseconds=100))
        return super().now()


async def test_it_stops_when_its_time_is_over(clock: VirtualClock) -> None:
    world = await World(MemoryStorage(clock.now), clock, options=EngineOptions(shards=2)).open()
    world.handle(handler)
    for number in range(300):
        await world.submit(operation_id=an_id(shard=number % 256), asyncautodelete=True)
    await world.run_everything()
    world.engine.clock = TickingClock(clock.now() + 2 * KEPT)
    removed = []
    while number := await autodelete.remove(world.engine, kept=KEPT, budget=timedelta(seconds=10)):
        removed.append(number)
    assert sum(removed) == 300
    assert len(removed) > 2
    assert await rows(world) == []
