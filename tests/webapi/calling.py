"""Calls the Web API as a client would, without a wire: memory storage, a clock that stands still."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from asyncservice.organization.organization import Organization
from asyncservice.organization.wellknown import LOCAL_USER
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from asyncservice.webapi.application import OpenDoor, WebApi
from asyncservice.webapi.exchange import Address, Headers, Request, Response
from tests.support import NOON

ORG = "http://localhost:7071"
ROOT = f"{ORG}/api/data/v9.2/"


@dataclass
class StillClock:
    """A clock that moves when it is told to."""

    moment: datetime = NOON

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, length: timedelta) -> None:
        self.moment += length


@dataclass
class Answered:
    """A response, with its body read."""

    response: Response

    @property
    def status(self) -> int:
        return int(self.response.status)

    @property
    def headers(self) -> Mapping[str, str]:
        return self.response.headers

    @property
    def text(self) -> str:
        return self.response.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.response.body)

    @property
    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json["value"]
        return found

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])

    @property
    def id(self) -> str:
        """The id that OData-EntityId ends with."""
        return self.headers["OData-EntityId"].rpartition("(")[2].removesuffix(")")


@dataclass
class Client:
    """Sends requests."""

    api: WebApi
    clock: StillClock = field(default_factory=StillClock)

    async def send(self, method: str, url: str, body: object = None, **headers: str) -> Answered:
        """Send a request. The URL may be written plainly; underscores in names of headers stand for dashes."""
        path, _, query = url.removeprefix(ROOT).partition("?")
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(
            method=method,
            path=quote(path, safe="/()$'=,.%@*!:;"),
            query=quote(query, safe="/()$'=,.%@*!:;&+?"),
            headers=Headers({name.replace("_", "-"): value for name, value in headers.items()}),
            body=content,
            address=Address(ORG, "v9.2"),
        )
        return Answered(await self.api.answer(request))

    async def get(self, url: str, **headers: str) -> Answered:
        return await self.send("GET", url, **headers)

    async def post(self, url: str, body: object = None, **headers: str) -> Answered:
        return await self.send("POST", url, body, **headers)

    async def patch(self, url: str, body: object, **headers: str) -> Answered:
        return await self.send("PATCH", url, body, **headers)

    async def put(self, url: str, body: object, **headers: str) -> Answered:
        return await self.send("PUT", url, body, **headers)

    async def delete(self, url: str, **headers: str) -> Answered:
        return await self.send("DELETE", url, **headers)

    async def make(self, set_name: str, **values: object) -> str:
        """Make a row and return its id; `nav__bind` stands for `nav@odata.bind`."""
        body = {name.replace("__bind", "@odata.bind"): value for name, value in values.items()}
        answered = await self.post(set_name, body)
        assert answered.status == 204, answered.text
        return answered.id


async def a_client(storage: Storage | None = None) -> Client:
    """Return a client of an organization that has just been made."""
    organization = Organization(storage or MemoryStorage())
    await organization.create()
    await organization.seed(now=NOON)
    clock = StillClock()
    return Client(WebApi(organization, clock=clock, door=OpenDoor(LOCAL_USER)), clock)
