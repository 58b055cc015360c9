"""The plan of a transformation: for each column of the file, where it goes and what its texts may mean.

Made once a file, from the headings, the import map and the schema; whatever cannot work is refused here, before the
first row is touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import OrganizationError
from asyncservice.organization.importing.conversion import pattern_of
from asyncservice.organization.importing.maps import SYSTEM, ColumnMap, ImportMap, LookupKey
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import Reference


class MapRefused(OrganizationError):  # noqa: N818 - reads as the fact it states
    """The map does not fit the file or the target; the message says what to change."""

    def __init__(self, message: str, code: OrganizationErrorCode) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """One column of the file and what becomes of it."""

    #: Its position in a row.
    index: int
    heading: str
    attribute: Attribute
    options: Mapping[str, int] = field(default_factory=dict)
    lookups: tuple[LookupKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a row."""

    entity: Entity
    columns: tuple[PlannedColumn, ...]
    owners: Mapping[str, Reference]
    date_format: str


def plan(
    catalog: Catalog,
    entity: Entity,
    headings: Sequence[str],
    import_map: ImportMap,
    *,
    has_header: bool,
    date_format: str,
) -> Plan:
    """Return the plan for a file of these headings. Raises MapRefused."""
    try:
        pattern_of(date_format)
    except ValueError as error:
        raise MapRefused(f"dateformatstring: {error}", OrganizationErrorCode.INVALID_COLUMN_MAPPING) from error
    if import_map.columns is None:
        columns = _automatic(entity, headings, has_header=has_header)
    else:
        columns = _mapped(entity, headings, import_map.columns)
    planned = [_planned(catalog, entity, headings.index(column.heading), column) for column in columns]
    _refuse_doubles(planned)
    _refuse_missing(entity, planned)
    return Plan(entity, tuple(planned), import_map.owners, date_format)


def _automatic(entity: Entity, headings: Sequence[str], *, has_header: bool) -> list[ColumnMap]:
    if not has_header:
        raise MapRefused(
            "The automatic map needs headings in the first row: set isfirstrowheader, or make an import map.",
            OrganizationErrorCode.HEADER_REQUIRED_FOR_AUTOMATIC_MAP,
        )
    columns = []
    for heading in headings:
        attribute = entity.matching(heading)
        if attribute is None:
            raise MapRefused(
                f"The heading {heading!r} is neither the display label nor the logical name of a column of "
                f"'{entity.name}': rename it, or make an import map.",
                OrganizationErrorCode.HEADING_MATCHES_NO_COLUMN,
            )
        columns.append(ColumnMap(heading, attribute.name))
    return columns


def _mapped(entity: Entity, headings: Sequence[str], columns: Sequence[ColumnMap]) -> list[ColumnMap]:
    if not columns:
        raise MapRefused(
            f"The import map has no column mapping to '{entity.name}': add columnmapping records, or set usesystemmap.",
            OrganizationErrorCode.NO_COLUMN_MAPPING,
        )
    by_folded = {heading.casefold(): heading for heading in headings}
    found = []
    for column in columns:
        heading = by_folded.get(column.heading.strip().casefold())
        if heading is None:
            raise MapRefused(
                f"The import map names the column {column.heading!r}, which the file does not have; "
                f"it has {', '.join(map(repr, headings))}.",
                OrganizationErrorCode.INVALID_HEADER_COLUMN,
            )
        found.append(ColumnMap(heading, column.target, column.lookups, column.options))
    return found


def _planned(catalog: Catalog, entity: Entity, index: int, column: ColumnMap) -> PlannedColumn:
    attribute = entity.attributes.get(column.target)
    if attribute is None:
        raise MapRefused(
            f"The column {column.heading!r} is mapped to {column.target!r}, which '{entity.name}' does not have.",
            OrganizationErrorCode.INVALID_COLUMN_MAPPING,
        )
    if not attribute.valid_for_create or attribute.name == entity.primary_id:
        raise MapRefused(
            f"The column {column.heading!r} is mapped to '{attribute.name}', which an import cannot set.",
            OrganizationErrorCode.INVALID_COLUMN_MAPPING,
        )
    lookups = _lookups(catalog, attribute, column) if attribute.type in _LOOKED_UP else ()
    return PlannedColumn(index, column.heading, attribute, column.options, lookups)


_LOOKED_UP = frozenset({AttributeType.LOOKUP, AttributeType.CUSTOMER})


def _lookups(catalog: Catalog, attribute: Attribute, column: ColumnMap) -> tuple[LookupKey, ...]:
    """Return where the texts of a lookup are looked for: as mapped, or by the targets' primary names."""
    for lookup in column.lookups:
        if lookup.source != SYSTEM:
            raise MapRefused(
                f"The lookup mapping of {column.heading!r} looks inside the files (lookupsourcecode 0); only records "
                "that exist already can be found: import those first and set lookupsourcecode 1.",
                OrganizationErrorCode.INVALID_COLUMN_MAPPING,
            )
        if lookup.entity not in attribute.targets or lookup.attribute not in catalog.entity(lookup.entity).attributes:
            raise MapRefused(
                f"The lookup mapping of {column.heading!r} names {lookup.entity}.{lookup.attribute}; "
                f"'{attribute.name}' refers to {' or '.join(attribute.targets)}, by a column of theirs.",
                OrganizationErrorCode.INVALID_COLUMN_MAPPING,
            )
    if column.lookups:
        return column.lookups
    return tuple(
        LookupKey(target, name)
        for target in attribute.targets
        if target in catalog and (name := catalog.entity(target).primary_name) is not None
    )


def _refuse_doubles(columns: Sequence[PlannedColumn]) -> None:
    by_target: dict[str, str] = {}
    for column in columns:
        other = by_target.setdefault(column.attribute.name, column.heading)
        if other != column.heading:
            raise MapRefused(
                f"The columns {other!r} and {column.heading!r} are both mapped to '{column.attribute.name}': map one.",
                OrganizationErrorCode.MAPPED_TWICE,
            )


def _refuse_missing(entity: Entity, columns: Sequence[PlannedColumn]) -> None:
    mapped = {column.attribute.name for column in columns}
    missing = [attribute.name for attribute in entity.required_by_people if attribute.name not in mapped]
    if missing:
        raise MapRefused(
            f"'{entity.name}' needs {', '.join(missing)}, which no column of the file is mapped to.",
            OrganizationErrorCode.INVALID_COLUMN_MAPPING,
        )
