"""Rows as JSON objects: names and order of members, annotations, labels (reference web-api-wire, sections 6, 8, 15)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from asyncservice.organization.concurrency import together
from asyncservice.organization.query.model import ResultColumn
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import OneToMany
from asyncservice.organization.sources import Values
from asyncservice.organization.values import RecordValue, Reference
from asyncservice.webapi.context import Api
from asyncservice.webapi.formatting import formatted
from asyncservice.webapi.prefer import Preferences
from asyncservice.webapi.values import FORMATTED, LOOKUP_ENTITY, LOOKUP_NAVIGATION, as_json, etag_of

#: The owner's navigation property is one for users and teams.
_OWNER = "ownerid"
_COLUMN_OF_VERSION = "versionnumber"
#: The key of a row's version in results of queries that did not select it; no alias can be called so.
VERSION = "@version"


def property_of(column: Attribute) -> str:
    """Return the member a column has in JSON."""
    return f"_{column.name}_value" if column.type.is_lookup else column.name


def readable(entity: Entity) -> tuple[Attribute, ...]:
    """Return the columns that a row shows when nobody selects."""
    return tuple(column for column in entity.attributes.values() if column.valid_for_read)


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Writes rows of one answer."""

    catalog: Catalog
    preferences: Preferences
    #: Names of the rows that lookups refer to, as far as labels are asked for.
    names: Mapping[Reference, str] = field(default_factory=dict)

    def row(self, entity: Entity, values: Values, columns: Sequence[Attribute] | None) -> dict[str, object]:
        """Return a row with its ETag: the columns selected, or all that can be read; unset ones as null."""
        shown = readable(entity) if columns is None else columns
        written: dict[str, object] = {}
        version = values.get("versionnumber")
        if version is not None:
            written["@odata.etag"] = etag_of(version)
        for column in shown:
            self._write(written, property_of(column), entity, column, values.get(column.name))
        if entity.primary_id not in written:
            written[entity.primary_id] = as_json(values.get(entity.primary_id))
        return written

    def result(self, values: Values, columns: Mapping[str, ResultColumn], *, etag: bool = True) -> dict[str, object]:
        """Return a row of FetchXML or `$apply`: what has a value, under the names of the query."""
        written: dict[str, object] = {}
        version = values.get(VERSION, values.get(_COLUMN_OF_VERSION))
        if etag and version is not None:
            written["@odata.etag"] = etag_of(version)
        for key, value in values.items():
            about = columns.get(key)
            if key == VERSION or (key == _COLUMN_OF_VERSION and about is None):
                # It came for the ETag; nobody selected it.
                continue
            if about is None or about.attribute is None:
                self._write_computed(written, key, value)
                continue
            entity = self.catalog.entity(about.entity)
            column = entity.attribute(about.attribute)
            is_own = about.link is None and key == column.name
            self._write(written, property_of(column) if is_own else key, entity, column, value)
        return written

    def flat(
        self, values: Values, columns: Mapping[str, ResultColumn], members: Mapping[str, str]
    ) -> dict[str, object]:
        """Return a row of SQL: what was selected and nothing else, under the names of the statement; unset is null."""
        written: dict[str, object] = {}
        for member, key in members.items():
            about, value = columns[key], values.get(key)
            if about.attribute is not None:
                entity = self.catalog.entity(about.entity)
                self._write(written, member, entity, entity.attribute(about.attribute), value)
            elif value is None:
                written[member] = None
            else:
                self._write_computed(written, member, value)
        return written

    def _write_computed(self, written: dict[str, object], key: str, value: RecordValue) -> None:
        if self.preferences.wants(FORMATTED) and isinstance(value, int) and not isinstance(value, bool):
            written[f"{key}@{FORMATTED}"] = f"{value:,d}"
        written[key] = as_json(value)

    def _write(
        self, written: dict[str, object], member: str, entity: Entity, column: Attribute, value: RecordValue | None
    ) -> None:
        if value is not None and self.preferences.annotations:
            if isinstance(value, Reference):
                if self.preferences.wants(LOOKUP_NAVIGATION):
                    navigation = lookup_navigation(self.catalog, entity, column, value)
                    if navigation is not None:
                        written[f"{member}@{LOOKUP_NAVIGATION}"] = navigation
                if self.preferences.wants(LOOKUP_ENTITY):
                    written[f"{member}@{LOOKUP_ENTITY}"] = value.entity
            if self.preferences.wants(FORMATTED):
                label = formatted(column, value, self.names)
                if label is not None:
                    written[f"{member}@{FORMATTED}"] = label
        written[member] = as_json(value)


def lookup_navigation(catalog: Catalog, entity: Entity, column: Attribute, value: Reference) -> str | None:
    """Return the name of the navigation property that a lookup's value belongs to."""
    ones: Iterable[OneToMany] = catalog.lookups(entity.name, column.name)
    for one in ones:
        if one.referenced_entity in {value.entity, "owner"}:
            return _OWNER if column.name == _OWNER else one.lookup_navigation
    return None


async def names_of(api: Api, preferences: Preferences, rows: Iterable[Values]) -> Mapping[Reference, str]:
    """Return the names of everything that lookups of these rows refer to; nothing when no labels are asked for.

    One batch for each entity that is referred to.
    """
    if not preferences.wants(FORMATTED):
        return {}
    wanted: defaultdict[str, set[Reference]] = defaultdict(set)
    for row in rows:
        for value in row.values():
            if isinstance(value, Reference) and value.entity in api.organization.catalog:
                wanted[value.entity].add(value)
    found = await together(_named(api, entity, references) for entity, references in wanted.items())
    return {reference: name for names in found for reference, name in names.items()}


async def _named(api: Api, name: str, references: Iterable[Reference]) -> dict[Reference, str]:
    entity = api.organization.catalog.entity(name)
    if entity.primary_name is None:
        return {}
    rows = await api.organization.source(name).find_many([reference.id for reference in references])
    return {Reference(name, record_id): str(row.get(entity.primary_name, "")) for record_id, row in rows.items()}
