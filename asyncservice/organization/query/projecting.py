"""From joined rows to rows of the result: which keys there are, what they mean, and what stands under them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from asyncservice.organization.query.filters import ROOT, Joined, value_of
from asyncservice.organization.query.joins import BARE
from asyncservice.organization.query.model import Column, Link, Query, ResultColumn
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.values import RecordValue

#: Counts the writes of a row. Where it is no column, as of operations, rows carry it all the same: their ETags are made
#: of it.
_VERSION: Final = "versionnumber"

type ResultRow = Mapping[str, RecordValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where what stands under a key comes from."""

    key: str
    alias: str
    column: Column
    meaning: ResultColumn


class Projection:
    """The columns of a query's result, in its order."""

    def __init__(self, query: Query, catalog: Catalog) -> None:
        entity = catalog.entity(query.entity)
        found = list(_of(query.columns, entity.name, ROOT, catalog))
        is_plain = not query.is_aggregate and not query.is_distinct
        if is_plain and all(one.key != entity.primary_id for one in found):
            found.append(_source(Column(attribute=entity.primary_id), entity.name, ROOT))
        for link in query.links:
            found.extend(_of_link(link, catalog))
        self._carries_version = is_plain and _VERSION not in entity.attributes
        self.sources: Sequence[Source] = tuple(found)
        self.columns: Mapping[str, ResultColumn] = {one.key: one.meaning for one in found}
        self._plain = tuple(
            (one.key, one.alias, one.column.attribute) for one in found if not one.column.counts_children
        )

    def row(self, joined: Joined) -> dict[str, RecordValue]:
        """Return the row of the result; what has no value is not in it."""
        row = {
            key: value
            for key, alias, attribute in self._plain
            if (value := value_of(joined, alias, attribute)) is not None
        }
        if self._carries_version and (version := value_of(joined, ROOT, _VERSION)) is not None:
            row.setdefault(_VERSION, version)
        return row


def _of(columns: Iterable[Column] | None, entity: str, alias: str, catalog: Catalog) -> Iterator[Source]:
    described = catalog.entity(entity)
    if columns is None:
        columns = [Column(attribute=name) for name in described.attributes]
    for column in columns:
        described.attribute(column.attribute)
        yield _source(column, entity, alias)


def _of_link(link: Link, catalog: Catalog) -> Iterator[Source]:
    if link.type not in BARE:
        yield from _of(link.columns, link.entity, link.alias, catalog)
        for nested in link.links:
            yield from _of_link(nested, catalog)


def _source(column: Column, entity: str, alias: str) -> Source:
    plain = column.attribute if alias == ROOT else f"{alias}.{column.attribute}"
    is_computed = column.counts_children or (column.aggregate is not None)
    meaning = ResultColumn(
        entity=entity,
        attribute=None if is_computed else column.attribute,
        link=None if alias == ROOT else alias,
    )
    return Source(key=column.alias or plain, alias=alias, column=column, meaning=meaning)
