"""Transactions whose process dies, or whose storage fails, at every single call: afterwards all was done, or nothing.

A scenario is run once to count its calls. Then, for each call, it is run again with that call failing before or after
it was applied. Readers are asked at once, another process writes, time passes, recovery runs; whatever happened, the
records are as before or as after, every reader agrees, and nothing of the transaction is left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from asyncservice.organization.changes import Change
from asyncservice.organization.decisions import KEPT, PATIENCE, TABLE
from asyncservice.organization.errors import OrganizationError
from asyncservice.organization.organization import Organization
from asyncservice.organization.pending import CHANGING
from asyncservice.organization.requests import Associate, Create, Delete, Update, Upsert
from asyncservice.organization.values import Reference
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import Insert
from tests.faults import Died, Fault, FaultyStorage, FreezingStorage
from tests.organization.projects import an_organization, transact
from tests.support import NOON

PROJECT, PERSON, STEP, PAIR = "new_project", "new_person", "new_step", "new_person_project"
ONE, TWO, THREE, FOUR = (UUID(f"6d0e5a52-0000-4000-8000-00000000000{digit}") for digit in "1234")
NEW = UUID("6d0e5a52-0000-4000-8000-0000000000c7")
LATER = NOON + PATIENCE + timedelta(seconds=1)
LONG_AFTER = NOON + KEPT + timedelta(seconds=1)

type Scenario = Callable[[Organization], Awaitable[object]]
type State = Mapping[str, Mapping[UUID, Mapping[str, Any]]]


class Noting:
    """An outbox that notes every change."""

    def rows_for(self, change: Change) -> list[Insert]:
        version = (change.after or {}).get("versionnumber", 0)
        return [Insert(f"o-{change.id}-{change.kind}-{version}", {"message": change.kind.value})]


async def prepare(account: Storage) -> None:
    await transact(
        an_organization(account, outbox=Noting()),
        Create(entity=PROJECT, id=ONE, values={"new_name": "one", "new_code": "A"}),
        Create(entity=PROJECT, id=TWO, values={"new_name": "two", "new_parentid": Reference(PROJECT, ONE)}),
        Create(entity=PERSON, id=THREE, values={"new_name": "three"}),
        Create(entity=STEP, id=FOUR, values={"new_name": "four", "new_projectid": Reference(PROJECT, TWO)}),
    )


async def several(organization: Organization) -> None:
    await transact(
        organization,
        Update(entity=PROJECT, id=ONE, values={"new_name": "x" * 90, "new_code": "B"}),
        Update(entity=PROJECT, id=TWO, values={"new_name": "new two"}),
        Delete(entity=PERSON, id=THREE),
        Create(entity=STEP, id=NEW, values={"new_name": "five", "new_projectid": Reference(PROJECT, ONE)}),
    )


async def cascade(organization: Organization) -> None:
    await transact(organization, Delete(entity=PROJECT, id=ONE))


async def upsert(organization: Organization) -> None:
    await transact(organization, Upsert(entity=PROJECT, key={"new_code": "A"}, values={"new_code": "C"}))


async def associate(organization: Organization) -> None:
    await transact(
        organization,
        Update(entity=PERSON, id=THREE, values={"new_name": "friend"}),
        Associate(relationship=PAIR, entity1_id=THREE, entity2_id=TWO),
    )


async def alone(organization: Organization) -> None:
    """Fit one partition: one request."""
    await transact(organization, Update(entity=PERSON, id=THREE, values={"new_name": "alone"}))


async def gone(organization: Organization) -> None:
    await transact(organization, Delete(entity=STEP, id=FOUR))


SCENARIOS: list[Scenario] = [several, cascade, upsert, associate, alone, gone]


async def state(organization: Organization) -> State:
    """Return every record as queries see it; point reads and keys must agree with them."""
    found: dict[str, dict[UUID, Mapping[str, Any]]] = {}
    for entity in (PROJECT, PERSON, STEP, PAIR):
        found[entity] = {record.id: record.values async for record in organization.records(entity).query()}
        for record_id in (ONE, TWO, THREE, FOUR, NEW):
            one = await organization.find(entity, record_id)
            assert (one.values if one else None) == found[entity].get(record_id)
    for code in "ABC":
        by_key = await organization.find_by_key(PROJECT, {"new_code": code})
        owners = [record_id for record_id, values in found[PROJECT].items() if values.get("new_code") == code]
        assert ([by_key.id] if by_key else []) == owners
    return found


def pending(account: MemoryStorage) -> list[str]:
    names = [f"Records{entity.replace('_', '00')}" for entity in (PROJECT, PERSON, STEP, PAIR)]
    return [row.key for name in names for row in account.table(name).all_rows() if CHANGING in row.values]


def leftovers(account: MemoryStorage) -> list[str]:
    return [*pending(account), *(row.key for row in account.table(TABLE).all_rows())]


def events(account: MemoryStorage) -> list[str]:
    names = [f"Records{entity.replace('_', '00')}" for entity in (PROJECT, PERSON, STEP, PAIR)]
    return sorted(row.key for name in names for row in account.table(name).all_rows() if row.key.startswith("o-"))


async def expected(scenario: Scenario) -> tuple[State, State, list[str], list[str], int]:
    account = MemoryStorage()
    await prepare(account)
    before, noted = await state(an_organization(account)), events(account)
    counted = FaultyStorage(account)
    await scenario(an_organization(counted, outbox=Noting()))
    assert leftovers(account) == []
    return before, await state(an_organization(account)), noted, events(account), len(counted.calls)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_whatever_call_goes_wrong_all_is_done_or_nothing(scenario: Scenario) -> None:
    before, after, noted_before, noted_after, calls = await expected(scenario)
    assert before != after
    outcomes = set()
    for number in range(1, calls + 1):
        for fault in Fault:
            account = MemoryStorage()
            await prepare(account)
            faulty = FaultyStorage(account, number=number, fault=fault)
            is_told = False
            try:
                await scenario(an_organization(faulty, outbox=Noting()))
                is_told = True
            except* (Died, StorageUnavailable):
                pass  # That is what the call going wrong looks like; anything else fails the test.
            where = f"call {number} of {calls}: {faulty.calls[number - 1]}, {fault.name}"
            others = an_organization(account, outbox=Noting())
            seen = await state(others)
            assert seen in (before, after), where
            if is_told:
                assert seen == after, where
            await others.recover(now=LATER)
            assert await state(others) == seen, where
            assert pending(account) == [], where
            await others.recover(now=LONG_AFTER)
            assert await state(others) == seen, where
            assert leftovers(account) == [], where
            assert events(account) == (noted_after if seen == after else noted_before), where
            outcomes.add(seen == after)
    assert outcomes == {True, False}


@pytest.mark.parametrize("scenario", [several, cascade, upsert], ids=lambda scenario: scenario.__name__)
async def test_a_writer_settles_what_a_dead_process_left(scenario: Scenario) -> None:
    before, after, _, _, calls = await expected(scenario)
    for number in range(1, calls + 1):
        for fault in (Fault.DIES_BEFORE, Fault.DIES_AFTER):
            account = MemoryStorage()
            await prepare(account)
            faulty = FaultyStorage(account, number=number, fault=fault)
            # A call that finds no table has nothing to be applied before the process dies.
            with suppress(Died):
                await scenario(an_organization(faulty, outbox=Noting()))
            others = an_organization(account, outbox=Noting())
            seen = await state(others)
            if seen == before:
                # Nobody called recovery: the transaction is aborted by whoever wants its rows, once it is overdue.
                await others.transact([Update(entity=PROJECT, id=TWO, values={"new_year": 7})], now=LATER, by=ONE)
                found = await others.find(PROJECT, TWO)
                assert found is not None
                assert found["new_year"] == 7
            else:
                assert seen == after


async def test_nobody_takes_a_transaction_that_is_under_way() -> None:
    account = MemoryStorage()
    await prepare(account)
    counted = FaultyStorage(account)
    await several(an_organization(counted))
    commits = [number for number, call in enumerate(counted.calls, start=1) if call == f"commit {TABLE}"]
    account = MemoryStorage()
    await prepare(account)
    before = await state(an_organization(account))
    frozen = FreezingStorage(account, number=commits[1])
    task = asyncio.create_task(several(an_organization(frozen)))
    await frozen.frozen.wait()
    others = an_organization(account)

    assert await state(others) == before, "prepared is not committed"
    with pytest.raises(OrganizationError, match="read it again"):
        await transact(others, Update(entity=PROJECT, id=TWO, values={"new_year": 1}))
    assert await others.recover(now=NOON) == 0
    frozen.thawed.set()
    await task

    found = await others.find(PROJECT, TWO)
    assert found is not None
    assert found["new_name"] == "new two"


async def test_a_process_that_stood_still_too_long_finds_its_transaction_aborted_and_does_it_again() -> None:
    account = MemoryStorage()
    await prepare(account)
    counted = FaultyStorage(account)
    await several(an_organization(counted))
    for number in range(1, len(counted.calls) + 1):
        account = MemoryStorage()
        await prepare(account)
        frozen = FreezingStorage(account, number=number)
        task = asyncio.create_task(several(an_organization(frozen, outbox=Noting())))
        await frozen.frozen.wait()
        others = an_organization(account, outbox=Noting())
        await others.recover(now=LATER)
        await others.transact([Update(entity=PROJECT, id=TWO, values={"new_year": 7})], now=LATER, by=ONE)
        frozen.thawed.set()
        await task

        found = await others.find(PROJECT, TWO)
        assert found is not None
        assert (found["new_name"], found["new_year"]) == ("new two", 7), counted.calls[number - 1]
        await others.recover(now=LATER)
        assert pending(account) == []
        await others.recover(now=LONG_AFTER)
        assert leftovers(account) == []


@pytest.mark.parametrize("seed", range(5))
async def test_transactions_over_the_same_rows_are_all_made_one_after_the_other(seed: int) -> None:
    account = MemoryStorage()
    await prepare(account)
    organization = an_organization(account)

    async def count(number: int) -> None:
        order = [ONE, TWO] if (number + seed) % 2 else [TWO, ONE]
        await transact(
            organization,
            *(Update(entity=PROJECT, id=each, values={"new_year": number}) for each in order),
            Update(entity=PERSON, id=THREE, values={"new_name": f"{number}"}),
        )

    await asyncio.gather(*(count(number) for number in range(4)))

    one, two, three = [
        await organization.find(entity, record_id)
        for entity, record_id in ((PROJECT, ONE), (PROJECT, TWO), (PERSON, THREE))
    ]
    assert one is not None
    assert two is not None
    assert three is not None
    assert one["new_year"] == two["new_year"] == int(str(three["new_name"]))
    assert (one.version, two.version, three.version) == (5, 5, 5)
    assert leftovers(account) == []


async def test_on_real_storage_too_they_are_made_one_after_the_other(storage: Storage) -> None:
    organization = an_organization(storage)
    await prepare(storage)

    async def count(number: int) -> None:
        await transact(
            organization,
            Update(entity=PROJECT, id=ONE, values={"new_year": number}),
            Update(entity=PERSON, id=THREE, values={"new_name": f"{number}"}),
        )

    await asyncio.gather(*(count(number) for number in range(3)))

    one, three = await organization.find(PROJECT, ONE), await organization.find(PERSON, THREE)
    assert one is not None
    assert three is not None
    assert (one["new_year"], one.version, three.version) == (int(str(three["new_name"])), 4, 4)
    assert await organization.recover(now=LATER) == 0
