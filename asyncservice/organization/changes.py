"""A change of a record, and the rows that must be written in the same transaction as the change itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from asyncservice.organization.values import RecordValue
from asyncservice.storage.tables import Insert


class ChangeKind(StrEnum):
    """What was done to a record; the value is the name of the message."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One record before and after."""

    kind: ChangeKind
    entity: str
    id: UUID
    before: Mapping[str, RecordValue] | None = None
    after: Mapping[str, RecordValue] | None = None
    #: When, in whose name, and as part of what; None where a caller of old says nothing.
    on: datetime | None = None
    by: UUID | None = None
    on_behalf_of: UUID | None = None
    correlation_id: UUID | None = None
    #: How many changes caused each other before this one.
    depth: int = 1


class Outbox(Protocol):
    """Says what else a change writes. Its rows stand or fall with the change."""

    def rows_for(self, change: Change) -> Sequence[Insert]:
        """Return the rows to add in the record's partition; their keys must not start with RECORD_PREFIX."""
        ...


class NoOutbox:
    """Nobody wants to know."""

    def rows_for(self, change: Change) -> Sequence[Insert]:  # noqa: ARG002 - the port's signature
        """Return nothing."""
        return ()
