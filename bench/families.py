"""One operation type of each family, and so of each queue."""

from collections.abc import Mapping
from typing import Final

from asyncservice.operations.operationtypes import Family, OperationType

#: The type that stands for its family.
TYPES: Final[Mapping[Family, OperationType]] = {
    family: next(kind for kind in OperationType if kind.family is family) for family in Family
}
