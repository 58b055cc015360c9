"""Answers a query: `run` gives one page of it, `pages` all of them, `count` how many rows there are.

Rows stream. Where their source delivers the order that is asked for (or none is), reading stops as soon as the page
is full and it is known whether more remain; otherwise every row is looked at and no more than a page or two are kept.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query import paging
from asyncservice.organization.query.aggregates import Groups
from asyncservice.organization.query.comparing import id_of, key
from asyncservice.organization.query.counting import children
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.filters import ROOT, Joined
from asyncservice.organization.query.model import MAX_COUNT, Asker, Order, Query, Result
from asyncservice.organization.query.ordering import First, Place, all_orders, places, position
from asyncservice.organization.query.pipeline import Pipeline, Start
from asyncservice.organization.query.planning import late_links, with_required_links
from asyncservice.organization.query.projecting import Projection, ResultRow
from asyncservice.organization.query.resolution import resolved
from asyncservice.organization.query.tables import Tables
from asyncservice.organization.sources import Values

#: Rows that can be reached by page number alone.
MAX_SIMPLE_PAGING: Final = 50_000


async def run(query: Query, asker: Asker, tables: Tables) -> Result:
    """Return the page of *query* that its paging names, as *asker* sees it.

    Raises QueryError (bad values, cookies and orders, too many rows for an aggregate), NoSuchEntity, NoSuchAttribute.
    """
    return await _run(await _prepared(query, asker, tables), asker, tables)


async def pages(query: Query, asker: Asker, tables: Tables) -> AsyncIterator[Result]:
    """Yield every page of *query* from the one its paging names; at least one. Raises as `run` does.

    Each page is read when it is asked for. Rows that are added or removed meanwhile may be in it or not; all others are
    there once.
    """
    ready = await _prepared(query, asker, tables)
    while True:
        result = await _run(ready, asker, tables)
        yield result
        if not result.has_more:
            return
        number = ready.paging.number + 1
        ready = replace(ready, paging=replace(ready.paging, number=number, cookie=result.cookie), counts=False)


async def count(query: Query, asker: Asker, tables: Tables) -> tuple[int, bool]:
    """Return how many rows *query* has on all pages, at most MAX_COUNT, and whether there are more. Raises as `run`."""
    return await _count(await _prepared(query, asker, tables), asker, tables)


async def _prepared(query: Query, asker: Asker, tables: Tables) -> Query:
    return with_required_links(await resolved(query, asker, tables))


async def _run(query: Query, asker: Asker, tables: Tables) -> Result:
    if query.paging.number < 1 or query.paging.size < 1:
        raise QueryError(
            "Pages count from 1, and a page holds at least one row.", OrganizationErrorCode.INVALID_ARGUMENT
        )
    projection = Projection(query, tables.catalog)
    if query.is_aggregate or query.is_distinct:
        return _sliced(query, projection, await _all_rows(query, projection, asker, tables))
    late = late_links(query, tables.catalog)
    pipeline = Pipeline(query, asker, tables, late=late)
    page = await _Page(query, pipeline).read()
    rows = [projection.row(row) for row in await pipeline.completed(page.rows)]
    for source in projection.sources:
        if source.column.counts_children:
            rows = await children(rows, page.rows, source, tables)
    result = Result(rows=tuple(rows), columns=projection.columns, has_more=page.has_more, cookie=page.cookie)
    if not query.counts:
        return result
    if page.is_all:
        counted, is_more = min(len(rows), MAX_COUNT), len(rows) > MAX_COUNT
    else:
        counted, is_more = await _count(query, asker, tables)
    return replace(result, count=counted, count_is_more=is_more)


class _Page:
    """Reads one page of joined rows."""

    def __init__(self, query: Query, pipeline: Pipeline) -> None:
        self._query, self._pipeline = query, pipeline
        self._orders = tuple(all_orders(query.orders, query.links))
        self._by: tuple[Place, ...] = places(self._orders, pipeline.scope, [ROOT, *pipeline.multiplied])
        self._size = query.paging.size
        before = (query.paging.number - 1) * query.paging.size
        if query.top is not None:
            self._size = max(0, min(self._size, query.top - before))
        self._skip = 0 if query.paging.cookie is not None else before
        self.rows: Sequence[Joined] = ()
        self.has_more = False
        self.cookie: str | None = None
        #: Whether the page holds every row there is.
        self.is_all = False

    async def read(self) -> "_Page":
        """Read it."""
        query, cookie = self._query, self._query.paging.cookie
        if self._skip + self._size > MAX_SIMPLE_PAGING and self._skip:
            raise QueryError(
                f"By number alone the first {MAX_SIMPLE_PAGING} rows can be paged through; send the paging cookie.",
                OrganizationErrorCode.PAGING_COOKIE_INVALID,
            )
        if not self._size:
            return self
        begun = None if cookie is None else paging.read(cookie, self._by)
        start = await self._pipeline.start(None if begun is None else begun.seed, is_begun=begun is not None)
        rows = await self._rows(start, None if begun is None else begun.row)
        kept = rows[self._skip : self._skip + self._size]
        more = len(rows) > self._skip + self._size
        self.rows = kept
        at_end = query.top is not None and query.paging.number * query.paging.size >= query.top
        self.has_more = more and not at_end
        self.is_all = not more and cookie is None and not self._skip
        if self.has_more:
            self.cookie = paging.written(query.paging.number, self._by, kept[0], kept[-1], seed=start.seed)
        return self

    async def _rows(self, start: Start, behind: Joined | None) -> Sequence[Joined]:
        """Return the rows behind a position, up to one more than the page needs."""
        wanted = self._skip + self._size + 1
        asked = _for_source(self._orders, self._by)
        seek = None if behind is None or asked is None else behind[ROOT]
        is_ordered, rows = self._pipeline.base(start, asked or (), seek, wanted)
        if asked is None or not is_ordered:
            # Every row is needed then, in big pages. Nothing has been read yet: closing what was opened costs nothing.
            await rows.aclose()
            _, rows = self._pipeline.base(start, (), None, None)
            return await self._sorted(rows, behind, wanted)
        found = await self._rest_of(behind) if behind is not None else []
        async with aclosing(self._pipeline.joined(rows, wanted)) as joined:
            async for row in joined:
                found.append(row)
                if len(found) >= wanted:
                    break
        return found[:wanted]

    async def _sorted(self, rows: AsyncGenerator[Values], behind: Joined | None, wanted: int) -> Sequence[Joined]:
        first = First(self._by, wanted, None if behind is None else position(behind, self._by))
        async with aclosing(self._pipeline.joined(rows, None)) as joined:
            async for row in joined:
                first.add(row)
        return first.rows()

    async def _rest_of(self, behind: Joined) -> list[Joined]:
        """Return what the row that the last page ended within grows to beyond what that page held."""
        if not self._pipeline.multiplied:
            return []
        there = id_of(behind[ROOT].get(self._pipeline.entity.primary_id))
        row = None if there is None else await self._pipeline.source.find(there)
        own = [place for place in self._by if place.alias == ROOT]
        if row is None or not self._pipeline.is_kept(row) or position({ROOT: row}, own) != position(behind, own):
            return []

        async def alone() -> AsyncGenerator[Values]:
            yield row

        last = self._pipeline.rank_within(behind)
        async with aclosing(self._pipeline.joined(alone(), None)) as joined:
            return [one async for one in joined if last < self._pipeline.rank_within(one)]


def _for_source(orders: Sequence[Order], by: Sequence[Place]) -> tuple[Order, ...] | None:
    """Return the orders as a source can be asked for them; None when no source can deliver them."""
    if any(place.by_label or place.alias != ROOT for place, _ in zip(by, orders, strict=False)):
        return None
    return tuple(orders)


async def _all_rows(query: Query, projection: Projection, asker: Asker, tables: Tables) -> list[ResultRow]:
    """Return every row of an aggregate or distinct query, in order."""
    pipeline = Pipeline(query, asker, tables)
    groups = Groups(query, projection, pipeline.scope, asker) if query.is_aggregate else None
    _, rows = pipeline.base(await pipeline.start(None, is_begun=False), (), None, None)
    by = () if query.is_aggregate else places(all_orders(query.orders, query.links), pipeline.scope, ())
    distinct: dict[tuple[object, ...], tuple[tuple[object, ...], ResultRow]] = {}
    async with aclosing(pipeline.joined(rows, None)) as joined:
        async for row in joined:
            if groups is not None:
                groups.add(row)
                continue
            shown = projection.row(row)
            same = tuple(key(value) if value is not None else None for value in map(shown.get, projection.columns))
            here = position(row, by)
            if same not in distinct or here < distinct[same][0]:
                distinct[same] = here, shown
    if groups is not None:
        return list(groups.rows())
    return [shown for _, shown in sorted(distinct.values(), key=lambda pair: pair[0])]


def _sliced(query: Query, projection: Projection, rows: Sequence[ResultRow]) -> Result:
    total = len(rows)
    if query.top is not None:
        rows = rows[: query.top]
    begin = (query.paging.number - 1) * query.paging.size
    page = rows[begin : begin + query.paging.size]
    result = Result(rows=tuple(page), columns=projection.columns, has_more=begin + len(page) < len(rows))
    return replace(result, count=min(total, MAX_COUNT), count_is_more=total > MAX_COUNT) if query.counts else result


async def _count(query: Query, asker: Asker, tables: Tables) -> tuple[int, bool]:
    if query.is_aggregate or query.is_distinct:
        total = len(await _all_rows(query, Projection(query, tables.catalog), asker, tables))
        return min(total, MAX_COUNT), total > MAX_COUNT
    bare = replace(query, orders=(), columns=())
    pipeline = Pipeline(bare, asker, tables, late=late_links(bare, tables.catalog), results=False)
    _, rows = pipeline.base(await pipeline.start(None, is_begun=False), (), None, MAX_COUNT + 1)
    total = 0
    async with aclosing(pipeline.joined(rows, MAX_COUNT + 1)) as joined:
        async for _ in joined:
            total += 1
            if total > MAX_COUNT:
                return MAX_COUNT, True
    return total, False
