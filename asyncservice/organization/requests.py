"""What is asked of records: plain values that `Organization.transact` carries out, all of them or none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from asyncservice.organization.values import RecordValue

type Given = Mapping[str, object]
"""Columns by logical name as a caller gave them; lookups as Reference, None clears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make a record; refused when its id or one of its alternate keys is taken."""

    entity: str
    values: Given
    #: Chosen by the caller, or made up. Ids of one transaction that are made up stand in one partition.
    id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Change columns of a record; refused when it does not exist or, with *version*, has another one."""

    entity: str
    id: UUID
    values: Given
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """Change the record when it exists, else make it. By id, or by the values of an alternate key."""

    entity: str
    values: Given
    id: UUID | None = None
    #: The alternate key's columns and values; the new record takes them too.
    key: Given = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove a record, with what its relationships cascade to; refused when it does not exist or is restricted."""

    entity: str
    id: UUID
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Associate:
    """Relate two records by a many-to-many relationship; once is enough."""

    relationship: str
    entity1_id: UUID
    entity2_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Disassociate:
    """End such a relation; nothing happens where there is none."""

    relationship: str
    entity1_id: UUID
    entity2_id: UUID


type Request = Create | Update | Upsert | Delete | Associate | Disassociate


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request: the record, and whether it was made just now."""

    entity: str
    id: UUID
    created: bool = False
    #: What the record holds now; empty for one that is gone.
    values: Mapping[str, RecordValue] = field(default_factory=dict, compare=False)
