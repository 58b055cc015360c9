"""Filters as predicates over a row with the rows that are joined to it.

A joined row is a mapping of aliases to rows; the query's own entity has the alias ROOT, and a link without a match is
not there. `Scope` knows which entity is behind each alias, and is where conditions that name none look for columns.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.comparisons import compared, test_of
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import AllOf, AnyOf, Asker, Condition, Filter, Not, Related
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.sources import Values
from asyncservice.organization.values import RecordValue

type Joined = Mapping[str, Values]
"""A row of each link that has one, by alias."""
type Predicate = Callable[[Joined], bool]

#: The alias of the query's own entity.
ROOT: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a filter stands: the alias of its own entity, and the entities of all aliases it may name."""

    here: str
    entities: Mapping[str, Entity]

    def alias(self, link: str | None) -> str:
        """Return the alias a condition means. Raises QueryError when the filter cannot see such a link."""
        alias = self.here if link is None else link
        if alias not in self.entities:
            raise QueryError(
                f"There is no link with the alias '{link}' whose columns could be used here.",
                OrganizationErrorCode.ALIAS_DOES_NOT_EXIST,
            )
        return alias

    def within(self, alias: str, entity: Entity) -> "Scope":
        """Return the scope of a link that hangs on this one."""
        return Scope(here=alias, entities={**self.entities, alias: entity})


def conjuncts(where: Filter | None) -> Iterator[Filter]:
    """Yield filters that must all hold for *where* to hold."""
    match where:
        case None:
            return
        case AllOf(members):
            for member in members:
                yield from conjuncts(member)
        case AnyOf((member,)):
            yield from conjuncts(member)
        case AnyOf(()):
            return
        case _:
            yield where


def conditions(where: Filter | None) -> Iterator[Condition]:
    """Yield every condition of a filter, but for those of its related rows."""
    match where:
        case Condition():
            yield where
        case AllOf(members) | AnyOf(members):
            for member in members:
                yield from conditions(member)
        case Not(member):
            yield from conditions(member)


def relations(where: Filter | None) -> Iterator[Related]:
    """Yield what a filter says about related rows, not looking into these."""
    match where:
        case Related():
            yield where
        case AllOf(members) | AnyOf(members):
            for member in members:
                yield from relations(member)
        case Not(member):
            yield from relations(member)


def aliases(where: Filter, here: str) -> frozenset[str]:
    """Return the aliases whose rows a filter looks at."""
    found = {here if one.link is None else one.link for one in conditions(where)}
    found |= {here if one.other_link is None else one.other_link for one in conditions(where) if one.other_attribute}
    return frozenset(found | ({here} if any(relations(where)) else set()))


def predicate(where: Filter, scope: Scope, asker: Asker, related: Callable[[Related], Predicate]) -> Predicate:
    """Return the predicate of a filter; *related* knows what to say of related rows.

    Raises QueryError for a condition that cannot be asked, NoSuchAttribute for a column that does not exist.
    """
    match where:
        case Condition():
            return _condition(where, scope, asker)
        case AllOf(members):
            parts = [predicate(member, scope, asker, related) for member in members]
            return lambda row: all(part(row) for part in parts)
        case AnyOf(members):
            options = [predicate(member, scope, asker, related) for member in members]
            return lambda row: not options or any(option(row) for option in options)
        case Not(member):
            positive = predicate(member, scope, asker, related)
            return lambda row: not positive(row)
        case Related():
            return related(where)


def _condition(condition: Condition, scope: Scope, asker: Asker) -> Predicate:
    alias, name = scope.alias(condition.link), condition.attribute
    attribute = scope.entities[alias].attribute(name)
    if condition.other_attribute is not None:
        other_alias, other = scope.alias(condition.other_link), condition.other_attribute
        scope.entities[other_alias].attribute(other)
        compare = compared(condition.operator)
        return lambda row: compare(value_of(row, alias, name), value_of(row, other_alias, other))
    test = test_of(condition, attribute, asker)
    return lambda row: test(value_of(row, alias, name))


def value_of(row: Joined, alias: str, attribute: str) -> RecordValue | None:
    """Return the value of a column of a joined row; None too where the link has no row."""
    values = row.get(alias)
    return None if values is None else values.get(attribute)
