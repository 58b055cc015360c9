"""Many rows in one message: all of them or none, and an error that names the one it is about."""

from typing import Any

import pytest

from tests.webapi.asking import Asked, Client

NOWHERE = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
async def client() -> Client:
    return await Client().opened()


async def call(client: Client, name: str, *targets: Any, table: str = "accounts") -> Asked:
    return await client.post(f"{table}/Microsoft.Dynamics.CRM.{name}", {"Targets": list(targets)})


async def test_rows_are_made_in_the_order_of_the_targets(client: Client) -> None:
    contact = (await client.post("contacts", {"lastname": "Lind"})).id
    made = await call(
        client,
        "CreateMultiple",
        {"@odata.type": "Microsoft.Dynamics.CRM.account", "name": "A"},
        {
            "@odata.type": "#Microsoft.Dynamics.CRM.account",
            "name": "B",
            "primarycontactid@odata.bind": f"/contacts({contact})",
        },
        {"name": "C", "contact_customer_accounts": [{"lastname": "Child"}]},
        {"name": "D", "accountid": NOWHERE},
    )
    assert made.json["@odata.context"].endswith("$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse")
    ids = made.json["Ids"]
    assert ids[3] == NOWHERE
    names = [(await client.get(f"accounts({each})?$select=name")).json["name"] for each in ids]
    assert names == ["A", "B", "C", "D"]
    assert await client.names(f"accounts({ids[2]})/contact_customer_accounts", "lastname") == ["Child"]
    assert (await client.get(f"accounts({ids[1]})")).json["_primarycontactid_value"] == contact


async def test_a_thousand_rows_are_made_at_once_and_one_more_is_refused(client: Client) -> None:
    rows = [{"name": f"A{number}"} for number in range(1000)]
    made = await call(client, "CreateMultiple", *rows)
    assert len(set(made.json["Ids"])) == 1000
    refused = await call(client, "CreateMultiple", *rows, {"name": "one more"})
    assert refused.error[0] == 400
    assert "1000 is the limit" in refused.error[2]


async def test_rows_are_changed_all_or_none(client: Client) -> None:
    first, second = [(await client.post("accounts", {"name": name})).id for name in "AB"]
    changed = await call(
        client,
        "UpdateMultiple",
        {"accountid": first, "name": "A2"},
        {"@odata.id": f"accounts({second})", "name": "B2"},
    )
    assert changed.status == 204
    assert changed.body == b""
    missing = await call(
        client, "UpdateMultiple", {"accountid": first, "name": "A3"}, {"accountid": NOWHERE, "name": "x"}
    )
    assert missing.error[:2] == (404, "0x80040217")
    assert missing.error[2].startswith("Targets[1]: ")
    assert sorted(await client.names("accounts")) == ["A2", "B2"]


async def test_rows_are_changed_or_made(client: Client) -> None:
    there = (await client.post("accounts", {"name": "A"})).id
    answer = await call(
        client, "UpsertMultiple", {"accountid": there, "name": "A2"}, {"accountid": NOWHERE, "name": "B"}
    )
    assert (answer.status, answer.json["Ids"]) == (200, [there, NOWHERE])
    assert sorted(await client.names("accounts")) == ["A2", "B"]


async def test_rows_are_removed_all_or_none(client: Client) -> None:
    first, second = [(await client.post("accounts", {"name": name})).id for name in "AB"]
    refused = await call(client, "DeleteMultiple", {"accountid": first}, {"accountid": NOWHERE})
    assert refused.error[0] == 404
    assert len(await client.names("accounts")) == 2
    assert (await call(client, "DeleteMultiple", {"accountid": first}, {"accountid": second})).status == 204
    assert await client.names("accounts") == []


@pytest.mark.parametrize(
    ("name", "target", "status", "said"),
    [
        ("CreateMultiple", {"nam": "x"}, 400, "Targets[1]: "),
        ("CreateMultiple", {"name": "x" * 500}, 400, "Targets[1]: "),
        ("CreateMultiple", {"name": "x", "primarycontactid@odata.bind": f"contacts({NOWHERE})"}, 404, "Targets[1]: "),
        ("CreateMultiple", {"name": "x", "accountid": NOWHERE}, 412, "Targets[1]: "),
        ("CreateMultiple", {"@odata.type": "Microsoft.Dynamics.CRM.contact", "lastname": "x"}, 400, "contact"),
        ("CreateMultiple", "x", 400, "Targets[1] takes an object"),
        ("UpdateMultiple", {"name": "x"}, 400, "neither 'accountid' nor '@odata.id'"),
        ("UpdateMultiple", {"accountid": "x"}, 400, "GUID"),
        ("UpdateMultiple", {"@odata.id": f"contacts({NOWHERE})"}, 400, "row of accounts"),
        ("UpsertMultiple", {"name": "x"}, 400, "Targets[1]: "),
        ("DeleteMultiple", {}, 400, "Targets[1]: "),
    ],
)
async def test_the_error_tells_which_target_it_is_about(
    client: Client, name: str, target: Any, status: int, said: str
) -> None:
    await client.ask("PATCH", f"accounts({NOWHERE})", {"name": "there"})
    await client.ask("PATCH", f"accounts({NOWHERE[:-1]}e)", {"name": "there, too"})
    good = {"accountid": f"{NOWHERE[:-1]}{'f' if name == 'CreateMultiple' else 'e'}"}
    answer = await call(client, name, good if name == "DeleteMultiple" else {**good, "name": "good"}, target)
    assert answer.error[0] == status, answer.body
    assert said in answer.error[2]
    assert sorted(await client.names("accounts")) == ["there", "there, too"]


@pytest.mark.parametrize("body", [{}, {"Targets": []}, {"Targets": None}, {"Targets": {}}, {"Target": [{}]}])
async def test_without_targets_nothing_happens(client: Client, body: Any) -> None:
    answer = await client.post("accounts/Microsoft.Dynamics.CRM.CreateMultiple", body)
    assert answer.error[0] == 400
    assert "Targets" in answer.error[2]


async def test_what_is_not_kept_as_records_takes_no_bulk_messages(client: Client) -> None:
    for table in ("asyncoperations", "sdkmessages"):
        answer = await call(client, "CreateMultiple", {"name": "x"}, table=table)
        assert answer.error[0] in {400, 405}


async def test_clients_find_the_bulk_messages_before_they_use_them(client: Client) -> None:
    found = await client.get(
        "sdkmessagefilters?$select=sdkmessagefilterid&$expand=sdkmessageid($select=name)"
        "&$filter=(sdkmessageid/name eq 'CreateMultiple' or sdkmessageid/name eq 'UpdateMultiple')"
        " and primaryobjecttypecode eq 'account'"
    )
    assert sorted(row["sdkmessageid"]["name"] for row in found.json["value"]) == ["CreateMultiple", "UpdateMultiple"]
