"""How an operation begins: by itself, or caused by another. Pure functions that make a record ready to be written."""

import json
from copy import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from asyncservice.operations.history import CREATE, HistoryEntry
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StateCode
from asyncservice.operations.transition import millisecond, short

#: A chain of operations that cause each other counts anew after this long without activity.
QUIET: Final = timedelta(minutes=10)


def created(operation: AsyncOperation, *, reason: str | None = None) -> AsyncOperation:
    """Return *operation* as it is first written: with its owner's columns and the entry that begins its history."""
    until = operation.postponeuntil
    entry = HistoryEntry(
        millisecond(operation.createdon),
        CREATE,
        operation.statuscode,
        reason=short(operation.message if reason is None else reason),
        until=None if until is None else millisecond(until),
        code=operation.errorcode,
    )
    readyon = operation.createdon if operation.statecode is StateCode.READY else None
    owned_by_user = operation.owneridtype == "systemuser"
    return replace(
        operation,
        history=(entry,),
        readyon=readyon,
        owninguser=operation.ownerid if owned_by_user else None,
        owningteam=None if owned_by_user else operation.ownerid,
    )


def caused(operation: AsyncOperation, parent: AsyncOperation, *, now: datetime) -> AsyncOperation:
    """Return a new operation as one that *parent* caused: one deeper in the same chain, with the same owner.

    A chain that was quiet for QUIET begins to count anew (reference, section 3.9).
    """
    is_quiet = now - parent.correlationupdatedtime > QUIET
    return replace(
        operation,
        correlationid=parent.correlationid,
        correlationupdatedtime=now,
        depth=1 if is_quiet else parent.depth + 1,
        parentoperationid=parent.asyncoperationid,
        ownerid=parent.ownerid,
        owneridtype=parent.owneridtype,
    )


def adopted(operation: AsyncOperation, parentkey: str) -> AsyncOperation:
    """Return a new operation as a child of the one whose record has that key in the same partition."""
    return replace(operation, parentkey=parentkey)


def canceller(parent: AsyncOperation, key: str, partition: str, operation_id: UUID, *, now: datetime) -> AsyncOperation:
    """Return the operation that cancels what *parent* has started."""
    kind = OperationType.CANCEL_ASYNC_OPERATIONS
    new = AsyncOperation(
        asyncoperationid=operation_id,
        operationtype=int(kind),
        name=f"{kind.label}: what {parent.label} has started"[:256],
        data=json.dumps({"Action": "cancel", "Parent": [partition, key]}),
        createdon=now,
        modifiedon=now,
        correlationid=parent.correlationid,
        correlationupdatedtime=now,
    )
    return caused(new, parent, now=now)
