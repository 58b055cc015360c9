"""Which messages tables support: rows that follow from the catalog."""

from uuid import UUID

from asyncservice.organization.messages import FILTER, MESSAGE, filter_id, message_id, message_sources
from asyncservice.organization.query.model import Order
from asyncservice.organization.schema.catalog import Catalog, standard_catalog
from asyncservice.organization.sources import Values
from asyncservice.organization.values import Reference


async def rows(name: str, *, behind: Values | None = None) -> list[Values]:
    messages, filters = message_sources(standard_catalog)
    source = messages if name == MESSAGE else filters
    return [row async for row in source.scan(behind=behind).rows]


async def test_every_table_of_records_supports_the_bulk_messages() -> None:
    supported = {
        (row["primaryobjecttypecode"], row["sdkmessageid"].id)
        for row in await rows(FILTER)
        if isinstance(row["sdkmessageid"], Reference)
    }
    for entity in ("account", "contact", "task"):
        for name in ("CreateMultiple", "UpdateMultiple", "UpsertMultiple"):
            assert (entity, message_id(name)) in supported


async def test_operations_cannot_be_created_in_bulk() -> None:
    there = {row["sdkmessagefilterid"] for row in await rows(FILTER)}
    assert filter_id("Update", "asyncoperation") in there
    assert filter_id("CreateMultiple", "asyncoperation") not in there


async def test_every_filter_leads_to_a_message() -> None:
    names = {row["sdkmessageid"]: row["name"] for row in await rows(MESSAGE)}
    for row in await rows(FILTER):
        lookup = row["sdkmessageid"]
        assert isinstance(lookup, Reference)
        assert str(row["name"]) == f"{names[lookup.id]}: {row['primaryobjecttypecode']}"


async def test_a_scan_goes_on_behind_any_row() -> None:
    everything = await rows(FILTER)
    ids = [row["sdkmessagefilterid"] for row in everything]
    assert ids == sorted(ids, key=str)
    for place in (0, len(everything) // 2, len(everything) - 1):
        assert await rows(FILTER, behind={"sdkmessagefilterid": ids[place]}) == everything[place + 1 :]


async def test_rows_are_found_by_id() -> None:
    messages, filters = message_sources(standard_catalog)
    found = await messages.find(message_id("Create"))
    assert found is not None
    assert found["name"] == "Create"
    assert await messages.find(UUID(int=1)) is None
    wanted = [filter_id("Create", "account"), UUID(int=1), filter_id("Delete", "account")]
    assert set(await filters.find_many(wanted)) == {wanted[0], wanted[2]}
    assert not filters.scan(orders=[Order(attribute="name")]).is_ordered


async def test_another_catalog_makes_other_rows() -> None:
    current = standard_catalog()
    smaller = Catalog([entity for entity in current if entity.name in {MESSAGE, FILTER}])
    catalogs = [current]
    _, filters = message_sources(lambda: catalogs[-1])
    before = [row async for row in filters.scan().rows]
    catalogs.append(smaller)
    after = [row async for row in filters.scan().rows]
    assert {row["primaryobjecttypecode"] for row in after} == {MESSAGE, FILTER}
    assert len(after) < len(before)
