"""Columns whose content is too large for a row: the content lies in blobs, the row holds their name.

Every content gets a name of its own, so what a row names never changes: whoever writes a new one makes a new blob, and
a transaction that comes to nothing has overwritten nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.entities import Entity

#: The container of file columns.
FILES: Final = "filecolumns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Blobs that a column of a record names, or did, or will."""

    container: str
    #: The name of the blob; what all names begin with where it ends in a slash.
    blobs: str
    entity: str
    record_id: UUID
    column: str
    #: What the column holds as long as it names them.
    value: str


@dataclass(frozen=True, slots=True)
class File:
    """The content of one column of one record."""

    named: Named
    content: bytes


def kept_in_blobs(
    entity: Entity, record_id: UUID, values: Mapping[str, object], token: str
) -> tuple[Mapping[str, object], list[File]]:
    """Return the values with blob names in place of contents, and the blobs to write before the row.

    *token* is in the names, so that they are nobody else's.
    """
    files = [
        _file(entity, attribute, record_id, values[attribute.name], token)
        for attribute in entity.kept_in_blobs
        if values.get(attribute.name) is not None
    ]
    return ({**values, **{file.named.column: file.named.value for file in files}}, files) if files else (values, files)


def named_blobs(entity: Entity, record_id: UUID, values: Mapping[str, object]) -> Iterator[Named]:
    """Yield what the record's columns name."""
    for attribute in (*entity.kept_in_blobs, *entity.file_columns):
        value = values.get(attribute.name)
        if attribute.type is AttributeType.FILE and isinstance(value, UUID):
            yield of_file(entity, record_id, attribute.name, value)
        # Only blobs that were made for this very record.
        elif isinstance(value, str) and value.startswith(f"{record_id}/"):
            yield _named(entity, attribute, record_id, value)


def of_file(entity: Entity, record_id: UUID, column: str, file_id: UUID) -> Named:
    """Return the blobs of a file in a file column."""
    return Named(
        container=FILES,
        blobs=f"{file_id}/",
        entity=entity.name,
        record_id=record_id,
        column=column,
        value=str(file_id),
    )


def _named(entity: Entity, attribute: Attribute, record_id: UUID, name: str) -> Named:
    return Named(
        container=attribute.container or "",
        blobs=name,
        entity=entity.name,
        record_id=record_id,
        column=attribute.name,
        value=name,
    )


def _file(entity: Entity, attribute: Attribute, record_id: UUID, content: object, token: str) -> File:
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes):
        raise ValueRefused(
            f"The attribute '{attribute.name}' takes text, not {type(content).__name__}.",
            column=attribute.name,
            code=OrganizationErrorCode.INVALID_PROPERTY_VALUE,
        )
    if attribute.max_length is not None and len(content) > attribute.max_length:
        raise ValueRefused(
            f"The content of '{attribute.name}' has {len(content)} bytes; {attribute.max_length} is the limit.",
            column=attribute.name,
            code=OrganizationErrorCode.STRING_TOO_LONG,
        )
    return File(_named(entity, attribute, record_id, f"{record_id}/{attribute.name}/{token}"), content)
