"""Definitions are answered as clients ask for them (reference web-api-wire, section 24)."""

import json
from typing import Any

import pytest

from tests.webapi.calling import Client, a_client

ACCOUNT = "EntityDefinitions(LogicalName='account')"


@pytest.fixture
async def client() -> Client:
    return await a_client()


async def test_tables_are_listed_and_filtered(client: Client) -> None:
    everything = await client.get("EntityDefinitions?$select=EntitySetName,LogicalName")
    account = await client.get("EntityDefinitions?$filter=IsPrivate eq false and (SchemaName eq 'Account')")
    nothing = await client.get("EntityDefinitions?$select=LogicalName&$filter=LogicalName eq 'boat'")

    assert {"accounts", "asyncoperations"} <= {row["EntitySetName"] for row in everything.rows}
    assert next(set(row) for row in everything.rows) == {"MetadataId", "EntitySetName", "LogicalName"}
    assert [row["ObjectTypeCode"] for row in account.rows] == [1]
    assert account.rows[0]["DisplayName"]["UserLocalizedLabel"]["Label"] == "Account"
    assert (nothing.status, nothing.rows) == (200, [])


async def test_a_table_is_found_by_its_name_and_by_its_id(client: Client) -> None:
    by_name = await client.get(f"{ACCOUNT}?$select=PrimaryIdAttribute")
    by_id = await client.get(f"EntityDefinitions({by_name.json['MetadataId']})")
    unknown = await client.get("EntityDefinitions(LogicalName='boat')")
    wrong = await client.get("EntityDefinitions(Colour='red')")

    assert by_id.json["LogicalName"] == "account"
    assert by_name.json["PrimaryIdAttribute"] == "accountid"
    assert (unknown.status, unknown.code) == (404, "0x80040217")
    assert (wrong.status, "LogicalName" in wrong.message) == (400, True)


async def test_columns_carry_their_type_whatever_is_selected(client: Client) -> None:
    nested = await client.get(
        f"{ACCOUNT}?$select=LogicalName&$expand=Attributes($select=LogicalName;$filter=LogicalName eq 'name')"
    )
    lookups = await client.get(
        f"{ACCOUNT}/Attributes?$select=LogicalName&"
        "$filter=AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'Lookup'"
    )
    real = await client.get(f"{ACCOUNT}/Attributes?$filter=AttributeType ne 'Virtual' and AttributeOf eq null")
    name = await client.get(
        f"{ACCOUNT}/Attributes(LogicalName='name')/Microsoft.Dynamics.CRM.StringAttributeMetadata?$select=MaxLength"
    )

    assert [row["@odata.type"] for row in nested.json["Attributes"]] == [
        "#Microsoft.Dynamics.CRM.StringAttributeMetadata"
    ]
    assert {"primarycontactid", "parentaccountid"} <= {row["LogicalName"] for row in lookups.rows}
    assert "name" in {row["LogicalName"] for row in real.rows}
    assert name.json["MaxLength"] == 160


async def test_choices_are_listed_and_a_table_without_any_has_an_empty_list(client: Client) -> None:
    cast = "Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
    choices = await client.get(f"{ACCOUNT}/{cast}?$select=LogicalName&$expand=OptionSet($select=Options)")
    none = await client.get(f"EntityDefinitions(LogicalName='teammembership')/{cast}?$expand=OptionSet")
    state = await client.get(
        f"{ACCOUNT}/Attributes/Microsoft.Dynamics.CRM.StateAttributeMetadata?$expand=OptionSet($select=Options)"
    )
    boolean = await client.get(f"{ACCOUNT}/Attributes(LogicalName='creditonhold')?$expand=OptionSet")
    absent = await client.get("EntityDefinitions(LogicalName='boat')/" + cast)

    options: dict[str, Any] = {row["LogicalName"]: row["OptionSet"]["Options"] for row in choices.rows}
    assert options["industrycode"][0]["Value"] == 1
    assert options["industrycode"][0]["Label"]["UserLocalizedLabel"]["Label"] == "Accounting"
    assert (none.status, none.rows) == (200, [])
    assert [option["DefaultStatus"] for option in state.rows[0]["OptionSet"]["Options"]] == [1, 2]
    assert boolean.json["OptionSet"]["TrueOption"]["Value"] == 1
    assert absent.status == 404


async def test_relationships_and_keys(client: Client) -> None:
    one = await client.get("RelationshipDefinitions(SchemaName='contact_customer_accounts')")
    filtered = await client.get(
        "RelationshipDefinitions/Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata?"
        "$select=SchemaName&$filter=ReferencedEntity eq 'asyncoperation'"
    )
    many = await client.get("EntityDefinitions(LogicalName='list')/ManyToManyRelationships?$select=SchemaName")
    back = await client.get("EntityDefinitions(LogicalName='contact')/ManyToOneRelationships?$select=SchemaName")
    keys = await client.get("EntityDefinitions(LogicalName='systemuser')/Keys?$select=SchemaName,KeyAttributes")
    none = await client.get(f"{ACCOUNT}/Keys")

    assert one.json["ReferencingEntityNavigationPropertyName"] == "parentcustomerid_account"
    assert one.json["CascadeConfiguration"]["Delete"] == "Cascade"
    assert "AsyncOperation_BulkDeleteOperation" in {row["SchemaName"] for row in filtered.rows}
    assert "listcontact_association" in {row["SchemaName"] for row in many.rows}
    assert "contact_customer_accounts" in {row["SchemaName"] for row in back.rows}
    assert keys.rows[0]["KeyAttributes"] == ["azureactivedirectoryobjectid"]
    assert (none.status, none.rows) == (200, [])


async def test_shared_choices(client: Client) -> None:
    every = await client.get("GlobalOptionSetDefinitions?$select=Name&$count=true")
    one = await client.get("GlobalOptionSetDefinitions(Name='asyncoperation_operationtype')")

    assert every.json["@odata.count"] == len(every.rows)
    assert 13 in {option["Value"] for option in one.json["Options"]}


async def test_ids_are_the_same_in_every_organization(client: Client) -> None:
    other = await a_client()
    for url in (ACCOUNT, f"{ACCOUNT}/Attributes(LogicalName='name')"):
        assert (await client.get(url)).json == (await other.get(url)).json


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("EntityDefinitions?$select=Colour", 400),
        ("EntityDefinitions?$filter=((", 400),
        ("EntityDefinitions?$filter=LogicalName gt 5", 200),
        ("EntityDefinitions?$expand=Colours", 400),
        ("EntityDefinitions?$top=many", 400),
        ("EntityDefinitions?$skip=3", 400),
        ("EntityDefinitions?$apply=aggregate($count as n)", 400),
        (f"{ACCOUNT}/Colours", 404),
        (f"{ACCOUNT}/LogicalName/more", 404),
        (f"{ACCOUNT}/Attributes/Microsoft.Dynamics.CRM.ColourAttributeMetadata", 404),
        (f"{ACCOUNT}/Attributes(LogicalName='colour')", 404),
        ("RetrieveMetadataChanges(Query=@p1)?@p1=5", 400),
        ('RetrieveMetadataChanges(Query=@p1)?@p1={"Criteria":{"Conditions":[5]}}', 400),
        ('RetrieveMetadataChanges(Query=@p1)?@p1={"Criteria":{"Conditions":5}}', 400),
    ],
)
async def test_what_cannot_be_is_refused_with_a_reason(client: Client, url: str, status: int) -> None:
    answered = await client.get(url)

    assert answered.status == status
    assert status == 200 or answered.message


async def test_one_property_and_a_number(client: Client) -> None:
    assert (await client.get(f"{ACCOUNT}/LogicalName")).json["value"] == "account"
    assert int((await client.get("EntityDefinitions/$count")).text) > 60


async def test_metadata_changes_hold_what_was_asked_for(client: Client) -> None:
    query = {
        "Properties": {"AllProperties": False, "PropertyNames": ["Attributes", "DisplayName"]},
        "Criteria": {
            "FilterOperator": "And",
            "Conditions": [
                {
                    "PropertyName": "LogicalName",
                    "ConditionOperator": "Equals",
                    "Value": {"Type": "System.String", "Value": "account"},
                }
            ],
        },
        "AttributeQuery": {
            "Properties": {"PropertyNames": ["MaxLength", "OptionSet"]},
            "Criteria": {
                "FilterOperator": "Or",
                "Conditions": [
                    {"PropertyName": "LogicalName", "ConditionOperator": "In", "Value": {"Value": "name,industrycode"}}
                ],
            },
        },
    }
    answered = await client.get(f"RetrieveMetadataChanges(Query=@p1)?@p1={json.dumps(query)}")

    (entity,) = answered.json["EntityMetadata"]
    columns = {column["LogicalName"]: column for column in entity["Attributes"]}
    assert entity["DisplayName"]["UserLocalizedLabel"]["Label"] == "Account"
    assert columns.keys() == {"name", "industrycode"}
    assert columns["name"]["MaxLength"] == 160
    assert "MaxLength" not in columns["industrycode"]
    assert len(columns["industrycode"]["OptionSet"]["Options"]) == 33
