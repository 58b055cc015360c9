"""One operation type of each family, and so of each queue; what an operation of the benchmark is told in its data."""

from collections.abc import Mapping
from typing import Final

from asyncservice.operations.operationtypes import Family, OperationType

#: The type that stands for its family.
TYPES: Final[Mapping[Family, OperationType]] = {
    family: next(kind for kind in OperationType if kind.family is family) for family in Family
}

#: The member that says how long an operation sleeps, in milliseconds, as one that waits for an answer would.
MILLISECONDS: Final = "milliseconds"
#: The member that says how long it computes, in milliseconds of the processor's time.
COMPUTES: Final = "computes"
