"""Index rows: which operations have which, where they lead, and that they come and go with what they are about."""

from collections import Counter
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from asyncservice.operations import ids, indices, insertion
from asyncservice.operations.audit import Audit
from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.handling import OperationContext, OperationFailed, Outcome
from asyncservice.operations.indices import Index
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.operations.store import TABLE, OperationStore
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import Delete, Put, Row, prefix_end
from tests.faults import FaultyStorage
from tests.operations.world import World
from tests.support import NOON, VirtualClock, an_id, an_operation

RECORD = UUID("11111111-1111-4111-8111-111111111111")
OTHER = UUID("22222222-2222-4222-8222-222222222222")
EVENT = OperationType.SYSTEM_EVENT


def kinds(operation: AsyncOperation) -> list[str]:
    place = ids.place_of(operation.asyncoperationid, 4, operation.createdon)
    return sorted(key[1] for key in indices.rows(operation, place))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (an_operation(type=EVENT), []),
        (an_operation(), ["t"]),
        (an_operation(type=EVENT, regardingobjectid=RECORD), ["r"]),
        (an_operation(type=EVENT, statuscode=StatusCode.FAILED), ["s"]),
        (an_operation(type=EVENT, statuscode=StatusCode.CANCELED), ["s"]),
        (an_operation(type=EVENT, statuscode=StatusCode.SUCCEEDED), []),
        (an_operation(uuid4(), type=EVENT), []),
        (an_operation(an_id(NOON - timedelta(hours=1)), type=EVENT), ["n"]),
    ],
)
def test_only_what_is_looked_for_has_index_rows(operation: AsyncOperation, expected: list[str]) -> None:
    assert kinds(operation) == expected


async def index_rows(storage: Storage, shards: int = 4) -> list[Row]:
    table = storage.table(TABLE)
    partitions = map(ids.partition_name, range(shards))
    return [row for each in partitions async for row in table.scan(each, start=ids.INDEX, end=prefix_end(ids.INDEX))]


async def failing(_: OperationContext) -> Outcome:
    raise OperationFailed("for good")


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    world = await World(storage, clock).open()
    world.handle(failing)
    return world


async def test_they_come_with_the_record_and_lead_to_it(world: World) -> None:
    old = an_id(NOON - timedelta(days=3))
    for own_id in (None, uuid4(), old):
        await world.submit(operation_id=own_id, regardingobjectid=RECORD)
    rows = await index_rows(world.storage)
    assert Counter(row.key[1] for row in rows) == {"n": 1, "r": 3, "t": 3}
    for row in rows:
        stored = await world.engine.store.read_place(ids.Place(row.partition, indices.record_key(row)))
        assert stored is not None
        assert stored.operation.regardingobjectid == RECORD


async def test_a_failure_is_indexed_until_it_is_tried_again_and_gone_when_it_is_removed(world: World) -> None:
    operation_id = await world.submit()
    failures = indices.prefix(Index.STATUS, int(StatusCode.FAILED))
    seen = []

    async def look() -> None:
        seen.append(sum(row.key.startswith(failures) for row in await index_rows(world.storage)))

    await look()
    await world.run_everything()
    await look()
    await world.control.retry(operation_id)
    await look()
    await world.run_everything()
    await look()
    await world.control.delete(operation_id)
    assert seen == [0, 1, 0, 1]
    assert await index_rows(world.storage) == []


async def test_a_row_that_is_missing_keeps_nothing_from_happening(world: World) -> None:
    """Such as those of operations that a host of a former release has written during an upgrade."""
    operation_id = await world.submit(regardingobjectid=RECORD)
    await world.run_everything()
    for row in await index_rows(world.storage):
        await world.storage.table(TABLE).commit(row.partition, [Delete(row.key)])
    assert (await world.control.retry(operation_id)).statuscode is StatusCode.WAITING_FOR_RESOURCES
    await world.run_everything()
    assert (await world.get(operation_id)).statuscode is StatusCode.FAILED
    await world.control.delete(operation_id)
    assert await index_rows(world.storage) == []


async def test_an_upgrade_writes_what_a_former_release_has_not(world: World) -> None:
    for columns in ({}, {"regardingobjectid": RECORD}, {"operation_id": uuid4(), "correlationid": OTHER}):
        await world.submit(**columns)
    before = await index_rows(world.storage)
    table = world.storage.table(TABLE)
    for row in before:
        await table.commit(row.partition, [Delete(row.key)])
    await table.commit("layout", [Put("layout", {"shards": 4, "format": 2})])
    await OperationStore(world.storage).open()
    assert await index_rows(world.storage) == before
    assert [each async for each in Audit(world.engine.store, world.clock.now).everything()] == []


async def test_a_system_event_of_its_own_costs_no_row_and_no_other_operation_a_request(clock: VirtualClock) -> None:
    async def lone(kind: OperationType) -> tuple[list[str], int]:
        counted = FaultyStorage(MemoryStorage(clock.now))
        world = await World(counted, clock, options=EngineOptions(shards=4)).open()

        async def nothing(_: OperationContext) -> Outcome:
            return None

        world.handle(nothing, type=kind)
        counted.calls.clear()
        await world.engine.submit(an_operation(type=kind))
        submitted = len(await index_rows(world.storage))
        return counted.calls[:2], submitted

    event, rows_of_event = await lone(EVENT)
    other, rows_of_other = await lone(OperationType.BULK_DELETE)
    assert (rows_of_event, rows_of_other) == (0, 1)
    assert [call.partition(" ")[0] for call in event] == [call.partition(" ")[0] for call in other]
    assert insertion.batch_size([an_operation(type=EVENT)]) == 50
