"""What a `$filter` says, as a small tree that knows no schema. The library `odata_query` parses the text.

Chains of `and` and `or` are flat, so that hundreds of terms are no deeper than two; everything else is bounded in
depth. The metadata's filters are read with it as well as those of records.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from odata_query import ast
from odata_query.exceptions import ODataException, ParsingException, TokenizingException
from odata_query.grammar import ODataLexer, ODataParser

from asyncservice.organization.query.checks import MAX_DEPTH, too_deep
from asyncservice.organization.query.odatamask import FunctionCall, Masked, mask
from asyncservice.organization.query.odatatext import url_error

type Value = str | int | Decimal | bool | date | datetime | UUID | None


@dataclass(frozen=True, slots=True)
class Literal:
    """A value in the text; its Python type is the literal's."""

    value: Value


@dataclass(frozen=True, slots=True)
class Path:
    """A property, or the way to one through navigation properties."""

    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """Two sides and one of eq, ne, gt, ge, lt, le."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class InList:
    """One side, and the literals it may equal."""

    left: "Expression"
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language: contains, startswith, endswith and those nobody offers here."""

    name: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Lambda:
    """`any` or `all` over a collection. Without a body: whether it has a member."""

    path: tuple[str, ...]
    is_all: bool
    variable: str | None
    body: "Expression | None"


@dataclass(frozen=True, slots=True)
class And:
    """All members hold."""

    members: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of the members holds."""

    members: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The member does not hold."""

    member: "Expression"


type Expression = Literal | Path | Compare | InList | Function | FunctionCall | Lambda | And | Or | Negation

_COMPARATORS: Final[Mapping[type, str]] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Lt: "lt",
    ast.LtE: "le",
}


def parse(text: str, aliases: Mapping[str, str]) -> Expression:
    """Return what a filter says. Raises QueryError when it cannot be read."""
    if not text.strip():
        raise url_error("The filter is empty; leave it out, or say what rows shall be like.")
    masked = mask(text, aliases)
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(masked.text))
    except TokenizingException as error:
        raise url_error(f"The filter cannot be read near '{_shown(str(error.token.value)[:40], masked)}'.") from error
    except ParsingException as error:
        if error.eof or error.token is None:
            raise url_error(f"The filter '{text.strip()[-40:]}' ends too early.") from error
        raise url_error(
            f"The filter cannot be read near '{_shown(masked.text[error.token.index :][:40], masked)}'."
        ) from error
    except ODataException as error:
        raise url_error(f"The filter cannot be read: {error}.") from error
    return _Converter(masked).expression(tree, 0)


def _shown(text: str, masked: Masked) -> str:
    """Return a piece of a masked filter with the names that the client gave."""
    for name, segments in sorted(masked.paths.items(), key=lambda item: -len(item[0])):
        text = text.replace(name, "/".join(segments))
    return text


class _Converter:
    """Turns the library's tree into ours."""

    def __init__(self, masked: Masked) -> None:
        self._masked = masked

    def expression(self, node: object, depth: int) -> Expression:
        """Return a node and what is below it. Raises QueryError."""
        if depth > MAX_DEPTH:
            raise too_deep()
        match node:
            case ast.BoolOp():
                members = tuple(self.expression(each, depth + 1) for each in _chain(node))
                return And(members) if isinstance(node.op, ast.And) else Or(members)
            case ast.UnaryOp(op=ast.Not()):
                return Negation(self.expression(node.operand, depth + 1))
            case ast.Compare(comparator=ast.In()):
                return InList(self.expression(node.left, depth + 1), self._list(node.right))
            case ast.Compare():
                left, right = self.expression(node.left, depth + 1), self.expression(node.right, depth + 1)
                return Compare(_COMPARATORS[type(node.comparator)], left, right)
            case ast.Identifier():
                return Path(self._path(node.name))
            case ast.Call():
                return self._call(node, depth)
            case ast.CollectionLambda():
                return self._lambda(node, depth)
            case _:
                return self._literal(node)

    def _path(self, name: str) -> tuple[str, ...]:
        found = self._masked.paths.get(name)
        if found is None:
            raise url_error(f"'{name}' cannot stand there.")
        return found

    def _call(self, node: ast.Call, depth: int) -> Expression:
        if node.func.namespace:
            # Written by `mask`: the only parameter is the number of the call.
            return self._masked.calls[int(str(getattr(node.args[0], "val", "")))]
        return Function(node.func.name, tuple(self.expression(each, depth + 1) for each in node.args))

    def _lambda(self, node: ast.CollectionLambda, depth: int) -> Expression:
        if not isinstance(node.owner, ast.Identifier):
            raise url_error("any and all stand behind a navigation property.")
        is_all = isinstance(node.operator, ast.All)
        path = self._path(node.owner.name)
        if node.lambda_ is None:
            return Lambda(path, is_all, None, None)
        variable = self._path(node.lambda_.identifier.name)
        if len(variable) != 1:
            raise url_error(f"'{'/'.join(variable)}' is no name for a range variable.")
        return Lambda(path, is_all, variable[0], self.expression(node.lambda_.expression, depth + 1))

    def _list(self, node: object) -> tuple[Literal, ...]:
        if not isinstance(node, ast.List):
            raise url_error("Behind 'in' stands a list of values in parentheses.")
        return tuple(self._literal(each) for each in node.val)

    def _literal(self, node: object) -> Literal:
        try:
            match node:
                case ast.Null():
                    return Literal(None)
                case ast.Boolean():
                    return Literal(node.py_val)
                case ast.String():
                    return Literal(node.val)
                case ast.Integer():
                    return Literal(int(node.val))
                case ast.Float():
                    return Literal(Decimal(node.val))
                case ast.GUID():
                    return Literal(UUID(node.val))
                case ast.Date():
                    return Literal(date.fromisoformat(node.val))
                case ast.DateTime():
                    return Literal(datetime.fromisoformat(node.val))
                case _:
                    pass
        except ValueError:
            raise url_error(
                f"'{str(getattr(node, 'val', ''))[:40]}' is no value: there is no such date or number."
            ) from None
        what = "arithmetic" if isinstance(node, ast.BinOp | ast.UnaryOp) else f"a {type(node).__name__}"
        raise url_error(f"A filter compares properties with values; {what} is not supported.")


def _chain(node: ast.BoolOp) -> list[object]:
    """Return the terms of a chain of one operator, however long; the library nests them to the left."""
    operator, members = type(node.op), []
    todo: list[object] = [node]
    while todo:
        each = todo.pop()
        if isinstance(each, ast.BoolOp) and isinstance(each.op, operator):
            todo += [each.right, each.left]
        else:
            members.append(each)
    return members
