"""What the simulations found, each as the shortest story that shows it."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from asyncservice.operations.handling import OperationContext, Outcome, Postponed, RetryOperation
from asyncservice.operations.states import StatusCode
from asyncservice.storage.memory import MemoryStorage
from tests.faults import Died, FaultyStorage
from tests.operations.world import World
from tests.support import VirtualClock, an_id


@pytest.fixture
async def world(clock: VirtualClock) -> World:
    return await World(MemoryStorage(clock.now), clock).open()


async def hanging(world: World) -> asyncio.Event:
    """Register a handler that waits; return what lets it go on to try again later."""
    released = asyncio.Event()

    async def handler(_: OperationContext) -> Outcome:
        await released.wait()
        raise RetryOperation("busy")

    world.handle(handler)
    return released


async def a_hint_comes(world: World, operation_id: UUID) -> None:
    """Deliver a hint and see how far it gets: a handler that begins would hang."""
    running = asyncio.create_task(world.engine.run_one(world.engine.store.place(await world.get(operation_id))))
    await world.clock.settle()
    running.cancel()


async def test_a_pause_outlives_the_host_that_was_to_obey_it(world: World) -> None:
    """A paused operation whose process died stays paused, even when a hint comes before the sweep."""
    await hanging(world)
    operation_id = await world.submit()
    task = await world.start(operation_id)
    await world.control.pause(operation_id)
    world.clock.jump(timedelta(minutes=2))
    await a_hint_comes(world, operation_id)
    assert (await world.get(operation_id)).statuscode is StatusCode.WAITING
    task.cancel()


async def test_a_postponement_outlives_the_host_that_was_to_obey_it(world: World) -> None:
    await hanging(world)
    operation_id = await world.submit()
    task = await world.start(operation_id)
    until = world.clock.now() + timedelta(days=1)
    await world.control.postpone(operation_id, until)
    world.clock.jump(timedelta(minutes=2))
    await a_hint_comes(world, operation_id)
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.postponeuntil) == (StatusCode.WAITING, until)
    task.cancel()


async def test_a_pause_outlives_a_failed_attempt(world: World) -> None:
    """The attempt that was asked to pause ends by itself, in an error: no retry starts until somebody resumes."""
    released = await hanging(world)
    operation_id = await world.submit()
    task = await world.start(operation_id)
    await world.control.pause(operation_id)
    released.set()
    await task
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.postponeuntil) == (StatusCode.WAITING, None)


@pytest.mark.parametrize(("asked", "later"), [(1, 5), (5, 1)])
async def test_of_two_postponements_the_later_one_holds(world: World, asked: int, later: int) -> None:
    """A person postpones a running operation whose handler then postpones itself."""
    released = asyncio.Event()
    began = world.clock.now()

    async def handler(_: OperationContext) -> Outcome:
        await released.wait()
        return Postponed(began + timedelta(hours=later))

    world.handle(handler)
    operation_id = await world.submit()
    task = await world.start(operation_id)
    await world.control.postpone(operation_id, began + timedelta(hours=asked))
    released.set()
    await task
    assert (await world.get(operation_id)).postponeuntil == began + timedelta(hours=5)


async def test_a_pause_holds_a_recurring_operation(world: World) -> None:
    """A run that ends well while it is asked to pause leaves nothing to pause but the runs to come."""
    released = asyncio.Event()

    async def handler(_: OperationContext) -> Outcome:
        await released.wait()
        return None

    world.handle(handler)
    operation_id = await world.submit(recurrencepattern="FREQ=DAILY", recurrencestarttime=world.clock.now())
    task = await world.start(operation_id)
    await world.control.pause(operation_id)
    released.set()
    await task
    operation = await world.get(operation_id)
    assert (operation.statuscode, operation.postponeuntil) == (StatusCode.WAITING, None)


async def test_the_next_in_line_is_told_when_a_hint_finds_the_first_dead_and_cancelled(world: World) -> None:
    await hanging(world)
    first = await world.submit(dependencytoken="invoice-7")
    second = await world.submit(dependencytoken="invoice-7")
    task = await world.start(first)
    await world.control.cancel(first)
    await world.lose_hints()
    world.clock.jump(timedelta(minutes=2))
    await a_hint_comes(world, first)
    assert (await world.get(first)).statuscode is StatusCode.CANCELED
    assert (await world.get(second)).blockedby is None
    assert await world.storage.queue("async-execute-requests").length() == 1
    task.cancel()


@pytest.mark.parametrize("own_id", [an_id(shard=3), UUID("9a7b0000-0000-4000-8000-0000000000a1")], ids=["7", "4"])
async def test_an_id_that_a_dead_process_reserved_for_a_token_can_be_submitted_without_one(
    clock: VirtualClock, own_id: UUID
) -> None:
    account = MemoryStorage(clock.now)
    world = await World(account, clock).open()
    # The second call writes the record; the first has reserved the id.
    dying = await World(FaultyStorage(account, number=2), clock).open_quietly()
    with pytest.raises(Died):
        await dying.submit(operation_id=own_id, dependencytoken="invoice-7")
    submitting = asyncio.create_task(world.submit(operation_id=own_id))
    await world.clock.settle()
    assert submitting.done()
    assert (await world.get(own_id)).dependencytoken is None
