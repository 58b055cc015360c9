"""What every organization has from its first start on."""

from datetime import timedelta

import pytest

from asyncservice.organization.organization import Organization
from asyncservice.organization.seeding import SEEDS
from asyncservice.organization.values import Reference
from asyncservice.organization.wellknown import BASE_CURRENCY, LOCAL_USER, ORGANIZATION, ROOT_BUSINESS_UNIT
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from tests.faults import Died, Fault, FaultyStorage
from tests.support import NOON


async def seeds(organization: Organization) -> list[object]:
    found = [await organization.find(entity, record_id) for entity, record_id, _ in SEEDS]
    return [record.values if record else None for record in found]


async def test_the_first_start_makes_them_and_later_ones_leave_them(storage: Storage) -> None:
    organization = Organization(storage)
    await organization.seed(now=NOON)
    made = await seeds(organization)
    assert None not in made

    await organization.seed(now=NOON + timedelta(days=1))

    assert await seeds(organization) == made
    user = await organization.find("systemuser", LOCAL_USER)
    assert user is not None
    assert (user["fullname"], user["businessunitid"]) == (
        "Local Developer",
        Reference("businessunit", ROOT_BUSINESS_UNIT),
    )
    currency = await organization.find("transactioncurrency", BASE_CURRENCY)
    assert currency is not None
    assert (currency["isocurrencycode"], currency["exchangerate"]) == ("USD", 1)


async def test_a_later_start_is_one_request() -> None:
    storage = MemoryStorage()
    await Organization(storage).seed(now=NOON)
    counted = FaultyStorage(storage)

    await Organization(counted).seed(now=NOON)

    assert counted.calls == ["read Recordsorganization"]


@pytest.mark.parametrize("fault", [Fault.DIES_BEFORE, Fault.DIES_AFTER])
async def test_a_first_start_that_dies_is_finished_by_the_next(fault: Fault) -> None:
    counted = FaultyStorage(MemoryStorage())
    await Organization(counted).seed(now=NOON)
    for number in range(1, len(counted.calls) + 1):
        storage = MemoryStorage()
        try:
            await Organization(FaultyStorage(storage, number=number, fault=fault)).seed(now=NOON)
        except Died:
            assert await Organization(storage).find("organization", ORGANIZATION) is None or number == len(
                counted.calls
            )
        await Organization(storage).seed(now=NOON)
        assert None not in await seeds(Organization(storage))
