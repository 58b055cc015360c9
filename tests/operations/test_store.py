"""The store of operations, on memory and on Azurite."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.operations import codec, creation, duedates, history, insertion, lifecycle, requests
from asyncservice.operations.errors import ChangedMeanwhile
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.insertion import insert, insert_many
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.removal import delete_many
from asyncservice.operations.states import StatusCode
from asyncservice.operations.store import OperationStore
from asyncservice.storage.account import Storage
from asyncservice.storage.tables import Comparison
from tests.support import NOON, an_id, an_operation

LEASE = timedelta(seconds=60)


@pytest.fixture
async def store(storage: Storage) -> OperationStore:
    made = OperationStore(storage)
    await made.open(shards=4)
    return made


def a_new(**columns: object) -> AsyncOperation:
    return creation.created(an_operation(**columns))  # type: ignore[arg-type]


async def everything(store: OperationStore, **bounds: Any) -> list[Stored]:
    return [each for shard in range(store.shards) async for each in store.scan(shard, **bounds)]


async def agenda_of(store: OperationStore, stored: Stored) -> list[str]:
    looks = [await store.look(shard, duedates.NEVER + LEASE, limit=1000) for shard in range(store.shards)]
    rows = [row for _, due in looks for row in due]
    return [row.due.isoformat() for row in rows if row.place == store.place(stored.operation)]


async def test_an_operation_comes_back_as_it_was_written(store: OperationStore) -> None:
    own_id = uuid4()
    for operation in (a_new(name="ours", data='{"a": 1}'), a_new(operation_id=own_id, name="theirs")):
        written = await insert(store, operation)
        assert written.new
        stored = written.stored
        found = await store.read(operation.asyncoperationid)
        assert found == stored
        assert found is not None
        assert found.etag == stored.etag
    assert await store.read(uuid4()) is None
    assert await store.read(an_id()) is None


@pytest.mark.parametrize("operation_id", [an_id(), uuid4()], ids=["ours", "theirs"])
async def test_the_same_id_twice_is_one_operation(store: OperationStore, operation_id: object) -> None:
    first = (await insert(store, a_new(operation_id=operation_id, name="first"))).stored
    later = a_new(operation_id=operation_id, name="second", now=NOON + timedelta(days=1))
    again = await insert(store, later)
    assert not again.new
    assert again.stored.operation == first.operation


async def test_a_batch_keeps_what_is_new_beside_what_exists(store: OperationStore) -> None:
    full = insertion.batch_size([a_new()])
    batch = [a_new(operation_id=an_id(shard=1), name=str(number)) for number in range(full)]
    await insert(store, batch[7])
    results = await insert_many(store, batch)
    assert [each.new for each in results] == [number != 7 for number in range(full)]
    assert [each.stored.operation.name for each in results] == [str(number) for number in range(full)]


async def test_the_number_of_shards_is_decided_once(storage: Storage, store: OperationStore) -> None:
    second = OperationStore(storage)
    await second.open(shards=16)
    assert second.shards == store.shards == 4


async def test_a_version_is_replaced_once(store: OperationStore) -> None:
    stored = (await insert(store, a_new())).stored
    after = lifecycle.claimed(stored.operation, now=NOON, host="a", lease=LEASE)
    taken = await store.replace(stored, after, now=NOON)
    with pytest.raises(ChangedMeanwhile):
        await store.replace(stored, replace(after, hostid="b"), now=NOON)
    found = await store.read(stored.operation.asyncoperationid)
    assert found == taken
    assert found is not None
    assert found.operation.hostid == "a"


async def test_the_agenda_names_every_unfinished_operation_once(store: OperationStore) -> None:
    """Early at most by the slack, never late; none when it is completed."""
    stored = (await insert(store, a_new())).stored
    assert await agenda_of(store, stored) == ["2026-03-01T12:01:00+00:00"]

    stored = await store.replace(stored, lifecycle.claimed(stored.operation, now=NOON, host="a", lease=LEASE), now=NOON)
    assert await agenda_of(store, stored) == ["2026-03-01T12:01:00+00:00"]

    due = NOON + timedelta(days=3)
    stored = await store.replace(stored, lifecycle.waiting(stored.operation, now=NOON, until=due), now=NOON)
    assert await agenda_of(store, stored) == ["2026-03-04T12:00:00+00:00"]

    stored = await store.replace(stored, requests.resumed(stored.operation, now=NOON), now=NOON)
    assert await agenda_of(store, stored) == ["2026-03-01T12:01:00+00:00"]

    stored = await store.replace(stored, requests.cancelled(stored.operation, now=NOON), now=NOON)
    assert await agenda_of(store, stored) == []


async def test_a_far_postponement_is_looked_at_before_hints_can_be_sent(store: OperationStore) -> None:
    due = NOON + timedelta(days=30)
    stored = (await insert(store, a_new(statuscode=StatusCode.WAITING, postponeuntil=due))).stored
    assert await agenda_of(store, stored) == [(due - store.agenda.horizon).isoformat()]


async def test_long_texts_leave_the_row_and_come_back(store: OperationStore) -> None:
    data = "ß" * 40_000
    stored = (await insert(store, a_new(data=data, message="short"))).stored
    found = await store.read(stored.operation.asyncoperationid)
    assert found is not None
    assert (found.operation.data, found.operation.message) == (None, "short")
    assert (await store.load(found)).operation.data == data

    moved = await store.replace(found, requests.cancelled(found.operation, now=NOON), now=NOON)
    again = await store.read(stored.operation.asyncoperationid)
    assert again is not None
    assert (await store.load(again)).operation.data == data

    await delete_many(store, [moved], now=NOON)
    assert await store.read(stored.operation.asyncoperationid) is None


async def test_deleting_takes_everything_with_it(storage: Storage, store: OperationStore) -> None:
    operation = a_new(operation_id=uuid4(), data="x" * 50_000, statuscode=StatusCode.FAILED)
    stored = (await insert(store, operation)).stored
    await delete_many(store, [stored], now=NOON)
    await delete_many(store, [stored], now=NOON)
    assert await everything(store) == []
    assert [name async for name in storage.blobs("async-operation-payloads").names()] == []
    assert (await insert(store, operation)).new


async def test_deleting_what_changed_is_refused(store: OperationStore) -> None:
    stored = (await insert(store, a_new(statuscode=StatusCode.FAILED))).stored
    await store.replace(stored, requests.retried(stored.operation, now=NOON), now=NOON)
    with pytest.raises(ChangedMeanwhile):
        await delete_many(store, [stored], now=NOON)


async def test_a_long_history_is_archived_and_read_back(store: OperationStore) -> None:
    stored = (await insert(store, a_new())).stored
    for number in range(120):
        now = NOON + timedelta(minutes=number)
        claimed = lifecycle.claimed(stored.operation, now=now, host="host", lease=LEASE)
        stored = await store.replace(stored, claimed, now=now)
        waits = lifecycle.waiting(stored.operation, now=now, until=now, message=f"{number} " + "r" * 300)
        stored = await store.replace(stored, waits, now=now)
    entries = await store.history(stored)
    assert stored.operation.archivedhistory > 0
    assert len(entries) == 1 + 3 * 120 - 1
    assert [entry.reason.split()[0] for entry in entries if entry.action == "wait" and entry.reason] == [
        str(number) for number in range(120)
    ]


async def test_a_scan_brings_the_newest_first_and_what_matches(store: OperationStore) -> None:
    for number in range(6):
        now = NOON + timedelta(minutes=number)
        operation_id = an_id(now, shard=2) if number % 2 else uuid4()
        status = StatusCode.FAILED if number == 3 else StatusCode.WAITING_FOR_RESOURCES
        await insert(store, a_new(operation_id=operation_id, now=now, name=str(number), statuscode=status))
    names = [each.operation.name async for each in store.scan(2)]
    assert [name for name in names if name in {"1", "3", "5"}] == ["5", "3", "1"]
    failed = await everything(store, where=[Comparison("statuscode", "eq", 31)])
    assert [each.operation.name for each in failed] == ["3"]
    old = await everything(store, created_before=NOON + timedelta(minutes=2))
    assert sorted(each.operation.name or "" for each in old) == ["0", "1"]


columns = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=256),
        "data": st.text(),
        "depth": st.integers(0, 2**31 - 1),
        "errorcode": st.integers(-(2**31), 2**31 - 1),
        "executiontimespan": st.floats(0, 1e9),
        "retainjobhistory": st.booleans(),
        "regardingobjectid": st.uuids(),
        "statuscode": st.sampled_from(StatusCode),
        "sequence": st.integers(0, 2**62),
    },
)


@given(columns)
def test_any_record_survives_the_row(values: dict[str, object]) -> None:
    operation = creation.created(an_operation(**values))  # type: ignore[arg-type]
    again, spilled = codec.from_row(codec.to_row(operation, spilled={}))
    assert (again, spilled) == (operation, {})


def test_columns_of_a_later_release_are_left_alone() -> None:
    row = codec.to_row(a_new(), spilled={}) | {"inventedlater": 1}
    assert codec.from_row(row)[0].statuscode is StatusCode.WAITING_FOR_RESOURCES


entries = st.builds(
    HistoryEntry,
    on=st.integers(0, 4_000_000_000_000).map(lambda ms: NOON + timedelta(milliseconds=ms % 10_000_000)),
    action=st.text(max_size=20),
    status=st.sampled_from(StatusCode),
    attempt=st.integers(0, 1000),
    host=st.none() | st.text(max_size=20),
    reason=st.none() | st.text(max_size=400),
    until=st.none() | st.integers(0, 10**10).map(lambda ms: NOON + timedelta(milliseconds=ms)),
    code=st.none() | st.integers(-(2**31), 2**31 - 1),
    retries=st.none() | st.integers(1, 100),
    awaits=st.none() | st.text(max_size=70),
)


@given(st.lists(entries, max_size=20).map(tuple))
def test_any_history_survives_the_column(written: tuple[HistoryEntry, ...]) -> None:
    assert history.read(history.write(written)) == written
