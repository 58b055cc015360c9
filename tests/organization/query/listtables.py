"""Tables kept in lists: sources that do as little, or as much, as a source may."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from asyncservice.organization.query.comparisons import test_of as checked
from asyncservice.organization.query.filters import ROOT, Scope
from asyncservice.organization.query.model import Asker, Condition, Order
from asyncservice.organization.query.ordering import places, position
from asyncservice.organization.schema.catalog import Catalog, standard_catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.sources import Scan, Values
from asyncservice.organization.values import RecordValue

ASKER = Asker(now=datetime(2025, 6, 18, 10, 30, tzinfo=UTC), user_id=UUID(int=7))


class ListSource:
    """Rows of one table. *pushes*: leaves out what the conditions refuse; *sorts*: delivers any order and seeks."""

    def __init__(self, entity: Entity, rows: Iterable[Values], *, pushes: bool, sorts: bool) -> None:
        self._entity, self._pushes, self._sorts = entity, pushes, sorts
        self._rows: dict[UUID, Values] = {}
        for row in rows:
            key = row[entity.primary_id]
            assert isinstance(key, UUID)
            self._rows[key] = row
        self.did: Counter[str] = Counter()

    @property
    def entity(self) -> Entity:
        return self._entity

    async def find(self, record_id: UUID) -> Values | None:
        self.did["found"] += 1
        return self._rows.get(record_id)

    async def find_many(self, record_ids: Sequence[UUID]) -> Mapping[UUID, Values]:
        self.did["found"] += len(record_ids)
        return {one: self._rows[one] for one in record_ids if one in self._rows}

    def scan(
        self,
        where: Sequence[Condition] = (),
        *,
        columns: Sequence[str] | None = None,
        orders: Sequence[Order] = (),
        behind: Values | None = None,
        at_most: int | None = None,
    ) -> Scan:
        del at_most
        self.did["scans"] += 1
        is_ordered = self._sorts or not orders
        return Scan(rows=self._read(where, columns, orders, behind if is_ordered else None), is_ordered=is_ordered)

    async def _read(
        self,
        where: Sequence[Condition],
        columns: Sequence[str] | None,
        orders: Sequence[Order],
        behind: Values | None,
    ) -> AsyncIterator[Values]:
        by = places(orders, Scope(here=ROOT, entities={ROOT: self._entity}), [ROOT])
        rows: list[Values] = list(self._rows.values())
        if self._sorts or not orders:
            rows.sort(key=lambda row: position({ROOT: row}, by))
        tests = [(one.attribute, checked(one, self._entity.attribute(one.attribute), ASKER)) for one in where]
        wanted = None if columns is None else {*columns, self._entity.primary_id}
        for row in rows:
            if behind is not None and not position({ROOT: behind}, by) < position({ROOT: row}, by):
                continue
            if self._pushes and not all(test(row.get(name)) for name, test in tests):
                continue
            self.did["rows"] += 1
            yield row if wanted is None else {name: value for name, value in row.items() if name in wanted}


@dataclass
class ListTables:
    """An organization of lists."""

    rows: Mapping[str, Sequence[Mapping[str, RecordValue]]]
    pushes: bool = False
    sorts: bool = False
    catalog: Catalog = field(default_factory=standard_catalog)
    sources: dict[str, ListSource] = field(default_factory=dict)

    def source(self, entity: str) -> ListSource:
        if entity not in self.sources:
            described, rows = self.catalog.entity(entity), self.rows.get(entity, ())
            self.sources[entity] = ListSource(described, rows, pushes=self.pushes, sorts=self.sorts)
        return self.sources[entity]
