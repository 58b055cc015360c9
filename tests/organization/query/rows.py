"""Tables whose rows are lists, for what is asked of queries and not of storage."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

from asyncservice.organization.query.model import Condition, Order
from asyncservice.organization.schema.catalog import Catalog, standard_definitions
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.sources import Scan, Source, Values

#: The standard tables, with a column that holds several options.
CATALOG = Catalog.from_definitions(
    standard_definitions().with_all(
        [
            (
                {
                    "extends": "account",
                    "attributes": {
                        "new_interests": {
                            "type": "MultiSelectPicklist",
                            "label": "Interests",
                            "options": {"1": "Tea", "2": "Coffee", "3": "Milk"},
                        }
                    },
                },
                "tests",
            )
        ]
    )
)


class ListedRows:
    """A source that keeps rows in a list, in the order of their ids, and decides nothing by itself."""

    def __init__(self, entity: Entity, rows: Sequence[Values]) -> None:
        self.entity = entity
        self._rows = sorted(rows, key=lambda row: str(row[entity.primary_id]))

    async def find(self, record_id: UUID) -> Values | None:
        return (await self.find_many([record_id])).get(record_id)

    async def find_many(self, record_ids: Sequence[UUID]) -> Mapping[UUID, Values]:
        found: dict[UUID, Values] = {}
        for row in self._rows:
            key = row[self.entity.primary_id]
            if isinstance(key, UUID) and key in record_ids:
                found[key] = row
        return found

    def scan(
        self,
        where: Sequence[Condition] = (),
        *,
        columns: Sequence[str] | None = None,
        orders: Sequence[Order] = (),
        behind: Values | None = None,
        at_most: int | None = None,
    ) -> Scan:
        del where, columns, at_most
        key = self.entity.primary_id
        start = "" if behind is None or orders else str(behind[key])

        async def rows() -> AsyncIterator[Values]:
            for row in self._rows:
                if str(row[key]) > start:
                    yield row

        return Scan(rows=rows(), is_ordered=not orders)


class ListedTables:
    """Tables by name; those that are not named are empty."""

    def __init__(self, **rows: Sequence[Values]) -> None:
        self.catalog, self._rows = CATALOG, rows

    def source(self, entity: str) -> Source:
        return ListedRows(self.catalog.entity(entity), self._rows.get(entity, ()))
