"""Requests byte for byte: what reaches a function as it was sent, what is refused, and what an answer looks like."""

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request

from asyncservice.devhost.certificates import AUTHORITY
from asyncservice.devhost.httpwire import MAX_HEADER, MAX_TARGET, headers_from
from tests.devhost.support import HostProcess, a_host, write_app

SOURCE = """
import json

def told(req):
    body = {"method": req.method, "url": req.url, "body": req.get_body().decode(), "headers": dict(req.headers)}
    return json.dumps(body)

@app.route("echo/{*path}")
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(told(req), mimetype="application/json")

@app.route("named")
async def named(req: func.HttpRequest) -> func.HttpResponse:
    headers = {"OData-EntityId": "x(1)", "ETag": 'W/"1"', "x-ms-service-request-id": "7", "REQ_ID": "7",
               "Preference-Applied": "a", "Content-Type": "application/json; odata.metadata=minimal"}
    return func.HttpResponse("{}", headers=headers)

@app.route("empty")
async def empty(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=204, headers={"Content-Type": "", "OData-Version": "4.0"})

@app.route("local")
async def local(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(os.environ.get("ASYNCSERVICE_AUTH_LOCAL", ""))

@app.route("slow")
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(0.2)
    return func.HttpResponse(req.params["number"])
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, azurite_connection: str) -> Iterator[HostProcess]:
    app = write_app(tmp_path_factory.mktemp("wire") / "app", SOURCE)
    with a_host(app, azurite_connection) as process:
        yield process


class Answer:
    """An answer as it came over the wire."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *rest = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in rest if line)]
        self.body = body

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.headers}

    @property
    def json(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.body)
        return found


class Wire:
    """A connection on which bytes are sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, *lines: str, body: bytes = b"") -> Answer:
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return await self.answer(has_body=not lines[0].startswith("HEAD "))

    async def answer(self, *, has_body: bool = True) -> Answer:
        async with asyncio.timeout(20):
            head = await self._reader.readuntil(b"\r\n\r\n")
            answer = Answer(head, b"")
            length = int({name.lower(): value for name, value in answer.headers}.get("content-length", 0))
            answer.body = await self._reader.readexactly(length) if has_body else b""
        return answer

    async def is_closed(self) -> bool:
        async with asyncio.timeout(20):
            return await self._reader.read() == b""


@asynccontextmanager
async def a_wire(url: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    address, _, port = url.partition("://")[2].rpartition(":")
    reader, writer = await asyncio.open_connection(address, int(port), ssl=tls, limit=2**20)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


@pytest.fixture
async def wire(host: HostProcess) -> AsyncIterator[Wire]:
    async with a_wire(host.url) as made:
        yield made


@pytest.mark.parametrize(
    "target",
    [
        "/echo/accounts(name='A%27%27B')?$filter=name%20eq%20'a+b'&%24top=1",
        "/echo/accounts(1)?$expand=a($select=b;$top=1),c&@p1={'x':1}&a=%2B&b=%2f&c=%2F",
        "/echo/%E2%82%AC/a%2Fb//c?q=%E2%82%AC&q=2&=&&",
        "/echo/a%252Fb",
        "/echo/;v=1?a;b",
    ],
)
async def test_path_and_query_reach_a_function_as_they_were_sent(wire: Wire, target: str) -> None:
    answer = await wire.send(f"GET {target} HTTP/1.1", "Host: my.host:81")
    assert answer.json["url"] == f"http://my.host:81{target}"


async def test_a_target_in_absolute_form_is_taken_apart(wire: Wire) -> None:
    answer = await wire.send("GET http://proxied:99/echo/x?y=%20 HTTP/1.1", "Host: other")
    assert str(answer.json["url"]).endswith("/echo/x?y=%20")
    assert answer.json["url"] != "http://otherhttp://proxied:99/echo/x?y=%20"


async def test_a_long_target_reaches_the_app_whole(wire: Wire) -> None:
    target = "/echo/?" + "a" * (MAX_TARGET - 100)
    assert str((await wire.send(f"GET {target} HTTP/1.1", "Host: h")).json["url"]).endswith(target)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET /echo/?" + "a" * (MAX_TARGET + 10) + " HTTP/1.1", "Host: h"], 414),
        (["GET /echo/ HTTP/1.1", "Host: h", "X-Long: " + "a" * (MAX_HEADER + 10)], 431),
        (["GET /echo/ HTTP/1.1", "Host: h", *(f"X-{number}: 1" for number in range(200))], 431),
        (["GET /echo/ HTTP/1.1", "Host: h", "no colon here"], 400),
        (["GET /echo/ HTTP/9.1", "Host: h"], 400),
        (["X-OWN /echo/ HTTP/1.1", "Host: h"], 400),
        (["GET /echo/\x00 HTTP/1.1", "Host: h"], 400),
        (["POST /echo/ HTTP/1.1", "Host: h", "Content-Length: 1", "Content-Length: 2"], 400),
        (["POST /echo/ HTTP/1.1", "Host: h", "Content-Length: 3", "Transfer-Encoding: chunked"], 400),
        (["POST /echo/ HTTP/1.1", "Host: h", "Content-Length: -1"], 400),
        (["GET /echo/ HTTP/1.1", "Host: h", "X-Bad: a\x00b"], 400),
    ],
    ids=[
        "long target",
        "long header",
        "many headers",
        "no header",
        "version",
        "method",
        "zero",
        "two lengths",
        "both",
        "minus",
        "zero in header",
    ],
)
async def test_what_cannot_be_read_is_refused_in_one_line(
    wire: Wire, host: HostProcess, lines: list[str], status: int
) -> None:
    answer = await wire.send(*lines)
    assert (answer.status, answer.body) == (status, b"")
    assert await wire.is_closed()
    assert "Traceback" not in host.log
    async with a_wire(host.url) as another:
        assert (await another.send("GET /echo/ HTTP/1.1", "Host: h")).status == 200


async def test_what_is_no_http_at_all_is_refused(wire: Wire, host: HostProcess) -> None:
    assert (await wire.send("\x16\x03\x01\x02 hello")).status == 400
    assert "Traceback" not in host.log


async def test_a_chunked_body_of_no_chunks_is_an_empty_body(wire: Wire) -> None:
    lines = ["POST /echo/ HTTP/1.1", "Host: h", "Transfer-Encoding: chunked", "Content-Type: application/json"]
    assert (await wire.send(*lines, body=b"0\r\n\r\n")).json["body"] == ""
    # The connection is good for more.
    assert (await wire.send(*lines, body=b"3\r\nabc\r\n0\r\n\r\n")).json["body"] == "abc"


async def test_a_packed_body_is_handed_over_as_it_came(wire: Wire) -> None:
    lines = ["POST /echo/ HTTP/1.1", "Host: h", "Content-Encoding: gzip", "Content-Length: 3"]
    assert (await wire.send(*lines, body=b"abc")).json["body"] == "abc"


@pytest.mark.parametrize("method", ["GET", "PATCH", "MERGE", "PROPFIND", "OPTIONS"])
async def test_every_method_reaches_a_route_that_takes_all(wire: Wire, method: str) -> None:
    answer = await wire.send(f"{method} /echo/ HTTP/1.1", "Host: h")
    assert (answer.status, answer.json["method"]) == (200, method)


async def test_headers_that_are_repeated_are_joined(wire: Wire) -> None:
    answer = await wire.send(
        "GET /echo/ HTTP/1.1", "Host: h", "Prefer: a", 'prefer: odata.include-annotations="*"', "PREFER: b"
    )
    headers = answer.json["headers"]
    assert isinstance(headers, dict)
    assert headers["prefer"] == 'a,odata.include-annotations="*",b'


async def test_names_of_headers_keep_their_case(wire: Wire) -> None:
    answer = await wire.send("GET /named HTTP/1.1", "Host: h")
    expected = {"OData-EntityId", "ETag", "x-ms-service-request-id", "REQ_ID", "Preference-Applied", "Content-Type"}
    assert expected <= answer.names
    assert len([name for name in answer.names if name.lower() == "content-type"]) == 1


async def test_an_empty_type_means_none(wire: Wire) -> None:
    answer = await wire.send("GET /empty HTTP/1.1", "Host: h")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in {name.lower() for name in answer.names}
    assert "OData-Version" in answer.names


async def test_what_a_proxy_on_this_machine_says_reaches_the_app(wire: Wire) -> None:
    answer = await wire.send(
        "GET /echo/ HTTP/1.1", "Host: h", "X-Forwarded-Proto: https", "X-Forwarded-Host: org.example", "Forwarded: a=b"
    )
    headers = answer.json["headers"]
    assert isinstance(headers, dict)
    assert (headers["x-forwarded-proto"], headers["x-forwarded-host"]) == ("https", "org.example")
    assert headers["forwarded"] == "a=b"


async def test_connections_stay_open_and_many_are_served_at_once(host: HostProcess) -> None:
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(host.url, connector=connector) as session:

        async def ask(number: int) -> str:
            async with session.get("/slow", params={"number": str(number)}) as answer:
                return await answer.text()

        assert await asyncio.gather(*map(ask, range(200))) == [str(number) for number in range(200)]


async def test_requests_in_a_row_on_one_connection_are_answered_in_order(host: HostProcess) -> None:
    async with a_wire(host.url) as wire:
        first = await wire.send("GET /slow?number=1 HTTP/1.1", "Host: h", "", "GET /slow?number=2 HTTP/1.1", "Host: h")
        assert (first.body, (await wire.answer()).body) == (b"1", b"2")


async def test_the_app_is_told_that_only_this_machine_can_call(wire: Wire) -> None:
    assert (await wire.send("GET /local HTTP/1.1", "Host: h")).body == b"true"


@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        (["--host", "0.0.0.0"], {}, "false"),  # noqa: S104 - that is what is tried
        (["--host", "0.0.0.0"], {"ASYNCSERVICE_AUTH_LOCAL": "true"}, "false"),  # noqa: S104 - as above
        (["--host", "127.0.0.1"], {"ASYNCSERVICE_AUTH_LOCAL": "false"}, "false"),
        (["--host", "::1"], {}, "true"),
    ],
)
async def test_the_app_is_not_told_so_where_others_can_call(
    tmp_path: Path, azurite_connection: str, arguments: list[str], settings: Mapping[str, str], told: str
) -> None:
    app = write_app(tmp_path / "app", SOURCE)
    with a_host(app, azurite_connection, arguments, settings=settings) as host:
        async with aiohttp.ClientSession() as session, session.get(f"{host.url}/local") as answer:
            assert await answer.text() == told


async def test_https_is_served_to_clients_that_trust_the_authority(tmp_path: Path, azurite_connection: str) -> None:
    app = write_app(tmp_path / "app", SOURCE)
    with a_host(app, azurite_connection, ["--https", str(tmp_path / "https")]) as host:
        assert host.url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=tmp_path / "https" / AUTHORITY)
        async with a_wire(host.url, trusting) as wire:
            assert (await wire.send("GET /echo/x HTTP/1.1", "Host: localhost:1")).json[
                "url"
            ] == "https://localhost:1/echo/x"
        with pytest.raises(ssl.SSLCertVerificationError):
            async with a_wire(host.url, ssl.create_default_context()):
                pass
        # Plain http at this port is no https, and nothing else.
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            async with a_wire(host.url.replace("https", "http")) as plain:
                await plain.send("GET /echo/x HTTP/1.1", "Host: h")
        program = (
            "import sys, urllib.request as u; print(u.urlopen(sys.argv[1] + '/local', timeout=20).read().decode())"
        )
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program, host.url],
            env={"SSL_CERT_FILE": str(tmp_path / "https" / AUTHORITY)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout.strip() == "true", done.stderr
        assert "Traceback" not in host.log


@pytest.mark.parametrize(
    ("peer", "is_believed"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("10.0.0.4", False),
        ("fe80::1%eth0", False),
        (None, False),
    ],
)
def test_what_a_proxy_says_is_believed_of_this_machine_alone(peer: str | None, *, is_believed: bool) -> None:
    said = {
        "X-Forwarded-Proto": "https",
        "x-forwarded-host": "evil.example",
        "FORWARDED": "host=evil.example",
        "X-Original-URL": "/admin",
        "Host": "h",
        "X-Other": "kept",
    }
    request = make_mocked_request("GET", "/", headers=said).clone(remote=peer or "")

    names = {name for name, _ in headers_from(request)}

    assert names == (said.keys() if is_believed else {"Host", "X-Other"})
