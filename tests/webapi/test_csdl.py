"""The CSDL document is one that parsers accept: every type that is named is defined, and names are one thing only."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring

from asyncservice.organization.schema.catalog import standard_catalog
from asyncservice.webapi.metadata.csdl import EDM, document
from tests.webapi.calling import a_client

_PRIMITIVES = {
    *("Edm.String", "Edm.Int32", "Edm.Int64", "Edm.Boolean", "Edm.Decimal", "Edm.Double"),
    *("Edm.DateTimeOffset", "Edm.Date", "Edm.Guid", "Edm.Binary"),
}


@cache
def the_schema() -> Element:
    root: Element = fromstring(document(standard_catalog()))
    found = root.find(f".//{{{EDM}}}Schema")
    assert found is not None
    return found


def those(name: str, of: Element | None = None) -> Iterator[Element]:
    return (the_schema() if of is None else of).iter(f"{{{EDM}}}{name}")


def plain(kind: str) -> str:
    """Return the name of a type without the namespace, or the alias, or the collection around it."""
    return re.sub(r"^(Collection\()?(Microsoft\.Dynamics\.CRM|mscrm)\.|\)$", "", kind)


def inner(kind: str) -> str:
    return kind.removeprefix("Collection(").removesuffix(")")


def defined() -> set[str]:
    return {node.get("Name", "") for tag in ("EntityType", "ComplexType", "EnumType") for node in those(tag)}


def test_every_type_that_is_named_is_defined() -> None:
    named = {
        inner(node.get(key, ""))
        for node in the_schema().iter()
        for key in ("Type", "BaseType", "EntityType")
        if node.get(key)
    }
    assert {kind for kind in named if kind.startswith("Edm.")} <= _PRIMITIVES
    assert {plain(kind) for kind in named if not kind.startswith("Edm.")} <= defined()


def test_names_are_given_once() -> None:
    container = next(those("EntityContainer"))
    assert [name for name, number in Counter(node.get("Name") for node in container).items() if number > 1] == []
    for node in [*those("EntityType"), *those("ComplexType")]:
        members = Counter(
            member.get("Name") for member in node if member.tag.endswith(("}Property", "}NavigationProperty"))
        )
        assert [name for name, number in members.items() if number > 1] == [], node.get("Name")


def test_navigation_properties_have_partners_that_lead_back_and_bindings_that_exist() -> None:
    types = {node.get("Name"): node for node in those("EntityType")}
    sets = {node.get("Name") for node in those("EntitySet")}
    for name, node in types.items():
        properties = {each.get("Name") for each in those("Property", node)}
        for navigation in those("NavigationProperty", node):
            target = types[plain(navigation.get("Type", ""))]
            if navigation.get("Partner"):
                back = {each.get("Name"): plain(each.get("Type", "")) for each in those("NavigationProperty", target)}
                assert back[navigation.get("Partner")] == name
            for constraint in those("ReferentialConstraint", navigation):
                assert constraint.get("Property") in properties
                assert constraint.get("ReferencedProperty") in {each.get("Name") for each in those("Property", target)}
    assert {node.get("Target") for node in those("NavigationPropertyBinding")} <= sets


def test_every_entity_type_has_its_key() -> None:
    for entity in standard_catalog():
        node = next(node for node in those("EntityType") if node.get("Name") == entity.name)
        assert next(those("PropertyRef", node)).get("Name") == entity.primary_id
        assert entity.primary_id in {each.get("Name") for each in those("Property", node)}


def test_what_clients_cannot_write_is_computed() -> None:
    account = next(node for node in those("EntityType") if node.get("Name") == "account")
    computed = {
        each.get("Name") for each in those("Property", account) if each.find(f"{{{EDM}}}Annotation") is not None
    }

    assert {"createdon", "_createdby_value", "versionnumber", "_primarycontactid_value"} <= computed
    assert not computed & {"name", "accountid", "revenue", "statecode"}


def test_functions_and_actions_can_be_called() -> None:
    operations = {node.get("Name") for tag in ("Function", "Action") for node in those(tag)}
    imports = {node.get("Name") for tag in ("FunctionImport", "ActionImport") for node in those(tag)}

    assert "WhoAmI" in imports
    assert imports <= operations


async def test_it_is_served_and_the_service_document_names_its_sets() -> None:
    client = await a_client()
    answered = await client.get("$metadata?annotations=true", Accept="application/json")

    assert answered.status == 200
    assert answered.headers["Content-Type"] == "application/xml"
    root: Any = fromstring(answered.response.body)
    sets = {node.get("Name") for node in root.iter(f"{{{EDM}}}EntitySet")}
    assert {row["name"] for row in (await client.get("")).rows} == sets
    assert (await client.post("$metadata")).status == 405


@pytest.mark.parametrize("name", ["accounts", "tasks", "asyncoperations", "sdkmessagefilters"])
def test_sets_that_clients_touch_are_there(name: str) -> None:
    assert name in {node.get("Name") for node in those("EntitySet")}
