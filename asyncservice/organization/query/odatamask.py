"""Puts a filter into words that the library which parses it knows.

It does not know query functions with named parameters and JSON arrays, parameter aliases, enumeration literals and
lists of one. Property paths become short names, since some of Dataverse's begin with words of the language
(`allocationtypecode`, `anynumber`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from asyncservice.organization.query.checks import MAX_DEPTH, too_deep
from asyncservice.organization.query.odatatext import Parameter, closing, excerpt, parameter, split, url_error

#: What names of query functions and enumerations begin with.
NAMESPACE: Final = "Microsoft.Dynamics.CRM."
#: Most characters of an option; the URL has a limit of its own, a batch has not.
MAX_LENGTH: Final = 65_536

_TOKEN: Final = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<string>'(?:[^']|'')*')
    | (?P<guid>[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?!\w))
    | (?P<number>[+-]?[0-9](?:[0-9A-Za-z_:.]|(?<=[0-9Ee])[+-](?=[0-9]))*)
    | (?P<alias>@[A-Za-z_]\w*)
    | (?P<path>[A-Za-z_]\w*(?:[./][A-Za-z_]\w*)*(?:/\$count)?)
    | (?P<mark>[(),:=])
    """,
    re.VERBOSE,
)
_BINARY: Final = frozenset(
    {*("and", "or", "eq", "ne", "gt", "ge", "lt", "le", "in"), *("add", "sub", "mul", "div", "mod")}
)
_CONSTANTS: Final = frozenset({"true", "false", "null"})


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A query function: `path/Microsoft.Dynamics.CRM.Name(…)`."""

    prefix: tuple[str, ...]
    name: str
    parameters: Mapping[str, Parameter]


@dataclass(slots=True)
class Masked:
    """A filter in words of the library, and what the words stand for."""

    text: str = ""
    #: By the short name.
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: By the number that is the only parameter of a query function in *text*.
    calls: list[FunctionCall] = field(default_factory=list)

    def name_for(self, path: str) -> str:
        """Return the short name of a path."""
        name = f"p{len(self.paths)}"
        self.paths[name] = tuple(path.split("/"))
        return name


def mask(text: str, aliases: Mapping[str, str]) -> Masked:
    """Return a filter as the library reads it. Raises QueryError for characters that have no place in one."""
    if len(text) > MAX_LENGTH:
        raise url_error(f"The filter has {len(text)} characters, and at most {MAX_LENGTH} are allowed.")
    return _Masker(text, aliases).run()


class _Masker:
    """Goes through one filter and writes it anew."""

    def __init__(self, text: str, aliases: Mapping[str, str]) -> None:
        self._text, self._aliases = text.strip(), aliases
        self._out, self.masked = _Words(), Masked()

    def run(self) -> Masked:
        """Return the filter as the library reads it."""
        position = 0
        while position < len(self._text):
            token = _TOKEN.match(self._text, position)
            if token is None:
                raise url_error(
                    f"The filter cannot be read at position {position + 1}, near '{excerpt(self._text, position)}'."
                )
            word, position = token.group(), token.end()
            match token.lastgroup:
                case "space":
                    self._out.blank()
                case "mark":
                    self._out.mark(word)
                case "alias":
                    self._out.word(_literal(_aliased(word, self._aliases)))
                case "path":
                    position = self._word(word, position)
                case _:
                    self._out.word(word)
        self.masked.text = self._out.text()
        return self.masked

    def _word(self, word: str, position: int) -> int:
        """Write a path, a keyword or the name of a function; return where to go on."""
        *prefix, last = word.split("/")
        following = self._text[position : position + 1]
        opens = following == "("
        if last == "$count":
            raise url_error(f"'{word}' cannot stand in a filter; use {'/'.join(prefix)}/any(…).")
        if following == "'" and last.startswith(NAMESPACE):
            # An enumeration literal: its member, as text.
            return position
        if opens and last.lower().startswith(NAMESPACE.lower()):
            end = closing(self._text, position)
            inside = self._text[position + 1 : end]
            self.masked.calls.append(_call(prefix, last[len(NAMESPACE) :], inside, self._aliases))
            self._out.word(f"{NAMESPACE}Call({len(self.masked.calls) - 1})")
            return end + 1
        if prefix and last in {"any", "all"} and opens:
            self._out.word(f"{self.masked.name_for('/'.join(prefix))}/{last}")
        elif prefix:
            self._out.word(self.masked.name_for(word))
        elif word in _BINARY:
            self._out.binary(word)
        elif word == "not":
            self._out.word("not ")
        elif opens or word in _CONSTANTS:
            self._out.word(word)
        else:
            self._out.word(self.masked.name_for(word))
        return position


class _Words:
    """The filter as it is written anew: one blank between words, commas in lists of one."""

    def __init__(self) -> None:
        self._out: list[str] = []
        #: For each open parenthesis: whether a list begins with it, and whether it has had a comma.
        self._open: list[tuple[bool, bool]] = []

    def text(self) -> str:
        """Return what was written."""
        return "".join(self._out).strip()

    def blank(self) -> None:
        """Write a blank unless one stands there."""
        if self._out and not self._out[-1].endswith(" "):
            self._out.append(" ")

    def word(self, word: str) -> None:
        """Write a word."""
        self._out.append(word)

    def binary(self, word: str) -> None:
        """Write an operator between blanks."""
        self.blank()
        self._out.append(f"{word} ")

    def mark(self, mark: str) -> None:
        """Write a parenthesis or a comma."""
        if mark == "(":
            self._open.append((bool(self._out) and self._out[-1] == "in ", False))
            if len(self._open) > MAX_DEPTH:
                raise too_deep()
        elif mark == "," and self._open:
            self._open[-1] = (self._open[-1][0], True)
        elif mark == ")" and self._open:
            is_list, has_comma = self._open.pop()
            if is_list and not has_comma:
                self._out.append(",")
        self._out.append(mark)


def _aliased(name: str, aliases: Mapping[str, str]) -> str:
    found = aliases.get(name)
    if found is None:
        raise url_error(f"The parameter alias '{name}' has no value; add {name}=… to the URL.")
    return found.strip()


def _literal(text: str) -> str:
    """Return an alias's value when it is one literal."""
    token = _TOKEN.fullmatch(text)
    if token is not None and (token.lastgroup in {"string", "guid", "number"} or text in _CONSTANTS):
        return text
    if token is None and text.startswith(NAMESPACE) and text.endswith("'") and "'" in text[:-1]:
        return text[text.index("'") :]
    raise url_error(f"The parameter alias has the value '{excerpt(text)}', where one literal is needed.")


def _call(prefix: list[str], name: str, text: str, aliases: Mapping[str, str]) -> FunctionCall:
    parameters: dict[str, Parameter] = {}
    for piece in split(text, ",") if text.strip() else []:
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not equals or not key.isidentifier() or key in parameters:
            raise url_error(
                f"The parameters of {name} are given once each, by name: Name=value, not '{excerpt(piece)}'."
            )
        parameters[key] = parameter(_aliased(value, aliases) if value.startswith("@") else value)
    return FunctionCall(tuple(prefix), name, parameters)
