"""Which conditions of a query the storage can decide, and how: those where it would say the same as the evaluator.

Numbers, choices, dates, ids and lookups compare in the storage as they do in a query. Text does not, since the storage
knows no capitals: only the primary name, which is kept folded beside itself. What takes rows without a value (not equal
and its like) is left to the evaluator, because the storage never yields a row without the column.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal

from asyncservice.organization.query.model import Condition
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.text import fold
from asyncservice.organization.rows import FOLDED_NAME, comparable, exact_in_storage, named
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import RecordValue, Reference
from asyncservice.storage.tables import MAX_COMPARISONS, Comparison, Either, Every, Test, Value, comparisons, prefix_end

#: One comparison of a scan is taken by the test for rows that a transaction is changing.
_BUDGET: Final = MAX_COMPARISONS - 1
#: A longer text is not worth its place in an address.
_MOST_TEXT: Final = 200

type _Word = Literal["eq", "ne", "gt", "ge", "lt", "le"]

_ORDERING: Final[Mapping[Operator, _Word]] = {
    Operator.GREATER_THAN: "gt",
    Operator.GREATER_EQUAL: "ge",
    Operator.LESS_THAN: "lt",
    Operator.LESS_EQUAL: "le",
}


def pushed(entity: Entity, where: Sequence[Condition]) -> list[Test]:
    """Return tests that every row meets which meets *where*; the cheapest first, as many as a scan takes."""
    tests = [test for condition in where if (test := _test(entity, condition)) is not None]
    chosen: list[Test] = []
    left = _BUDGET
    for test in sorted(tests, key=comparisons):
        if comparisons(test) <= left:
            chosen.append(test)
            left -= comparisons(test)
    return chosen


def _test(entity: Entity, condition: Condition) -> Test | None:
    attribute = entity.attributes.get(condition.attribute)
    if attribute is None or condition.link is not None or condition.other_attribute is not None:
        return None
    if attribute.container is not None:
        return None
    if attribute.type.is_text:
        return _of_name(condition) if condition.attribute == entity.primary_name else None
    convert = _CONVERSIONS.get(attribute.type)
    if convert is None:
        return None
    values = [convert(attribute, value) for value in condition.values]
    if any(value is None for value in values):
        return None
    return _of_values(attribute, condition.operator, [value for value in values if value is not None])


def _of_values(attribute: Attribute, operator: Operator, values: Sequence[Value]) -> Test | None:
    name = attribute.name
    match operator, values:
        case Operator.EQUAL, [value]:
            return Comparison(name, "eq", value)
        case Operator.IN, [_, *_]:
            return Either(tuple(Comparison(name, "eq", value) for value in values))
        case Operator.BETWEEN, [low, high] if attribute.type not in _UNORDERED:
            return Every((Comparison(name, "ge", low), Comparison(name, "le", high)))
        case _, [value] if operator in _ORDERING and attribute.type not in _UNORDERED:
            return Comparison(name, _ORDERING[operator], value)
        case _:
            return None


def _of_name(condition: Condition) -> Test | None:
    texts = [value for value in condition.values if isinstance(value, str) and len(value) <= _MOST_TEXT]
    if len(texts) != len(condition.values) or not texts:
        return None
    match condition.operator:
        case Operator.EQUAL | Operator.IN:
            return _either(map(named, texts))
        case Operator.BEGINS_WITH if texts[0].isascii() and not set("%_[") & set(texts[0]) and fold(texts[0]):
            start = fold(texts[0])
            return Every((Comparison(FOLDED_NAME, "ge", start), Comparison(FOLDED_NAME, "lt", prefix_end(start))))
        case _:
            return None


def _either(members: Iterable[Test]) -> Test:
    kept = tuple(members)
    return kept[0] if len(kept) == 1 else Either(kept)


def _whole(_: Attribute, value: RecordValue) -> Value | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63 else None


def _double(_: Attribute, value: RecordValue) -> Value | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _exact(_: Attribute, value: RecordValue) -> Value | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return comparable(number) if exact_in_storage(number) else None


def _moment(attribute: Attribute, value: RecordValue) -> Value | None:
    if isinstance(value, datetime):
        return None if attribute.is_date_only or value.tzinfo is None else value
    return comparable(value) if isinstance(value, date) and attribute.is_date_only else None


def _id(_: Attribute, value: RecordValue) -> Value | None:
    if isinstance(value, Reference):
        return value.id
    return comparable(value) if not isinstance(value, str | int | float | Decimal | date) else None


def _yes_or_no(_: Attribute, value: RecordValue) -> Value | None:
    return value if isinstance(value, bool) else None


#: Ids have no order that a query could mean, and false is not less than true.
_UNORDERED: Final = frozenset(
    {
        AttributeType.BOOLEAN,
        AttributeType.UNIQUEIDENTIFIER,
        AttributeType.LOOKUP,
        AttributeType.CUSTOMER,
        AttributeType.OWNER,
    }
)
_CONVERSIONS: Final[Mapping[AttributeType, Callable[[Attribute, RecordValue], Value | None]]] = {
    AttributeType.INTEGER: _whole,
    AttributeType.BIGINT: _whole,
    AttributeType.PICKLIST: _whole,
    AttributeType.STATE: _whole,
    AttributeType.STATUS: _whole,
    AttributeType.DOUBLE: _double,
    AttributeType.DECIMAL: _exact,
    AttributeType.MONEY: _exact,
    AttributeType.BOOLEAN: _yes_or_no,
    AttributeType.DATETIME: _moment,
    AttributeType.UNIQUEIDENTIFIER: _id,
    AttributeType.LOOKUP: _id,
    AttributeType.CUSTOMER: _id,
    AttributeType.OWNER: _id,
}
