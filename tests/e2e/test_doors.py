"""Who gets in through the running host: tokens, an address that others can reach, https by the command."""

import asyncio
import os
import re
import signal
import socket
import ssl
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.hosts import ROOT, Hosts
from tests.webapi.identityprovider import AUDIENCE, TENANT, IdentityProvider, an_identity_provider


async def ask(
    url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, **given: Any
) -> tuple[int, Any]:
    """Return status and JSON of an answer."""
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers, **given) as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


def bearer(provider: IdentityProvider, *roles: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {provider.token(roles=list(roles))}"}


async def test_with_a_tenant_every_door_asks_for_a_token(hosts: Hosts) -> None:
    async with an_identity_provider() as provider:
        host = await hosts.start(
            {
                "ASYNCSERVICE_AUTH_TENANT": str(TENANT),
                "ASYNCSERVICE_AUTH_AUTHORITY": provider.url,
                "ASYNCSERVICE_AUTH_AUDIENCE": AUDIENCE,
            }
        )
        for path in ("/api/data/v9.2/WhoAmI", "/api/data/v9.2/", "/api/limits", "/api/poison"):
            status, body = await ask(f"{host.url}{path}")
            assert (status, body["error"]["code"]) == (401, "0x8005f101"), path
        forged = {"X-MS-CLIENT-PRINCIPAL": "e30=", "x-functions-key": "x"}
        assert (await ask(f"{host.url}/api/limits", headers=forged))[0] == 401
        assert (await ask(f"{host.url}/api/limits", headers=bearer(provider, "Reader")))[0] == 200
        assert (await ask(f"{host.url}/api/poison", headers=bearer(provider, "Reader")))[0] == 403
        assert (await ask(f"{host.url}/api/poison", headers=bearer(provider, "Operator")))[0] == 200
        status, me = await ask(f"{host.url}/api/data/v9.2/WhoAmI", headers=bearer(provider, "Reader"))
        assert status == 200
        status, user = await ask(
            f"{host.url}/api/data/v9.2/systemusers({me['UserId']})", headers=bearer(provider, "Reader")
        )
        assert (status, user["fullname"], user["domainname"]) == (200, "Ann Bee", "ann@example.org")
        status, _ = await ask(
            f"{host.url}/api/data/v9.2/accounts", method="POST", json={"name": "x"}, headers=bearer(provider, "Reader")
        )
        assert status == 403


async def test_an_address_that_others_can_reach_is_closed_without_authentication(hosts: Hosts) -> None:
    host = await hosts.start({"ASYNCSERVICE_AUTH_LOCAL": "true"}, arguments=["--host", "0.0.0.0"])  # noqa: S104
    url = host.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - as above
    for path in ("/api/data/v9.2/WhoAmI", "/api/limits", "/api/poison"):
        status, body = await ask(f"{url}{path}")
        assert status == 401
        assert "ASYNCSERVICE_AUTH_TENANT" in body["error"]["message"]


async def test_the_local_host_asks_nobody_but_pages_of_others(hosts: Hosts) -> None:
    host = await hosts.start()
    assert (await ask(f"{host.url}/api/data/v9.2/WhoAmI"))[0] == 200
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        status, body = await ask(
            f"{host.url}/api/data/v9.2/accounts", method="POST", headers=headers, json={"name": "forged"}
        )
        assert (status, body["error"]["code"]) == (403, "0x80040220")


# The command ------------------------------------------------------------------------------------------------------


def free_ports() -> int:
    """Return a port that is free together with the two behind it."""
    for _ in range(50):
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                for number in (port + 1, port + 2):
                    with socket.socket() as other:
                        other.bind(("127.0.0.1", number))
            except (OSError, OverflowError):
                continue
        return port
    raise AssertionError("no three ports are free")


@asynccontextmanager
async def up(data: Path, *arguments: str) -> AsyncIterator[tuple[str, Path]]:
    """Run `asyncservice up --https`; give its address and the file of its authority."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("ASYNCSERVICE_", "Azure"))}
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("asyncservice")), "up", "--https", "--port", "0", "--data", str(data)),
        *("--storage-port", str(free_ports()), *arguments),
        cwd=ROOT,
        env=ours,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            authority = re.fullmatch(r"certificate authority (.+)\n", (await process.stdout.readline()).decode())
            ready = re.fullmatch(r"ready (https://\S+)\n", (await process.stdout.readline()).decode())
        assert authority is not None
        assert ready is not None
        yield ready[1], Path(authority[1])
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_up_serves_https_and_keeps_its_authority(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        async with up(tmp_path / "data") as (url, authority):
            assert authority == tmp_path / "data" / "https" / "authority.pem"
            key = authority.with_name("authority-key.pem")
            assert stat.S_IMODE(key.stat().st_mode) == 0o600
            trusting = ssl.create_default_context(cafile=authority)
            for name in ("127.0.0.1", "localhost"):
                status, root = await ask(f"{url.replace('127.0.0.1', name)}/api/data/v9.2/", ssl=trusting)
                assert status == 200
                assert root["@odata.context"].startswith(f"https://{name}:")
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await ask(f"{url}/api/data/v9.2/")
            seen.append(authority.read_bytes())
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        (["--host", "0.0.0.0"], {}, "nobody would ask them who they are"),  # noqa: S104 - that is what is tried
        (["--host", "::"], {"ASYNCSERVICE_AUTH_LOCAL": "true"}, "nobody would ask them who they are"),
        (["--host", "0.0.0.0"], {"WEBSITE_AUTH_ENABLED": "True"}, "nobody would ask them who they are"),  # noqa: S104
        ([], {"ASYNCSERVICE_AUTH_TENANT": "common"}, "ASYNCSERVICE_AUTH_TENANT"),
        ([], {"ASYNCSERVICE_AUTH_TENANT": str(TENANT)}, "ASYNCSERVICE_AUTH_AUDIENCE"),
        ([], {"ASYNCSERVICE_AUTH_AUDIENCE": "x"}, "ASYNCSERVICE_AUTH_TENANT"),
        ([], {"ASYNCSERVICE_AUTH_ISSUER": "http://example.org", "ASYNCSERVICE_AUTH_AUDIENCE": "x"}, "https://"),
    ],
)
async def test_up_does_not_start_half_open(arguments: list[str], settings: Mapping[str, str], told: str) -> None:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("ASYNCSERVICE_", "Azure"))}
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("asyncservice")), "up", *arguments),
        cwd=ROOT,
        env=ours | dict(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, output) == (1, b"")
    assert told in " ".join(errors.decode().split())
    assert "Traceback" not in errors.decode()
