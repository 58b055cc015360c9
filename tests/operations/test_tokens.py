"""Dependency tokens: one at a time, in the order of submission, whatever happens."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from asyncservice.operations import ids
from asyncservice.operations.errors import InvalidOperation
from asyncservice.operations.handling import OperationContext, OperationFailed, Outcome, Yielded
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.storage.account import Storage
from tests.operations.world import World
from tests.support import VirtualClock, an_id, an_operation

TOKEN = "invoice-7"


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    return await World(storage, clock).open()


def recording(world: World) -> list[str]:
    """Register a handler that notes when each operation begins and ends."""
    ledger: list[str] = []

    async def handler(context: OperationContext) -> Outcome:
        name = context.operation.name or ""
        ledger.append(f"{name} begins")
        await asyncio.sleep(0.002)
        ledger.append(f"{name} ends")
        if "fails" in name:
            raise OperationFailed("as it should")
        if "yields" in name and context.checkpoint is None:
            return Yielded(1)
        return None

    world.handle(handler)
    return ledger


async def three(world: World, **columns: object) -> list[UUID]:
    """Submit three operations of one token: ours, a caller's, ours in another partition."""
    made = [an_id(shard=1), uuid4(), an_id(shard=2)]
    for number, operation_id in enumerate(made, 1):
        await world.submit(operation_id=operation_id, name=f"{number}", dependencytoken=TOKEN, **columns)
        world.clock.jump(timedelta(milliseconds=5))
    return made


def in_turn(ledger: list[str]) -> bool:
    """Whether every beginning is followed by its own end."""
    return all(begin.split()[0] == end.split()[0] for begin, end in zip(ledger[::2], ledger[1::2], strict=True))


async def test_operations_of_a_token_run_one_at_a_time_in_order(world: World) -> None:
    ledger = recording(world)
    await three(world)
    await world.run_everything()
    assert ledger == ["1 begins", "1 ends", "2 begins", "2 ends", "3 begins", "3 ends"]


async def test_a_batch_keeps_its_order_on_two_hosts_at_once(storage: Storage, clock: VirtualClock) -> None:
    first, second = [await World(storage, clock, host=host).open() for host in ("a", "b")]
    ledger = recording(first)
    second.registry = first.registry
    second.engine.registry = first.registry
    batch = [an_operation(uuid4(), name=str(number), dependencytoken=TOKEN) for number in range(30)]
    await first.engine.submit_many(batch)
    for _ in range(40):
        await asyncio.gather(first.run_everything(), second.run_everything())
    assert in_turn(ledger)
    assert [line for line in ledger if line.endswith("begins")] == [f"{number} begins" for number in range(30)]


async def test_a_waiting_operation_says_for_whom(world: World) -> None:
    first, second, third = [await world.get(each) for each in await three(world)]
    assert (first.waitreason, first.blockedby) == ("resources", None)
    assert (second.waitreason, second.blockedby) == ("token", first.asyncoperationid)
    assert (third.waitreason, third.blockedby) == ("token", second.asyncoperationid)
    assert str(second.asyncoperationid) in (third.friendlymessage or "")
    assert {each.statuscode for each in (first, second, third)} == {StatusCode.WAITING_FOR_RESOURCES}


async def test_a_hint_at_one_that_waits_its_turn_runs_nothing(world: World) -> None:
    ledger = recording(world)
    _, second, _ = await three(world)
    await world.engine.run_one(world.engine.store.place(await world.get(second)))
    assert ledger == []


async def test_a_postponed_first_holds_back_the_rest(world: World) -> None:
    ledger = recording(world)
    first, *_ = await three(world)
    await world.control.postpone(first, world.clock.now() + timedelta(hours=1))
    await world.run_everything()
    world.clock.jump(timedelta(minutes=59))
    await world.sweep()
    await world.run_everything()
    assert ledger == []
    world.clock.jump(timedelta(minutes=2))
    await world.sweep()
    await world.run_everything()
    assert [line for line in ledger if line.endswith("begins")] == ["1 begins", "2 begins", "3 begins"]


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_a_cancelled_one_releases_those_behind_it(world: World, cancelled: int) -> None:
    ledger = recording(world)
    made = await three(world)
    await world.control.cancel(made[cancelled])
    remaining = [await world.get(each) for each in made if each != made[cancelled]]
    assert [each.blockedby for each in remaining] == [None, remaining[0].asyncoperationid]
    await world.run_everything()
    assert [line for line in ledger if line.endswith("begins")] == [
        f"{number} begins" for number in (1, 2, 3) if number != cancelled + 1
    ]
    assert await rows_in_line(world) == []


async def test_a_failed_one_releases_those_behind_it(world: World) -> None:
    ledger = recording(world)
    await world.submit(name="fails", dependencytoken=TOKEN)
    await world.submit(name="next", dependencytoken=TOKEN)
    await world.run_everything()
    assert ledger == ["fails begins", "fails ends", "next begins", "next ends"]


async def test_one_that_yields_keeps_its_place(world: World) -> None:
    ledger = recording(world)
    await world.submit(name="yields", dependencytoken=TOKEN)
    await world.submit(name="next", dependencytoken=TOKEN)
    await world.run_everything()
    assert ledger[:4] == ["yields begins", "yields ends", "yields begins", "yields ends"]
    assert ledger[4:] == ["next begins", "next ends"]


async def test_a_lost_hand_over_is_found_by_the_sweep(world: World) -> None:
    ledger = recording(world)
    await three(world)
    for _ in range(3):
        await world.deliver()
        await world.lose_hints()
        world.clock.jump(timedelta(seconds=61))
        await world.sweep()
    await world.run_everything()
    assert [line for line in ledger if line.endswith("begins")] == ["1 begins", "2 begins", "3 begins"]


async def test_a_retried_one_queues_up_again_at_the_end(world: World) -> None:
    ledger = recording(world)
    failed = await world.submit(name="fails", dependencytoken=TOKEN)
    await world.run_everything()
    ledger.clear()
    await world.submit(name="other", dependencytoken=TOKEN)
    retried = await world.control.retry(failed)
    assert retried.waitreason == "token"
    await world.run_everything()
    assert ledger == ["other begins", "other ends", "fails begins", "fails ends"]


async def test_tokens_do_not_wait_for_each_other(world: World) -> None:
    ledger = recording(world)
    for token in ("a", "b"):
        first = await world.submit(name=f"{token}1", dependencytoken=token)
        if token == "a":
            await world.control.postpone(first, world.clock.now() + timedelta(days=1))
        await world.submit(name=f"{token}2", dependencytoken=token)
    await world.run_everything()
    assert [line for line in ledger if line.endswith("begins")] == ["b1 begins", "b2 begins"]


@pytest.mark.parametrize("own_id", [an_id(shard=0), an_id(shard=3), uuid4()], ids=["shard 0", "shard 3", "theirs"])
@pytest.mark.parametrize("again", [TOKEN, "another", None])
async def test_the_same_id_twice_is_one_operation_whatever_its_token(
    world: World, own_id: UUID, again: str | None
) -> None:
    await world.submit(operation_id=own_id, name="first", dependencytoken=TOKEN)
    await world.submit(operation_id=own_id, name="second", dependencytoken=again)
    assert (await world.get(own_id)).name == "first"
    assert len(await everything(world)) == 1


async def test_a_deleted_one_leaves_nothing(world: World) -> None:
    recording(world)
    made = await three(world)
    await world.run_everything()
    for each in made:
        await world.control.delete(each)
    assert await everything(world) == []
    for each in made:
        assert await world.engine.store.read(each) is None
    if hasattr(world.engine.store.table, "all_rows"):
        assert [row.key for row in world.engine.store.table.all_rows()] == ["layout"]


async def test_a_recurring_operation_cannot_have_a_token(world: World) -> None:
    with pytest.raises(InvalidOperation, match="dependencytoken"):
        await world.submit(dependencytoken=TOKEN, recurrencepattern="FREQ=DAILY")


async def everything(world: World) -> list[AsyncOperation]:
    store = world.engine.store
    return [each.operation for shard in range(store.shards) async for each in store.scan(shard)]


async def rows_in_line(world: World) -> list[str]:
    table = world.engine.store.table
    found = []
    for shard in range(world.engine.store.shards):
        found += [row.key async for row in table.scan(ids.partition_name(shard), start="t", end="u")]
    return found
