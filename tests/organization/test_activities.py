"""Activities of every kind read as one table, and go with what hangs on them."""

from uuid import UUID

import pytest

from asyncservice.organization.errors import RequestRefused
from asyncservice.organization.organization import Organization
from asyncservice.organization.query.model import Condition
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.requests import Create, Delete
from asyncservice.organization.values import Reference
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from tests.organization.projects import USER, transact

KINDS = ("task", "phonecall", "email")


async def a_day(storage: Storage) -> tuple[Organization, dict[UUID, str]]:
    organization = Organization(storage)
    outcomes = await transact(
        organization,
        *(
            Create(entity=KINDS[number % 3], id=UUID(int=number * 7), values={"subject": f"S{number}"})
            for number in range(1, 40)
        ),
    )
    return organization, {one.id: one.entity for one in outcomes}


async def test_every_activity_is_a_pointer_too(storage: Storage) -> None:
    organization, made = await a_day(storage)
    source = organization.source("activitypointer")

    rows = [row async for row in source.scan(at_most=5).rows]

    assert {row["activityid"]: row["activitytypecode"] for row in rows} == made
    assert len(rows) == len(made)
    for place in (0, 7, 38):
        rest = [row async for row in source.scan(behind={"activityid": rows[place]["activityid"]}).rows]
        assert rest == rows[place + 1 :]
    called = [Condition(attribute="subject", operator=Operator.EQUAL, values=("s5",))]
    assert [row["subject"] async for row in source.scan(called, columns=["subject"]).rows] == ["S5"]
    found = await organization.find("activitypointer", UUID(int=7))
    assert found is not None
    assert (found["subject"], set(found.values) <= set(source.entity.attributes)) == ("S1", True)
    assert await organization.find("activitypointer", USER) is None


async def test_pointers_are_not_written() -> None:
    with pytest.raises(RequestRefused, match="task"):
        await transact(Organization(MemoryStorage()), Create(entity="activitypointer", values={"subject": "S"}))


async def test_parties_go_with_their_activity() -> None:
    organization = Organization(MemoryStorage())
    [task] = await transact(organization, Create(entity="task", values={"subject": "S"}))
    [ada] = await transact(organization, Create(entity="contact", values={"lastname": "Ada"}))
    for kind in ("task", "activitypointer"):
        if kind in organization.catalog.entity("activityparty").attribute("activityid").targets:
            party = {"activityid": Reference(kind, task.id), "partyid": Reference("contact", ada.id)}
            await transact(organization, Create(entity="activityparty", values={**party, "participationtypemask": 1}))
    assert [party async for party in organization.records("activityparty").query()]

    await transact(organization, Delete(entity="task", id=task.id))

    assert [party async for party in organization.records("activityparty").query()] == []
