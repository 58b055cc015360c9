"""Rows that are kept nowhere because they follow from something else, as a source that queries read."""

from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from uuid import UUID

from asyncservice.organization.query.model import Condition, Order
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.sources import Scan, Values


class ComputedSource:
    """A source of rows that *compute* makes; it is asked again only when *version* has become another object.

    *entity* returns what they are at the moment: users may add columns to any table.

    They are few: all of them are held in memory, ordered by id, which is the order they are told in.
    """

    def __init__(
        self,
        entity: Callable[[], Entity],
        compute: Callable[[], Iterable[Values]],
        *,
        version: Callable[[], object],
    ) -> None:
        self._entity = entity
        self._compute, self._version = compute, version
        self._computed: tuple[object, Mapping[UUID, Values], Sequence[UUID]] | None = None

    @property
    def entity(self) -> Entity:
        """What the rows are."""
        return self._entity()

    async def find(self, record_id: UUID) -> Values | None:
        """Return the row of that id, or None."""
        rows, _ = self._rows()
        return rows.get(record_id)

    async def find_many(self, record_ids: Sequence[UUID]) -> Mapping[UUID, Values]:
        """Return those rows of *record_ids* that exist."""
        rows, _ = self._rows()
        return {record_id: rows[record_id] for record_id in record_ids if record_id in rows}

    def scan(
        self,
        where: Sequence[Condition] = (),  # noqa: ARG002 - the evaluator looks at every row again
        *,
        columns: Sequence[str] | None = None,  # noqa: ARG002 - they are all here
        orders: Sequence[Order] = (),
        behind: Values | None = None,
        at_most: int | None = None,  # noqa: ARG002 - nothing is fetched
    ) -> Scan:
        """Yield the rows by id, from behind one of them; see sources.Source."""
        rows, ids = self._rows()
        start = 0
        if behind is not None and not orders:
            key = behind[self.entity.primary_id]
            start = bisect_right(ids, key) if isinstance(key, UUID) else 0

        async def told() -> AsyncIterator[Values]:
            for record_id in ids[start:]:
                yield rows[record_id]

        return Scan(rows=told(), is_ordered=not orders)

    def _rows(self) -> tuple[Mapping[UUID, Values], Sequence[UUID]]:
        version = self._version()
        if self._computed is None or self._computed[0] is not version:
            rows: dict[UUID, Values] = {}
            primary_id = self.entity.primary_id
            for row in self._compute():
                record_id = row[primary_id]
                if not isinstance(record_id, UUID):
                    raise TypeError(f"The key of a row of {self.entity.name} is {record_id!r}.")
                rows[record_id] = row
            self._computed = (version, rows, sorted(rows))
        return self._computed[1], self._computed[2]
