"""What can be wrong with a record, from general to particular.

OrganizationError           carries the number a Dataverse client expects
├── SchemaError             a definition file says something impossible
├── NoSuchEntity            no entity of that name is defined
├── NoSuchAttribute         the entity has no such column
├── ValueRefused            a column cannot hold the value
├── RecordNotFound          no record of that id
├── RecordExists            a record of that id is there already
└── RecordChanged           the record is no longer the version that was read
"""

from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode


class OrganizationError(Exception):
    """Something a caller should know about, with the code a Dataverse client expects."""

    code: OrganizationErrorCode = OrganizationErrorCode.INVALID_ARGUMENT


class SchemaError(OrganizationError):
    """A definition file cannot be understood; the message names the file and what to change."""


class NoSuchEntity(OrganizationError):  # noqa: N818 - reads as the fact it states
    """No definition file describes an entity of that name."""

    code = OrganizationErrorCode.NO_SUCH_ENTITY

    def __init__(self, name: str) -> None:
        super().__init__(f"The entity with a name = '{name}' was not found in the schema.")
        self.name = name


class NoSuchAttribute(OrganizationError):  # noqa: N818 - reads as the fact it states
    """The entity has no column of that name."""

    code = OrganizationErrorCode.NO_SUCH_ATTRIBUTE

    def __init__(self, entity: str, name: str) -> None:
        super().__init__(f"'{entity}' entity doesn't contain attribute with Name = '{name}'.")
        self.entity, self.name = entity, name


class ValueRefused(OrganizationError):  # noqa: N818 - reads as the fact it states
    """A column cannot hold the value it was given."""

    def __init__(self, message: str, *, column: str, code: OrganizationErrorCode, value: object = None) -> None:
        super().__init__(message)
        self.column, self.code, self.value = column, code, value


class RecordNotFound(OrganizationError):  # noqa: N818 - reads as the fact it states
    """There is no record of that id."""

    code = OrganizationErrorCode.OBJECT_DOES_NOT_EXIST

    def __init__(self, entity: str, record_id: UUID) -> None:
        super().__init__(f"Entity '{entity}' With Id = {record_id} Does Not Exist")
        self.entity, self.record_id = entity, record_id


class RecordExists(OrganizationError):  # noqa: N818 - reads as the fact it states
    """A record of that id is there already."""

    code = OrganizationErrorCode.DUPLICATE_RECORD

    def __init__(self, entity: str, record_id: UUID) -> None:
        super().__init__(f"A record of '{entity}' with id {record_id} exists already; update it, or take another id.")
        self.entity, self.record_id = entity, record_id


class RecordChanged(OrganizationError):  # noqa: N818 - reads as the fact it states
    """Somebody changed the record since it was read."""

    code = OrganizationErrorCode.CONCURRENCY_VERSION_MISMATCH

    def __init__(self, entity: str, record_id: UUID) -> None:
        super().__init__(
            f"The version of '{entity}' {record_id} doesn't match the one that was given; read it again, then decide."
        )
        self.entity, self.record_id = entity, record_id
