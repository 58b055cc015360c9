"""What users add to the schema is kept, whoever dies or answers late while it is written."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from asyncservice.organization import customizing
from asyncservice.organization.customization import FRESH, TABLE, Customizations
from asyncservice.organization.errors import SchemaError
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.schema.catalog import Catalog, definitions_in, standard_definitions
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from tests.faults import Died, Fault, FaultyStorage
from tests.support import NOON

BOAT = {
    "name": "new_boat",
    "label": "Boat",
    "collectionlabel": "Boats",
    "set": "new_boats",
    "primaryid": "new_boatid",
    "primaryname": "new_name",
    "attributes": {"new_name": {"type": "String", "label": "Name", "maxlength": 100}},
}
ADD_BOAT = partial(customizing.with_entity, said=BOAT)


def customizations(storage: Storage) -> Customizations:
    return Customizations(LazyTables(storage).table(TABLE), standard_definitions())


async def with_table() -> MemoryStorage:
    storage = MemoryStorage()
    await storage.table(TABLE).create()
    return storage


async def now_known(storage: Storage) -> Catalog:
    return await customizations(storage).catalog(now=NOON)


async def test_what_is_added_is_there_for_everybody() -> None:
    storage = MemoryStorage()
    await customizations(storage).change(ADD_BOAT, now=NOON)

    assert "new_boat" in await now_known(storage)


async def test_a_long_definition_is_kept_whole() -> None:
    storage = MemoryStorage()
    long = "\N{GRINNING FACE}" * 60_000
    await customizations(storage).change(partial(customizing.with_entity, said={**BOAT, "description": long}), now=NOON)

    assert (await now_known(storage)).entity("new_boat").description == long


async def test_two_who_change_at_once_both_succeed() -> None:
    storage = MemoryStorage()
    second = customizations(storage)
    begun = False

    async def meanwhile() -> None:
        await second.change(ADD_BOAT, now=NOON)

    ship = {**BOAT, "name": "new_ship", "set": "new_ships", "primaryid": "new_shipid"}
    waiting = [meanwhile]

    class Racing:
        """The table, into which somebody else writes just before the first commit."""

        def __init__(self) -> None:
            self._table = LazyTables(storage).table(TABLE)

        def __getattr__(self, name: str) -> object:
            return getattr(self._table, name)

        async def commit(self, partition: str, writes: object) -> object:
            nonlocal begun
            if waiting:
                begun = True
                await waiting.pop()()
            return await self._table.commit(partition, writes)  # type: ignore[arg-type]

    first = Customizations(Racing(), standard_definitions())  # type: ignore[arg-type]
    await first.change(partial(customizing.with_entity, said=ship), now=NOON)

    known = await now_known(storage)
    assert begun
    assert {"new_boat", "new_ship"} <= {entity.name for entity in known}


@pytest.mark.parametrize("fault", [Fault.DIES_BEFORE, Fault.DIES_AFTER, Fault.FAILS_BEFORE, Fault.ANSWER_LOST])
async def test_a_change_is_there_or_not_whichever_call_goes_wrong(fault: Fault) -> None:
    counted = FaultyStorage(await with_table())
    await customizations(counted).change(ADD_BOAT, now=NOON)
    for number in range(1, len(counted.calls) + 1):
        storage = await with_table()
        with pytest.raises((Died, StorageUnavailable)):
            await customizations(FaultyStorage(storage, number=number, fault=fault)).change(ADD_BOAT, now=NOON)

        known = await now_known(storage)
        if "new_boat" in known:
            with pytest.raises(SchemaError, match="already"):
                await customizations(storage).change(ADD_BOAT, now=NOON)
        else:
            assert "new_boat" in await customizations(storage).change(ADD_BOAT, now=NOON)


async def test_looking_costs_one_request_and_only_now_and_then() -> None:
    storage = FaultyStorage(MemoryStorage())
    watched = customizations(storage)
    for seconds in range(10):
        await watched.catalog(now=NOON + timedelta(seconds=seconds))

    assert len(storage.calls) == 2
    assert timedelta(seconds=5) == FRESH


async def test_what_makes_no_schema_is_refused_and_changes_nothing() -> None:
    storage = MemoryStorage()
    lookup = {"new_x": {"type": "Lookup", "label": "X", "targets": ["nowhere"]}}
    with pytest.raises(SchemaError, match="nowhere"):
        await customizations(storage).change(
            partial(customizing.with_entity, said={**BOAT, "attributes": {**BOAT["attributes"], **lookup}}),  # type: ignore[dict-item]
            now=NOON,
        )

    assert "new_boat" not in await now_known(storage)


async def test_values_of_a_removed_column_are_never_read_as_another_type() -> None:
    storage = MemoryStorage()
    mine = customizations(storage)
    text = {"type": "String", "label": "Sail", "maxlength": 9}
    number = {"type": "Integer", "label": "Sail"}
    await mine.change(ADD_BOAT, now=NOON)
    add = partial(customizing.with_attribute, entity="new_boat", name="new_sail")
    await mine.change(partial(add, said=text), now=NOON)
    await mine.change(partial(customizing.without_attribute, entity="new_boat", name="new_sail"), now=NOON)

    with pytest.raises(SchemaError, match="of the type String"):
        await customizations(storage).change(partial(add, said=number), now=NOON)
    await customizations(storage).change(partial(add, said=text), now=NOON)
    await mine.change(partial(customizing.without_entity, name="new_boat"), now=NOON)
    with pytest.raises(SchemaError, match="of the type String"):
        await mine.change(
            partial(customizing.with_entity, said={**BOAT, "attributes": {**BOAT["attributes"], "new_sail": number}}),  # type: ignore[dict-item]
            now=NOON,
        )


async def test_a_table_that_others_refer_to_is_not_removed() -> None:
    storage = MemoryStorage()
    mine = customizations(storage)
    await mine.change(ADD_BOAT, now=NOON)
    lookup = {"type": "Lookup", "label": "Boat", "targets": ["new_boat"]}
    await mine.change(partial(customizing.with_attribute, entity="contact", name="new_boatid", said=lookup), now=NOON)

    with pytest.raises(SchemaError, match="new_boatid of contact"):
        await mine.change(partial(customizing.without_entity, name="new_boat"), now=NOON)


def test_a_folder_of_definitions_is_added_to_those_of_the_service(tmp_path: Path) -> None:
    (tmp_path / "account.json").write_text(
        '{"extends": "account", "attributes": {"new_berth": {"type": "String", "label": "Berth", "maxlength": 9}}}',
        "utf-8",
    )
    catalog = Catalog.from_definitions(definitions_in(tmp_path))

    assert catalog.entity("account").attribute("new_berth").is_custom
    with pytest.raises(SchemaError, match="no folder"):
        definitions_in(tmp_path / "missing")
