"""What can be wrong with a record, from general to particular.

OrganizationError           carries the number a Dataverse client expects
├── SchemaError             a definition file says something impossible
├── SchemaChanged           others keep changing the schema
├── NoSuchEntity            no entity of that name is defined
├── NoSuchAttribute         the entity has no such column
├── ValueRefused            a column cannot hold the value
├── RequestRefused          a request cannot be carried out as it was put
├── RecordNotFound          no record of that id
├── NoSuchKey               the entity has no alternate key of these columns
├── RecordNotFoundByKey     no record of those values of an alternate key
├── RecordExists            a record of that id is there already
├── DuplicateKey            a record of those values of an alternate key is there already
├── DuplicateKeys           the same, of some of many records
├── CannotDelete            other records refer to the record and a relationship restricts that
└── RecordChanged           the record is no longer the version that was read, or others keep changing it
"""

from collections.abc import Mapping
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode


class OrganizationError(Exception):
    """Something a caller should know about, with the code a Dataverse client expects."""

    code: OrganizationErrorCode = OrganizationErrorCode.INVALID_ARGUMENT
    #: Which of the requests of a transaction it is about, counted from 0; None where it is about no single one.
    position: int | None = None


class SchemaError(OrganizationError):
    """A definition cannot be, or a change would make one that cannot; the message says what to change."""


class SchemaChanged(OrganizationError):  # noqa: N818 - reads as the fact it states
    """Others changed the schema at the same time, again and again."""

    code = OrganizationErrorCode.CONCURRENCY_VERSION_MISMATCH

    def __init__(self) -> None:
        super().__init__("Others are changing the schema at the same time; send the request again.")


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


class RequestRefused(OrganizationError):  # noqa: N818 - reads as the fact it states
    """A request asks for something that cannot be done; the message says what to change."""

    def __init__(self, message: str, code: OrganizationErrorCode = OrganizationErrorCode.INVALID_ARGUMENT) -> None:
        super().__init__(message)
        self.code = code


class NoSuchKey(OrganizationError):  # noqa: N818 - reads as the fact it states
    """The entity has no alternate key of exactly these columns."""

    def __init__(self, entity: str, columns: tuple[str, ...]) -> None:
        super().__init__(f"'{entity}' has no alternate key of the columns {', '.join(sorted(columns)) or '(none)'}.")
        self.entity, self.columns = entity, columns


class RecordNotFoundByKey(OrganizationError):  # noqa: N818 - reads as the fact it states
    """No record has those values of an alternate key."""

    code = OrganizationErrorCode.RECORD_NOT_FOUND_BY_ENTITY_KEY

    def __init__(self, entity: str, values: Mapping[str, object]) -> None:
        shown = ", ".join(f"{name} = {value}" for name, value in values.items())
        super().__init__(f"A record of '{entity}' with the alternate key {shown} does not exist.")
        self.entity, self.values = entity, values


class DuplicateKey(OrganizationError):  # noqa: N818 - reads as the fact it states
    """Another record has those values of an alternate key."""

    code = OrganizationErrorCode.DUPLICATE_RECORD_ENTITY_KEY

    def __init__(self, entity: str, record_id: UUID, key: str, columns: tuple[str, ...]) -> None:
        super().__init__(
            f"A record of '{entity}' with the same values for {', '.join(columns)} exists already (alternate key "
            f"{key}); update that one, or give other values."
        )
        self.entity, self.key, self.columns = entity, key, columns
        #: The record that wanted them, too.
        self.record_id = record_id


class DuplicateKeys(OrganizationError):  # noqa: N818 - reads as the fact it states
    """Some of many records have values of an alternate key that others have; all the rest was made."""

    code = OrganizationErrorCode.DUPLICATE_RECORD_ENTITY_KEY

    def __init__(self, refused: Mapping[UUID, DuplicateKey]) -> None:
        super().__init__(f"{len(refused)} records were not made: {next(iter(refused.values()))}")
        self.refused = refused


class CannotDelete(OrganizationError):  # noqa: N818 - reads as the fact it states
    """Records that refer to this one keep it from being deleted."""

    code = OrganizationErrorCode.CANNOT_DELETE_DUE_TO_ASSOCIATION

    def __init__(self, entity: str, record_id: UUID, relationship: str, referencing: str) -> None:
        super().__init__(
            f"'{entity}' {record_id} cannot be deleted: records of '{referencing}' refer to it (relationship "
            f"{relationship}); delete those first, or let them refer to another record."
        )
        self.entity, self.record_id, self.relationship = entity, record_id, relationship


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
