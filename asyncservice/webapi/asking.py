"""Who asks a query, and when: read from the records as far as the query's operators want to know."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

from asyncservice.organization.query.evaluation import run
from asyncservice.organization.query.model import (
    AllOf,
    AnyOf,
    Asker,
    Column,
    Condition,
    Filter,
    Link,
    LinkType,
    Not,
    Query,
    Related,
)
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.sources import Values
from asyncservice.organization.values import Reference
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request

_UNIT: Final = frozenset({Operator.EQUAL_BUSINESS_ID, Operator.NOT_EQUAL_BUSINESS_ID})
_TEAMS: Final = frozenset(
    {
        Operator.EQUAL_USER_TEAMS,
        Operator.EQUAL_USER_OR_USER_TEAMS,
        Operator.EQUAL_USER_OR_USER_HIERARCHY_AND_TEAMS,
    }
)
_REPORTS: Final = frozenset({Operator.EQUAL_USER_OR_USER_HIERARCHY, Operator.EQUAL_USER_OR_USER_HIERARCHY_AND_TEAMS})
#: How many levels of managers are looked down.
_LEVELS: Final = 10
_MEMBERSHIP: Final = "teammembership"


async def asker_of(api: Api, request: Request, query: Query) -> Asker:
    """Return who asks; what is not needed for the query is not read."""
    user_id = request.user.user_id
    operators = {each.operator for each in conditions_of(query)}
    unit: UUID | None = None
    if operators & _UNIT:
        user = await api.organization.source("systemuser").find(user_id)
        found = None if user is None else user.get("businessunitid")
        unit = found.id if isinstance(found, Reference) else None
    below = await _below(api, user_id) if operators & _REPORTS else frozenset[UUID]()
    teams = await _teams(api, frozenset({user_id})) if operators & _TEAMS else frozenset[UUID]()
    return Asker(
        now=api.clock.now(),
        user_id=user_id,
        business_unit_id=unit,
        team_ids=teams,
        subordinate_ids=below,
        subordinate_team_ids=await _teams(api, below) if below and operators & _TEAMS else frozenset(),
    )


def conditions_of(query: Query) -> Iterator[Condition]:
    """Yield every condition of a query, those of links included."""
    yield from _of_filter(query.where)
    yield from _of_links(query.links)


def _of_links(links: tuple[Link, ...]) -> Iterator[Condition]:
    for link in links:
        yield from _of_filter(link.where)
        yield from _of_links(link.links)


def _of_filter(where: Filter | None) -> Iterator[Condition]:
    match where:
        case Condition():
            yield where
        case AllOf(members) | AnyOf(members):
            for member in members:
                yield from _of_filter(member)
        case Not(member):
            yield from _of_filter(member)
        case Related(link):
            yield from _of_links((link,))
        case None:
            return


async def _below(api: Api, user_id: UUID) -> frozenset[UUID]:
    """Return the users below a user in the hierarchy of managers."""
    found: set[UUID] = set()
    level = frozenset({user_id})
    for _ in range(_LEVELS):
        where = Condition(attribute="parentsystemuserid", operator=Operator.IN, values=tuple(level))
        rows = await _rows(api, Query(entity="systemuser", columns=(), where=where), user_id)
        level = _ids(rows, "systemuserid") - found - {user_id}
        found |= level
        if not level:
            break
    return frozenset(found)


async def _teams(api: Api, users: frozenset[UUID]) -> frozenset[UUID]:
    """Return the teams that any of these users is in."""
    if not users or _MEMBERSHIP not in api.organization.catalog:
        return frozenset()
    members = Link(
        entity=_MEMBERSHIP,
        from_attribute="teamid",
        to_attribute="teamid",
        alias="members",
        type=LinkType.EXISTS,
        where=Condition(attribute="systemuserid", operator=Operator.IN, values=tuple(users)),
    )
    rows = await _rows(api, Query(entity="team", columns=(Column(attribute="teamid"),), links=(members,)), min(users))
    return _ids(rows, "teamid")


async def _rows(api: Api, query: Query, user_id: UUID) -> tuple[Values, ...]:
    return (await run(query, Asker(now=api.clock.now(), user_id=user_id), api.organization)).rows


def _ids(rows: tuple[Values, ...], column: str) -> frozenset[UUID]:
    return frozenset(value for row in rows if isinstance(value := row.get(column), UUID))
