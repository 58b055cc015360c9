"""What goes in and out of the Web API, free of whoever carries it: requests, responses, and who asks.

Parts of a `$batch` are requests like any other: they differ from what came over the wire in their references alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from typing import Final, Self
from uuid import UUID

from asyncservice.webapi.prefer import Preferences
from asyncservice.webapi.urls import Options, Segment, read_options, read_path

#: How JSON is announced.
JSON: Final = "application/json; odata.metadata=minimal"


class Headers(Mapping[str, str]):
    """Headers whose names are found however they are capitalised, and are written as they were given.

    Of a name that is given twice both values count, joined by a comma.
    """

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._values: dict[str, tuple[str, str]] = {}
        for name, value in (given or {}).items():
            before = self._values.get(name.lower())
            self._values[name.lower()] = (name, value) if before is None else (before[0], f"{before[1]},{value}")

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()][1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({dict(self)})"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the client found the service; absolute URLs in answers begin so (reference web-api-wire, section 1)."""

    #: Scheme and authority as the client used them, without a slash at the end.
    origin: str = "http://localhost"
    #: The version segment of its path.
    version: str = "v9.2"

    @property
    def root(self) -> str:
        """The service root, with its slash."""
        return f"{self.origin}/api/data/{self.version}/"

    def of(self, relative: str) -> str:
        """Return the absolute URL of something below the service root."""
        return self.root + relative


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks."""

    #: The systemuser that acts: created by, `eq-userid`, WhoAmI.
    user_id: UUID
    #: Who really called, when that is somebody else: `createdonbehalfby`.
    on_behalf_of: UUID | None = None
    #: Names of what the caller may do; the doors (webapi/authentication) give them out and look at them.
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. The path and the query are as they came, percent-encoded."""

    method: str
    #: Below the service root, without a leading slash: `accounts(…)/name`; empty for the root itself.
    path: str
    #: Behind the question mark.
    query: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    address: Address = field(default_factory=Address)
    #: Who asks; None only until the door has let the request in.
    caller: Caller | None = None
    #: In a change set: what `$<content id>` stands for, as a URL below the service root (`accounts(<id>)`).
    references: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The parts of the path, decoded. Raises ApiError (400, 414) when they cannot be read."""
        return read_path(self.path, self.references)

    @cached_property
    def options(self) -> Options:
        """The query options, decoded. Raises ApiError (400) when they cannot be read."""
        return read_options(self.query)

    @cached_property
    def preferences(self) -> Preferences:
        """What the Prefer header asks for."""
        return Preferences.read(self.headers.get("Prefer", ""))

    @property
    def user(self) -> Caller:
        """Who asks, of a request that has been let in."""
        if self.caller is None:
            raise RuntimeError(f"{self.method} {self.path} has not been let in.")
        return self.caller

    def asked_by(self, caller: Caller) -> Self:
        """Return the request as one of that caller."""
        return replace(self, caller=caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer. Header names are written exactly as they stand here."""

    status: int = HTTPStatus.NO_CONTENT
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def having(self, headers: Mapping[str, str]) -> Self:
        """Return the response with these headers as well; what it has already stays."""
        return replace(self, headers={**headers, **self.headers})
