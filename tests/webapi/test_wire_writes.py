"""What is said of creates, changes, links and removals sentence by sentence (web-api-wire, sections 7 to 12)."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from asyncservice.organization.wellknown import LOCAL_USER
from asyncservice.storage.memory import MemoryStorage
from tests.faults import Fault, FaultyStorage
from tests.webapi.calling import ROOT, Answered, Client, a_client

NOBODY = str(UUID(int=0xDEAD))


@pytest.fixture
async def client() -> Client:
    return await a_client()


async def test_a_representation_of_a_create_is_expanded_and_one_of_an_update_is_not(client: Client) -> None:
    contact = await client.make("contacts", lastname="L")
    url = "?$select=name&$expand=primarycontactid($select=lastname)"
    bind = {"name": "A", "primarycontactid@odata.bind": f"contacts({contact})"}
    prefer = 'return=representation,odata.include-annotations="*"'

    made = await client.post(f"accounts{url}", bind, Prefer=prefer)
    changed = await client.patch(f"accounts({made.id}){url}", {"name": "B"}, Prefer=prefer)

    assert (made.status, made.json["primarycontactid"]["lastname"]) == (201, "L")
    assert (changed.status, changed.json["name"], "primarycontactid" in changed.json) == (200, "B", False)
    assert made.json["@odata.context"].startswith(f"{ROOT}$metadata#accounts(")
    assert made.headers["Preference-Applied"] == 'return=representation,odata.include-annotations="*"'
    assert made.headers["ETag"] == made.json["@odata.etag"] != changed.json["@odata.etag"]
    assert changed.headers["OData-EntityId"] == made.headers["OData-EntityId"] == f"{ROOT}accounts({made.id})"
    assert "Location" not in changed.headers


async def test_a_row_that_was_made_and_cannot_be_shown_is_told_to_be_made() -> None:
    """Who is told that the storage does not answer makes the row again; so the answer is one without it."""
    storage = FaultyStorage(MemoryStorage(), number=-1, fault=Fault.FAILS_BEFORE)
    client = await a_client(storage)
    contact = await client.make("contacts", lastname="L")

    async def made() -> tuple[Answered, int]:
        before = len(storage.calls)
        body = {"name": "A", "primarycontactid@odata.bind": f"contacts({contact})"}
        prefer = 'return=representation,odata.include-annotations="*"'
        return await client.post("accounts", body, Prefer=prefer), len(storage.calls) - before

    await made()
    shown, calls = await made()
    # The last call looks up a name for an annotation, long after the row was written.
    storage.fail_at(len(storage.calls) + calls)
    unshown, _ = await made()

    assert (shown.status, unshown.status) == (201, 204)
    assert unshown.text == ""
    assert "Preference-Applied" not in unshown.headers
    assert (await client.get(f"accounts({unshown.id})?$select=name")).json["name"] == "A"
    assert len((await client.get("accounts")).rows) == 3


async def test_a_row_gets_what_the_system_knows_of_it_and_every_change_tells_who_and_when(client: Client) -> None:
    account = await client.make("accounts", name="A")
    before = (await client.get(f"accounts({account})")).json
    known = ("_createdby_value", "_modifiedby_value", "_ownerid_value")

    assert {before[name] for name in known} == {str(LOCAL_USER)}
    assert before["createdon"] == before["modifiedon"] == "2026-03-01T12:00:00Z"
    for change in (
        client.patch(f"accounts({account})", {"name": "B"}),
        client.put(f"accounts({account})/name", {"value": "C"}),
        client.delete(f"accounts({account})/fax"),
        client.patch(f"accounts({account})", {"createdon": "2001-01-01T00:00:00Z", "versionnumber": 1}),
    ):
        client.clock.moment += timedelta(minutes=1)
        assert (await change).status == 204
        after = (await client.get(f"accounts({account})")).json
        assert after["versionnumber"] != before["versionnumber"]
        assert after["modifiedon"] == f"{client.clock.moment:%Y-%m-%dT%H:%M:%SZ}"
        assert after["createdon"] == "2026-03-01T12:00:00Z"
        before = after


@pytest.mark.parametrize(
    ("body", "state", "status"),
    [
        ({"statecode": 1}, 1, 2),
        ({"statecode": 1, "statuscode": 2}, 1, 2),
        ({"statuscode": 2}, 1, 2),
        ({"statuscode": 1}, 0, 1),
        ({"statecode": 0}, 0, 1),
    ],
)
async def test_a_state_brings_its_status_along(client: Client, body: dict[str, int], state: int, status: int) -> None:
    account = await client.make("accounts", name="A")

    changed = await client.patch(f"accounts({account})", body)

    assert changed.status == 204, changed.text
    row = (await client.get(f"accounts({account})?$select=statecode,statuscode")).json
    assert (row["statecode"], row["statuscode"]) == (state, status)


@pytest.mark.parametrize("body", [{"statecode": 1, "statuscode": 1}, {"statecode": 0, "statuscode": 2}])
async def test_a_status_of_another_state_is_refused(client: Client, body: dict[str, int]) -> None:
    account = await client.make("accounts", name="A")

    for refused in (await client.patch(f"accounts({account})", body), await client.post("accounts", body)):
        assert (refused.status, refused.code) == (400, "0x80048408"), refused.text


@pytest.mark.parametrize(
    ("body", "code", "word"),
    [
        ({"nmae": "A"}, "0x80048d19", "nmae"),
        ({"Name": "A"}, "0x80048d19", "Name"),
        ({"name": 5}, "0x80048d19", "name"),
        ({"name": ["A"]}, "0x80048d19", "name"),
        ({"name": {"a": 1}}, "0x80048d19", "name"),
        ({"revenue": "5"}, "0x80048d19", "revenue"),
        ({"industrycode": "1"}, "0x80048d19", "industrycode"),
        ({"name": "x" * 161}, "0x80044331", "name"),
        ({"_ownerid_value": NOBODY}, "0x80048d19", "ownerid"),
        ({"primarycontactid": NOBODY}, "0x80048d19", "primarycontactid@odata.bind"),
        ({"parentcustomerid@odata.bind": "accounts(1)"}, "0x80048d19", "parentcustomerid"),
        ({"primarycontactid@odata.bind": f"contacts({NOBODY})"}, "0x80040217", NOBODY),
        ({"contact_customer_accounts@odata.bind": [f"contacts({NOBODY})"]}, "0x80040217", NOBODY),
        ({"primarycontactid@odata.bind": f"accounts({NOBODY})"}, "0x80048d19", "contact"),
        ({"primarycontactid@odata.bind": f"contacts({NOBODY})/lastname"}, "0x80048d19", "primarycontactid"),
        ({"primarycontactid@odata.bind": "contacts"}, "0x80048d19", "primarycontactid"),
        ({"primarycontactid@odata.bind": 5}, "0x80048d19", "primarycontactid"),
        ({"primarycontactid@odata.bind": []}, "0x80048d19", "primarycontactid"),
        ({"primarycontactid@odata.bind": ""}, "0x80048d19", "primarycontactid"),
        ({"primarycontactid@odata.bind": "$1"}, "0x80060888", "Content-ID Reference: '$1' does not exist"),
        ({"primarycontactid@odata.bind": "https://elsewhere/x/contacts(1)"}, "0x80060888", "service root"),
        ({"primarycontactid@odata.bind": f"nosuchsets({NOBODY})"}, "0x80048d19", "primarycontactid"),
        ({"contact_customer_accounts": {"lastname": "L"}}, "0x80048d19", "contact_customer_accounts"),
        ({"contact_customer_accounts": ["x"]}, "0x80048d19", "contact_customer_accounts"),
        ({"contact_customer_accounts": None}, "0x80048d19", "contact_customer_accounts"),
        ({"contact_customer_accounts@odata.bind": f"contacts({NOBODY})"}, "0x80048d19", "contact_customer_accounts"),
        ({"primarycontactid": [{"lastname": "L"}]}, "0x80048d19", "primarycontactid"),
        ({"primarycontactid": {"nmae": "L"}}, "0x80048d19", "nmae"),
        ({"primarycontactid": {"@odata.id": f"contacts({NOBODY})"}}, "0x80040217", NOBODY),
        ({"primarycontactid": {"lastname": "L", "@odata.type": "#Microsoft.Dynamics.CRM.lead"}}, "0x80048d19", "lead"),
    ],
)
@pytest.mark.parametrize("changes", [False, True], ids=["create", "update"])
async def test_what_is_wrong_with_a_body_has_its_code_and_leaves_everything_as_it_was(
    client: Client, *, body: dict[str, Any], code: str, word: str, changes: bool
) -> None:
    account = await client.make("accounts", name="before")

    if changes:
        refused = await client.patch(f"accounts({account})", {"fax": "1", **body})
    else:
        refused = await client.post("accounts", {"fax": "1", **body})

    assert (refused.status, refused.code) == (404 if code == "0x80040217" else 400, code), refused.text
    assert word in refused.message
    (row,) = (await client.get("accounts")).rows
    assert (row["name"], row["fax"]) == ("before", None)
    assert (await client.get("contacts")).rows == []


async def test_lookups_are_bound_by_urls_of_other_hosts_versions_and_cases(client: Client) -> None:
    contact = await client.make("contacts", lastname="L")
    for url in (
        f"/api/data/v9.2/contacts({contact})",
        f"/api/data/v9.0/contacts({contact.upper()})",
        f"https://org.crm4.dynamics.com/api/data/v9.1/contacts({contact})",
        f"HTTPS://ORG/API/DATA/V9.2/contacts({contact})",
        f"contacts(contactid={contact})",
        f"/contacts%28{contact}%29",
        f" contacts({contact}) ",
    ):
        account = await client.make("accounts", name="A", primarycontactid__bind=url)
        found = await client.get(f"accounts({account})?$select=_primarycontactid_value")
        assert found.json["_primarycontactid_value"] == contact, url


async def test_an_owner_is_bound_to_users_and_teams(client: Client) -> None:
    user = (await client.get("systemusers?$select=fullname")).rows[-1]["systemuserid"]
    unit = (await client.get("businessunits")).rows[0]["businessunitid"]
    team = await client.make("teams", name="T", businessunitid__bind=f"businessunits({unit})")
    for owner, table in ((f"/systemusers({user})", "systemuser"), (f"teams({team})", "team")):
        account = await client.make("accounts", name="A", ownerid__bind=owner)
        row = (await client.get(f"accounts({account})", Prefer="odata.include-annotations=*")).json
        assert row["_ownerid_value"] in owner
        assert row["_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == table


async def test_a_row_that_is_there_is_attached_and_changed_within_a_new_one(client: Client) -> None:
    first, second, third = [await client.make("contacts", lastname=name) for name in ("F", "S", "T")]

    made = await client.post(
        "accounts",
        {
            "name": "A",
            "contact_customer_accounts@odata.bind": [f"/contacts({first})", f"{ROOT}contacts({second})"],
            "contact_customer_accounts": [{"lastname": "New", "Contact_Tasks": [{"subject": "Deep"}]}],
            "primarycontactid": {"contactid": third, "firstname": "Changed"},
        },
    )

    assert made.status == 204, made.text
    row = (
        await client.get(
            f"accounts({made.id})?$expand=primarycontactid($select=fullname),"
            "contact_customer_accounts($select=lastname;$orderby=lastname;$expand=Contact_Tasks($select=subject))"
        )
    ).json
    assert row["primarycontactid"]["fullname"] == "Changed T"
    members = row["contact_customer_accounts"]
    assert [each["lastname"] for each in members] == ["F", "New", "S"]
    assert [task["subject"] for task in members[1]["Contact_Tasks"]] == ["Deep"]
    assert len((await client.get("contacts")).rows) == 4


async def test_nothing_is_made_in_a_collection_of_a_row_that_is_not_there(client: Client) -> None:
    for body in ({"lastname": "L"}, {"lastname": "L", "Contact_Tasks": [{"subject": "S"}]}):
        refused = await client.post(f"accounts({NOBODY})/contact_customer_accounts", body)
        assert (refused.status, refused.code) == (404, "0x80040217")
        assert NOBODY in refused.message
    assert (await client.get("contacts")).rows == (await client.get("tasks")).rows == []


async def test_a_single_column_obeys_conditions_and_types(client: Client) -> None:
    account = await client.make("accounts", name="A", numberofemployees=1)
    etag = (await client.get(f"accounts({account})")).headers["ETag"]
    column = f"accounts({account})/numberofemployees"

    assert (await client.put(column, {"value": 2}, If_Match=etag)).status == 204
    stale = await client.put(column, {"value": 3}, If_Match=etag)
    stale_delete = await client.delete(column, If_Match=etag)
    wrong = await client.put(column, {"value": "x"})
    missing = await client.put(f"accounts({NOBODY})/name", {"value": "x"})
    missing_delete = await client.delete(f"accounts({NOBODY})/name")

    assert {(each.status, each.code) for each in (stale, stale_delete)} == {(412, "0x80060882")}
    assert (wrong.status, wrong.code) == (400, "0x80048d19")
    assert {(each.status, each.code) for each in (missing, missing_delete)} == {(404, "0x80040217")}
    assert (await client.get(column)).json["value"] == 2
    assert (await client.put(column, {"value": None}, If_None_Match="null")).status == 204
    assert (await client.get(column)).status == 204
    assert (await client.put(f"accounts({account})/createdon", {"value": "2001-01-01"})).status == 400
    assert (await client.put(f"accounts({account})/accountid", {"value": str(uuid4())})).status == 400
    assert (await client.put(f"accounts({account})/_ownerid_value", {"value": NOBODY})).status == 400


async def test_a_row_of_another_version_is_neither_linked_nor_unlinked(client: Client) -> None:
    account, contact = await client.make("accounts", name="A"), await client.make("contacts", lastname="L")
    link, target = f"contacts({contact})/parentcustomerid_account/$ref", {"@odata.id": f"accounts({account})"}

    refused = await client.put(link, target, If_Match='W/"0"')
    assert (refused.status, refused.code) == (412, "0x80060882")
    etag = (await client.get(f"contacts({contact})")).headers["ETag"]
    assert (await client.put(link, target, If_Match=etag)).status == 204
    assert (await client.delete(link, If_Match=etag)).status == 412
    assert (await client.get(link)).status == 200
    assert (await client.delete(link, If_Match="*", If_None_Match="null")).status == 204


@pytest.mark.parametrize(
    "target", ["{root}contacts({id})", "contacts({id})", "/contacts({id})", "/api/data/v9.2/contacts({id})"]
)
async def test_links_are_made_to_every_form_of_url(client: Client, target: str) -> None:
    account, contact = await client.make("accounts", name="A"), await client.make("contacts", lastname="L")
    url = target.format(root=ROOT, id=contact)
    members = f"accounts({account})/contact_customer_accounts"

    for _ in range(2):
        # Once is enough, twice does no harm.
        assert (await client.post(f"{members}/$ref", {"@odata.id": url, "@odata.context": "x"})).status == 204
    assert (await client.get(f"{members}/$count")).text == "1"
    assert (await client.delete(f"{members}/$ref?$id={url}")).status == 204
    assert (await client.get(f"{members}/$count")).text == "0"
    assert (await client.put(f"accounts({account})/primarycontactid/$ref", {"@odata.id": url})).status == 204
    assert (await client.get(f"accounts({account})/primarycontactid/contactid")).json["value"] == contact


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "accounts({id})/contact_customer_accounts/$ref", {"@odata.id": f"contacts({NOBODY})"}, 404),
        ("POST", "accounts({id})/contact_customer_accounts/$ref", {"@odata.id": "accounts({id})"}, 400),
        ("POST", "accounts({id})/contact_customer_accounts/$ref", {}, 400),
        ("POST", "accounts({id})/contact_customer_accounts/$ref", {"@odata.id": None}, 400),
        ("POST", f"accounts({NOBODY})/contact_customer_accounts/$ref", {"@odata.id": "contacts({contact})"}, 404),
        ("POST", f"accounts({NOBODY})/listaccount_association/$ref", {"@odata.id": "lists({id})"}, 404),
        ("PUT", f"accounts({NOBODY})/primarycontactid/$ref", {"@odata.id": "contacts({contact})"}, 404),
        ("PUT", "accounts({id})/primarycontactid/$ref", {"@odata.id": f"contacts({NOBODY})"}, 404),
        ("PUT", "accounts({id})/contact_customer_accounts/$ref", {"@odata.id": "contacts({contact})"}, 405),
        ("POST", "accounts({id})/primarycontactid/$ref", {"@odata.id": "contacts({contact})"}, 405),
        ("DELETE", "accounts({id})/contact_customer_accounts/$ref", None, 400),
        ("DELETE", "accounts({id})/contact_customer_accounts({contact})/$ref", None, 404),
        ("DELETE", f"accounts({{id}})/contact_customer_accounts({NOBODY})/$ref", None, 404),
        ("DELETE", f"accounts({NOBODY})/primarycontactid/$ref", None, 404),
        ("DELETE", f"accounts({NOBODY})", None, 404),
        ("GET", f"accounts({NOBODY})/contact_customer_accounts", None, 404),
        ("GET", f"accounts({NOBODY})/primarycontactid", None, 404),
        ("GET", f"accounts({NOBODY})/primarycontactid/$ref", None, 404),
        ("GET", f"accounts({NOBODY})/name", None, 404),
    ],
)
async def test_links_and_rows_that_are_not_there_are_told(
    client: Client, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    account, contact = await client.make("accounts", name="A"), await client.make("contacts", lastname="L")

    def placed(text: str) -> str:
        return text.replace("{id}", account).replace("{contact}", contact)

    sent = body and {name: placed(text) if isinstance(text, str) else text for name, text in body.items()}
    answered = await client.send(method, placed(path), sent)

    assert answered.status == status, answered.text
    assert answered.message
    if status == 404:
        assert answered.code == "0x80040217"
    row = (await client.get(f"accounts({account})?$expand=contact_customer_accounts")).json
    assert (row["_primarycontactid_value"], row["contact_customer_accounts"]) == (None, [])


async def test_a_read_is_304_only_of_the_version_the_client_has(client: Client) -> None:
    account = await client.make("accounts", name="A")
    etag = (await client.get(f"accounts({account})")).headers["ETag"]
    await client.patch(f"accounts({account})", {"name": "B"})
    fresh = await client.get(f"accounts({account})?$select=name", If_None_Match=etag)
    again = await client.get(f"accounts({account})?$select=name", If_None_Match=fresh.headers["ETag"])
    expanded = await client.get(f"accounts({account})?$expand=Account_Tasks", If_None_Match=fresh.headers["ETag"])

    assert (fresh.status, fresh.json["name"]) == (200, "B")
    assert (again.status, again.text, again.headers["ETag"]) == (304, "", fresh.headers["ETag"])
    assert "Content-Type" not in again.headers
    assert expanded.status == 200
    assert (await client.get(f"accounts({account})", If_None_Match="null")).status == 200
    assert (await client.get(f"accounts({NOBODY})", If_None_Match=etag)).status == 404


async def test_if_none_match_null_is_nothing_on_every_method(client: Client) -> None:
    null = {"If_None_Match": "null"}
    made = await client.post("accounts", {"name": "A"}, **null)
    url = f"accounts({made.id})"

    assert made.status == 204
    assert (await client.patch(url, {"fax": "1"}, If_Match="*", **null)).status == 204
    assert (await client.put(f"{url}/fax", {"value": "2"}, **null)).status == 204
    assert (await client.get(url, **null)).json["fax"] == "2"
    assert (await client.get(f"{url}/fax", **null)).status == 200
    assert (await client.get("accounts", **null)).status == 200
    assert (await client.get("WhoAmI", **null)).status == 200
    assert (await client.get("EntityDefinitions(LogicalName='account')?$select=LogicalName", **null)).status == 200
    assert (await client.delete(f"{url}/fax", **null)).status == 204
    assert (await client.delete(url, If_Match="*", **null)).status == 204
