"""Rows that are named by an alternate key, in every verb and wherever a URL of a row may stand (web-api-wire, 5, 9)."""

from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.webapi.calling import ROOT, Client, a_client

KEYS = {
    "account": {"new_ByNumber": ["accountnumber"], "new_ByPlace": ["address1_city", "numberofemployees"]},
    "contact": {"new_ByAccount": ["lastname", "parentcustomerid"]},
    "lead": {"new_ByParent": ["parentcontactid"]},
    "task": {"new_ByRegarding": ["subject", "scheduledstart"]},
    "opportunity": {"new_ByCurrency": ["transactioncurrencyid", "name"]},
}


@pytest.fixture
async def client() -> Client:
    found = await a_client()
    for entity, keys in KEYS.items():
        for name, columns in keys.items():
            made = await found.post(
                f"EntityDefinitions(LogicalName='{entity}')/Keys", {"SchemaName": name, "KeyAttributes": columns}
            )
            assert made.status == 204, made.text
    return found


@pytest.mark.parametrize("number", ["A1", "O'H & Sø/5% (x)=,;?#", "accounts(1)", "{x}", '"', "null", "@p1"])
async def test_a_row_is_made_read_changed_and_removed_by_a_key_of_text(client: Client, number: str) -> None:
    url = f"accounts(accountnumber='{quote(number.replace("'", "''"), safe='')}')"

    made = await client.patch(url, {"name": "A"})
    changed = await client.patch(url, {"name": "B"})
    read = await client.get(url)

    assert (made.status, changed.status, read.status) == (204, 204, 200), read.text
    assert made.headers["OData-EntityId"] == changed.headers["OData-EntityId"] == f"{ROOT}accounts({made.id})"
    assert (read.json["accountid"], read.json["name"], read.json["accountnumber"]) == (made.id, "B", number)
    assert (await client.get(f"{url}/name/$value")).text == "B"
    assert (await client.put(f"{url}/fax", {"value": "1"})).status == 204
    assert (await client.get(f"{url}/fax")).json["value"] == "1"
    assert (await client.delete(f"{url}/fax")).status == 204
    assert (await client.get(f"{url}/fax")).status == 204
    assert (await client.delete(url)).status == 204
    gone = await client.get(url)
    assert (gone.status, gone.code) == (404, "0x80060891")
    assert number.strip() in gone.message


async def test_a_key_of_several_columns_may_be_written_in_any_order_and_through_aliases(client: Client) -> None:
    account = await client.make("accounts", name="A", address1_city="Ulm", numberofemployees=5)

    for url in (
        "accounts(address1_city='Ulm',numberofemployees=5)",
        "accounts(numberofemployees=5, address1_city='Ulm')",
        "accounts(address1_city='ULM',numberofemployees=5)",
        "accounts(address1_city=@city,numberofemployees=@n)?@city='Ulm'&@n=5",
    ):
        read = await client.get(url)
        assert (read.status, read.json.get("accountid")) == (200, account), url
    missing = await client.get("accounts(address1_city='Ulm',numberofemployees=6)")
    assert (missing.status, missing.code) == (404, "0x80060891")


async def test_a_key_may_hold_lookups_to_one_table_and_to_several(client: Client) -> None:
    account, other = await client.make("accounts", name="A"), await client.make("accounts", name="B")
    contact = await client.make("contacts", lastname="L", parentcustomerid_account__bind=f"accounts({account})")

    lead = await client.make("leads", lastname="L", parentcontactid__bind=f"contacts({contact})")
    for bare in (contact, contact.upper()):
        assert (await client.get(f"leads(_parentcontactid_value={bare})")).json.get("leadid") == lead
    for url in (
        f"contacts(lastname='L',_parentcustomerid_value={account.upper()})",
        f"contacts(lastname='L',_parentcustomerid_value={account})",
        f"contacts(_parentcustomerid_value={account},lastname='l')",
    ):
        read = await client.get(url)
        assert (read.status, read.json.get("contactid")) == (200, contact), (url, read.text)
        assert (await client.patch(url, {"jobtitle": url[:90]}, If_Match="*")).id == contact
    assert (await client.get(f"contacts(lastname='L',_parentcustomerid_value={other})")).status == 404
    assert (await client.get("leads(_parentcontactid_value='x')")).status == 400
    currency = (await client.get("transactioncurrencies")).rows[0]["transactioncurrencyid"]
    url = f"opportunities(_transactioncurrencyid_value={currency},name='N')"
    made = await client.patch(url, {"customerid_account@odata.bind": f"accounts({account})"})
    assert made.status == 204, made.text
    row = (await client.get(url)).json
    assert (row["opportunityid"], row["name"], row["_transactioncurrencyid_value"]) == (made.id, "N", currency)


async def test_a_row_is_not_made_of_a_lookup_key_that_does_not_tell_the_table(client: Client) -> None:
    account = await client.make("accounts", name="A")
    url = f"contacts(lastname='L',_parentcustomerid_value={account})"

    vague = await client.patch(url, {"firstname": "F"})
    assert (vague.status, "parentcustomerid" in vague.message) == (400, True), vague.text
    told = await client.patch(url, {"firstname": "F", "parentcustomerid_account@odata.bind": f"accounts({account})"})

    assert told.status == 204, told.text
    row = (await client.get(url)).json
    assert (row["contactid"], row["lastname"], row["_parentcustomerid_value"]) == (told.id, "L", account)


async def test_moments_are_keys_in_every_form(client: Client) -> None:
    task = await client.make("tasks", subject="S", scheduledstart="2026-03-01T09:30:00Z")

    for moment in ("2026-03-01T09:30:00Z", "2026-03-01T10:30:00%2B01:00", "2026-03-01T09:30:00.000Z"):
        read = await client.get(f"tasks(subject='S',scheduledstart={moment})")
        assert read.json.get("activityid") == task, (moment, read.text)


@pytest.mark.parametrize(
    ("headers", "exists", "missing"),
    [
        ({}, 204, 204),
        ({"If_None_Match": "null"}, 204, 204),
        ({"If_Match": "*"}, 204, 404),
        ({"If_Match": "*", "If_None_Match": "null"}, 204, 404),
        ({"If_None_Match": "*"}, 412, 204),
        ({"If_Match": 'W/"0"'}, 412, 404),
    ],
)
async def test_what_patch_does_by_an_alternate_key_is_said_by_its_headers(
    client: Client, headers: dict[str, str], exists: int, missing: int
) -> None:
    account = await client.make("accounts", name="A", accountnumber="1")

    there = await client.patch("accounts(accountnumber='1')", {"name": "B"}, **headers)
    not_there = await client.patch("accounts(accountnumber='2')", {"name": "B"}, **headers)

    assert (there.status, not_there.status) == (exists, missing)
    assert (await client.get(f"accounts({account})")).json["name"] == ("B" if exists == 204 else "A")
    if exists == 412:
        assert there.code in {"0x80060882", "0x80060892"}
    if missing == 404:
        assert not_there.code == "0x80060891"
    made = await client.get("accounts(accountnumber='2')")
    assert (made.status, made.json.get("accountnumber")) == ((200, "2") if missing == 204 else (404, None))


async def test_the_answer_of_an_upsert_by_key_says_what_became_of_it(client: Client) -> None:
    prefer = {"Prefer": "return=representation"}

    made = await client.patch("accounts(accountnumber='1')?$select=name,accountnumber", {"name": "A"}, **prefer)
    changed = await client.patch("accounts(accountnumber='1')?$select=name", {"name": "B"}, **prefer)

    assert (made.status, made.json["name"], made.json["accountnumber"]) == (201, "A", "1")
    assert (changed.status, changed.json["name"], changed.json["accountid"]) == (200, "B", made.json["accountid"])
    assert made.id == changed.id == made.json["accountid"]


async def test_an_id_in_the_body_of_an_upsert_by_key_is_the_id_of_a_new_row_and_never_another_one(
    client: Client,
) -> None:
    wanted, other = str(uuid4()), str(uuid4())

    made = await client.patch("accounts(accountnumber='1')", {"name": "A", "accountid": wanted})
    same = await client.patch("accounts(accountnumber='1')", {"name": "B", "accountid": wanted})
    wrong = await client.patch("accounts(accountnumber='1')", {"name": "C", "accountid": other})
    wrong_update = await client.patch("accounts(accountnumber='1')", {"name": "C", "accountid": other}, If_Match="*")

    assert (made.status, made.id, same.status, same.id) == (204, wanted, 204, wanted)
    assert (wrong.status, wrong_update.status) == (400, 400)
    assert other in wrong.message
    assert [row["name"] for row in (await client.get("accounts")).rows] == ["B"]


async def test_an_upsert_by_key_takes_rows_within_it_along(client: Client) -> None:
    body = {"name": "A", "contact_customer_accounts": [{"lastname": "First"}]}
    first = await client.patch("accounts(accountnumber='1')", body)
    second = await client.patch(
        "accounts(accountnumber='1')", {"primarycontactid": {"lastname": "Second"}, "name": "B"}
    )

    assert (first.status, second.status, second.id) == (204, 204, first.id)
    row = (await client.get(f"accounts({first.id})?$expand=primarycontactid,contact_customer_accounts")).json
    assert (row["name"], row["primarycontactid"]["lastname"]) == ("B", "Second")
    assert [each["lastname"] for each in row["contact_customer_accounts"]] == ["First"]


async def test_a_taken_key_is_told_with_its_columns(client: Client) -> None:
    await client.make("accounts", name="A", accountnumber="1")
    other = await client.make("accounts", name="B", accountnumber="2")

    for answered in (
        await client.post("accounts", {"name": "C", "accountnumber": "1"}),
        await client.patch(f"accounts({other})", {"accountnumber": "1"}),
        await client.patch("accounts(accountnumber='2')", {"accountnumber": "1"}),
        await client.put(f"accounts({other})/accountnumber", {"value": "1"}),
    ):
        assert (answered.status, answered.code) == (412, "0x80060892")
        assert "accountnumber" in answered.message
    assert len((await client.get("accounts")).rows) == 2


async def test_rows_are_bound_linked_and_unlinked_by_their_alternate_keys(client: Client) -> None:
    account = await client.make("accounts", name="A", accountnumber="A'1")
    by_key = "accounts(accountnumber='A''1')"
    contacts = [
        await client.make("contacts", lastname=f"L{place}", parentcustomerid_account__bind=url)
        for place, url in enumerate((by_key, f"/{by_key}", f"{ROOT}{by_key}", f"/api/data/v9.2/{by_key}"))
    ]
    members = f"{by_key}/contact_customer_accounts"

    assert {row["contactid"] for row in (await client.get(members)).rows} == set(contacts)
    assert (await client.get(f"{members}/$count")).text == "4"
    unlink = f"{members}/$ref?$id={ROOT}contacts(lastname='L0',_parentcustomerid_value={account})"
    assert (await client.delete(unlink)).status == 204
    assert (await client.delete(f"{members}({contacts[1]})/$ref")).status == 204
    assert (await client.get(f"{members}/$count")).text == "2"
    linked = await client.put(f"contacts({contacts[0]})/parentcustomerid_account/$ref", {"@odata.id": by_key})
    assert linked.status == 204
    assert (await client.post(f"{members}/$ref", {"@odata.id": f"contacts({contacts[1]})"})).status == 204
    made = await client.post(members, {"lastname": "New"})
    assert (await client.get(f"contacts({made.id})/parentcustomerid_account/accountnumber/$value")).text == "A'1"
    missing = await client.post("contacts", {"parentcustomerid_account@odata.bind": "accounts(accountnumber='none')"})
    assert (missing.status, missing.code) == (404, "0x80060891")


@pytest.mark.parametrize(
    "key",
    [
        *("1", "x", "''", "name='A'", "accountnumber='1',name='A'", "accountnumber='1',accountnumber='1'"),
        *("accountid='x'", "accountid=1", "numberofemployees=5", "accountnumber", "=1", "address1_city='x','y'"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_wrong_key_is_400_and_told_with_the_keys_there_are(client: Client, method: str, key: str) -> None:
    answered = await client.send(method, f"accounts({key})", {"name": "x"} if method == "PATCH" else None)

    assert answered.status == 400, answered.text
    assert answered.code == "0x80060888"
    assert "The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.account'. " in answered.message
    assert "accounts(accountnumber=<value>)" in answered.message


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("accountnumber=null", 400),
        ("accountnumber=''", 400),
        ("accountnumber='x", 400),
        ("accountnumber='it's'", 400),
        ("address1_city='Ulm',numberofemployees='five'", 400),
        ("address1_city='Ulm',numberofemployees=99999999999", 400),
        ("accountnumber=@p1", 400),
    ],
)
async def test_a_key_without_a_value_is_400(client: Client, key: str, status: int) -> None:
    for method in ("GET", "PATCH"):
        answered = await client.send(method, f"accounts({key})", {"name": "x"} if method == "PATCH" else None)
        assert (answered.status, bool(answered.message)) == (status, True), answered.text
    assert (await client.get("accounts")).rows == []


@pytest.mark.parametrize("form", ["{id}", "{upper}", "accountid={id}", "accountid={upper}", "'{id}'", "%7B{id}%7D"])
async def test_the_primary_key_comes_in_every_form(client: Client, form: str) -> None:
    account = await client.make("accounts", name="A")
    url = f"accounts({form.format(id=account, upper=account.upper())})"

    assert (await client.get(url)).json["accountid"] == account
    assert (await client.patch(url, {"name": "B"})).headers["OData-EntityId"] == f"{ROOT}accounts({account})"
    assert (await client.delete(url)).status == 204
