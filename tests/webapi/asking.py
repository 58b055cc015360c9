"""A Web API in memory, and short ways to ask it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncservice.organization.organization import Organization
from asyncservice.storage.memory import MemoryStorage
from asyncservice.webapi.application import WebApi
from asyncservice.webapi.exchange import Headers, Request, Response
from tests.support import VirtualClock


@dataclass(frozen=True)
class Asked:
    """An answer, its body read."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and message of an error."""
        told = self.json["error"]
        return self.status, told["code"], told["message"]

    @property
    def id(self) -> str:
        """The id of the row that was written."""
        return self.headers["OData-EntityId"].rpartition("(")[2].removesuffix(")")


class Client:
    """Asks a Web API of its own, whose organization has been seeded."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.storage = MemoryStorage()
        self.organization = Organization(self.storage)
        self.api = WebApi(self.organization, clock=self.clock)

    async def opened(self) -> "Client":
        """Make what the first request needs."""
        await self.organization.create()
        await self.organization.seed(now=self.clock.now())
        return self

    async def ask(self, method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Asked:
        """Send a request; a body that is no bytes is sent as JSON."""
        path, _, query = url.partition("?")
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        request = Request(method=method, path=path, query=query, headers=Headers(headers or {}), body=sent)
        return _asked(await self.api.answer(request))

    async def get(self, url: str, **headers: str) -> Asked:
        """GET; headers with underscores for dashes."""
        return await self.ask("GET", url, headers={name.replace("_", "-"): text for name, text in headers.items()})

    async def post(self, url: str, body: object = None) -> Asked:
        """POST JSON."""
        return await self.ask("POST", url, body)

    async def names(self, url: str, column: str = "name") -> list[Any]:
        """Return a column of the rows of a list."""
        answer = await self.get(url)
        assert answer.status == 200, answer.body
        return [row.get(column) for row in answer.json["value"]]

    async def batch(self, *parts: str | Sequence[str], prefer: str = "") -> tuple[Asked, list[Asked | list[Asked]]]:
        """Send a batch; a part is the text of a request, a list of them a change set. Returns the outer answer too."""
        lines: list[str] = []
        for number, part in enumerate(parts):
            if isinstance(part, str):
                lines += ["--batch", "Content-Type: application/http", "", part]
            else:
                lines += ["--batch", f"Content-Type: multipart/mixed; boundary=set{number}", ""]
                for place, each in enumerate(part, 1):
                    lines += [f"--set{number}", "Content-Type: application/http", f"Content-ID: {place}", "", each]
                lines.append(f"--set{number}--")
        text = "\r\n".join([*lines, "--batch--", ""])
        headers = {"Content-Type": "multipart/mixed; boundary=batch", "Prefer": prefer}
        answer = await self.ask("POST", "$batch", text.encode(), headers)
        if not answer.headers["Content-Type"].startswith("multipart"):
            return answer, []
        return answer, _parts(answer.body.decode(), answer.headers["Content-Type"].partition("boundary=")[2])


def written(method: str, url: str, body: object = None, **headers: str) -> str:
    """Return the text of a request for a batch."""
    lines = [f"{method} {url} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if body is None:
        return "\r\n".join(lines)
    return "\r\n".join([*lines, "Content-Type: application/json", "", json.dumps(body)])


def _asked(response: Response) -> Asked:
    return Asked(response.status, response.headers, response.body)


def _parts(text: str, boundary: str) -> list[Any]:
    read: list[Any] = []
    pieces = text.split(f"--{boundary}")
    assert pieces[0] == ""
    assert pieces[-1] == "--\r\n"
    for piece in pieces[1:-1]:
        head, _, rest = piece.removeprefix("\r\n").partition("\r\n\r\n")
        if "boundary=" in head:
            read.append(_parts(rest, head.partition("boundary=")[2]))
            continue
        status, _, answer = rest.partition("\r\n")
        lines, _, body = answer.partition("\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in [*head.split("\r\n"), *lines.split("\r\n")] if line)
        read.append(Asked(int(status.split(" ")[1]), headers, body.removesuffix("\r\n").encode()))
    return read
