"""The HTTP connection: how long things may be, and what a request is answered that is no HTTP or too long.

Request targets and header values reach the app as they came, encoding and all. A target may have MAX_TARGET bytes and
a header MAX_HEADER: more than Azure lets through, so that what an app says of its own limits can be tried. What cannot
be read is answered 400, 414 or 431 with the connection closed, and told in one line of the log.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

_log: Final = logging.getLogger("Host.Http")

#: Bytes of a request's target, the part between method and version.
MAX_TARGET: Final = 65_536
#: Bytes of one header.
MAX_HEADER: Final = 65_000
#: Headers of one request.
MAX_HEADERS: Final = 128

#: What a proxy says of the request that it passes on.
_FORWARDED: Final = ("x-forwarded-", "x-original-", "forwarded")

type Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class HttpConnections(web.Server):
    """Makes the protocol of each connection. *max_body* is the largest body in bytes that `read` returns."""

    def __init__(self, handle: Handle, *, max_body: int) -> None:
        # An abandoned request does not cancel its function: the real host's worker would not hear of it either.
        super().__init__(handle, request_factory=self._request, handler_cancellation=False)
        self._max_body = max_body

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a connection."""
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # which it takes, as web.run_app's own documentation says
            max_line_size=MAX_TARGET,
            max_field_size=MAX_HEADER,
            max_headers=MAX_HEADERS,
            # The real host hands bodies over as they came; and small ones that unpack to large ones harm nobody.
            auto_decompress=False,
        )

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:  # noqa: ANN401 - aiohttp's own
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=self._max_body)


class _Connection(web.RequestHandler):
    """A connection that answers what it cannot read briefly."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that cannot be read, or whose answering failed within the host."""
        if not isinstance(exc, BadHttpMessage):
            return super().handle_error(request, status, exc, message)
        status = _status_of(exc)
        _log.warning("A request of %s cannot be read and is answered %d.", request.remote, status)
        response = web.Response(status=status)
        response.force_close()
        return response


def _status_of(error: BadHttpMessage) -> HTTPStatus:
    if isinstance(error, LineTooLong):
        is_target = error.args[1] in {MAX_TARGET, str(MAX_TARGET)}
        return HTTPStatus.REQUEST_URI_TOO_LONG if is_target else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    if "Too many headers" in error.message:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    return HTTPStatus.BAD_REQUEST


def target(request: web.BaseRequest) -> str:
    """Return path and query exactly as they came; of a target in absolute form (as proxies get them), that part."""
    raw = request.raw_path
    if raw.startswith("/"):
        return raw
    _scheme, separator, rest = raw.partition("://")
    return f"/{rest.partition('/')[2]}" if separator else f"/{raw}"


def headers_from(request: web.BaseRequest) -> Iterator[tuple[str, str]]:
    """Yield the headers for the app: what a proxy says counts from this machine only, as nobody else is one."""
    trusts = _is_loopback(request.remote)
    for name, value in request.headers.items():
        if trusts or not name.lower().startswith(_FORWARDED):
            yield name, value


def _is_loopback(peer: str | None) -> bool:
    try:
        return ipaddress.ip_address((peer or "").partition("%")[0]).is_loopback
    except ValueError:
        return False
