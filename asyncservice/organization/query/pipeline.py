"""Joined rows, as they come: from where the query is best begun, through filters and links, a batch at a time."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from asyncservice.organization.query.comparing import Key, rank
from asyncservice.organization.query.filters import (
    ROOT,
    Joined,
    Predicate,
    Scope,
    aliases,
    conjuncts,
    predicate,
    relations,
)
from asyncservice.organization.query.joins import Join, Joiner, Sieve, scope_with
from asyncservice.organization.query.model import (
    AllOf,
    AnyOf,
    Asker,
    Condition,
    Filter,
    Link,
    Not,
    Order,
    Query,
    Related,
)
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.planning import multiplying, names, needed_columns, seeds
from asyncservice.organization.query.pushing import is_impossible, key_ids, pushed
from asyncservice.organization.query.reaching import join_key
from asyncservice.organization.query.scanning import rows_of
from asyncservice.organization.query.tables import Tables
from asyncservice.organization.sources import Values
from asyncservice.organization.values import RecordValue, Reference

#: Rows that are joined at once: few at first, since a page may be full soon.
_LEAST: Final = 50
_MOST: Final = 1000
#: Rows that are looked up by key at once.
_LOOKED_UP: Final = 500
#: A query begins with a link as long as not more values than this come of it.
MOST_SEEDS: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where rows come from: conditions for the scan, or ids to look up, and the link they were found by."""

    where: tuple[Condition, ...]
    ids: tuple[UUID, ...] | None = None
    seed: str | None = None


class Pipeline:
    """A query, resolved, made ready: how its rows are read and joined. Lives as long as one answer."""

    def __init__(
        self, query: Query, asker: Asker, tables: Tables, *, late: frozenset[str] = frozenset(), results: bool = True
    ) -> None:
        self.query, self._asker, self._tables = query, asker, tables
        self.entity = tables.catalog.entity(query.entity)
        self.source = tables.source(query.entity)
        self.columns = needed_columns(query, tables.catalog, results=results)
        joiner = Joiner(asker, tables, self.columns)
        root = Scope(here=ROOT, entities={ROOT: self.entity})
        joins = [Join(link, root, joiner) for link in query.links]
        self.scope = scope_with(root, joins)
        self._late = [join for join in joins if join.link.alias in late]
        self._joins = [join for join in joins if join.link.alias not in late]
        members = list(conjuncts(query.where))
        local = [one for one in members if aliases(one, ROOT) <= {ROOT}]
        self._own = [one for one in local if not any(relations(one))]
        self._holds: Predicate = predicate(AllOf(tuple(self._own)), root, asker, _no_relations)
        self._before = Sieve((one for one in local if any(relations(one))), root, joiner)
        self._after = Sieve((one for one in members if one not in local), self.scope, joiner)
        self._is_plain = not self._joins and len(local) == len(members) == len(self._own)
        self._pushed = pushed(self._own, self.entity, asker)
        #: The aliases whose keys tell apart the rows that one row of the entity grows to.
        self.multiplied = tuple(multiplying((join.link for join in self._joins), tables.catalog))

    async def start(self, seed: str | None, *, is_begun: bool) -> Start:
        """Decide where to begin; a query that *is_begun* goes on as it began, with the link *seed* or without."""
        ids = () if is_impossible(self._pushed) else key_ids(self._pushed, self.entity)
        if ids is not None:
            return Start(where=self._pushed, ids=ids)
        for link in seeds(self.query, self._tables.catalog, self._asker):
            if is_begun and link.alias != seed:
                continue
            values = await self._seed_values(link, None if is_begun else MOST_SEEDS)
            if values is None:
                continue
            condition = Condition(attribute=link.to_attribute, operator=Operator.IN, values=values)
            where = *self._pushed, condition
            return Start(where=where, ids=key_ids(where, self.entity) if values else (), seed=link.alias)
        return Start(where=self._pushed)

    def base(
        self, start: Start, orders: Sequence[Order], behind: Values | None, at_most: int | None
    ) -> tuple[bool, AsyncGenerator[Values]]:
        """Return whether rows of the entity come in the order asked for, and those that meet its own filter."""
        if start.ids is not None:
            return not orders, self._by_key(start.ids, None if orders else behind)
        wanted = self.columns[ROOT]
        columns = None if wanted is None else sorted(wanted)
        scan = self.source.scan(start.where, columns=columns, orders=orders, behind=behind, at_most=at_most)
        return scan.is_ordered, self._kept(rows_of(scan))

    async def joined(self, rows: AsyncGenerator[Values], at_most: int | None) -> AsyncGenerator[Joined]:
        """Yield what becomes of these rows: those of one stand together, ordered by the keys that tell them apart."""
        async with aclosing(rows):
            if self._is_plain:
                async for row in rows:
                    yield {ROOT: row}
                return
            size = _LEAST if at_most is None else max(_LEAST, min(at_most, _MOST))
            batch: list[Joined] = []
            async for row in rows:
                batch.append({ROOT: row})
                if len(batch) >= size:
                    for one in await self._grown(batch):
                        yield one
                    batch, size = [], _MOST
            for one in await self._grown(batch):
                yield one

    async def completed(self, rows: Sequence[Joined]) -> list[Joined]:
        """Return the rows of a page with those of the links that could wait."""
        page = list(rows)
        for join in self._late:
            page = [one for group in await join.follow(page) for one in group]
        return page

    def is_kept(self, row: Values) -> bool:
        """Whether a row meets the entity's own filter."""
        return self._holds({ROOT: row})

    async def _kept(self, rows: AsyncGenerator[Values]) -> AsyncGenerator[Values]:
        async with aclosing(rows):
            async for row in rows:
                if self._holds({ROOT: row}):
                    yield row

    async def _by_key(self, ids: Sequence[UUID], behind: Values | None) -> AsyncGenerator[Values]:
        last = None if behind is None else behind.get(self.entity.primary_id)
        rest = [one for one in ids if not isinstance(last, UUID) or one > last]
        for begin in range(0, len(rest), _LOOKED_UP):
            some = rest[begin : begin + _LOOKED_UP]
            found = await self.source.find_many(some)
            for one in some:
                row = found.get(one)
                if row is not None and self._holds({ROOT: row}):
                    yield row

    async def _grown(self, batch: Sequence[Joined]) -> list[Joined]:
        rows = list(batch)
        rows = [row for row, keeps in zip(rows, await self._before.keep(rows), strict=True) if keeps]
        groups: list[list[Joined]] = [[row] for row in rows]
        for join in self._joins:
            flat = [row for group in groups for row in group]
            followed = iter(await join.follow(flat))
            groups = [[one for _ in group for one in next(followed)] for group in groups]
        flat = [row for group in groups for row in group]
        keeps = iter(await self._after.keep(flat))
        groups = [[row for row in group if next(keeps)] for group in groups]
        return [row for group in groups for row in sorted(group, key=self.rank_within)]

    def rank_within(self, row: Joined) -> tuple[Key, ...]:
        """Return where a row stands among those of the same row of the entity."""
        return tuple(rank(self.key_of(row, alias)) for alias in self.multiplied)

    def key_of(self, row: Joined, alias: str) -> RecordValue | None:
        """Return the primary key of an alias's row."""
        values = row.get(alias)
        return None if values is None else values.get(self.scope.entities[alias].primary_id)

    async def _seed_values(self, link: Link, most: int | None) -> tuple[RecordValue, ...] | None:
        """Return the values that rows of the result have in the link's column; None when they are too many."""
        inside = set(names(link))
        where = AllOf(tuple(one for one in conjuncts(link.where) if aliases(one, link.alias) <= inside))
        entity = self._tables.catalog.entity(link.entity)
        from_attribute = entity.attribute(link.from_attribute)
        query = Query(
            entity=link.entity,
            columns=(),
            where=_rooted(where, link.alias),
            links=link.links,
            orders=(Order(attribute=link.from_attribute),),
        )
        pipeline = Pipeline(query, self._asker, self._tables)
        start = await pipeline.start(None, is_begun=False)
        _, rows = pipeline.base(start, (), None, None)
        found: dict[Key, RecordValue] = {}
        async with aclosing(pipeline.joined(rows, None)) as joined:
            async for row in joined:
                value = row[ROOT].get(link.from_attribute)
                one = join_key(value, from_attribute, self.entity.name)
                if one is None or value is None:
                    continue
                found[one] = value.id if isinstance(value, Reference) else value
                if most is not None and len(found) > most:
                    return None
        return tuple(found.values())


def _rooted(where: Filter, alias: str) -> Filter:
    """Return the filter of a link as that of a query of its own: what names the link's alias names the query."""
    match where:
        case Condition():
            return replace(
                where,
                link=None if where.link == alias else where.link,
                other_link=None if where.other_link == alias else where.other_link,
            )
        case AllOf(members):
            return AllOf(tuple(_rooted(member, alias) for member in members))
        case AnyOf(members):
            return AnyOf(tuple(_rooted(member, alias) for member in members))
        case Not(member):
            return Not(_rooted(member, alias))
        case Related():
            return where


def _no_relations(related: Related) -> Predicate:
    raise AssertionError(related)
