"""Values as they stand in addresses: `Fn(A='text',B=@p1)?@p1=["account"]`, read into plain Python values.

What is read is JSON-like (text, number, bool, None, list, dict); which type it has to be is for the declaration of the
parameter to say. The forms are those of OData's URL conventions, and JSON whose strings stand in single quotes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from asyncservice.webapi.faults import ApiError, Code

_ENUM: Final = re.compile(r"[A-Za-z_][\w.]*'((?:[^']|'')*)'")
_TEXT: Final = re.compile(r"'((?:[^']|'')*)'")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_WORDS: Final[Mapping[str, bool | None]] = {"null": None, "true": True, "false": False}
#: How much of a broken literal a refusal repeats.
_SHOWN: Final = 80


class LiteralRefused(ApiError):  # noqa: N818 - reads as the fact it states
    """A value of the address cannot be read; the message repeats it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=Code.INVALID_ARGUMENT)


def read_literal(text: str) -> object:
    """Read one value. What is neither quoted nor JSON, number or word (a GUID, a date) is returned as text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] in {"{", "[", '"'}:
        return read_json(text)
    for quoted in (_TEXT, _ENUM):
        found = quoted.fullmatch(text)
        if found:
            return found.group(1).replace("''", "'")
    if not text or text[0] in "'@" or "'" in text:
        raise LiteralRefused(f"{text[:_SHOWN] or 'An empty value'} cannot be read; text stands in single quotes.")
    found = _NUMBER.fullmatch(text)
    if found is None:
        return text
    return float(text) if found.group(1) or found.group(2) else int(text)


def read_json(text: str) -> object:
    """Read JSON; strings and names may stand in single quotes. Raises LiteralRefused."""
    try:
        return json.loads(text)
    except RecursionError:
        raise LiteralRefused("The JSON of the address is nested too deeply.") from None
    except ValueError:
        pass
    try:
        return json.loads("".join(_double_quoted(text)))
    except (ValueError, RecursionError):
        raise LiteralRefused(f"{text[:_SHOWN]} is no JSON.") from None


def _double_quoted(text: str) -> Iterator[str]:
    """Yield the text with double quotes round the strings that have single ones."""
    quote, kept = "", ""
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if not quote:
            if character == "'":
                quote, kept = "'", ""
            else:
                quote = '"' if character == '"' else ""
                yield character
        elif character == "\\":
            escaped = text[position : position + 1]
            position += 1
            if quote == '"' or escaped != "'":
                kept += character + escaped
            else:
                kept += "'"
        elif character != quote:
            kept += character.replace('"', '\\"') if quote == "'" else character
        elif quote == "'" and text[position : position + 1] == "'":
            # Two quotes are one, as in OData's own text.
            position += 1
            kept += "'"
        else:
            yield f'"{kept}"' if quote == "'" else f'{kept}"'
            quote, kept = "", ""
    if quote:
        raise LiteralRefused(f"A string in {text[:_SHOWN]} does not end.")
