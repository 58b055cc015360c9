"""Requests for records: what they make, what refuses them, and that they are done all or none."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from asyncservice.organization.errorcodes import OrganizationErrorCode as Code
from asyncservice.organization.errors import (
    CannotDelete,
    DuplicateKey,
    NoSuchEntity,
    NoSuchKey,
    OrganizationError,
    RecordChanged,
    RecordExists,
    RecordNotFound,
    RequestRefused,
    ValueRefused,
)
from asyncservice.organization.ids import in_shard, shard_of
from asyncservice.organization.organization import Organization
from asyncservice.organization.requests import Associate, Create, Delete, Disassociate, Request, Update, Upsert
from asyncservice.organization.values import Reference
from asyncservice.organization.wellknown import BASE_CURRENCY, ROOT_BUSINESS_UNIT
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from tests.faults import FaultyStorage
from tests.organization.projects import USER, an_organization, create, delete, ids, transact, update
from tests.support import NOON

PROJECT, PERSON, STEP = "new_project", "new_person", "new_step"
ABSENT = UUID("6d0e5a52-0000-4000-8000-0000000000ff")


def project(record_id: UUID) -> Reference:
    return Reference(PROJECT, record_id)


def person(record_id: UUID) -> Reference:
    return Reference(PERSON, record_id)


async def commits(storage: MemoryStorage, *requests: Request) -> list[str]:
    """Return the storage calls that a transaction makes."""
    counted = FaultyStorage(storage)
    await transact(an_organization(counted), *requests)
    return counted.calls


async def test_requests_are_done_in_their_order_and_see_each_other(storage: Storage) -> None:
    organization = an_organization(storage)
    first, second = uuid4(), uuid4()

    outcomes = await transact(
        organization,
        Create(entity=PROJECT, id=first, values={"new_name": "A"}),
        Create(entity=STEP, id=second, values={"new_name": "S", "new_projectid": project(first)}),
        Update(entity=PROJECT, id=first, values={"new_name": "B"}),
        Upsert(entity=PROJECT, id=first, values={"new_year": 2026}),
    )

    assert [(one.entity, one.id, one.created) for one in outcomes] == [
        (PROJECT, first, True),
        (STEP, second, True),
        (PROJECT, first, False),
        (PROJECT, first, False),
    ]
    found = await organization.find(PROJECT, first)
    assert found is not None
    assert (found["new_name"], found["new_year"], found.version) == ("B", 2026, 3)
    assert outcomes[-1].values == found.values
    step = await organization.find(STEP, second)
    assert step is not None
    assert step["new_projectid"] == project(first)


async def test_all_or_none(storage: Storage) -> None:
    organization = an_organization(storage)
    there = await create(organization, PERSON, new_name="Ada")

    with pytest.raises(RecordNotFound):
        await transact(
            organization,
            Create(entity=PROJECT, values={"new_name": "A"}),
            Delete(entity=PERSON, id=there),
            Update(entity=PROJECT, id=ABSENT, values={"new_name": "B"}),
        )

    assert await ids(organization, PROJECT) == set()
    assert await ids(organization, PERSON) == {there}


async def test_creates_without_ids_are_one_request() -> None:
    storage = MemoryStorage()
    await create(an_organization(storage), PERSON, new_name="there")

    calls = await commits(storage, *(Create(entity=PERSON, values={"new_name": f"P{n}"}) for n in range(100)))

    assert calls == ["commit Recordsnew00person"]
    assert len(await ids(an_organization(storage), PERSON)) == 101


async def test_a_create_follows_what_it_shares_a_transaction_with() -> None:
    storage = MemoryStorage()
    there = await create(an_organization(storage), PERSON, new_name="there")

    calls = await commits(
        storage,
        Update(entity=PERSON, id=there, values={"new_name": "new"}),
        Create(entity=PERSON, values={"new_name": "B"}),
    )

    assert calls == ["read Recordsnew00person", "commit Recordsnew00person"]


async def test_a_record_with_an_alternate_key_is_one_request() -> None:
    storage = MemoryStorage()
    await create(an_organization(storage), PROJECT, new_code="X")

    calls = await commits(storage, Create(entity=PROJECT, values={"new_name": "A", "new_code": "Y-7"}))

    assert calls.count("commit Recordsnew00project") == 1
    assert [call for call in calls if "Transactions" in call] == []


async def test_more_than_a_hundred_rows_are_still_all_or_none(storage: Storage) -> None:
    organization = an_organization(storage)
    outcomes = await transact(organization, *(Create(entity=PERSON, values={"new_name": f"P{n}"}) for n in range(250)))

    assert len({shard_of(one.id) for one in outcomes}) == 1
    assert await ids(organization, PERSON) == {one.id for one in outcomes}
    assert await organization.recover(now=NOON + timedelta(days=1)) == 0


async def test_a_transaction_has_a_limit() -> None:
    with pytest.raises(RequestRefused, match="1000"):
        await transact(an_organization(MemoryStorage()), *[Delete(entity=PERSON, id=ABSENT)] * 1001)


@pytest.mark.parametrize(
    ("request_", "error", "code"),
    [
        (Create(entity="nonsense", values={}), NoSuchEntity, Code.NO_SUCH_ENTITY),
        (Update(entity=PROJECT, id=ABSENT, values={}), RecordNotFound, Code.OBJECT_DOES_NOT_EXIST),
        (Delete(entity=PROJECT, id=ABSENT), RecordNotFound, Code.OBJECT_DOES_NOT_EXIST),
        (
            Create(entity=PROJECT, values={"new_parentid": project(ABSENT)}),
            RecordNotFound,
            Code.OBJECT_DOES_NOT_EXIST,
        ),
        (
            Create(entity=PROJECT, values={"ownerid": Reference("team", ABSENT)}),
            RecordNotFound,
            Code.OBJECT_DOES_NOT_EXIST,
        ),
        (Create(entity=PROJECT, id=USER, values={"new_projectid": ABSENT}), ValueRefused, Code.INVALID_ARGUMENT),
        (Upsert(entity=PROJECT, key={"new_name": "A"}, values={}), NoSuchKey, Code.INVALID_ARGUMENT),
        (Upsert(entity=PROJECT, key={"new_code": None}, values={}), RequestRefused, Code.INVALID_ARGUMENT),
        (Associate(relationship="nonsense", entity1_id=USER, entity2_id=USER), RequestRefused, Code.INVALID_ARGUMENT),
        (
            Associate(relationship="new_person_project", entity1_id=ABSENT, entity2_id=ABSENT),
            RecordNotFound,
            Code.OBJECT_DOES_NOT_EXIST,
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, type) else value.__name__,
)
async def test_what_cannot_be_done_is_said(request_: Request, error: type[OrganizationError], code: Code) -> None:
    with pytest.raises(error) as refused:
        await transact(an_organization(MemoryStorage()), request_)
    assert refused.value.code == code


async def test_ids_are_taken_once(storage: Storage) -> None:
    organization = an_organization(storage)
    there = await create(organization, PERSON, new_name="A")

    with pytest.raises(RecordExists):
        await create(organization, PERSON, id=there, new_name="B")
    with pytest.raises(RecordExists):
        await transact(organization, *[Create(entity=PERSON, id=ABSENT, values={})] * 2)


async def test_the_id_may_stand_among_the_values() -> None:
    organization = an_organization(MemoryStorage())

    assert await create(organization, PROJECT, new_projectid=str(ABSENT), new_name="A") == ABSENT
    await update(organization, PROJECT, ABSENT, new_projectid=ABSENT, new_name="B")

    found = await organization.find(PROJECT, ABSENT)
    assert found is not None
    assert found["new_name"] == "B"


async def test_another_version_is_not_changed(storage: Storage) -> None:
    organization = an_organization(storage)
    there = await create(organization, PROJECT, new_name="A")
    await update(organization, PROJECT, there, new_name="B")

    for request in (
        Update(entity=PROJECT, id=there, values={"new_name": "C"}, version=1),
        Delete(entity=PROJECT, id=there, version=1),
    ):
        with pytest.raises(RecordChanged):
            await transact(organization, request)
    await transact(organization, Update(entity=PROJECT, id=there, values={"new_name": "D"}, version=2))


# Alternate keys -------------------------------------------------------------------------------------------------------


async def test_a_record_is_found_by_its_key(storage: Storage) -> None:
    organization = an_organization(storage)
    there = await create(organization, PROJECT, new_name="Straße", new_year=2026, new_code="A-1")

    by_code = await organization.find_by_key(PROJECT, {"new_code": "a-1"})
    by_both = await organization.find_by_key(PROJECT, {"new_year": 2026, "new_name": "STRASSE"})

    assert by_code is not None
    assert (by_code.id, by_both) == (there, by_code)
    assert await organization.find_by_key(PROJECT, {"new_code": "A-2"}) is None
    assert await organization.find_by_key(PROJECT, {"new_code": None}) is None
    with pytest.raises(NoSuchKey):
        await organization.find_by_key(PROJECT, {"new_year": 2026})


async def test_a_key_is_taken_once(storage: Storage) -> None:
    organization = an_organization(storage)
    await create(organization, PROJECT, new_code="A")
    other = await create(organization, PROJECT, new_code="B")

    with pytest.raises(DuplicateKey) as refused:
        await create(organization, PROJECT, new_code="a")
    assert refused.value.code == Code.DUPLICATE_RECORD_ENTITY_KEY
    with pytest.raises(DuplicateKey):
        await update(organization, PROJECT, other, new_code="A")
    with pytest.raises(DuplicateKey):
        await transact(organization, *[Create(entity=PROJECT, values={"new_code": "C"})] * 2)
    assert len(await ids(organization, PROJECT)) == 2


async def test_a_key_is_free_when_its_record_lets_it_go(storage: Storage) -> None:
    organization = an_organization(storage)
    first = await create(organization, PROJECT, new_code="A")
    await update(organization, PROJECT, first, new_code="B")
    second = await create(organization, PROJECT, new_code="A")
    await delete(organization, PROJECT, second)
    third = await create(organization, PROJECT, new_code="A")
    await update(organization, PROJECT, third, new_code=None)

    assert await organization.find_by_key(PROJECT, {"new_code": "A"}) is None
    found = await organization.find_by_key(PROJECT, {"new_code": "B"})
    assert found is not None
    assert found.id == first


async def test_two_records_exchange_their_keys_in_one_transaction(storage: Storage) -> None:
    organization = an_organization(storage)
    first = await create(organization, PROJECT, new_code="A")
    second = await create(organization, PROJECT, new_code="B")

    await transact(
        organization,
        Update(entity=PROJECT, id=first, values={"new_code": "B"}),
        Update(entity=PROJECT, id=second, values={"new_code": "A"}),
    )

    for code, owner in (("A", second), ("B", first)):
        found = await organization.find_by_key(PROJECT, {"new_code": code})
        assert found is not None
        assert found.id == owner


async def test_an_upsert_by_key_makes_or_changes(storage: Storage) -> None:
    organization = an_organization(storage)

    outcomes = [
        (await transact(organization, Upsert(entity=PROJECT, key={"new_code": "A"}, values={"new_year": year})))[0]
        for year in (1, 2)
    ]
    twice = await transact(
        organization,
        *(Upsert(entity=PROJECT, key={"new_code": "B"}, values={"new_year": year}) for year in (3, 4)),
    )

    assert [one.created for one in (*outcomes, *twice)] == [True, False, True, False]
    assert outcomes[0].id == outcomes[1].id
    assert twice[0].id == twice[1].id
    for code, year in (("A", 2), ("B", 4)):
        found = await organization.find_by_key(PROJECT, {"new_code": code})
        assert found is not None
        assert (found["new_year"], found.version) == (year, 2)


# Relationships --------------------------------------------------------------------------------------------------------


async def test_a_deletion_takes_along_what_cascades_and_unlinks_the_rest(storage: Storage) -> None:
    organization = an_organization(storage)
    top = await create(organization, PROJECT, new_name="top", new_code="T")
    below = await create(organization, PROJECT, new_name="below", new_parentid=project(top), new_code="U")
    steps = [await create(organization, STEP, new_projectid=project(one)) for one in (top, below)]
    about = await create(organization, STEP, new_aboutid=project(below))
    other = await create(organization, STEP, new_aboutid=person(await create(organization, PERSON)))

    await delete(organization, PROJECT, top)

    assert await ids(organization, PROJECT) == set()
    assert await ids(organization, STEP) == {about, other}
    assert steps
    left = await organization.find(STEP, about)
    assert left is not None
    assert ("new_aboutid" in left.values, left.version) == (False, 2)
    assert await organization.find_by_key(PROJECT, {"new_code": "U"}) is None


async def test_a_restricted_record_stays(storage: Storage) -> None:
    organization = an_organization(storage)
    ada = await create(organization, PERSON, new_name="Ada")
    there = await create(organization, PROJECT, new_customerid=person(ada))

    with pytest.raises(CannotDelete) as refused:
        await delete(organization, PERSON, ada)

    assert refused.value.code == Code.CANNOT_DELETE_DUE_TO_ASSOCIATION
    assert "new_project" in str(refused.value)
    await transact(organization, Delete(entity=PROJECT, id=there), Delete(entity=PERSON, id=ada))
    assert await ids(organization, PERSON) == set()


async def test_a_transaction_knows_the_children_it_made_itself() -> None:
    organization = an_organization(MemoryStorage())
    top, freed = uuid4(), await create(organization, STEP)
    old = await create(organization, PROJECT)
    moved = await create(organization, STEP, new_projectid=project(old))

    await transact(
        organization,
        Create(entity=PROJECT, id=top, values={}),
        Create(entity=STEP, values={"new_projectid": project(top)}),
        Update(entity=STEP, id=freed, values={"new_projectid": project(top)}),
        Update(entity=STEP, id=moved, values={"new_projectid": None}),
        Delete(entity=PROJECT, id=top),
        Delete(entity=PROJECT, id=old),
    )

    assert await ids(organization, STEP) == {moved}


async def test_a_circle_of_parents_goes_together() -> None:
    organization = an_organization(MemoryStorage())
    first = await create(organization, PROJECT)
    second = await create(organization, PROJECT, new_parentid=project(first))
    await update(organization, PROJECT, first, new_parentid=project(second))

    await delete(organization, PROJECT, first)

    assert await ids(organization, PROJECT) == set()


async def test_a_large_deletion_goes_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncservice.organization.cascades.MOST_TOUCHED", 10)
    organization = an_organization(MemoryStorage())
    top = await create(organization, PROJECT)
    middle = await create(organization, PROJECT, new_parentid=project(top))
    for parent in (top, middle):
        for _ in range(25):
            await create(organization, STEP, new_projectid=project(parent), new_aboutid=project(top))
    about = [await create(organization, STEP, new_aboutid=project(top)) for _ in range(12)]

    with pytest.raises(RequestRefused, match="one by one"):
        await transact(organization, Create(entity=PERSON, values={}), Delete(entity=PROJECT, id=top))
    assert len(await ids(organization, STEP)) == 62
    await delete(organization, PROJECT, top)

    assert await ids(organization, PROJECT) == set()
    assert await ids(organization, STEP) == set(about)


async def test_pairs_are_made_once_and_go_with_either_end(storage: Storage) -> None:
    organization = an_organization(storage)
    ada, bob = [await create(organization, PERSON) for _ in range(2)]
    one, two = [await create(organization, PROJECT) for _ in range(2)]

    def pair(kind: Any, who: UUID, what: UUID) -> Request:
        made: Request = kind(relationship="new_person_project", entity1_id=who, entity2_id=what)
        return made

    for _ in range(2):
        await transact(organization, *(pair(Associate, who, what) for who in (ada, bob) for what in (one, two)))
    pairs = [record async for record in organization.records("new_person_project").query()]
    assert {(pair["new_personid"], pair["new_projectid"]) for pair in pairs} == {
        (ada, one),
        (ada, two),
        (bob, one),
        (bob, two),
    }

    await transact(organization, pair(Disassociate, ada, one), pair(Disassociate, ada, one))
    await delete(organization, PROJECT, two)
    left = [record async for record in organization.records("new_person_project").query()]
    assert [(pair["new_personid"], pair["new_projectid"]) for pair in left] == [(bob, one)]


# Columns that follow from others --------------------------------------------------------------------------------------


async def test_owners_bring_their_columns(storage: Storage) -> None:
    organization = an_organization(storage)
    unit = await create(organization, "businessunit", name="North")
    team = await create(organization, "team", name="T", businessunitid=Reference("businessunit", unit))

    there = await create(organization, PROJECT, new_name="A")
    before = await organization.find(PROJECT, there)
    await update(organization, PROJECT, there, ownerid=Reference("team", team))
    after = await organization.find(PROJECT, there)

    assert before is not None
    assert before["owninguser"] == before["ownerid"] == Reference("systemuser", USER)
    assert before["owningbusinessunit"] == Reference("businessunit", ROOT_BUSINESS_UNIT)
    assert after is not None
    assert after["owningteam"] == after["ownerid"] == Reference("team", team)
    assert "owninguser" not in after.values
    assert after["owningbusinessunit"] == Reference("businessunit", unit)


async def test_amounts_are_kept_in_the_own_currency_too() -> None:
    organization = an_organization(MemoryStorage())
    euro = await create(organization, "transactioncurrency", exchangerate="0.8")

    plain = await organization.find(PROJECT, await create(organization, PROJECT, new_budget=100))
    there = await create(
        organization, PROJECT, new_budget=100, transactioncurrencyid=Reference("transactioncurrency", euro)
    )
    await update(organization, PROJECT, there, new_budget=60)
    foreign = await organization.find(PROJECT, there)
    await update(organization, PROJECT, there, new_budget=None)
    empty = await organization.find(PROJECT, there)

    assert plain is not None
    assert foreign is not None
    assert empty is not None
    assert plain["transactioncurrencyid"] == Reference("transactioncurrency", BASE_CURRENCY)
    assert (plain["exchangerate"], plain["new_budget_base"]) == (1, 100)
    assert (foreign["exchangerate"], foreign["new_budget_base"]) == (Decimal("0.8"), 75)
    assert "new_budget_base" not in empty.values


async def test_a_delegate_is_named() -> None:
    organization = an_organization(MemoryStorage())

    [made] = await transact(organization, Create(entity=PROJECT, values={}), on_behalf_of=ABSENT)
    first = await organization.find(PROJECT, made.id)
    await update(organization, PROJECT, made.id, new_name="B")
    second = await organization.find(PROJECT, made.id)

    assert first is not None
    assert second is not None
    delegate = Reference("systemuser", ABSENT)
    assert (first["createdby"], first["createdonbehalfby"]) == (Reference("systemuser", USER), delegate)
    assert (second["createdonbehalfby"], second.get("modifiedonbehalfby")) == (delegate, None)


def test_a_shard_is_the_last_digit() -> None:
    assert shard_of(in_shard(ABSENT, 3)) == "3"
    assert str(in_shard(ABSENT, 3))[:-1] == str(ABSENT)[:-1]


async def test_a_record_that_is_too_large_is_refused_with_a_reason() -> None:
    organization = Organization(MemoryStorage())

    with pytest.raises(RequestRefused, match="bytes"):
        await transact(
            organization,
            Create(entity="importmap", values={"name": "M", "mapcustomizations": "x" * 600_000}),
        )
    [made] = await transact(
        organization, Create(entity="importmap", values={"name": "M", "mapcustomizations": "x" * 300_000})
    )
    with pytest.raises(RequestRefused, match="twice"):
        await transact(
            organization,
            Update(entity="importmap", id=made.id, values={"description": "new"}),
            Create(entity="contact", values={"lastname": "Ada"}),
        )
    await transact(organization, Update(entity="importmap", id=made.id, values={"description": "new"}))
