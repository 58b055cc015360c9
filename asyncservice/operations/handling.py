"""What a handler of an operation type is given, how it ends, and how it registers with the service.

A handler is an async function that takes an OperationContext and returns an Outcome, or raises one of the errors
below. It may be run again from its last checkpoint after a crash, so every effect up to that checkpoint must have
been made before `save`, and every effect after it must bear being made twice.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.ids import Place
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.retry import RetryPolicy
from asyncservice.operations.submission import Submission
from asyncservice.storage.account import Storage
from asyncservice.storage.tables import Comparison

type Json = Any
"""A value that `json` can write and read back unchanged."""


@dataclass(frozen=True, slots=True)
class Done:
    """The operation has succeeded."""

    #: For people; shown as friendlymessage.
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Yielded:
    """The slice is over, the work is not: run again at once, from *checkpoint*."""

    checkpoint: Json


@dataclass(frozen=True, slots=True)
class Postponed:
    """Run again at *until*, from *checkpoint*."""

    until: datetime
    checkpoint: Json = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class WaitingForChildren:
    """Run again, from *checkpoint*, when every operation started with `start_children` is completed."""

    checkpoint: Json = None


@dataclass(frozen=True, slots=True)
class WaitingForEvent:
    """Run again, from *checkpoint*, when the event of that name has arrived or *until* has passed.

    One that arrived before counts. An event of a name happens once to an operation; what comes again needs a name
    of its own.
    """

    name: str
    until: datetime | None = None
    checkpoint: Json = None


type Outcome = Done | Yielded | Postponed | WaitingForChildren | WaitingForEvent | None
"""How a handler ends when nothing went wrong; None is Done()."""


class OperationFailed(Exception):  # noqa: N818 - names the outcome it causes
    """The operation has failed for good: trying again would not help."""

    def __init__(self, message: str, *, code: int = ErrorCode.UNEXPECTED, friendly: str | None = None) -> None:
        super().__init__(message)
        self.code, self.friendly = code, friendly


class SuspendOperation(Exception):  # noqa: N818 - names the outcome it causes
    """Only a person can help: the operation waits, saying why, until somebody resumes it.

    Section 3.5 of the reference wants this of an answer that says Unauthorized (401).
    """

    def __init__(self, message: str, *, code: int = ErrorCode.UNEXPECTED) -> None:
        super().__init__(message)
        self.code = code


class RetryOperation(Exception):  # noqa: N818 - names the outcome it causes
    """This attempt has failed, a later one may succeed. The type's RetryPolicy decides whether and when."""

    def __init__(self, message: str, *, code: int = ErrorCode.UNEXPECTED, after: timedelta | None = None) -> None:
        super().__init__(message)
        #: At the earliest after this long (an answer's Retry-After); None leaves it to the policy.
        self.code, self.after = code, after


@dataclass(frozen=True, slots=True)
class Tally:
    """How the operations that one has started stand."""

    total: int
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def completed(self) -> int:
        """How many are completed."""
        return self.succeeded + self.failed + self.canceled

    @property
    def unfinished(self) -> int:
        """How many are not completed."""
        return self.total - self.completed


class OperationControl(Protocol):
    """What a handler may do to other operations; see `asyncservice.operations.control`.

    A *reason* stands in the operation's history.
    """

    async def cancel(self, operation_id: UUID, *, reason: str | None = None) -> AsyncOperation:
        """Cancel for good."""
        ...

    async def pause(self, operation_id: UUID, *, reason: str | None = None) -> AsyncOperation:
        """Stop a running operation at its next checkpoint."""
        ...

    async def resume(self, operation_id: UUID, *, reason: str | None = None) -> AsyncOperation:
        """Make a suspended operation Ready."""
        ...

    async def postpone(self, operation_id: UUID, until: datetime, *, reason: str | None = None) -> AsyncOperation:
        """Suspend until a moment."""
        ...

    async def retry(self, operation_id: UUID, *, reason: str | None = None) -> AsyncOperation:
        """Run a failed operation again."""
        ...

    async def delete(self, operation_id: UUID) -> None:
        """Remove a completed operation."""
        ...

    async def history(self, operation_id: UUID) -> tuple[HistoryEntry, ...]:
        """Return all that has happened to an operation, the oldest first. Raises OperationNotFound."""
        ...

    def position(self, operation: AsyncOperation) -> str:
        """Return where an operation stands among those of its shard or its parent, to go on behind it later."""
        ...

    def matching(
        self, where: Sequence[Comparison], *, shard: int, behind: str | None = None
    ) -> AsyncIterator[AsyncOperation]:
        """Yield the operations of a shard that match, the newest first; *behind* is the position to go on from."""
        ...

    @property
    def shards(self) -> int:
        """How many shards there are."""
        ...

    def unfinished_children(self, parent: Place, *, behind: str | None = None) -> AsyncIterator[AsyncOperation]:
        """Yield what the operation at *parent* has started and is not completed; *behind* as in `matching`."""
        ...


class OperationContext(Protocol):
    """One attempt at one operation, as its handler sees it."""

    @property
    def operation(self) -> AsyncOperation:
        """The record as it was claimed or last saved."""
        ...

    @property
    def data(self) -> Mapping[str, Json]:
        """The operation's input: its data column, read as JSON."""
        ...

    @property
    def checkpoint(self) -> Json:
        """What was last saved, by this slice or an earlier one; None before the first save."""
        ...

    @property
    def storage(self) -> Storage:
        """The account that keeps records, files and payloads."""
        ...

    def now(self) -> datetime:
        """Return the time, in UTC."""
        ...

    def should_yield(self) -> bool:
        """Say whether this slice has used up its time or the service was stopped: save, and return Yielded."""
        ...

    async def save(
        self,
        checkpoint: Json,
        *,
        succeeded: int | None = None,
        failed: int | None = None,
        total: int | None = None,
        message: str | None = None,
    ) -> None:
        """Write how far the work has come, durably, and renew the lease. One storage request.

        The counters are totals of the whole operation, not of this slice. Ends the handler when somebody cancelled
        or paused the operation, or when another host has taken it over; a handler lets those exceptions pass.
        """
        ...

    @property
    def control(self) -> OperationControl:
        """What may be done to other operations."""
        ...

    async def start_children(self, submissions: Sequence[Submission], *, key: str = "children") -> int:
        """Start operations that belong to this one; return how many it has started in all.

        Safe to repeat after a crash: the same *key* with the same submissions starts the same operations. Cancelling
        this operation cancels them. They cannot have a dependencytoken. Raises InvalidOperation.
        """
        ...

    async def children(self) -> Tally:
        """Return how the operations that this one has started stand. One request for every thousand."""
        ...

    async def event(self, name: str) -> Json:
        """Return the data of an event that has arrived, or None when it has not. One request at most."""
        ...


type Handler = Callable[[OperationContext], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A handler and the terms on which it runs."""

    type: OperationType
    handler: Handler
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    #: How long the claim holds without a heartbeat.
    lease: timedelta = timedelta(seconds=60)
    #: How long a slice may work before `should_yield` says so.
    slice: timedelta = timedelta(minutes=4)


class Registry:
    """The handlers of one application, by operation type."""

    def __init__(self) -> None:
        self._registrations: dict[int, Registration] = {}

    def add(self, registration: Registration) -> None:
        """Register a handler. Raises ValueError when its type has one already."""
        if registration.type in self._registrations:
            raise ValueError(f"Operation type {registration.type.label} already has a handler.")
        self._registrations[registration.type] = registration

    def get(self, operation_type: int) -> Registration | None:
        """Return the registration of a type, or None when nobody handles it."""
        return self._registrations.get(operation_type)

    def types(self) -> tuple[OperationType, ...]:
        """Return the handled types, by number."""
        return tuple(sorted(registration.type for registration in self._registrations.values()))

    def handles(
        self,
        operation_type: OperationType,
        *,
        retry: RetryPolicy | None = None,
        lease: timedelta = timedelta(seconds=60),
        slice_length: timedelta = timedelta(minutes=4),
    ) -> Callable[[Handler], Handler]:
        """Register the decorated function as the handler of *operation_type*."""

        def register(handler: Handler) -> Handler:
            self.add(
                Registration(
                    type=operation_type,
                    handler=handler,
                    retry=retry or RetryPolicy(),
                    lease=lease,
                    slice=slice_length,
                )
            )
            return handler

        return register


#: Where the modules of `handlers/` register.
registry = Registry()
