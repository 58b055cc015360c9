"""Two processes and one transaction: recovery that is faster than its own process, late answers, keys that move.

What a process believes of a transaction after it got no answer must be what the storage holds, whoever was there
meanwhile.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from asyncservice.organization.changes import Change
from asyncservice.organization.commits import Commits, Touch
from asyncservice.organization.errors import DuplicateKey, RecordChanged, RequestRefused
from asyncservice.organization.ids import in_shard, shard_of
from asyncservice.organization.keys import place_of
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.organization import Organization
from asyncservice.organization.requests import Create, Delete, Request, Update, Upsert
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.values import Reference
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import RowConflict, StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import Insert
from tests.faults import Died, Fault, FaultyStorage
from tests.organization.projects import a_catalog, an_organization, create, transact
from tests.organization.test_transaction_crashes import (
    LATER,
    LONG_AFTER,
    ONE,
    PERSON,
    PROJECT,
    THREE,
    TWO,
    Noting,
    Scenario,
    associate,
    cascade,
    events,
    expected,
    leftovers,
    pending,
    prepare,
    several,
    state,
    upsert,
)
from tests.support import NOON

OTHER = UUID("6d0e5a52-0000-4000-8000-0000000000d2")


class Meddled(FaultyStorage):
    """An account whose *number*th call is applied, or not; then others do something, and then no answer comes."""

    def __init__(
        self, account: Storage, *, number: int, is_applied: bool, meddle: Callable[[], Awaitable[object]]
    ) -> None:
        super().__init__(account)
        self._at, self._is_applied, self._meddle = number, is_applied, meddle

    async def call(self, what: str, apply: Callable[[], Awaitable[Any]]) -> Any:
        self.calls.append(what)
        if len(self.calls) != self._at:
            return await apply()
        if self._is_applied:
            await apply()
        await self._meddle()
        raise StorageUnavailable(f"call {self._at}: {what}")


@pytest.mark.parametrize("moment", [LATER, LONG_AFTER], ids=["later", "long after"])
@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "not applied"])
@pytest.mark.parametrize("scenario", [several, upsert, cascade, associate], ids=lambda scenario: scenario.__name__)
async def test_recovery_elsewhere_before_a_lost_answer_is_looked_up_makes_nothing_happen_twice(
    scenario: Scenario, moment: datetime, *, is_applied: bool
) -> None:
    before, after, noted_before, noted_after, calls = await expected(scenario)
    for number in range(1, calls + 1):
        account = MemoryStorage()
        await prepare(account)
        others = an_organization(account, outbox=Noting())

        async def recover(others: Organization = others) -> None:
            await others.recover(now=moment)

        meddled = Meddled(account, number=number, is_applied=is_applied, meddle=recover)
        is_told = False
        with suppress(StorageUnavailable):
            await scenario(an_organization(meddled, outbox=Noting()))
            is_told = True
        where = f"call {number} of {calls}: {meddled.calls[number - 1]}"
        seen = await state(others)
        assert seen == after if is_told else seen in (before, after), where
        assert events(account) == (noted_after if seen == after else noted_before), where
        await others.recover(now=LONG_AFTER)
        assert await state(others) == seen, where
        assert leftovers(account) == [], where


async def test_a_request_that_arrives_after_its_transaction_was_aborted_leaves_nothing_behind() -> None:
    calls = (await expected(several))[-1]
    met = 0
    for number in range(1, calls + 1):
        account = MemoryStorage()
        await prepare(account)
        late: list[Callable[[], Awaitable[Any]]] = []

        class Delaying(FaultyStorage):
            """From one call on no answer comes; what was sent first arrives when nobody waits for it any more."""

            async def call(
                self,
                what: str,
                apply: Callable[[], Awaitable[Any]],
                *,
                late: list[Callable[[], Awaitable[Any]]] = late,
                number: int = number,
            ) -> Any:
                self.calls.append(what)
                if len(self.calls) < number or not what.startswith("commit Records"):
                    return await apply()
                late.append(apply)
                raise StorageUnavailable(what)

        with suppress(StorageUnavailable):
            await several(an_organization(Delaying(account), outbox=Noting()))
        for apply in late:
            with suppress(RowConflict):
                await apply()
                met += 1
        others = an_organization(account)
        seen = await state(others)
        await others.recover(now=LATER)
        assert pending(account) == []
        await others.recover(now=LONG_AFTER)
        assert leftovers(account) == []
        assert await state(others) == seen
    assert met, "some request did arrive late"


async def test_a_row_beside_a_record_that_is_there_already_does_not_undo_what_was_committed() -> None:
    account = MemoryStorage()
    await prepare(account)

    class Stubborn(Noting):
        """An outbox that gives the same key to every change of a person."""

        def rows_for(self, change: Change) -> list[Insert]:
            return [Insert(f"o-{change.id}", {"message": change.kind.value})] if change.entity == PERSON else []

    organization = an_organization(account, outbox=Stubborn())
    await transact(organization, Update(entity=PERSON, id=THREE, values={"new_name": "first"}))
    await transact(
        organization,
        Update(entity=PERSON, id=THREE, values={"new_name": "second"}),
        Update(entity=PROJECT, id=TWO, values={"new_name": "second"}),
    )

    await organization.recover(now=LONG_AFTER)
    for entity, record_id in ((PERSON, THREE), (PROJECT, TWO)):
        found = await organization.find(entity, record_id)
        assert found is not None
        assert found["new_name"] == "second"
    assert leftovers(account) == []


async def test_deletes_whose_request_was_never_applied_are_not_taken_for_done_because_one_row_is_gone() -> None:
    account = MemoryStorage()
    tables = LazyTables(account)
    await account.table("Some").create()
    await account.table("Some").commit("p", [Insert("a", {"n": 1}), Insert("b", {"n": 2})])
    rows = [row async for row in account.table("Some").scan("p")]
    a, b = rows

    async def somebody_removes_one() -> None:
        await Commits(tables).commit([Touch(table="Some", partition="p", key="a", before=a, after=None)], now=NOON)

    meddled = Meddled(account, number=1, is_applied=False, meddle=somebody_removes_one)
    touches = [Touch(table="Some", partition="p", key=row.key, before=row, after=None) for row in (a, b)]
    with pytest.raises(RowConflict):
        await Commits(LazyTables(meddled)).commit(touches, now=NOON)

    assert [row.key async for row in account.table("Some").scan("p")] == ["b"]


async def test_a_lost_answer_is_understood_although_one_of_the_rows_has_been_written_since() -> None:
    account = MemoryStorage()
    organization = an_organization(account)
    first, second = in_shard(UUID(int=0x100), 3), in_shard(UUID(int=0x200), 3)
    await create(organization, PERSON, id=OTHER, new_name="the table is there")
    make = [Create(entity=PERSON, id=each, values={"new_name": "n"}) for each in (first, second)]

    async def somebody_changes_one() -> None:
        await transact(organization, Update(entity=PERSON, id=first, values={"new_name": "theirs"}))

    await transact(an_organization(Meddled(account, number=1, is_applied=True, meddle=somebody_changes_one)), *make)

    found = await organization.find(PERSON, first)
    assert found is not None
    assert found["new_name"] == "theirs"


# Alternate keys -------------------------------------------------------------------------------------------------------


def described(storage: Storage, **changed: Any) -> Organization:
    """Return the organization with projects described in another way."""
    catalog = a_catalog()
    return Organization(
        storage, catalog=Catalog([replace(each, **changed) if each.name == PROJECT else each for each in catalog])
    )


async def by_code(organization: Organization, code: str) -> UUID | None:
    found = await organization.find_by_key(PROJECT, {"new_code": code})
    return None if found is None else found.id


async def test_a_key_that_was_defined_when_two_had_the_same_values_stays_with_the_one_that_got_it() -> None:
    account = MemoryStorage()
    organization, before = an_organization(account), described(account, keys=())
    await transact(before, Create(entity=PROJECT, id=ONE, values={"new_code": "A"}))
    await transact(organization, Create(entity=PROJECT, id=TWO, values={"new_code": "A"}))

    await transact(organization, Update(entity=PROJECT, id=ONE, values={"new_code": "B"}))
    assert await by_code(organization, "A") == TWO
    await transact(organization, Delete(entity=PROJECT, id=ONE))

    assert await by_code(organization, "A") == TWO
    with pytest.raises(DuplicateKey):
        await create(organization, PROJECT, new_code="A")


async def test_a_key_that_was_removed_and_added_again_knows_no_values_from_before() -> None:
    account = MemoryStorage()
    organization, between = an_organization(account), described(account, keys=())
    await transact(organization, Create(entity=PROJECT, id=ONE, values={"new_code": "A"}))
    await transact(between, Update(entity=PROJECT, id=ONE, values={"new_code": "B"}))

    assert await by_code(organization, "A") is None
    await transact(organization, Upsert(entity=PROJECT, key={"new_code": "A"}, values={"new_name": "new"}))
    taken = await by_code(organization, "A")
    assert taken not in {None, ONE}
    await transact(organization, Update(entity=PROJECT, id=ONE, values={"new_code": "C"}))
    assert (await by_code(organization, "A"), await by_code(organization, "C")) == (taken, ONE)


async def test_a_process_that_does_not_know_a_column_yet_keeps_its_values() -> None:
    account = MemoryStorage()
    organization = an_organization(account)
    columns = a_catalog().entity(PROJECT).attributes
    known = {name: column for name, column in columns.items() if name not in {"new_year", "new_helperid"}}
    stale = described(account, attributes=known, keys=())
    await create(organization, PERSON, id=THREE, new_name="helper")
    helper = Reference(PERSON, THREE)
    await create(organization, PROJECT, id=ONE, new_name="a", new_year=2026, new_helperid=helper)

    await transact(stale, Update(entity=PROJECT, id=ONE, values={"new_name": "b"}))

    found = await organization.find(PROJECT, ONE)
    assert found is not None
    assert (found["new_name"], found["new_year"], found["new_helperid"]) == ("b", 2026, helper)
    await transact(organization, Update(entity=PROJECT, id=ONE, values={"new_year": None, "new_helperid": None}))
    found = await organization.find(PROJECT, ONE)
    assert found is not None
    assert (found.get("new_year"), found.get("new_helperid")) == (None, None)


async def test_keys_go_back_and_forth_and_from_one_record_to_another_in_one_transaction() -> None:
    account = MemoryStorage()
    organization = an_organization(account)
    await create(organization, PROJECT, id=ONE, new_code="A")
    await create(organization, PROJECT, id=TWO, new_code="B")

    def set_to(record_id: UUID, code: str | None) -> Request:
        return Update(entity=PROJECT, id=record_id, values={"new_code": code})

    await transact(organization, set_to(ONE, "C"), set_to(ONE, "A"))
    assert await by_code(organization, "A") == ONE
    await transact(organization, set_to(ONE, None), set_to(TWO, "A"), set_to(ONE, "B"))
    assert [await by_code(organization, code) for code in "ABC"] == [TWO, ONE, None]
    with pytest.raises(DuplicateKey):
        await transact(organization, set_to(ONE, "A"))
    again: list[Request] = [Delete(entity=PROJECT, id=ONE), Create(entity=PROJECT, id=OTHER, values={"new_code": "B"})]
    await transact(organization, *again)
    assert await by_code(organization, "B") == OTHER


async def test_a_record_that_is_deleted_and_made_again_in_one_transaction_does_not_go_back_to_an_old_version() -> None:
    organization = an_organization(MemoryStorage())
    await create(organization, PERSON, id=ONE, new_name="first")
    await transact(organization, Update(entity=PERSON, id=ONE, values={"new_name": "second"}))

    make = Create(entity=PERSON, id=ONE, values={"new_name": "third"})
    await transact(organization, Delete(entity=PERSON, id=ONE), make)

    found = await organization.find(PERSON, ONE)
    assert found is not None
    assert found.version == 3
    with pytest.raises(RecordChanged):
        await transact(organization, Update(entity=PERSON, id=ONE, values={"new_name": "stale"}, version=1))


async def test_a_hundred_records_with_keys_in_one_partition_are_all_there_or_none() -> None:
    catalog = a_catalog()
    key = catalog.entity(PROJECT).keys[0]

    def standing(number: int) -> str:
        place = place_of(catalog.entity(PROJECT), key, {"new_code": f"code {number}"})
        assert place is not None
        return place.partition

    together = [number for number in range(4000) if standing(number) == "7"][:100]
    requests = [
        Create(entity=PROJECT, id=in_shard(UUID(int=number << 8), 7), values={"new_code": f"code {number}"})
        for number in together
    ]
    assert {shard_of(each.id) for each in requests if each.id} == {"7"}
    account = MemoryStorage()
    counted = FaultyStorage(account)
    await transact(an_organization(counted), *requests)
    for number in range(1, len(counted.calls) + 1):
        for fault in (Fault.DIES_BEFORE, Fault.DIES_AFTER, Fault.ANSWER_LOST):
            account = MemoryStorage()
            with suppress(Died, StorageUnavailable):
                await transact(an_organization(FaultyStorage(account, number=number, fault=fault)), *requests)
            organization = an_organization(account)
            await organization.recover(now=LONG_AFTER)
            there = {record.id async for record in organization.records(PROJECT).query()}
            assert len(there) in {0, 100}
            keyed = [await by_code(organization, f"code {each}") for each in together]
            assert {each for each in keyed if each} == there
            assert leftovers(account) == []


async def test_a_transaction_with_more_rows_than_its_own_row_can_name_is_refused_with_a_reason() -> None:
    account = MemoryStorage()
    touches = [
        Touch(table="Some", partition=f"{number % 7}", key="k" * 500 + f"{number}", before=None, after={"n": 1})
        for number in range(1200)
    ]
    with pytest.raises(RequestRefused, match="fewer"):
        await Commits(LazyTables(account)).commit(touches, now=NOON)
    assert [row async for row in LazyTables(account).table("Some").scan("0")] == []
