"""The store of records, on memory and on Azurite."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from asyncservice.organization.changes import Change
from asyncservice.organization.concurrency import together
from asyncservice.organization.errorcodes import OrganizationErrorCode as Code
from asyncservice.organization.errors import (
    NoSuchAttribute,
    RecordChanged,
    RecordExists,
    RecordNotFound,
    ValueRefused,
)
from asyncservice.organization.ids import SHARDS, derived_id, shard_of
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Condition, Draft
from asyncservice.organization.values import RecordValue, Reference
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import Insert
from tests.support import NOON

USER = UUID("6d0e5a52-0000-4000-8000-00000000000a")
FULL: Mapping[str, Any] = {
    "name": "Contoso",
    "industrycode": 27,
    "numberofemployees": 12,
    "revenue": "1200.50",
    "address1_latitude": 48.13743,
    "donotemail": True,
    "lastusedincampaign": "2025-01-31",
    "parentaccountid": USER,
    "description": "\N{GRINNING FACE}" * 900,
}


async def an_organization(storage: Storage, outbox: Any = None) -> Organization:
    organization = Organization(storage, outbox=outbox)
    await organization.create()
    return organization


async def test_a_record_comes_back_as_it_went_in(storage: Storage) -> None:
    accounts = (await an_organization(storage)).records("account")

    record_id = await accounts.create(FULL, now=NOON, by=USER)
    record = await accounts.retrieve(record_id)

    assert {name: record[name] for name in FULL} == {
        **FULL,
        "revenue": Decimal("1200.50"),
        "lastusedincampaign": datetime(2025, 1, 31, tzinfo=UTC),
        "parentaccountid": Reference("account", USER),
    }
    assert record["accountid"] == record_id
    assert (record["createdon"], record["modifiedon"]) == (NOON, NOON)
    assert (record["ownerid"], record["createdby"]) == (Reference("systemuser", USER),) * 2
    assert (record["statecode"], record["statuscode"], record.version) == (0, 1, 1)
    assert record["preferredcontactmethodcode"] == 1


async def test_a_day_stays_a_day(storage: Storage) -> None:
    contacts = (await an_organization(storage)).records("contact")

    record_id = await contacts.create({"lastname": "Berg", "birthdate": "1990-01-31"}, now=NOON)

    assert (await contacts.retrieve(record_id))["birthdate"] == date(1990, 1, 31)


async def test_ids_are_taken_once(storage: Storage) -> None:
    accounts = (await an_organization(storage)).records("account")
    await accounts.create({"name": "one"}, now=NOON, record_id=USER)

    with pytest.raises(RecordExists):
        await accounts.create({"name": "other"}, now=NOON, record_id=USER)
    assert (await accounts.retrieve(USER))["name"] == "one"


async def test_an_update_changes_what_it_names(storage: Storage) -> None:
    accounts = (await an_organization(storage)).records("account")
    record_id = await accounts.create(FULL, now=NOON)
    later = NOON + timedelta(hours=1)

    updated = await accounts.update(record_id, {"name": "Fabrikam", "revenue": None}, now=later, by=USER)

    assert updated == await accounts.retrieve(record_id)
    assert (updated["name"], updated.get("revenue"), updated["industrycode"]) == ("Fabrikam", None, 27)
    assert (updated["createdon"], updated["modifiedon"], updated.version) == (NOON, later, 2)
    assert updated["modifiedby"] == Reference("systemuser", USER)


async def test_a_version_that_is_gone_is_not_changed(storage: Storage) -> None:
    accounts = (await an_organization(storage)).records("account")
    record_id = await accounts.create({"name": "one"}, now=NOON)
    await accounts.update(record_id, {"name": "two"}, now=NOON, version=1)

    with pytest.raises(RecordChanged):
        await accounts.update(record_id, {"name": "three"}, now=NOON, version=1)
    with pytest.raises(RecordChanged):
        await accounts.delete(record_id, now=NOON, version=1)
    assert (await accounts.retrieve(record_id))["name"] == "two"


async def test_a_deleted_record_is_gone(storage: Storage) -> None:
    accounts = (await an_organization(storage)).records("account")
    record_id = await accounts.create({"name": "one"}, now=NOON)

    await accounts.delete(record_id, now=NOON)

    assert await accounts.find(record_id) is None
    for act in (
        accounts.retrieve(record_id),
        accounts.delete(record_id, now=NOON),
        accounts.update(record_id, {}, now=NOON),
    ):
        with pytest.raises(RecordNotFound, match="Does Not Exist"):
            await act


async def test_queries_compare_in_the_storage(storage: Storage) -> None:
    accounts = (await an_organization(storage)).records("account")
    for number in range(20):
        await accounts.create({"name": f"A{number}", "revenue": number * 1000, "numberofemployees": number}, now=NOON)

    async def found(*where: Condition, columns: tuple[str, ...] | None = None) -> Counter[RecordValue]:
        return Counter([record["name"] async for record in accounts.query(*where, columns=columns)])

    assert sum((await found()).values()) == 20
    assert await found(Condition("numberofemployees", "ge", 18)) == Counter(["A18", "A19"])
    assert await found(Condition("revenue", "gt", Decimal(9000)), Condition("revenue", "lt", Decimal(11_000))) == {
        "A10": 1
    }
    assert await found(Condition("parentaccountid", "eq", Reference("account", USER))) == Counter()
    assert await found(Condition("name", "eq", "A3"), columns=("name", "ownerid")) == {"A3": 1}


async def test_names_are_found_however_they_are_capitalised(storage: Storage) -> None:
    contacts = (await an_organization(storage)).records("contact")
    record_id = await contacts.create({"firstname": "Änne", "lastname": "Burda"}, now=NOON)

    assert [record.id for record in await contacts.named("ÄNNE burda")] == [record_id]
    await contacts.update(record_id, {"lastname": "Lemminger"}, now=NOON)
    assert await contacts.named("Änne Burda") == []
    assert (await contacts.named("änne lemminger"))[0]["fullname"] == "Änne Lemminger"


async def test_making_many_twice_is_making_them_once(storage: Storage) -> None:
    accounts = (await an_organization(storage)).records("account")
    drafts = [Draft(derived_id(USER, number, shard=number // 100), {"name": f"A{number}"}) for number in range(250)]
    first = await accounts.create_many(drafts[:150], now=NOON)
    await accounts.delete(drafts[7].id, now=NOON)

    second = await accounts.create_many(drafts, now=NOON)

    assert first == frozenset()
    assert second == {draft.id for draft in drafts[:150]} - {drafts[7].id}
    assert len([record async for record in accounts.query(columns=("name",))]) == 250


async def test_a_hundred_derived_ids_are_one_transaction() -> None:
    storage = MemoryStorage()
    accounts = (await an_organization(storage)).records("account")
    table = storage.table("Recordsaccount")
    await table.create()
    commits: list[int] = []
    commit = table.commit

    async def counted(partition: str, writes: Sequence[Any]) -> Sequence[str]:
        commits.append(len(writes))
        return await commit(partition, writes)

    table.commit = counted  # type: ignore[method-assign]
    await accounts.create_many([Draft(derived_id(USER, n, shard=5), {"name": "A"}) for n in range(230)], now=NOON)

    assert commits == [100, 100, 30]


async def test_large_records_share_smaller_transactions(storage: Storage) -> None:
    accounts = (await an_organization(storage)).records("account")
    text = "ü" * 2000
    columns = ["description", *(f"address1_line{line}" for line in (1, 2, 3))]
    values = {"name": "A", **{column: text[: 2000 if column == "description" else 250] for column in columns}}
    drafts = [Draft(derived_id(USER, number, shard=1), values) for number in range(300)]

    await accounts.create_many(drafts, now=NOON)

    assert len([record async for record in accounts.query(columns=("name",))]) == 300


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"nonsense": 1}, NoSuchAttribute),
        ({"name": "x" * 161}, ValueRefused),
        ({"createdon": NOON}, ValueRefused),
        ({"statecode": 1, "statuscode": 1}, ValueRefused),
    ],
)
async def test_what_does_not_fit_is_not_written(values: Mapping[str, Any], error: type[Exception]) -> None:
    accounts = (await an_organization(MemoryStorage())).records("account")

    with pytest.raises(error):
        await accounts.create(values, now=NOON)
    with pytest.raises(error):
        await accounts.create_many([Draft(uuid4(), {"name": "good"}), Draft(uuid4(), values)], now=NOON)
    assert [record async for record in accounts.query()] == []


@pytest.mark.parametrize(
    ("given", "state", "status"),
    [({}, 0, 1), ({"statecode": 1}, 1, 2), ({"statuscode": 2}, 1, 2), ({"statecode": 0, "statuscode": 1}, 0, 1)],
)
async def test_state_and_status_follow_each_other(given: Mapping[str, int], state: int, status: int) -> None:
    accounts = (await an_organization(MemoryStorage())).records("account")

    record_id = await accounts.create({"name": "A", **given}, now=NOON)
    created = await accounts.retrieve(record_id)
    updated = await accounts.update(await accounts.create({"name": "B"}, now=NOON), given, now=NOON)

    assert (created["statecode"], created["statuscode"]) == (state, status)
    assert (updated["statecode"], updated["statuscode"]) == (state, status)


async def test_what_the_system_insists_on_must_be_there() -> None:
    organization = await an_organization(MemoryStorage())

    with pytest.raises(ValueRefused, match="importmapid") as refused:
        await organization.records("columnmapping").create({"sourceattributename": "A"}, now=NOON)
    assert refused.value.code == Code.INVALID_ARGUMENT


async def test_an_imported_record_keeps_its_age() -> None:
    accounts = (await an_organization(MemoryStorage())).records("account")
    long_ago = NOON - timedelta(days=4000)

    record = await accounts.retrieve(await accounts.create({"name": "A", "overriddencreatedon": long_ago}, now=NOON))

    assert (record["createdon"], record["overriddencreatedon"]) == (long_ago, NOON)


async def test_a_file_lies_in_a_blob_and_the_row_names_it(storage: Storage) -> None:
    organization = await an_organization(storage)

    file_id = await organization.records("importfile").create(
        {"name": "f", "targetentityname": "account", "content": b"name\nA"}, now=NOON
    )

    name = str((await organization.records("importfile").retrieve(file_id))["content"])
    assert name.startswith(f"{file_id}/content/")
    assert await storage.blobs("import-files").read(name) == b"name\nA"


async def test_the_outbox_shares_the_transaction() -> None:
    class Noting:
        def rows_for(self, change: Change) -> Sequence[Insert]:
            version = (change.after or {}).get("versionnumber", "gone")
            return [Insert(f"o-{change.id}-{version}", {"message": change.kind.value})]

    storage = MemoryStorage()
    accounts = (await an_organization(storage, Noting())).records("account")
    record_id = await accounts.create({"name": "A"}, now=NOON)
    await accounts.update(record_id, {"name": "B"}, now=NOON)
    await accounts.create_many([Draft(derived_id(USER, n, shard=1), {"name": "C"}) for n in range(120)], now=NOON)
    await accounts.delete(record_id, now=NOON)

    rows = storage.table("Recordsaccount").all_rows()
    assert Counter(row.values["message"] for row in rows if row.key.startswith("o-")) == {
        "Create": 121,
        "Update": 1,
        "Delete": 1,
    }
    assert len([record async for record in accounts.query()]) == 120


async def test_no_two_calls_get_the_same_number(storage: Storage) -> None:
    organization = await an_organization(storage)

    numbers = [await organization.next_number("importsequencenumber") for _ in range(5)]

    assert numbers == [1, 2, 3, 4, 5]


def test_derived_ids_are_the_same_for_ever_and_land_where_they_are_sent() -> None:
    derived = derived_id(USER, "record", 7, shard=0xC)

    assert str(derived) == "395bf776-a16a-84f0-8129-198d4d4e212c"
    assert (derived.version, shard_of(derived)) == (8, "c")
    assert derived_id(USER, "record", 8, shard=0xC) != derived
    assert {shard_of(derived_id(USER, n, shard=n)) for n in range(32)} == set(SHARDS)


async def test_updates_at_the_same_time_are_all_made(storage: Storage) -> None:
    accounts = (await an_organization(storage)).records("account")
    record_id = await accounts.create({"name": "A"}, now=NOON)
    columns = ["sic", "fax", "telephone1", "telephone2", "tickersymbol"]

    await together(accounts.update(record_id, {column: column[:10]}, now=NOON) for column in columns)

    record = await accounts.retrieve(record_id)
    assert {column: record.get(column) for column in columns} == {column: column[:10] for column in columns}
    assert record.version == 6


async def test_numbers_asked_for_at_the_same_time_differ(storage: Storage) -> None:
    organization = await an_organization(storage)

    numbers = await together(organization.next_number("importsequencenumber") for _ in range(10))

    assert sorted(numbers) == list(range(1, 11))
