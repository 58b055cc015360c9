"""Signed requests to one service of an account, on one pool of kept connections.

The client library needs a millisecond and a half of processor time for a request, most of it for policies that do
nothing here, and four for a small transaction; this needs a sixth of that. Address and credential come from the client
library, so every way of naming an account that the library knows works here.
"""

import asyncio
import base64
import hmac
import json
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from hashlib import sha256
from typing import Final, Protocol
from urllib.parse import parse_qsl, quote, urlsplit
from urllib.request import getproxies

import aiohttp
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, AzureSasCredential
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from yarl import URL

from asyncservice.storage.azure_errors import TRANSIENT_STATUS
from asyncservice.storage.errors import StorageUnavailable

type Credential = AzureNamedKeyCredential | AzureSasCredential | AsyncTokenCredential | None


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A request before its credential is added."""

    method: str
    #: Percent-encoded, from the root.
    path: str
    query: Mapping[str, str]
    headers: dict[str, str]
    size: int


class Signer(Protocol):
    """Adds a credential to the headers of a request."""

    async def __call__(self, request: Unsigned) -> None:
        """Add the header, asking for a new token first where that is needed."""
        ...


_SCOPE: Final = "https://storage.azure.com/.default"
#: A request may take this long; well below a lease, so that a heartbeat has time for a second try.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=20, sock_connect=5)
#: Pauses before the tries after the first, in seconds; the service's Retry-After counts when it is longer.
_PAUSES: Final = (0.2, 0.8, 2.0)
_LONGEST_PAUSE: Final = 10.0
#: Answers after which the request was certainly not applied.
_NOT_APPLIED: Final = frozenset({429})
#: A token that ends within this many seconds is exchanged for a new one.
_TOKEN_MARGIN: Final = 300


_XML_CODE: Final = re.compile(rb"<Code>([^<]*)</Code>")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said."""

    status: int
    #: Their names may be written in any case.
    headers: Mapping[str, str]
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
        if found := _XML_CODE.search(self.content):
            return found[1].decode()
        try:
            return str(json.loads(self.content)["odata.error"]["code"])
        except (ValueError, KeyError, TypeError):
            return ""


class AzureSession:
    """Requests to the service at *url*, which may carry a shared access signature.

    *headers* go with each of them. *signed* makes the signer of an account's key, which each service has its own of.
    """

    def __init__(
        self,
        url: str,
        credential: Credential,
        *,
        headers: Mapping[str, str],
        signed: Callable[[AzureNamedKeyCredential], Signer],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(url)
        self._path = parts.path.rstrip("/")
        #: The account's address, without a signature.
        self.url = f"{parts.scheme}://{parts.netloc}{self._path}"
        self._query = dict(parse_qsl(parts.query))
        if isinstance(credential, AzureSasCredential):
            self._query |= dict(parse_qsl(credential.signature.removeprefix("?")))
        self._headers = headers
        self._sign = _signer(credential, signed, now)
        self._sleep = sleep
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
        unclear, reason = False, ""
        for pause in (*_PAUSES, None):
            try:
                answer = await self._send(method, path, query, headers, content)
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
            await self._sleep(max(asked, pause * random.uniform(0.5, 1.0)))  # noqa: S311 - no secret
        raise StorageUnavailable(f"{method} {path}: {reason}")

    async def close(self) -> None:
        """Close the connections. Whatever still wants to be sent is told that the storage does not answer."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
    ) -> Answer:
        if self._is_closed:
            raise StorageUnavailable("The connections to the storage are closed.")
        everything = self._query | dict(query or {})
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in everything.items())
        url = URL(f"{self.url}{path}?{text}" if text else self.url + path, encoded=True)
        signed = {**self._headers, **(headers or {}), "x-ms-date": formatdate(usegmt=True)}
        size = 0 if content is None else len(content)
        await self._sign(Unsigned(method, self._path + path, everything, signed, size))
        if self._session is None:
            # With trust in the environment every request also looks for a .netrc file, in a thread of its own.
            # A content type that it adds by itself would not have been signed.
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT,
                trust_env=bool(getproxies()),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=["Content-Type"],
            )
            # Left to itself it sends a PUT or DELETE again when a kept connection was cut, and does not tell: whoever
            # then hears of a conflict would not know that it may be his own write. There is no public way to say so.
            self._session._retry_connection = False  # noqa: SLF001
        async with self._session.request(method, url, headers=signed, data=content, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())


def _asked_pause(answer: Answer) -> float:
    """Return for how many seconds the service wants to be left alone."""
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _signer(
    credential: Credential, signed: Callable[[AzureNamedKeyCredential], Signer], now: Callable[[], float]
) -> Signer:
    """Return what adds the credential to a request's headers."""
    match credential:
        case None | AzureSasCredential():  # The signature is part of the address.
            return _unsigned
        case AzureNamedKeyCredential():
            return signed(credential)
        case _:
            return _Bearer(credential, now)


async def _unsigned(request: Unsigned) -> None:
    """Add nothing."""


class _SharedKey:
    def __init__(self, credential: AzureNamedKeyCredential) -> None:
        self.account = credential.named_key.name
        self._key = base64.b64decode(credential.named_key.key)

    def signature(self, text: str) -> str:
        return base64.b64encode(hmac.digest(self._key, text.encode(), sha256)).decode()


class SharedKeyLite(_SharedKey):
    """Signs with the account's key as the Table service reads it."""

    async def __call__(self, request: Unsigned) -> None:
        """Add the header."""
        signature = self.signature(f"{request.headers['x-ms-date']}\n/{self.account}{request.path}")
        request.headers["Authorization"] = f"SharedKeyLite {self.account}:{signature}"


class SharedKey(_SharedKey):
    """Signs with the account's key as the Queue service reads it."""

    async def __call__(self, request: Unsigned) -> None:
        """Add the header."""
        kind = request.headers.get("Content-Type", "")
        # Between them stand headers that no request here has.
        text = f"{request.method}\n\n\n{request.size or ''}\n\n{kind}\n\n\n\n\n\n\n"
        own = sorted((name.lower(), value) for name, value in request.headers.items() if name.startswith("x-ms-"))
        text += "".join(f"{name}:{value}\n" for name, value in own)
        text += f"/{self.account}{request.path}"
        text += "".join(f"\n{name.lower()}:{value}" for name, value in sorted(request.query.items()))
        request.headers["Authorization"] = f"SharedKey {self.account}:{self.signature(text)}"


class _Bearer:
    """Sends a token of an identity, and asks for a new one in time."""

    def __init__(self, credential: AsyncTokenCredential, now: Callable[[], float]) -> None:
        self._credential, self._now = credential, now
        self._token: AccessToken | None = None
        self._asking = asyncio.Lock()

    async def __call__(self, request: Unsigned) -> None:
        async with self._asking:
            if self._token is None or self._token.expires_on - self._now() < _TOKEN_MARGIN:
                self._token = await self._credential.get_token(_SCOPE)
        request.headers["Authorization"] = f"Bearer {self._token.token}"
