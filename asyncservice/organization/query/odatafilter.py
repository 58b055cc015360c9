"""`$filter` to filters: each comparison becomes a condition, each any and all a related link."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from asyncservice.organization.query.coercion import Raw
from asyncservice.organization.query.conditions import compare, compare_columns
from asyncservice.organization.query.model import AllOf, AnyOf, Condition, Filter, LinkType, Not, Related
from asyncservice.organization.query.odatafunctions import condition_of
from asyncservice.organization.query.odatamask import FunctionCall
from asyncservice.organization.query.odatascope import Scope, link_along
from asyncservice.organization.query.odatasyntax import (
    And,
    Compare,
    Expression,
    Function,
    InList,
    Lambda,
    Literal,
    Negation,
    Or,
    Path,
    parse,
)
from asyncservice.organization.query.odatatext import url_error
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.relationships import ManyToMany

_OPERATORS: Final[Mapping[str, Operator]] = {
    "eq": Operator.EQUAL,
    "ne": Operator.NOT_EQUAL,
    "gt": Operator.GREATER_THAN,
    "ge": Operator.GREATER_EQUAL,
    "lt": Operator.LESS_THAN,
    "le": Operator.LESS_EQUAL,
}
_TURNED: Final[Mapping[str, str]] = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
_TEXT: Final[Mapping[str, Operator]] = {
    "contains": Operator.CONTAINS,
    "startswith": Operator.BEGINS_WITH,
    "endswith": Operator.ENDS_WITH,
}
#: What `not` makes of a function that has a negative operator.
_NEGATIVE: Final[Mapping[Operator, Operator]] = {
    Operator.CONTAINS: Operator.DOES_NOT_CONTAIN,
    Operator.BEGINS_WITH: Operator.DOES_NOT_BEGIN_WITH,
    Operator.ENDS_WITH: Operator.DOES_NOT_END_WITH,
}
_NUMBERS: Final = frozenset({AttributeType.DECIMAL, AttributeType.MONEY, AttributeType.DOUBLE})
_TEXTS: Final = frozenset(
    {
        *(AttributeType.STRING, AttributeType.MEMO, AttributeType.ENTITY_NAME),
        *(AttributeType.VIRTUAL, AttributeType.MULTISELECT),
    }
)


def read_filter(text: str, scope: Scope, aliases: Mapping[str, str]) -> Filter:
    """Return what a `$filter` says about the scope's rows. Raises QueryError."""
    return _Reader(scope).filter(parse(text, aliases))


class _Reader:
    """Reads the filter of one scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def filter(self, said: Expression) -> Filter:
        """Return an expression that is true or false as a filter."""
        match said:
            case And(members):
                return AllOf(tuple(self.filter(member) for member in members))
            case Or(members):
                return AnyOf(tuple(self.filter(member) for member in members))
            case Negation(member):
                return self._negated(member)
            case Compare():
                return self._comparison(said)
            case InList(left, values):
                return self._in(left, values)
            case Function():
                return self._function(said)
            case FunctionCall():
                return condition_of(said, self._scope)
            case Lambda():
                return self._lambda(said)
            case Path(segments):
                link, attribute = self._scope.compared(segments)
                if attribute.type is not AttributeType.BOOLEAN:
                    raise url_error(f"'{'/'.join(segments)}' is no condition; compare it with a value.")
                return compare(attribute, Operator.EQUAL, [True], link=link)
            case Literal(value):
                raise url_error(f"The value '{value}' is no condition; compare a property with it.")

    def _negated(self, member: Expression) -> Filter:
        if isinstance(member, FunctionCall):
            raise url_error(
                f"'not' cannot stand before the query function {member.name}; use its opposite, such as NotIn for In."
            )
        inner = self.filter(member)
        if isinstance(inner, Condition) and isinstance(member, Function) and inner.operator in _NEGATIVE:
            return Condition(
                attribute=inner.attribute,
                operator=_NEGATIVE[inner.operator],
                values=inner.values,
                link=inner.link,
            )
        return Not(inner)

    def _comparison(self, said: Compare) -> Filter:
        left, operator, right = said.left, said.operator, said.right
        if isinstance(left, Literal) and not isinstance(right, Literal):
            left, operator, right = right, _TURNED[operator], left
        if isinstance(left, Path):
            if isinstance(right, Path):
                return self._columns(left, operator, right)
            if isinstance(right, Literal):
                return self._value(left, operator, right)
        elif isinstance(right, Literal) and isinstance(right.value, bool) and operator in {"eq", "ne"}:
            # Clients compare functions with true: contains(name,'x') eq true.
            return self.filter(left) if right.value is (operator == "eq") else self._negated(left)
        raise url_error(f"'{operator}' compares a property with a value or with another property, and nothing else.")

    def _columns(self, left: Path, operator: str, right: Path) -> Condition:
        link, attribute = self._scope.compared(left.segments)
        other_link, other = self._scope.compared(right.segments)
        return compare_columns(attribute, _OPERATORS[operator], other, link=link, other_link=other_link)

    def _value(self, left: Path, operator: str, right: Literal) -> Condition:
        link, attribute = self._scope.compared(left.segments)
        if right.value is None:
            if operator not in {"eq", "ne"}:
                raise url_error(f"'{operator} null' is never true; null is compared with eq and ne.")
            return compare(attribute, Operator.NULL if operator == "eq" else Operator.NOT_NULL, link=link)
        return compare(attribute, _OPERATORS[operator], [literal(attribute, right)], link=link)

    def _in(self, left: Expression, values: tuple[Literal, ...]) -> Condition:
        if not isinstance(left, Path):
            raise url_error("Before 'in' stands a property.")
        link, attribute = self._scope.compared(left.segments)
        return compare(attribute, Operator.IN, [literal(attribute, value) for value in values], link=link)

    def _function(self, said: Function) -> Condition:
        operator = _TEXT.get(said.name)
        if operator is None:
            raise url_error(f"The function '{said.name}' is not supported; there are {', '.join(_TEXT)}.")
        match said.arguments:
            case (Path(segments), Literal(str() as value)):
                link, attribute = self._scope.compared(segments)
                return compare(attribute, operator, [value], link=link)
            case _:
                raise url_error(f"{said.name} takes a property and a text in quotes.")

    def _lambda(self, said: Lambda) -> Filter:
        way, navigation = self._scope.collection(said.path)
        inner = self._scope.inner(self._scope.catalog.entity(navigation.target), said.variable)
        where = None if said.body is None else _Reader(inner).filter(said.body)

        def related(kind: LinkType, where: Filter | None) -> Filter:
            links = () if where is None else inner.links()
            found: Filter = Related(link_along(navigation, self._scope, kind=kind, where=where, links=links))
            for step in reversed(way):
                found = Related(link_along(step, self._scope, kind=LinkType.ANY, where=found, links=()))
            return found

        if not said.is_all or where is None:
            return related(LinkType.ANY, where)
        # FetchXML's "all" is what is needed here: there are rows, and none of them meets the filter.
        if not isinstance(navigation.relationship, ManyToMany):
            return related(LinkType.ALL, Not(where))
        # Of many to many the rows are pairs, and the filter stands at the link behind them.
        return AllOf((related(LinkType.ANY, None), related(LinkType.NOT_ANY, Not(where))))


def literal(attribute: Attribute, said: Literal) -> Raw:
    """Return a literal's value where its type is one that the column is compared with. Raises QueryError.

    Text for a number is refused here, as OData has types; query functions take it.
    """
    value, kind = said.value, attribute.type
    if kind in _TEXTS:
        fits = isinstance(value, str)
    elif kind is AttributeType.BOOLEAN:
        fits = isinstance(value, bool)
    elif kind is AttributeType.DATETIME:
        fits = isinstance(value, date | datetime)
    elif kind in _NUMBERS:
        fits = isinstance(value, int | Decimal) and not isinstance(value, bool)
    elif kind.is_lookup or kind in {AttributeType.UNIQUEIDENTIFIER, AttributeType.FILE}:
        fits = isinstance(value, UUID) or (isinstance(value, str) and _is_guid(value))
    else:
        fits = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if value is None or not fits:
        shown = f"'{value}'" if isinstance(value, str) else str(value)
        raise url_error(
            f"The property '{attribute.name}' is of type {kind} and cannot be compared with {shown} "
            f"({_TYPE_NAMES.get(type(value), 'null')})."
        )
    return value


_TYPE_NAMES: Final[Mapping[type, str]] = {
    str: "Edm.String",
    int: "Edm.Int32",
    Decimal: "Edm.Decimal",
    bool: "Edm.Boolean",
    date: "Edm.Date",
    datetime: "Edm.DateTimeOffset",
    UUID: "Edm.Guid",
}


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
