"""What typical queries cost: requests to the storage and rows read, of record tables with 2,000 rows each."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from uuid import UUID

import pytest

from asyncservice.organization.ids import shard_of
from asyncservice.organization.organization import Organization
from asyncservice.organization.query.evaluation import count, run
from asyncservice.organization.query.model import Column, Condition, Link, LinkType, Order, Paging, Query
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.rows import record_key, to_row
from asyncservice.organization.values import RecordValue, Reference
from asyncservice.storage.memory import MemoryStorage, MemoryTable
from asyncservice.storage.tables import Put, Row
from tests.organization.query.listtables import ASKER

ROWS = 2000
#: Rows that one answer to a scan holds.
STORAGE_PAGE = 1000


def uid(number: int) -> UUID:
    """Return an id; neighbouring numbers stand in different partitions."""
    return UUID(int=(number * 0x9E3779B97F4A7C15) & ((1 << 64) - 1) | 0x4 << 76 | 0x8 << 124)


@pytest.fixture
async def organization() -> Organization:
    made = Organization(MemoryStorage())
    await _fill(
        made,
        "account",
        {
            uid(n): {
                "name": f"N{n}",
                "numberofemployees": n % 50,
                "primarycontactid": Reference("contact", uid(n)),
            }
            for n in range(ROWS)
        },
    )
    await _fill(made, "contact", {uid(n): {"lastname": f"L{n % 7}"} for n in range(ROWS)})
    return made


async def _fill(organization: Organization, name: str, rows: Mapping[UUID, Mapping[str, RecordValue]]) -> None:
    entity = organization.catalog.entity(name)
    table = organization.storage.table(entity.table_name)
    await table.create()
    for record_id, values in rows.items():
        row = to_row(entity, {entity.primary_id: record_id, **values})
        await table.commit(shard_of(record_id), [Put(record_key(record_id), row)])


@pytest.fixture
def storage(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count from here on; depends on the organization so that filling it is not counted."""
    del organization
    did: Counter[str] = Counter()
    scan, read = MemoryTable.scan, MemoryTable.read

    async def counted_scan(self: MemoryTable, *given: str, **named: object) -> AsyncIterator[Row]:
        did["requests"] += 1
        rows = 0
        async for row in scan(self, *given, **named):  # type: ignore[arg-type]
            rows += 1
            did["rows"] += 1
            did["requests"] += rows % STORAGE_PAGE == 0
            yield row

    async def counted_read(self: MemoryTable, partition: str, key: str) -> Row | None:
        did["requests"] += 1
        return await read(self, partition, key)

    monkeypatch.setattr(MemoryTable, "scan", counted_scan)
    monkeypatch.setattr(MemoryTable, "read", counted_read)
    return did


ACCOUNTS = Query(entity="account", columns=(Column(attribute="name"),), paging=Paging(size=50))
CONTACT = Link(
    entity="contact",
    from_attribute="contactid",
    to_attribute="primarycontactid",
    alias="c",
    type=LinkType.OUTER,
    columns=(Column(attribute="lastname"),),
)


def where(attribute: str, operator: Operator, *values: RecordValue, link: str | None = None) -> Condition:
    return Condition(attribute=attribute, operator=operator, values=values, link=link)


@pytest.mark.parametrize(
    ("query", "rows", "requests", "read"),
    [
        pytest.param(replace(ACCOUNTS, where=where("accountid", Operator.EQUAL, uid(5))), 1, 1, 0, id="one by key"),
        pytest.param(
            replace(ACCOUNTS, where=where("accountid", Operator.IN, *map(uid, range(10)))), 10, 10, 0, id="ten by key"
        ),
        pytest.param(ACCOUNTS, 50, 1, 51, id="a page"),
        pytest.param(
            replace(ACCOUNTS, where=where("numberofemployees", Operator.EQUAL, 3)), 40, 16, 40, id="a filter of numbers"
        ),
        pytest.param(replace(ACCOUNTS, where=where("name", Operator.EQUAL, "n77")), 1, 16, 1, id="the primary name"),
        pytest.param(
            replace(ACCOUNTS, links=(CONTACT,), where=where("contactid", Operator.EQUAL, uid(9), link="c")),
            1,
            1 + 16 + 1,
            1,
            id="a path to a key",
        ),
        pytest.param(replace(ACCOUNTS, links=(CONTACT,)), 50, 1 + 50, 51, id="a page with a look-up each"),
        pytest.param(
            replace(ACCOUNTS, links=(CONTACT,), orders=(Order(attribute="name"),)), 50, 16 + 50, ROWS, id="an order"
        ),
    ],
)
async def test_what_a_query_costs(
    organization: Organization, storage: Counter[str], query: Query, *, rows: int, requests: int, read: int
) -> None:
    found = await run(query, ASKER, organization)
    assert (len(found.rows), storage["requests"], storage["rows"]) == (rows, requests, read)


async def test_the_next_page_costs_what_the_first_one_did(organization: Organization, storage: Counter[str]) -> None:
    first = await run(ACCOUNTS, ASKER, organization)
    storage.clear()
    second = await run(replace(ACCOUNTS, paging=Paging(number=2, size=50, cookie=first.cookie)), ASKER, organization)
    assert storage == {"requests": 1, "rows": 51}
    assert not {row["accountid"] for row in first.rows} & {row["accountid"] for row in second.rows}


async def test_counting_reads_each_row_once(organization: Organization, storage: Counter[str]) -> None:
    assert await count(ACCOUNTS, ASKER, organization) == (ROWS, False)
    assert storage["rows"] == ROWS
