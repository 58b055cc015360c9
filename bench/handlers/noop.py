"""An operation that does nothing, for one type of each family: what is left is what the service itself costs."""

import asyncio
from typing import Final

from asyncservice.operations.handling import OperationContext, Outcome, registry
from bench.families import TYPES

#: The member of an operation's data that says how long it sleeps, as one that waits for an answer would.
MILLISECONDS: Final = "milliseconds"


async def noop(context: OperationContext) -> Outcome:
    """Do nothing, for as long as it is told."""
    if milliseconds := context.data.get(MILLISECONDS):
        await asyncio.sleep(milliseconds / 1000)
    return None


for _type in TYPES.values():
    registry.handles(_type)(noop)
