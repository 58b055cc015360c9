"""Paging cookies as they travel: a position, percent-encoded in an element that says the page it begins.

The annotation `@Microsoft.Dynamics.CRM.fetchxmlpagingcookie` and `$skiptoken` hold the same element; the position in
it is encoded twice in the former and once in the latter, which is then encoded with the rest of the URL (reference
web-api-wire, sections 14 and 16). Clients send back one, the other, or the bare position, in whatever state of
encoding it reached them.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote
from xml.sax.saxutils import unescape

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import MAX_PAGE

_NUMBER: Final = re.compile(r"\bpagenumber\s*=\s*[\"']([0-9]{1,9})[\"']")
_SIZE: Final = re.compile(r"\bpagesize\s*=\s*[\"']([0-9]{1,9})[\"']")
#: Greedy: a position that was decoded on its way has quotes of its own.
_POSITION: Final = re.compile(r"\bpagingcookie\s*=\s*[\"'](.*)[\"']\s*istracking\s*=", re.DOTALL)
#: How often text may have been encoded.
_LAYERS: Final = 4
#: A position may hold long texts.
_LONGEST: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Where a client wants to go on: the page, the position it begins behind, and the rows it is to have."""

    number: int
    cookie: str | None
    size: int | None = None


def annotation(cookie: str, *, number: int) -> str:
    """Return the element for the page *number*, the next one, with its position encoded twice."""
    return f'<cookie pagenumber="{number}" pagingcookie="{_encoded(_encoded(cookie))}" istracking="False" />'


def skiptoken(token: Token) -> str:
    """Return the element for `$skiptoken`, which must yet be encoded as any part of a URL."""
    size = "" if token.size is None else f'pagesize="{token.size}" '
    position = _encoded(token.cookie or "")
    # The position is last but one: whoever reads it, decoded, takes all until there.
    return f'<cookie pagenumber="{token.number}" {size}pagingcookie="{position}" istracking="False" />'


def read_token(text: str) -> Token:
    """Return what a token says. Raises QueryError for one that we have not made."""
    plain = text.strip().removesuffix("/").strip() if not text.rstrip().endswith("/>") else text.strip()
    whole = _decoded(plain)
    number, position, size = _NUMBER.search(whole), _POSITION.search(whole), _SIZE.search(whole)
    if number is None or position is None or int(number[1]) < 1 or len(text) > _LONGEST:
        raise _invalid("$skiptoken")
    rows = None if size is None else int(size[1])
    if rows is not None and not 1 <= rows <= MAX_PAGE:
        raise _invalid("$skiptoken")
    return Token(number=int(number[1]), cookie=read_position(position[1]), size=rows)


def read_position(text: str) -> str | None:
    """Return the bare position in a cookie however it is wrapped or encoded; None when it is empty.

    Raises QueryError when there is none in it.
    """
    plain = _decoded(text.strip())
    if not plain:
        return None
    if plain.startswith("&lt;"):
        plain = unescape(plain, {"&quot;": '"', "&apos;": "'"})
    outer = _POSITION.search(plain)
    if outer is not None and "pagenumber" in plain[: outer.start()]:
        return read_position(outer[1])
    if len(plain) > _LONGEST or not plain.startswith("<cookie"):
        raise _invalid("paging-cookie")
    return plain


def _encoded(text: str) -> str:
    # Lower-case escapes, as Dataverse writes them.
    return re.sub(r"%[0-9A-F]{2}", lambda escape: escape.group().lower(), quote(text, safe=""))


def _decoded(text: str) -> str:
    """Decode until the element begins. Its values may hold percent signs, so that one time more would be wrong."""
    for _ in range(_LAYERS):
        if "<" in text or "&lt;" in text or "%" not in text:
            break
        text = unquote(text)
    return text


def _invalid(what: str) -> QueryError:
    return QueryError(
        f"The {what} cannot be read; send back the one of the page before, unchanged, or begin with the first page.",
        OrganizationErrorCode.PAGING_COOKIE_INVALID,
    )
