"""What of a filter can be handed to the source of a table: conditions that every row it may leave out fails.

They are simpler than what was asked: days have become moments, `between` two comparisons, a chain of `or` a list. A
source uses what it can; the filter itself is asked again of every row.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import Final
from uuid import UUID

from asyncservice.organization.query.comparing import id_of
from asyncservice.organization.query.comparisons import placed_value
from asyncservice.organization.query.dates import placed, window
from asyncservice.organization.query.model import AnyOf, Asker, Condition, Filter
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.entities import Entity

_EQUALITIES: Final = frozenset({Operator.EQUAL, Operator.IN})
#: Columns that tell few rows from many when they are equal to something.
_SELECTIVE: Final = frozenset(
    {AttributeType.UNIQUEIDENTIFIER, AttributeType.LOOKUP, AttributeType.CUSTOMER, AttributeType.OWNER}
)


def pushed(own: Iterable[Filter], entity: Entity, asker: Asker) -> tuple[Condition, ...]:
    """Return conditions that hold for every row for which the filters *own*, about this entity alone, do."""
    return tuple(simple for where in own for simple in _implied(where, entity, asker))


def key_ids(simple: Iterable[Condition], entity: Entity) -> tuple[UUID, ...] | None:
    """Return the only ids, in order, that rows can have which meet all these conditions; None when it may be any."""
    ids: frozenset[UUID] | None = None
    for condition in simple:
        if condition.attribute == entity.primary_id and condition.operator in _EQUALITIES:
            wanted = frozenset(found for value in condition.values if (found := id_of(value)) is not None)
            ids = wanted if ids is None else ids & wanted
    return None if ids is None else tuple(sorted(ids))


def is_impossible(simple: Iterable[Condition]) -> bool:
    """Whether a list that a value must be in is empty, so that no row can be found."""
    return any(condition.operator is Operator.IN and not condition.values for condition in simple)


def is_selective(simple: Iterable[Condition], entity: Entity) -> bool:
    """Whether one of the conditions asks a key or a lookup to be equal to something."""
    return any(
        condition.operator in _EQUALITIES and entity.attribute(condition.attribute).type in _SELECTIVE
        for condition in simple
    )


def _implied(where: Filter, entity: Entity, asker: Asker) -> Iterator[Condition]:
    match where:
        case Condition(other_attribute=None):
            yield from _simple(where, entity.attribute(where.attribute), asker)
        case AnyOf(members):
            merged = _as_list(members)
            if merged is not None:
                yield from _simple(merged, entity.attribute(merged.attribute), asker)
        case _:
            return


def _as_list(members: tuple[Filter, ...]) -> Condition | None:
    """Return `a eq 1 or a eq 2` as one condition; None when the members are of another kind."""
    first = members[0]
    if not isinstance(first, Condition):
        return None
    for member in members:
        if (
            not isinstance(member, Condition)
            or member.operator not in _EQUALITIES
            or member.other_attribute is not None
            or member.attribute != first.attribute
        ):
            return None
    values = [value for member in members if isinstance(member, Condition) for value in member.values]
    return Condition(attribute=first.attribute, operator=Operator.IN, values=tuple(dict.fromkeys(values)))


def _simple(condition: Condition, attribute: Attribute, asker: Asker) -> Iterator[Condition]:
    plain = replace(condition, link=None)
    found = window(condition.operator, condition.values, asker)
    if found is not None:
        for edge, operator in zip(found, (Operator.GREATER_EQUAL, Operator.LESS_THAN), strict=True):
            if edge is not None:
                yield replace(plain, operator=operator, values=(placed(edge, attribute, asker),))
    elif condition.operator is Operator.BETWEEN:
        low, high = condition.values
        yield replace(plain, operator=Operator.GREATER_EQUAL, values=(placed_value(low, attribute, asker),))
        # A day that ends the range is meant as a whole; that it ends there is asked of the row.
        if isinstance(high, datetime) or not isinstance(high, date) or attribute.is_date_only:
            yield replace(plain, operator=Operator.LESS_EQUAL, values=(placed_value(high, attribute, asker),))
    elif condition.operator is Operator.IN and len(condition.values) == 1:
        yield replace(plain, operator=Operator.EQUAL, values=(placed_value(condition.values[0], attribute, asker),))
    else:
        yield replace(plain, values=tuple(placed_value(value, attribute, asker) for value in condition.values))
