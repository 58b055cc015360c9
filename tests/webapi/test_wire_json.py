"""Values and objects as JSON has them, in and out (web-api-wire, sections 6 and 8)."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest

from tests.webapi.calling import ROOT, Client, a_client


@pytest.fixture
async def client() -> Client:
    return await a_client()


@pytest.mark.parametrize(
    ("table", "column", "sent", "read"),
    [
        ("accounts", "name", 'Ünïcödé 😀 \u2028 \\ " <&>', 'Ünïcödé 😀 \u2028 \\ " <&>'),
        ("accounts", "description", "line\r\nline\ttab", "line\r\nline\ttab"),
        ("accounts", "name", "", None),
        ("accounts", "numberofemployees", 12, 12),
        ("accounts", "revenue", 5000000.0, 5000000.0),
        ("accounts", "revenue", 5, 5.0),
        ("accounts", "creditonhold", False, False),
        ("accounts", "industrycode", 1, 1),
        ("tasks", "scheduledstart", "2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z"),
        ("tasks", "scheduledstart", "2026-03-01T09:30:00.9876543Z", "2026-03-01T09:30:00Z"),
        ("tasks", "scheduledstart", "2026-03-01T09:30:00+05:30", "2026-03-01T04:00:00Z"),
        ("tasks", "scheduledstart", "2026-03-01T09:30:00.5-01:00", "2026-03-01T10:30:00Z"),
        ("tasks", "scheduledstart", "2026-03-01T09:30:00", "2026-03-01T09:30:00Z"),
        ("tasks", "scheduledstart", "2026-03-01", "2026-03-01T00:00:00Z"),
        ("contacts", "birthdate", "2001-02-03", "2001-02-03"),
        ("contacts", "birthdate", "2001-02-03T00:00:00Z", "2001-02-03"),
    ],
)
async def test_a_value_is_read_as_it_was_sent(client: Client, table: str, column: str, sent: Any, read: Any) -> None:
    record_id = await client.make(table, **{column: sent})
    key = {"accounts": "accountid", "contacts": "contactid", "tasks": "activityid"}[table]

    row = (await client.get(f"{table}({record_id})")).json
    (listed,) = (await client.get(f"{table}?$select={column}")).rows
    one = await client.get(f"{table}({record_id})/{column}")

    assert row[column] == listed[column] == read
    assert type(row[column]) is type(read)
    assert listed[key] == record_id
    assert (one.status, one.json["value"] if one.text else None) == (204 if read is None else 200, read)
    without_lookups = {name: each for name, each in row.items() if not name.startswith("_")}
    assert (await client.patch(f"{table}({record_id})", without_lookups)).status == 204


async def test_a_moment_is_found_by_what_was_read(client: Client) -> None:
    client.clock.moment = client.clock.moment.replace(microsecond=123456)
    task = await client.make("tasks", scheduledstart="2026-03-01T09:30:00.750Z")
    await client.patch(f"tasks({task})", {"subject": "S"})
    row = (await client.get(f"tasks({task})")).json

    for column in ("scheduledstart", "createdon", "modifiedon"):
        found = await client.get(f"tasks?$select=subject&$filter={column} eq {row[column]}")
        assert [each["activityid"] for each in found.rows] == [task], column


async def test_choices_are_numbers_in_a_text(client: Client) -> None:
    label = {"LocalizedLabels": [{"Label": "x", "LanguageCode": 1033}]}
    column = {
        "@odata.type": "Microsoft.Dynamics.CRM.MultiSelectPicklistAttributeMetadata",
        "SchemaName": "new_Colours",
        "DisplayName": label,
        "OptionSet": {"IsGlobal": False, "Options": [{"Value": each, "Label": label} for each in (1, 2, 3)]},
    }
    added = await client.post("EntityDefinitions(LogicalName='account')/Attributes", column)
    assert added.status == 204, added.text

    account = await client.make("accounts", name="A", new_colours="3,1")

    assert (await client.get(f"accounts({account})")).json["new_colours"] == "1,3"
    refused = await client.patch(f"accounts({account})", {"new_colours": "1,4"})
    assert (refused.status, "new_colours" in refused.message) == (400, True)
    assert (await client.patch(f"accounts({account})", {"new_colours": None})).status == 204
    assert (await client.get(f"accounts({account})")).json["new_colours"] is None


async def test_guids_are_lower_case_however_they_came(client: Client) -> None:
    record_id = str(uuid4())
    await client.make("accounts", accountid=record_id.upper(), name="A")
    contact = await client.make(
        "contacts", lastname="L", parentcustomerid_account__bind=f"accounts({record_id.upper()})"
    )

    assert (await client.get(f"accounts({record_id.upper()})")).json["accountid"] == record_id
    assert (await client.get(f"contacts({contact})")).json["_parentcustomerid_value"] == record_id
    for spelled in (record_id, record_id.upper()):
        found = await client.get(f"contacts?$select=lastname&$filter=_parentcustomerid_value eq {spelled}")
        assert len(found.rows) == 1


async def test_a_row_shows_every_column_and_a_selection_only_its_own_and_the_key(client: Client) -> None:
    account = await client.make("accounts", name="A")
    defined = await client.get(
        "EntityDefinitions(LogicalName='account')/Attributes?$select=LogicalName,AttributeType,IsValidForRead"
    )
    lookups = {"Lookup", "Customer", "Owner"}
    columns = {
        f"_{each['LogicalName']}_value" if each["AttributeType"] in lookups else each["LogicalName"]
        for each in defined.rows
        if each["IsValidForRead"]
    }

    for row in ((await client.get(f"accounts({account})")).json, (await client.get("accounts")).rows[0]):
        assert {name for name in row if "@" not in name} == columns
        assert row["telephone1"] is row["_primarycontactid_value"] is None
    selected = await client.get(f"accounts({account})?$select=telephone1,_primarycontactid_value")
    assert {name for name in selected.json if "@" not in name} == {"telephone1", "_primarycontactid_value", "accountid"}


async def test_the_context_comes_first_and_says_what_there_is(client: Client) -> None:
    account = await client.make("accounts", name="A")
    for url, context in (
        ("accounts", "accounts"),
        ("accounts?$select=name,revenue", "accounts(name,revenue)"),
        (f"accounts({account})", "accounts/$entity"),
        (f"accounts({account})?$select=name", "accounts(name)/$entity"),
        (
            f"accounts({account})?$select=name,_ownerid_value&$expand=primarycontactid($select=fullname)",
            "accounts(name,_ownerid_value,primarycontactid(fullname))/$entity",
        ),
        (f"accounts({account})/name", f"accounts({account})/name"),
        (f"accounts({account})/contact_customer_accounts?$select=lastname", "contacts(lastname)"),
        (f"accounts({account})/contact_customer_accounts/$ref", "Collection($ref)"),
        ("WhoAmI", "Microsoft.Dynamics.CRM.WhoAmIResponse"),
        ("EntityDefinitions", "EntityDefinitions"),
        ("", ""),
    ):
        answered = await client.get(url)
        pairs: list[tuple[str, Any]] = json.loads(answered.text, object_pairs_hook=list)
        assert pairs[0] == ("@odata.context", f"{ROOT}$metadata{context and '#'}{context}"), url


async def test_rows_have_etags_wherever_they_stand(client: Client) -> None:
    account = await client.make("accounts", name="A")
    await client.post(f"accounts({account})/contact_customer_accounts", {"lastname": "L"})

    (row,) = (await client.get("accounts?$select=name&$expand=contact_customer_accounts($select=lastname)")).rows
    for each in (row, *row["contact_customer_accounts"]):
        assert re.fullmatch(r'W/"\d+"', each["@odata.etag"])
    (fetched,) = (
        await client.get("accounts?fetchXml=<fetch><entity name='account'><attribute name='fax'/></entity></fetch>")
    ).rows
    assert "fax" not in fetched, "FetchXML leaves unset columns out"
    assert fetched["accountid"] == account


async def test_what_is_annotated_in_a_body_is_ignored_and_nothing_else(client: Client) -> None:
    made = await client.post(
        "accounts",
        {
            "@odata.context": "x",
            "@odata.etag": 'W/"9"',
            "@odata.type": "#Microsoft.Dynamics.CRM.account",
            "@Microsoft.PowerApps.CDS.Whatever": {"a": [1]},
            "name@odata.type": "#String",
            "name": "A",
            "revenue@OData.Community.Display.V1.FormattedValue": "€5",
            "primarycontactid@odata.navigationLink": "x",
            "primarycontactid@odata.associationLink": "x",
            "nosuch@odata.nextLink": "x",
        },
    )

    assert made.status == 204, made.text
    assert (await client.get(f"accounts({made.id})/name")).json["value"] == "A"


@pytest.mark.parametrize(
    "body", [b'\xef\xbb\xbf{"name": "\\u00e4"}', '{"name": "ä"}'.encode(), b' \n{"name":"\\u00E4"} ']
)
async def test_text_is_utf_8_or_escaped(client: Client, body: bytes) -> None:
    made = await client.post("accounts", body)

    assert made.status == 204, made.text
    assert (await client.get(f"accounts({made.id})/name")).json["value"] == "ä"


async def test_the_key_may_be_read_as_a_column(client: Client) -> None:
    account = await client.make("accounts", name="A")

    assert (await client.get(f"accounts({account})/accountid/$value")).text == account
    owner = await client.get(f"accounts({account})/_ownerid_value")
    assert (owner.status, owner.json["value"]) == (
        200,
        (await client.get(f"accounts({account})")).json["_ownerid_value"],
    )
