"""Entities are what their files say, and a file that says something impossible is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from asyncservice.organization.errors import NoSuchAttribute, NoSuchEntity, SchemaError
from asyncservice.organization.schema.attributes import AttributeType, RequiredLevel
from asyncservice.organization.schema.catalog import Catalog, standard_catalog
from asyncservice.organization.schema.reader import read_entity
from asyncservice.storage.memory import MemoryTable
from asyncservice.storage.tables import MAX_COLUMNS


def a_definition(**changes: Any) -> dict[str, Any]:
    return {
        "name": "new_boat",
        "label": "Boat",
        "collectionlabel": "Boats",
        "set": "new_boats",
        "typecode": 10_001,
        "primaryid": "new_boatid",
        "primaryname": "new_name",
        "attributes": {"new_name": {"type": "String", "label": "Name", "maxlength": 100}},
    } | changes


def test_account_has_the_columns_of_dataverse() -> None:
    account = standard_catalog().entity("account")

    assert (account.set_name, account.type_code, account.primary_name) == ("accounts", 1, "name")
    assert account.attribute("name").max_length == 160
    assert account.attribute("name").required is RequiredLevel.APPLICATION_REQUIRED
    assert account.attribute("industrycode").options_by_label["accounting"] == 1
    assert len(account.attribute("industrycode").options) == 33
    assert account.attribute("ownerid").type is AttributeType.OWNER
    assert {"createdon", "modifiedby", "versionnumber", "importsequencenumber"} <= account.attributes.keys()


@pytest.mark.parametrize("entity", list(standard_catalog()), ids=lambda entity: entity.name)
async def test_every_entity_fits_a_table(entity: Any) -> None:
    await MemoryTable(entity.table_name).create()
    lookups = sum(attribute.type.is_lookup for attribute in entity.attributes.values())
    assert len(entity.attributes) + lookups + 1 <= MAX_COLUMNS
    for attribute in entity.attributes.values():
        for part in attribute.composed:
            assert part in entity.attributes


def test_a_heading_means_a_column_by_logical_name_or_label() -> None:
    account = standard_catalog().entity("account")

    assert account.matching(" NAME ") is account.attribute("name")
    assert account.matching("address 1: country/region") is account.attribute("address1_country")
    assert account.matching("Nonsense") is None


def test_a_new_file_is_a_new_entity(tmp_path: Path) -> None:
    (tmp_path / "new_boat.json").write_text(json.dumps(a_definition()), "utf-8")

    boat = Catalog.from_folders(tmp_path).entity("new_boat")

    assert boat.table_name == "Recordsnew00boat"
    assert {"new_boatid", "ownerid", "statecode", "statuscode", "createdon"} <= boat.attributes.keys()
    assert boat.attribute("new_boatid").type is AttributeType.UNIQUEIDENTIFIER


def test_what_there_is_not_is_named() -> None:
    with pytest.raises(NoSuchEntity, match="'boat'"):
        standard_catalog().entity("boat")
    with pytest.raises(NoSuchAttribute, match="'sails'"):
        standard_catalog().entity("account").attribute("sails")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"primaryname": "new_title"}, "new_title"),
        ({"attributes": {"new_name": {"type": "Text", "label": "Name"}}}, "new_name"),
        ({"attributes": {"new_name": {"type": "String", "label": "Name"}}}, "maxlength"),
        ({"attributes": {"new_name": {"type": "String", "label": "Name", "length": 3}}}, "length"),
        ({"attributes": {"new_name": {"type": "Picklist", "label": "Name"}}}, "options"),
        ({"attributes": {"new_name": {"type": "Lookup", "label": "Name"}}}, "targets"),
        ({"attributes": {"new_name": {"type": "Boolean", "label": "B", "options": {"1": "x"}}}}, "0 and 1"),
        ({"attributes": {"new_name": {"type": "String", "maxlength": 3}}}, "label"),
    ],
)
def test_a_definition_that_cannot_be_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=f"boat.json.*{message}"):
        read_entity(json.dumps(a_definition(**changes)), source="boat.json")


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(SchemaError, match="line 1"):
        read_entity("{", source="boat.json")


def test_entities_cannot_share_names() -> None:
    boat = read_entity(json.dumps(a_definition()), source="boat.json")
    other = read_entity(json.dumps(a_definition(name="new_ship", primaryid="new_shipid")), source="ship.json")

    with pytest.raises(SchemaError, match="set new_boats"):
        Catalog([boat, other])
