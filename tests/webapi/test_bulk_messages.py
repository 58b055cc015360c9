"""Many rows in one message: all of them or none, and an error that names the one it is about."""

from typing import Any

import pytest

from tests.webapi.asking import Asked, Client, written

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


async def with_key(client: Client) -> None:
    key = {"SchemaName": "new_ByNumber", "KeyAttributes": ["accountnumber"]}
    assert (await client.post("EntityDefinitions(LogicalName='account')/Keys", key)).status == 204


@pytest.mark.parametrize(
    "form",
    ["{}", "/{}", "/api/data/v9.2/{}", "http://localhost/api/data/v9.2/{}", "https://elsewhere/api/data/v9.0/{}"],
)
async def test_targets_are_named_by_alternate_keys_in_every_form_of_url(client: Client, form: str) -> None:
    await with_key(client)
    there = (await client.post("accounts", {"name": "A", "accountnumber": "it's 1"})).id
    first, second = (form.format(f"accounts(accountnumber='{number}')") for number in ("it''s%201", "2"))

    upserted = await call(
        client,
        "UpsertMultiple",
        {"@odata.id": first, "@odata.type": "#Microsoft.Dynamics.CRM.account", "name": "A2"},
        {"@odata.id": second, "name": "B", "contact_customer_accounts": [{"lastname": "L"}]},
    )

    ids = upserted.json["Ids"]
    assert (upserted.status, ids[0], len(ids)) == (200, there, 2)
    assert upserted.json["@odata.context"].endswith("$metadata#Microsoft.Dynamics.CRM.UpsertMultipleResponse")
    assert sorted(await client.names("accounts", "accountnumber")) == ["2", "it's 1"]
    assert await client.names(f"accounts({ids[1]})/contact_customer_accounts", "lastname") == ["L"]
    updated = await call(
        client, "UpdateMultiple", {"@odata.id": first, "name": "A3"}, {"@odata.id": second, "fax": "1"}
    )
    assert (updated.status, updated.body) == (204, b"")
    missing = await call(
        client, "UpdateMultiple", {"@odata.id": form.format("accounts(accountnumber='3')"), "fax": "2"}
    )
    assert missing.error[:2] == (404, "0x80060891")
    assert (await call(client, "DeleteMultiple", {"@odata.id": first}, {"@odata.id": second})).status == 204
    assert await client.names("accounts") == []


async def test_a_taken_key_is_told_of_its_target_and_undoes_all(client: Client) -> None:
    await with_key(client)
    await client.post("accounts", {"name": "there", "accountnumber": "1"})

    for targets, place in (
        ([{"name": "A"}, {"name": "B"}, {"name": "C", "accountnumber": "1"}], 2),
        ([{"name": "A", "accountnumber": "2"}, {"name": "B", "accountnumber": "2"}], 1),
    ):
        refused = await call(client, "CreateMultiple", *targets)
        assert refused.error[:2] == (412, "0x80060892")
        assert refused.error[2].startswith(f"Targets[{place}]: ")
        assert "accountnumber" in refused.error[2]
    assert await client.names("accounts") == ["there"]


async def test_targets_bind_attach_and_nest_as_single_rows_do(client: Client) -> None:
    contact = (await client.post("contacts", {"lastname": "Lind"})).id
    there = (await client.post("accounts", {"name": "A"})).id

    changed = await call(
        client,
        "UpdateMultiple",
        {
            "accountid": there.upper(),
            "@odata.etag": 'W/"999"',
            "primarycontactid@odata.bind": f"/contacts({contact})",
            "contact_customer_accounts@odata.bind": [f"contacts({contact})"],
            "Account_Tasks": [{"subject": "Call"}],
        },
        {"accountid": there, "name": "A2"},
    )

    assert changed.status == 204, changed.body
    row = (await client.get(f"accounts({there})?$expand=contact_customer_accounts,Account_Tasks")).json
    assert (row["name"], row["_primarycontactid_value"]) == ("A2", contact)
    assert [each["lastname"] for each in row["contact_customer_accounts"]] == ["Lind"]
    assert [each["subject"] for each in row["Account_Tasks"]] == ["Call"]


async def test_a_target_has_one_id(client: Client) -> None:
    there = (await client.post("accounts", {"name": "A"})).id

    for name in ("UpdateMultiple", "UpsertMultiple"):
        refused = await call(client, name, {"@odata.id": f"accounts({there})", "accountid": NOWHERE, "name": "B"})
        assert refused.error[0] == 400
        assert NOWHERE in refused.error[2]
    assert await client.names("accounts") == ["A"]


@pytest.mark.parametrize("name", ["CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple"])
async def test_a_bulk_message_is_posted_to_a_set(client: Client, name: str) -> None:
    there = (await client.post("accounts", {"name": "A"})).id
    targets = {"Targets": [{"accountid": there, "name": "B"}]}

    assert (await client.get(f"accounts/Microsoft.Dynamics.CRM.{name}")).error[0] == 405
    assert (await client.post(f"accounts({there})/Microsoft.Dynamics.CRM.{name}", targets)).error[0] in {400, 404}
    assert (await client.post(name, targets)).error[0] == 404
    assert (await client.post(f"nosuchsets/Microsoft.Dynamics.CRM.{name}", targets)).error[0] == 404
    assert await client.names("accounts") == ["A"]


async def test_a_change_set_with_a_bulk_message_and_more_is_refused_and_a_batch_is_not(client: Client) -> None:
    bulk = written("POST", "accounts/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": [{"name": "A"}]})

    outer, parts = await client.batch([bulk, written("POST", "accounts", {"name": "B"})])
    assert outer.status == 400
    (answers,) = parts
    assert isinstance(answers, list)
    assert "cannot share a change set" in answers[0].error[2]
    assert await client.names("accounts") == []
    outer, _ = await client.batch(bulk, written("POST", "accounts", {"name": "B"}))
    assert outer.status == 200
    assert sorted(await client.names("accounts")) == ["A", "B"]
