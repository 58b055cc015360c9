"""Making, reading, changing and removing rows over the Web API (web-api-wire, sections 7 to 12)."""

from uuid import UUID, uuid4

import pytest

from asyncservice.organization.wellknown import LOCAL_USER
from tests.webapi.calling import ROOT, Client, a_client


@pytest.fixture
async def client() -> Client:
    return await a_client()


async def test_a_row_comes_back_as_it_was_sent(client: Client) -> None:
    made = await client.post(
        "accounts", {"name": "Northwind", "numberofemployees": 12, "revenue": 20000.5, "creditonhold": True}
    )

    assert (made.status, made.text) == (204, "")
    assert made.headers["OData-EntityId"] == made.headers["Location"] == f"{ROOT}accounts({made.id})"
    assert made.headers["OData-Version"] == "4.0"
    assert "Content-Type" not in made.headers
    read = await client.get(f"accounts({made.id})")
    row = read.json
    assert read.status == 200
    assert read.headers["Content-Type"].startswith("application/json")
    assert {name: row[name] for name in ("name", "numberofemployees", "revenue", "creditonhold")} == {
        "name": "Northwind",
        "numberofemployees": 12,
        "revenue": 20000.5,
        "creditonhold": True,
    }
    assert (row["accountid"], row["statecode"], row["statuscode"]) == (made.id, 0, 1)
    assert row["_createdby_value"] == row["_ownerid_value"] == str(LOCAL_USER)
    assert row["createdon"].endswith("Z")
    assert "." not in row["createdon"]
    assert row["telephone1"] is None
    assert row["@odata.etag"] == read.headers["ETag"] == f'W/"{row["versionnumber"]}"'
    assert row["@odata.context"] == f"{ROOT}$metadata#accounts/$entity"


async def test_a_representation_is_201_and_the_row_as_selected(client: Client) -> None:
    made = await client.post("accounts?$select=name", {"name": "Northwind"}, Prefer="return=representation")

    assert made.status == 201
    assert made.headers["Preference-Applied"] == "return=representation"
    assert made.json.keys() == {"@odata.context", "@odata.etag", "name", "accountid"}
    assert made.id == made.json["accountid"]


async def test_the_id_may_be_given_and_is_taken_once(client: Client) -> None:
    record_id = str(uuid4())

    first = await client.post("accounts", {"accountid": record_id.upper(), "name": "A"})
    second = await client.post("accounts", {"accountid": record_id, "name": "B"})

    assert (first.status, first.id) == (204, record_id)
    assert (second.status, second.code) == (412, "0x80040237")


async def test_lookups_are_bound_by_every_form_of_url(client: Client) -> None:
    contact = await client.make("contacts", lastname="Lind")

    for url in (f"/contacts({contact})", f"contacts({contact})", f"{ROOT}contacts({contact})"):
        account = await client.make("accounts", name="A", primarycontactid__bind=url)
        read = await client.get(f"accounts({account})?$select=_primarycontactid_value")
        assert read.json["_primarycontactid_value"] == contact


async def test_a_lookup_to_several_tables_is_told_by_its_navigation_property(client: Client) -> None:
    account = await client.make("accounts", name="A")

    contact = await client.make("contacts", lastname="L", parentcustomerid_account__bind=f"/accounts({account})")
    wrong = await client.post(
        "contacts", {"lastname": "L", "parentcustomerid_contact@odata.bind": f"/accounts({account})"}
    )

    read = await client.get(f"contacts({contact})", Prefer='odata.include-annotations="*"')
    assert read.json["_parentcustomerid_value"] == account
    assert read.json["_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    associated = "_parentcustomerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"
    assert read.json[associated] == "parentcustomerid_account"
    assert read.json["_parentcustomerid_value@OData.Community.Display.V1.FormattedValue"] == "A"
    assert wrong.status == 400


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"nmae": "A"}, 400, "nmae"),
        ({"name": 5}, 400, "name"),
        ({"numberofemployees": "12"}, 400, "numberofemployees"),
        ({"numberofemployees": True}, 400, "numberofemployees"),
        ({"creditonhold": 1}, 400, "creditonhold"),
        ({"industrycode": 99999}, 400, "industrycode"),
        ({"name": "x" * 161}, 400, "name"),
        ({"_primarycontactid_value": str(LOCAL_USER)}, 400, "_primarycontactid_value"),
        ({"primarycontact@odata.bind": "/contacts(1)"}, 400, "primarycontact"),
        ({"primarycontactid@odata.bind": "/contacts(1)"}, 400, "contact"),
        ({"primarycontactid@odata.bind": f"/contacts({LOCAL_USER})"}, 404, str(LOCAL_USER)),
        ({"primarycontactid": "x"}, 400, "primarycontactid"),
        ({"accountid": "x"}, 400, "accountid"),
        ({"@odata.type": "Microsoft.Dynamics.CRM.contact"}, 400, "account"),
        ([], 400, "object"),
        (b"", 400, "body"),
        (b"{", 400, "JSON"),
        (b"\xff", 400, "UTF-8"),
        (b'{"revenue": NaN}', 400, "NaN"),
        (b"[" * 5000, 400, "body"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_stored(
    client: Client, body: object, status: int, word: str
) -> None:
    answered = await client.post("accounts", body)

    assert answered.status == status, answered.text
    assert word in answered.message
    assert answered.code.startswith("0x")
    assert (await client.get("accounts")).rows == []


async def test_annotations_of_a_body_are_ignored(client: Client) -> None:
    body = {
        "@odata.etag": 'W/"1"',
        "@odata.context": "x",
        "name": "A",
        "name@OData.Community.Display.V1.FormattedValue": "B",
        "_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname": "systemuser",
    }

    assert (await client.post("accounts", body)).status == 204


async def test_rows_within_a_row_are_made_with_it(client: Client) -> None:
    made = await client.post(
        "accounts",
        {
            "name": "A",
            "primarycontactid": {"lastname": "First"},
            "contact_customer_accounts": [{"lastname": "Second"}, {"lastname": "Third"}],
            "Account_Tasks": [{"subject": "Call"}],
        },
    )

    read = await client.get(
        f"accounts({made.id})?$select=name&$expand=primarycontactid($select=lastname),"
        "contact_customer_accounts($select=lastname;$orderby=lastname),Account_Tasks($select=subject)"
    )
    row = read.json
    assert row["primarycontactid"]["lastname"] == "First"
    assert [each["lastname"] for each in row["contact_customer_accounts"]] == ["Second", "Third"]
    assert [each["subject"] for each in row["Account_Tasks"]] == ["Call"]


async def test_when_a_row_within_is_refused_none_is_made(client: Client) -> None:
    made = await client.post(
        "accounts", {"name": "A", "contact_customer_accounts": [{"lastname": "Good"}, {"lastname": "x" * 51}]}
    )

    assert made.status == 400
    assert (await client.get("accounts")).rows == (await client.get("contacts")).rows == []


async def test_a_missing_row_is_404(client: Client) -> None:
    missing = UUID(int=1)

    read = await client.get(f"accounts({missing})")

    assert (read.status, read.code) == (404, "0x80040217")
    assert str(missing) in read.message


async def test_one_column_is_read_bare_and_null_is_204(client: Client) -> None:
    account = await client.make("accounts", name="Å & B", creditonhold=True)

    value = await client.get(f"accounts({account})/name")
    bare = await client.get(f"accounts({account})/name/$value")
    flag = await client.get(f"accounts({account})/creditonhold/$value")
    null = await client.get(f"accounts({account})/telephone1")

    assert value.json["value"] == "Å & B"
    assert (bare.text, bare.headers["Content-Type"]) == ("Å & B", "text/plain")
    assert flag.text == "true"
    assert (null.status, null.text) == (204, "")


async def test_a_navigation_property_leads_to_the_row_and_to_its_reference(client: Client) -> None:
    contact = await client.make("contacts", lastname="Lind")
    account = await client.make("accounts", name="A", primarycontactid__bind=f"/contacts({contact})")
    other = await client.make("accounts", name="B")

    row = await client.get(f"accounts({account})/primarycontactid?$select=lastname")
    reference = await client.get(f"accounts({account})/primarycontactid/$ref")

    assert (row.json["lastname"], row.json["contactid"]) == ("Lind", contact)
    assert reference.json["@odata.id"] == f"{ROOT}contacts({contact})"
    assert (await client.get(f"accounts({other})/primarycontactid")).status == 204
    assert (await client.get(f"accounts({other})/primarycontactid/$ref")).status == 404


@pytest.mark.parametrize(
    ("headers", "exists", "missing"),
    [
        ({}, 204, 204),
        ({"If_None_Match": "null"}, 204, 204),
        ({"If_Match": "*"}, 204, 404),
        ({"If_Match": "*", "If_None_Match": "null"}, 204, 404),
        ({"If_None_Match": "*"}, 412, 204),
        ({"If_Match": 'W/"0"'}, 412, 404),
        ({"If_Match": "nonsense"}, 400, 400),
    ],
)
async def test_what_patch_does_is_said_by_its_headers(
    client: Client, headers: dict[str, str], exists: int, missing: int
) -> None:
    account, other = await client.make("accounts", name="A"), str(uuid4())

    there = await client.patch(f"accounts({account})", {"name": "B"}, **headers)
    not_there = await client.patch(f"accounts({other})", {"name": "B"}, **headers)

    assert (there.status, not_there.status) == (exists, missing)
    assert (await client.get(f"accounts({account})")).json["name"] == ("B" if exists == 204 else "A")
    assert (await client.get(f"accounts({other})")).status == (200 if missing == 204 else 404)


async def test_an_update_of_the_version_that_was_read_is_carried_out_once(client: Client) -> None:
    account = await client.make("accounts", name="A")
    etag = (await client.get(f"accounts({account})")).headers["ETag"]

    first = await client.patch(f"accounts({account})", {"name": "B"}, If_Match=etag)
    second = await client.patch(f"accounts({account})", {"name": "C"}, If_Match=etag)
    third = await client.delete(f"accounts({account})", If_Match=etag)

    assert (first.status, second.status, third.status) == (204, 412, 412)
    assert second.code == third.code == "0x80060882"


async def test_a_read_of_the_version_the_client_has_is_304(client: Client) -> None:
    account = await client.make("accounts", name="A")
    etag = (await client.get(f"accounts({account})")).headers["ETag"]

    unchanged = await client.get(f"accounts({account})", If_None_Match=etag)
    annotated = await client.get(f"accounts({account})", If_None_Match=etag, Prefer="odata.include-annotations=*")
    assert (unchanged.status, unchanged.text) == (304, "")
    assert annotated.status == 200


async def test_an_update_with_representation_is_200_and_the_row(client: Client) -> None:
    account = await client.make("accounts", name="A")

    changed = await client.patch(f"accounts({account})?$select=name", {"name": "B"}, Prefer="return=representation")
    created = await client.patch(f"accounts({uuid4()})", {"name": "C"}, Prefer="return=representation")

    assert (changed.status, changed.json["name"], created.status) == (200, "B", 201)


async def test_null_clears_columns_and_lookups(client: Client) -> None:
    contact = await client.make("contacts", lastname="Lind")
    for cleared in ("primarycontactid@odata.bind", "primarycontactid"):
        account = await client.make("accounts", name="A", fax="1", primarycontactid__bind=f"/contacts({contact})")
        assert (await client.patch(f"accounts({account})", {"fax": None, cleared: None})).status == 204
        row = (await client.get(f"accounts({account})")).json
        assert (row["fax"], row["_primarycontactid_value"]) == (None, None)


async def test_the_id_of_the_body_must_be_that_of_the_url(client: Client) -> None:
    account = await client.make("accounts", name="A")

    same = await client.patch(f"accounts({account})", {"accountid": account, "name": "B"})
    other = await client.patch(f"accounts({account})", {"accountid": str(uuid4()), "name": "C"})

    assert (same.status, other.status) == (204, 400)


async def test_one_column_is_put_and_deleted(client: Client) -> None:
    account = await client.make("accounts", name="A", fax="1")

    put = await client.put(f"accounts({account})/name", {"value": "B"})
    deleted = await client.delete(f"accounts({account})/fax")
    wrong = await client.put(f"accounts({account})/name", {"valeu": "B"})

    row = (await client.get(f"accounts({account})")).json
    assert (put.status, deleted.status, wrong.status) == (204, 204, 400)
    assert (row["name"], row["fax"]) == ("B", None)


async def test_a_row_is_deleted_once(client: Client) -> None:
    account = await client.make("accounts", name="A")

    first = await client.delete(f"accounts({account})", If_Match="*")
    second = await client.delete(f"accounts({account})")

    assert (first.status, second.status) == (204, 404)


async def test_rows_are_linked_and_unlinked_from_either_end(client: Client) -> None:
    account, contact = await client.make("accounts", name="A"), await client.make("contacts", lastname="L")
    members = f"accounts({account})/contact_customer_accounts"
    target = {"@odata.id": f"{ROOT}contacts({contact})"}

    async def is_linked() -> bool:
        return bool((await client.get(members)).rows)

    for unlink in (
        f"{members}({contact})/$ref",
        f"{members}/$ref?$id={ROOT}contacts({contact})",
        f"contacts({contact})/parentcustomerid_account/$ref",
    ):
        assert (await client.post(f"{members}/$ref", target)).status == 204
        assert await is_linked()
        assert (await client.delete(unlink)).status == 204
        assert not await is_linked()
    put = await client.put(f"contacts({contact})/parentcustomerid_account/$ref", {"@odata.id": f"accounts({account})"})
    assert put.status == 204
    assert await is_linked()
    references = (await client.get(f"{members}/$ref")).rows
    assert references == [{"@odata.id": f"{ROOT}contacts({contact})"}]


async def test_a_row_is_made_in_a_collection(client: Client) -> None:
    account = await client.make("accounts", name="A")

    made = await client.post(f"accounts({account})/contact_customer_accounts", {"lastname": "L"})

    assert made.status == 204
    assert (await client.get(f"contacts({made.id})")).json["_parentcustomerid_value"] == account
    assert (await client.get(f"accounts({account})/contact_customer_accounts({made.id})/lastname")).json["value"] == "L"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PATCH", "accounts", 405),
        ("DELETE", "accounts", 405),
        ("PUT", "accounts", 405),
        ("OPTIONS", "accounts", 405),
        ("POST", "accounts({id})", 405),
        ("POST", "accounts({id})/name", 405),
        ("PATCH", "accounts({id})/primarycontactid/$ref", 405),
        ("GET", "nosuchsets", 404),
        ("GET", "Accounts", 404),
        ("GET", "accounts({id})/nosuchproperty", 404),
        ("GET", "accounts/name", 404),
        ("GET", "accounts(1)", 400),
        ("GET", "accounts(nokey='1')", 400),
        ("GET", "accounts({id})/name/$count", 400),
        ("GET", "accounts({id})/$value", 400),
        ("GET", "accounts/../accounts", 400),
        ("GET", "accounts({id}", 400),
        ("GET", "accounts%00", 400),
        ("GET", "accounts%zz", 400),
        ("GET", "accounts?$skip=1", 400),
        ("GET", "accounts?$select=nmae", 400),
        ("GET", "accounts?$select=name&$select=fax", 400),
        ("GET", "accounts({id})?$filter=name eq 'A'", 400),
    ],
)
async def test_what_a_resource_does_not_take_is_refused(client: Client, method: str, path: str, status: int) -> None:
    account = await client.make("accounts", name="A")

    answered = await client.send(method, path.replace("{id}", account), {"name": "B"} if method != "GET" else None)

    assert answered.status == status, answered.text
    assert answered.message
    assert (await client.get(f"accounts({account})")).json["name"] == "A"


async def test_a_long_text_is_read_as_it_was_written_and_left_out_of_lists_that_select_nothing(client: Client) -> None:
    files = [await client.make("importfiles", name=name, content=f"name\n{name}") for name in ("A", "B")]

    one = await client.get(f"importfiles({files[0]})")
    bare = await client.get(f"importfiles({files[1]})/content/$value")
    listed = (await client.get("importfiles")).rows
    selected = (await client.get("importfiles?$select=content&$orderby=name")).rows

    assert (one.json["content"], bare.text) == ("name\nA", "name\nB")
    assert [row["content"] for row in listed] == [None, None]
    assert [row["content"] for row in selected] == ["name\nA", "name\nB"]


async def test_what_is_a_bug_is_answered_500_and_logged_under_the_id_of_the_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(entity: str) -> None:
        raise ZeroDivisionError(entity)

    monkeypatch.setattr(client.api.organization, "source", broken)
    answered = await client.get("accounts")

    assert (answered.status, answered.code) == (500, "0x80040216")
    assert answered.headers["x-ms-service-request-id"] in caplog.text
    assert "ZeroDivisionError" not in answered.text


async def test_rows_are_related_many_to_many_from_either_end(client: Client) -> None:
    account = await client.make("accounts", name="A")
    marketing = await client.make("lists", listname="L", createdfromcode=1)
    to_lists = f"accounts({account})/listaccount_association"
    to_accounts = f"lists({marketing})/listaccount_association"

    for link, target in (
        (f"{to_lists}/$ref", f"lists({marketing})"),
        (f"{to_accounts}/$ref", f"{ROOT}accounts({account})"),
    ):
        assert (await client.post(link, {"@odata.id": target})).status == 204
        assert [row["listname"] for row in (await client.get(to_lists)).rows] == ["L"]
        assert (await client.get(f"{to_accounts}/$count")).text == "1"
        assert (await client.get(f"{to_lists}({marketing})/listname")).json["value"] == "L"
        expanded = await client.get("accounts?$select=name&$expand=listaccount_association($select=listname)")
        assert [row["listname"] for row in expanded.rows[0]["listaccount_association"]] == ["L"]
        assert (await client.delete(f"{to_lists}({marketing})/$ref")).status == 204
        assert (await client.get(to_lists)).rows == []


async def test_an_owner_is_expanded_by_what_users_and_teams_share(client: Client) -> None:
    account = await client.make("accounts", name="A")

    expanded = await client.get(f"accounts({account})?$select=name&$expand=ownerid($select=name)")
    row = await client.get(f"accounts({account})/ownerid?$select=fullname")

    assert expanded.json["ownerid"] == {"name": "Local Developer", "ownerid": str(LOCAL_USER)}
    assert (row.json["fullname"], row.json["systemuserid"]) == ("Local Developer", str(LOCAL_USER))


async def test_rows_within_an_update_are_changed_or_made_and_linked(client: Client) -> None:
    account, contact = await client.make("accounts", name="A"), await client.make("contacts", lastname="L")
    other = await client.make("contacts", lastname="O")

    changed = await client.patch(
        f"accounts({account})",
        {
            "primarycontactid": {"@odata.id": f"contacts({contact})", "firstname": "F"},
            "contact_customer_accounts": [{"lastname": "New"}],
            "contact_customer_accounts@odata.bind": [f"contacts({other})"],
        },
    )

    assert changed.status == 204
    row = (
        await client.get(
            f"accounts({account})?$select=name&$expand=primarycontactid($select=fullname),"
            "contact_customer_accounts($select=lastname;$orderby=lastname)"
        )
    ).json
    assert row["primarycontactid"]["fullname"] == "F L"
    assert [each["lastname"] for each in row["contact_customer_accounts"]] == ["New", "O"]
