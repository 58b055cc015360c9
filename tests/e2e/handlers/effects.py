"""An operation whose effect can be counted: every attempt that gets so far leaves a row of its own."""

import asyncio
from typing import Final

from asyncservice.operations.handling import Done, OperationContext, Outcome, registry
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.retry import RetryPolicy
from asyncservice.storage.errors import RowConflict
from asyncservice.storage.tables import Insert

#: One row for each attempt that made its effect; made by the test.
EFFECTS: Final = "Effects"
PARTITIONS: Final = tuple("0123456789abcdef")


@registry.handles(OperationType.EXECUTE_ASYNC_REQUEST, retry=RetryPolicy(max_attempts=3))
async def make_an_effect(context: OperationContext) -> Outcome:
    """Work for a while, make the effect, work for a while more, so that a death can come before and after it."""
    operation = context.operation
    half = float(context.data.get("takes", 0)) / 2
    await asyncio.sleep(half)
    row = Insert(
        f"{operation.asyncoperationid.hex}-{operation.attempt:04d}",
        {"operation": operation.asyncoperationid, "attempt": operation.attempt, "host": operation.hostid or ""},
    )
    try:
        await context.storage.table(EFFECTS).commit(operation.asyncoperationid.hex[-1], [row])
    except RowConflict:
        # The answer of our own write may have been lost and the write sent again, but two processes may never be in
        # one attempt: that would show in the history, which is what the checker reads.
        return Done("made its effect once more")
    await asyncio.sleep(half)
    return Done("made its effect")


@registry.handles(OperationType.BULK_DELETE)
async def work_in_steps(context: OperationContext) -> Outcome:
    """Take as many steps as the data says, each with a checkpoint; what was saved is not done again."""
    steps = int(context.data.get("steps", 1))
    for step in range(context.checkpoint or 0, steps):
        await asyncio.sleep(float(context.data.get("takes", 0)))
        await context.save(step + 1, succeeded=step + 1, total=steps)
    return Done(f"{steps} steps")
