"""What the storage decides of a query: never a row too few, whatever the condition; and how few requests that takes."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncservice.organization.ids import in_shard
from asyncservice.organization.organization import Organization
from asyncservice.organization.pushdown import pushed
from asyncservice.organization.query.model import Condition, Order
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.text import fold
from asyncservice.organization.requests import Create, Update
from asyncservice.organization.rows import to_row
from asyncservice.organization.sources import Values
from asyncservice.organization.values import RecordValue, Reference
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import MAX_COMPARISONS, Every, comparisons, holds
from tests.faults import Died, Fault, FaultyStorage
from tests.organization.projects import USER, a_catalog, an_organization, transact
from tests.support import NOON

PROJECT = "new_project"
ENTITY = a_catalog().entity(PROJECT)
IDS = [UUID(int=number) for number in (1, 2, 3)]

VALUES: dict[str, st.SearchStrategy[RecordValue]] = {
    "new_name": st.text(alphabet="aAbBäÄßéE \N{GRINNING FACE}%_'", max_size=4),
    "new_year": st.integers(-3, 3),
    "new_budget": st.decimals(-2, 2, places=2),
    "new_share": st.decimals(-1, 1, places=4),
    "new_weight": st.floats(-1, 1).map(lambda number: round(number, 3)),
    "new_urgent": st.booleans(),
    "new_kind": st.sampled_from([1, 2]),
    "new_due": st.dates(date(2025, 12, 30), date(2026, 1, 2)),
    "new_start": st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001
    "new_projectid": st.sampled_from(IDS),
    "new_parentid": st.sampled_from([Reference(PROJECT, one) for one in IDS]),
}
OPERATORS = [
    Operator.EQUAL,
    Operator.NOT_EQUAL,
    Operator.GREATER_THAN,
    Operator.GREATER_EQUAL,
    Operator.LESS_THAN,
    Operator.LESS_EQUAL,
    Operator.IN,
    Operator.BETWEEN,
    Operator.BEGINS_WITH,
    Operator.NULL,
]


def meets(condition: Condition, record: Values) -> bool:
    """Whether a record meets a condition, plainly."""
    value = record.get(condition.attribute)
    if value is None:
        return condition.operator in {Operator.NOT_EQUAL, Operator.NULL}
    mine, others = plain(value), [plain(one) for one in condition.values]
    match condition.operator:
        case Operator.EQUAL | Operator.IN:
            return bool(mine in others)
        case Operator.NOT_EQUAL:
            return bool(mine != others[0])
        case Operator.GREATER_THAN:
            return bool(mine > others[0])
        case Operator.GREATER_EQUAL:
            return bool(mine >= others[0])
        case Operator.LESS_THAN:
            return bool(mine < others[0])
        case Operator.LESS_EQUAL:
            return bool(mine <= others[0])
        case Operator.BETWEEN:
            return bool(others[0] <= mine <= others[1])
        case Operator.BEGINS_WITH:
            return str(mine).startswith(str(others[0]))
        case _:
            return False


def plain(value: RecordValue):  # type: ignore[no-untyped-def]  # noqa: ANN201 - whatever compares
    if isinstance(value, str):
        return fold(value)
    return value.id if isinstance(value, Reference) else value


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(list(VALUES)))
    operator = draw(st.sampled_from(OPERATORS))
    count = {Operator.IN: draw(st.integers(1, 14)), Operator.BETWEEN: 2, Operator.NULL: 0}.get(operator, 1)
    values = tuple(draw(VALUES[name]) for _ in range(count))
    return Condition(attribute=name, operator=operator, values=values)


@given(
    record=st.fixed_dictionaries({}, optional=VALUES),
    where=st.lists(conditions(), max_size=4),
)
@settings(max_examples=600, deadline=None)
def test_the_storage_never_leaves_out_a_row_that_meets_the_query(record: Values, where: Sequence[Condition]) -> None:
    tests = pushed(ENTITY, where)

    assert comparisons(Every(tuple(tests))) < MAX_COMPARISONS
    if all(meets(condition, record) for condition in where):
        assert all(holds(test, to_row(ENTITY, record)) for test in tests)


@pytest.mark.parametrize(
    ("condition", "name", "value"),
    [
        (Condition(attribute="new_year", operator=Operator.EQUAL, values=(7,)), "new_year", 8),
        (Condition(attribute="new_kind", operator=Operator.IN, values=(1,)), "new_kind", 2),
        (Condition(attribute="new_budget", operator=Operator.GREATER_THAN, values=(5,)), "new_budget", Decimal(4)),
        (
            Condition(attribute="new_due", operator=Operator.LESS_THAN, values=(date(2026, 1, 1),)),
            "new_due",
            NOON.date(),
        ),
        (
            Condition(attribute="new_start", operator=Operator.LESS_EQUAL, values=(NOON,)),
            "new_start",
            NOON + timedelta(1),
        ),
        (Condition(attribute="new_name", operator=Operator.EQUAL, values=("Ab ",)), "new_name", "abc"),
        (Condition(attribute="new_name", operator=Operator.BEGINS_WITH, values=("Ab",)), "new_name", "ac"),
        (
            Condition(attribute="new_parentid", operator=Operator.EQUAL, values=(USER,)),
            "new_parentid",
            Reference(PROJECT, IDS[0]),
        ),
    ],
    ids=lambda value: f"{value.attribute} {value.operator.fetch_name}" if isinstance(value, Condition) else "",
)
def test_the_storage_leaves_out_what_it_can(condition: Condition, name: str, value: RecordValue) -> None:
    [test] = pushed(ENTITY, [condition])

    assert not holds(test, to_row(ENTITY, {name: value}))


async def made(organization: Organization, count: int) -> list[UUID]:
    requests = [
        Create(entity=PROJECT, id=in_shard(UUID(int=number << 8), number), values={"new_year": number % 10})
        for number in range(count)
    ]
    return [one.id for one in await transact(organization, *requests)]


async def test_a_source_finds_and_scans(storage: Storage) -> None:
    organization = an_organization(storage)
    ids = await made(organization, 60)
    source = organization.source(PROJECT)

    assert (await source.find(ids[3]) or {})["new_year"] == 3
    assert await source.find(uuid4()) is None
    assert set(await source.find_many([*ids[:5], ids[0], uuid4()])) == set(ids[:5])
    sevens = [Condition(attribute="new_year", operator=Operator.EQUAL, values=(7,))]
    assert {row["new_projectid"] async for row in source.scan(sevens).rows} == set(ids[7::10])
    only = [row async for row in source.scan(sevens, columns=["new_year"], at_most=1).rows]
    assert [set(row) for row in only] == [{"new_year", "new_projectid"}] * 6
    assert source.scan().is_ordered
    assert not source.scan(orders=[Order(attribute="new_name")]).is_ordered


@pytest.mark.parametrize("at_most", [None, 1, 20])
async def test_a_scan_goes_on_behind_any_row(at_most: int | None) -> None:
    organization = an_organization(MemoryStorage())
    await made(organization, 100)
    source = organization.source(PROJECT)
    everything = [row["new_projectid"] async for row in source.scan(at_most=at_most).rows]
    assert len(set(everything)) == 100

    for place in (0, 5, 6, 7, 50, 99):
        behind = {"new_projectid": everything[place]}
        rest = [row["new_projectid"] async for row in source.scan(behind=behind, at_most=at_most).rows]
        assert rest == everything[place + 1 :]


async def test_the_first_rows_of_many_are_one_small_request() -> None:
    storage = MemoryStorage()
    await made(an_organization(storage), 200)
    counted = FaultyStorage(storage)
    rows = an_organization(counted).source(PROJECT).scan(at_most=5).rows

    for _ in range(5):
        await anext(rows)

    assert counted.calls == ["scan Recordsnew00project"]


async def test_scans_see_what_was_committed_and_nothing_else(storage: Storage) -> None:
    """Whichever way a transaction dies, a filtered scan sees all of it or nothing, be it in the rows or beside them."""
    organization = an_organization(storage)
    ids = await made(organization, 4)
    requests = [
        Update(entity=PROJECT, id=one, values={"new_year": 90 + number, "new_name": "new"})
        for number, one in enumerate(ids)
    ]
    counted = FaultyStorage(storage)
    await an_organization(counted).transact(requests, now=NOON, by=USER)
    await an_organization(storage).transact(
        [Update(entity=PROJECT, id=one, values={"new_year": 1, "new_name": None}) for one in ids], now=NOON, by=USER
    )
    found = set()
    for number in range(5, len(counted.calls) + 1, 3):
        faulty = FaultyStorage(storage, number=number, fault=Fault.DIES_AFTER)
        with pytest.raises(Died):
            await an_organization(faulty).transact(requests, now=NOON, by=USER)
        source = organization.source(PROJECT)
        old = [Condition(attribute="new_year", operator=Operator.LESS_THAN, values=(50,))]
        new = [Condition(attribute="new_name", operator=Operator.EQUAL, values=("NEW",))]
        for columns in (None, ["new_year"]):
            before = [row["new_projectid"] async for row in source.scan(old, columns=columns).rows]
            after = [row["new_projectid"] async for row in source.scan(new, columns=columns).rows]
            assert (sorted(map(str, before + after)), bool(before and after)) == (sorted(map(str, ids)), False)
            found.add(bool(after))
        await organization.recover(now=NOON + timedelta(hours=1))
        await organization.transact(
            [Update(entity=PROJECT, id=one, values={"new_year": 1, "new_name": None}) for one in ids], now=NOON, by=USER
        )
    assert found == {True, False}
