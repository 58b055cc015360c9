"""Tables that come to be with their first write.

There are many entities and users add their own, most of them never used: making each table at the first start would
take seconds, and an upgrade that brings new entities has no first start. So a table that was never made reads as empty,
and whoever writes to it first makes it.
"""

from collections.abc import AsyncIterator, Sequence

from asyncservice.storage.account import Storage
from asyncservice.storage.errors import TableMissing
from asyncservice.storage.tables import Row, Table, Test, Write


class LazyTable:
    """A table that need not exist. Costs nothing more than the table itself, but for the very first write."""

    def __init__(self, name: str, table: Table) -> None:
        self._name, self._table = name, table
        #: Whether the last scan found the table.
        self.is_there = False

    @property
    def name(self) -> str:
        """The name by which the account is asked for the table."""
        return self._name

    async def create(self) -> None:
        """Make the table now. Safe to repeat."""
        await self._table.create()

    async def read(self, partition: str, key: str) -> Row | None:
        """Return the row, or None."""
        try:
            return await self._table.read(partition, key)
        except TableMissing:
            return None

    async def commit(self, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        """Apply all writes or none."""
        try:
            return await self._table.commit(partition, writes)
        except TableMissing:
            await self._table.create()
            return await self._table.commit(partition, writes)

    async def scan(
        self,
        partition: str,
        *,
        start: str = "",
        end: str | None = None,
        where: Sequence[Test] = (),
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Row]:
        """Yield rows in key order."""
        rows = self._table.scan(partition, start=start, end=end, where=where, select=select, limit=limit)
        try:
            async for row in rows:
                yield row
        except TableMissing:
            self.is_there = False
            return
        self.is_there = True


class LazyTables:
    """The tables of an account, each one lazy and the same every time it is asked for."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._tables: dict[str, LazyTable] = {}

    def table(self, name: str) -> LazyTable:
        """Return the table of that name."""
        if name not in self._tables:
            self._tables[name] = LazyTable(name, self._storage.table(name))
        return self._tables[name]
