"""The import map of a file, as its records tell it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Condition, Record
from asyncservice.organization.values import Reference

#: columnmapping.processcode and its like: a mapping that is to be used.
_PROCESS: Final = 1
#: lookupmapping.lookupsourcecode: the record is looked for among those that exist.
SYSTEM: Final = 1


@dataclass(frozen=True, slots=True)
class LookupKey:
    """Where a text is looked for, to find the record it names."""

    entity: str
    attribute: str
    #: 0 inside the import files, 1 in the system.
    source: int = SYSTEM


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Which column of the file goes to which of the target, and how its texts are read."""

    heading: str
    target: str
    lookups: tuple[LookupKey, ...] = ()
    #: Numbers of options by text, folded.
    options: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportMap:
    """The whole map; `columns` is None when columns are matched by their headings."""

    columns: tuple[ColumnMap, ...] | None = None
    #: Users by the name the source knows them by, folded.
    owners: Mapping[str, Reference] = field(default_factory=dict)


async def read_map(organization: Organization, importfile: Record) -> ImportMap:
    """Return the map of an import file: automatic when it says so or when it names no map."""
    reference = importfile.get("importmapid")
    if importfile.get("usesystemmap") is True or not isinstance(reference, Reference):
        return ImportMap()
    of_map = Condition("importmapid", "eq", reference)
    source, target = importfile.get("sourceentityname"), importfile.get("targetentityname")
    columns = [
        await _column(organization, record)
        for record in await organization.records("columnmapping").few(of_map)
        if record.get("processcode") == _PROCESS
        and record.get("sourceentityname") in {None, source}
        and record.get("targetentityname") in {None, target}
    ]
    owners = {
        str(record["sourcesystemusername"]).casefold(): user
        for record in await organization.records("ownermapping").few(of_map)
        if record.get("processcode") == _PROCESS
        and "sourcesystemusername" in record.values
        and isinstance(user := record.get("targetsystemuserid"), Reference)
    }
    return ImportMap(tuple(columns), owners)


async def _column(organization: Organization, record: Record) -> ColumnMap:
    of_column = Condition("columnmappingid", "eq", Reference("columnmapping", record.id))
    lookups = await organization.records("lookupmapping").few(of_column)
    options = await organization.records("picklistmapping").few(of_column)
    return ColumnMap(
        heading=str(record["sourceattributename"]),
        target=str(record.get("targetattributename") or ""),
        lookups=tuple(_lookup(lookup) for lookup in lookups if lookup.get("processcode") == _PROCESS),
        options={
            str(option.get("sourcevalue") or "").strip().casefold(): value
            for option in options
            if option.get("processcode") == _PROCESS and isinstance(value := option.get("targetvalue"), int)
        },
    )


def _lookup(record: Record) -> LookupKey:
    source = record.get("lookupsourcecode")
    return LookupKey(
        str(record["lookupentityname"]),
        str(record["lookupattributename"]),
        source if isinstance(source, int) else SYSTEM,
    )
