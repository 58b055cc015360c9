"""What a handler of an operation type is given, how it ends, and how it registers with the service.

A handler is an async function that takes an OperationContext and returns an Outcome, or raises one of the errors
below. It may be run again from its last checkpoint after a crash, so every effect up to that checkpoint must have
been made before `save`, and every effect after it must bear being made twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.retry import RetryPolicy
from asyncservice.storage.account import Storage

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


type Outcome = Done | Yielded | Postponed | None
"""How a handler ends when nothing went wrong; None is Done()."""


class OperationFailed(Exception):  # noqa: N818 - names the outcome it causes
    """The operation has failed for good: trying again would not help."""

    def __init__(self, message: str, *, code: int = ErrorCode.UNEXPECTED, friendly: str | None = None) -> None:
        super().__init__(message)
        self.code, self.friendly = code, friendly


class RetryOperation(Exception):  # noqa: N818 - names the outcome it causes
    """This attempt has failed, a later one may succeed. The type's RetryPolicy decides whether and when."""

    def __init__(self, message: str, *, code: int = ErrorCode.UNEXPECTED, after: timedelta | None = None) -> None:
        super().__init__(message)
        #: At the earliest after this long (an answer's Retry-After); None leaves it to the policy.
        self.code, self.after = code, after


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
        """Say whether this slice has used up its time or the host is leaving: save, and return Yielded."""
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
