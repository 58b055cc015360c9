"""Users add tables, columns, keys, relationships and choices through the Web API, and use them at once."""

from datetime import timedelta
from typing import Any

import pytest

from asyncservice.organization.customization import FRESH
from asyncservice.organization.organization import Organization
from asyncservice.webapi.application import OpenDoor, WebApi
from tests.webapi.calling import ROOT, Client, a_client

CRM = "#Microsoft.Dynamics.CRM."


def label(text: str) -> dict[str, Any]:
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]}


def a_column(name: str, kind: str = "String", **members: Any) -> dict[str, Any]:
    return {
        "@odata.type": f"{CRM}{kind}AttributeMetadata",
        "SchemaName": name,
        "DisplayName": label(name.partition("_")[2]),
        **members,
    }


def a_table(name: str = "new_Boat", *columns: dict[str, Any]) -> dict[str, Any]:
    primary = a_column("new_Name", IsPrimaryName=True, MaxLength=80)
    return {
        "@odata.type": f"{CRM}EntityMetadata",
        "SchemaName": name,
        "DisplayName": label("Boat"),
        "DisplayCollectionName": label("Boats"),
        "OwnershipType": "UserOwned",
        "Attributes": [primary, *columns],
    }


@pytest.fixture
async def client() -> Client:
    return await a_client()


@pytest.fixture
async def boats(client: Client) -> Client:
    answered = await client.post("EntityDefinitions", a_table())
    assert answered.status == 204, answered.text
    return client


BOAT = "EntityDefinitions(LogicalName='new_boat')"


async def test_a_table_is_added_and_used_at_once(client: Client) -> None:
    made = await client.post(
        "EntityDefinitions",
        a_table(
            "new_Boat",
            a_column("new_Length", "Decimal", Precision=2, MinValue=0, MaxValue=400),
            a_column(
                "new_Rig",
                "Picklist",
                OptionSet={"IsGlobal": False, "Options": [{"Value": 1, "Label": label("Sloop")}]},
            ),
            a_column("new_Launched", "DateTime", Format="DateOnly"),
        ),
    )
    boat = await client.make("new_boats", new_name="Wind", new_length=9.75, new_rig=1, new_launched="2020-02-29")
    read = await client.get(f"new_boats({boat})")
    filtered = await client.get("new_boats?$filter=new_length gt 9&$select=new_name")

    assert made.status == 204
    assert made.headers["OData-EntityId"].endswith(")")
    by_id = await client.get(made.headers["OData-EntityId"], Consistency="Strong")
    assert by_id.json["LogicalName"] == "new_boat"
    assert (by_id.json["IsCustomEntity"], by_id.json["ObjectTypeCode"] >= 10_000) == (True, True)
    assert (read.json["new_length"], read.json["new_launched"]) == (9.75, "2020-02-29")
    assert [row["new_name"] for row in filtered.rows] == ["Wind"]
    assert "new_boats" in (await client.get("$metadata")).text


async def test_another_process_notices_soon_and_at_once_when_asked_to(client: Client) -> None:
    other = Client(
        WebApi(Organization(client.api.organization.storage), clock=client.clock, door=OpenDoor()), client.clock
    )
    assert (await other.get("new_boats")).status == 404
    await client.post("EntityDefinitions", a_table())

    assert (await other.get("new_boats")).status == 404
    assert (await other.get("new_boats", Consistency="Strong")).status == 200
    await client.delete(BOAT)
    assert (await other.get("new_boats")).status == 200
    client.clock.moment += FRESH + timedelta(seconds=1)
    assert (await other.get("new_boats")).status == 404


async def test_a_column_is_added_changed_and_removed(boats: Client) -> None:
    made = await boats.post(f"{BOAT}/Attributes", a_column("new_Sail", MaxLength=5))
    long = await boats.post("new_boats", {"new_sail": "GER 12345"})
    changed = await boats.put(
        made.headers["OData-EntityId"], a_column("new_Sail", MaxLength=20), **{"MSCRM.MergeLabels": "true"}
    )
    boat = await boats.make("new_boats", new_sail="GER 12345")
    retyped = await boats.put(made.headers["OData-EntityId"], a_column("new_Sail", "Integer"))
    removed = await boats.delete(f"{BOAT}/Attributes(LogicalName='new_sail')")

    assert (made.status, long.status, changed.status, retyped.status, removed.status) == (204, 400, 204, 400, 204)
    assert "new_sail" not in (await boats.get(f"new_boats({boat})")).json


async def test_columns_are_added_to_tables_that_come_with_the_service(client: Client) -> None:
    made = await client.post("EntityDefinitions(LogicalName='account')/Attributes", a_column("new_Berth"))
    account = await client.make("accounts", name="Marina", new_berth="A1")

    assert made.status == 204
    assert (await client.get(f"accounts({account})?$select=new_berth")).json["new_berth"] == "A1"
    refused = await client.delete("EntityDefinitions(LogicalName='account')/Attributes(LogicalName='name')")
    assert (refused.status, "comes with the service" in refused.message) == (400, True)
    assert (await client.delete("EntityDefinitions(LogicalName='account')")).status == 400


async def test_a_relationship_brings_its_lookup(boats: Client) -> None:
    made = await boats.post(
        "RelationshipDefinitions",
        {
            "@odata.type": f"{CRM}OneToManyRelationshipMetadata",
            "SchemaName": "new_account_boats",
            "ReferencedEntity": "account",
            "ReferencedAttribute": "accountid",
            "ReferencingEntity": "new_boat",
            "CascadeConfiguration": {"Delete": "Cascade"},
            "Lookup": {"SchemaName": "new_AccountId", "DisplayName": label("Account")},
        },
    )
    account = await boats.make("accounts", name="Marina")
    await boats.make("new_boats", new_name="Wind", new_AccountId__bind=f"/accounts({account})")
    listed = await boats.get(f"accounts({account})/new_account_boats?$select=new_name")
    one = await boats.get("RelationshipDefinitions(SchemaName='new_account_boats')")

    assert made.status == 204, made.text
    assert [row["new_name"] for row in listed.rows] == ["Wind"]
    assert one.json["ReferencingEntityNavigationPropertyName"] == "new_AccountId"
    await boats.delete(f"accounts({account})")
    assert (await boats.get("new_boats")).rows == []
    assert (await boats.delete(made.headers["OData-EntityId"])).status == 204
    assert (await boats.get("RelationshipDefinitions(SchemaName='new_account_boats')")).status == 404


async def test_many_to_many(boats: Client) -> None:
    made = await boats.post(
        "RelationshipDefinitions",
        {
            "@odata.type": f"{CRM}ManyToManyRelationshipMetadata",
            "SchemaName": "new_boat_contact",
            "IntersectEntityName": "new_boat_contact",
            "Entity1LogicalName": "new_boat",
            "Entity2LogicalName": "contact",
        },
    )
    boat = await boats.make("new_boats", new_name="Wind")
    contact = await boats.make("contacts", lastname="Sailor")
    related = await boats.post(f"new_boats({boat})/new_boat_contact/$ref", {"@odata.id": f"{ROOT}contacts({contact})"})

    assert (made.status, related.status) == (204, 204)
    assert [row["lastname"] for row in (await boats.get(f"new_boats({boat})/new_boat_contact")).rows] == ["Sailor"]


async def test_an_alternate_key_of_an_empty_table(boats: Client) -> None:
    made = await boats.post(f"{BOAT}/Keys", {"SchemaName": "new_ByName", "KeyAttributes": ["new_name"]})
    boat = await boats.make("new_boats", new_name="Wind")
    found = await boats.get("new_boats(new_name='Wind')")
    twice = await boats.post("new_boats", {"new_name": "Wind"})
    late = await boats.post(f"{BOAT}/Keys", {"SchemaName": "new_Late", "KeyAttributes": ["new_name"]})

    assert made.status == 204
    assert found.json["new_boatid"] == boat
    assert twice.status == 412
    assert (late.status, "empty" in late.message) == (400, True)
    assert (await boats.delete(f"{BOAT}/Attributes(LogicalName='new_name')")).status == 400
    assert (await boats.delete(f"{BOAT}/Keys(LogicalName='new_byname')")).status == 204


async def test_a_shared_choice(boats: Client) -> None:
    made = await boats.post(
        "GlobalOptionSetDefinitions",
        {"Name": "new_rig", "DisplayName": label("Rig"), "Options": [{"Label": label("Sloop")}]},
    )
    column = await boats.post(
        f"{BOAT}/Attributes",
        a_column(
            "new_Rig", "Picklist", **{"GlobalOptionSet@odata.bind": "/GlobalOptionSetDefinitions(Name='new_rig')"}
        ),
    )
    used = await boats.delete("GlobalOptionSetDefinitions(Name='new_rig')")
    more = await boats.put(
        "GlobalOptionSetDefinitions(Name='new_rig')",
        {"Options": [{"Value": 100000000, "Label": label("Sloop")}, {"Value": 7, "Label": label("Ketch")}]},
    )

    assert (made.status, column.status, used.status, more.status) == (204, 204, 400, 204)
    await boats.make("new_boats", new_name="Wind", new_rig=7)


async def test_several_tables_are_added_together_or_not_at_all(client: Client) -> None:
    bad = await client.post("CreateEntities", {"Entities": [a_table("new_Boat"), a_table("Ship")]})
    assert (bad.status, (await client.get("new_boats", Consistency="Strong")).status) == (400, 404)
    good = await client.post("CreateEntities", {"Entities": [a_table("new_Boat"), a_table("new_Ship")]})
    assert (good.status, (await client.get("new_ships")).status) == (204, 200)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"SchemaName": 5},
        a_table("Boat"),
        a_table("new_Bo at"),
        {**a_table(), "Attributes": []},
        {**a_table(), "Attributes": "many"},
        {**a_table(), "OwnershipType": "Mine"},
        {**a_table(), "DisplayName": "Boat"},
        a_table("new_Boat", a_column("new_X", "Colour")),
        a_table("new_Boat", a_column("new_X", MaxLength="long")),
        a_table("new_Boat", a_column("new_X", MaxLength=-1)),
        a_table("new_Boat", a_column("new_X", "Picklist")),
        a_table("new_Boat", a_column("new_X", "Picklist", OptionSet={"Options": [{"Value": "one"}]})),
        a_table("new_Boat", a_column("new_X", "Lookup")),
        a_table("new_Boat", a_column("new_X", "Lookup", Targets=["boat"])),
        a_table("new_Boat", a_column("new_X", "DateTime", Format="Sometimes")),
        a_table("new_Boat", a_column("new_X", "Integer", MinValue="low")),
        a_table("new_Boat", a_column("new_X", RequiredLevel={"Value": ["None"]})),
        a_table("new_Boat", a_column("plain")),
        {**a_table(), "EntitySetName": "accounts"},
    ],
)
async def test_what_cannot_be_a_table_is_refused_and_changes_nothing(client: Client, body: dict[str, Any]) -> None:
    refused = await client.post("EntityDefinitions", body)

    assert (refused.status, bool(refused.message)) == (400, True)
    assert (await client.get("EntityDefinitions?$filter=IsCustomEntity eq true", Consistency="Strong")).rows == []


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("POST", BOAT, 405),
        ("PUT", "EntityDefinitions", 405),
        ("PATCH", BOAT, 405),
        ("DELETE", "EntityDefinitions", 405),
        ("DELETE", f"{BOAT}/Attributes", 405),
        ("DELETE", "EntityDefinitions(LogicalName='new_ship')", 404),
        ("POST", "EntityDefinitions(LogicalName='new_ship')/Attributes", 404),
        ("POST", "EntityDefinitions/Attributes", 400),
        ("POST", "EntityDefinitions", 400),
        ("POST", f"{BOAT}/Keys", 400),
        ("POST", "RelationshipDefinitions", 400),
        ("DELETE", "RelationshipDefinitions(SchemaName='contact_customer_accounts')", 400),
        ("DELETE", "RelationshipDefinitions(SchemaName='listcontact_association')", 400),
        ("DELETE", f"{BOAT}/Attributes(LogicalName='new_name')", 400),
        ("DELETE", f"{BOAT}/Attributes(LogicalName='createdon')", 400),
    ],
)
async def test_requests_that_cannot_be_are_refused(boats: Client, method: str, url: str, status: int) -> None:
    refused = await boats.send(method, url, {})

    assert (refused.status, bool(refused.message)) == (status, True)
