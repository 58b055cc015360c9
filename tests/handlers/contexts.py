"""A stand-in for the engine: gives a handler its context, keeps its checkpoint, runs it again until it is done."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncservice.operations.handling import Done, OperationContext, OperationControl, Outcome, Tally, Yielded
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.submission import Submission
from asyncservice.storage.account import Storage
from tests.support import NOON, an_id, an_operation

type Handler = Callable[[OperationContext], Awaitable[Outcome]]


@dataclass
class Job:
    """An operation as it survives from attempt to attempt."""

    type: OperationType
    data: Mapping[str, Any]
    id: UUID = field(default_factory=an_id)
    checkpoint: Any = None
    succeeded: int | None = None
    failed: int | None = None
    total: int | None = None
    saves: int = 0


@dataclass
class FakeContext:
    """One attempt at a job. *before_save* and *after_save* let a test stop the process there."""

    job: Job
    storage: Storage
    yields_after_each_save: bool = False
    before_save: Callable[[], None] = lambda: None
    after_save: Callable[[], None] = lambda: None

    @property
    def operation(self) -> AsyncOperation:
        return an_operation(self.job.id, type=self.job.type)

    @property
    def data(self) -> Mapping[str, Any]:
        return self.job.data

    @property
    def checkpoint(self) -> Any:
        return self.job.checkpoint

    def now(self) -> datetime:
        return NOON

    def should_yield(self) -> bool:
        return self.yields_after_each_save

    async def save(
        self,
        checkpoint: Any,
        *,
        succeeded: int | None = None,
        failed: int | None = None,
        total: int | None = None,
        message: str | None = None,
    ) -> None:
        del message
        self.before_save()
        self.job.checkpoint = checkpoint
        self.job.succeeded, self.job.failed, self.job.total = succeeded, failed, total
        self.job.saves += 1
        self.after_save()

    @property
    def control(self) -> OperationControl:
        raise AssertionError("An import does nothing to other operations.")

    async def start_children(self, submissions: Sequence[Submission], *, key: str = "children") -> int:
        raise AssertionError(f"An import starts no operations: {submissions}, {key}.")

    async def children(self) -> Tally:
        return Tally(0)

    async def event(self, name: str) -> Any:
        raise AssertionError(f"An import waits for no event: {name}.")


async def run(handler: Handler, job: Job, storage: Storage, *, slices: bool = False) -> Done:
    """Run a job to its end, slice by slice."""
    for _ in range(10_000):
        outcome = await handler(FakeContext(job, storage, yields_after_each_save=slices))
        if isinstance(outcome, Yielded):
            job.checkpoint = outcome.checkpoint
            continue
        assert isinstance(outcome, Done)
        return outcome
    raise AssertionError("The job never ended.")
