"""From how a handler ended to what becomes of its operation: decisions without effects."""

import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from asyncservice.operations import awaiting, lifecycle
from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.handling import (
    Done,
    OperationFailed,
    Postponed,
    RetryOperation,
    SuspendOperation,
    WaitingForChildren,
    WaitingForEvent,
    Yielded,
)
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.retry import RetryPolicy
from asyncservice.storage.errors import StorageUnavailable

type Change = Callable[[AsyncOperation], AsyncOperation]


def after_return(outcome: Any, *, now: datetime) -> Change:  # noqa: ANN401 - a handler may return anything
    """Return what an outcome does to the operation; a value that is no outcome fails it, naming the mistake."""
    match outcome:
        case None:
            return lambda operation: lifecycle.succeeded(operation, now=now)
        case Done(message):
            return lambda operation: lifecycle.succeeded(operation, now=now, message=message)
        case Yielded(checkpoint):
            return lambda operation: lifecycle.yielded(operation, now=now, checkpoint=checkpoint)
        case Postponed(until, checkpoint, message):
            return lambda operation: lifecycle.waiting(
                operation, now=now, until=until, checkpoint=checkpoint, message=message
            )
        case WaitingForChildren(checkpoint):
            return lambda operation: awaiting.waiting_for_children(operation, now=now, checkpoint=checkpoint)
        case WaitingForEvent(name, until, checkpoint):
            return lambda operation: awaiting.waiting_for_event(
                operation, now=now, name=name, until=until, checkpoint=checkpoint
            )
        case _:
            message = f"The handler returned {type(outcome).__name__}; it must return an Outcome or None."
            return lambda operation: lifecycle.failed(
                operation, now=now, code=ErrorCode.ISV_UNEXPECTED, message=message
            )


def after_error(error: BaseException, *, now: datetime, policy: RetryPolicy, random: Random) -> Change:
    """Return what an error does to the operation (reference, section 3.5): fail it, suspend it, or try again later.

    An ExceptionGroup counts as the first of its errors that says most: a decided failure, then a retry.
    """
    error = min(_leaves(error), key=_weight)
    match error:
        case OperationFailed():
            return lambda operation: lifecycle.failed(
                operation, now=now, code=error.code, message=str(error), friendly=error.friendly
            )
        case SuspendOperation():
            return lambda operation: lifecycle.suspended(operation, now=now, code=error.code, message=str(error))
        case RetryOperation():
            return _try_later(error.code, str(error), error.after, now=now, policy=policy, random=random)
        case StorageUnavailable():
            return _try_later(ErrorCode.UNEXPECTED, str(error), None, now=now, policy=policy, random=random)
        case OSError() | TimeoutError():
            message = f"{type(error).__name__}: {error}"
            return _try_later(ErrorCode.NETWORK, message, None, now=now, policy=policy, random=random)
        case _:
            text = "".join(traceback.format_exception(error))
            return lambda operation: lifecycle.failed(operation, now=now, code=ErrorCode.ISV_UNEXPECTED, message=text)


def contains(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether *error* is, or as a group holds, an error of *kind*."""
    return error is not None and any(isinstance(leaf, kind) for leaf in _leaves(error))


def _try_later(
    code: int, message: str, not_before: timedelta | None, *, now: datetime, policy: RetryPolicy, random: Random
) -> Change:
    def change(operation: AsyncOperation) -> AsyncOperation:
        due = policy.next_attempt(retries=operation.retrycount, now=now, random=random, not_before=not_before)
        if due is None and policy.suspends:
            return lifecycle.suspended(operation, now=now, code=code, message=message)
        if due is None:
            return lifecycle.failed(operation, now=now, code=code, message=message)
        return lifecycle.tried_later(operation, now=now, due=due, code=code, message=message)

    return change


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _weight(error: BaseException) -> int:
    if isinstance(error, OperationFailed | SuspendOperation):
        return 0
    retryable = isinstance(error, RetryOperation | StorageUnavailable | OSError)
    return 2 if retryable else 1
