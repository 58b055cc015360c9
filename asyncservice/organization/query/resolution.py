"""Turns conditions that ask who the caller is, or where a row stands in a hierarchy, into plain ones about ids.

What is left compares columns with values, so it can be handed to storage and tested row by row.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID

from asyncservice.organization.query import hierarchy
from asyncservice.organization.query.model import AllOf, AnyOf, Asker, Condition, Filter, Link, Not, Query, Related
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.tables import Tables
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import RecordValue

#: What a user whose language is the organization's has for its code.
_ANY_LANGUAGE: Final = -1


def _unit(asker: Asker) -> frozenset[UUID]:
    return frozenset() if asker.business_unit_id is None else frozenset({asker.business_unit_id})


type _Ids = Callable[[Asker], frozenset[UUID]]
_CALLER: Final[Mapping[Operator, tuple[Operator, _Ids]]] = {
    Operator.EQUAL_USER_ID: (Operator.IN, lambda asker: frozenset({asker.user_id})),
    Operator.NOT_EQUAL_USER_ID: (Operator.NOT_IN, lambda asker: frozenset({asker.user_id})),
    Operator.EQUAL_BUSINESS_ID: (Operator.IN, _unit),
    Operator.NOT_EQUAL_BUSINESS_ID: (Operator.NOT_IN, _unit),
    Operator.EQUAL_USER_TEAMS: (Operator.IN, lambda asker: asker.team_ids),
    Operator.EQUAL_USER_OR_USER_TEAMS: (Operator.IN, lambda asker: asker.team_ids | {asker.user_id}),
    Operator.EQUAL_USER_OR_USER_HIERARCHY: (Operator.IN, lambda asker: asker.subordinate_ids | {asker.user_id}),
    Operator.EQUAL_USER_OR_USER_HIERARCHY_AND_TEAMS: (
        Operator.IN,
        lambda asker: asker.subordinate_ids | {asker.user_id} | asker.team_ids | asker.subordinate_team_ids,
    ),
}


async def resolved(query: Query, asker: Asker, tables: Tables) -> Query:
    """Return the query with every such condition replaced, in its links too.

    Raises QueryError for a hierarchy that does not exist, NoSuchEntity for a link to nowhere.
    """
    entities = {"": tables.catalog.entity(query.entity)}
    _name_links(query.links, entities, tables)
    walk = _Walk(asker, tables, entities)
    return replace(query, where=await walk.filter(query.where, ""), links=await walk.links(query.links))


def _name_links(links: tuple[Link, ...], entities: dict[str, Entity], tables: Tables) -> None:
    for link in links:
        entities[link.alias] = tables.catalog.entity(link.entity)
        _name_links(link.links, entities, tables)


class _Walk:
    """Goes through the filters of a query."""

    def __init__(self, asker: Asker, tables: Tables, entities: Mapping[str, Entity]) -> None:
        self._asker, self._tables, self._entities = asker, tables, entities

    async def links(self, links: tuple[Link, ...]) -> tuple[Link, ...]:
        return tuple([await self._link(link, self._entities) for link in links])

    async def filter(self, where: Filter | None, here: str) -> Filter | None:
        return None if where is None else await self._filter(where, here)

    async def _link(self, link: Link, entities: Mapping[str, Entity]) -> Link:
        inner = dict(entities)
        _name_links((link,), inner, self._tables)
        walk = _Walk(self._asker, self._tables, inner)
        return replace(link, where=await walk.filter(link.where, link.alias), links=await walk.links(link.links))

    async def _filter(self, where: Filter, here: str) -> Filter:
        match where:
            case Condition():
                return await self._condition(where, here)
            case AllOf(members):
                return AllOf(tuple([await self._filter(member, here) for member in members]))
            case AnyOf(members):
                return AnyOf(tuple([await self._filter(member, here) for member in members]))
            case Not(member):
                return Not(await self._filter(member, here))
            case Related(link):
                return Related(await self._link(link, self._entities))

    async def _condition(self, condition: Condition, here: str) -> Condition:
        if condition.operator in hierarchy.OPERATORS:
            entity = self._entities.get(here if condition.link is None else condition.link)
            # A link that does not exist is told by whoever makes the predicate.
            if entity is None:
                return condition
            return await hierarchy.without_hierarchy(condition, entity, self._tables)
        values: tuple[RecordValue, ...]
        if condition.operator is Operator.EQUAL_USER_LANGUAGE:
            operator, values = Operator.IN, (self._asker.language, _ANY_LANGUAGE)
        elif condition.operator in _CALLER:
            operator, ids = _CALLER[condition.operator]
            values = tuple(sorted(ids(self._asker)))
        else:
            return condition
        return replace(condition, operator=operator, values=values)
