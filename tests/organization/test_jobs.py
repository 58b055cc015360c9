"""Jobs as a table: every query finds what it should, the newest first, from where the layout says and nowhere else."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from copy import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncservice.operations import creation, insertion
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import COMPLETED, StatusCode
from asyncservice.operations.store import OperationStore
from asyncservice.organization import jobs
from asyncservice.organization.jobrows import row_of
from asyncservice.organization.jobs import JobSource
from asyncservice.organization.query.model import Condition, Order
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.schema.catalog import standard_catalog
from asyncservice.organization.sources import Values
from asyncservice.organization.values import Reference
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import Delete
from tests.faults import FaultyStorage
from tests.support import NOON, an_id, an_operation

ACCOUNT, CHAIN = UUID(int=0x11), UUID(int=0x22)
NEWEST = (Order(attribute="createdon", descending=True),)
TYPES = (OperationType.SYSTEM_EVENT, OperationType.BULK_DELETE, OperationType.IMPORT)


def equal(attribute: str, *values: Any) -> Condition:
    return Condition(attribute=attribute, operator=Operator.EQUAL if len(values) == 1 else Operator.IN, values=values)


async def a_source(storage: Storage) -> JobSource:
    store = OperationStore(storage)
    await store.open(shards=4)
    return JobSource(store, standard_catalog)


async def put(source: JobSource, operations: Sequence[AsyncOperation]) -> None:
    by_partition: dict[str, list[AsyncOperation]] = {}
    for each in operations:
        by_partition.setdefault(source._store.place(each).partition, []).append(creation.created(each))
    for group in by_partition.values():
        size = insertion.batch_size(group)
        for start in range(0, len(group), size):
            await insertion.insert_many(source._store, group[start : start + size])


async def ids_of(rows: AsyncIterator[Values]) -> list[UUID]:
    return [row["asyncoperationid"] async for row in rows]  # type: ignore[misc]


def some_jobs(count: int, seed: int = 1) -> list[AsyncOperation]:
    """Return jobs of every kind, created in no order of their ids; some by others whose id is not of their time."""
    random = Random(seed)
    made = []
    for number in range(count):
        now = NOON + timedelta(milliseconds=random.randrange(60_000))
        status = random.choice(list(StatusCode))
        own_id = random.choice((an_id(now), an_id(now), an_id(NOON - timedelta(hours=3)), uuid4()))
        columns: dict[str, Any] = {"statuscode": status}
        if status in COMPLETED:
            columns["completedon"] = now
        if status in {StatusCode.IN_PROGRESS, StatusCode.PAUSING, StatusCode.CANCELING}:
            columns |= {"leaseuntil": now, "claimedon": now, "hostid": "a", "attempt": 1}
        if random.random() < 0.3:
            columns |= {"regardingobjectid": ACCOUNT, "regardingobjecttypecode": "account"}
        if random.random() < 0.2:
            columns["correlationid"] = CHAIN
        made.append(an_operation(own_id, type=random.choice(TYPES), now=now, name=str(number), **columns))
    # The first of the chain: its correlation is its own id.
    made.append(an_operation(CHAIN, now=NOON, type=OperationType.SYSTEM_EVENT))
    return made


def newest_first(operations: Sequence[AsyncOperation]) -> list[datetime]:
    return sorted((each.createdon for each in operations), reverse=True)


CONDITIONS: list[tuple[tuple[Condition, ...], Any]] = [
    ((), lambda _: True),
    ((equal("statecode", 0),), lambda each: each.statecode == 0),
    ((equal("statecode", 0, 1, 2),), lambda each: each.statecode < 3),
    ((equal("statecode", 3),), lambda each: each.statecode == 3),
    ((equal("statuscode", 31),), lambda each: each.statuscode == 31),
    ((equal("statuscode", 31, 32),), lambda each: each.statuscode in {31, 32}),
    ((equal("statecode", 3), equal("statuscode", 10)), lambda _: False),
    ((Condition(attribute="statecode", operator=Operator.NOT_EQUAL, values=(3,)),), lambda each: each.statecode != 3),
    ((equal("operationtype", 13),), lambda each: each.operationtype == 13),
    ((equal("operationtype", 1),), lambda each: each.operationtype == 1),
    ((equal("operationtype", 5, 13),), lambda each: each.operationtype in {5, 13}),
    ((equal("operationtype", 13), equal("statecode", 3)), lambda each: each.operationtype == 13 and each.is_completed),
    ((equal("regardingobjectid", ACCOUNT),), lambda each: each.regardingobjectid == ACCOUNT),
    ((equal("regardingobjectid", UUID(int=5)),), lambda _: False),
    ((equal("correlationid", CHAIN),), lambda each: each.correlationid == CHAIN),
    (
        (Condition(attribute="createdon", operator=Operator.GREATER_EQUAL, values=(NOON + timedelta(seconds=30),)),),
        lambda each: each.createdon >= NOON + timedelta(seconds=30),
    ),
]


@pytest.fixture(scope="module")
def made() -> list[AsyncOperation]:
    return some_jobs(300)


@pytest.mark.parametrize("few", [True, False], ids=["few unfinished", "many unfinished"])
@pytest.mark.parametrize("number", range(len(CONDITIONS)))
async def test_every_query_finds_its_jobs_the_newest_first(
    made: list[AsyncOperation], number: int, *, few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, expected = CONDITIONS[number]
    monkeypatch.setattr(jobs, "MOST_UNFINISHED", 500 if few else 20)
    source = await a_source(MemoryStorage(lambda: NOON))
    await put(source, made)
    by_id = {each.asyncoperationid: each for each in made}
    wanted = {each.asyncoperationid for each in made if expected(each)}
    for orders in ((), NEWEST):
        scan = source.scan(where, orders=orders)
        found = await ids_of(scan.rows)
        assert scan.is_ordered
        assert len(found) == len(set(found))
        assert wanted <= set(found)
        if orders:
            assert [by_id[each].createdon for each in found] == newest_first([by_id[each] for each in found])
        for cut in (0, len(found) // 2, len(found) - 1):
            if cut < 0 or not found:
                continue
            last = row_of(by_id[found[cut]])
            behind = {name: last[name] for name in ("asyncoperationid", *(["createdon"] if orders else []))}
            rest = await ids_of(source.scan(where, orders=orders, behind=behind, at_most=7).rows)
            assert rest == found[cut + 1 :]


async def test_other_orders_are_left_to_the_reader(made: list[AsyncOperation]) -> None:
    source = await a_source(MemoryStorage(lambda: NOON))
    await put(source, made[:20])
    scan = source.scan(orders=[Order(attribute="name")], behind=row_of(made[3]), at_most=1)
    assert not scan.is_ordered
    assert len(await ids_of(scan.rows)) == 20


async def test_a_position_written_to_the_second_is_found_again() -> None:
    source = await a_source(MemoryStorage(lambda: NOON))
    await put(source, some_jobs(60, seed=3))
    found = await ids_of(source.scan(orders=NEWEST).rows)
    last = await source.find(found[30])
    assert last is not None
    created = last["createdon"]
    assert isinstance(created, datetime)
    behind: Values = {"asyncoperationid": found[30], "createdon": created.replace(microsecond=0)}
    assert await ids_of(source.scan(orders=NEWEST, behind=behind).rows) == found[31:]


async def test_a_row_has_every_column_that_may_be_read(storage: Storage) -> None:
    source = await a_source(storage)
    long = "x" * 70_000
    operation = an_operation(
        regardingobjectid=ACCOUNT,
        regardingobjecttypecode="account",
        data=long,
        workflowstate="hidden",
        workflowisblocked=True,
    )
    await put(source, [operation])
    row = await source.find(operation.asyncoperationid)
    assert row is not None
    assert row["regardingobjectid"] == Reference("account", ACCOUNT)
    assert row["ownerid"] == Reference("systemuser", operation.ownerid)
    assert (row["data"], row["statecode"], row["statuscode"]) == (long, 0, 0)
    assert type(row["statuscode"]) is int
    assert not row.keys() & {"workflowstate", "workflowisblocked", "history", "checkpoint", "attempt"}
    assert await source.find(uuid4()) is None
    assert (await source.find_many([operation.asyncoperationid, uuid4()])).keys() == {operation.asyncoperationid}
    [listed] = [each async for each in source.scan(columns=["name"]).rows]
    assert "data" not in listed
    [listed] = [each async for each in source.scan().rows]
    assert listed["data"] == long


async def test_what_has_been_removed_is_not_listed_though_an_index_names_it() -> None:
    source = await a_source(MemoryStorage(lambda: NOON))
    [gone, kept] = [an_operation(regardingobjectid=ACCOUNT) for _ in range(2)]
    await put(source, [gone, kept])
    place = source._store.place(gone)
    await source._store.table.commit(place.partition, [Delete(place.key)])
    assert await ids_of(source.scan([equal("regardingobjectid", ACCOUNT)]).rows) == [kept.asyncoperationid]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    offsets=st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=40),
    page=st.integers(1, 7),
)
async def test_pages_put_together_are_the_list(offsets: list[tuple[int, bool]], page: int) -> None:
    source = await a_source(MemoryStorage(lambda: NOON))
    operations = [
        an_operation(
            an_id(NOON if is_old else NOON + timedelta(milliseconds=offset)), now=NOON + timedelta(milliseconds=offset)
        )
        for offset, is_old in offsets
    ]
    await put(source, operations)
    seen: list[UUID] = []
    behind: Values | None = None
    while True:
        rows: list[Values] = []
        async for row in source.scan(orders=NEWEST, behind=behind, at_most=page).rows:
            rows.append(row)
            if len(rows) == page:
                break
        if not rows:
            break
        behind = rows[-1]
        seen += [row["asyncoperationid"] for row in rows]  # type: ignore[misc]
    assert sorted(seen) == sorted(each.asyncoperationid for each in operations)
    by_id = {each.asyncoperationid: each.createdon for each in operations}
    assert [by_id[each] for each in seen] == newest_first(operations)


async def test_requests_do_not_grow_with_what_is_not_asked_for() -> None:
    """Of a thousand completed system events and a few others, what the others take."""
    counted = FaultyStorage(MemoryStorage(lambda: NOON))
    source = await a_source(counted)
    events = [
        an_operation(
            an_id(now), type=OperationType.SYSTEM_EVENT, now=now, statuscode=StatusCode.SUCCEEDED, completedon=now
        )
        for now in (NOON - timedelta(seconds=number) for number in range(1000))
    ]
    others = [
        an_operation(an_id(now), now=now, regardingobjectid=ACCOUNT)
        for now in (NOON - timedelta(hours=n) for n in range(5))
    ]
    await put(source, [*events, *others])

    async def requests(*where: Condition, limit: int = 50) -> Counter[str]:
        counted.calls.clear()
        count = 0
        async for _ in source.scan(where, orders=NEWEST, at_most=limit).rows:
            count += 1
            if count == limit:
                break
        return Counter(call.partition(" ")[0] for call in counted.calls)

    shards = 4
    assert await requests() == {"scan": 2 * shards}
    assert await requests(equal("statecode", 0)) == {"scan": shards, "read": len(others)}
    assert await requests(equal("operationtype", int(OperationType.EXECUTE_ASYNC_REQUEST))) == {
        "scan": shards,
        "read": 5,
    }
    assert await requests(equal("regardingobjectid", ACCOUNT)) == {"scan": shards, "read": 5}
    assert await requests(equal("correlationid", uuid4())) == {"scan": shards, "read": 1}
    assert await requests(equal("statuscode", 31)) == {"scan": shards}


def test_a_moment_is_rounded_as_keys_round_it() -> None:
    moment = datetime(2026, 1, 1, 0, 0, 0, 999_600, tzinfo=UTC)
    operation = replace(an_operation(), createdon=moment)
    assert row_of(operation)["createdon"] == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
