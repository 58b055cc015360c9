"""Concurrent commits share transactions, and each caller gets its own answer."""

import asyncio
from collections.abc import Sequence

import pytest

from asyncservice.storage.account import Storage
from asyncservice.storage.errors import ConflictReason, RowConflict, StorageRefused, StorageUnavailable
from asyncservice.storage.memory import MemoryTable
from asyncservice.storage.sharing import SharedTable
from asyncservice.storage.tables import MAX_ROW_BYTES, Delete, Insert, Put, Replace, Require, Table, Write


class CountedTable(MemoryTable):
    """A table that writes down its transactions, and holds each back until it is let go."""

    def __init__(self) -> None:
        super().__init__("Things")
        self.transactions: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.has_two = asyncio.Event()
        self.error: BaseException | None = None

    async def commit(self, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        self.transactions.append([write.key for write in writes])
        if len(self.transactions) == 2:
            self.has_two.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return await super().commit(partition, writes)


@pytest.fixture
async def inner() -> CountedTable:
    table = CountedTable()
    await table.create()
    return table


@pytest.fixture
def shared(inner: CountedTable) -> Table:
    return SharedTable(inner, linger=None)


async def test_what_is_ready_together_goes_out_together(inner: CountedTable, shared: Table) -> None:
    answers = await asyncio.gather(*(shared.commit("p", [Insert(f"k{n}", {"n": n})]) for n in range(5)))

    assert inner.transactions == [["k0", "k1", "k2", "k3", "k4"]]
    for n, [etag] in enumerate(answers):
        row = await inner.read("p", f"k{n}")
        assert row is not None
        assert (row.etag, row.values) == (etag, {"n": n})


async def test_partitions_do_not_wait_for_each_other(inner: CountedTable, shared: Table) -> None:
    await asyncio.gather(shared.commit("p", [Insert("k", {})]), shared.commit("q", [Insert("k", {})]))
    assert inner.transactions == [["k"], ["k"]]


async def test_what_comes_while_one_is_under_way_waits_for_it_and_goes_together(
    inner: CountedTable, shared: Table
) -> None:
    inner.open.clear()
    first = asyncio.create_task(shared.commit("p", [Insert("a", {})]))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(shared.commit("p", [Insert(key, {})])) for key in "bc"]
    await asyncio.sleep(0.01)
    assert inner.transactions == [["a"]]

    inner.open.set()
    await asyncio.gather(first, *others)
    assert inner.transactions == [["a"], ["b", "c"]]


async def test_nobody_waits_for_an_answer_that_does_not_come(inner: CountedTable) -> None:
    shared = SharedTable(inner)
    inner.open.clear()
    first = asyncio.create_task(shared.commit("p", [Insert("a", {})]))
    await asyncio.sleep(0)
    second = asyncio.create_task(shared.commit("p", [Insert("b", {})]))
    async with asyncio.timeout(20):
        await inner.has_two.wait()
    assert inner.transactions == [["a"], ["b"]]
    inner.open.set()
    await asyncio.gather(first, second)


async def test_one_that_loses_does_not_keep_the_others_from_being_written(inner: CountedTable, shared: Table) -> None:
    [old] = await inner.commit("p", [Insert("b", {"n": 1})])
    await inner.commit("p", [Put("b", {"n": 2})])
    inner.transactions.clear()

    a, b, c = await asyncio.gather(
        shared.commit("p", [Insert("a", {})]),
        shared.commit("p", [Insert("a2", {}), Replace("b", {"n": 3}, old)]),
        shared.commit("p", [Insert("c", {})]),
        return_exceptions=True,
    )

    assert isinstance(b, RowConflict)
    assert (b.key, b.reason) == ("b", ConflictReason.CHANGED)
    assert not isinstance(a, BaseException)
    assert not isinstance(c, BaseException)
    assert [row.key for row in inner.all_rows()] == ["a", "b", "c"]
    assert inner.transactions == [["a", "a2", "b", "c"], ["a", "c"]]


async def test_a_row_that_two_name_is_written_by_one_after_the_other(shared: Table) -> None:
    first, second, third = await asyncio.gather(
        shared.commit("p", [Insert("k", {"n": 1})]),
        shared.commit("p", [Insert("k", {"n": 2})]),
        shared.commit("p", [Insert("l", {})]),
        return_exceptions=True,
    )
    assert not isinstance(first, BaseException)
    assert isinstance(second, RowConflict)
    assert not isinstance(third, BaseException)


async def test_what_several_require_is_asked_once(inner: CountedTable, shared: Table) -> None:
    await inner.commit("p", [Insert("gate", {})])
    inner.transactions.clear()
    one, two = await asyncio.gather(
        shared.commit("p", [Insert("a", {}), Require("gate")]), shared.commit("p", [Insert("b", {}), Require("gate")])
    )
    assert inner.transactions == [["a", "gate", "b"]]
    assert one[1] == two[1] == ""

    await inner.commit("p", [Delete("gate")])
    refused = await asyncio.gather(
        *(shared.commit("p", [Insert(key, {}), Require("gate")]) for key in "cd"),
        shared.commit("p", [Insert("e", {})]),
        return_exceptions=True,
    )
    assert [type(each) for each in refused] == [RowConflict, RowConflict, list]


async def test_a_transaction_holds_a_hundred_writes(inner: CountedTable, shared: Table) -> None:
    await asyncio.gather(*(shared.commit("p", [Insert(f"{n:03}", {}), Insert(f"{n:03}b", {})]) for n in range(120)))
    assert [len(keys) for keys in inner.transactions] == [100, 100, 40]


async def test_one_that_can_never_be_written_does_not_keep_the_others_from_it(
    inner: CountedTable, shared: Table
) -> None:
    too_much = {f"c{n}": "x" * 32_000 for n in range(MAX_ROW_BYTES // 64_000 + 1)}
    a, b, c = await asyncio.gather(
        shared.commit("p", [Insert("a", {})]),
        shared.commit("p", [Insert("b/", too_much)]),
        shared.commit("p", [Insert("c", {})]),
        return_exceptions=True,
    )
    assert isinstance(b, StorageRefused)
    assert [row.key for row in inner.all_rows()] == ["a", "c"]
    assert not isinstance(a, BaseException)
    assert not isinstance(c, BaseException)


async def test_everybody_hears_that_no_answer_came(inner: CountedTable, shared: Table) -> None:
    inner.error = StorageUnavailable("no answer")
    answers = await asyncio.gather(*(shared.commit("p", [Insert(key, {})]) for key in "ab"), return_exceptions=True)
    assert [type(each) for each in answers] == [StorageUnavailable, StorageUnavailable]
    inner.error = None
    await shared.commit("p", [Insert("c", {})])


async def test_one_who_left_before_it_went_out_writes_nothing(inner: CountedTable, shared: Table) -> None:
    inner.open.clear()
    first = asyncio.create_task(shared.commit("p", [Insert("a", {})]))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(shared.commit("p", [Insert("b", {})]))
    await asyncio.sleep(0.01)
    second.cancel()
    inner.open.set()
    await first
    await asyncio.gather(second, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert inner.transactions == [["a"]]


async def test_one_who_leaves_while_it_is_under_way_does_not_disturb_the_others(
    inner: CountedTable, shared: Table
) -> None:
    inner.open.clear()
    leaves, stays = (asyncio.create_task(shared.commit("p", [Insert(key, {})])) for key in "ab")
    await asyncio.sleep(0.01)
    leaves.cancel()
    await asyncio.sleep(0.01)
    inner.open.set()
    await stays
    assert [row.key for row in inner.all_rows()] == ["a", "b"]


async def test_on_a_real_table_every_caller_gets_its_own_answer(storage: Storage) -> None:
    table = storage.table("Shared")
    await table.create()
    shared = SharedTable(table)
    await table.commit("p", [Insert("10", {})])

    answers = await asyncio.gather(
        *(shared.commit("p", [Insert(f"{n:02}", {"n": n})]) for n in range(30)), return_exceptions=True
    )

    assert [type(each) for each in answers] == [*[list] * 10, RowConflict, *[list] * 19]
    rows = [row async for row in table.scan("p")]
    assert {row.key: row.values.get("n") for row in rows} == {f"{n:02}": None if n == 10 else n for n in range(30)}
    assert [[row.etag] for row in rows if row.key != "10"] == [each for each in answers if isinstance(each, list)]
