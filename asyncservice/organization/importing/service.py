"""Makes an import ready for its three jobs: the import, its file, and the map between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import SYSTEM_USER
from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.importing.dialects import DataDelimiter, FieldDelimiter
from asyncservice.organization.importing.maps import LookupKey
from asyncservice.organization.organization import Organization
from asyncservice.organization.values import Reference

#: The operations that do an import, in the order in which they are submitted.
IMPORT_OPERATIONS = (
    OperationType.IMPORT_FILE_PARSE,
    OperationType.TRANSFORM_PARSE_DATA,
    OperationType.IMPORT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTarget:
    """Where a column of the file goes."""

    #: The target's column, by logical name.
    attribute: str
    #: Numbers of options by the text that stands for them, for a choice.
    options: Mapping[str, int] = field(default_factory=dict)
    #: How the record is found, for a lookup; by the primary name of each target when nothing is said.
    lookups: tuple[LookupKey, ...] = ()


@dataclass(frozen=True, slots=True)
class NewImport:
    """What `create_import` made."""

    import_id: UUID
    importfile_id: UUID
    #: None when columns are matched by their headings.
    importmap_id: UUID | None

    @property
    def operation_data(self) -> dict[str, str]:
        """The input of each of the three operations."""
        return {"ImportId": str(self.import_id)}


async def create_import(
    organization: Organization,
    *,
    name: str,
    entity: str,
    content: bytes,
    now: datetime,
    columns: Mapping[str, str | ColumnTarget] | None = None,
    source: str | None = None,
    has_header: bool = True,
    field_delimiter: FieldDelimiter = FieldDelimiter.COMMA,
    data_delimiter: DataDelimiter = DataDelimiter.DOUBLE_QUOTE,
    date_format: str = "M/d/yyyy",
    owner: UUID = SYSTEM_USER,
) -> NewImport:
    """Make an import of one file and return the ids of its records.

    *columns* says for headings of the file (Col1, Col2, … without a header) which column of *entity* they go to;
    columns that it does not name are left out. None means the automatic map: every heading is a display label or a
    logical name.

    Raises NoSuchEntity, NoSuchAttribute, or ValueRefused; nothing is made then.
    """
    targets = _targets(columns)
    described = organization.catalog.entity(entity)
    for target in targets.values():
        described.attribute(target.attribute)
    if columns is not None and not columns:
        raise ValueRefused(
            "The map is empty: name at least one column, or leave it out for the automatic map.",
            column="columns",
            code=OrganizationErrorCode.NO_COLUMN_MAPPING,
        )
    sequence = await organization.next_number("importsequencenumber")
    importmap_id: UUID | None = None
    if columns is not None:
        # The names of maps are unique, and so are the numbers of imports.
        importmap_id = await _create_map(organization, f"{name} ({sequence})", entity, targets, now=now)
    import_id = await organization.records("import").create(
        {"name": name, "modecode": 0, "sequence": sequence, "ownerid": Reference("systemuser", owner)}, now=now
    )
    importfile_id = await organization.records("importfile").create(
        {
            "name": name,
            "source": source,
            "size": str(len(content)),
            "content": content,
            "isfirstrowheader": has_header,
            "usesystemmap": columns is None,
            "fielddelimitercode": field_delimiter.value,
            "datadelimitercode": data_delimiter.value,
            "dateformatstring": date_format,
            "sourceentityname": None,
            "targetentityname": entity,
            "importid": Reference("import", import_id),
            "importmapid": None if importmap_id is None else Reference("importmap", importmap_id),
            "recordsownerid": Reference("systemuser", owner),
        },
        now=now,
    )
    return NewImport(import_id, importfile_id, importmap_id)


async def _create_map(
    organization: Organization, name: str, entity: str, targets: Mapping[str, ColumnTarget], *, now: datetime
) -> UUID:
    importmap_id = await organization.records("importmap").create({"name": name}, now=now)
    for heading, target in targets.items():
        columnmapping_id = await organization.records("columnmapping").create(
            {
                "importmapid": Reference("importmap", importmap_id),
                "sourceattributename": heading,
                "targetentityname": entity,
                "targetattributename": target.attribute,
            },
            now=now,
        )
        of_column = {"columnmappingid": Reference("columnmapping", columnmapping_id)}
        for text, option in target.options.items():
            await organization.records("picklistmapping").create(
                {**of_column, "sourcevalue": text, "targetvalue": option}, now=now
            )
        for lookup in target.lookups:
            await organization.records("lookupmapping").create(
                {
                    **of_column,
                    "lookupentityname": lookup.entity,
                    "lookupattributename": lookup.attribute,
                    "lookupsourcecode": lookup.source,
                },
                now=now,
            )
    return importmap_id


def _targets(columns: Mapping[str, str | ColumnTarget] | None) -> dict[str, ColumnTarget]:
    return {
        heading: target if isinstance(target, ColumnTarget) else ColumnTarget(attribute=target)
        for heading, target in (columns or {}).items()
    }
