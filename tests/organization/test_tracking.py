"""Change tracking over every way in which records are written, with writers that die, stand still or are behind."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest

from asyncservice.organization import tracking
from asyncservice.organization.decisions import KEPT, PATIENCE
from asyncservice.organization.errors import RequestRefused
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Draft
from asyncservice.organization.recordsource import RecordSource
from asyncservice.organization.requests import Create, Delete, Update
from asyncservice.organization.tracking import CONTAINER, LOOKS_KEPT, Difference, Look, Tracking, difference
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from tests.faults import Died, Fault, FaultyStorage, FreezingStorage
from tests.organization.projects import USER, an_organization, transact
from tests.support import NOON

PROJECT = "new_project"
ONE, TWO, THREE, NEW = (UUID(f"6d0e5a52-0000-4000-8000-00000000000{digit}") for digit in "1234")
LATER = NOON + PATIENCE + timedelta(seconds=1)
LONG_AFTER = NOON + KEPT + timedelta(seconds=1)


def source(organization: Organization) -> RecordSource:
    found = organization.source(PROJECT)
    assert isinstance(found, RecordSource)
    return found


class Follower:
    """Keeps a copy of a table by nothing but what differs between its looks."""

    def __init__(self, account: Storage) -> None:
        self._account = account
        self._last = Look("", {})
        self.copy: dict[UUID, object] = {}

    async def follow(self) -> Difference:
        # A process of its own each time, that knows nothing but what is stored.
        organization = an_organization(self._account)
        look = await Tracking(self._account).take(source(organization), now=NOON)
        found = difference(self._last, look)
        there = await source(organization).find_many(found.written)
        for record_id in found.written:
            if record_id in there:
                self.copy[record_id] = dict(there[record_id])
        for record_id in found.removed:
            self.copy.pop(record_id, None)
        self._last = look
        return found


async def table(account: Storage) -> dict[UUID, object]:
    """Return the rows as they are."""
    found = await source(an_organization(account)).find_many([ONE, TWO, THREE, NEW])
    return {record_id: dict(values) for record_id, values in found.items()}


async def prepare(account: Storage) -> None:
    names = {ONE: "one", TWO: "two", THREE: "three"}
    await transact(
        an_organization(account),
        *(Create(entity=PROJECT, id=each, values={"new_name": name}) for each, name in names.items()),
    )


async def write(organization: Organization) -> None:
    """Change, remove and make rows of three partitions in one transaction, by a clock that is a year behind."""
    await organization.transact(
        [
            Update(entity=PROJECT, id=ONE, values={"new_name": "changed"}),
            Delete(entity=PROJECT, id=TWO),
            Create(entity=PROJECT, id=NEW, values={"new_name": "new"}),
        ],
        now=NOON - timedelta(days=365),
        by=USER,
    )


async def test_every_way_of_writing_is_seen_whatever_the_clock_says(storage: Storage) -> None:
    await prepare(storage)
    follower = Follower(storage)
    assert (await follower.follow()).written == (ONE, TWO, THREE)
    await write(an_organization(storage))
    assert await follower.follow() == Difference((ONE, NEW), (TWO,))
    records = an_organization(storage).records(PROJECT)
    await records.create_many([Draft(TWO, {"new_name": "made again"})], now=NOON)
    await records.update(THREE, {"new_name": "by a job"}, now=NOON)
    await records.delete(NEW, now=NOON)
    assert await follower.follow() == Difference((TWO, THREE), (NEW,))
    assert await follower.follow() == Difference((), ())
    assert follower.copy == await table(storage)


async def test_nothing_is_missed_wherever_a_writer_dies() -> None:
    counted = FaultyStorage(MemoryStorage())
    await prepare(counted)
    begun = len(counted.calls)
    await write(an_organization(counted))
    ends = set()
    for number in range(begun + 1, len(counted.calls) + 1):
        for fault in Fault:
            account = MemoryStorage()
            await prepare(account)
            follower = Follower(account)
            await follower.follow()
            with suppress(Died, StorageUnavailable):
                await write(an_organization(FaultyStorage(account, number=number - begun, fault=fault)))
            where = f"{counted.calls[number - 1]}, {fault.name}"
            # Half-way; then undone or finished by recovery; then forgotten.
            for moment in (None, LATER, LONG_AFTER):
                if moment is not None:
                    await an_organization(account).recover(now=moment)
                await follower.follow()
                assert follower.copy == await table(account), where
            ends.add(NEW in follower.copy)
    assert ends == {True, False}


async def test_nothing_is_missed_when_a_writer_stands_still_while_others_look() -> None:
    counted = FaultyStorage(MemoryStorage())
    await prepare(counted)
    begun = len(counted.calls)
    await write(an_organization(counted))
    for number in range(1, len(counted.calls) - begun + 1):
        account = MemoryStorage()
        await prepare(account)
        follower = Follower(account)
        await follower.follow()
        frozen = FreezingStorage(account, number=number)
        task = asyncio.create_task(write(an_organization(frozen)))
        await frozen.frozen.wait()
        await follower.follow()
        assert follower.copy == await table(account)
        frozen.thawed.set()
        await task
        await follower.follow()
        assert follower.copy == await table(account)
        assert NEW in follower.copy


async def test_nothing_is_missed_when_a_writer_is_seen_before_and_after_its_last_call() -> None:
    # Between the two looks nothing is written but that call: where it decides, no row of the table.
    counted = FaultyStorage(MemoryStorage())
    await prepare(counted)
    begun = len(counted.calls)
    await write(an_organization(counted))
    for number in range(1, len(counted.calls) - begun + 1):
        account = MemoryStorage()
        await prepare(account)
        follower = Follower(account)
        frozen = FreezingStorage(account, number=number)
        task = asyncio.create_task(write(an_organization(FaultyStorage(frozen, number=number, fault=Fault.DIES_AFTER))))
        await frozen.frozen.wait()
        await follower.follow()
        frozen.thawed.set()
        with suppress(Died):
            await task
        await follower.follow()
        assert follower.copy == await table(account), counted.calls[begun + number - 1]


async def test_what_changes_while_the_table_is_looked_at_is_told_by_one_of_both_looks() -> None:
    counted = FaultyStorage(MemoryStorage())
    await prepare(counted)
    await Tracking(counted).take(source(an_organization(counted)), now=NOON)
    for number in range(1, len(counted.calls)):
        account = MemoryStorage()
        await prepare(account)
        looking = FreezingStorage(account, number=number)
        follower = Follower(looking)
        task = asyncio.create_task(follower.follow())
        waiting = asyncio.create_task(looking.frozen.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        await write(an_organization(account))
        looking.thawed.set()
        await task
        waiting.cancel()
        await follower.follow()
        assert follower.copy == await table(account)


async def test_looks_that_are_old_are_removed_by_who_takes_one() -> None:
    account = MemoryStorage()
    await prepare(account)
    watched, taking = source(an_organization(account)), Tracking(account)
    first = await taking.take(watched, now=NOON)
    found = await taking.find(watched, first.token, now=NOON + timedelta(days=29))
    assert found == first
    assert await taking.take(watched, now=NOON + timedelta(days=1), last=first) is first
    # One that is half as old as may be is taken anew, so that whoever looks at all keeps a link that is good.
    second = await taking.take(watched, now=NOON + LOOKS_KEPT / 2, last=first)
    assert second.token != first.token
    assert second.states == first.states
    await taking.take(watched, now=NOON + LOOKS_KEPT + timedelta(days=1))
    left = [name async for name in account.blobs(CONTAINER).names()]
    assert f"{PROJECT}/{first.token}" not in left
    assert len(left) == 2
    assert await taking.find(watched, first.token, now=NOON) is None


async def test_a_table_that_is_too_big_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    account = MemoryStorage()
    await prepare(account)
    monkeypatch.setattr(tracking, "MAX_TRACKED", 2)
    with pytest.raises(RequestRefused, match="more than 2 rows"):
        await Tracking(account).take(source(an_organization(account)), now=NOON)
