"""What a condition says of one value: a predicate, made once for a query and asked for every row.

A column without a value meets NULL, and the negative operators as far as the semantics choose; nothing else.
"""

import operator
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query import fiscal
from asyncservice.organization.query.calendar import shift_days
from asyncservice.organization.query.comparing import Key, key
from asyncservice.organization.query.dates import local_day, placed, whole, window
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import Asker, Condition
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.semantics import CHOSEN
from asyncservice.organization.query.text import like, literal
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.values import RecordValue

type Test = Callable[[RecordValue | None], bool]
"""Whether a value, or none, meets a condition."""
type _Sure = Callable[[Any], bool]

#: How two columns, or a column and a value, are compared.
COMPARISONS: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = {
    Operator.EQUAL: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
    Operator.GREATER_THAN: operator.gt,
    Operator.GREATER_EQUAL: operator.ge,
    Operator.LESS_THAN: operator.lt,
    Operator.LESS_EQUAL: operator.le,
}
#: Negative operators, and those whose opposite they are.
OPPOSITES: Final[Mapping[Operator, Operator]] = {
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_BETWEEN: Operator.BETWEEN,
    Operator.NOT_ON: Operator.ON,
    Operator.DOES_NOT_CONTAIN: Operator.CONTAINS,
    Operator.DOES_NOT_BEGIN_WITH: Operator.BEGINS_WITH,
    Operator.DOES_NOT_END_WITH: Operator.ENDS_WITH,
    Operator.DOES_NOT_CONTAIN_VALUES: Operator.CONTAIN_VALUES,
}


def takes_null(op: Operator) -> bool:
    """Whether a column without a value meets the operator."""
    return op is Operator.NULL or (op.takes_null and CHOSEN.negative_takes_null)


def test_of(condition: Condition, attribute: Attribute, asker: Asker) -> Test:
    """Return the test of a condition that compares its column with values.

    Raises QueryError when the values are not what the operator takes, or when it must be resolved first (hierarchies
    and those that ask who the caller is).
    """
    if condition.operator is Operator.NULL:
        return lambda value: value is None
    if condition.operator is Operator.NOT_NULL:
        return lambda value: value is not None
    of_nothing = takes_null(condition.operator)
    opposite = OPPOSITES.get(condition.operator)
    if opposite is None:
        sure = _sure(condition, condition.operator, attribute, asker)
        return lambda value: of_nothing if value is None else sure(value)
    positive = _sure(condition, opposite, attribute, asker)
    return lambda value: of_nothing if value is None else not positive(value)


def compared(op: Operator) -> Callable[[RecordValue | None, RecordValue | None], bool]:
    """Return the test of an operator that stands between two columns. Raises QueryError when it cannot."""
    compare = COMPARISONS.get(op)
    if compare is None:
        raise _unsupported(op, "between two columns; eq, ne, gt, ge, lt and le are those that can")
    of_nothing = takes_null(op)

    def test(one: RecordValue | None, other: RecordValue | None) -> bool:
        if one is None or other is None:
            return of_nothing
        try:
            return compare(key(one), key(other))
        except TypeError:
            # Columns of different types: no value of one is a value of the other.
            return op is Operator.NOT_EQUAL

    return test


def placed_value(value: RecordValue, attribute: Attribute, asker: Asker) -> RecordValue:
    """Return a condition's value as the column keeps such values, where dates with and without time meet."""
    if attribute.is_date_only:
        return value.date() if isinstance(value, datetime) else value
    if isinstance(value, date) and not isinstance(value, datetime):
        return placed(value, attribute, asker)
    return value


def _sure(condition: Condition, op: Operator, attribute: Attribute, asker: Asker) -> _Sure:
    values = condition.values
    # A list may have turned out empty: of the teams of somebody who is in none.
    fewest = 0 if op is Operator.IN else op.fewest
    if len(values) < fewest or (op.most is not None and len(values) > op.most):
        raise QueryError(
            f"The operator {op.sdk_name} on '{condition.attribute}' was given {len(values)} values.",
            OrganizationErrorCode.BAD_CONDITION,
        )
    if op in COMPARISONS:
        return _comparison(op, placed_value(values[0], attribute, asker))
    if op is Operator.IN:
        wanted = frozenset(key(placed_value(value, attribute, asker)) for value in values)
        return lambda value: key(value) in wanted
    if op is Operator.BETWEEN:
        return _between(values, attribute, asker)
    if op in _PATTERNS:
        return _pattern(op, str(values[0]))
    if op is Operator.CONTAIN_VALUES:
        chosen = frozenset(str(whole(value)) for value in values)
        return lambda value: not chosen.isdisjoint(str(value).replace(" ", "").split(","))
    if op is Operator.IN_FISCAL_PERIOD:
        period = fiscal.checked_period(asker.fiscal, whole(values[0]))
        return lambda value: fiscal.period_of(asker.fiscal, local_day(value, attribute, asker)) == period
    return _within(condition, op, attribute, asker)


def _comparison(op: Operator, wanted: RecordValue) -> _Sure:
    compare, held = COMPARISONS[op], key(wanted)

    def test(value: RecordValue) -> bool:
        try:
            return compare(key(value), held)
        except TypeError:
            raise _misfit(value, wanted) from None

    return test


def _between(values: tuple[RecordValue, ...], attribute: Attribute, asker: Asker) -> _Sure:
    low, high = key(placed_value(values[0], attribute, asker)), key(placed_value(values[1], attribute, asker))
    last = values[1]
    if isinstance(last, date) and not isinstance(last, datetime) and not attribute.is_date_only:
        # A day named as the end is meant with all its hours.
        behind = placed(shift_days(last, 1), attribute, asker)
        return lambda value: low <= value < behind

    def test(value: RecordValue) -> bool:
        try:
            return bool(low <= key(value) <= high)
        except TypeError:
            raise _misfit(value, values[0]) from None

    return test


_PATTERNS: Final[Mapping[Operator, str]] = {
    Operator.LIKE: "{}",
    Operator.CONTAINS: "%{}%",
    Operator.BEGINS_WITH: "{}%",
    Operator.ENDS_WITH: "%{}",
}


def _pattern(op: Operator, text: str) -> _Sure:
    plain = text if op is Operator.LIKE or CHOSEN.wildcards_in_affixes else literal(text)
    matches = like(_PATTERNS[op].replace("{}", plain))
    return lambda value: matches(value if isinstance(value, str) else str(value))


def _within(condition: Condition, op: Operator, attribute: Attribute, asker: Asker) -> _Sure:
    found = window(op, condition.values, asker)
    if found is None:
        raise _unsupported(op, f"on '{condition.attribute}'")
    start, end = (None if edge is None else placed(edge, attribute, asker) for edge in found)

    def test(value: Key) -> bool:
        try:
            return (start is None or start <= value) and (end is None or value < end)
        except TypeError:
            raise _misfit(value, start if start is not None else end) from None

    return test


def _unsupported(op: Operator, where: str) -> QueryError:
    return QueryError(
        f"The operator {op.sdk_name} cannot stand {where}.", OrganizationErrorCode.CONDITION_OPERATOR_UNSUPPORTED
    )


def _misfit(value: object, wanted: object) -> QueryError:
    return QueryError(
        f"A value of type {type(wanted).__name__} cannot be compared with one of type {type(value).__name__}.",
        OrganizationErrorCode.QUERY_VALUE_INVALID,
    )
