"""Columns whose content is too large for a row: the content lies in a blob, the row holds the blob's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.schema.entities import Entity


@dataclass(frozen=True, slots=True)
class File:
    """The content of one column of one record."""

    container: str
    name: str
    content: bytes


def blob_name(record_id: UUID, column: str) -> str:
    """Return the name of the blob that keeps the column of that record."""
    return f"{record_id}/{column}"


def kept_in_blobs(
    entity: Entity, record_id: UUID, values: Mapping[str, object]
) -> tuple[Mapping[str, object], list[File]]:
    """Return the values with blob names in place of contents, and the blobs to write before the row."""
    files = [
        _file(attribute, record_id, values[attribute.name])
        for attribute in entity.kept_in_blobs
        if values.get(attribute.name) is not None
    ]
    if not files:
        return values, files
    return {**values, **{file.name.rpartition("/")[2]: file.name for file in files}}, files


def _file(attribute: Attribute, record_id: UUID, content: object) -> File:
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
    return File(attribute.container or "", blob_name(record_id, attribute.name), content)
