"""What can go wrong with operations, and Dataverse's numbers for it.

AsyncServiceError          carries the error code that a Web API answer shows
├── OperationNotFound      no such operation
├── MessageNotFound        no such poison message
├── InvalidOperation       the request to make one says something impossible
├── StateChangeRefused     the operation's state does not allow the action
├── ChangedMeanwhile       another process changed the operation first; read again, decide again
└── LeaseLost              this host no longer holds the operation; it stops working on it at once
"""

from enum import IntEnum
from uuid import UUID


class ErrorCode(IntEnum):
    """Signed 32-bit codes as clients of Dataverse know them (reference: error codes of the asynchronous service)."""

    INVALID_STATE_CHANGE = -2147204766
    STATE_CHANGED_MEANWHILE = -2147204765
    MISSING_ID = -2147204764
    INVALID_STATE_CHANGE_TO_COMPLETE = -2147204763
    INVALID_STATE_CHANGE_TO_READY = -2147204762
    INVALID_STATE_CHANGE_TO_SUSPENDED = -2147204761
    CANNOT_UPDATE_NONRECURRING = -2147204760
    CANNOT_UPDATE_RECURRING = -2147204759
    CANNOT_DELETE_UNLESS_COMPLETED = -2147204758
    CANNOT_CANCEL = -2147201280
    CANNOT_PAUSE = -2147201279
    TYPE_NOT_RECOGNIZED = -2147204349
    NETWORK = -2147204346
    COMMUNICATION = -2147204345
    POSTPONED = -2147220696
    TYPE_THROTTLED = -2147088106
    WORKER_NOT_AVAILABLE = -2147204723
    LOOP_DETECTED = -2147204734
    SERVER_BUSY = -2147180543
    UNEXPECTED = -2147220970
    ISV_ABORTED = -2147220891
    ISV_UNEXPECTED = -2147220956
    INVALID_ARGUMENT = -2147220989
    OBJECT_DOES_NOT_EXIST = -2147220969

    @property
    def hex(self) -> str:
        """The code as Web API answers write it."""
        return f"0x{self & 0xFFFFFFFF:08x}"


class AsyncServiceError(Exception):
    """Something a caller should know about, with the code a Dataverse client expects."""

    code: ErrorCode = ErrorCode.UNEXPECTED


class OperationNotFound(AsyncServiceError):  # noqa: N818 - reads as the fact it states
    """There is no operation of that id."""

    code = ErrorCode.OBJECT_DOES_NOT_EXIST

    def __init__(self, operation_id: UUID) -> None:
        super().__init__(f"asyncoperation With Id = {operation_id} Does Not Exist")
        self.operation_id = operation_id


class MessageNotFound(AsyncServiceError):  # noqa: N818 - reads as the fact it states
    """There is no such poison message, or it is not among those that can be seen."""

    code = ErrorCode.OBJECT_DOES_NOT_EXIST

    def __init__(self, queue: str, message_id: str, seen: int) -> None:
        super().__init__(f"Queue {queue} has no poison message {message_id} among its oldest {seen}.")
        self.queue, self.message_id = queue, message_id


class InvalidOperation(AsyncServiceError):  # noqa: N818 - reads as the fact it states
    """A request to make or change an operation that can never be carried out; the message says what to change."""

    def __init__(self, message: str, *, code: ErrorCode = ErrorCode.INVALID_ARGUMENT) -> None:
        super().__init__(message)
        self.code = code


class StateChangeRefused(AsyncServiceError):  # noqa: N818 - reads as the fact it states
    """The operation's state, or its type, does not allow the action."""

    def __init__(self, action: str, label: str, code: ErrorCode, operation_id: UUID | None = None) -> None:
        which = "" if operation_id is None else f" {operation_id}"
        super().__init__(f"Cannot {action} operation{which}: it is {label}.")
        self.action, self.label, self.code, self.operation_id = action, label, code, operation_id


class ChangedMeanwhile(AsyncServiceError):  # noqa: N818 - reads as the fact it states
    """Another process changed the operation between our read and our write."""

    code = ErrorCode.STATE_CHANGED_MEANWHILE

    def __init__(self, operation_id: UUID) -> None:
        super().__init__(f"Operation {operation_id} was changed by another process.")
        self.operation_id = operation_id


class LeaseLost(AsyncServiceError):  # noqa: N818 - reads as the fact it states
    """The operation is no longer ours: its lease ran out and somebody else acted."""

    def __init__(self, operation_id: UUID, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} of operation {operation_id} no longer holds its lease.")
        self.operation_id, self.attempt = operation_id, attempt
