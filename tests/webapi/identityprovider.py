"""An identity provider on this machine: its own keys, published by a real HTTP server, and tokens signed with them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TENANT = UUID("11111111-0000-4000-8000-000000000001")
AUDIENCE = "api://asyncservice"
ANN = UUID("22222222-0000-4000-8000-00000000000a")
CLIENT = UUID("33333333-0000-4000-8000-00000000000c")


def new_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


KEY = new_key()
OTHER_KEY = new_key()


def public(key: rsa.RSAPrivateKey, key_id: str, **members: Any) -> dict[str, Any]:
    """Return the entry of a key in a key set."""
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"} | members


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class IdentityProvider:
    """What tests tell the provider to publish, and how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [public(KEY, "one")]
        self.asked = 0
        #: Instead of the keys: a status, or any answer at all.
        self.status = 200
        self.answer: Any = None
        self.url = ""
        self.discovery: dict[str, Any] | None = None

    @property
    def issuer(self) -> str:
        return f"{self.url}/{TENANT}/v2.0"

    @property
    def keys_url(self) -> str:
        return f"{self.url}/{TENANT}/discovery/v2.0/keys"

    async def serve_keys(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.status != 200:
            return web.Response(status=self.status, headers={"Location": f"{self.url}/elsewhere"})
        if isinstance(self.answer, bytes):
            return web.Response(body=self.answer)
        return web.json_response({"keys": self.keys})

    async def serve_elsewhere(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": self.keys})

    async def serve_discovery(self, _: web.Request) -> web.Response:
        return web.json_response(self.discovery or {"issuer": self.issuer, "jwks_uri": self.keys_url})

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of a good token of version 2; None leaves one out."""
        now = datetime.now(UTC)
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "exp": now + timedelta(hours=1),
            "nbf": now - timedelta(minutes=1),
            "iat": now - timedelta(minutes=1),
            "oid": str(ANN),
            "azp": str(CLIENT),
            "tid": str(TENANT),
            "scp": "user_impersonation",
            "name": "Ann Bee",
            "preferred_username": "ann@example.org",
            "roles": ["Reader"],
            "ver": "2.0",
        }
        return {name: value for name, value in (claims | changed).items() if value is not None}

    def token(
        self,
        *,
        key: rsa.RSAPrivateKey = KEY,
        algorithm: str = "RS256",
        header: Mapping[str, Any] | None = None,
        **changed: Any,
    ) -> str:
        """Return a signed token: a good one, but for what is *changed*."""
        headers = {name: value for name, value in {"kid": "one", **(header or {})}.items() if value is not None}
        return jwt.encode(self.claims(**changed), key, algorithm=algorithm, headers=headers)


@asynccontextmanager
async def an_identity_provider() -> AsyncIterator[IdentityProvider]:
    """Run a provider until the end of the block."""
    provider = IdentityProvider()
    application = web.Application()
    application.router.add_get(f"/{TENANT}/discovery/v2.0/keys", provider.serve_keys)
    application.router.add_get("/elsewhere", provider.serve_elsewhere)
    application.router.add_get("/{path:.*}/.well-known/openid-configuration", provider.serve_discovery)
    async with TestServer(application, host="127.0.0.1") as server:
        provider.url = str(server.make_url("/")).rstrip("/")
        yield provider
