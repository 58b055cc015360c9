"""Stopping and starting the service, and messages that the host moved aside."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from asyncservice.operations import ids, poison
from asyncservice.operations.handling import OperationContext, Outcome, Yielded
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import Family, OperationType
from asyncservice.operations.states import StatusCode
from asyncservice.operations.switch import PATIENCE, Switch
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import Delete, Put, Table
from tests.faults import Died, Fault, FaultyStorage
from tests.operations.world import World
from tests.support import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that passes over the patience of a stop."""
    return VirtualClock(skips=PATIENCE)


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    return await World(storage, clock).open()


def counting(world: World, *, type: OperationType = OperationType.EXECUTE_ASYNC_REQUEST) -> list[str]:  # noqa: A002
    runs: list[str] = []

    async def handler(context: OperationContext) -> Outcome:
        runs.append(context.operation.name or "")

    world.handle(handler, type=type)
    return runs


async def run_until(world: World, condition: Callable[[], bool]) -> None:
    """Let the patience of a start pass, on the test's clock and on the emulator's, with the host at work."""
    world.clock.jump(PATIENCE)
    async with asyncio.timeout(20):
        while not condition():
            await world.run_everything()
            await asyncio.sleep(0.05)


async def test_nothing_new_is_executed_after_a_stop_and_everything_after_a_start(world: World) -> None:
    runs = counting(world)
    before = await world.submit(name="before")
    await world.engine.switch.stop()
    after = await world.submit(name="after")
    await world.run_everything()
    world.clock.jump(timedelta(minutes=30))
    assert await world.sweep() == {}
    await world.run_everything()
    assert runs == []
    assert {(await world.get(each)).statuscode for each in (before, after)} == {StatusCode.WAITING_FOR_RESOURCES}

    assert await world.engine.start_service() == 2
    await run_until(world, lambda: len(runs) == 2)
    assert sorted(runs) == ["after", "before"]


async def test_a_host_that_has_looked_stops_within_its_patience(storage: Storage, clock: VirtualClock) -> None:
    other = await World(storage, clock, host="other").open()
    world = await World(storage, clock).open()
    runs = counting(world)
    await world.submit(name="first")
    await world.run_everything()
    await other.engine.switch.stop()
    await world.submit(name="second")
    await world.run_everything()
    assert runs == ["first"]


async def test_a_stop_outlives_the_process(storage: Storage, clock: VirtualClock) -> None:
    await (await World(storage, clock).open()).engine.switch.stop()
    restarted = await World(storage, clock).open()
    runs = counting(restarted)
    await restarted.submit()
    await restarted.run_everything()
    assert runs == []
    assert (await restarted.engine.switch.read()).is_everything


async def test_one_family_is_stopped_and_the_others_run(world: World) -> None:
    requests, mail = counting(world), counting(world, type=OperationType.BULK_EMAIL)
    await world.engine.switch.stop([Family.EMAIL])
    for kind in (OperationType.EXECUTE_ASYNC_REQUEST, OperationType.BULK_EMAIL):
        await world.submit(type=kind, name=kind.label)
    await world.run_everything()
    world.clock.jump(timedelta(minutes=5))
    await world.sweep()
    await world.run_everything()
    assert (requests, mail) == (["Execute Async Request"], [])
    assert await world.engine.start_service([Family.EMAIL]) == 1
    await run_until(world, lambda: len(mail) == 1)
    assert mail == ["Bulk Email"]


async def test_what_runs_yields_at_its_next_look_and_goes_on_after_the_start(world: World) -> None:
    go, slices = asyncio.Event(), 0

    async def handler(context: OperationContext) -> Outcome:
        nonlocal slices
        slices += 1
        await go.wait()
        await context.save("half")
        return Yielded("half") if context.should_yield() else None

    world.handle(handler)
    operation_id = await world.submit()
    running = await world.start(operation_id)
    await world.engine.switch.stop()
    go.set()
    await running
    await world.run_everything()
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.checkpoint, slices) == (StatusCode.WAITING_FOR_RESOURCES, '"half"', 1)
    await world.engine.start_service()
    await run_until(world, lambda: slices == 2)
    assert (await world.get(operation_id)).statuscode is StatusCode.SUCCEEDED


class Slow:
    """A table whose answers take their time: what it was asked is done at once, *then* happens before it answers."""

    def __init__(self, table: Table, method: str, then: Callable[[], Awaitable[None]]) -> None:
        self._table, self._method, self._then = table, method, then

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._table, name)
        if name != self._method:
            return inner

        async def call(*args: Any) -> Any:
            answer = await inner(*args)
            await self._then()
            return answer

        return call


async def test_an_answer_that_took_long_is_as_old_as_its_question(storage: Storage, clock: VirtualClock) -> None:
    other = await World(storage, clock, host="other").open()

    async def takes_most_of_the_patience() -> None:
        clock.jump(PATIENCE * 0.75)

    slow = cast("Table", Slow(other.engine.store.table, "read", takes_most_of_the_patience))
    switch = Switch(slow, clock, partitions=lambda: other.engine.store.partitions)
    assert not (await switch.look()).families
    await other.engine.switch._set(lambda _: frozenset(Family))
    clock.jump(PATIENCE * 0.5)
    assert (await switch.look()).is_everything, "the stop would have returned three quarters of its patience ago"


async def test_a_claim_that_outlasts_a_stop_runs_no_handler(
    storage: Storage, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await World(storage, clock, host="other").open()
    world = await World(storage, clock).open()
    runs = counting(world)
    operation_id = await world.submit()

    async def stop() -> None:
        monkeypatch.undo()
        clock.jump(PATIENCE)
        await other.engine.switch.stop()

    monkeypatch.setattr(world.engine.store, "table", Slow(world.engine.store.table, "commit", stop))
    await world.run_everything()
    assert runs == []
    operation = await world.get(operation_id)
    assert operation.statuscode is StatusCode.WAITING_FOR_RESOURCES
    assert [entry.action for entry in operation.history] == ["create", "claim", "interrupt"]
    assert (operation.deaths, operation.retrycount) == (0, 0)
    await other.engine.start_service()
    await run_until(world, lambda: bool(runs))


async def test_what_falls_due_while_its_family_is_stopped_runs_after_the_start(world: World) -> None:
    """Its hint came while nobody could follow it, and the sweep has looked: it would look again two minutes later."""
    runs = counting(world)
    stopped_for = timedelta(minutes=1)
    operation_id = await world.submit(
        statuscode=StatusCode.WAITING, postponeuntil=world.clock.now() + stopped_for / 2, name="falls due"
    )
    await world.submit(statuscode=StatusCode.WAITING, postponeuntil=world.clock.now() + stopped_for * 9, name="later")
    await world.engine.switch.stop([Family.EXECUTE_REQUESTS])
    world.clock.jump(stopped_for)
    await world.lose_hints()
    await world.sweep()
    assert runs == []

    assert await world.engine.start_service([Family.EXECUTE_REQUESTS]) == 1
    await run_until(world, lambda: bool(runs))
    assert runs == ["falls due"]
    assert (await world.get(operation_id)).statuscode is StatusCode.SUCCEEDED


async def test_a_host_that_has_not_looked_again_works_at_once_after_a_start(
    storage: Storage, clock: VirtualClock
) -> None:
    other = await World(storage, clock, host="other").open()
    world = await World(storage, clock).open()
    runs = counting(world)
    await other.engine.switch.stop()
    await world.submit(name="first")
    await world.run_everything()
    assert (await world.engine.switch.look()).is_everything
    await other.engine.start_service()
    await world.run_everything()
    assert runs == ["first"]


async def test_a_host_that_has_not_looked_again_claims_nothing_after_a_stop(
    storage: Storage, clock: VirtualClock
) -> None:
    other = await World(storage, clock, host="other").open()
    world = await World(storage, clock).open()
    runs = counting(world)
    for name in ("one", "two", "three"):
        await world.submit(name=name)
    assert not (await world.engine.switch.look()).families
    await other.engine.switch._set(lambda _: frozenset(Family))
    await world.run_everything()
    assert runs == []
    assert not world.engine.switch.seen.families, "it has not looked, and need not"


async def gates_of(world: World) -> set[frozenset[str]]:
    looks = [await world.engine.store.look(shard, world.clock.now(), limit=1) for shard in range(4)]
    return {gates for gates, _ in looks}


@pytest.mark.parametrize("families", [tuple(Family), (Family.EMAIL,)], ids=["everything", "one family"])
@pytest.mark.parametrize("begin", ["stop", "start"])
async def test_whoever_stops_or_starts_may_die_at_any_call_and_the_sweep_ends_what_he_began(
    begin: str, families: tuple[Family, ...], clock: VirtualClock
) -> None:
    deaths, survived = 0, False
    for number in itertools.count(1):
        for fault in (Fault.DIES_BEFORE, Fault.DIES_AFTER):
            account = MemoryStorage(clock.now)
            world = await World(account, clock).open()
            if begin == "start":
                await world.engine.switch.stop(families)
            faulty = FaultyStorage(account, number=number, fault=fault)
            dies = await World(faulty, clock, host="dies").open_quietly()
            try:
                await (dies.engine.switch.stop(families) if begin == "stop" else dies.engine.switch.start(families))
            except Died:
                deaths += 1
            clock.jump(timedelta(minutes=1))
            await world.sweep()
            await world.sweep()
            assert await gates_of(world) == {(await world.engine.switch.read()).gates}
            survived = len(faulty.calls) < number
        if survived:
            break
    assert deaths > 10


async def test_a_stop_and_a_start_at_the_same_time_leave_the_gates_as_the_row_says(
    storage: Storage, clock: VirtualClock
) -> None:
    worlds = [await World(storage, clock, host=str(number)).open() for number in range(3)]
    for _ in range(5):
        await asyncio.gather(
            worlds[0].engine.switch.stop(),
            worlds[1].engine.switch.start(),
            worlds[2].engine.switch.stop([Family.EMAIL]),
        )
        assert await gates_of(worlds[0]) == {(await worlds[0].engine.switch.read()).gates}


async def test_poison_messages_are_listed_with_a_reason_and_redriven(storage: Storage, world: World) -> None:
    runs = counting(world)
    operation_id = await world.submit(name="hinted")
    family = OperationType.EXECUTE_ASYNC_REQUEST.family
    [hint] = await storage.queue(family.queue_name).receive(count=1, hidden_for=timedelta(seconds=30))
    await storage.queue(family.queue_name).delete(hint)
    for name, text in {family.queue_name: hint.text, "async-email": "not ours", INBOX: "{}"}.items():
        await storage.queue(name + poison.SUFFIX).create()
        await storage.queue(name + poison.SUFFIX).send(text)

    listed = {message.queue: message async for message in poison.messages(storage)}
    assert set(listed) == {family.queue_name, "async-email", INBOX}
    assert "sweep" in listed[family.queue_name].reason
    assert "something else writes" in listed["async-email"].reason
    assert "storage did not answer" in listed[INBOX].reason

    assert await poison.redrive(storage, message_id=listed[family.queue_name].id) == 1
    await world.run_everything()
    assert runs == ["hinted"]
    assert (await world.get(operation_id)).statuscode is StatusCode.SUCCEEDED


async def test_all_poison_messages_are_redriven_however_many(storage: Storage, world: World) -> None:
    aside = storage.queue(INBOX + poison.SUFFIX)
    await aside.create()
    for number in range(40):
        await aside.send(str(number))
    assert await poison.redrive(world.storage) == 40
    assert await aside.length() == 0
    assert await storage.queue(INBOX).length() == 40


@pytest.mark.parametrize("is_upgrade", [False, True], ids=["first start", "upgrade"])
async def test_a_first_start_and_an_upgrade_may_die_at_any_call_and_are_finished_by_the_next(
    *, is_upgrade: bool, clock: VirtualClock
) -> None:
    """Without its gates an account takes everything and runs nothing."""
    deaths, survived = 0, False
    for number in itertools.count(1):
        for fault in (Fault.DIES_BEFORE, Fault.DIES_AFTER):
            account = MemoryStorage(clock.now)
            if is_upgrade:
                older = await World(account, clock, host="older").open()
                await older.engine.switch.stop([Family.EMAIL])
                await forget_gates(older)
            faulty = FaultyStorage(account, number=number, fault=fault)
            try:
                await World(faulty, clock, host="dies").open()
            except Died:
                deaths += 1
            world = await World(account, clock).open()
            runs = counting(world)
            await world.submit(name="new")
            await world.run_everything()
            assert runs == ["new"]
            assert await gates_of(world) == {(await world.engine.switch.read()).gates}
            if is_upgrade:
                assert (await world.engine.switch.read()).families == {Family.EMAIL}
            survived = len(faulty.calls) < number
        if survived:
            break
    assert deaths > 10


async def forget_gates(world: World) -> None:
    """Leave the account as a release before the gates has left it."""
    table = world.engine.store.table
    for partition in world.engine.store.partitions:
        keys = [row.key async for row in table.scan(partition, end=ids.AGENDA)]
        await table.commit(partition, [Delete(key) for key in keys])
    await table.commit("layout", [Put("layout", {"shards": 4, "format": 1})])
