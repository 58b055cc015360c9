"""URLs below the service root: decoding, and taking apart (reference web-api-wire, section 5). Nothing is looked up."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from asyncservice.webapi.faults import ApiError

#: Characters of a URL; longer ones go into a batch, whose parts may have more.
MAX_URL: Final = 32_768
#: Characters of the URL of a batch's part.
MAX_PART_URL: Final = 65_536
#: Parts of a path.
MAX_SEGMENTS: Final = 16

#: Names that the query knows without a dollar sign, by their lower-case form.
_BARE: Final = {name.lower(): name for name in ("fetchXml", "sql", "savedQuery", "userQuery")}
_ESCAPES: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_ARGUMENT_NAME: Final = re.compile(r"\s*([A-Za-z_@][\w.]*)\s*=")
_PAIRS: Final = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Argument:
    """One of what stands in the parentheses of a segment: a literal's text, and its name where it has one."""

    name: str | None
    #: As written, decoded: `'A''1'`, `5`, a GUID, `@p1`. See webapi/literals.
    text: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the path between slashes."""

    name: str
    #: None without parentheses; empty for `WhoAmI()`.
    arguments: tuple[Argument, ...] | None = None

    @property
    def single(self) -> str | None:
        """The only argument's text when it has no name: a key."""
        if self.arguments is not None and len(self.arguments) == 1 and self.arguments[0].name is None:
            return self.arguments[0].text
        return None

    @property
    def named(self) -> dict[str, str]:
        """The named arguments' texts by name."""
        return {each.name: each.text for each in self.arguments or () if each.name is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The query options of a URL, decoded."""

    #: `$select` and its like, dollar sign included, in lower case.
    system: Mapping[str, str] = field(default_factory=dict)
    #: Parameter aliases, `@p1`, the sign included.
    aliases: Mapping[str, str] = field(default_factory=dict)
    #: The rest; `fetchXml`, `sql`, `savedQuery` and `userQuery` spelled so however they came.
    custom: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        """Return the text of an option, whatever kind it is of; None when it is not given."""
        for options in (self.system, self.aliases, self.custom):
            if name in options:
                return options[name]
        return None


def read_path(path: str, references: Mapping[str, str] | None = None) -> tuple[Segment, ...]:
    """Take the path apart; `$<content id>` at its beginning stands for what *references* says.

    Raises ApiError: 414 when it is too long, 400 when it cannot be read.
    """
    _check_length(path, MAX_PART_URL)
    text = decode(path).removesuffix("/")
    if references and text.startswith("$"):
        name, slash, rest = text[1:].partition("/")
        text = references[name] + slash + rest if name in references else text
    if not text:
        return ()
    segments = tuple(_segment(part) for part in split(text, "/"))
    if len(segments) > MAX_SEGMENTS:
        raise ApiError(f"The URL has {len(segments)} segments; {MAX_SEGMENTS} is the limit.")
    return segments


def read_options(query: str) -> Options:
    """Take the query apart: split first, then decode. Raises ApiError."""
    _check_length(query, MAX_PART_URL)
    system: dict[str, str] = {}
    aliases: dict[str, str] = {}
    custom: dict[str, str] = {}
    for part in query.split("&"):
        raw_name, _, raw_value = part.partition("=")
        name, value = decode(raw_name.replace("+", " ")).strip(), decode(raw_value.replace("+", " "))
        if name.startswith("$"):
            if name.lower() in system:
                raise ApiError(f"The query option {name} stands in the URL twice; write it once.")
            system[name.lower()] = value
        elif name.startswith("@"):
            aliases[name] = value
        elif name:
            custom[_BARE.get(name.lower(), name)] = value
    return Options(system=system, aliases=aliases, custom=custom)


def decode(text: str) -> str:
    """Decode percent-encoded UTF-8 once. Raises ApiError."""
    if _ESCAPES.search(text):
        raise ApiError("The URL has a % that is not followed by two hexadecimal digits; write a percent sign as %25.")
    try:
        plain = unquote_to_bytes(text).decode()
    except UnicodeError:
        raise ApiError("The URL is not UTF-8; encode its text as UTF-8 before percent-encoding it.") from None
    if _CONTROL.search(plain):
        raise ApiError("The URL has control characters; leave them out.")
    return plain


def split(text: str, separator: str) -> Iterator[str]:
    """Yield the parts between separators that stand outside quotes and brackets. Raises ApiError."""
    start, depth, quote = 0, list[str](), ""
    for index, character in enumerate(text):
        if quote:
            # A doubled quote closes and opens again at once, so it needs no rule of its own.
            quote = "" if character == quote else quote
        elif character == "'" or (character == '"' and depth):
            quote = character
        elif character in _PAIRS:
            depth.append(_PAIRS[character])
        elif depth and character == depth[-1]:
            depth.pop()
        elif character in ")]}":
            raise ApiError(f"The '{character}' at position {index} of '{_shown(text)}' closes nothing.")
        elif character == separator and not depth:
            yield text[start:index]
            start = index + 1
    if quote or depth:
        raise ApiError(f"A quote or bracket of '{_shown(text)}' is not closed.")
    yield text[start:]


def _segment(text: str) -> Segment:
    name, parenthesis, rest = text.partition("(")
    if not name or name in {".", ".."} or "\\" in name or "'" in name:
        raise ApiError(f"The URL has a segment that names nothing: '{_shown(text)}'.", status=HTTPStatus.BAD_REQUEST)
    if not parenthesis:
        return Segment(name)
    if not rest.endswith(")"):
        raise ApiError(f"Nothing may follow the closing parenthesis of '{_shown(text)}' but a slash.")
    inner = rest[:-1]
    if not inner.strip():
        return Segment(name, ())
    return Segment(name, tuple(_argument(each) for each in split(inner, ",")))


def _argument(text: str) -> Argument:
    named = _ARGUMENT_NAME.match(text)
    if named is None:
        return Argument(None, text.strip())
    return Argument(named[1], text[named.end() :].strip())


def _check_length(text: str, limit: int) -> None:
    if len(text) > limit:
        raise ApiError(
            f"The URL has more than {limit} characters; send the request as a part of a $batch.",
            status=HTTPStatus.REQUEST_URI_TOO_LONG,
        )


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


#: How much of a URL a message repeats.
_SHOWN: Final = 200
