"""An organization: a catalog of entities, and the records of them, wherever they are kept."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from asyncservice.organization import keys, seeding
from asyncservice.organization.activities import POINTER, ActivitySource
from asyncservice.organization.changes import NoOutbox, Outbox
from asyncservice.organization.concurrency import together
from asyncservice.organization.customization import TABLE, Customizations
from asyncservice.organization.customizing import Custom
from asyncservice.organization.errors import SchemaError
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.leftovers import Leftovers
from asyncservice.organization.messages import FILTER, MESSAGE, message_sources
from asyncservice.organization.reading import RecordReader
from asyncservice.organization.records import Record, Records
from asyncservice.organization.recordsource import RecordSource
from asyncservice.organization.references import Found, References, Units
from asyncservice.organization.requests import Given, Outcome, Request
from asyncservice.organization.schema.catalog import Catalog, standard_definitions
from asyncservice.organization.schema.definition import Definitions
from asyncservice.organization.sources import Source
from asyncservice.organization.transactions import Transactions
from asyncservice.organization.values import RecordValue
from asyncservice.organization.workspace import Author
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import RowConflict
from asyncservice.storage.tables import Insert, Put

_COUNTERS = "OrganizationCounters"
_LAST = "last"


class Organization:
    """Where records are found by the name of their entity. Making one costs nothing."""

    def __init__(
        self,
        storage: Storage,
        catalog: Catalog | None = None,
        outbox: Outbox | None = None,
        *,
        definitions: Definitions | None = None,
    ) -> None:
        """Make one of *definitions* and what users add to them; of a *catalog* that nobody changes where one is given.

        Without either the definitions are those that come with the service.
        """
        self.storage = storage
        self._outbox = outbox or NoOutbox()
        self._tables = LazyTables(storage)
        self._customizations = Customizations(self._tables.table(TABLE), definitions or standard_definitions())
        self._is_fixed = catalog is not None
        #: May be exchanged at any time: what changes the schema makes a new catalog.
        self.catalog = catalog or self._customizations.known
        self._registered: dict[str, Source] = {}
        if MESSAGE in self.catalog and FILTER in self.catalog:
            for source in message_sources(lambda: self.catalog):
                self.register(source)
        units = Units(self._find_many)
        #: Notes of blobs that rows are about to name, or have ceased to.
        self.leftovers = Leftovers(storage, self._tables, self._values, self._has_column)
        self._transactions = Transactions(
            storage,
            lambda: self.catalog,
            self._tables,
            outbox=self._outbox,
            references=lambda: References(self._find_many, units),
            leftovers=self.leftovers,
        )

    async def create(self) -> None:
        """Make the containers that records need. Tables come with their first record. Safe to repeat."""
        containers = {
            attribute.container
            for entity in self.catalog
            for attribute in entity.kept_in_blobs
            if attribute.container is not None
        }
        await together(self.storage.blobs(container).create() for container in containers)

    async def seed(self, *, now: datetime) -> None:
        """Make the records that every organization has: itself, its business unit, users, team and currency.

        Safe to repeat: what is there stays as it is. One request when everything is there.
        """
        await seeding.seed(self.records, now=now)

    async def refresh(self, *, now: datetime, strong: bool = False) -> None:
        """Take notice of tables that were changed elsewhere, at most five seconds ago; *strong*: just now.

        One point read each time somebody looks.
        """
        if not self._is_fixed:
            self.catalog = await self._customizations.catalog(now=now, strong=strong)

    async def customize(self, decide: Callable[[Custom], Custom], *, now: datetime) -> None:
        """Change the schema by one of the functions of `customizing`. Raises SchemaError, SchemaChanged."""
        if self._is_fixed:
            raise SchemaError("This organization was made of a catalog that nobody changes.")
        self.catalog = await self._customizations.change(decide, now=now)

    # Reading ----------------------------------------------------------------------------------------------------------

    def register(self, source: Source) -> None:
        """Let the records of an entity be read from *source*: they are kept elsewhere, or follow from others."""
        self._registered[source.entity.name] = source

    def source(self, entity: str) -> Source:
        """Return where queries read the records of that entity. Raises NoSuchEntity."""
        registered = self._registered.get(entity)
        if registered is not None:
            return registered
        if entity == POINTER:
            return ActivitySource(self.catalog, self.source)
        return RecordSource(self._reader(entity))

    async def find(self, entity: str, record_id: UUID) -> Record | None:
        """Return the record, or None when there is none. One request. Raises NoSuchEntity."""
        values = await self.source(entity).find(record_id)
        return None if values is None else Record(entity, record_id, values)

    async def find_by_key(self, entity: str, key: Given) -> Record | None:
        """Return the record with these values of an alternate key, or None. Two requests.

        Raises NoSuchEntity, NoSuchKey when the entity has no key of these columns, ValueRefused.
        """
        described = self.catalog.entity(entity)
        place = keys.place_of(described, keys.key_of(described, key), keys.coerced(described, key))
        if place is None:
            return None
        reader = self._reader(entity)
        settling, looked_at = self._transactions.commits.settling, None
        while True:
            row = await settling.seen(reader.table, await reader.table.read(place.partition, place.row_key))
            if row is None:
                return None
            record_id = keys.record_of(row)
            found = await self.find(entity, record_id)
            if found is not None and keys.place_of(described, place.key, found.values) == place:
                return found
            if record_id == looked_at:
                # The row is from a key of that name that was removed.
                return None
            # The values have gone from one record to another between the two reads.
            looked_at = record_id

    def records(self, entity: str) -> Records:
        """Return the store of that entity's records, for the service's own use. Raises NoSuchEntity."""
        return Records(self._reader(entity), self._transactions, self._outbox)

    # Writing ----------------------------------------------------------------------------------------------------------

    async def transact(
        self,
        requests: Sequence[Request],
        *,
        now: datetime,
        by: UUID,
        on_behalf_of: UUID | None = None,
        correlation_id: UUID | None = None,
        depth: int = 1,
    ) -> list[Outcome]:
        """Carry out requests in their order, all of them or none; each sees what those before it did.

        *by* is in whose name, *on_behalf_of* who acts in that name when it is somebody else (the delegate columns).
        Requests that touch one partition of one table are one request to the storage; others are as atomic, and cost
        about three for each partition more. Raises the errors of `asyncservice.organization.errors`; RecordChanged
        also when others keep changing the same records.
        """
        author = Author(now=now, by=by, on_behalf_of=on_behalf_of, correlation_id=correlation_id, depth=depth)
        return await self._transactions.transact(requests, author)

    async def recover(self, *, now: datetime) -> int:
        """Finish or undo what a process that died left half-way, and return how many transactions that were.

        One request when there is nothing. Until it is called readers see such records as they were decided to be, and
        writers settle those they meet.
        """
        return await self._transactions.commits.settling.recover(now=now)

    async def collect(self, *, now: datetime) -> int:
        """Remove blobs that no row names because somebody died between the two, or never came back with the rest.

        Returns of how many contents. Two requests when there is nothing. What is younger than two days is left alone.
        """
        await self.refresh(now=now)
        return await self.leftovers.collect(now=now)

    async def next_number(self, counter: str) -> int:
        """Return the next number of a counter; no two calls ever return the same one."""
        table = self._tables.table(_COUNTERS)
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

    def _reader(self, entity: str) -> RecordReader:
        return RecordReader(self.catalog.entity(entity), self._tables, self._transactions.commits.settling)

    async def _values(self, entity: str, record_id: UUID) -> Mapping[str, RecordValue] | None:
        return await self.source(entity).find(record_id)

    def _has_column(self, entity: str, column: str) -> bool:
        return entity in self.catalog and column in self.catalog.entity(entity).attributes

    async def _find_many(self, entity: str, record_ids: Sequence[UUID]) -> Found:
        return await self.source(entity).find_many(record_ids)
