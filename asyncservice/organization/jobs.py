"""System jobs as a table: the asyncoperation rows that queries read, straight from where operations are kept.

By default, and where `createdon` descending is asked for, the newest come first, a page at a time. Conditions on
correlationid, regardingobjectid, operationtype (but for system events), Failed and Canceled follow an index;
those that leave out completed jobs follow the agenda; what remains is compared by the storage, record after record.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncservice.operations import codec, ids, indices, listing
from asyncservice.operations.listing import created_tail
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.store import OperationStore
from asyncservice.organization.jobplans import Plan, is_newest_first, plan
from asyncservice.organization.jobrows import ENTITY, PRIMARY_ID, row_of
from asyncservice.organization.query.model import Condition, Order
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.sources import Scan, Values

#: More unfinished jobs than this are found by their records and no longer by the agenda.
MOST_UNFINISHED: Final = 500
#: Rows of a first page from each partition, at most: what is not needed is not read.
_FIRST_PAGE: Final = 100
_AT_ONCE: Final = 32


class JobSource:
    """The rows of the asyncoperation table (the port of organization/sources).

    *catalog* returns the one in force, which may become another: a job may be about rows of tables that come later.
    """

    def __init__(self, store: OperationStore, catalog: Callable[[], Catalog]) -> None:
        self._store, self._catalog = store, catalog

    @property
    def entity(self) -> Entity:
        """What the rows are."""
        return self._catalog().entity(ENTITY)

    async def find(self, record_id: UUID) -> Values | None:
        """Return the job of that id, long texts included, or None. One request; two for an id that carries no time."""
        stored = await self._store.read(record_id)
        return None if stored is None else row_of((await self._store.load(stored)).operation)

    async def find_many(self, record_ids: Sequence[UUID]) -> Mapping[UUID, Values]:
        """Return those jobs that exist; as many requests as `find` takes for each."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(record_id: UUID) -> Values | None:
            async with gate:
                return await self.find(record_id)

        wanted = list(dict.fromkeys(record_ids))
        found = await asyncio.gather(*map(one, wanted))
        return {record_id: row for record_id, row in zip(wanted, found, strict=True) if row is not None}

    def scan(
        self,
        where: Sequence[Condition] = (),
        *,
        columns: Sequence[str] | None = None,
        orders: Sequence[Order] = (),
        behind: Values | None = None,
        at_most: int | None = None,
    ) -> Scan:
        """Yield jobs, at least all that meet every condition; see Source."""
        chosen = plan(where)
        newest_first = is_newest_first(orders)
        is_ordered = newest_first or not orders
        if not is_ordered:
            behind, at_most = None, None
        first_page = None if at_most is None or at_most > _FIRST_PAGE else at_most
        found = self._found(chosen, by_creation=newest_first, behind=behind, first_page=first_page)
        return Scan(rows=self._rows(found, chosen, columns), is_ordered=is_ordered)

    async def _found(
        self, chosen: Plan, *, by_creation: bool, behind: Values | None, first_page: int | None
    ) -> AsyncIterator[Stored]:
        """Yield jobs in one of the two orders of `listing`: that of creation, or that of their keys."""
        by_creation |= chosen.prefixes is not None or chosen.is_dated
        position = None if behind is None else await self._position(behind, by_creation=by_creation)
        span = chosen.span(position)
        if chosen.prefixes is not None:
            also = () if chosen.correlation is None else await self._its_origin(chosen.correlation)
            found = listing.indexed(self._store, chosen.prefixes, span, also=also, first_page=first_page)
        elif (waiting := await self._unfinished(chosen)) is not None:
            found = _in_order(waiting, created_tail if by_creation else self._tail, span)
        elif by_creation:
            found = listing.by_creation(self._store, span, where=chosen.where, first_page=first_page)
        else:
            found = listing.by_key(self._store, span, where=chosen.where, first_page=first_page)
        async for stored in found:
            yield stored

    async def _unfinished(self, chosen: Plan) -> list[Stored] | None:
        """Return the jobs that are not completed where no others are asked for, and where they are few."""
        return await listing.unfinished(self._store, at_most=MOST_UNFINISHED) if chosen.is_unfinished else None

    async def _rows(
        self, found: AsyncIterator[Stored], chosen: Plan, columns: Sequence[str] | None
    ) -> AsyncIterator[Values]:
        wanted: Collection[str] = codec.SPILLABLE if columns is None else columns
        async for stored in found:
            if stored.operation.statuscode not in chosen.statuses:
                continue
            loaded = await self._store.load(stored) if not stored.spilled.keys().isdisjoint(wanted) else stored
            yield row_of(loaded.operation)

    async def _its_origin(self, correlation: UUID) -> Sequence[Stored]:
        """Return the job that began a chain of its own: its correlation is its id."""
        stored = await self._store.read(correlation)
        return () if stored is None or stored.operation.correlationid != correlation else (stored,)

    async def _position(self, behind: Values, *, by_creation: bool) -> str | None:
        """Return where the row stands that a list goes on behind; None, the beginning, for one that nobody knows."""
        job_id = behind[PRIMARY_ID]
        if not isinstance(job_id, UUID):
            raise TypeError(f"{PRIMARY_ID} is {job_id!r}.")
        known = ids.known_tail(job_id)
        created = behind.get("createdon")
        if not isinstance(created, datetime):
            created = None
        if known is not None and (not by_creation or (created is not None and known.startswith(ids.inverted(created)))):
            return known
        if (
            created is None or not created.microsecond
        ):  # Written to the second, as the Web API does, it says too little.
            stored = await self._store.read(job_id)
            created = created if stored is None else stored.operation.createdon
        if created is None:
            return known
        return indices.tail(job_id, created) if by_creation else ids.record_key(job_id, created)[1:]

    def _tail(self, operation: AsyncOperation) -> str:
        return self._store.place(operation).tail


async def _in_order(
    jobs: Sequence[Stored], position: Callable[[AsyncOperation], str], span: listing.Span
) -> AsyncIterator[Stored]:
    placed = sorted(((position(each.operation), each) for each in jobs), key=lambda each: each[0])
    for tail, stored in placed:
        if span.holds(tail):
            yield stored
