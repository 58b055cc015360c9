"""The HTTP trigger: serves routes and hands requests to functions.

Follows the documented behaviour of the Functions HTTP trigger. No key is asked for, whatever the authorization level,
as with Core Tools. A path without a route, or a method that its routes do not take, is answered 404. A function that
fails is answered 500 without a word of why; the log has it. Bodies may be up to 100 MB and reach the function whole.
"""

import logging
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPMethod, HTTPStatus
from io import BytesIO
from socket import socket
from typing import Any, Final

from aiohttp import hdrs, web

from asyncservice.devhost.functions import Function, HttpTrigger
from asyncservice.devhost.httpwire import HttpConnections, headers_from, target
from asyncservice.devhost.invoker import Invokes
from asyncservice.devhost.messages import Protocol, TypedData
from asyncservice.devhost.pausing import Stop
from asyncservice.devhost.routing import Route, Router, parse_template

_log: Final = logging.getLogger("Host.Http")

#: The host's limit for a request's body.
MAX_BODY_BYTES: Final = 100 * 1024 * 1024
#: Headers that belong to a connection, or that the server computes from what it sends.
_OURS: Final = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding", "upgrade"}
)
_LARGE: Final = 1024 * 1024
_SAME_SITE: Final[Mapping[int, str]] = {1: "Lax", 2: "Strict", 3: "None"}


def make_router(functions: tuple[Function, ...], prefix: str) -> Router[Function]:
    """Return the routes of all HTTP functions, each below the *prefix* of host.json."""
    return Router(
        Route(parse_template(f"{prefix}/{function.trigger.route}"), function.trigger.methods, function)
        for function in functions
        if isinstance(function.trigger, HttpTrigger)
    )


class HttpServer:
    """Answers requests on a socket that is bound already. `start` opens it; `close` ends in good order."""

    def __init__(self, router: Router[Function], invoker: Invokes, stop: Stop, *, grace: timedelta) -> None:
        self._router = router
        self._invoker = invoker
        self._stop = stop
        self._grace = grace
        self._runner: web.ServerRunner | None = None

    async def start(self, listener: socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve on *listener*; with *tls*, https and nothing else."""
        connections = HttpConnections(self._answer, max_body=MAX_BODY_BYTES)
        self._runner = web.ServerRunner(connections, shutdown_timeout=self._grace.total_seconds())
        await self._runner.setup()
        await web.SockSite(self._runner, listener, ssl_context=tls).start()

    async def close(self) -> None:
        """Accept nothing more, wait for requests under way as long as the grace period allows, end the rest."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._stop.requested:
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Connection": "close"})
        path, _, _query = target(request).partition("?")
        found = self._router.find(request.method, path)
        if found is None:
            if path == "/" and request.method in {HTTPMethod.GET, HTTPMethod.HEAD}:
                return web.Response(text="The function app is up and running.\n")
            return web.Response(status=HTTPStatus.NOT_FOUND)
        function, parameters = found
        result = await self._invoker.invoke(
            function,
            TypedData(http=await _request_data(request, parameters)),
            {},
            trace_parent=request.headers.get("traceparent", ""),
            trace_state=request.headers.get("tracestate", ""),
        )
        if result.error is not None:
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        try:
            return _response(result.value, request.method)
        except ValueError as error:
            _log.error("Function %s answered what cannot be sent: %s", function.name, error)
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)


async def _request_data(request: web.BaseRequest, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401 - as the contract
    body = await request.read()
    return Protocol.RpcHttp(
        method=request.method,
        # Path and query stay percent-encoded as they came.
        url=f"{request.scheme}://{request.host}{target(request)}",
        headers=_joined(headers_from(request)),
        query=_joined(request.query.items()),
        params=dict(parameters),
        body=TypedData(bytes=body) if body else TypedData(),
    )


def _joined(pairs: Any) -> dict[str, str]:  # noqa: ANN401 - items of any multi-dictionary
    """Return one value a name: the contract has maps of strings, so the host joins repeated ones with commas."""
    joined: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for given, value in pairs:
        name = spelled.setdefault(given.lower(), given)
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _response(value: TypedData | None, method: str) -> web.Response:
    if value is None or value.kind is None:
        return web.Response(status=HTTPStatus.NO_CONTENT)
    if value.kind != "http":
        return _plain(value)
    answer = value.http
    body = _body(answer.body)
    # A stream is sent in pieces; a large body sent whole would hold everything else up.
    response = web.Response(status=int(answer.status_code), body=BytesIO(body) if len(body) > _LARGE else body)
    if not body:
        # aiohttp names a type for empty bodies, too; the function's own header follows, if it has one.
        response.headers.popall(hdrs.CONTENT_TYPE, None)
    for name, text in answer.headers.items():
        if name.lower() == "content-type" and not text:
            # The worker names a type for every answer that has none; an empty one is how an app says "none".
            response.headers.popall(hdrs.CONTENT_TYPE, None)
        elif name.lower() not in _OURS or (name.lower() == "content-length" and method == HTTPMethod.HEAD and not body):
            response.headers[name] = text
    for cookie in answer.cookies or ():
        response.headers.add(hdrs.SET_COOKIE, format_cookie(cookie))
    return response


def _plain(value: TypedData) -> web.Response:
    if value.kind == "json":
        return web.Response(text=value.json, content_type="application/json")
    if value.kind == "bytes":
        return web.Response(body=value.bytes)
    return web.Response(text=str(value.value))


def _body(data: TypedData | None) -> bytes:
    content = None if data is None else data.value
    if content is None:
        return b""
    return content if isinstance(content, bytes) else str(content).encode()


def format_cookie(cookie: Any) -> str:  # noqa: ANN401 - as the contract
    """Return the Set-Cookie header of a cookie as the worker describes it."""
    parts = [f"{cookie.name}={cookie.value}"]
    for attribute in ("domain", "path"):
        given = getattr(cookie, attribute)
        if given is not None and given.value:
            parts.append(f"{attribute.capitalize()}={given.value}")
    if cookie.expires is not None:
        moment = datetime.fromtimestamp(cookie.expires.value.seconds, UTC)
        parts.append(f"Expires={moment:%a, %d %b %Y %H:%M:%S} GMT")
    if cookie.max_age is not None:
        parts.append(f"Max-Age={cookie.max_age.value:g}")
    if cookie.secure is not None and cookie.secure.value:
        parts.append("Secure")
    if cookie.http_only is not None and cookie.http_only.value:
        parts.append("HttpOnly")
    if cookie.same_site in _SAME_SITE:
        parts.append(f"SameSite={_SAME_SITE[cookie.same_site]}")
    return "; ".join(parts)
