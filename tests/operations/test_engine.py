"""The life of operations on a whole engine, in memory and on Azurite, with time moved by hand."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from asyncservice.operations.agenda import Repair
from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.errors import ErrorCode, InvalidOperation, StateChangeRefused
from asyncservice.operations.handling import (
    Done,
    OperationContext,
    OperationFailed,
    Outcome,
    Postponed,
    RetryOperation,
    SuspendOperation,
    Yielded,
)
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.retry import RetryPolicy
from asyncservice.operations.states import StatusCode
from asyncservice.storage.account import Storage
from asyncservice.storage.tables import Table
from tests.operations.world import World, until
from tests.support import VirtualClock, an_id, an_operation


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    return await World(storage, clock).open()


def actions(operation: object) -> list[str]:
    return [entry.action for entry in operation.history]  # type: ignore[attr-defined]


async def test_an_operation_is_run_and_its_history_says_so(world: World) -> None:
    async def handler(context: OperationContext) -> Outcome:
        return Done(f"{context.data['greeting']}, attempt {context.operation.attempt}")

    world.handle(handler)
    operation_id = await world.submit(data='{"greeting": "Hello"}')
    assert (await world.get(operation_id)).statuscode is StatusCode.WAITING_FOR_RESOURCES
    await world.run_everything()

    operation = await world.get(operation_id)
    assert operation.statuscode is StatusCode.SUCCEEDED
    assert operation.friendlymessage == "Hello, attempt 1"
    assert (operation.startedon, operation.completedon, operation.hostid) == (
        world.clock.now(),
        world.clock.now(),
        "host-1",
    )
    assert (operation.leaseuntil, operation.agendaon) == (None, None)
    assert actions(operation) == ["create", "claim", "succeed"]


async def test_submitting_an_id_twice_runs_it_once(world: World) -> None:
    runs: list[str | None] = []

    async def handler(context: OperationContext) -> Outcome:
        runs.append(context.operation.name)

    world.handle(handler)
    own = uuid4()
    for name in ("first", "second"):
        await world.submit(operation_id=own, name=name)
        await world.run_everything()
    assert runs == ["first"]


async def test_a_duplicated_hint_runs_nothing_twice(world: World) -> None:
    started = asyncio.Event()
    runs = 0

    async def handler(_: OperationContext) -> Outcome:
        nonlocal runs
        runs += 1
        started.set()
        await asyncio.sleep(0.05)

    world.handle(handler)
    operation_id = await world.submit()
    operation = await world.get(operation_id)
    place = world.engine.store.place(operation)
    await asyncio.gather(*(world.engine.run_one(place) for _ in range(5)))
    await world.engine.run_one(place)
    assert runs == 1


async def test_many_at_once_are_all_run(world: World) -> None:
    async def handler(_: OperationContext) -> Outcome:
        return None

    world.handle(handler)
    operations = [an_operation(an_id(shard=number % 3), now=world.clock.now()) for number in range(130)]
    stored = await world.engine.submit_many(operations)
    await world.run_everything()
    assert [each.operation.asyncoperationid for each in stored] == [each.asyncoperationid for each in operations]
    statuses = [(await world.get(each.asyncoperationid)).statuscode for each in operations]
    assert statuses == [StatusCode.SUCCEEDED] * 130


async def test_work_goes_on_from_its_checkpoint_slice_by_slice(world: World) -> None:
    done: list[int] = []

    async def handler(context: OperationContext) -> Outcome:
        position = context.checkpoint or 0
        for number in range(position, 10):
            done.append(number)
            await context.save(number + 1, succeeded=number + 1, total=10)
            if number % 4 == 3:
                return Yielded(number + 1)
        return None

    world.handle(handler)
    operation_id = await world.submit()
    await world.run_everything()
    operation = await world.get(operation_id)
    assert done == list(range(10))
    assert (operation.successcount, operation.totalcount, operation.attempt) == (10, 10, 3)
    assert actions(operation) == ["create", "claim", "yield", "claim", "yield", "claim", "succeed"]


async def test_a_slice_ends_when_its_time_is_up(world: World) -> None:
    async def handler(context: OperationContext) -> Outcome:
        if context.should_yield():
            return Done("at once")
        world.clock.jump(timedelta(minutes=1))
        return Done("later") if context.should_yield() else Done("never")

    world.handle(handler, slice_length=timedelta(seconds=30))
    operation_id = await world.submit()
    await world.run_everything()
    assert (await world.get(operation_id)).friendlymessage == "later"


async def test_a_failure_is_recorded_with_its_code(world: World) -> None:
    async def handler(_: OperationContext) -> Outcome:
        raise OperationFailed("The file is empty.", code=-2147220635, friendly="Nothing to import.")

    world.handle(handler)
    operation_id = await world.submit()
    await world.run_everything()
    operation = await world.get(operation_id)
    assert operation.statuscode is StatusCode.FAILED
    assert (operation.errorcode, operation.message, operation.friendlymessage) == (
        -2147220635,
        "The file is empty.",
        "Nothing to import.",
    )


async def test_an_unexpected_error_fails_with_its_trace(world: World) -> None:
    async def handler(_: OperationContext) -> Outcome:
        raise KeyError("nobody thought of this")

    world.handle(handler)
    operation_id = await world.submit()
    await world.run_everything()
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.errorcode) == (StatusCode.FAILED, ErrorCode.ISV_UNEXPECTED)
    assert "nobody thought of this" in (operation.message or "")
    assert "Traceback" in (operation.message or "")


async def test_a_wrong_return_value_is_named(world: World) -> None:
    async def handler(_: OperationContext) -> Outcome:
        return 42  # type: ignore[return-value]

    world.handle(handler)
    operation_id = await world.submit()
    await world.run_everything()
    assert "returned int" in ((await world.get(operation_id)).message or "")


async def test_a_type_without_a_handler_fails_saying_so(world: World) -> None:
    operation_id = await world.submit(type=OperationType.BULK_EMAIL)
    await world.run_everything()
    operation = await world.get(operation_id)
    assert operation.statuscode is StatusCode.FAILED
    assert "No handler is registered for operation type 2 (Bulk Email)" in (operation.message or "")


@pytest.mark.parametrize("error", [RetryOperation("busy", code=ErrorCode.SERVER_BUSY), ConnectionResetError("gone")])
async def test_a_passing_error_is_tried_again_until_it_passes(world: World, error: Exception) -> None:
    attempts: list[int] = []

    async def handler(context: OperationContext) -> Outcome:
        attempts.append(context.operation.retrycount)
        if len(attempts) < 3:
            raise error

    world.handle(handler)
    operation_id = await world.submit()
    await world.run_everything()
    operation = await world.get(operation_id)
    assert operation.statuscode is StatusCode.WAITING
    assert operation.retrycount == 1
    assert operation.postponeuntil is not None
    await world.run_everything()
    assert attempts == [0]
    for _ in range(2):
        world.clock.jump(timedelta(minutes=2))
        await world.sweep()
        await world.run_everything()
    operation = await world.get(operation_id)
    assert attempts == [0, 1, 2]
    assert (operation.statuscode, operation.errorcode, operation.message) == (StatusCode.SUCCEEDED, None, None)
    assert actions(operation).count("try later") == 2
    assert actions(operation).count("fall due") == 2


async def test_retries_end_in_failure_with_the_last_error(world: World) -> None:
    async def handler(_: OperationContext) -> Outcome:
        raise RetryOperation("still busy", code=ErrorCode.SERVER_BUSY)

    world.handle(handler, retry=RetryPolicy(max_attempts=3))
    operation_id = await world.submit()
    for _ in range(4):
        await world.run_everything()
        world.clock.jump(timedelta(hours=1))
        await world.sweep()
    operation = await world.get(operation_id)
    assert operation.statuscode is StatusCode.FAILED
    assert (operation.retrycount, operation.errorcode, operation.message) == (2, ErrorCode.SERVER_BUSY, "still busy")


async def test_what_only_a_person_can_mend_waits_until_it_is_resumed(world: World) -> None:
    outcomes: list[Exception | None] = [SuspendOperation("401 Unauthorized", code=ErrorCode.NETWORK), None]

    async def handler(_: OperationContext) -> Outcome:
        if (error := outcomes.pop(0)) is not None:
            raise error

    world.handle(handler)
    operation_id = await world.submit()
    await world.run_everything()
    world.clock.jump(timedelta(days=30))
    await world.sweep()
    await world.run_everything()
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.waitreason) == (StatusCode.WAITING, "person")
    assert (operation.errorcode, operation.message, operation.retrycount) == (ErrorCode.NETWORK, "401 Unauthorized", 0)
    await world.control.resume(operation_id)
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.SUCCEEDED


async def test_a_policy_may_suspend_instead_of_failing(world: World) -> None:
    async def handler(_: OperationContext) -> Outcome:
        raise RetryOperation("still busy")

    world.handle(handler, retry=RetryPolicy(max_attempts=1, suspends=True))
    operation_id = await world.submit()
    await world.run_everything()
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.waitreason, operation.message) == (
        StatusCode.WAITING,
        "person",
        "still busy",
    )


async def test_a_handler_postpones_itself(world: World) -> None:
    async def handler(context: OperationContext) -> Outcome:
        if context.checkpoint is None:
            return Postponed(context.now() + timedelta(days=2), checkpoint={"seen": True}, message="Nothing there yet.")
        return Done("found")

    world.handle(handler)
    operation_id = await world.submit()
    await world.run_everything()
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.friendlymessage) == (StatusCode.WAITING, "Nothing there yet.")
    world.clock.jump(timedelta(days=2, seconds=1))
    await world.sweep()
    await world.run_everything()
    assert (await world.get(operation_id)).friendlymessage == "found"


async def test_a_postponed_submission_waits_thirty_days(storage: Storage, world: World) -> None:
    async def handler(_: OperationContext) -> Outcome:
        return None

    world.handle(handler)
    due = world.clock.now() + timedelta(days=30)
    operation_id = await world.submit(statuscode=StatusCode.WAITING, postponeuntil=due)
    world.clock.jump(timedelta(days=29, hours=23))
    await world.sweep()
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.WAITING
    # The sweep has sent the hint ahead, hidden until it is due.
    family = OperationType.EXECUTE_ASYNC_REQUEST.family
    assert await storage.queue(family.queue_name).length() == 1
    world.clock.jump(timedelta(hours=2))
    await world.sweep()
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.SUCCEEDED


async def test_a_recurring_operation_waits_for_its_next_run_on_the_same_record(world: World) -> None:
    runs: list[str] = []

    async def handler(context: OperationContext) -> Outcome:
        runs.append(context.now().isoformat())
        if len(runs) == 2:
            raise OperationFailed("one bad night")

    world.handle(handler)
    operation_id = await world.submit(recurrencepattern="FREQ=DAILY;", recurrencestarttime=world.clock.now())
    for _ in range(3):
        await world.run_everything()
        world.clock.jump(timedelta(days=1, minutes=5))
        await world.sweep()
    operation = await world.get(operation_id)
    assert runs == ["2026-03-01T12:00:00+00:00", "2026-03-02T12:05:00+00:00", "2026-03-03T12:10:00+00:00"]
    assert operation.statuscode is StatusCode.WAITING
    assert operation.postponeuntil is not None
    assert operation.postponeuntil.isoformat() == "2026-03-04T12:00:00+00:00"
    reasons = [entry.reason for entry in operation.history if entry.action == "recur"]
    assert reasons == ["the run succeeded", "the run failed: one bad night", "the run succeeded"]


async def test_a_lost_hint_costs_time_and_nothing_else(world: World) -> None:
    async def handler(_: OperationContext) -> Outcome:
        return None

    world.handle(handler)
    operation_id = await world.submit()
    await world.lose_hints()
    assert await world.sweep() == {}
    world.clock.jump(timedelta(seconds=61))
    assert await world.sweep() == {Repair.HINTED: 1}
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.SUCCEEDED


async def test_an_operation_whose_process_died_is_taken_over(storage: Storage, clock: VirtualClock) -> None:
    """Recovery needs one lease length plus one sweep, and is no failure."""
    first = await World(storage, clock, host="first").open()
    second = await World(storage, clock, host="second").open()
    checkpoints: list[object] = []

    async def dies(context: OperationContext) -> Outcome:
        await context.save({"position": 3})
        await asyncio.Event().wait()

    async def finishes(context: OperationContext) -> Outcome:
        checkpoints.append(context.checkpoint)

    first.handle(dies)
    second.handle(finishes)
    operation_id = await first.submit()
    dead = await first.start(operation_id)
    await until(lambda: _has_checkpoint(first, operation_id))

    clock.jump(timedelta(seconds=59))
    assert (await second.sweep()).get(Repair.RECOVERED) is None
    clock.jump(timedelta(seconds=2))
    assert (await second.sweep()).get(Repair.RECOVERED) == 1
    await second.run_everything()

    operation = await second.get(operation_id)
    assert (operation.statuscode, operation.hostid, operation.retrycount) == (StatusCode.SUCCEEDED, "second", 0)
    assert checkpoints == [{"position": 3}]
    assert actions(operation) == ["create", "claim", "interrupt", "claim", "succeed"]
    dead.cancel()
    await asyncio.gather(dead, return_exceptions=True)
    assert (await second.get(operation_id)).version == operation.version


async def test_a_worker_that_comes_back_from_the_dead_overwrites_nothing(storage: Storage, clock: VirtualClock) -> None:
    zombie_world = await World(storage, clock, host="zombie").open()
    world = await World(storage, clock, host="living").open()
    wake = asyncio.Event()

    async def sleeps(context: OperationContext) -> Outcome:
        await wake.wait()
        await context.save("from the zombie")
        return Done("from the zombie")

    async def finishes(_: OperationContext) -> Outcome:
        return Done("from the living")

    zombie_world.handle(sleeps)
    world.handle(finishes)
    operation_id = await world.submit()
    zombie = await zombie_world.start(operation_id)
    clock.jump(timedelta(seconds=61))
    await world.sweep()
    await world.run_everything()
    wake.set()
    await zombie
    operation = await world.get(operation_id)
    assert operation.friendlymessage == "from the living"
    assert operation.checkpoint is None


async def test_three_deaths_in_a_row_park_the_operation(world: World) -> None:
    async def dies(_: OperationContext) -> Outcome:
        await asyncio.Event().wait()

    world.handle(dies)
    operation_id = await world.submit()
    for _ in range(3):
        dead = await world.start(operation_id)
        world.clock.jump(timedelta(seconds=61))
        await world.sweep()
        dead.cancel()
        await asyncio.gather(dead, return_exceptions=True)
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.errorcode) == (StatusCode.FAILED, ErrorCode.WORKER_NOT_AVAILABLE)
    assert "died 3 times in a row" in (operation.message or "")


async def test_a_host_that_leaves_gives_its_operations_back(world: World) -> None:
    begun = 0

    async def handler(context: OperationContext) -> Outcome:
        nonlocal begun
        begun += 1
        if begun == 1:
            await context.save("half-way")
            await asyncio.Event().wait()
        return Done(str(context.checkpoint))

    world.handle(handler)
    operation_id = await world.submit()
    await world.lose_hints()
    running = await world.start(operation_id)
    await until(lambda: _has_checkpoint(world, operation_id))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.deaths) == (StatusCode.WAITING_FOR_RESOURCES, 0)
    await world.run_everything()
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.friendlymessage) == (StatusCode.SUCCEEDED, "half-way")


async def test_the_heartbeat_keeps_a_long_slice_alive(world: World) -> None:
    go = asyncio.Event()

    async def handler(_: OperationContext) -> Outcome:
        await go.wait()

    world.handle(handler)
    operation_id = await world.submit()
    running = await world.start(operation_id)
    for minute in range(1, 4):
        await advance_with_beats(world, operation_id, timedelta(minutes=1))
        operation = await world.get(operation_id)
        assert operation.leaseuntil is not None
        assert operation.leaseuntil > world.clock.now(), f"after {minute} minutes"
        assert (await world.sweep()).get(Repair.RECOVERED) is None
    go.set()
    await running
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.executiontimespan) == (StatusCode.SUCCEEDED, 180.0)


async def test_cancel_before_it_runs_is_at_once(world: World) -> None:
    operation_id = await world.submit()
    operation = await world.control.cancel(operation_id)
    assert operation.statuscode is StatusCode.CANCELED
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.CANCELED
    with pytest.raises(StateChangeRefused):
        await world.control.cancel(operation_id)


@pytest.mark.parametrize(("action", "end"), [("cancel", StatusCode.CANCELED), ("pause", StatusCode.WAITING)])
async def test_a_running_handler_sees_a_request_at_its_next_checkpoint(
    world: World, action: str, end: StatusCode
) -> None:
    go = asyncio.Event()

    async def handler(context: OperationContext) -> Outcome:
        await go.wait()
        await context.save("so far")
        raise AssertionError("It went on after it was asked to stop.")

    world.handle(handler)
    operation_id = await world.submit()
    running = await world.start(operation_id)
    asked = await getattr(world.control, action)(operation_id)
    assert asked.statuscode in {StatusCode.CANCELING, StatusCode.PAUSING}
    go.set()
    await running
    operation = await world.get(operation_id)
    assert operation.statuscode is end
    assert json.loads(operation.checkpoint or "null") == "so far"


async def test_a_handler_that_never_looks_is_ended_at_its_next_heartbeat(world: World) -> None:
    async def handler(_: OperationContext) -> Outcome:
        await asyncio.Event().wait()

    world.handle(handler)
    operation_id = await world.submit()
    running = await world.start(operation_id)
    await world.control.cancel(operation_id)
    await world.clock.advance(timedelta(seconds=21))
    await asyncio.wait_for(running, 5)
    assert (await world.get(operation_id)).statuscode is StatusCode.CANCELED


async def test_a_paused_operation_goes_on_where_it_stopped(world: World) -> None:
    go = asyncio.Event()
    seen: list[object] = []

    async def handler(context: OperationContext) -> Outcome:
        seen.append(context.checkpoint)
        if context.checkpoint is None:
            await go.wait()
            await context.save("half")

    world.handle(handler)
    operation_id = await world.submit()
    running = await world.start(operation_id)
    await world.control.pause(operation_id)
    go.set()
    await running
    world.clock.jump(timedelta(days=400))
    await world.sweep()
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.WAITING
    await world.control.resume(operation_id)
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.SUCCEEDED
    assert seen == [None, "half"]


async def test_postponing_a_ready_operation_holds_it_until_then(world: World) -> None:
    async def handler(_: OperationContext) -> Outcome:
        return None

    world.handle(handler)
    operation_id = await world.submit()
    await world.control.postpone(operation_id, world.clock.now() + timedelta(hours=1))
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.WAITING
    with pytest.raises(InvalidOperation, match="future"):
        await world.control.postpone(await world.submit(), world.clock.now())
    await world.run_everything()
    world.clock.jump(timedelta(hours=1, seconds=1))
    await world.sweep()
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.SUCCEEDED


async def test_a_failed_operation_can_be_retried_and_a_completed_one_deleted(world: World) -> None:
    outcomes: list[Exception | None] = [OperationFailed("no"), None]

    async def handler(_: OperationContext) -> Outcome:
        if (error := outcomes.pop(0)) is not None:
            raise error

    world.handle(handler)
    operation_id = await world.submit()
    with pytest.raises(StateChangeRefused):
        await world.control.delete(operation_id)
    await world.run_everything()
    await world.control.retry(operation_id)
    await world.run_everything()
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.message) == (StatusCode.SUCCEEDED, None)
    await world.control.delete(operation_id)
    assert await world.engine.store.read(operation_id) is None


async def test_jobs_of_the_platform_cannot_be_cancelled(world: World) -> None:
    operation_id = await world.submit(type=OperationType.COLLECT_ORGANIZATION_STATISTICS)
    with pytest.raises(StateChangeRefused) as caught:
        await world.control.cancel(operation_id)
    assert caught.value.code is ErrorCode.CANNOT_CANCEL


async def test_a_backlog_is_not_hinted_at_twice(storage: Storage, clock: VirtualClock) -> None:
    """What waits behind others in its queue has not lost its hint, however long it waits."""
    world = await World(storage, clock, options=EngineOptions(shards=1)).open()
    family = OperationType.EXECUTE_ASYNC_REQUEST.family
    if hasattr(storage.queue(family.queue_name), "clear"):  # Only the stand-in's messages know the test's time.
        for _ in range(5):
            await world.submit()
        clock.jump(timedelta(seconds=61))
        assert await world.sweep() == {Repair.MOVED: 5}
        assert await storage.queue(family.queue_name).length() == 5


async def advance_with_beats(world: World, operation_id: object, length: timedelta) -> None:
    """Let time pass in steps, each long enough for a heartbeat's write to be made."""
    for _ in range(3):
        before = (await world.get(operation_id)).version  # type: ignore[arg-type]
        await world.clock.advance(length / 3)
        await until(lambda before=before: _newer(world, operation_id, before))
        # The heart looks at the switch before it rests; time that passes meanwhile is not its time.
        await until(lambda: _somebody_sleeps(world))


async def _somebody_sleeps(world: World) -> bool:
    return world.clock.sleepers > 0


async def _newer(world: World, operation_id: object, version: int) -> bool:
    return (await world.get(operation_id)).version > version  # type: ignore[arg-type]


async def _has_checkpoint(world: World, operation_id: object) -> bool:
    return (await world.get(operation_id)).checkpoint is not None  # type: ignore[arg-type]


class Overtaken:
    """A table that lets somebody else write before the first transaction that is sent to it."""

    def __init__(self, table: Table, first: Callable[[], Awaitable[object]]) -> None:
        self._table, self._first = table, first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    async def commit(self, *args: Any) -> Any:
        first, self._first = self._first, nothing
        await first()
        return await self._table.commit(*args)


async def nothing() -> None:
    """Do nothing."""


async def test_the_history_goes_forward_when_somebody_asks_while_the_end_is_written(
    storage: Storage, world: World, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await World(storage, clock, host="other").open()
    go = asyncio.Event()

    async def handler(_: OperationContext) -> Outcome:
        await go.wait()

    world.handle(handler)
    operation_id = await world.submit()
    running = await world.start(operation_id)

    async def pause_a_second_later() -> None:
        clock.jump(timedelta(seconds=1))
        await other.control.pause(operation_id)

    monkeypatch.setattr(world.engine.store, "table", Overtaken(world.engine.store.table, pause_a_second_later))
    go.set()
    await running
    operation = await world.get(operation_id)
    assert actions(operation) == ["create", "claim", "pause", "succeed"]
    moments = [entry.on for entry in operation.history]
    assert moments == sorted(moments)
