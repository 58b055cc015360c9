"""An operation that does nothing, for one type of each family: what is left is what the service itself costs."""

from asyncservice.operations.handling import OperationContext, Outcome, registry
from bench.families import TYPES


async def noop(context: OperationContext) -> Outcome:  # noqa: ARG001 - what every handler takes
    """Do nothing."""
    return None


for _type in TYPES.values():
    registry.handles(_type)(noop)
