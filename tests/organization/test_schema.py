"""Entities are what their files say, and a file that says something impossible is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from asyncservice.organization.errors import NoSuchAttribute, NoSuchEntity, SchemaError
from asyncservice.organization.schema.attributes import AttributeType, RequiredLevel
from asyncservice.organization.schema.catalog import Catalog, standard_catalog
from asyncservice.organization.schema.reader import read_entity
from asyncservice.organization.schema.relationships import OneToMany
from asyncservice.organization.values import coerce
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


def test_relationships_and_navigation_properties_have_the_names_of_dataverse() -> None:
    catalog = standard_catalog()
    ends = {
        name: (one.collection_navigation, one.lookup_navigation)
        for name, one in catalog.relationships.items()
        if isinstance(one, OneToMany)
    }

    assert ends["contact_customer_accounts"] == ("contact_customer_accounts", "parentcustomerid_account")
    assert ends["account_primary_contact"] == ("account_primary_contact", "primarycontactid")
    assert ends["Account_Tasks"] == ("Account_Tasks", "regardingobjectid_account_task")
    assert ends["Account_AsyncOperations"] == ("Account_AsyncOperations", "regardingobjectid_account")
    assert ends["AsyncOperation_BulkDeleteOperation"][1] == "asyncoperationid"
    assert ends["lk_accountbase_createdby"][1] == "createdby"
    assert catalog.navigations("account")["ownerid"].target == "owner"
    assert {"ownerid", "ownerid_task"} <= catalog.navigations("task").keys()
    assert [one.referenced_entity for one in catalog.lookups("contact", "parentcustomerid")] == ["account", "contact"]


def test_names_of_navigation_properties_are_one_thing_only() -> None:
    catalog = standard_catalog()
    for entity in catalog:
        for navigation in catalog.navigations(entity.name).values():
            assert navigation.entity == entity.name
            assert navigation.target in catalog
        for attribute in entity.attributes.values():
            assert attribute.schema_name.lower() == attribute.name
            assert catalog.relationships.keys() >= {
                one.schema_name for one in (catalog.lookups(entity.name, attribute.name) if attribute.targets else ())
            }
            assert all(target in catalog for target in attribute.targets)


def test_every_value_a_definition_gives_by_itself_is_one_its_column_takes() -> None:
    for entity in standard_catalog():
        for attribute in entity.attributes.values():
            if attribute.default is not None:
                coerce(attribute, attribute.default)
        state = entity.attributes.get("statecode")
        for option in entity.attributes["statuscode"].options if state else ():
            assert option.state in state.option_values if state else False


def test_money_brings_its_currency_and_its_base() -> None:
    boat = a_definition()
    boat["attributes"]["new_price"] = {"type": "Money", "label": "Price", "precision": 2}
    attributes = read_entity(json.dumps(boat), source="boat.json").attributes

    assert attributes["new_price_base"].base_of == "new_price"
    assert attributes["transactioncurrencyid"].targets == ("transactioncurrency",)
    assert not attributes["exchangerate"].valid_for_update


def test_a_file_may_extend_an_entity(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(
        json.dumps(
            {
                "extends": "new_boat",
                "attributes": {"new_sails": {"type": "Integer", "label": "Sails"}},
                "keys": {"new_BySails": ["new_sails"]},
            }
        ),
        "utf-8",
    )
    (tmp_path / "b.json").write_text(json.dumps(a_definition()), "utf-8")

    boat = Catalog.from_folders(tmp_path).entity("new_boat")

    assert boat.attribute("new_sails").is_custom
    assert boat.keys[0].logical_name == "new_bysails"


def test_many_to_many_makes_its_intersect_entity() -> None:
    boat = read_entity(
        json.dumps(a_definition(manytomany=[{"relationship": "new_boat_crew", "with": "new_boat"}])), source="boat.json"
    )
    catalog = Catalog([boat])

    crew = catalog.entity("new_boat_crew")

    assert crew.is_intersect
    assert {"new_boatidone", "new_boatidtwo"} <= crew.attributes.keys()
    assert catalog.many_to_many("new_boat")[0].schema_name == "new_boat_crew"


def test_columns_may_share_a_choice(tmp_path: Path) -> None:
    (tmp_path / "choice.json").write_text(json.dumps({"name": "new_rig", "options": {"1": "Sloop"}}), "utf-8")
    boat = a_definition()
    boat["attributes"]["new_rig"] = {"type": "Picklist", "label": "Rig", "optionset": "new_rig"}
    (tmp_path / "boat.json").write_text(json.dumps(boat), "utf-8")

    catalog = Catalog.from_folders(tmp_path)

    assert catalog.entity("new_boat").attribute("new_rig").label_of(1) == "Sloop"
    assert catalog.option_sets["new_rig"].is_custom
