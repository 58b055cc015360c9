"""Links: joined rows grow by the rows at the other end, a batch at a time; filter links say yes or no.

Filters and links inside a link belong to the join: a parent of an outer link keeps its row when nothing inside fits.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from asyncservice.organization.query.comparing import Key
from asyncservice.organization.query.filters import Joined, Predicate, Scope, aliases, conjuncts, predicate, relations
from asyncservice.organization.query.model import AllOf, Asker, Filter, Link, LinkType, Related
from asyncservice.organization.query.ordering import Place, places, position
from asyncservice.organization.query.pushing import pushed
from asyncservice.organization.query.reaching import Reach, join_key
from asyncservice.organization.query.semantics import CHOSEN
from asyncservice.organization.query.tables import Tables
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.values import RecordValue

type Columns = Mapping[str, frozenset[str] | None]
"""The columns of each alias that a query needs; None is all."""

_OUTER: Final = frozenset({LinkType.OUTER, LinkType.MATCH_FIRST_ROW})
#: Links that give a parent at most one row.
SINGLE: Final = frozenset({LinkType.MATCH_FIRST_ROW, LinkType.IN, LinkType.EXISTS})
#: Links that bring no columns.
BARE: Final = frozenset({LinkType.IN, LinkType.EXISTS})


class Joiner:
    """What all links of one query share."""

    def __init__(self, asker: Asker, tables: Tables, columns: Columns) -> None:
        self.asker, self.tables, self.columns = asker, tables, columns


class Sieve:
    """A filter that may ask for related rows: these are brought for a batch before it is asked."""

    def __init__(self, where: Iterable[Filter], scope: Scope, joiner: Joiner) -> None:
        self._members = tuple(where)
        whole = AllOf(self._members)
        self._relations = {related: _Relation(related.link, scope, joiner) for related in relations(whole)}
        self._holds = predicate(whole, scope, joiner.asker, self._related)

    async def keep(self, rows: Sequence[Joined]) -> list[bool]:
        """Return for each row whether it meets the filter."""
        if not self._members:
            return [True] * len(rows)
        for relation in self._relations.values():
            await relation.learn(rows)
        return [self._holds(row) for row in rows]

    def _related(self, related: Related) -> Predicate:
        return self._relations[related].holds


class Join:
    """One link with those that hang on it, ready to be followed."""

    def __init__(self, link: Link, scope: Scope, joiner: Joiner) -> None:
        self.link = link
        self._parent = scope.here
        entity = joiner.tables.catalog.entity(link.entity)
        self._scope = scope.within(link.alias, entity)
        self._to: Attribute = scope.entities[scope.here].attribute(link.to_attribute)
        self._nested = tuple(Join(nested, self._scope, joiner) for nested in link.links)
        inner = self._scope
        for nested in self._nested:
            inner = _with_aliases(inner, nested)
        self.inner = inner
        members = tuple(conjuncts(link.where))
        own = [one for one in members if aliases(one, link.alias) <= {link.alias} and not any(relations(one))]
        self._sieve = Sieve((one for one in members if one not in own), inner, joiner)
        holds = predicate(AllOf(tuple(own)), self._scope, joiner.asker, _no_relations)
        wanted = joiner.columns[link.alias]
        self._reach = Reach(
            joiner.tables.source(link.entity),
            entity.attribute(link.from_attribute),
            other=scope.entities[scope.here].name,
            where=pushed(own, entity, joiner.asker),
            columns=None if wanted is None else sorted(wanted),
            keeps=lambda row: holds({link.alias: row}),
        )
        self._first: tuple[Place, ...] = places(link.orders, inner, [link.alias])

    async def follow(self, rows: Sequence[Joined]) -> list[list[Joined]]:
        """Return what becomes of each row: itself with each match, or as the type of the link has it."""
        matches = await self.matches(rows)
        kind = self.link.type
        if kind in BARE:
            return [[row] if found else [] for row, found in zip(rows, matches, strict=True)]
        if kind is LinkType.MATCH_FIRST_ROW:
            matches = [sorted(found, key=lambda row: position(row, self._first))[:1] for found in matches]
        keeps_parent = kind is LinkType.OUTER or (kind in _OUTER and CHOSEN.first_row_keeps_parent)
        if keeps_parent:
            return [found or [row] for row, found in zip(rows, matches, strict=True)]
        return matches

    async def matches(self, rows: Sequence[Joined]) -> list[list[Joined]]:
        """Return for each row the joined rows that it grows to, as if the link were an inner one."""
        values: dict[Key, RecordValue] = {}
        joins: list[Key | None] = []
        for row in rows:
            parent = row.get(self._parent)
            value = None if parent is None else parent.get(self.link.to_attribute)
            one = join_key(value, self._to, self.link.entity)
            joins.append(one)
            if one is not None and value is not None:
                values[one] = value
        found = await self._reach.rows(values) if values else {}
        grown: list[Joined] = []
        owners: list[int] = []
        for number, (row, one) in enumerate(zip(rows, joins, strict=True)):
            for match in found.get(one, ()) if one is not None else ():
                grown.append({**row, self.link.alias: match})
                owners.append(number)
        for nested in self._nested:
            grown, owners = _flat(await nested.follow(grown), owners)
        kept = await self._sieve.keep(grown)
        results: list[list[Joined]] = [[] for _ in rows]
        for row, owner, keeps in zip(grown, owners, kept, strict=True):
            if keeps:
                results[owner].append(row)
        return results


def _with_aliases(scope: Scope, join: Join) -> Scope:
    """Return the scope with a link's aliases and those within it, whose columns filters beside it can see."""
    if join.link.type in BARE:
        return scope
    return Scope(here=scope.here, entities={**scope.entities, **join.inner.entities})


def scope_with(scope: Scope, joins: Iterable[Join]) -> Scope:
    """Return the scope of a filter that stands beside these links."""
    for join in joins:
        scope = _with_aliases(scope, join)
    return scope


def _flat(grown: Sequence[Sequence[Joined]], owners: Sequence[int]) -> tuple[list[Joined], list[int]]:
    rows = [row for group in grown for row in group]
    return rows, [owner for group, owner in zip(grown, owners, strict=True) for _ in group]


class _Relation:
    """A filter link: what the related rows of a parent say about it, remembered by the parent's value."""

    def __init__(self, link: Link, scope: Scope, joiner: Joiner) -> None:
        self._link, self._parent = link, scope.here
        self._to = scope.entities[scope.here].attribute(link.to_attribute)
        bare = Link(
            entity=link.entity,
            from_attribute=link.from_attribute,
            to_attribute=link.to_attribute,
            alias=link.alias,
        )
        self._fitting = Join(link, scope, joiner)
        counts_all = link.type in {LinkType.ALL, LinkType.NOT_ALL}
        self._any = Join(bare, scope, joiner) if counts_all and link.type in _asking_all() else None
        self._known: dict[Key, bool] = {}

    async def learn(self, rows: Sequence[Joined]) -> None:
        """Find out what has to be known about these parents."""
        unknown: dict[Key, Joined] = {}
        for row in rows:
            one = self._key(row)
            if one is not None and one not in self._known:
                unknown.setdefault(one, row)
        if not unknown:
            return
        parents = list(unknown.values())
        fitting = await self._fitting.matches(parents)
        every = fitting if self._any is None else await self._any.matches(parents)
        for one, fits, related in zip(unknown, fitting, every, strict=True):
            self._known[one] = _verdict(self._link, fits, related)

    def holds(self, row: Joined) -> bool:
        """Whether the parent passes; one that is related to nothing passes NOT ANY only."""
        one = self._key(row)
        return self._link.type is LinkType.NOT_ANY if one is None else self._known[one]

    def _key(self, row: Joined) -> Key | None:
        parent = row.get(self._parent)
        value = None if parent is None else parent.get(self._link.to_attribute)
        return join_key(value, self._to, self._link.entity)


def _asking_all() -> frozenset[LinkType]:
    """Return the types whose answer also depends on related rows that do not fit."""
    return frozenset({LinkType.ALL} if CHOSEN.not_all_is_any else {LinkType.ALL, LinkType.NOT_ALL})


def _verdict(link: Link, fitting: Sequence[Joined], related: Sequence[Joined]) -> bool:
    alias = link.alias
    # A related row may have grown to several by the links within: what counts is which rows fit.
    fits = len({id(row[alias]) for row in fitting})
    match link.type:
        case LinkType.NOT_ANY:
            return not fitting
        case LinkType.ALL:
            return bool(related) and (not fitting if CHOSEN.all_means_none else fits == len(related))
        case LinkType.NOT_ALL if not CHOSEN.not_all_is_any:
            return fits < len(related)
        case _:
            return bool(fitting)


def _no_relations(related: Related) -> Predicate:
    raise AssertionError(related)
