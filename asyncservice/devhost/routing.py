"""From a path to a function: route templates of the HTTP trigger, and which of several matching ones wins.

Templates are those of ASP.NET: literals (whatever their case), `{name}`, `{name?}`, `{name=default}`, `{*rest}`, and
constraints such as `{id:int:min(1)}`. Where several templates match, the one decides that is more particular at the
first segment in which they differ: literal, mixture, constrained parameter, parameter, catch-all.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, cast
from urllib.parse import unquote
from uuid import UUID

from asyncservice.devhost.errors import ConfigurationInvalid

type Constraint = Callable[[str], bool]

_PARAMETER: Final = re.compile(r"\{(?P<body>(?:[^{}]|\{\{|\}\}|\{[\d,]+\})+)\}")
_CONSTRAINT: Final = re.compile(r":(?P<name>\w+)(?:\((?P<argument>(?:[^()]|\([^()]*\))*)\))?")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of a template that stands for something."""

    name: str
    constraints: tuple[Constraint, ...] = ()
    optional: bool = False
    catch_all: bool = False
    default: str | None = None

    def accepts(self, value: str) -> bool:
        """Say whether *value* keeps every constraint."""
        return all(constraint(value) for constraint in self.constraints)


@dataclass(frozen=True, slots=True)
class Template:
    """A route template that has been read."""

    text: str
    pattern: re.Pattern[str]
    parameters: tuple[Parameter, ...]
    #: Sorts more particular templates first.
    precedence: tuple[int, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the values of the parameters when *path* (still percent-encoded) fits the template, or None.

        An optional parameter that is absent has no value; an encoded slash belongs to a value and never separates.
        """
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values: dict[str, str] = {}
        for index, parameter in enumerate(self.parameters):
            raw = found[f"p{index}"]
            if not raw:
                if parameter.default is not None:
                    values[parameter.name] = parameter.default
                continue
            value = unquote(raw)
            if not parameter.accepts(value):
                return None
            values[parameter.name] = value
        return values


@dataclass(frozen=True, slots=True)
class Route[Target]:
    """A template, the methods it takes (none named: all), and what it leads to."""

    template: Template
    methods: frozenset[str]
    target: Target


class Router[Target]:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route[Target]]) -> None:
        self._routes = sorted(routes, key=lambda route: route.template.precedence)

    def find(self, method: str, path: str) -> tuple[Target, dict[str, str]] | None:
        """Return the target for *path* (percent-encoded, without the query) and its parameters, or None.

        A path whose routes all take other methods has no route, as on the real host: it answers 404, not 405.
        """
        path = path.strip("/")
        for route in self._routes:
            if route.methods and method not in route.methods:
                continue
            values = route.template.match(path)
            if values is not None:
                return route.target, values
        return None


def parse_template(text: str) -> Template:
    """Read a route template; raise ConfigurationInvalid."""
    text = text.strip("/")
    parameters: list[Parameter] = []
    pattern = ""
    precedence: list[int] = []
    segments = text.split("/") if text else []
    for position, segment in enumerate(segments):
        expression, found = _segment(segment, text, len(parameters))
        parameters += found
        precedence.append(_rank(segment, found))
        is_last = position == len(segments) - 1
        if found and found[0].catch_all and not is_last:
            raise ConfigurationInvalid(f"Route {text}: a catch-all parameter must come last.")
        whole = len(found) == 1 and _PARAMETER.fullmatch(segment) is not None
        may_be_absent = whole and (found[0].optional or found[0].catch_all or found[0].default is not None)
        slash = "/" if position else ""
        pattern += f"(?:{slash}{expression})?" if may_be_absent else f"{slash}{expression}"
    names = [parameter.name.lower() for parameter in parameters]
    if len(set(names)) != len(names):
        raise ConfigurationInvalid(f"Route {text}: a parameter appears twice.")
    return Template(text, re.compile(pattern, re.IGNORECASE | re.DOTALL), tuple(parameters), tuple(precedence))


def _segment(segment: str, template: str, first: int) -> tuple[str, list[Parameter]]:
    expression, end = "", 0
    parameters: list[Parameter] = []
    for match in _PARAMETER.finditer(segment):
        parameter = _parameter(match["body"], template)
        anything = ".*" if parameter.catch_all else "[^/]+?" if match.end() < len(segment) else "[^/]+"
        expression += _literal(segment[end : match.start()], template)
        expression += f"(?P<p{first + len(parameters)}>{anything})"
        parameters.append(parameter)
        end = match.end()
    return expression + _literal(segment[end:], template), parameters


def _literal(text: str, template: str) -> str:
    if "{" in text or "}" in text:
        raise ConfigurationInvalid(f"Route {template}: a brace is not closed.")
    return re.escape(text)


def _parameter(body: str, template: str) -> Parameter:
    catch_all = body.startswith("*")
    body = body.lstrip("*")
    name = re.match(r"\w[\w.-]*", body)
    if name is None:
        raise ConfigurationInvalid(f"Route {template}: a parameter has no name.")
    rest = body[name.end() :]
    constraints: list[Constraint] = []
    while match := _CONSTRAINT.match(rest):
        constraints.append(_constraint(match["name"], match["argument"], template))
        rest = rest[match.end() :]
    optional = rest == "?"
    default = rest[1:] if rest.startswith("=") else None
    if rest and not optional and default is None:
        raise ConfigurationInvalid(f"Route {template}: {{{body}}} cannot be understood.")
    return Parameter(name[0], tuple(constraints), optional, catch_all, default)


def _rank(segment: str, parameters: list[Parameter]) -> int:
    if not parameters:
        return 1
    if _PARAMETER.fullmatch(segment) is None or len(parameters) > 1:
        return 2
    rank = 6 if parameters[0].catch_all else 4
    return rank - 1 if parameters[0].constraints else rank


def _constraint(name: str, argument: str | None, template: str) -> Constraint:
    make = _CONSTRAINTS.get(name.lower())
    if make is None:
        raise ConfigurationInvalid(f"Route {template}: the constraint {name} is unknown.")
    try:
        return make(argument or "")
    except (ValueError, re.error) as error:
        raise ConfigurationInvalid(f"Route {template}: {name}({argument}) cannot be understood.") from error


def _parses(parse: Callable[[str], object]) -> Callable[[str], Constraint]:
    def accepts(value: str) -> bool:
        try:
            parse(value)
        except (ValueError, ArithmeticError):
            return False
        return True

    return lambda _argument: accepts


def _whole(low: int, high: int) -> Callable[[str], Constraint]:
    return lambda _argument: lambda value: re.fullmatch(r"[+-]?\d+", value) is not None and low <= int(value) <= high


def _compared(compare: Callable[[int, int], bool], measure: Callable[[str], int]) -> Callable[[str], Constraint]:
    def make(argument: str) -> Constraint:
        limit = int(argument)
        numeric = _parses(measure)("")
        return lambda value: numeric(value) and compare(measure(value), limit)

    return make


def _between(measure: Callable[[str], int]) -> Callable[[str], Constraint]:
    def make(argument: str) -> Constraint:
        low, _, high = argument.partition(",")
        lowest, highest = int(low), int(high or low)
        numeric = _parses(measure)("")
        return lambda value: numeric(value) and lowest <= measure(value) <= highest

    return make


def _expression(argument: str) -> Constraint:
    # Braces are doubled within templates.
    pattern = re.compile(argument.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
    return lambda value: pattern.search(value) is not None


_CONSTRAINTS: Final[Mapping[str, Callable[[str], Constraint]]] = {
    "alpha": lambda _argument: cast("Constraint", re.compile(r"[A-Za-z]*").fullmatch),
    "bool": lambda _argument: lambda value: value.lower() in {"true", "false"},
    "datetime": _parses(datetime.fromisoformat),
    "decimal": _parses(Decimal),
    "double": _parses(float),
    "float": _parses(float),
    "guid": _parses(UUID),
    "int": _whole(-(2**31), 2**31 - 1),
    "length": _between(len),
    "long": _whole(-(2**63), 2**63 - 1),
    "max": _compared(lambda value, limit: value <= limit, int),
    "maxlength": _compared(lambda value, limit: value <= limit, len),
    "min": _compared(lambda value, limit: value >= limit, int),
    "minlength": _compared(lambda value, limit: value >= limit, len),
    "range": _between(int),
    "regex": _expression,
    "required": lambda _argument: lambda value: value != "",
}
