"""Operations of every way to go: at once, in the end, in slices, with children, on an event, again and again.

Each notes its effects in the ledger. What lies between two checkpoints is one piece of work, with one effect.
"""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from asyncservice.operations.handling import (
    Done,
    OperationContext,
    OperationFailed,
    Outcome,
    Postponed,
    RetryOperation,
    WaitingForChildren,
    WaitingForEvent,
    Yielded,
    registry,
)
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.retry import RetryPolicy
from asyncservice.operations.states import Action
from asyncservice.operations.submission import Submission
from tests.e2e import ledger

#: So many attempts that faults of the storage alone do not use them up, and so soon that a test need not wait.
_SOON = RetryPolicy(max_attempts=50, first_delay=timedelta(milliseconds=300), factor=1.2)

#: What an operation's `data` may ask for, by what it does.
SIMPLE, POSTPONING, STEPS, PARENT, EVENT = (
    OperationType.FLOW_NOTIFICATION,
    OperationType.POST_TO_YAMMER,
    OperationType.BULK_DELETE_FILE_ATTACHMENT,
    OperationType.IMPORT_SAMPLE_DATA,
    OperationType.UPDATE_ENTITLEMENT_STATES,
)


async def work(context: OperationContext, piece: str) -> None:
    """Do one piece of work, and note its effect in the middle of it: a death can come before and after."""
    half = float(context.data.get("takes", 0)) / 2
    await asyncio.sleep(half)
    operation = context.operation
    ledger.record(operation.asyncoperationid, operation.attempt, piece, context.now())
    await asyncio.sleep(half)


@registry.handles(SIMPLE, retry=_SOON)
async def work_once(context: OperationContext) -> Outcome:
    """Do one piece; before that fail as often as `retries` says, or for good when `fails`. Runs of it are counted."""
    if context.operation.retrycount < int(context.data.get("retries", 0)):
        raise RetryOperation("not yet")
    run = sum(entry.action == Action.RECUR for entry in context.operation.history)
    await work(context, f"run-{run}")
    if context.data.get("fails"):
        raise OperationFailed("as it was asked to")
    return Done("worked")


@registry.handles(POSTPONING, retry=_SOON)
async def work_now_and_later(context: OperationContext) -> Outcome:
    """Do one piece, wait for `later` seconds, do another."""
    if context.checkpoint is None:
        await work(context, "now")
        return Postponed(context.now() + timedelta(seconds=float(context.data["later"])), "later")
    await work(context, "later")
    return Done("worked twice")


@registry.handles(STEPS, retry=_SOON)
async def work_in_slices(context: OperationContext) -> Outcome:
    """Do `steps`, each with a checkpoint, and more while there is no file `until`; yield after every `slice`, too."""
    steps, slice_length = int(context.data["steps"]), int(context.data.get("slice", 1_000))
    step, is_over = context.checkpoint or 0, False
    while step < steps or is_missing(context.data.get("until")):
        if is_over:
            return Yielded(step)
        await work(context, f"step-{step}")
        step += 1
        await context.save(step, succeeded=step, total=max(step, steps))
        is_over = context.should_yield() or step % slice_length == 0
    return Done(f"{step} steps")


def is_missing(path: str | None) -> bool:
    """Whether a file is named and is not there yet."""
    return path is not None and not Path(path).exists()


@registry.handles(PARENT, retry=_SOON)
async def work_through_children(context: OperationContext) -> Outcome:
    """Start `children` operations, wait for all of them, and do a piece when they are done."""
    if context.checkpoint is None:
        child: dict[str, Any] = {"takes": context.data.get("takes", 0)}
        children = [
            Submission(operationtype=int(SIMPLE), name=f"{context.operation.name}/{number}", data=child)
            for number in range(int(context.data["children"]))
        ]
        await context.start_children(children)
        return WaitingForChildren("started")
    tally = await context.children()
    if tally.unfinished:
        raise OperationFailed(f"woken while {tally.unfinished} of {tally.total} operations were not completed")
    await work(context, "joined")
    return Done(f"{tally.succeeded} of {tally.total} succeeded")


@registry.handles(EVENT, retry=_SOON)
async def work_when_told(context: OperationContext) -> Outcome:
    """Do one piece, wait for the event `go`, and do a piece that has the event's data for a name."""
    if context.checkpoint is None:
        await work(context, "asked")
        return WaitingForEvent("go", checkpoint="waits")
    told = await context.event("go")
    if told is None:
        raise OperationFailed("woken without the event that it waited for")
    await work(context, f"told-{told}")
    return Done("was told")
