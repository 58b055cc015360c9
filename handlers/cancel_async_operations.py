"""Cancel Async Operations (System), type 103: one action on every operation that matches, or on a parent's children.

Input (`data`):

* `Action`: cancel, pause, resume, postpone, retry or delete;
* `Filter`: a list of `[column, operator, value]`, all of which must hold (operators eq, ne, gt, ge, lt, le); or
  `Parent`: the partition and key of an operation whose children are meant;
* `PostponeUntil`: for postpone, RFC 3339;
* `DryRun`: true only counts.

An operation that the action is refused for is counted as failed and does not stop the rest. The counters are
successcount, failurecount and, in the end, totalcount; they are exact even when hosts die in between, for the history
of each operation says who acted on it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
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
from asyncservice.operations.record import DATAVERSE_FIELDS, AsyncOperation
from asyncservice.storage.tables import Comparison, Value

_OPERATORS: Final = ("eq", "ne", "gt", "ge", "lt", "le")
#: Progress is written before so many operations are acted on.
_A_BATCH: Final = 50

type _Act = Callable[[UUID], Awaitable[object]]


@dataclass(slots=True)
class _Progress:
    """How far the work has come, what was counted, and what is being acted on."""

    shard: int = 0
    #: The position in the shard of the last operation that was found.
    behind: str | None = None
    succeeded: int = 0
    failed: int = 0
    #: Ids of operations that were found and are not counted yet. Some may have been acted on before a crash.
    pending: list[str] = field(default_factory=list)


@registry.handles(OperationType.CANCEL_ASYNC_OPERATIONS)
async def act_on_operations(context: OperationContext) -> Outcome:
    """Do one thing to many operations, in slices. Each is counted once, whatever dies in between."""
    work = _Work(context)
    progress = work.progress
    if progress.pending:
        await work.do_pending(again=True)
    async with aclosing(_batches(context, progress.shard, progress.behind)) as batches:
        async for batch, progress.shard, progress.behind in batches:
            progress.pending = batch
            # Written before anything is done: after a crash it is known what may have been done already.
            await work.save()
            await work.do_pending()
            if context.should_yield():
                await work.save()
                return Yielded(asdict(progress))
    await work.save(total=progress.succeeded + progress.failed)
    what = "match" if work.is_dry_run else f"done: {context.data['Action']}"
    return Done(f"{progress.succeeded} {what}; {progress.failed} refused.")


class _Work:
    """The action, and how far it has come."""

    def __init__(self, context: OperationContext) -> None:
        self._context = context
        #: In the history of each operation it says who acted on it, and so whether it was done.
        self._reason = f"asked by operation {context.operation.asyncoperationid}"
        self._action = str(context.data.get("Action"))
        self._act = _action(context.control, context.data, self._reason)
        self.is_dry_run = bool(context.data.get("DryRun"))
        self.progress = _Progress(**(context.checkpoint or {}))

    async def save(self, *, total: int | None = None) -> None:
        progress = self.progress
        await self._context.save(asdict(progress), succeeded=progress.succeeded, failed=progress.failed, total=total)

    async def do_pending(self, *, again: bool = False) -> None:
        """Act on what is pending and count it; *again* when some of it may have been acted on before."""
        for text in self.progress.pending:
            operation_id = UUID(text)
            if self.is_dry_run or (again and await self._is_done(operation_id)):
                self.progress.succeeded += 1
                continue
            try:
                await self._act(operation_id)
            except OperationNotFound:
                continue  # Somebody removed it meanwhile.
            except AsyncServiceError:
                self.progress.failed += 1
            else:
                self.progress.succeeded += 1
        self.progress.pending = []

    async def _is_done(self, operation_id: UUID) -> bool:
        try:
            history = await self._context.control.history(operation_id)
        except OperationNotFound:
            return self._action == "delete"
        return any(entry.action == self._action and entry.reason == self._reason for entry in history)


async def _batches(
    context: OperationContext, shard: int, behind: str | None
) -> AsyncGenerator[tuple[list[str], int, str | None]]:
    """Yield the ids of what is meant, batch by batch, each with the shard and the position at which to go on."""
    control = context.control
    while shard < control.shards:
        batch: list[str] = []
        async for operation in _matching(context, shard, behind):
            behind = control.position(operation)
            if operation.asyncoperationid != context.operation.asyncoperationid:
                batch.append(str(operation.asyncoperationid))
            if len(batch) == _A_BATCH:
                yield batch, shard, behind
                batch = []
        shard, behind = shard + 1, None
        if batch:
            yield batch, shard, behind


def _action(control: OperationControl, data: Mapping[str, Any], reason: str) -> _Act:
    actions: dict[str, _Act] = {
        "cancel": partial(control.cancel, reason=reason),
        "pause": partial(control.pause, reason=reason),
        "resume": partial(control.resume, reason=reason),
        "retry": partial(control.retry, reason=reason),
        "delete": control.delete,
    }
    name = str(data.get("Action"))
    if name == "postpone":
        return partial(control.postpone, until=_moment(data.get("PostponeUntil")), reason=reason)
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


def _matching(context: OperationContext, shard: int, behind: str | None) -> AsyncIterator[AsyncOperation]:
    """Yield the operations of a shard that are meant; children of a parent all stand in one."""
    if (parent := context.data.get("Parent")) is None:
        return context.control.matching(_filter(context.data.get("Filter")), shard=shard, behind=behind)
    place = Place(*parent)
    if int(place.partition, 16) != shard:
        return _none()
    return context.control.unfinished_children(place, behind=behind)


async def _none() -> AsyncIterator[AsyncOperation]:
    for operation in list[AsyncOperation]():
        yield operation


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
