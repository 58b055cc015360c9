"""An operation that does nothing, for one type of each family: what is left is what the service itself costs."""

import asyncio
import time

from asyncservice.operations.handling import OperationContext, Outcome, registry
from bench.families import COMPUTES, MILLISECONDS, TYPES


async def noop(context: OperationContext) -> Outcome:
    """Do nothing, for as long as it is told, or as busily."""
    if milliseconds := context.data.get(MILLISECONDS):
        await asyncio.sleep(milliseconds / 1000)
    if computes := context.data.get(COMPUTES):
        end = time.thread_time() + computes / 1000
        while time.thread_time() < end:
            pass
    return None


for _type in TYPES.values():
    registry.handles(_type)(noop)
