"""The Web API through the real host: bytes of requests and responses as clients see them."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from tests.e2e.hosts import Host, Hosts

API = "/api/data/v9.2/"


def send(
    host: Host, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send a request target exactly as it is written; return status, headers in the case they have, and body."""
    connection = http.client.HTTPConnection(urlsplit(host.url).netloc, timeout=30)
    try:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.putrequest(method, path, skip_host="Host" in (headers or {}))
        for name, value in {**(headers or {}), "Content-Length": str(len(content or b""))}.items():
            connection.putheader(name, value)
        connection.endheaders(content)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def rows(body: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(body)["value"]
    return found


async def test_a_client_makes_finds_changes_pages_and_removes_rows(hosts: Hosts) -> None:
    host = await hosts.start()
    root = f"{host.url}{API}"

    status, headers, body = send(host, "POST", f"{API}accounts", {"name": "Søren & A's"})
    assert (status, body) == (204, b"")
    assert "Content-Type" not in headers
    assert {"OData-Version", "OData-EntityId", "Location", "x-ms-service-request-id"} <= headers.keys()
    account = headers["OData-EntityId"]
    assert account.startswith(f"{root}accounts(")

    # The same question in every encoding that clients use.
    name = quote("Søren & A''s", safe="")
    for spelled in (
        f"accounts?$filter=name+eq+'{name}'&$select=name",
        f"accounts?%24filter=name%20eq%20%27{name}%27&%24select=name",
        f"accounts/?$select=name&$filter=contains(name,'{name}')&tag=x",
    ):
        status, headers, body = send(host, "GET", API + spelled, headers={"If-None-Match": "null"})
        assert (status, [row["name"] for row in rows(body)]) == (200, ["Søren & A's"]), body
        assert headers["Content-Type"].startswith("application/json")

    path = account.removeprefix(host.url)
    assert send(host, "PATCH", path, {"name": "B"}, {"If-Match": "*"})[0] == 204
    assert send(host, "GET", f"{path}/name/$value")[2] == b"B"
    for number in range(3):
        send(host, "POST", f"{API}accounts", {"name": f"C{number}"})
    status, headers, body = send(
        host, "GET", f"{API}accounts?$select=name&$orderby=name", headers={"Prefer": "odata.maxpagesize=3"}
    )
    assert headers["Preference-Applied"] == "odata.maxpagesize=3"
    link = json.loads(body)["@odata.nextLink"]
    assert link.startswith(root)
    last = send(host, "GET", link.removeprefix(host.url))[2]
    assert [row["name"] for row in (*rows(body), *rows(last))] == ["B", "C0", "C1", "C2"]
    assert send(host, "DELETE", path)[0] == 204
    status, _, body = send(host, "GET", path)
    assert (status, json.loads(body)["error"]["code"]) == (404, "0x80040217")


async def test_what_is_no_resource_is_told_in_json(hosts: Hosts) -> None:
    host = await hosts.start()
    for method, path, expected in (
        ("GET", f"{API}nosuchsets", 404),
        ("GET", "/api/data/v7.0/accounts", 404),
        ("GET", f"{API}accounts/%2e%2e/%2e%2e/limits", 400),
        ("GET", f"{API}accounts?$filter=" + "x" * 33_000, 414),
        ("DELETE", f"{API}accounts", 405),
        ("GET", "/api/backgroundoperation/3e0f0000-0000-0000-0000-000000000077", 404),
    ):
        status, headers, body = send(host, method, path)
        assert status == expected, (path[:80], body[:300])
        assert headers["Content-Type"].startswith("application/json")
        assert json.loads(body)["error"]["message"]


async def test_who_am_i_and_my_jobs_are_known_at_once(hosts: Hosts) -> None:
    host = await hosts.start()

    for called in ("WhoAmI", "WhoAmI()"):
        status, _, body = send(host, "GET", API + called)
        assert status == 200
        assert json.loads(body).keys() >= {"BusinessUnitId", "UserId", "OrganizationId"}
    status, _, body = send(host, "GET", f"{API}asyncoperations?$filter=statecode eq 0&$top=5".replace(" ", "%20"))
    assert (status, rows(body)) == (200, [])
    status, _, body = send(host, "HEAD", f"{API}asyncoperations")
    assert (status, body) == (200, b"")


#: The names of headers in the case in which clients look for them.
NAMES = {
    *("OData-Version", "OData-EntityId", "Location", "ETag", "Preference-Applied", "Content-Type"),
    *("Content-Length", "Allow", "x-ms-service-request-id", "REQ_ID", "Date", "Server"),
}


async def test_names_of_headers_stand_in_their_case_on_every_answer(hosts: Hosts) -> None:
    host = await hosts.start()
    prefer = {"Prefer": "return=representation"}
    made = send(host, "POST", f"{API}accounts", {"name": "A"}, prefer)
    account = urlsplit(made[1]["OData-EntityId"]).path
    batch = b"--b\nContent-Type: application/http\n\nGET accounts HTTP/1.1\n--b--"
    answers = {
        "create": (made, {"OData-EntityId", "Location", "ETag", "Preference-Applied", "Content-Type"}),
        "update": (send(host, "PATCH", account, {"name": "B"}), {"OData-EntityId"}),
        "read": (send(host, "GET", account), {"ETag", "Content-Type"}),
        "page": (
            send(host, "GET", f"{API}accounts", headers={"Prefer": "odata.maxpagesize=1"}),
            {"Preference-Applied", "Content-Type"},
        ),
        "count": (send(host, "GET", f"{API}accounts/$count"), {"Content-Type"}),
        "metadata": (send(host, "GET", f"{API}$metadata"), {"Content-Type"}),
        "batch": (
            send(host, "POST", f"{API}$batch", batch, {"Content-Type": "multipart/mixed; boundary=b"}),
            {"Content-Type"},
        ),
        "no body": (send(host, "GET", f"{account}/fax"), set()),
        "not there": (send(host, "GET", f"{API}nosuchsets"), {"Content-Type"}),
        "not allowed": (send(host, "DELETE", f"{API}accounts"), {"Content-Type", "Allow"}),
        "delete": (send(host, "DELETE", account), set()),
    }

    for what, ((_, headers, body), expected) in answers.items():
        assert headers.keys() <= NAMES, what
        assert {"OData-Version", "x-ms-service-request-id", *expected} <= headers.keys(), what
        assert ("Content-Type" in headers) == bool(body), what
        assert ("OData-EntityId" in headers) == ("OData-EntityId" in expected), what
    assert answers["count"][0][1]["Content-Type"] == "text/plain"
    assert answers["count"][0][2] == b"1"
    assert answers["metadata"][0][1]["Content-Type"].startswith("application/xml")
    kind = answers["batch"][0][1]["Content-Type"]
    assert kind.startswith("multipart/mixed; boundary=batchresponse_")
    assert answers["batch"][0][2].startswith(f"--{kind.partition('=')[2]}\r\n".encode())


async def test_answers_repeat_the_address_the_client_used_also_through_a_proxy_on_this_machine(hosts: Hosts) -> None:
    host = await hosts.start()
    port = urlsplit(host.url).port
    for headers, origin in (
        ({"Host": f"127.0.0.1:{port}"}, f"http://127.0.0.1:{port}"),
        ({"Host": f"localhost:{port}"}, f"http://localhost:{port}"),
        ({"Host": "org.localhost", "X-Forwarded-Proto": "https"}, "https://org.localhost"),
        ({"Host": "localhost", "X-Forwarded-Host": "a.localhost:8443"}, "http://a.localhost:8443"),
        ({"Host": "localhost", "Forwarded": "proto=https;host=b.localhost"}, "https://b.localhost"),
    ):
        for version in ("v9.0", "v9.2"):
            root = f"{origin}/api/data/{version}/"
            _, found, _ = send(host, "POST", f"/api/data/{version}/accounts", {"name": "A"}, headers)
            assert found["OData-EntityId"].startswith(f"{root}accounts(")
            assert found["OData-EntityId"] == found["Location"]
            for path in ("", "/"):
                status, _, body = send(host, "GET", f"/api/data/{version}{path}", headers=headers)
                assert (status, json.loads(body)["@odata.context"]) == (200, f"{root}$metadata")
            _, _, body = send(
                host, "GET", f"/api/data/{version}/accounts", headers={**headers, "Prefer": "odata.maxpagesize=1"}
            )
            if "@odata.nextLink" in (page := json.loads(body)):
                assert page["@odata.nextLink"].startswith(f"{root}accounts?")


async def test_bodies_that_are_no_bodies_and_headers_sent_twice_are_taken(hosts: Hosts) -> None:
    host = await hosts.start()
    connection = http.client.HTTPConnection(urlsplit(host.url).netloc, timeout=30)
    try:
        connection.putrequest("POST", f"{API}PublishAllXml")
        for name in ("Transfer-Encoding", "Content-Type", "If-None-Match"):
            connection.putheader(
                name, {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}.get(name, "null")
            )
        connection.endheaders(b"0\r\n\r\n")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
        connection.putrequest("GET", f"{API}accounts?$select=name")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Prefer", "odata.maxpagesize=2")
        connection.putheader("prefer", 'odata.include-annotations="*"')
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Preference-Applied"] == 'odata.include-annotations="*",odata.maxpagesize=2'
        assert json.loads(answer.read())["value"] == []
    finally:
        connection.close()
