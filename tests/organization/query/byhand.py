"""Answers a query by trying everything: no plan, no batches, no pages. What the evaluator says is held against it."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from asyncservice.organization.query.model import AllOf, AnyOf, Condition, Filter, Link, LinkType, Not, Query, Related
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.values import RecordValue, Reference

type Row = Mapping[str, RecordValue]
type Data = Mapping[str, Sequence[Row]]
type Joined = Mapping[str, Row]

KEYS = {"account": "accountid", "contact": "contactid"}


def plain(value: Any) -> Any:
    if isinstance(value, Reference):
        return value.id
    if isinstance(value, str):
        letters = unicodedata.normalize("NFD", value.lower())
        return "".join(one for one in letters if not unicodedata.combining(one)).rstrip()
    return value


def meets(where: Filter | None, row: Joined, here: str, data: Data) -> bool:
    match where:
        case None:
            return True
        case AllOf(members):
            return all(meets(member, row, here, data) for member in members)
        case AnyOf(members):
            return not members or any(meets(member, row, here, data) for member in members)
        case Not(member):
            return not meets(member, row, here, data)
        case Related(link):
            every = list(related(link, row, here, data))
            fitting = [one for one in every if fits(link, row, one, data)]
            return {
                LinkType.ANY: bool(fitting),
                LinkType.NOT_ANY: not fitting,
                LinkType.ALL: bool(every) and not fitting,
                LinkType.NOT_ALL: bool(fitting),
            }[link.type]
        case Condition():
            return condition(where, row, here)


def condition(one: Condition, row: Joined, here: str) -> bool:
    value = plain(row.get(here if one.link is None else one.link, {}).get(one.attribute))
    if one.operator is Operator.NULL:
        return value is None
    if one.operator is Operator.NOT_NULL:
        return value is not None
    if one.other_attribute is not None:
        values = [plain(row.get(here if one.other_link is None else one.other_link, {}).get(one.other_attribute))]
    else:
        values = [plain(wanted) for wanted in one.values]
    if value is None or values[0] is None:
        return one.operator in {Operator.NOT_EQUAL, Operator.NOT_IN}
    first = values[0]
    match one.operator:
        case Operator.EQUAL:
            return bool(value == first)
        case Operator.NOT_EQUAL:
            return bool(value != first)
        case Operator.GREATER_THAN:
            return bool(value > first)
        case Operator.LESS_EQUAL:
            return bool(value <= first)
        case Operator.IN:
            return value in values
        case Operator.NOT_IN:
            return value not in values
        case Operator.BETWEEN:
            return bool(first <= value <= values[1])
        case Operator.BEGINS_WITH:
            return bool(value.startswith(first))
        case _:
            raise AssertionError(one.operator)


def related(link: Link, row: Joined, here: str, data: Data) -> Iterator[Row]:
    value = row[here].get(link.to_attribute) if here in row else None
    for other in data.get(link.entity, ()):
        found = other.get(link.from_attribute)
        if value is None or found is None or plain(found) != plain(value):
            continue
        if isinstance(value, Reference) and value.entity != link.entity:
            continue
        yield other


def fits(link: Link, row: Joined, other: Row, data: Data) -> bool:
    grown = {**row, link.alias: other}
    return any(meets(link.where, one, link.alias, data) for one in follow(link.links, grown, link.alias, data))


def follow(links: Sequence[Link], row: Joined, here: str, data: Data) -> list[Joined]:
    rows = [row]
    for link in links:
        rows = [grown for one in rows for grown in grow(link, one, here, data)]
    return rows


def grow(link: Link, row: Joined, here: str, data: Data) -> list[Joined]:
    matches = [
        grown
        for other in sorted(related(link, row, here, data), key=lambda one: str(one[KEYS[link.entity]]))
        for grown in follow(link.links, {**row, link.alias: other}, link.alias, data)
        if meets(link.where, grown, link.alias, data)
    ]
    match link.type:
        case LinkType.IN | LinkType.EXISTS:
            return [row] if matches else []
        case LinkType.MATCH_FIRST_ROW:
            return matches[:1] or [row]
        case LinkType.OUTER:
            return matches or [row]
        case _:
            return matches


def answer(query: Query, data: Data) -> list[dict[str, RecordValue]]:
    """Return every row of the result, in no order."""
    rows = [
        grown
        for one in data.get(query.entity, ())
        for grown in follow(query.links, {"": one}, "", data)
        if meets(query.where, grown, "", data)
    ]
    return [shown(query, row) for row in rows]


def shown(query: Query, row: Joined) -> dict[str, RecordValue]:
    found: dict[str, RecordValue] = {}
    for alias, entity, columns in parts(query):
        names = [column.attribute for column in columns] + ([KEYS[entity]] if not alias else [])
        for name in names:
            value = row.get(alias, {}).get(name)
            if value is not None:
                found[f"{alias}.{name}" if alias else name] = value
    return found


def parts(query: Query) -> Iterator[tuple[str, str, Sequence[Any]]]:
    yield "", query.entity, query.columns or ()
    todo = list(query.links)
    while todo:
        link = todo.pop()
        if link.type not in {LinkType.IN, LinkType.EXISTS}:
            yield link.alias, link.entity, link.columns or ()
            todo.extend(link.links)


def identity(row: Mapping[str, RecordValue]) -> list[tuple[str, str]]:
    """Return what two equal rows have in common, so that lists of rows can be compared whatever their order."""
    return sorted((name, str(value.id if isinstance(value, Reference) else value)) for name, value in row.items())


def uid(number: int) -> UUID:
    return UUID(int=number)
