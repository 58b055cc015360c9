"""Ids whose record stands elsewhere: whoever comes late, after others took the id over, writes nothing twice."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from asyncservice.operations import ids
from asyncservice.operations.record import AsyncOperation
from asyncservice.storage.account import Storage
from asyncservice.storage.tables import Row
from tests.faults import FreezingStorage
from tests.operations.world import World
from tests.support import VirtualClock, an_id

OWN_IDS = {"7": an_id(shard=3), "4": UUID("9a7b0000-0000-4000-8000-0000000000a1")}
#: Tokens of partitions that are neither the ids' own nor each other's.
FIRST, SECOND = "invoice-4", "invoice-5"
#: Calls of a submission with a token elsewhere: alias, token's line, record.
BEFORE_THE_RECORD = 3

own_ids = pytest.mark.parametrize("own_id", OWN_IDS.values(), ids=OWN_IDS)


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    made = await World(storage, clock).open()

    async def handler(_: object) -> None:
        return None

    made.handle(handler)
    return made


async def rows(world: World) -> list[Row]:
    table = world.engine.store.table
    return [
        row
        for shard in range(world.engine.store.shards)
        async for row in table.scan(ids.partition_name(shard), start=ids.AGENDA)
    ]


async def records(world: World) -> list[AsyncOperation]:
    store = world.engine.store
    return [each.operation for shard in range(store.shards) async for each in store.scan(shard)]


async def frozen(
    world: World, own_id: UUID, token: str, *, at: int = BEFORE_THE_RECORD
) -> tuple[asyncio.Task[UUID], FreezingStorage]:
    """Begin a submission that stands still before one of its calls."""
    storage = FreezingStorage(world.storage, number=at)
    late = await World(storage, world.clock, host="late").open_quietly()
    task = asyncio.create_task(late.submit(operation_id=own_id, dependencytoken=token))
    await storage.frozen.wait()
    return task, storage


async def is_well(world: World, own_id: UUID, tokens: Sequence[str | None]) -> None:
    """Check that there is one record of the id, that the id leads to it, and that it is run once."""
    [record] = await records(world)
    assert record.dependencytoken in tokens
    assert (await world.get(own_id)).dependencytoken == record.dependencytoken
    await world.run_everything()
    assert (await world.get(own_id)).attempt == 1


def test_the_tokens_choose_other_partitions() -> None:
    shards = 4
    tokens = {ids.partition_name(ids.token_shard(token, shards)) for token in (FIRST, SECOND)}
    assert len(tokens) == 2
    assert tokens.isdisjoint(ids.partition_of(each, shards) for each in OWN_IDS.values())


@own_ids
@pytest.mark.parametrize("token", [FIRST, SECOND, None])
async def test_an_id_that_is_taken_over_is_not_written_by_the_one_who_comes_late(
    world: World, own_id: UUID, token: str | None
) -> None:
    submitting, storage = await frozen(world, own_id, FIRST)
    await world.submit(operation_id=own_id, dependencytoken=token)
    storage.thawed.set()
    assert await submitting == own_id
    await is_well(world, own_id, [token])


@own_ids
@pytest.mark.parametrize("token", [FIRST, SECOND, None])
async def test_an_id_that_was_used_and_removed_is_not_written_twice_by_the_one_who_comes_late(
    world: World, own_id: UUID, token: str | None
) -> None:
    """It may be made again, for it was submitted again; but not beside what somebody else made of the same id."""
    submitting, storage = await frozen(world, own_id, FIRST)
    await world.submit(operation_id=own_id, dependencytoken=FIRST)
    await world.run_everything()
    await world.control.delete(own_id)
    await world.submit(operation_id=own_id, dependencytoken=token)
    storage.thawed.set()
    assert await submitting == own_id
    await is_well(world, own_id, [token])


@own_ids
async def test_what_comes_late_after_a_removal_can_be_found(world: World, own_id: UUID) -> None:
    submitting, storage = await frozen(world, own_id, FIRST)
    await world.submit(operation_id=own_id, dependencytoken=FIRST)
    await world.run_everything()
    await world.control.delete(own_id)
    storage.thawed.set()
    assert await submitting == own_id
    await is_well(world, own_id, [FIRST])


@own_ids
@pytest.mark.parametrize("at", range(1, 12))
@pytest.mark.parametrize("token", [SECOND, None])
@pytest.mark.parametrize("order", [1, -1], ids=["taker first", "taker last"])
async def test_one_who_takes_an_id_over_may_stand_still_anywhere(
    world: World, own_id: UUID, at: int, token: str | None, order: int
) -> None:
    """The first stands still, the second takes over and stands still too; a third submits; then both go on."""
    first, first_storage = await frozen(world, own_id, FIRST)
    second_storage = FreezingStorage(world.storage, number=at)
    taker = await World(second_storage, world.clock, host="taker").open_quietly()
    second = asyncio.create_task(taker.submit(operation_id=own_id, dependencytoken=token))
    standing = asyncio.create_task(second_storage.frozen.wait())
    await asyncio.wait({second, standing}, return_when="FIRST_COMPLETED")
    standing.cancel()
    await world.submit(operation_id=own_id, dependencytoken=FIRST)
    for storage, task in [(second_storage, second), (first_storage, first)][::order]:
        storage.thawed.set()
        assert await task == own_id
    await is_well(world, own_id, [FIRST, token])


@own_ids
async def test_removing_an_operation_does_not_hide_the_next_one_of_its_id(world: World, own_id: UUID) -> None:
    """Whoever removes stands still; others remove it and submit the id again; then the first goes on."""
    await world.submit(operation_id=own_id, dependencytoken=FIRST)
    await world.run_everything()
    for at in range(1, 8):
        storage = FreezingStorage(world.storage, number=at)
        late = await World(storage, world.clock, host="late").open_quietly()
        deleting = asyncio.create_task(late.control.delete(own_id))
        waiting = asyncio.create_task(storage.frozen.wait())
        await asyncio.wait({deleting, waiting}, return_when="FIRST_COMPLETED")
        if not deleting.done() and await world.engine.store.read(own_id) is not None:
            await world.control.delete(own_id)
        await world.submit(operation_id=own_id, dependencytoken=FIRST)
        storage.thawed.set()
        await asyncio.wait({deleting})
        waiting.cancel()
        await is_well(world, own_id, [FIRST])


@own_ids
async def test_nothing_of_it_is_left_in_the_end(world: World, own_id: UUID) -> None:
    submitting, storage = await frozen(world, own_id, FIRST)
    await world.submit(operation_id=own_id, dependencytoken=SECOND)
    storage.thawed.set()
    await submitting
    await world.run_everything()
    await world.control.delete(own_id)
    world.clock.jump(timedelta(days=8))
    await world.sweep()
    assert await rows(world) == []


@own_ids
async def test_an_abandoned_reservation_is_left_to_nobody(world: World, own_id: UUID) -> None:
    """Whoever took an id over died before he wrote: the next submission of the id goes through, whatever its token."""
    submitting, _ = await frozen(world, own_id, FIRST)
    submitting.cancel()
    for at in range(2, 9):
        taking, _ = await frozen(world, own_id, SECOND if at % 2 else FIRST, at=at)
        taking.cancel()
    await world.submit(operation_id=own_id, dependencytoken=FIRST)
    await is_well(world, own_id, [FIRST])
