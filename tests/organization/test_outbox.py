"""Events of records: written with the change they tell of, where somebody wants them, and nowhere else."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from asyncservice.organization.changes import ChangeKind
from asyncservice.organization.organization import Organization
from asyncservice.organization.outbox import EVENT_PREFIX, Event, EventOutbox
from asyncservice.organization.records import Draft
from asyncservice.organization.requests import Create, Delete, Update
from asyncservice.organization.values import Reference
from asyncservice.storage.memory import MemoryStorage
from tests.organization.projects import USER, a_catalog, an_organization, create, transact
from tests.support import NOON

PROJECT, PERSON = "new_project", "new_person"
DELEGATE = UUID("6d0e5a52-0000-4000-8000-0000000000dd")
CATALOG = a_catalog()


def listening(storage: MemoryStorage) -> Organization:
    wanted = {(PROJECT, ChangeKind.UPDATE), (PROJECT, ChangeKind.DELETE), (PERSON, ChangeKind.CREATE)}
    return an_organization(storage, outbox=EventOutbox(lambda: CATALOG, lambda *asked: asked in wanted))


def events(storage: MemoryStorage, entity: str) -> list[Event]:
    described = CATALOG.entity(entity)
    rows = storage.table(described.table_name).all_rows()
    return [Event.from_row(described, row) for row in rows if row.key.startswith(EVENT_PREFIX)]


async def test_an_event_tells_what_changed_and_who_did_it() -> None:
    storage = MemoryStorage()
    organization = listening(storage)
    there = await create(organization, PROJECT, new_name="A", new_budget="1.50", new_code="x" * 100)
    later = NOON + timedelta(minutes=1)

    await organization.transact(
        [Update(entity=PROJECT, id=there, values={"new_name": "B" * 100, "new_budget": None})],
        now=later,
        by=USER,
        on_behalf_of=DELEGATE,
        correlation_id=there,
        depth=3,
    )

    [event] = events(storage, PROJECT)
    assert (event.message, event.id, event.on, event.by) == (ChangeKind.UPDATE, there, later, USER)
    assert (event.on_behalf_of, event.correlation_id, event.depth) == (DELEGATE, there, 3)
    assert (event.before["new_name"], event.after["new_name"]) == ("A", "B" * 100)
    assert (event.before["new_budget"], "new_budget" in event.after) == (Decimal("1.50"), False)
    assert event.after["modifiedonbehalfby"] == Reference("systemuser", DELEGATE)
    assert "new_code" not in event.before


async def test_a_deletion_shows_the_whole_record() -> None:
    storage = MemoryStorage()
    organization = listening(storage)
    there = await create(organization, PROJECT, new_name="A", new_year=7)

    await transact(organization, Delete(entity=PROJECT, id=there))

    [event] = events(storage, PROJECT)
    assert event.message is ChangeKind.DELETE
    assert (event.before["new_name"], event.before["new_year"], dict(event.after)) == ("A", 7, {})


async def test_many_records_and_many_partitions_leave_an_event_each() -> None:
    storage = MemoryStorage()
    organization = listening(storage)
    requests = [Create(entity=PERSON, id=UUID(int=number), values={"new_name": f"P{number}"}) for number in range(120)]
    await transact(organization, *requests)
    await organization.records(PERSON).create_many([Draft(DELEGATE, {"new_name": "Q"})], now=NOON, by=USER)

    assert sorted(str(event.after["new_name"]) for event in events(storage, PERSON)) == sorted(
        ["Q", *(f"P{number}" for number in range(120))]
    )


async def test_what_nobody_wants_costs_nothing() -> None:
    storage = MemoryStorage()
    await create(listening(storage), PROJECT, new_name="A")
    await create(an_organization(storage), PERSON, new_name="A")

    assert events(storage, PROJECT) == []
    assert events(storage, PERSON) == []
