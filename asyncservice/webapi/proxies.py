"""What a proxy says of the request that it passes on: the scheme and the host that the client called.

X-Forwarded-Proto and X-Forwarded-Host, or else the standard's Forwarded (RFC 7239). Of several proxies the first one is
what the client called. Who may say so, the host decides: the local one takes these headers from this machine alone.
"""

import re
from dataclasses import dataclass
from typing import Final

from asyncservice.webapi.exchange import Headers

#: A pair of an element of Forwarded, and what ends it: another pair, another element, or the end.
_PAIR: Final = re.compile(r'\s*(?:([A-Za-z]+)\s*=\s*(?:"([^"\\]*)"|([^\s;,"]*)))?\s*(;|,|\Z)')
_SCHEMES: Final = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Called:
    """How the client called the service; empty where no proxy says so."""

    #: `http` or `https`.
    scheme: str = ""
    #: Host and port, as they were written: whoever uses them looks whether they can be a host.
    host: str = ""


def called(headers: Headers) -> Called:
    """Return what the headers say. What cannot be read says nothing."""
    standard = _first_element(headers.get("Forwarded", ""))
    scheme = _first(headers, "X-Forwarded-Proto") or standard.get("proto", "")
    host = _first(headers, "X-Forwarded-Host") or standard.get("host", "")
    return Called(scheme.lower() if scheme.lower() in _SCHEMES else "", host)


def _first(headers: Headers, name: str) -> str:
    return headers.get(name, "").split(",")[0].strip()


def _first_element(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    position = 0
    while position < len(text):
        found = _PAIR.match(text, position)
        if found is None:
            break
        if found[1]:
            pairs.setdefault(found[1].lower(), found[2] if found[2] is not None else found[3])
        if found[4] != ";":
            break
        position = found.end()
    return pairs
