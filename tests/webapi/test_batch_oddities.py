"""Batches as they really are sent, and every rule of their answers, through the API (web-api-wire, section 19)."""

import json
import re
from typing import Any

import pytest

from tests.webapi.asking import Asked, Client, written

NOWHERE = "00000000-0000-4000-8000-00000000dead"
ROOT = "http://localhost/api/data/v9.2/"
FETCH = """<fetch><entity name='account'><attribute name='name'/><filter><condition attribute='name' operator='eq' \
value='x y'/></filter></entity></fetch>"""


@pytest.fixture
async def client() -> Client:
    return await Client().opened()


async def sent(client: Client, text: str, kind: str = "multipart/mixed; boundary=b", **headers: str) -> Asked:
    return await client.ask("POST", "$batch", text.encode(), {"Content-Type": kind, **headers})


def one(request: str, *lines: str) -> str:
    """Return a batch of one request, all line ends bare."""
    return "\n".join(["--b", "Content-Type: application/http", *lines, "", request, "--b--"])


def statuses(answer: Asked) -> list[int]:
    return [int(each) for each in re.findall(r"HTTP/1\.1 (\d{3}) ", answer.body.decode())]


def bodies(answer: Asked) -> list[Any]:
    """Read the parts as the roughest of clients do: from the first brace behind the headers to the last of the part."""
    text = answer.body.decode()
    boundary = answer.headers["Content-Type"].rpartition("boundary=")[2]
    found = []
    for part in re.split(rf"--{re.escape(boundary)}(?:--)?\r\n", text)[1:-1]:
        start, end = part.find("{"), part.rfind("}")
        found.append(json.loads(part[start : end + 1]) if start >= 0 else None)
    return found


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("around", ["", "\n", "\n\n"])
@pytest.mark.parametrize("last", ["", "\n", "\r\n\r\n"])
async def test_line_ends_and_empty_lines_make_no_difference(client: Client, end: str, around: str, last: str) -> None:
    text = (
        f"{around}--b\ncontent-transfer-encoding:binary\nCONTENT-TYPE:application/http\n{around}\n"
        f'POST accounts HTTP/1.1\nContent-Type:application/json; type=entry\n\n{{"name": "A"}}\n{around}'
        f'--b\nContent-Type: multipart/mixed;boundary="c d"\nContent-Length: 9999\n\n{around}'
        f"--c d\nContent-Type: application/http\nContent-ID: 1\n\nPATCH accounts({NOWHERE}) HTTP/1.1\n"
        f'Content-Length: 13\n\n{{"name": "B"}}\n{around}--c d--\n{around}'
        f"--b\nContent-Type: application/http\n\nGET accounts/$count HTTP/1.1\n--b--"
    )

    answer = await sent(client, text.replace("\n", end) + last)

    assert answer.status == 200, answer.body
    assert statuses(answer) == [204, 204, 200]
    assert answer.body.endswith(b"--\r\n")
    assert b"\r\n\r\n2\r\n--batchresponse_" in answer.body
    assert sorted(await client.names("accounts")) == ["A", "B"]


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/mixed;boundary=b",
        'multipart/mixed; boundary="b"',
        "Multipart/Mixed; Boundary=b; charset=utf-8",
        "multipart/mixed; charset=utf-8;boundary=b",
    ],
)
async def test_the_boundary_is_found(client: Client, kind: str) -> None:
    assert statuses(await sent(client, one("GET accounts HTTP/1.1"), kind)) == [200]


@pytest.mark.parametrize(
    "url",
    [
        "accounts?$filter=name eq 'x y'&$orderby=name desc",
        "/accounts?$filter=name eq 'x y'",
        "/api/data/v9.2/accounts?$filter=name eq 'x y'",
        "/api/data/v9.0/accounts?$filter=name%20eq%20'x+y'",
        "https://any.crm.dynamics.com/api/data/v9.1/accounts?$filter=name eq 'x y'",
        "http://localhost:7071/api/data/v9.2/accounts?%24filter=name+eq+'x%20y'",
        f"accounts?fetchXml={FETCH}",
    ],
)
async def test_an_address_has_four_forms_and_raw_spaces(client: Client, url: str) -> None:
    for name in ("x y", "z"):
        await client.post("accounts", {"name": name})

    answer = await sent(client, one(f"GET {url} HTTP/1.1\nAccept: application/json"))

    (found,) = bodies(answer)
    assert [row["name"] for row in found["value"]] == ["x y"]
    assert found["@odata.context"].startswith(f"{ROOT}$metadata#accounts")


async def test_a_content_id_stands_anywhere_and_is_echoed_with_the_part(client: Client) -> None:
    for text in (
        one("GET accounts HTTP/1.1", "Content-ID: 7"),
        one("GET accounts HTTP/1.1\nContent-ID: 7"),
        one("GET accounts HTTP/1.1\ncontent-id:7"),
    ):
        answer = await sent(client, text)
        head, _, rest = answer.body.decode().partition("\r\n\r\n")
        assert "Content-ID: 7" in head
        assert rest.startswith("HTTP/1.1 200 OK\r\n")


async def test_references_are_found_in_every_place_and_form(client: Client) -> None:
    outer, parts = await client.batch(
        [
            written("POST", "accounts", {"name": "A"}),
            written("POST", "contacts", {"lastname": "L", "parentcustomerid_account@odata.bind": "$1"}),
            written("POST", "contacts", {"lastname": "M", "parentcustomerid_account@odata.bind": "/$1"}),
            written("PATCH", "/$2", {"firstname": "F"}),
            written("PATCH", "/api/data/v9.2/$1", {"fax": "1"}),
            written("PUT", "https://x/api/data/v9.2/$1/telephone1", {"value": "2"}),
            written("PUT", "$1/primarycontactid/$ref", {"@odata.id": "/$3"}),
            written("POST", "$1/contact_customer_accounts", {"lastname": "N"}),
            written("POST", "tasks", {"subject": "T", "regardingobjectid_account_task@odata.bind": f"{ROOT}$1"}),
            written("PATCH", "%241", {"websiteurl": "http://x"}),
        ]
    )
    assert outer.status == 200, outer.body
    (answers,) = parts
    assert isinstance(answers, list)
    account = answers[0].id
    row = (
        await client.get(
            f"accounts({account})?$select=fax,telephone1,websiteurl&$expand=primarycontactid($select=lastname),"
            "contact_customer_accounts($select=fullname;$orderby=lastname),Account_Tasks($select=subject)"
        )
    ).json
    assert (row["fax"], row["telephone1"], row["websiteurl"]) == ("1", "2", "http://x")
    assert row["primarycontactid"]["lastname"] == "M"
    assert [each["fullname"] for each in row["contact_customer_accounts"]] == ["F L", "M", "N"]
    assert [each["subject"] for each in row["Account_Tasks"]] == ["T"]
    assert answers[0].headers["OData-EntityId"] == answers[4].headers["OData-EntityId"] == f"{ROOT}accounts({account})"


@pytest.mark.parametrize("there", [True, False])
async def test_a_reference_to_an_upsert_by_an_alternate_key_is_its_row(client: Client, *, there: bool) -> None:
    key = {"SchemaName": "new_ByNumber", "KeyAttributes": ["accountnumber"]}
    assert (await client.post("EntityDefinitions(LogicalName='account')/Keys", key)).status == 204
    if there:
        await client.post("accounts", {"name": "before", "accountnumber": "1"})

    outer, parts = await client.batch(
        [
            written("PATCH", "accounts(accountnumber='1')", {"name": "A"}),
            written("POST", "contacts", {"lastname": "L", "parentcustomerid_account@odata.bind": "$1"}),
            written("PUT", "$1/primarycontactid/$ref", {"@odata.id": "$2"}),
        ]
    )

    assert outer.status == 200, outer.body
    (answers,) = parts
    assert isinstance(answers, list)
    row = (await client.get(f"accounts({answers[0].id})?$expand=primarycontactid($select=lastname)")).json
    assert (row["name"], row["accountnumber"], row["primarycontactid"]["lastname"]) == ("A", "1", "L")
    assert ("Location" in answers[0].headers) is not there


@pytest.mark.parametrize(
    "request_",
    [
        written("PATCH", "$9", {"name": "x"}),
        written("PATCH", "$9/name", {"value": "x"}),
        written("POST", "accounts", {"name": "x", "primarycontactid@odata.bind": "$9"}),
        written("POST", "accounts", {"name": "x", "contact_customer_accounts@odata.bind": ["$9"]}),
        written("POST", "accounts", {"name": "x", "primarycontactid": {"@odata.id": "$9", "lastname": "L"}}),
        written("PUT", f"accounts({NOWHERE})/primarycontactid/$ref", {"@odata.id": "$9"}),
    ],
)
async def test_a_reference_before_its_definition_is_refused(client: Client, request_: str) -> None:
    for part in (request_, [written("POST", "accounts", {"name": "first"}), request_]):
        outer, parts = await client.batch(part)
        assert outer.status == 400
        (answer,) = parts
        failed = answer[0] if isinstance(answer, list) else answer
        assert failed.error[0] == 400
        assert failed.error[2] == "Content-ID Reference: '$9' does not exist in the batch context."
    assert await client.names("accounts") == []


async def test_parts_have_conditions_of_their_own(client: Client) -> None:
    made = await client.post("accounts", {"name": "A"})
    etag = (await client.get(f"accounts({made.id})")).headers["ETag"]
    url = f"accounts({made.id})"

    outer, parts = await client.batch(
        written("GET", url, If_None_Match=etag),
        written("PATCH", url, {"name": "B"}, If_Match=etag),
        written("PATCH", url, {"name": "C"}, If_Match=etag),
        written("PATCH", url, {"name": "D"}, If_None_Match="*"),
        written("PATCH", f"accounts({NOWHERE})", {"name": "E"}, If_Match="*", If_None_Match="null"),
        [written("PATCH", url, {"name": "F"}, If_Match=etag)],
        [written("PATCH", url, {"fax": "1"}, If_Match="*"), written("DELETE", url, If_Match=etag)],
        written("GET", "accounts?$select=name", Prefer='odata.maxpagesize=1,odata.include-annotations="*"'),
        prefer="odata.continue-on-error",
    )

    flat = [part[0] if isinstance(part, list) else part for part in parts]
    assert outer.status == 200
    assert [each.status for each in flat] == [304, 204, 412, 412, 404, 412, 412, 200]
    assert [flat[place].error[1] for place in (2, 3, 5, 6)] == ["0x80060882", "0x80040237", "0x80060882", "0x80060882"]
    assert flat[6].headers["Content-ID"] == "2"
    assert flat[7].headers["Preference-Applied"] == 'odata.include-annotations="*",odata.maxpagesize=1'
    assert await client.names("accounts") == ["B"]


async def test_whatever_may_be_asked_may_be_asked_in_a_batch(client: Client) -> None:
    outer, parts = await client.batch(
        written("GET", "WhoAmI()"),
        written("GET", "WhoAmI"),
        written("GET", "EntityDefinitions(LogicalName='account')?$select=LogicalName"),
        written("GET", "$metadata"),
        written("GET", "/api/data/v9.2/"),
        written("GET", "accounts/$count"),
        written("POST", "accounts/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": [{"name": "A"}]}),
        written("GET", f"accounts?$select=name&$filter={' or '.join(['name eq %27A%27'] * 400)}"),
    )

    assert outer.status == 200
    answers = [part for part in parts if isinstance(part, Asked)]
    assert [answer.status for answer in answers] == [200] * 8
    assert answers[3].headers["Content-Type"].startswith("application/xml")
    assert (answers[5].headers["Content-Type"], answers[5].body) == ("text/plain", b"0")
    assert [row["name"] for row in answers[7].json["value"]] == ["A"]


async def test_answers_can_be_read_by_the_roughest_of_clients(client: Client) -> None:
    odd = 'a { b } "c" --b --batchresponse_x \r\n\r\nHTTP/1.1 200 OK\r\n'
    await client.post("accounts", {"name": "A", "description": odd})
    get = written("GET", "accounts?$select=name,description")
    missing = written("GET", f"accounts({NOWHERE})")
    head = "--b\r\nContent-Type: application/http\r\n\r\n"
    text = f"{head}{get}\r\n{head}{missing}\r\n--b--"

    answer = await sent(client, text, Prefer="odata.continue-on-error")
    listed, told = bodies(answer)
    body = answer.body.decode()

    assert [row["description"] for row in listed["value"]] == [odd]
    assert told["error"]["code"] == "0x80040217"
    assert re.fullmatch(r"multipart/mixed; boundary=batchresponse_[0-9a-f-]+", answer.headers["Content-Type"])
    assert body.startswith("--batchresponse_")
    assert body.count("\n") == body.count("\r\n")
    for head in re.findall(r"^HTTP/1\.1 .*?\r\n\r\n", body, re.DOTALL | re.MULTILINE):
        lines = head.rstrip("\r\n").split("\r\n")
        assert re.fullmatch(r"HTTP/1\.1 \d{3} [A-Za-z ]+", lines[0])
        assert all(re.fullmatch(r"[A-Za-z-]+: [^{}]+", line) for line in lines[1:])
        assert "OData-Version: 4.0" in lines


async def test_what_a_batch_may_hold_of_columns_links_and_files(client: Client) -> None:
    made = await client.post("accounts", {"name": "A"})
    contact = await client.post("contacts", {"lastname": "L"})
    url, members = f"accounts({made.id})", f"accounts({made.id})/contact_customer_accounts"

    outer, parts = await client.batch(
        [
            written("PUT", f"{url}/fax", {"value": "1"}),
            written("POST", f"{members}/$ref", {"@odata.id": f"/api/data/v9.2/contacts({contact.id})"}),
            written("PUT", f"{url}/primarycontactid/$ref", {"@odata.id": f"contacts({contact.id})"}),
        ],
        [
            written("DELETE", f"{url}/fax"),
            written("DELETE", f"{members}({contact.id})/$ref"),
            written("DELETE", f"{url}/primarycontactid/$ref"),
            written("DELETE", f"contacts({contact.id})"),
        ],
        written("GET", f"{url}?$select=fax,_primarycontactid_value"),
    )

    assert outer.status == 200, outer.body
    assert [len(part) for part in parts if isinstance(part, list)] == [3, 4]
    last = parts[-1]
    assert isinstance(last, Asked)
    assert (last.json["fax"], last.json["_primarycontactid_value"]) == (None, None)


async def test_a_row_that_a_change_set_makes_and_removes_was_never_there(client: Client) -> None:
    outer, _ = await client.batch([written("POST", "accounts", {"name": "A"}), written("DELETE", "$1")])

    assert outer.status == 200
    assert await client.names("accounts") == []


async def test_what_fails_outside_ends_the_batch_with_400_whatever_it_is(client: Client) -> None:
    for request_, status in (
        (written("GET", f"accounts({NOWHERE})"), 404),
        (written("DELETE", "accounts"), 405),
        (written("PATCH", f"accounts({NOWHERE})", {"name": "x"}, If_Match='W/"1"'), 404),
        (written("GET", "https://elsewhere/other"), 400),
        (written("GET", "accounts%zz"), 400),
        (written("FROB", "accounts"), 405),
    ):
        outer, parts = await client.batch(request_, written("POST", "accounts", {"name": "never"}))
        assert (outer.status, len(parts)) == (400, 1)
        (answer,) = parts
        assert isinstance(answer, Asked)
        assert answer.error[0] == status, answer.body
        assert answer.headers["Content-Type"].startswith("application/json")
    assert await client.names("accounts") == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "multipart/mixed; boundary=b"),
        ("{}", "application/json"),
        ("--b--", "multipart/mixed; boundary=b"),
        ("--b\nContent-Type: application/http\n\nGET accounts HTTP/1.1\n", "multipart/mixed; boundary=b"),
        ("--b\nContent-Type: application/http\n\nGET accounts\n--b--", "multipart/mixed; boundary=b"),
        ("--b\nContent-Type: application/http\n\nPOST accounts HTTP/1.1\n\n{}\n--c--", "multipart/mixed; boundary=b"),
        (
            "--b\nContent-Type: multipart/mixed\n\n--c\n\nPOST accounts HTTP/1.1\n--c--\n--b--",
            "multipart/mixed; boundary=b",
        ),
    ],
)
async def test_what_is_no_batch_is_told_in_json_and_nothing_of_it_is_done(client: Client, text: str, kind: str) -> None:
    answer = await sent(client, text, kind, Prefer="odata.continue-on-error")

    assert answer.error[:2] == (400, "0x80048d19")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert await client.names("accounts") == []


async def test_a_change_set_is_one_transaction_whatever_fails_in_it(client: Client) -> None:
    key = {"SchemaName": "new_ByNumber", "KeyAttributes": ["accountnumber"]}
    assert (await client.post("EntityDefinitions(LogicalName='account')/Keys", key)).status == 204
    await client.post("accounts", {"name": "there", "accountnumber": "1", "accountid": NOWHERE})
    good = written("POST", "accounts", {"name": "good"})
    for bad, status, code in (
        (written("POST", "accounts", {"name": "x", "accountnumber": "1"}), 412, "0x80060892"),
        (written("POST", "accounts", {"name": "x", "accountid": NOWHERE}), 412, "0x80040237"),
        (written("PATCH", "accounts(accountnumber='2')", {"name": "x"}, If_Match="*"), 404, "0x80060891"),
        (
            written("POST", "contacts", {"parentcustomerid_account@odata.bind": "accounts(accountnumber='2')"}),
            404,
            None,
        ),
        (written("PATCH", f"accounts({NOWHERE})", {"statecode": 0, "statuscode": 2}), 400, "0x80048408"),
        (written("POST", f"contacts({NOWHERE})/Contact_Tasks", {"subject": "x"}), 404, "0x80040217"),
    ):
        outer, parts = await client.batch([good, bad, good])
        assert outer.status == 400
        (answers,) = parts
        assert isinstance(answers, list)
        (answer,) = answers
        assert (answer.status, answer.headers["Content-ID"]) == (status, "2"), answer.body
        assert code in {None, answer.error[1]}
    assert await client.names("accounts") == ["there"]


async def test_rows_of_one_change_set_cannot_have_the_same_key(client: Client) -> None:
    key = {"SchemaName": "new_ByNumber", "KeyAttributes": ["accountnumber"]}
    assert (await client.post("EntityDefinitions(LogicalName='account')/Keys", key)).status == 204

    outer, parts = await client.batch(
        [written("POST", "accounts", {"name": name, "accountnumber": "1"}) for name in "AB"]
    )

    assert outer.status == 400
    (answers,) = parts
    assert isinstance(answers, list)
    assert answers[0].error[:2] == (412, "0x80060892")
    assert await client.names("accounts") == []


async def test_a_reference_may_be_encoded(client: Client) -> None:
    outer, _ = await client.batch([written("POST", "accounts", {"name": "A"}), written("PATCH", "%241", {"fax": "1"})])

    assert outer.status == 200, outer.body
    assert await client.names("accounts", "fax") == ["1"]
