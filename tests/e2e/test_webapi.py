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
        content = None if body is None else json.dumps(body).encode()
        connection.putrequest(method, path)
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
