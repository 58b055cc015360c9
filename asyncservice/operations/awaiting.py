"""Waiting for what others do: for the operations that one has started, or for an event. Pure functions over records."""

import json
from copy import replace
from datetime import datetime
from typing import Any, Final

from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import Action, StatusCode
from asyncservice.operations.transition import moved

#: What `awaits` holds.
CHILDREN: Final = "children"
EVENT: Final = "event:"


def parent_of(operation: AsyncOperation, count: int) -> AsyncOperation:
    """Return the operation with the number of operations it has started."""
    return replace(operation, childcount=count, version=operation.version + 1)


def let_go(operation: AsyncOperation) -> AsyncOperation:
    """Return an operation that goes on by itself, because the one that started it is removed."""
    return replace(operation, parentkey=None, version=operation.version + 1)


def waiting_for_children(
    operation: AsyncOperation,
    *,
    now: datetime,
    checkpoint: Any = None,  # noqa: ANN401 - any JSON value
) -> AsyncOperation:
    """Suspend the operation until every operation that it started is completed.

    One that a person paused meanwhile waits for that person; its next attempt waits for what it started.
    """
    kept = operation.checkpoint if checkpoint is None else json.dumps(checkpoint, separators=(",", ":"))
    if operation.statuscode is StatusCode.PAUSING:
        return moved(operation, Action.STOP, now, checkpoint=kept, deaths=0)
    message = f"Waits for the {operation.childcount} operations that it started."
    return moved(
        operation, Action.WAIT, now, reason=message, awaits=CHILDREN, postponeuntil=None, checkpoint=kept, deaths=0
    )


def joined(operation: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """Make an operation Ready that waited for the operations it started: all are completed."""
    return moved(operation, Action.FALL_DUE, now, reason="every operation it started is completed")


def waiting_for_event(
    operation: AsyncOperation,
    *,
    now: datetime,
    name: str,
    until: datetime | None = None,
    checkpoint: Any = None,  # noqa: ANN401 - any JSON value
) -> AsyncOperation:
    """Suspend the operation until the event arrives or *until* passes; Ready at once when it has arrived before.

    One that a person paused meanwhile waits for that person; its next attempt waits for the event.
    """
    kept = operation.checkpoint if checkpoint is None else json.dumps(checkpoint, separators=(",", ":"))
    if name in arrived(operation):
        return moved(operation, Action.YIELD, now, reason=f"event {name} had arrived", checkpoint=kept, deaths=0)
    if operation.statuscode is StatusCode.PAUSING:
        return moved(operation, Action.STOP, now, checkpoint=kept, deaths=0)
    return moved(
        operation,
        Action.WAIT,
        now,
        reason=f"waits for event {name}",
        awaits=EVENT + name,
        iswaitingforevent=True,
        postponeuntil=until,
        checkpoint=kept,
        deaths=0,
    )


def arrived(operation: AsyncOperation) -> frozenset[str]:
    """Return the names of the events that have arrived for the operation."""
    return frozenset(operation.events.split(",")) if operation.events else frozenset()


def informed(operation: AsyncOperation, *, now: datetime, event: str) -> AsyncOperation:
    """Let the operation know that an event has arrived; one that waits for it becomes Ready."""
    names = ",".join(sorted(arrived(operation) | {event}))
    if operation.awaits == EVENT + event:
        reason = f"event {event} arrived"
        return moved(operation, Action.FALL_DUE, now, reason=reason, postponeuntil=None, events=names)
    return replace(operation, events=names, version=operation.version + 1)
