"""`$select`, `$filter`, `$expand`, `$orderby`, `$top` and `$count` over metadata, which is small and in memory.

The text of a filter is parsed by the same reader as filters of records.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from asyncservice.organization.query.odatasyntax import (
    And,
    Compare,
    Expression,
    Function,
    InList,
    Literal,
    Negation,
    Or,
    Path,
    parse,
)
from asyncservice.organization.query.odatatext import closing, split
from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.metadata.items import NAMESPACE, Item

#: How deep expansions may lie in each other.
_MAX_DEPTH: Final = 4

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_TEXT_FUNCTIONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part in text,
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
}
_OPTIONS: Final = frozenset({"$select", "$filter", "$expand", "$orderby", "$top", "$count"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is asked of a list, or of one item."""

    select: tuple[str, ...] | None = None
    where: Expression | None = None
    expands: Mapping[str, "Shape"]
    orders: tuple[tuple[str, bool], ...] = ()
    top: int | None = None
    counts: bool = False


def read_shape(options: Mapping[str, str], aliases: Mapping[str, str], depth: int = 0) -> Shape:
    """Read query options. Raises ApiError, or QueryError for a filter that cannot be read."""
    for name in options:
        if name not in _OPTIONS:
            raise ApiError(f"The query option {name} is not supported for metadata.")
    if depth > _MAX_DEPTH:
        raise ApiError(f"$expand may be nested {_MAX_DEPTH} deep.")
    select, where, top = options.get("$select"), options.get("$filter"), options.get("$top")
    return Shape(
        select=None if select is None else tuple(split(select, ",")),
        where=None if where is None else parse(where, aliases),
        expands=dict(_expand(text, aliases, depth) for text in split(options["$expand"], ","))
        if options.get("$expand")
        else {},
        orders=tuple(_order(text) for text in split(options["$orderby"], ",")) if options.get("$orderby") else (),
        top=None if top is None else _number(top),
        counts=options.get("$count") == "true",
    )


def chosen(items: Iterable[Item], shape: Shape) -> list[Item]:
    """Return the items that meet the filter, in the order asked for."""
    found = [item for item in items if shape.where is None or _holds(shape.where, item)]
    for name, descending in reversed(shape.orders):
        found.sort(key=lambda item: _sortable(_value(item, (name,))), reverse=descending)
    return found if shape.top is None else found[: shape.top]


def written(item: Item, shape: Shape) -> dict[str, Any]:
    """Return the item's properties that were asked for; its id and its type always."""
    if shape.select is None:
        properties = dict(item.properties)
    else:
        properties = {"MetadataId": item.properties["MetadataId"]} if "MetadataId" in item.properties else {}
        properties |= {name: item.properties[name] for name in shape.select if name in item.properties}
    for name, inner in shape.expands.items():
        if name in item.lists:
            properties[name] = [written(each, inner) for each in chosen(item.lists[name](), inner)]
        elif name in item.singles:
            single = item.singles[name]()
            properties[name] = None if single is None else written(single, inner)
    return {**item.annotated, **properties}


def check_names(items: Sequence[Item], shape: Shape, type_name: str) -> None:
    """Refuse names that none of the items has. Raises ApiError."""
    if not items:
        return
    known = {name for item in items for name in (*item.properties, *item.lists, *item.singles)}
    expandable = {name for item in items for name in (*item.lists, *item.singles)}
    for name in (*(shape.select or ()), *(name for name, _ in shape.orders)):
        if name not in known and name != "*":
            raise _no_property(name, type_name)
    for name in shape.expands:
        if name not in expandable and type_name != "AttributeMetadata":
            raise _no_property(name, type_name)


def _no_property(name: str, type_name: str) -> ApiError:
    return ApiError(
        f"Could not find a property named '{name}' on type '{NAMESPACE}{type_name}'; names are case-sensitive.",
        status=HTTPStatus.BAD_REQUEST,
    )


def _expand(text: str, aliases: Mapping[str, str], depth: int) -> tuple[str, Shape]:
    name, bracket, _ = text.partition("(")
    if not bracket:
        return text, Shape(expands={})
    inner = text[len(name) + 1 : closing(text, len(name))]
    options: dict[str, str] = {}
    for option in split(inner, ";"):
        key, _, value = option.partition("=")
        options[key.strip()] = value
    return name.strip(), read_shape(options, aliases, depth + 1)


def _order(text: str) -> tuple[str, bool]:
    name, _, direction = text.partition(" ")
    if direction.strip() not in {"", "asc", "desc"}:
        raise ApiError(f"$orderby takes names with asc or desc, not '{text}'.")
    return name, direction.strip() == "desc"


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > len("1000000000"):
        raise ApiError(f"$top takes a number, not '{text[:40]}'.")
    return int(text)


def _sortable(value: object) -> tuple[bool, str | float]:
    if value is None:
        return (False, "")
    return (True, value if isinstance(value, str | int | float) else str(value))


def _holds(expression: Expression, item: Item) -> bool:
    match expression:
        case And():
            return all(_holds(member, item) for member in expression.members)
        case Or():
            return any(_holds(member, item) for member in expression.members)
        case Negation():
            return not _holds(expression.member, item)
        case Compare():
            left, right = _side(expression.left, item), _side(expression.right, item)
            return _compared(expression.operator, left, right)
        case InList():
            return any(_compared("eq", _side(expression.left, item), value.value) for value in expression.values)
        case Function(name=name) if name in _TEXT_FUNCTIONS and len(expression.arguments) > 1:
            text, part = (_side(each, item) for each in expression.arguments[:2])
            return isinstance(text, str) and isinstance(part, str) and _TEXT_FUNCTIONS[name](text, part)
        case Path():
            return _value(item, expression.segments) is True
        case Literal():
            return expression.value is True
        case _:
            raise ApiError("A filter of metadata compares properties with values; it can say no more than that.")


def _compared(name: str, left: object, right: object) -> bool:
    # Ids are texts in properties and may be GUIDs in filters.
    left, right = (str(side) if type(side).__name__ == "UUID" else side for side in (left, right))
    if name in {"eq", "ne"}:
        return _OPERATORS[name](left, right)
    if left is None or right is None or isinstance(left, str) != isinstance(right, str):
        return False
    try:
        return _OPERATORS[name](left, right)
    except TypeError:
        return False


def _side(expression: Expression, item: Item) -> object:
    match expression:
        case Literal():
            return expression.value
        case Path():
            return _value(item, expression.segments)
        case _:
            raise ApiError("A filter of metadata compares properties with values; functions cannot be compared.")


def _value(item: Item, segments: tuple[str, ...]) -> object:
    value: object = item.properties
    for segment in segments:
        value = value.get(segment) if isinstance(value, Mapping) else None
    return value
