"""An organization: a catalog of entities and the storage that keeps their records."""

from asyncservice.organization.changes import Outbox
from asyncservice.organization.concurrency import together
from asyncservice.organization.records import Records
from asyncservice.organization.schema.catalog import Catalog, standard_catalog
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import RowConflict
from asyncservice.storage.tables import Insert, Put

_COUNTERS = "OrganizationCounters"
_LAST = "last"


class Organization:
    """Where records are found by the name of their entity. Making one costs nothing."""

    def __init__(self, storage: Storage, catalog: Catalog | None = None, outbox: Outbox | None = None) -> None:
        self.storage = storage
        self.catalog = catalog or standard_catalog()
        self._outbox = outbox

    async def create(self) -> None:
        """Make the tables and containers of every entity. Safe to repeat; needed once before the first record."""
        containers = {
            attribute.container
            for entity in self.catalog
            for attribute in entity.kept_in_blobs
            if attribute.container is not None
        }
        await together(
            (
                self.storage.table(_COUNTERS).create(),
                *(self.storage.table(entity.table_name).create() for entity in self.catalog),
                *(self.storage.blobs(container).create() for container in containers),
            )
        )

    def records(self, entity: str) -> Records:
        """Return the store of that entity's records. Raises NoSuchEntity."""
        return Records(self.storage, self.catalog.entity(entity), self._outbox)

    async def next_number(self, counter: str) -> int:
        """Return the next number of a counter; no two calls ever return the same one."""
        table = self.storage.table(_COUNTERS)
        row = await table.read(counter, _LAST)
        last = 0 if row is None else row.values["number"]
        number = last if isinstance(last, int) else 0
        while True:
            number += 1
            # The insert decides: a number whose row exists belongs to somebody else.
            claim = Insert(f"taken-{number:010d}", {"number": number})
            try:
                await table.commit(counter, [claim, Put(_LAST, {"number": number})])
            except RowConflict:
                continue
            return number
