"""Requests as the storage saw them: Azurite's access log, line by line.

Nothing in our code is asked what it sent: retries, look-ups by a client library and the host's polling are all there.
The log has no column for the service, but the addresses of tables, queues and blobs differ.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from asyncservice.operations.ids import REMOVAL
from asyncservice.operations.switch import GATE
from asyncservice.organization.decisions import TABLE as TRANSACTIONS

#: The container in which a Functions host keeps leases and schedules.
_HOST_CONTAINER: Final = "azure-webjobs-hosts"
_LINE: Final = re.compile(r'"([A-Z]+) (\S+) HTTP/[\d.]+" (\d{3})')
#: What reads a partition at fixed times, by the key it begins at: the sweep at the gates, which stand before the agenda
#: rows; the removal of what asked for it. The table of transactions of records is queried by the sweep alone.
_PERIODIC: Final = tuple(f"RowKey ge '{key}'" for key in (GATE, REMOVAL))
#: How the benchmark asks the table what became of its operations (`bench.records`).
_OURS: Final = "name eq 'bench"
#: The queue and the container of Celery.
_PEER: Final = "celery"
_FAILED: Final = 400


class Role(StrEnum):
    """For what a request was made."""

    OWN = "own"
    """For an operation: it would not have been made without it."""

    POLL = "poll"
    """Asking a queue that operations passed through for messages; one request can bring many, or none."""

    BACKGROUND = "background"
    """Whatever happens: polls of other queues, the leases of timers, the sweep."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    service: str
    #: What was done, as in "table transaction".
    verb: str
    #: The table, queue or container.
    target: str
    status: int
    #: Whether it is the host's or the sweep's, made at fixed times.
    periodic: bool = False

    @property
    def kind(self) -> str:
        """Service and verb."""
        return f"{self.service} {self.verb}"

    @property
    def is_poll(self) -> bool:
        """Whether it asked a queue for messages."""
        return self.service == "queue" and self.verb == "poll"

    def role(self, working: frozenset[str]) -> Role:
        """Return for what it was made, where operations pass through the *working* queues."""
        if self.periodic:
            return Role.BACKGROUND
        if self.is_poll:
            return Role.POLL if self.target in working else Role.BACKGROUND
        return Role.OWN


def read_line(line: str) -> Request | None:
    """Return the request that a line of the log tells of; None for other lines, and when the benchmark itself asked."""
    found = _LINE.search(line)
    if found is None:
        return None
    method, address, status = found.groups()
    parts = urlsplit(address)
    # The first part of the path names the account.
    path = unquote(parts.path).strip("/").partition("/")[2]
    query = parse_qs(parts.query, keep_blank_values=True)
    if _OURS in query.get("$filter", [""])[0]:
        return None
    return _request(method, path, query, int(status))


def _request(method: str, path: str, query: dict[str, list[str]], status: int) -> Request:
    first, _, rest = path.partition("/")
    if path == "$batch":
        return Request("table", "transaction", "", status)
    if first.split("(")[0] == "Tables":
        return Request("table", "manage", "", status)
    if "(" in first or any(name.startswith("$") for name in query):
        verb = _ROW_VERBS.get(method, method.lower()) if "(PartitionKey" in first else "query"
        target = first.split("(")[0]
        asked = query.get("$filter", [""])[0]
        periodic = verb == "query" and (target == TRANSACTIONS or any(each in asked for each in _PERIODIC))
        return Request("table", verb, target, status, periodic=periodic)
    if method == "POST" and not rest and not query:
        return Request("table", "insert", first, status)
    if rest == "messages" or rest.startswith("messages/"):
        return Request("queue", _message_verb(method, rest, query), first, status)
    if rest or "restype" in query:
        return Request("blob", _blob_verb(method, query), first, status, periodic=first == _HOST_CONTAINER)
    return Request("queue" if first else "account", "manage" if first else "list", first, status)


_ROW_VERBS: Final = {"GET": "read", "PUT": "replace", "PATCH": "merge", "MERGE": "merge", "DELETE": "delete"}


def _message_verb(method: str, rest: str, query: dict[str, list[str]]) -> str:
    match method:
        case "GET":
            return "peek" if "peekonly" in query else "poll"
        case "DELETE":
            return "delete" if "/" in rest else "clear"
        case "POST":
            return "put"
        case _:
            return "update"


def _blob_verb(method: str, query: dict[str, list[str]]) -> str:
    if query.get("comp") == ["lease"]:
        return "lease"
    if "restype" in query:
        return "list" if query.get("comp") == ["list"] else "manage"
    return {"GET": "read", "HEAD": "look", "PUT": "write", "DELETE": "delete"}.get(method, method.lower())


@dataclass(frozen=True, slots=True)
class Requests:
    """How many requests were made, by role and kind."""

    own: Counter[str]
    polls: int
    background: Counter[str]
    #: Requests of the first kind that were answered with an error.
    refused: int

    @classmethod
    def of(cls, requests: Iterable[Request], working: frozenset[str]) -> "Requests":
        """Count *requests*."""
        own: Counter[str] = Counter()
        background: Counter[str] = Counter()
        polls = refused = 0
        for request in requests:
            match request.role(working):
                case Role.OWN:
                    own[request.kind] += 1
                    refused += request.status >= _FAILED
                case Role.POLL:
                    polls += 1
                case Role.BACKGROUND:
                    background[request.kind] += 1
        return cls(own, polls, background, refused)

    @classmethod
    def of_peer(cls, requests: Sequence[Request]) -> "Requests":
        """Count the requests of a peer, whose worker takes a single message with each poll.

        Our host is idle meanwhile, but not silent: only requests to the peer's own queue and container count.
        """
        requests = [request for request in requests if request.target == _PEER]
        refused = sum(request.status >= _FAILED for request in requests)
        return cls(Counter(request.kind for request in requests), 0, Counter(), refused)


class AccessLog:
    """A log that Azurite is writing. A place in it is a number of bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def end(self) -> int:
        """Return where the next line will begin."""
        return self.path.stat().st_size

    def read(self, start: int, end: int | None = None) -> Sequence[Request]:
        """Return the requests whose lines are complete between two places."""
        with self.path.open("rb") as file:
            file.seek(start)
            text = file.read() if end is None else file.read(end - start)
        return [request for line in text.decode(errors="replace").splitlines() if (request := read_line(line))]
