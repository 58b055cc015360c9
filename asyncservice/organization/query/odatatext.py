"""The text of OData query options, cut into pieces where quotes and brackets allow it, and the values in it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.checks import MAX_DEPTH, too_deep
from asyncservice.organization.query.errors import QueryError

_CONSTANTS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None}
_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
#: A GUID, a number, or a date with or without a time.
_BARE: Final = re.compile(r"[0-9A-Fa-f+-][0-9A-Za-z_:.+-]*")
_CLOSING: Final[Mapping[str, str]] = {"(": ")", "[": "]", "{": "}"}
_SHOWN: Final = 40

type Scalar = str | int | float | bool | None
type Parameter = Scalar | list[Scalar]
"""The value of a query function's parameter."""


def url_error(message: str) -> QueryError:
    """Return the error for a URL that cannot be understood."""
    return QueryError(message, OrganizationErrorCode.URL_INVALID)


def split(text: str, separator: str) -> list[str]:
    """Return the pieces between separators that stand outside of quotes and brackets, without blanks around them.

    Raises QueryError when a quote or a bracket is not closed.
    """
    pieces, start = [], 0
    for position, char in _outside(text):
        if char == separator:
            pieces.append(text[start:position].strip())
            start = position + 1
    return [*pieces, text[start:].strip()]


def closing(text: str, opening: int) -> int:
    """Return where the bracket that opens at *opening* is closed. Raises QueryError when it is not."""
    rest = text[opening + 1 :]
    for position, char in _outside(rest, inside=_CLOSING[text[opening]]):
        if char == _CLOSING[text[opening]]:
            return opening + 1 + position
    raise url_error(f"The '{text[opening]}' at position {opening + 1} of '{excerpt(text, opening)}' is not closed.")


def _outside(text: str, *, inside: str = "") -> Iterator[tuple[int, str]]:
    """Yield the characters outside of quotes and brackets; *inside* is what may close a bracket nobody opened."""
    stack: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        # Double quotes are JSON's, and JSON stands in brackets and braces, or has just been taken out of them.
        if char == "'" or (char == '"' and (stack[-1] if stack else inside) in {"", "]", "}"}):
            position = _end_of_quote(text, position)
            continue
        if char in _CLOSING:
            stack.append(_CLOSING[char])
            if len(stack) > MAX_DEPTH:
                raise too_deep()
        elif stack and char == stack[-1]:
            stack.pop()
        elif not stack:
            if char in ")]}" and char != inside:
                raise url_error(
                    f"The '{char}' at position {position + 1} of '{excerpt(text, position)}' closes nothing."
                )
            yield position, char
        position += 1
    if stack and not inside:
        raise url_error(f"A '{stack[-1]}' is missing in '{excerpt(text, 0)}'.")


def _end_of_quote(text: str, start: int) -> int:
    """Return the position behind the quote that begins at *start*."""
    quote, position = text[start], start + 1
    while position < len(text):
        if text[position] == "\\" and quote == '"':
            position += 2
        elif text[position] != quote:
            position += 1
        elif text[position + 1 : position + 2] == quote and quote == "'":
            position += 2
        else:
            return position + 1
    raise url_error(f"The quote at position {start + 1} of '{excerpt(text, start)}' is not closed.")


def excerpt(text: str, position: int = 0) -> str:
    """Return what stands about a position, short enough for a message."""
    start = max(0, position - _SHOWN // 2)
    piece = text[start : start + _SHOWN]
    return f"{'…' if start else ''}{piece}{'…' if start + _SHOWN < len(text) else ''}"


def parameter(text: str) -> Parameter:
    """Return the value that a parameter's text stands for. Raises QueryError."""
    text = text.strip()
    if text.startswith("["):
        return _array(text)
    if text.startswith("'"):
        if _end_of_quote(text, 0) != len(text):
            raise url_error(f"'{excerpt(text)}' is more than one literal.")
        return text[1:-1].replace("''", "'")
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if not _BARE.fullmatch(text):
        raise url_error(f"'{excerpt(text)}' is no value of a parameter; text stands in single quotes.")
    return text


def _array(text: str) -> list[Scalar]:
    if closing(text, 0) != len(text) - 1:
        raise url_error(f"'{excerpt(text)}' is no JSON array.")
    inner = text[1:-1].strip()
    return [_item(piece) for piece in split(inner, ",")] if inner else []


def _item(text: str) -> Scalar:
    if text.startswith("'"):
        value = parameter(text)
        return value if isinstance(value, str) else None
    if text.startswith('"'):
        try:
            value = json.loads(text)
        except ValueError:
            raise url_error(f"'{excerpt(text)}' is no JSON text.") from None
        if not isinstance(value, str):
            raise url_error(f"'{excerpt(text)}' is no JSON text.")
        return value
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if not _NUMBER.fullmatch(text):
        raise url_error(f"'{excerpt(text)}' is no item of a JSON array; text stands in quotes.")
    return text
