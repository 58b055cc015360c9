"""Cancel Async Operations (System), type 103: one action on every operation that matches, or on a parent's children.

Input (`data`):

* `Action`: cancel, pause, resume, postpone, retry or delete;
* `Filter`: a list of `[column, operator, value]`, all of which must hold (operators eq, ne, gt, ge, lt, le); or
  `Parent`: the partition and key of an operation whose children are meant;
* `PostponeUntil`: for postpone, RFC 3339;
* `DryRun`: true only counts.

An operation that the action is refused for is counted as failed and does not stop the rest. The counters are
successcount, failurecount and totalcount.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from asyncservice.operations.columns import COLUMNS, ColumnType
from asyncservice.operations.errors import AsyncServiceError, ErrorCode, OperationNotFound
from asyncservice.operations.handling import (
    Done,
    OperationContext,
    OperationControl,
    OperationFailed,
    Outcome,
    Yielded,
    registry,
)
from asyncservice.operations.ids import Place
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import DATAVERSE_FIELDS
from asyncservice.storage.tables import Comparison, Value

_OPERATORS: Final = ("eq", "ne", "gt", "ge", "lt", "le")
#: Progress is written after this many operations.
_A_SAVE: Final = 50


@dataclass(slots=True)
class _Progress:
    """How far the work has come: which shards are done, and what was counted."""

    shard: int = 0
    succeeded: int = 0
    failed: int = 0

    def checkpoint(self) -> list[int]:
        return [self.shard, self.succeeded, self.failed]


@registry.handles(OperationType.CANCEL_ASYNC_OPERATIONS)
async def act_on_operations(context: OperationContext) -> Outcome:
    """Do one thing to many operations, in slices; safe to repeat, for each action is refused where it was done."""
    act = _action(context.control, context.data)
    progress = _Progress(*(context.checkpoint or ()))
    while progress.shard < context.control.shards:
        # What was acted on no longer matches, or is refused again: a slice may begin its shard anew.
        seen = 0
        async for operation_id in _matching(context, progress.shard):
            if operation_id == context.operation.asyncoperationid:
                continue
            if context.data.get("DryRun"):
                progress.succeeded += 1
                continue
            try:
                await act(operation_id)
                progress.succeeded += 1
            except OperationNotFound:
                continue  # Somebody removed it meanwhile.
            except AsyncServiceError:
                progress.failed += 1
            seen += 1
            if seen % _A_SAVE == 0:
                await context.save(context.checkpoint, succeeded=progress.succeeded, failed=progress.failed)
        progress.shard += 1
        await context.save(progress.checkpoint(), succeeded=progress.succeeded, failed=progress.failed)
        if context.should_yield() and progress.shard < context.control.shards:
            return Yielded(progress.checkpoint())
    what = "match" if context.data.get("DryRun") else f"done: {context.data['Action']}"
    return Done(f"{progress.succeeded} {what}; {progress.failed} refused.")


def _action(control: OperationControl, data: Mapping[str, Any]) -> Callable[[UUID], Awaitable[object]]:
    actions: dict[str, Callable[[UUID], Awaitable[object]]] = {
        "cancel": control.cancel,
        "pause": control.pause,
        "resume": control.resume,
        "retry": control.retry,
        "delete": control.delete,
    }
    name = str(data.get("Action"))
    if name == "postpone":
        until = _moment(data.get("PostponeUntil"))
        return lambda operation_id: control.postpone(operation_id, until)
    if name not in actions:
        raise OperationFailed(
            f"Action {data.get('Action')!r} is none of {', '.join(sorted([*actions, 'postpone']))}.",
            code=ErrorCode.INVALID_ARGUMENT,
        )
    return actions[name]


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise OperationFailed(
            f"PostponeUntil {value!r} is no moment; write it like 2026-01-31T22:00:00Z.",
            code=ErrorCode.INVALID_ARGUMENT,
        )
    return moment


async def _matching(context: OperationContext, shard: int) -> AsyncIterator[UUID]:
    """Yield the ids of the operations in a shard that are meant."""
    if (parent := context.data.get("Parent")) is not None:
        if shard == 0:
            for operation_id in await context.control.unfinished_children(Place(*parent)):
                yield operation_id
        return
    async for operation in context.control.matching(_filter(context.data.get("Filter")), shard=shard):
        yield operation.asyncoperationid


def _filter(conditions: Any) -> list[Comparison]:  # noqa: ANN401 - a member of the input
    """Return the comparisons that a Filter asks for."""
    if not isinstance(conditions, list) or not conditions:
        raise OperationFailed(
            'Filter must name what is meant, as in [["statecode", "eq", 0]]; an empty one would mean every operation.',
            code=ErrorCode.INVALID_ARGUMENT,
        )
    return [_comparison(condition) for condition in conditions]


def _comparison(condition: Any) -> Comparison:  # noqa: ANN401 - a member of the input
    """Return what one condition of a Filter asks for, its value as the column keeps it."""
    match condition:
        case [str(column), str(operator), str() | int() | float() | bool() as value] if (
            operator in _OPERATORS and column in {*DATAVERSE_FIELDS, "statecode"}
        ):
            pass
        case _:
            raise OperationFailed(
                f"{condition!r} is no condition: write [column, operator, value] with a column of asyncoperation "
                f"and one of {', '.join(_OPERATORS)}.",
                code=ErrorCode.INVALID_ARGUMENT,
            )
    try:
        return Comparison(column, operator, _typed(COLUMNS[column].type, value))  # type: ignore[arg-type]
    except ValueError as error:
        raise OperationFailed(
            f"{value!r} does not fit {column}, which is a {COLUMNS[column].type.value}: {error}.",
            code=ErrorCode.INVALID_ARGUMENT,
        ) from error


def _typed(kind: ColumnType, value: str | float | bool) -> Value:  # noqa: FBT001 - a member of the input
    """Return *value* as a column of that type keeps it. Raises ValueError when it does not fit."""
    match kind:
        case ColumnType.UNIQUEIDENTIFIER | ColumnType.LOOKUP | ColumnType.OWNER | ColumnType.FILE:
            return UUID(str(value))
        case ColumnType.DATETIME:
            moment = datetime.fromisoformat(str(value))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        case ColumnType.BOOLEAN:
            if not isinstance(value, bool):
                raise ValueError("write true or false")  # noqa: TRY004 - told as one kind of mistake
            return value
        case ColumnType.DOUBLE:
            return float(value)
        case ColumnType.STRING | ColumnType.MEMO | ColumnType.ENTITY_NAME:
            return str(value)
        case _:
            return int(value)
