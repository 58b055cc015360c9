"""From FetchXML text to elements: no document types, no entities, bounded in size and depth.

What is refused here would be an attack on whoever reads it (an entity that grows without end, a file that is fetched)
or a query that nobody means.
"""

from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.checks import MAX_DEPTH, too_deep
from asyncservice.organization.query.errors import QueryError

#: Most characters of a query.
MAX_LENGTH: Final = 1_000_000

_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "1": True, "false": False, "0": False}


class _Tree(TreeBuilder):
    """Builds the elements as they come, and gives up when they are nested too deep."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise too_deep()
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse(text: str) -> Element:
    """Return the root element. Raises QueryError for what is no XML, or may not be read."""
    if not text.strip():
        raise QueryError("The FetchXML is empty.", OrganizationErrorCode.EMPTY_XML)
    if len(text) > MAX_LENGTH:
        raise _invalid(f"it has {len(text)} characters, and at most {MAX_LENGTH} are allowed")
    try:
        # The encoding that a declaration names is about bytes, and these are characters already.
        parser = DefusedXMLParser(target=_Tree(), encoding="utf-8", forbid_dtd=True)
        parser.feed(text.strip().encode())
        root = parser.close()
    except ParseError as error:
        raise _invalid(str(error)) from error
    except DefusedXmlException as error:
        raise _invalid("document types and entities are not allowed") from error
    except UnicodeEncodeError as error:
        raise _invalid("it holds half a surrogate pair") from error
    if not isinstance(root, Element):
        raise _invalid("it has no element")
    return root


def flag(element: Element, name: str, code: OrganizationErrorCode, *, default: bool = False) -> bool:
    """Return a yes-or-no attribute. Raises QueryError with *code* for any other word."""
    text = element.get(name)
    if text is None:
        return default
    found = _BOOLEANS.get(text.strip().lower())
    if found is None:
        raise QueryError(f"The attribute '{name}' of <{element.tag}> is true, false, 1 or 0, not '{text}'.", code)
    return found


def number(element: Element, name: str, *, fewest: int, most: int) -> int | None:
    """Return a whole number from *fewest* to *most*, or None when the attribute is not there. Raises QueryError."""
    text = element.get(name)
    if text is None:
        return None
    plain = text.strip()
    found = int(plain) if plain.isascii() and plain.isdigit() and len(plain) < len(str(most)) + 8 else -1
    if not fewest <= found <= most:
        raise _invalid(f"the attribute '{name}' of <{element.tag}> is a number from {fewest} to {most}, not '{text}'")
    return found


def needed(element: Element, name: str) -> str:
    """Return an attribute that must be there. Raises QueryError."""
    text = element.get(name)
    if not text:
        raise QueryError(
            f"The element <{element.tag}> needs the attribute '{name}'.", OrganizationErrorCode.ELEMENT_NOT_FOUND
        )
    return text


def unexpected(child: Element, parent: Element) -> QueryError:
    """Return the error for an element where it cannot stand."""
    return QueryError(f"The element <{child.tag}> cannot stand in <{parent.tag}>.", OrganizationErrorCode.INVALID_NODE)


def _invalid(reason: str) -> QueryError:
    return QueryError(f"The FetchXML cannot be read: {reason}.", OrganizationErrorCode.INVALID_FETCH_XML)
