"""Addresses, headers, statuses and error objects as clients send and expect them (web-api-wire, sections 1 to 5)."""

import re
from typing import Any
from uuid import UUID

import pytest

from asyncservice.webapi.exchange import Address, Headers, Request
from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.functions import read_request
from tests.webapi.calling import ROOT, Answered, Client, a_client

NOBODY = UUID(int=0xDEAD)


@pytest.fixture
async def client() -> Client:
    return await a_client()


@pytest.mark.parametrize("version", ["v9.0", "v9.1", "v9.2", "v9.9"])
@pytest.mark.parametrize("origin", ["http://127.0.0.1:7071", "https://org.example.com", "http://[::1]:80"])
async def test_every_url_in_an_answer_repeats_origin_and_version(client: Client, origin: str, version: str) -> None:
    root = f"{origin}/api/data/{version}/"

    async def ask(method: str, path: str, body: str = "", query: str = "", **headers: str) -> Answered:
        request = Request(
            method=method,
            path=path,
            query=query,
            headers=Headers({name.replace("_", "-"): text for name, text in headers.items()}),
            body=body.encode(),
            address=Address(origin, version),
        )
        return Answered(await client.api.answer(request))

    made = await ask("POST", "accounts", '{"name": "A", "contact_customer_accounts": [{"lastname": "L"}]}')
    await ask("POST", "accounts", '{"name": "B"}')
    page = await ask("GET", "accounts", query="$select=name", Prefer="odata.maxpagesize=1")
    one = await ask("GET", f"accounts({made.id})", query="$expand=contact_customer_accounts")
    changed = await ask("PATCH", f"accounts({made.id})", '{"name": "B"}')
    batch = await ask(
        "POST",
        "$batch",
        "--b\nContent-Type: application/http\n\nPOST https://elsewhere/api/data/v9.2/accounts HTTP/1.1\n\n{}\n--b--",
        Content_Type="multipart/mixed; boundary=b",
    )

    assert made.headers["OData-EntityId"] == made.headers["Location"] == f"{root}accounts({made.id})"
    assert changed.headers["OData-EntityId"] == f"{root}accounts({made.id})"
    assert page.json["@odata.nextLink"].startswith(f"{root}accounts?$select=name&$skiptoken=")
    assert one.json["contact_customer_accounts@odata.nextLink"].startswith(f"{root}accounts({made.id})/contact_cust")
    for answer in (page, one, await ask("GET", "WhoAmI"), await ask("GET", "")):
        assert answer.json["@odata.context"].startswith(f"{root}$metadata")
    assert f"OData-EntityId: {root}accounts(" in batch.text
    assert f"Location: {root}accounts(" in batch.text


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"Forwarded": "proto=https;host=org.example"}, "https://org.example"),
        ({"Forwarded": 'for=1.2.3.4;Proto=HTTPS;Host="org.example:8443", host=inner'}, "https://org.example:8443"),
        ({"Forwarded": 'for="[2001:db8::1]:4711"; host="[::1]:7071" '}, "http://[::1]:7071"),
        ({"Forwarded": "for=1.2.3.4"}, "http://h:1"),
        ({"Forwarded": "nonsense;=;;host", "Host": "localhost:7071"}, "http://localhost:7071"),
        ({"Forwarded": "proto=gopher;host=a"}, "http://a"),
        ({"Forwarded": "host=a", "X-Forwarded-Host": "b", "X-Forwarded-Proto": "https"}, "https://b"),
    ],
)
def test_what_a_proxy_forwards_may_be_said_in_the_standard_header(headers: dict[str, str], origin: str) -> None:
    assert read_request("GET", "http://h:1/api/data/v9.2/accounts", headers, b"").address.origin == origin


@pytest.mark.parametrize("host", ["a/b", "a b", "a,b", "user@a"])
def test_what_a_proxy_forwards_must_be_a_host(host: str) -> None:
    for headers in ({"Forwarded": f'host="{host}"'}, {"X-Forwarded-Host": host.replace(",", "/")}):
        with pytest.raises(ApiError) as refused:
            read_request("GET", "http://h/api/data/v9.2/", headers, b"")
        assert refused.value.status == 400


@pytest.mark.parametrize(
    "accept",
    ["application/json", "application/json;odata.metadata=minimal", "*/*", "application/xml", "multipart/mixed", "x"],
)
async def test_no_accept_header_is_unacceptable(client: Client, accept: str) -> None:
    for path, kind in (
        ("accounts", "application/json; odata.metadata=minimal"),
        ("WhoAmI", "application/json; odata.metadata=minimal"),
        ("", "application/json"),
        ("$metadata", "application/xml"),
        ("accounts/$count", "text/plain"),
    ):
        answered = await client.get(path, Accept=accept)
        assert answered.status == 200
        assert answered.headers["Content-Type"].startswith(kind)


async def test_headers_that_clients_send_along_change_nothing(client: Client) -> None:
    odd = {
        "Authorization": "Bearer x",
        "Content_Type": "application/json; charset=utf-8; type=entry",
        "OData_Version": "4.0",
        "OData_MaxVersion": "4.0",
        "If_None_Match": "null",
        "Consistency": "Strong",
        "Content_ID": "7",
        "Cache_Control": "no-cache",
        "req_id": "x",
        "x_ms_client_request_id": "{x}",
        "MSCRM.SuppressDuplicateDetection": "false",
        "MSCRM.BypassCustomPluginExecution": "true",
        "MSCRM.BypassBusinessLogicExecution": "CustomSync",
    }
    made = await client.post("accounts", {"name": "A"}, **odd)

    assert made.status == 204
    for path in ("accounts", f"accounts({made.id})", "WhoAmI"):
        assert (await client.get(path, **odd)).status == 200
    assert (await client.delete(f"accounts({made.id})", **odd)).status == 204


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ('odata.include-annotations="*",odata.maxpagesize=3', 'odata.include-annotations="*",odata.maxpagesize=3'),
        ("odata.maxpagesize=3, odata.include-annotations=*", 'odata.include-annotations="*",odata.maxpagesize=3'),
        ('odata.include-annotations="A.b,C.d"', 'odata.include-annotations="A.b,C.d"'),
        ('odata.maxpagesize="2"', "odata.maxpagesize=2"),
        ("odata.maxpagesize=9000", "odata.maxpagesize=5000"),
        ("odata.maxpagesize=0", None),
        ("odata.maxpagesize=x", None),
        ('respond-async,odata.callback;url="https://x/?a=1,b",wait=10', None),
        ("odata.maxpagesize=1,odata.callback; url='x'", "odata.maxpagesize=1"),
        ("return=minimal", None),
        (',,;="', None),
    ],
)
async def test_preferences_that_were_honoured_are_named(client: Client, prefer: str, applied: str | None) -> None:
    answered = await client.get("accounts", Prefer=prefer)

    assert answered.status == 200
    assert answered.headers.get("Preference-Applied") == applied


async def test_every_answer_has_a_version_and_an_id_and_those_without_a_body_no_type(client: Client) -> None:
    made = await client.post("accounts", {"name": "A"})
    url = f"accounts({made.id})"
    answers = [
        made,
        await client.patch(url, {"name": "B"}),
        await client.put(f"{url}/fax", {"value": "1"}),
        await client.delete(f"{url}/fax"),
        await client.get(f"{url}/fax"),
        await client.get(f"{url}/primarycontactid"),
        await client.get(url),
        await client.get("accounts"),
        await client.get("accounts/$count"),
        await client.get("$metadata"),
        await client.get("nosuchsets"),
        await client.post("$batch", b"x"),
        await client.delete(url),
        await client.delete(url),
    ]

    identities = [answer.headers["x-ms-service-request-id"] for answer in answers]
    assert len({UUID(each) for each in identities}) == len(answers)
    for answer in answers:
        assert answer.headers["OData-Version"] == "4.0"
        assert ("Content-Type" in answer.headers) == bool(answer.response.body)
        assert ("OData-EntityId" in answer.headers) == (answer in answers[:2])
    for answer in answers[:2]:
        assert re.fullmatch(rf"{re.escape(ROOT)}accounts\([0-9a-f-]{{36}}\)", answer.headers["OData-EntityId"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "said"),
    [
        ("GET", f"accounts({NOBODY})", None, 404, "0x80040217", f"Entity 'account' With Id = {NOBODY} Does Not Exist"),
        ("DELETE", f"contacts({NOBODY})", None, 404, "0x80040217", f"'contact' With Id = {NOBODY} Does Not Exist"),
        ("GET", "nosuchsets", None, 404, "0x80060888", "Resource not found for the segment 'nosuchsets'"),
        ("POST", "NoSuchAction", {}, 404, "0x80060888", "Resource not found for the segment 'NoSuchAction'"),
        ("GET", "accounts/Microsoft.Dynamics.CRM.Nothing()", None, 404, "0x80060888", "Nothing"),
        ("GET", "accounts?$select=nmae", None, 400, "0x80060888", "Could not find a property named 'nmae' on type"),
        ("GET", "accounts?$filter=nmae eq 1", None, 400, "0x80060888", "Could not find a property named 'nmae' on"),
        ("GET", "accounts?$orderby=nmae", None, 400, "0x80060888", "Could not find a property named 'nmae' on type"),
        ("GET", "accounts?$expand=nmae", None, 400, "0x80060888", "Could not find a property named 'nmae' on type"),
        ("GET", "accounts?$filter=name eq", None, 400, "0x80060888", ""),
        ("GET", "accounts?$skip=1", None, 400, "0x80060888", "$skip"),
        ("GET", "accounts?$top=x", None, 400, "0x80060888", "$top"),
        ("GET", "accounts?$top=-1", None, 400, "0x80060888", "$top"),
        ("GET", "accounts?$nonsense=1", None, 400, "0x80060888", "$nonsense"),
        ("PATCH", "accounts", {}, 405, "0x80060888", "PATCH"),
        ("DELETE", "accounts", None, 405, "0x80060888", "DELETE"),
        ("PUT", f"accounts({NOBODY})", {}, 405, "0x80060888", "PUT"),
        ("GET", "BulkDelete", None, 405, "", "BulkDelete"),
        ("POST", "WhoAmI", {}, 405, "", "WhoAmI"),
        ("GET", "accounts?fetchXml=<fetch", None, 400, "0x80040303", ""),
        ("GET", "accounts?fetchXml=<fetch><entity name='account'><attribute name='x'/></entity></fetch>", None, 400,
         "0x80041103", "'x'"),
        ("POST", "accounts", {"accountid": "not-a-guid"}, 400, "0x80048d19", "accountid"),
    ],
)  # fmt: skip
async def test_errors_have_their_codes_and_name_what_is_wrong(
    client: Client, *, method: str, path: str, body: Any, status: int, code: str, said: str
) -> None:
    answered = await client.send(method, path, body)

    assert answered.status == status, answered.text
    assert answered.headers["Content-Type"].startswith("application/json")
    assert answered.json.keys() == {"error"}
    assert isinstance(answered.code, str)
    assert answered.code == code or not code
    assert said in answered.message
    assert answered.message.strip()
    assert (status == 405) == ("Allow" in answered.headers)


async def test_unknown_options_without_a_dollar_are_ignored(client: Client) -> None:
    made = await client.post("accounts?tag=x&partitionid=1&api-version=9.2", {"name": "A"})
    for path in ("accounts", f"accounts({made.id})", "accounts/$count", "WhoAmI", "EntityDefinitions"):
        assert (await client.get(f"{path}?tag=x&partitionid='y'&api-version=9.2&")).status == 200


@pytest.mark.parametrize("called", ["WhoAmI", "WhoAmI()", "WhoAmI/", "WhoAmI( )"])
async def test_a_function_is_called_with_parentheses_or_without(client: Client, called: str) -> None:
    answered = await client.get(called)

    assert answered.status == 200
    assert answered.json["@odata.context"] == f"{ROOT}$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse"


async def test_names_are_case_sensitive(client: Client) -> None:
    made = await client.post("accounts", {"name": "A"})

    assert (await client.get("Accounts")).status == 404
    assert (await client.get("whoami")).status == 404
    assert (await client.get(f"accounts({made.id})/Name")).status == 404
    assert (await client.get(f"accounts({made.id})/account_tasks")).status == 404
    assert (await client.get(f"accounts({made.id})/Account_Tasks")).status == 200
    assert (await client.get("accounts?$select=Name")).status == 400


async def test_a_slash_at_the_end_is_harmless(client: Client) -> None:
    made = await client.post("accounts/", {"name": "A"})

    assert made.headers["OData-EntityId"] == f"{ROOT}accounts({made.id})"
    assert (await client.get(f"accounts({made.id})/")).json["name"] == "A"
    assert (await client.get("accounts/?$select=name")).rows[0]["name"] == "A"
    assert (await client.get("accounts/$count/")).text == "1"


async def test_count_has_no_byte_order_mark_and_is_bare_text(client: Client) -> None:
    await client.make("accounts", name="A")
    counted = await client.get("accounts/$count?$filter=name eq 'A'")

    assert (counted.response.body, counted.headers["Content-Type"]) == (b"1", "text/plain")
