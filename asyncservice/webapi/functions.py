"""Between the Functions host and the Web API: requests as the host gives them, responses as it sends them.

URLs in answers repeat the origin and the version that the client used (reference web-api-wire, section 1), also where a
proxy stands before the host.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

import azure.functions as func

from asyncservice.storage.errors import StorageUnavailable
from asyncservice.webapi.application import WebApi, refused
from asyncservice.webapi.exchange import Address, Headers, Request, Response
from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.proxies import called
from asyncservice.webapi.urls import MAX_URL

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?", re.IGNORECASE
)
_ROOT: Final = re.compile(
    r"/api/data/(?P<version>v[0-9]{1,2}\.[0-9]{1,2})(?:/(?P<rest>.*))?", re.IGNORECASE | re.DOTALL
)
#: Versions that work the same.
_MAJOR: Final = frozenset({"8", "9"})
_HOST: Final = re.compile(r"[A-Za-z0-9._\-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


async def serve(opened: Callable[[], Awaitable[WebApi]], incoming: func.HttpRequest) -> func.HttpResponse:
    """Answer a request below `/api/data/`; *opened* returns the Web API, or raises when the storage does not answer."""
    try:
        request = read_request(incoming.method, incoming.url, incoming.headers, incoming.get_body())
        api = await opened()
    except (ApiError, StorageUnavailable) as error:
        return outgoing(refused(error))
    response = await api.answer(request)
    if incoming.method == "HEAD":
        return outgoing(Response(status=response.status, headers=response.headers))
    return outgoing(response)


async def serve_background_operation(operation_id: str) -> func.HttpResponse:
    """Answer for a background operation: there are none before there are custom APIs (section 23)."""
    return outgoing(
        refused(
            ApiError(
                f"There is no background operation {operation_id[:_SHOWN]}.", status=HTTPStatus.NOT_FOUND, code=_UNKNOWN
            )
        )
    )


def read_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Request:
    """Return the request that came over the wire. Raises ApiError: 404 for another version, 414 for too long a URL."""
    if len(url) > MAX_URL:
        raise ApiError(
            f"The URL has {len(url)} characters; {MAX_URL} is the limit. Send the request as a part of a $batch.",
            status=HTTPStatus.REQUEST_URI_TOO_LONG,
        )
    found = _URL.fullmatch(url)
    root = None if found is None else _ROOT.fullmatch(found["path"])
    if found is None or root is None or root["version"][1:].partition(".")[0] not in _MAJOR:
        raise ApiError(
            "There is nothing at this address; the Web API begins at /api/data/v9.2/.", status=HTTPStatus.NOT_FOUND
        )
    given = Headers(headers)
    origin = origin_of(found["scheme"].lower(), found["host"], given)
    return Request(
        method=method,
        path=root["rest"] or "",
        query=found["query"] or "",
        headers=given,
        body=body,
        address=Address(origin, root["version"]),
    )


def origin_of(scheme: str, host: str, headers: Headers) -> str:
    """Return scheme and authority as the client used them. Raises ApiError for an authority that cannot be one."""
    told = called(headers)
    authority = told.host or headers.get("Host", "").strip() or host
    if not _HOST.fullmatch(authority):
        raise ApiError("The Host header names no host.")
    return f"{told.scheme or scheme}://{authority}"


class _Headers(func.HttpResponse().headers.__class__):  # type: ignore[misc]  # the library does not export it
    """Headers of a response without a body: the library, which adds a type where it finds none, finds one."""

    def __contains__(self, name: object) -> bool:
        return (isinstance(name, str) and name.lower() == "content-type") or bool(super().__contains__(name))


class _Bodiless(func.HttpResponse):
    """A response without a body, which has no Content-Type either."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(b"", status_code=status)
        self._bare = _Headers(headers)

    @property
    def headers(self) -> _Headers:
        """The headers, as they are given."""
        return self._bare


def outgoing(response: Response) -> func.HttpResponse:
    """Return the response as the host takes it, names of headers in the case they have."""
    if not response.body and "Content-Type" not in response.headers:
        return _Bodiless(int(response.status), response.headers)
    return func.HttpResponse(response.body, status_code=int(response.status), headers=dict(response.headers))


_SHOWN: Final = 80
_UNKNOWN: Final = "0x80040217"
