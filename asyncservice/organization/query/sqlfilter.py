"""WHERE as a filter, with SQL's own logic of null: what is compared with nothing is neither true nor false.

NOT is carried down to the comparisons, where it turns each into its opposite; both sides of a comparison leave out
rows without a value, which is all there is to the third truth value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from sqlglot import exp

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.coercion import Raw, comparable
from asyncservice.organization.query.conditions import compare, compare_columns
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import AllOf, AnyOf, Condition, Filter
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.sqltables import Named, Table, Tables
from asyncservice.organization.query.sqltext import only, unsupported, written
from asyncservice.organization.schema.attributes import Attribute, AttributeType

_COMPARISONS: Final[Mapping[type[exp.Expression], Operator]] = {
    exp.EQ: Operator.EQUAL,
    exp.NEQ: Operator.NOT_EQUAL,
    exp.GT: Operator.GREATER_THAN,
    exp.GTE: Operator.GREATER_EQUAL,
    exp.LT: Operator.LESS_THAN,
    exp.LTE: Operator.LESS_EQUAL,
}
_OPPOSITE: Final[Mapping[Operator, Operator]] = {
    Operator.EQUAL: Operator.NOT_EQUAL,
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.GREATER_THAN: Operator.LESS_EQUAL,
    Operator.LESS_EQUAL: Operator.GREATER_THAN,
    Operator.LESS_THAN: Operator.GREATER_EQUAL,
    Operator.GREATER_EQUAL: Operator.LESS_THAN,
    Operator.LIKE: Operator.NOT_LIKE,
    Operator.IN: Operator.NOT_IN,
    Operator.NULL: Operator.NOT_NULL,
}
_MIRRORED: Final[Mapping[Operator, Operator]] = {
    Operator.GREATER_THAN: Operator.LESS_THAN,
    Operator.LESS_THAN: Operator.GREATER_THAN,
    Operator.GREATER_EQUAL: Operator.LESS_EQUAL,
    Operator.LESS_EQUAL: Operator.GREATER_EQUAL,
}


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Reads what a statement says of its rows."""

    tables: Tables
    #: The table in whose link the filter stands, the only one it may name; None: where all tables are in sight.
    within: Table | None = None

    def read(self, node: exp.Expression, *, negated: bool = False) -> Filter:
        """Return the filter. Raises QueryError, NoSuchAttribute."""
        match node:
            case exp.Paren():
                return self.read(node.this, negated=negated)
            case exp.Not():
                return self.read(node.this, negated=not negated)
            case exp.And() | exp.Or():
                members = tuple(self.read(each, negated=negated) for each in _terms(node))
                return AllOf(members) if isinstance(node, exp.And) is not negated else AnyOf(members)
            case exp.Between():
                only(node, "BETWEEN", "this", "low", "high")
                low = self._compared(node.this, Operator.GREATER_EQUAL, node.args["low"], negated=negated)
                high = self._compared(node.this, Operator.LESS_EQUAL, node.args["high"], negated=negated)
                return AnyOf((low, high)) if negated else AllOf((low, high))
            case exp.In():
                only(node, "IN", "this", "expressions")
                return self._with(node.this, Operator.IN, node.expressions, negated=negated)
            case exp.Like():
                only(node, "LIKE", "this", "expression", "negate")
                negated = negated is not bool(node.args.get("negate"))
                return self._with(node.this, Operator.LIKE, [node.expression], negated=negated)
            case exp.Is() if isinstance(node.expression, exp.Null):
                return self._with(node.this, Operator.NULL, [], negated=negated)
            case _ if type(node) in _COMPARISONS:
                return self._compared(node.this, _COMPARISONS[type(node)], node.expression, negated=negated)
        raise unsupported(f"'{written(node)}' in a condition", "compare columns with values or with columns")

    def _compared(self, left: exp.Expression, operator: Operator, right: exp.Expression, *, negated: bool) -> Filter:
        if not isinstance(left, exp.Column) and isinstance(right, exp.Column):
            left, right, operator = right, left, _MIRRORED.get(operator, operator)
        if not isinstance(right, exp.Column):
            return self._with(left, operator, [right], negated=negated)
        if negated:
            operator = _OPPOSITE[operator]
        one, other = self._column(left), self._column(right)
        condition = compare_columns(
            one.attribute, operator, other.attribute, link=self._link(one), other_link=self._link(other)
        )
        return self._having_values(condition, one, other)

    def _with(self, left: exp.Expression, operator: Operator, values: list[exp.Expression], *, negated: bool) -> Filter:
        column = self._column(left)
        if negated:
            operator = _OPPOSITE[operator]
        raws = [_value(column.attribute, operator, value) for value in values]
        condition = compare(column.attribute, operator, raws, link=self._link(column))
        return self._having_values(condition, column)

    def _having_values(self, condition: Condition, *columns: Named) -> Filter:
        """Return the condition, without rows where it says nothing, which other languages take as different."""
        if not condition.operator.takes_null:
            return condition
        there = (compare(each.attribute, Operator.NOT_NULL, link=self._link(each)) for each in columns)
        return AllOf((*there, condition))

    def _column(self, node: exp.Expression) -> Named:
        found = self.tables.column(node)
        if self.within is not None and found.table is not self.within:
            raise unsupported(
                f"'{written(node)}' in the ON of '{self.within.name}'",
                "say it in WHERE; ON may join one pair of columns",
            )
        return found

    def _link(self, column: Named) -> str | None:
        return None if self.within is not None else column.table.link


def _terms(node: exp.Expression) -> list[exp.Expression]:
    """Return what a chain of AND or of OR holds together; without recursion, since the client says how long it is."""
    kind = type(node)
    found: list[exp.Expression] = []
    todo = [node]
    while todo:
        each = todo.pop()
        if type(each) is kind:
            todo += [each.args["expression"], each.this]
        else:
            found.append(each)
    return found


def _value(attribute: Attribute, operator: Operator, node: exp.Expression) -> Raw:
    """Return the value that a literal means beside the column."""
    sign = ""
    if isinstance(node, exp.Neg):
        sign, node = "-", node.this
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Null):
        raise QueryError(
            f"Nothing equals NULL; ask for '{attribute.name}' with IS NULL or IS NOT NULL.",
            OrganizationErrorCode.BAD_CONDITION,
        )
    if isinstance(node, exp.Boolean) and not sign:
        return bool(node.this)
    is_text = isinstance(node, exp.National) or (isinstance(node, exp.Literal) and node.is_string)
    if not (is_text or isinstance(node, exp.Literal)) or (is_text and sign):
        raise unsupported(f"'{written(node)}' in place of a value", "write a number or a text in single quotes")
    text = f"{sign}{node.name}"
    if attribute.type is not AttributeType.DATETIME or operator in {Operator.LIKE, Operator.NOT_LIKE}:
        return text
    moment = comparable(attribute, text)
    if isinstance(moment, date) and not isinstance(moment, datetime) and not attribute.is_date_only:
        # In SQL a day without a time is its first moment, and columns hold UTC.
        return datetime.combine(moment, time(), UTC)
    return text
