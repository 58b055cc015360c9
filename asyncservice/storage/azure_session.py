"""Signed requests to an account's Table service, on one pool of kept connections.

The client library needs a millisecond and a half of processor time for a request, most of it for policies that do
nothing here, and four for a transaction; this needs a sixth of that. It gets endpoint and credential from the client
library, so every way of naming an account that the library knows works here.
"""

import asyncio
import base64
import hmac
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit
from urllib.request import getproxies

import aiohttp
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, AzureSasCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from multidict import CIMultiDictProxy
from yarl import URL

from asyncservice.storage.azure_errors import TRANSIENT_STATUS
from asyncservice.storage.errors import StorageUnavailable

type Credential = AzureNamedKeyCredential | AzureSasCredential | AsyncTokenCredential | None
type _Signer = Callable[[dict[str, str], str], Awaitable[None]]

_VERSION: Final = "2019-02-02"
_SCOPE: Final = "https://storage.azure.com/.default"
_FIXED: Final[Mapping[str, str]] = {
    "x-ms-version": _VERSION,
    "Accept": "application/json;odata=minimalmetadata",
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
}
#: A request may take this long; well below a lease, so that a heartbeat has time for a second try.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=20, sock_connect=5)
#: Pauses before the tries after the first, in seconds; the service's Retry-After counts when it is longer.
_PAUSES: Final = (0.2, 0.8, 2.0)
_LONGEST_PAUSE: Final = 10.0
#: Answers after which the request was certainly not applied.
_NOT_APPLIED: Final = frozenset({429})
#: A token that ends within this many seconds is exchanged for a new one.
_TOKEN_MARGIN: Final = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said."""

    status: int
    headers: CIMultiDictProxy[str]
    content: bytes
    #: Whether an earlier try of the same request got no clear answer, and may have been applied.
    repeated: bool = False

    @property
    def ok(self) -> bool:
        """Whether the request was done."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own range

    @property
    def code(self) -> str:
        """The service's own word for an error, such as EntityAlreadyExists; empty when it gave none."""
        if code := self.headers.get("x-ms-error-code"):
            return code
        try:
            return str(json.loads(self.content)["odata.error"]["code"])
        except (ValueError, KeyError, TypeError):
            return ""


class TableSession:
    """Requests to the Table service at *url*, which may carry a shared access signature."""

    def __init__(self, url: str, credential: Credential) -> None:
        parts = urlsplit(url)
        self._path = parts.path.rstrip("/")
        #: The account's address, without a signature.
        self.url = f"{parts.scheme}://{parts.netloc}{self._path}"
        self._query = dict(parse_qsl(parts.query))
        if isinstance(credential, AzureSasCredential):
            self._query |= dict(parse_qsl(credential.signature.removeprefix("?")))
        self._sign = _signer(credential)
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Send a request to *path* below the account, again where the service asks for it or does not answer.

        Raises StorageUnavailable when no clear answer came in the end.
        """
        url = self._address(path, query)
        unclear, reason = False, ""
        for pause in (*_PAUSES, None):
            try:
                answer = await self._send(method, url, path, headers, content)
            except aiohttp.ClientConnectorError as error:
                asked, reason = 0.0, str(error)  # It never reached the service.
            except (aiohttp.ClientError, TimeoutError, AzureError) as error:
                asked, reason, unclear = 0.0, f"{type(error).__name__} {error}", True
            else:
                if answer.status not in TRANSIENT_STATUS:
                    return replace(answer, repeated=unclear)
                asked, reason = _asked_pause(answer), f"{answer.status} {answer.code}"
                unclear |= answer.status not in _NOT_APPLIED
            if pause is None or asked > _LONGEST_PAUSE:
                break
            # Half of it at random, so that hosts that were turned away together do not come back together.
            await asyncio.sleep(max(asked, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - no secret
        raise StorageUnavailable(f"{method} {path}: {reason}")

    async def close(self) -> None:
        """Close the connections. Whatever still wants to be sent is told that the storage does not answer."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    def _address(self, path: str, query: Mapping[str, str] | None) -> URL:
        everything = self._query | dict(query or {})
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in everything.items())
        return URL(f"{self.url}{path}?{text}" if text else self.url + path, encoded=True)

    async def _send(
        self, method: str, url: URL, path: str, headers: Mapping[str, str] | None, content: bytes | None
    ) -> Answer:
        signed = {**_FIXED, **(headers or {}), "x-ms-date": formatdate(usegmt=True)}
        await self._sign(signed, self._path + path)
        if self._is_closed:
            raise StorageUnavailable("The connections to the storage are closed.")
        if self._session is None:
            # With trust in the environment every request also looks for a .netrc file, in a thread of its own.
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT, trust_env=bool(getproxies()), cookie_jar=aiohttp.DummyCookieJar()
            )
        async with self._session.request(method, url, headers=signed, data=content, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())


def _asked_pause(answer: Answer) -> float:
    """Return for how many seconds the service wants to be left alone."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _signer(credential: Credential) -> _Signer:
    """Return what adds the credential to a request's headers."""
    match credential:
        case None | AzureSasCredential():  # The signature is part of the address.
            return _unsigned
        case AzureNamedKeyCredential():
            return _SharedKey(credential)
        case _:
            return _Bearer(credential)


async def _unsigned(headers: dict[str, str], path: str) -> None:
    """Add nothing."""


class _SharedKey:
    """Signs with the account's key, in the form "Shared Key Lite" of the Table service."""

    def __init__(self, credential: AzureNamedKeyCredential) -> None:
        self._account = credential.named_key.name
        self._key = base64.b64decode(credential.named_key.key)

    async def __call__(self, headers: dict[str, str], path: str) -> None:
        text = f"{headers['x-ms-date']}\n/{self._account}{path}"
        signature = base64.b64encode(hmac.digest(self._key, text.encode(), sha256)).decode()
        headers["Authorization"] = f"SharedKeyLite {self._account}:{signature}"


class _Bearer:
    """Sends a token of an identity, and asks for a new one in time."""

    def __init__(self, credential: AsyncTokenCredential) -> None:
        self._credential = credential
        self._token: AccessToken | None = None
        self._asking = asyncio.Lock()

    async def __call__(self, headers: dict[str, str], path: str) -> None:  # noqa: ARG002 - as the others
        async with self._asking:
            if self._token is None or self._token.expires_on - time.time() < _TOKEN_MARGIN:
                self._token = await self._credential.get_token(_SCOPE)
        headers["Authorization"] = f"Bearer {self._token.token}"
