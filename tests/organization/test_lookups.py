"""Look-ups ask the storage once for each text, and forget the oldest."""

from asyncservice.organization.importing.lookups import Lookups
from asyncservice.organization.importing.maps import LookupKey
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Records
from asyncservice.organization.values import Reference
from asyncservice.storage.memory import MemoryStorage
from tests.support import NOON

BY_NAME = (LookupKey("account", "name"),)


async def test_each_text_is_asked_once_and_the_oldest_is_forgotten() -> None:
    storage = MemoryStorage()
    organization = Organization(storage)
    await organization.create()
    ids = [await organization.records("account").create({"name": f"A{n}"}, now=NOON) for n in range(5)]
    lookups = Lookups(organization, capacity=3)

    assert await lookups.find(BY_NAME, ["a0", "a1", "a0", "nobody"]) == {
        "a0": (Reference("account", ids[0]),),
        "a1": (Reference("account", ids[1]),),
        "nobody": (),
    }
    await organization.records("account").delete(ids[0], now=NOON)
    assert await lookups.find(BY_NAME, ["a0"]) == {"a0": (Reference("account", ids[0]),)}
    await lookups.find(BY_NAME, ["a2", "a3", "a4"])
    assert len(lookups._answers) == 3
    assert await lookups.find(BY_NAME, ["a0"]) == {"a0": ()}


async def test_a_lookup_of_two_kinds_finds_either() -> None:
    storage = MemoryStorage()
    organization = Organization(storage)
    await organization.create()
    contacts: Records = organization.records("contact")
    contact = await contacts.create({"firstname": "Ada", "lastname": "Lovelace"}, now=NOON)
    keys = (*BY_NAME, LookupKey("contact", "fullname"))

    assert await Lookups(organization).find(keys, ["ada lovelace", str(contact)]) == {
        "ada lovelace": (Reference("contact", contact),),
        str(contact): (Reference("contact", contact),),
    }
