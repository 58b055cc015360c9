"""The port that queries read rows through: one for each table, whatever keeps it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from asyncservice.organization.query.model import Condition, Order
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import RecordValue

type Values = Mapping[str, RecordValue]
"""A row: columns by logical name; what has no value is not there. The primary key always is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Rows on their way out of a source."""

    rows: AsyncIterator[Values]
    #: Whether they come in the order that was asked for. Where no order was asked for the source's own counts: any
    #: that is total, stable, and can be taken up again behind a row of which only the primary key is known.
    is_ordered: bool


class Source(Protocol):
    """The rows of one table."""

    @property
    def entity(self) -> Entity:
        """What the rows are."""
        ...

    async def find(self, record_id: UUID) -> Values | None:
        """Return the row of that id, or None."""
        ...

    async def find_many(self, record_ids: Sequence[UUID]) -> Mapping[UUID, Values]:
        """Return those rows of *record_ids* that exist, in as few requests as the layout allows."""
        ...

    def scan(
        self,
        where: Sequence[Condition] = (),
        *,
        columns: Sequence[str] | None = None,
        orders: Sequence[Order] = (),
        behind: Values | None = None,
        at_most: int | None = None,
    ) -> Scan:
        """Yield rows, at least all those that meet every condition of *where*.

        The source uses of *where* what its layout or the storage can decide, and may yield more: the evaluator looks
        at every row again. *columns* may be brought only (the key always is); None is all. *behind* holds the values of
        the *orders* columns and the key of the row to go on behind, for a source that can seek there; one that is not
        ordered ignores it. *at_most* is how many rows the reader expects to need, so that pages can be small; it is a
        hint, no bound.
        """
        ...
