"""Does several things at once, and fails as plainly as doing them one by one would."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def together[T](jobs: Iterable[Coroutine[Any, Any, T]], *, at_once: int = 16) -> list[T]:
    """Return the results of *jobs* in their order, at most *at_once* of them running.

    When one fails the others are cancelled, and its own error is raised rather than a group: callers catch
    StorageUnavailable wherever it comes from.
    """
    gate = asyncio.Semaphore(at_once)

    async def gated(job: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await job

    pending = list(jobs)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(gated(job)) for job in pending]
    except BaseExceptionGroup as errors:
        raise _first(errors) from errors
    finally:
        # A job that never got through the gate was never started.
        for job in pending:
            job.close()
    return [task.result() for task in tasks]


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
