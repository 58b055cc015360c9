"""What holds while a handler runs: its lease."""

import asyncio
from datetime import timedelta

import pytest

from asyncservice.operations.handling import OperationContext
from asyncservice.operations.states import StatusCode
from asyncservice.storage.memory import MemoryStorage
from tests.faults import FreezingStorage
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
