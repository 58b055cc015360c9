"""The paging cookie: where a page ended, as text that a client brings back.

`<cookie page="1"><name last="B" first="A" /><accountid last="{ID}" first="{ID}" /></cookie>`: an element for each
column of the order, then the keys that make it total; a column of a link is `alias.column`. What a column has no
value for is `lastnull`. Whoever puts it into a URL or an annotation encodes it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import quote, unquote
from uuid import UUID
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import quoteattr

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.filters import ROOT, Joined
from asyncservice.organization.query.ordering import Place
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.values import RecordValue, Reference

#: Longer ones are nobody's.
_LONGEST: Final = 256 * 1024
#: What XML cannot hold, escaped or not.
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9_.]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a page ended: the values there, by alias and column, and the link the query was answered from, if any."""

    row: Joined
    seed: str | None


def written(page: int, by: Sequence[Place], first: Joined, last: Joined, *, seed: str | None = None) -> str:
    """Return the cookie of a page that goes from *first* to *last*."""
    elements = "".join(
        f"<{_name(place)}{_attribute('last', place.value(last))}{_attribute('first', place.value(first))} />"
        for place in by
    )
    origin = "" if seed is None else f" seed={quoteattr(seed)}"
    return f'<cookie page="{page}"{origin}>{elements}</cookie>'


def read(cookie: str, by: Sequence[Place]) -> Position:
    """Return the position that a cookie holds.

    Raises QueryError: 0x8004112A when it is no cookie of ours, 0x80041129 when it belongs to another order.
    """
    element = _parsed(cookie)
    if [child.tag for child in element] != [_name(place) for place in by]:
        raise QueryError(
            "The paging cookie was made for other order columns; send the query as it was, or begin without a cookie.",
            OrganizationErrorCode.PAGING_ORDER_DIFFERS,
        )
    row: dict[str, dict[str, RecordValue]] = {ROOT: {}}
    for child, place in zip(element, by, strict=True):
        value = _value(child, place.attribute)
        if value is not None:
            row.setdefault(place.alias, {})[place.attribute.name] = value
    return Position(row=row, seed=element.get("seed"))


def _parsed(cookie: str) -> Element:
    if len(cookie) > _LONGEST:
        raise _malformed("it is too long")
    try:
        element: Element = fromstring(cookie, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise _malformed("it is no well-formed XML") from error
    if element.tag != "cookie":
        raise _malformed(f"it is <{element.tag}> and not <cookie>")
    return element


def _name(place: Place) -> str:
    name = place.attribute.name if place.alias == ROOT else f"{place.alias}.{place.attribute.name}"
    plain = _NOT_A_NAME.sub("_", name)
    return plain if plain[0].isalpha() or plain[0] == "_" else f"_{plain}"


def _attribute(name: str, value: RecordValue | None) -> str:
    if value is None:
        return f' {name}null="1"'
    text = _text(value)
    if _NOT_XML.search(text):
        return f' {name}={quoteattr(quote(text, errors="surrogatepass"))} {name}quoted="1"'
    return f" {name}={quoteattr(text)}"


def _text(value: RecordValue) -> str:
    match value:
        case UUID():
            return f"{{{str(value).upper()}}}"
        case Reference():
            return f"{{{str(value.id).upper()}}}"
        case bool():
            return str(int(value))
        case datetime() | date():
            return value.isoformat()
        case _:
            return str(value)


def _value(element: Element, attribute: Attribute) -> RecordValue | None:
    if element.get("lastnull") is not None:
        return None
    text = element.get("last")
    if text is None:
        raise _malformed(f"<{element.tag}> says nothing of the last row")
    if element.get("lastquoted") is not None:
        text = unquote(text, errors="surrogatepass")
    try:
        return _READERS.get(attribute.type, str)(text)
    except (ValueError, InvalidOperation):
        raise _malformed(f"'{text}' is no value of '{attribute.name}'") from None


def _moment(text: str) -> RecordValue:
    if "T" not in text:
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _flag(text: str) -> RecordValue:
    return bool(int(text))


_READERS: Final[Mapping[AttributeType, Callable[[str], RecordValue]]] = {
    AttributeType.INTEGER: int,
    AttributeType.BIGINT: int,
    AttributeType.PICKLIST: int,
    AttributeType.STATE: int,
    AttributeType.STATUS: int,
    AttributeType.DECIMAL: Decimal,
    AttributeType.MONEY: Decimal,
    AttributeType.DOUBLE: float,
    AttributeType.BOOLEAN: _flag,
    AttributeType.DATETIME: _moment,
    AttributeType.UNIQUEIDENTIFIER: UUID,
    AttributeType.LOOKUP: UUID,
    AttributeType.CUSTOMER: UUID,
    AttributeType.OWNER: UUID,
}


def _malformed(why: str) -> QueryError:
    return QueryError(
        f"The paging cookie cannot be used: {why}. Send the one that came with the page before, or none.",
        OrganizationErrorCode.PAGING_COOKIE_INVALID,
    )
