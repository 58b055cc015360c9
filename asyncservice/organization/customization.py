"""Keeps what users add to the schema, and tells every process soon when it has changed.

    table Customizations, one partition
        version     a number, one more with every change
        entity-…    a table of a user: its definition as JSON
        extends-…   what users have added to another table
        choice-…    a global choice
    removed-…   types of the columns that a table had, since its rows still hold values of them

A change is one transaction: the definition it touches and the version, on condition that the version is the one it
was decided upon. Whoever loses the race decides again on what is there now. A process that dies has changed all or
nothing; a change that is sent again after a lost answer is refused, since what it adds is there.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from asyncservice.organization.customizing import Custom
from asyncservice.organization.errors import SchemaChanged
from asyncservice.organization.schema.catalog import Catalog, catalog_of
from asyncservice.organization.schema.definition import Definitions, Said
from asyncservice.storage.errors import RowConflict
from asyncservice.storage.tables import MAX_TEXT, Delete, Insert, Put, Replace, Row, Table, Value, Write

TABLE: Final = "Customizations"
#: How long a catalog counts without a look at the version.
FRESH: Final = timedelta(seconds=5)
#: How often a change is decided anew when others change the schema at the same time.
_TRIES: Final = 10

_PARTITION: Final = "schema"
_VERSION: Final = "version"
_KINDS: Final = {"entities": "entity-", "extensions": "extends-", "choices": "choice-", "removed": "removed-"}


class Customizations:
    """The schema of an organization: definitions that came with it, and what its users have added."""

    def __init__(self, table: Table, base: Definitions) -> None:
        self._table, self._base = table, base
        #: What is in force while nobody has added anything.
        self._catalog = catalog_of(base)
        self._version = 0
        self._looked: datetime | None = None
        self._looking = asyncio.Lock()

    @property
    def known(self) -> Catalog:
        """The catalog as it was when this process looked last."""
        return self._catalog

    async def catalog(self, *, now: datetime, strong: bool = False) -> Catalog:
        """Return the catalog as it was at most `FRESH` ago; *strong*: as it is.

        Costs one point read each time somebody looks, and two requests more when the schema has changed. Raises
        SchemaError when what is stored and what files describe do not go together.
        """
        async with self._looking:
            if not strong and self._looked is not None and now - self._looked < FRESH:
                return self._catalog
            if _number(await self._table.read(_PARTITION, _VERSION)) != self._version:
                custom, version, _ = await self._read()
                self._catalog, self._version = Catalog.from_definitions(custom.over(self._base)), version
            self._looked = now
            return self._catalog

    async def change(self, decide: Callable[[Custom], Custom], *, now: datetime) -> Catalog:
        """Change what users have added and return the catalog as it is then.

        *decide* may be called several times. Raises what it raises, SchemaError when the result is no schema, and
        SchemaChanged when others keep changing it.
        """
        for _ in range(_TRIES):
            before, version, etag = await self._read()
            after = decide(before)
            catalog = Catalog.from_definitions(after.over(self._base))
            catalog.check()
            row = {"number": version + 1}
            first: Write = Insert(_VERSION, row) if etag is None else Replace(_VERSION, row, etag)
            try:
                await self._table.commit(_PARTITION, [first, *_differences(before, after)])
            except RowConflict:
                continue
            async with self._looking:
                self._catalog, self._version, self._looked = catalog, version + 1, now
            return catalog
        raise SchemaChanged

    async def _read(self) -> tuple[Custom, int, str | None]:
        """Read everything of one version: the version is read before and after, until nobody changed it between."""
        while True:
            version = await self._table.read(_PARTITION, _VERSION)
            found: dict[str, dict[str, Said]] = {kind: {} for kind in _KINDS}
            async for row in self._table.scan(_PARTITION):
                for kind, prefix in _KINDS.items():
                    if row.key.startswith(prefix):
                        found[kind][row.key.removeprefix(prefix)] = json.loads(_text(row))
            again = await self._table.read(_PARTITION, _VERSION)
            if _number(again) == _number(version):
                etag = None if again is None else again.etag
                return Custom(**found), _number(again), etag


def _differences(before: Custom, after: Custom) -> Iterator[Write]:
    for kind, prefix in _KINDS.items():
        old: Mapping[str, Said] = getattr(before, kind)
        new: Mapping[str, Said] = getattr(after, kind)
        for name, said in new.items():
            if old.get(name) != said:
                # The condition on the version guards it.
                yield Put(prefix + name, _columns(json.dumps(said, ensure_ascii=False)))
        for name in old.keys() - new.keys():
            yield Delete(prefix + name)


def _columns(text: str) -> dict[str, Value]:
    # Half the limit in characters fits whatever they are.
    size = MAX_TEXT // 2
    return {f"text{start // size:02d}": text[start : start + size] for start in range(0, len(text), size)}


def _text(row: Row) -> str:
    return "".join(str(row.values[name]) for name in sorted(row.values) if name.startswith("text"))


def _number(row: Row | None) -> int:
    value = 0 if row is None else row.values["number"]
    return value if isinstance(value, int) else 0
