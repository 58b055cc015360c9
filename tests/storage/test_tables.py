"""The contract of a table: the same sentences hold in memory and on Azurite."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from asyncservice.storage.account import Storage
from asyncservice.storage.errors import ConflictReason, RowConflict, StorageRefused, TableMissing
from asyncservice.storage.tables import (
    Comparison,
    Delete,
    Either,
    Every,
    Insert,
    Put,
    Replace,
    Require,
    Row,
    Table,
    Value,
    Write,
    after,
)

EVERYTHING: dict[str, Value] = {
    "text": "Grüße, 世界 'quoted' \"twice\"",
    "small": -3,
    "large": 2**40,
    "share": 0.25,
    "yes": True,
    "no": False,
    "moment": datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC),
    "id": UUID("9a7b0000-0000-4000-8000-0000000000a1"),
    "bytes": b"\x00\xff",
    "empty": "",
}


@pytest.fixture
async def table(storage: Storage) -> Table:
    made = storage.table("Things")
    await made.create()
    return made


async def keys(table: Table, partition: str = "p", **bounds: object) -> list[str]:
    return [row.key async for row in table.scan(partition, **bounds)]  # type: ignore[arg-type]


async def test_creating_twice_is_creating_once(table: Table) -> None:
    await table.create()
    assert await table.read("p", "k") is None


async def test_a_row_comes_back_as_it_was_written(table: Table) -> None:
    [etag] = await table.commit("p", [Insert("k", EVERYTHING)])
    row = await table.read("p", "k")
    assert row == Row("p", "k", EVERYTHING, etag)
    assert row is not None
    assert row.etag == etag
    assert {name: type(value) for name, value in row.values.items()} == {
        name: type(value) for name, value in EVERYTHING.items()
    }


async def test_a_table_that_was_never_made_refuses(storage: Storage) -> None:
    missing = storage.table("Missing")
    for act in (
        missing.read("p", "k"),
        missing.commit("p", [Insert("k", {})]),
        missing.commit("p", [Insert("k", {}), Insert("l", {})]),
        keys(missing),
    ):
        with pytest.raises(TableMissing, match="Missing"):
            await act


@pytest.mark.parametrize("company", [0, 1], ids=["alone", "in a transaction"])
@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (Insert("k", {}), ConflictReason.EXISTS),
        (Replace("gone", {}, "W/\"datetime'2026-01-01T00%3A00%3A00Z'\""), ConflictReason.MISSING),
        (Replace("k", {}, "W/\"datetime'2026-01-01T00%3A00%3A00Z'\""), ConflictReason.CHANGED),
        (Delete("gone"), ConflictReason.MISSING),
        (Delete("k", "W/\"datetime'2026-01-01T00%3A00%3A00Z'\""), ConflictReason.CHANGED),
    ],
    ids=["insert an existing", "replace a missing", "replace a changed", "delete a missing", "delete a changed"],
)
async def test_a_write_whose_condition_does_not_hold_is_refused_and_nothing_is_applied(
    table: Table, write: Write, reason: ConflictReason, company: int
) -> None:
    await table.commit("p", [Insert("k", {"n": 1})])
    others: list[Write] = [Insert("other", {})] * company

    with pytest.raises(RowConflict) as caught:
        await table.commit("p", [*others, write])

    assert (caught.value.key, caught.value.reason) == (write.key, reason)
    assert await keys(table) == ["k"]
    row = await table.read("p", "k")
    assert row is not None
    assert row.values == {"n": 1}


async def test_a_transaction_applies_all_its_writes(table: Table) -> None:
    etags = await table.commit("p", [Insert("a", {"n": 1}), Insert("b", {"n": 1})])
    result = await table.commit(
        "p", [Replace("a", {"n": 2}, etags[0]), Delete("b", etags[1]), Insert("c", {}), Put("d", {"n": 4})]
    )
    assert [bool(etag) for etag in result] == [True, False, True, True]
    assert await keys(table) == ["a", "c", "d"]
    a = await table.read("p", "a")
    assert a is not None
    assert (a.values, a.etag) == ({"n": 2}, result[0])


async def test_a_version_is_replaced_once(table: Table) -> None:
    [etag] = await table.commit("p", [Insert("k", {"n": 1, "old": True})])
    await table.commit("p", [Replace("k", {"n": 2}, etag)])
    with pytest.raises(RowConflict):
        await table.commit("p", [Replace("k", {"n": 3}, etag)])
    row = await table.read("p", "k")
    assert row is not None
    assert row.values == {"n": 2}


async def test_put_writes_whatever_is_there(table: Table) -> None:
    await table.commit("p", [Put("k", {"n": 1})])
    await table.commit("p", [Put("k", {"m": 2})])
    row = await table.read("p", "k")
    assert row is not None
    assert row.values == {"m": 2}


async def test_deleting_without_an_etag_takes_any_version(table: Table) -> None:
    await table.commit("p", [Insert("k", {})])
    await table.commit("p", [Delete("k")])
    assert await table.read("p", "k") is None


async def test_a_transaction_has_limits(table: Table) -> None:
    full = [Insert(f"{number:03}", {}) for number in range(100)]
    await table.commit("p", full)
    assert len(await keys(table)) == 100
    with pytest.raises(StorageRefused):
        await table.commit("q", [Insert(f"{number:03}", {}) for number in range(101)])
    with pytest.raises(StorageRefused):
        await table.commit("q", [Put("same", {}), Put("same", {})])
    with pytest.raises(StorageRefused):
        await table.commit("q", [])


async def test_a_text_has_a_limit(table: Table) -> None:
    await table.commit("p", [Insert("fits", {"text": "x" * 32768})])
    with pytest.raises(StorageRefused):
        await table.commit("p", [Insert("k", {"text": "x" * 32769})])


async def test_a_scan_goes_in_key_order_within_its_bounds(table: Table) -> None:
    await table.commit("p", [Insert(key, {}) for key in ("b", "a", "c1", "c2", "d")])
    await table.commit("q", [Insert("b", {})])
    assert await keys(table) == ["a", "b", "c1", "c2", "d"]
    assert await keys(table, start="b", end="d") == ["b", "c1", "c2"]
    assert await keys(table, start=after("b")) == ["c1", "c2", "d"]
    assert await keys(table, limit=2) == ["a", "b"]
    assert await keys(table, "empty") == []


async def test_a_scan_brings_what_matches(table: Table) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    rows: dict[str, dict[str, Value]] = {
        "a": {"n": 1, "s": "it's"},
        "b": {"n": 2**35, "t": moment},
        "c": {"n": 3, "f": 0.5, "yes": True},
    }
    await table.commit("p", [Insert(key, values) for key, values in rows.items()])
    assert await keys(table, where=[Comparison("n", "gt", 1)]) == ["b", "c"]
    assert await keys(table, where=[Comparison("s", "eq", "it's")]) == ["a"]
    assert await keys(table, where=[Comparison("t", "le", moment)]) == ["b"]
    assert await keys(table, where=[Comparison("yes", "eq", value=True), Comparison("f", "lt", 1.0)]) == ["c"]


async def test_a_scan_brings_only_the_columns_asked_for(table: Table) -> None:
    await table.commit("p", [Insert("a", {"n": 1, "m": 2})])
    assert [row.values async for row in table.scan("p", select=["m"])] == [{"m": 2}]
    assert [row.values async for row in table.scan("p", select=[])] == [{}]


async def test_a_scan_passes_page_ends(table: Table) -> None:
    for hundred in range(11):
        await table.commit("p", [Insert(f"{hundred:02}{number:02}", {}) for number in range(100)])
    assert len(await keys(table)) == 1100
    assert len(await keys(table, limit=1050)) == 1050


@pytest.mark.parametrize("company", [0, 1], ids=["alone", "in a transaction"])
async def test_a_required_row_must_be_there_and_stays_as_it_is(table: Table, company: int) -> None:
    await table.commit("p", [Insert("gate", {"n": 1})])
    others: list[Write] = [Insert("k", {})] * company

    assert not next(iter(await table.commit("p", [Require("gate"), *others])))
    with pytest.raises(RowConflict) as caught:
        await table.commit("p", [Put("k", {"n": 2}), Require("gone")])

    assert (caught.value.key, caught.value.reason) == ("gone", ConflictReason.MISSING)
    row = await table.read("p", "gate")
    assert row is not None
    assert row.values == {"n": 1}
    assert await keys(table) == ["gate", "k"][: 1 + company]


async def test_a_scan_takes_alternatives(table: Table) -> None:
    rows: dict[str, dict[str, Value]] = {
        "a": {"n": 1, "t": "x"},
        "b": {"n": 2, "t": "x"},
        "c": {"n": 3, "t": "y"},
        "d": {"id": EVERYTHING["id"]},
    }
    await table.commit("p", [Insert(key, values) for key, values in rows.items()])
    small, mine = Comparison("n", "lt", 2), Comparison("t", "eq", "y")

    assert await keys(table, where=[Either((small, mine))]) == ["a", "c"]
    assert await keys(
        table, where=[Either((Every((Comparison("n", "gt", 1), Comparison("t", "eq", "x"))), small))]
    ) == [
        "a",
        "b",
    ]
    assert await keys(table, where=[Either((mine, Comparison("id", "eq", EVERYTHING["id"])))], start="d") == ["d"]
    assert await keys(table, where=[Either(())]) == []
    assert await keys(table, where=[Every(())]) == ["a", "b", "c", "d"]
