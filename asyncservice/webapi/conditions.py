"""If-Match and If-None-Match (reference web-api-wire, sections 9 and 11)."""

import re
from dataclasses import dataclass
from typing import Final

from asyncservice.webapi.exchange import Headers
from asyncservice.webapi.faults import ApiError

_ETAG: Final = re.compile(r'\s*(?:W/)?"(-?[0-9]{1,19})"\s*')


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must be so for a request to be carried out."""

    #: `If-Match: *` or an ETag.
    must_exist: bool = False
    #: `If-None-Match: *`.
    must_not_exist: bool = False
    #: The version that the row must have.
    version: int | None = None
    #: The version that the client has already: `If-None-Match: W/"n"` of a read.
    known_version: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether anything goes."""
        return not (self.must_exist or self.must_not_exist)


def read(headers: Headers) -> Condition:
    """Read the headers; `If-None-Match: null` says nothing. Raises ApiError for an ETag that is none."""
    match = headers.get("If-Match", "").strip()
    none_match = headers.get("If-None-Match", "").strip()
    version = None if match in {"", "*", "null"} else _version("If-Match", match)
    known = None if none_match in {"", "*", "null"} else _version("If-None-Match", none_match)
    must_exist = match not in {"", "null"}
    if must_exist and none_match == "*":
        raise ApiError("If-Match and If-None-Match: * contradict each other; send one of them.")
    return Condition(must_exist=must_exist, must_not_exist=none_match == "*", version=version, known_version=known)


def _version(header: str, text: str) -> int:
    found = _ETAG.fullmatch(text)
    if found is None:
        raise ApiError(f'{header} takes one ETag as rows have them, W/"1234", or *; not {text[:80]}.')
    return int(found[1])
