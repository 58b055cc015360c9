"""The public keys with which an identity provider signs its tokens: fetched, kept, and fetched again.

The provider publishes them as a JSON Web Key Set (RFC 7517) and rolls them over without telling: a token may name a key
that has not been seen yet. Then the set is fetched once more, but no more often than every RETRY seconds, so that
tokens with invented keys cost the provider nothing. When it does not answer, the keys that are kept go on counting
for KEPT; without any the answer is "not now" (503), never "let in".
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.principals import not_authenticated

_log: Final = logging.getLogger(__name__)

#: Keys are fetched anew when they are older than this.
FRESH: Final = timedelta(hours=12)
#: Keys count for so long when they cannot be fetched anew.
KEPT: Final = timedelta(hours=36)
#: No two attempts to fetch begin closer together than this.
RETRY: Final = timedelta(seconds=30)
#: How long one attempt may take.
PATIENCE: Final = timedelta(seconds=10)
#: The shortest modulus that is taken, in bits.
SHORTEST: Final = 2048
_MOST_BYTES: Final = 1024 * 1024

type Fetch = Callable[[str], Awaitable[Any]]
"""Returns the JSON at a URL. Raises FetchFailed."""


class FetchFailed(Exception):  # noqa: N818 - reads as the fact it states
    """The provider's answer could not be had, or was none."""


async def fetch_json(url: str) -> Any:  # noqa: ANN401 - whatever JSON there is
    """Return the JSON at *url*; follows no redirections and reads a megabyte at most. Raises FetchFailed."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE.total_seconds())
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status != HTTPStatus.OK:
                raise FetchFailed(f"{url} answers {answer.status}")
            text = bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                text += chunk
                if len(text) > _MOST_BYTES:
                    raise FetchFailed(f"{url} answers more than {_MOST_BYTES} bytes")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise FetchFailed(f"{url} does not answer: {error!r}") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FetchFailed(f"{url} answers no JSON: {error}") from error


class SigningKeys:
    """The keys of one provider. *keys_url* is where they are; empty: *discovery_url* and *issuer* say where."""

    def __init__(
        self,
        keys_url: str,
        *,
        discovery_url: str = "",
        issuer: str = "",
        fetch: Fetch = fetch_json,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys_url, self._discovery_url, self._issuer = keys_url, discovery_url, issuer
        self._fetch, self._seconds = fetch, seconds
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str) -> RSAPublicKey:
        """Return the key of that id.

        Raises ApiError: 401 when the provider has no such key, 503 when it does not answer and no keys are kept.
        """
        if key_id not in self._keys or self._age > FRESH.total_seconds():
            await self._refresh(key_id)
        if self._fetched is None or self._age > KEPT.total_seconds():
            raise ApiError(
                "The identity provider's signing keys cannot be fetched, so no token can be checked; try again later.",
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                code="",
                headers={"Retry-After": str(int(RETRY.total_seconds()))},
            )
        if key_id not in self._keys:
            raise not_authenticated("The token is signed with a key that its issuer does not publish.")
        return self._keys[key_id]

    @property
    def _age(self) -> float:
        return float("inf") if self._fetched is None else self._seconds() - self._fetched

    async def _refresh(self, key_id: str) -> None:
        """Fetch the keys, unless somebody does or has just tried so."""
        if key_id in self._keys and self._fetching.locked():
            return
        async with self._fetching:
            # Whoever waited here while another fetched finds what he needs, or that it cannot be had now.
            is_known = key_id in self._keys and self._age <= FRESH.total_seconds()
            if is_known or self._is_soon():
                return
            self._tried = self._seconds()
            try:
                self._keys = usable(await self._fetch(await self._place()))
            except FetchFailed as error:
                _log.warning("Signing keys cannot be fetched, %d are kept: %s", len(self._keys), error)
            else:
                self._fetched = self._seconds()

    def _is_soon(self) -> bool:
        return self._tried is not None and self._seconds() - self._tried < RETRY.total_seconds()

    async def _place(self) -> str:
        if self._keys_url:
            return self._keys_url
        document = await self._fetch(self._discovery_url)
        place = document.get("jwks_uri") if isinstance(document, dict) else None
        if not isinstance(place, str) or document.get("issuer") != self._issuer:
            raise FetchFailed(f"{self._discovery_url} does not describe the issuer {self._issuer} and its jwks_uri")
        if not place.startswith("https://") and not self._discovery_url.startswith("http://"):
            raise FetchFailed(f"{self._discovery_url} names keys at {place}, which is not https")
        return place


def usable(key_set: object) -> dict[str, RSAPublicKey]:
    """Return the RSA keys for signatures of a key set by their ids; others are left out. Raises FetchFailed."""
    listed = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(listed, list):
        raise FetchFailed("the key set has no list of keys")
    found: dict[str, RSAPublicKey] = {}
    for each in listed:
        if not isinstance(each, dict) or each.get("kty") != "RSA" or each.get("use", "sig") != "sig":
            continue
        if not isinstance(each.get("kid"), str):
            continue
        try:
            key = jwt.PyJWK(each, algorithm="RS256").key
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            _log.warning("A signing key cannot be read and is left out: %s", error)
            continue
        if isinstance(key, RSAPublicKey) and key.key_size >= SHORTEST:
            found[each["kid"]] = key
    if not found:
        raise FetchFailed("the key set has no RSA key for signatures")
    return found
