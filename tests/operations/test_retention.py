"""How long completed operations are kept, and that nothing of them is left afterwards."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from asyncservice.operations import creation, ids, indices, insertion, reservation, retention
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.retention import Retention, rules
from asyncservice.operations.states import COMPLETED, StatusCode
from asyncservice.operations.store import PAYLOADS, TABLE, stored_from
from asyncservice.settings import Settings
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import Insert
from tests.operations.world import World
from tests.support import NOON, VirtualClock, an_id, an_operation

KEPT = Retention()
PLENTY = timedelta(hours=1)
LONG_AGO = NOON - timedelta(days=400)


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    return await World(storage, clock).open()


async def put(world: World, *operations: AsyncOperation) -> None:
    """Write operations as they are, without running them."""
    by_partition: dict[str, list[AsyncOperation]] = {}
    for operation in operations:
        by_partition.setdefault(world.engine.store.place(operation).partition, []).append(creation.created(operation))
    for group in by_partition.values():
        size = insertion.batch_size(group)
        for start in range(0, len(group), size):
            await insertion.insert_many(world.engine.store, group[start : start + size])


def completed(
    on: datetime, status: StatusCode = StatusCode.SUCCEEDED, *, operation_id: UUID | None = None, **columns: object
) -> AsyncOperation:
    """Return an operation that was made and completed *on* that moment."""
    operation = an_operation(operation_id or an_id(on), now=on, statuscode=status, completedon=on)
    return replace(operation, **columns)  # type: ignore[arg-type]


async def left(world: World) -> set[str]:
    """Return the keys of every row there is, but for gates, which are the service's, and index rows.

    Index rows are those of the records that are left, neither more nor fewer.
    """
    table = world.storage.table(TABLE)
    partitions = map(ids.partition_name, range(world.engine.store.shards))
    rows = [row for each in partitions async for row in table.scan(each) if not row.key.startswith("_")]
    records = [row for row in rows if row.key.startswith(ids.RECORD) and ids.is_record(row)]
    places = [(ids.Place(row.partition, row.key), stored_from(row).operation) for row in records]
    expected = [key for place, operation in places for key in indices.rows(operation, place)]
    assert sorted(row.key for row in rows if indices.is_index(row.key)) == sorted(expected)
    return {row.key for row in rows if not indices.is_index(row.key)}


async def payloads(world: World) -> list[str]:
    return [name async for name in world.storage.blobs(PAYLOADS).names()]


@pytest.mark.parametrize(
    ("status", "days"), [(StatusCode.SUCCEEDED, 30), (StatusCode.FAILED, 60), (StatusCode.CANCELED, 60)]
)
async def test_each_status_is_kept_as_long_as_dataverse_keeps_it(world: World, status: StatusCode, days: int) -> None:
    just_in_time = completed(NOON - timedelta(days=days) + timedelta(minutes=1), status)
    too_old = completed(NOON - timedelta(days=days, minutes=1), status)
    await put(world, just_in_time, too_old)
    assert await retention.purge(world.engine, KEPT, budget=PLENTY) == 1
    assert await left(world) == {world.engine.store.place(just_in_time).key}
    assert await retention.purge(world.engine, KEPT, budget=PLENTY) == 0


async def test_what_counts_is_when_it_was_completed(world: World) -> None:
    late = completed(LONG_AGO, completedon=NOON - timedelta(days=1))
    await put(world, late)
    assert await retention.purge(world.engine, KEPT, budget=PLENTY) == 0


async def test_settings_say_how_long(world: World) -> None:
    await put(world, *(completed(NOON - timedelta(days=2), status) for status in COMPLETED))
    none_failed = Retention(KEPT.kept | {StatusCode.FAILED: timedelta(days=1)})  # type: ignore[operator]
    assert await retention.purge(world.engine, none_failed, budget=PLENTY) == 1
    none = Retention(dict.fromkeys(COMPLETED, timedelta(0)))
    assert await retention.purge(world.engine, none, budget=PLENTY) == 2


async def test_single_types_have_days_of_their_own(world: World) -> None:
    """What is said of a status counts before what is said of the type, and that before the days of all."""
    bulk_delete, workflow, other = OperationType.BULK_DELETE, OperationType.WORKFLOW, OperationType.IMPORT
    old = {
        (kind, status, days): completed(NOON - timedelta(days=days, minutes=1), status, operationtype=int(kind))
        for kind in (bulk_delete, workflow, other)
        for status in COMPLETED
        for days in (1, 7, 50, 100, 4000)
    }
    await put(world, *old.values())
    said = "BulkDelete=7, BulkDelete.Failed = 1, 10.canceled=forever, workflow.Succeeded=100"
    by_type = Retention(by_type=rules(said))
    kept = {
        (bulk_delete, StatusCode.SUCCEEDED): 7,
        (bulk_delete, StatusCode.FAILED): 1,
        (bulk_delete, StatusCode.CANCELED): 7,
        (workflow, StatusCode.SUCCEEDED): 100,
        (workflow, StatusCode.CANCELED): 10_000,
        (other, StatusCode.SUCCEEDED): 30,
    }
    stays = {
        world.engine.store.place(operation).key
        for (kind, status, days), operation in old.items()
        if days < kept.get((kind, status), 60)
    }
    assert await retention.purge(world.engine, by_type, budget=PLENTY) == len(old) - len(stays)
    assert await left(world) == stays


async def test_more_types_than_a_search_can_leave_out_have_days_of_their_own(world: World) -> None:
    types = list(OperationType)[:20]
    old = [completed(NOON - timedelta(days=40), operationtype=int(kind)) for kind in types]
    await put(world, *old, completed(NOON - timedelta(days=40), operationtype=int(list(OperationType)[20])))
    by_type = Retention(by_type=rules(",".join(f"{kind.value}=50" for kind in types)))
    assert await retention.purge(world.engine, by_type, budget=PLENTY) == 1
    assert await left(world) == {world.engine.store.place(each).key for each in old}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("BulkDelete", "'BulkDelete': write whole days, 0 to 36,500, or forever, as in BulkDelete=7."),
        ("BulkDelete=", "write whole days"),
        ("BulkDelete=-1", "write whole days"),
        ("BulkDelete=1.5", "write whole days"),
        ("BulkDelete=36501", "write whole days"),
        ("BulkDelete=7, MakeCoffee=1", "'MakeCoffee=1': 'MakeCoffee' is no operation type; write it like BulkDelete=7"),
        ("=7", "'' is no operation type"),
        ("BulkDelete.Waiting=7", "'Waiting' is none of Succeeded, Failed and Canceled."),
        ("BulkDelete=7,13=8", "'13=8': 13 is said twice; leave one out."),
        ("13.Failed=7,BulkDelete.Failed=8", "BulkDelete.Failed is said twice"),
    ],
)
def test_rules_that_cannot_be_read_are_explained(said: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"^'") as refusal:
        rules(said)
    assert sentence in str(refusal.value)
    monkeypatch.setenv("ASYNCSERVICE_PERSISTENCE_DAYS_BY_TYPE", said)
    with pytest.raises(ValidationError, match="ASYNCSERVICE_PERSISTENCE_DAYS_BY_TYPE: "):
        Settings()


def test_the_setting_is_what_the_service_keeps_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSERVICE_PERSISTENCE_DAYS_BY_TYPE", "BulkDelete.Failed=7,")
    assert Settings().retention().by_type == {(13, StatusCode.FAILED): timedelta(days=7)}
    monkeypatch.delenv("ASYNCSERVICE_PERSISTENCE_DAYS_BY_TYPE")
    assert Settings().retention() == Retention()


async def test_what_is_not_completed_stays_however_old(world: World) -> None:
    ready = an_operation(an_id(LONG_AGO), now=LONG_AGO)
    waiting = an_operation(an_id(LONG_AGO), now=LONG_AGO, statuscode=StatusCode.WAITING, recurrencepattern="FREQ=DAILY")
    running = an_operation(an_id(LONG_AGO), now=LONG_AGO, statuscode=StatusCode.IN_PROGRESS, leaseuntil=LONG_AGO)
    await put(world, ready, waiting, running)
    before = await left(world)
    assert await retention.purge(world.engine, KEPT, budget=PLENTY) == 0
    assert await left(world) == before
    assert len(before) == 6, "each with its agenda row"


@pytest.mark.parametrize("token", [None, "invoice-7"])
@pytest.mark.parametrize("own_id", [False, True], ids=["our id", "a caller's id"])
async def test_nothing_is_left_of_it(world: World, own_id: bool, token: str | None) -> None:  # noqa: FBT001
    """Long texts, archived history, the row that finds a caller's id: all go with the record."""
    operation_id = uuid4() if own_id else an_id(LONG_AGO)
    world.clock = world.engine.clock = VirtualClock(LONG_AGO)
    await world.submit(operation_id=operation_id, data='{"text": "' + "x" * 50_000 + '"}', dependencytoken=token)
    await world.control.cancel(operation_id)
    stored = await world.engine.store.read(operation_id)
    assert stored is not None
    entries = tuple(HistoryEntry(LONG_AGO, "claim", StatusCode.IN_PROGRESS, reason="x" * 300) for _ in range(100))
    stored = await world.engine.store.replace(stored, replace(stored.operation, history=entries), now=LONG_AGO)
    assert stored.operation.archivedhistory == 1
    assert len(await world.engine.store.history(stored)) == 100
    assert await payloads(world) != []

    world.engine.clock = VirtualClock(NOON)
    assert await retention.purge(world.engine, KEPT, budget=PLENTY) == 1
    world.engine.clock.jump(reservation.KEPT + timedelta(seconds=1))
    await world.sweep()
    assert await left(world) == set()
    assert await payloads(world) == []
    assert await world.engine.store.read(operation_id) is None


@pytest.mark.parametrize("rows", [97, 98, 250])
async def test_a_history_longer_than_a_transaction_goes_too(world: World, rows: int) -> None:
    """A job that recurs every minute has one after a week; cancelled, it must not stop the removal of the others."""
    long_lived = completed(LONG_AGO, StatusCode.CANCELED, operation_id=uuid4(), archivedhistory=rows)
    other = completed(LONG_AGO)
    await put(world, long_lived, other)
    place = world.engine.store.place(long_lived)
    for number in range(rows):
        await world.storage.table(TABLE).commit(
            place.partition, [Insert(ids.history_key(place, number), {"entries": "[]"})]
        )
    assert await retention.purge(world.engine, KEPT, budget=PLENTY) == 2
    assert await left(world) == set()


class TickingClock(VirtualClock):
    """A clock on which every look takes a tenth of a second."""

    def now(self) -> datetime:
        self.jump(timedelta(milliseconds=100))
        return super().now()


async def test_twenty_thousand_are_removed_in_batches_within_the_budget() -> None:
    clock = VirtualClock()
    world = await World(MemoryStorage(clock.now), clock).open()
    types = list(OperationType)
    old = [
        completed(LONG_AGO + timedelta(minutes=number), operationtype=int(types[number % len(types)]))
        for number in range(20_000)
    ]
    young = [completed(NOON - timedelta(days=1)) for _ in range(100)]
    await put(world, *old, *young)
    world.engine.clock = TickingClock()

    slices: list[int] = []
    while removed := await retention.purge(world.engine, KEPT, budget=timedelta(seconds=10)):
        slices.append(removed)
    # A hundred looks at the clock, one after each transaction of 33, are the budget.
    assert sum(slices) == 20_000
    assert len(slices) > 5
    assert max(slices) < 110 * 33
    assert await left(world) == {world.engine.store.place(each).key for each in young}


async def test_what_somebody_changes_meanwhile_is_left_for_the_next_time(clock: VirtualClock) -> None:
    """An operator retries a failed operation at the moment at which it is removed: his word stands."""
    storage = MemoryStorage(clock.now)
    world = await World(storage, clock).open()
    operations = [completed(LONG_AGO, StatusCode.FAILED, operation_id=an_id(LONG_AGO, shard=1)) for _ in range(5)]
    await put(world, *operations)
    retried = operations[2].asyncoperationid
    scan = world.engine.store.scan

    async def scan_then_retry(*arguments: object, **options: object) -> object:
        found = [stored async for stored in scan(*arguments, **options)]  # type: ignore[arg-type]
        for stored in found:
            yield stored
        if any(stored.operation.asyncoperationid == retried for stored in found):
            await world.control.retry(retried)

    world.engine.store.scan = scan_then_retry  # type: ignore[assignment, method-assign]
    assert await retention.purge(world.engine, KEPT, budget=PLENTY) == 4
    assert (await world.get(retried)).statuscode is StatusCode.WAITING_FOR_RESOURCES
