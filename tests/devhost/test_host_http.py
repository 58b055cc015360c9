"""HTTP functions as a client sees them: one host in a process of its own, a request for every fact."""

import os
from collections.abc import AsyncIterator, Iterator
from io import BytesIO

import aiohttp
import pytest

from asyncservice.devhost.functions import Function, HttpTrigger
from asyncservice.devhost.httptrigger import make_router
from tests.devhost.support import HostProcess, a_host, write_app

SOURCE = """
import json

@app.route("echo/{id:int}/{name?}", methods=["GET", "POST", "PUT"])
async def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    body = {
        "method": req.method, "url": req.url, "route": dict(req.route_params), "query": dict(req.params),
        "header": req.headers.get("x-many"), "body": len(req.get_body()), "function": context.function_name,
        "trace": context.trace_context.trace_parent,
    }
    return func.HttpResponse(json.dumps(body), status_code=201, mimetype="application/json", headers={"X-Own": "yes"})

@app.route("echo/new", methods=["GET"])
async def literal(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("literal")

@app.route("read", methods=["GET"])
async def read(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("read only")

@app.route("peek", methods=["HEAD", "GET"])
async def peek(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("12345")

@app.route("text")
def text(req: func.HttpRequest) -> str:
    return "plain"

@app.route("nothing")
def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=204)

@app.route("fails")
async def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("a secret")

@app.route("cookies")
async def cookies(req: func.HttpRequest) -> func.HttpResponse:
    from werkzeug.datastructures import Headers
    headers = Headers()
    headers.add("Set-Cookie", "a=1; Path=/x; HttpOnly; Secure; SameSite=Lax; Max-Age=60")
    headers.add("Set-Cookie", "b=2; Domain=example.org; Expires=Wed, 12 Jan 2028 10:11:12 GMT")
    return func.HttpResponse("", headers=headers)

@app.function_name("default-route")
@app.route()
async def by_name(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("by name")

@app.route("large")
async def large(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(b"x" * 3_000_000, mimetype="application/octet-stream")

@app.route("off")
async def off(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("should not be here")

async def asgi(scope, receive, send):
    message = await receive()
    query, body = scope["query_string"].decode(), message["body"].decode()
    text = json.dumps({"path": scope["path"], "query": query, "body": body})
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": text.encode()})

middleware = func.AsgiMiddleware(asgi)

@app.route("web/{*path}", methods=["GET", "POST", "DELETE"])
async def web(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await middleware.handle_async(req, context)
"""


@pytest.fixture(scope="module", params=["1", "2"], ids=["one process", "worker processes"])
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, azurite_connection: str
) -> Iterator[HostProcess]:
    app = write_app(tmp_path_factory.mktemp("http") / "app", SOURCE)
    settings = {"AzureWebJobs.off.Disabled": "true", "FUNCTIONS_WORKER_PROCESS_COUNT": request.param}
    with a_host(app, azurite_connection, settings=settings) as process:
        yield process


@pytest.fixture
async def client(host: HostProcess) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(host.url) as session:
        yield session


async def test_a_function_sees_the_whole_request_and_makes_the_whole_answer(client: aiohttp.ClientSession) -> None:
    headers = [("x-many", "one"), ("x-many", "two"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7-01")]
    async with client.put("/echo/5/ann?a=1&a=2&b=%20", headers=headers, data=b"12345") as answer:
        assert answer.status == 201
        assert answer.headers["X-Own"] == "yes"
        assert answer.content_type == "application/json"
        body = await answer.json()
    assert body["url"].endswith("/echo/5/ann?a=1&a=2&b=%20")
    del body["url"]
    assert body == {
        "method": "PUT",
        "route": {"id": "5", "name": "ann"},
        "query": {"a": "1,2", "b": " "},
        "header": "one,two",
        "body": 5,
        "function": "echo",
        "trace": "00-0af7651916cd43dd8448eb211c80319c-b7-01",
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/echo/new", 200, "literal"),
        ("GET", "/ECHO/NEW", 200, "literal"),
        ("GET", "/echo/word", 404, ""),
        ("GET", "/unknown", 404, ""),
        ("GET", "/", 200, None),
        ("GET", "/read", 200, "read only"),
        # The real host has no 405: a route that does not take the method is no route, and GET does not imply HEAD.
        ("POST", "/read", 404, ""),
        ("HEAD", "/read", 404, ""),
        ("GET", "/text", 200, "plain"),
        ("POST", "/text", 200, "plain"),
        ("POST", "/nothing", 204, ""),
        ("GET", "/default-route", 200, "by name"),
        ("GET", "/off", 404, ""),
        ("GET", "/fails", 500, ""),
    ],
)
async def test_answers(client: aiohttp.ClientSession, method: str, path: str, status: int, text: str | None) -> None:
    async with client.request(method, path) as answer:
        assert answer.status == status
        if text is not None:
            assert await answer.text() == text


async def test_a_head_request_is_answered_without_a_body(client: aiohttp.ClientSession) -> None:
    async with client.head("/peek") as answer:
        assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, "5", b"")


async def test_an_asgi_application_answers_behind_a_catch_all(client: aiohttp.ClientSession) -> None:
    async with client.post("/web/api/data/v9.2/accounts(1)?$top=5", data="{}") as answer:
        assert answer.status == 202
        body = await answer.json()
        assert body == {"path": "/web/api/data/v9.2/accounts(1)", "query": "$top=5", "body": "{}"}
    async with client.get("/web") as answer:
        assert (await answer.json())["path"] == "/web"


async def test_a_large_body_arrives_whole(client: aiohttp.ClientSession) -> None:
    async with client.post("/echo/1", data=BytesIO(os.urandom(5_000_000))) as answer:
        assert (await answer.json())["body"] == 5_000_000


async def test_a_large_answer_arrives_whole(client: aiohttp.ClientSession) -> None:
    async with client.get("/large") as answer:
        assert (answer.content_type, len(await answer.read())) == ("application/octet-stream", 3_000_000)


async def test_cookies_are_set_with_their_attributes(client: aiohttp.ClientSession) -> None:
    async with client.get("/cookies") as answer:
        first, second = answer.headers.getall("Set-Cookie")
    assert first == "a=1; Path=/x; Max-Age=60; Secure; HttpOnly; SameSite=Lax"
    assert second == "b=2; Domain=example.org; Expires=Wed, 12 Jan 2028 10:11:12 GMT"


async def test_a_failure_is_logged_and_not_told(client: aiohttp.ClientSession, host: HostProcess) -> None:
    async with client.get("/fails") as answer:
        assert "secret" not in await answer.text()
    assert "Function fails failed: ValueError: a secret" in host.log


def test_routes_stand_below_the_prefix_of_host_json() -> None:
    function = Function(
        id="1", name="f", parameter="req", trigger=HttpTrigger(route="jobs", methods=frozenset({"GET"}))
    )
    assert make_router((function,), "api").find("GET", "/api/jobs") == (function, {})
    assert make_router((function,), "").find("GET", "/jobs") == (function, {})
