"""What of a value is compared: the id of a lookup, the folded form of a text, of everything else the value itself.

Two values are equal for conditions, joins, groups and DISTINCT when their keys are.
"""

from collections.abc import Sequence
from functools import total_ordering
from typing import Any, Final
from uuid import UUID

from asyncservice.organization.query.text import fold
from asyncservice.organization.values import RecordValue, Reference

#: What a key may be. Keys of one column compare with each other; those of different types need not.
type Key = Any


def key(value: RecordValue) -> Key:
    """Return what of a value is compared."""
    match value:
        case str():
            return fold(value)
        case Reference():
            return value.id
        case _:
            return value


@total_ordering
class Descending:
    """Turns the order of what it holds round."""

    __slots__ = ("held",)

    def __init__(self, held: Key) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descending) and self.held == other.held

    def __lt__(self, other: "Descending") -> bool:
        return bool(other.held < self.held)

    def __hash__(self) -> int:
        return hash(self.held)


#: Stands before every value, as null does in ascending order.
NOTHING: Final[tuple[int]] = (0,)


def rank(value: RecordValue | None, *, descending: bool = False) -> Key:
    """Return what a value is ordered by: nothing comes first ascending and last descending, as in SQL Server."""
    ranked: Key = NOTHING if value is None else (1, key(value))
    return Descending(ranked) if descending else ranked


def keys(values: Sequence[RecordValue]) -> frozenset[Key]:
    """Return what of several values is compared."""
    return frozenset(key(value) for value in values)


def id_of(value: RecordValue | None) -> UUID | None:
    """Return the id a lookup or an id column holds; None for anything else."""
    if isinstance(value, Reference):
        return value.id
    return value if isinstance(value, UUID) else None
