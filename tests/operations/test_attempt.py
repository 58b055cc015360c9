"""What holds while a handler runs: its lease."""

import asyncio
from datetime import timedelta

import pytest

from asyncservice.operations.attempt import WRITE_PAUSES
from asyncservice.operations.handling import OperationContext, RetryOperation
from asyncservice.operations.states import StatusCode
from asyncservice.storage.memory import MemoryStorage
from tests.faults import Fault, FaultyStorage, FreezingStorage
from tests.operations.world import World
from tests.support import VirtualClock

LEASE = timedelta(seconds=60)


@pytest.mark.parametrize("write", ["heartbeat", "checkpoint"])
async def test_a_lease_that_ended_while_it_was_written_is_renewed_at_once(clock: VirtualClock, write: str) -> None:
    """The host stands still in the middle of a write that renews the lease, for longer than the lease."""
    account = MemoryStorage(clock.now)
    world = await World(account, clock).open()
    operation_id = await world.submit()
    begun, go, end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(context: OperationContext) -> None:
        begun.set()
        await go.wait()
        await context.save("half-way")
        await end.wait()

    storage = FreezingStorage(account, number=-1)
    slow = await World(storage, clock, host="slow").open_quietly()
    slow.handle(handler)
    running = asyncio.create_task(slow.engine.run_one(slow.engine.store.place(await world.get(operation_id))))
    await begun.wait()
    storage.freeze_at(len(storage.calls) + 1)
    if write == "heartbeat":
        await clock.advance(LEASE / 3)
    else:
        go.set()
    await storage.frozen.wait()
    clock.jump(2 * LEASE)
    storage.thawed.set()
    await clock.settle()
    operation = await world.get(operation_id)
    assert operation.leaseuntil is not None
    assert operation.leaseuntil == clock.now() + LEASE
    go.set()
    end.set()
    await running
    assert (await world.get(operation_id)).statuscode is StatusCode.SUCCEEDED


async def test_a_cancel_is_kept_though_the_record_cannot_be_read_for_a_moment(clock: VirtualClock) -> None:
    """The handler's checkpoint finds the record changed, and the read that would say how gets no answer."""
    account = MemoryStorage(clock.now)
    world = await World(account, clock).open()
    operation_id = await world.submit()
    begun, go = asyncio.Event(), asyncio.Event()

    async def handler(context: OperationContext) -> None:
        begun.set()
        await go.wait()
        await context.save("half-way")

    storage = FaultyStorage(account, number=-1, fault=Fault.FAILS_BEFORE)
    other = await World(storage, clock, host="other").open_quietly()
    other.handle(handler)
    running = asyncio.create_task(other.engine.run_one(other.engine.store.place(await world.get(operation_id))))
    await begun.wait()
    await world.control.cancel(operation_id)
    # The checkpoint, a look at whether it was its own, and the read that says what is there now.
    fails = len(storage.calls) + 3
    storage.fail_at(fails)
    go.set()
    await clock.advance(WRITE_PAUSES[0])
    await running
    assert "read" in storage.calls[fails - 1]
    ended = await world.get(operation_id)
    assert (ended.statuscode, ended.message) == (StatusCode.CANCELED, None)


async def test_what_would_be_tried_again_is_what_a_cancel_ends(clock: VirtualClock) -> None:
    world = await World(MemoryStorage(clock.now), clock).open()
    operation_id = await world.submit()
    begun, go = asyncio.Event(), asyncio.Event()

    async def handler(_: OperationContext) -> None:
        begun.set()
        await go.wait()
        raise RetryOperation("The other side is busy.")

    world.handle(handler)
    running = asyncio.create_task(world.deliver())
    await begun.wait()
    await world.control.cancel(operation_id)
    go.set()
    await running
    ended = await world.get(operation_id)
    assert (ended.statuscode, ended.message) == (StatusCode.CANCELED, "The other side is busy.")
