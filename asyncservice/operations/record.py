"""The AsyncOperation: one system job, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from asyncservice.operations.columns import COLUMNS, ColumnType
from asyncservice.operations.errors import ErrorCode, InvalidOperation
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.states import COMPLETED, LOCKED, StateCode, StatusCode
from asyncservice.storage.tables import Value

#: The user in whose name the service acts when nobody else is named.
SYSTEM_USER: Final = UUID("00000000-0000-0000-0000-000000000001")
ROOT_BUSINESS_UNIT: Final = UUID("00000000-0000-0000-0000-000000000002")


@dataclass(frozen=True, kw_only=True)
class AsyncOperation:
    """One system job: the columns of Dataverse's asyncoperation table, then what the service itself keeps with it.

    A value: every change makes a new one (`copy.replace`), and only `lifecycle`, `requests`, `awaiting` and
    `creation`, all beside this module, make changes. Virtual columns (names of the rows that lookups point at) are
    derived where they are shown.
    """

    asyncoperationid: UUID
    operationtype: int
    createdon: datetime
    modifiedon: datetime
    correlationid: UUID
    correlationupdatedtime: datetime

    statuscode: StatusCode = StatusCode.WAITING_FOR_RESOURCES
    name: str | None = None
    data: str | None = None
    datablobid: UUID | None = None
    dependencytoken: str | None = None
    depth: int = 1
    postponeuntil: datetime | None = None
    recurrencepattern: str | None = None
    recurrencestarttime: datetime | None = None
    sequence: int = 0

    startedon: datetime | None = None
    completedon: datetime | None = None
    #: Seconds of execution, two decimals, over all attempts.
    executiontimespan: float = 0.0
    #: Retries done so far.
    retrycount: int = 0
    errorcode: int | None = None
    message: str | None = None
    friendlymessage: str | None = None
    hostid: str | None = None
    iswaitingforevent: bool = False

    breadcrumbid: UUID | None = None
    callerorigin: str | None = None
    expanderstarttime: datetime | None = None
    messagename: str | None = None
    parentpluginexecutionid: UUID | None = None
    primaryentitytype: str | None = None
    regardingobjectid: UUID | None = None
    regardingobjecttypecode: str | None = None
    requestid: UUID | None = None
    retainjobhistory: bool = False
    rootexecutioncontext: str | None = None
    subtype: int | None = None
    timezoneruleversionnumber: int | None = None
    utcconversiontimezonecode: int | None = None
    workload: str | None = None
    workflowactivationid: UUID | None = None
    workflowisblocked: bool = False
    workflowstagename: str | None = None
    workflowstate: str | None = None
    owningextensionid: UUID | None = None
    owningextensiontypecode: str | None = None

    createdby: UUID = SYSTEM_USER
    createdonbehalfby: UUID | None = None
    modifiedby: UUID = SYSTEM_USER
    modifiedonbehalfby: UUID | None = None
    ownerid: UUID = SYSTEM_USER
    owneridtype: str = "systemuser"
    owningbusinessunit: UUID = ROOT_BUSINESS_UNIT
    owningteam: UUID | None = None
    owninguser: UUID | None = None

    # What follows is the service's own; Dataverse has no such columns.

    #: Counts writes of this record, from 1.
    version: int = 1
    #: Counts claims; with hostid it names the attempt that holds the lease, and fences off earlier ones.
    attempt: int = 0
    #: When the current attempt began; None unless Locked.
    claimedon: datetime | None = None
    #: Until when the attempt holds the record; None unless Locked.
    leaseuntil: datetime | None = None
    #: Process deaths since the last sign of progress.
    deaths: int = 0
    #: When it last became Ready.
    readyon: datetime | None = None
    #: Its place in the line of its dependency token; None when it has none or has left it.
    tokennumber: int | None = None
    #: The operation before it in that line; it may run when there is none.
    blockedby: UUID | None = None
    #: What it waits for while it is Suspended, beside a moment: "children" or "event:<name>".
    awaits: str | None = None
    #: Names of the events that have arrived for it, separated by commas.
    events: str | None = None
    #: The operation that started it, and the key of that one's record, which stands in the same partition.
    parentoperationid: UUID | None = None
    parentkey: str | None = None
    #: How many operations it has started.
    childcount: int = 0
    #: Where the next slice begins, as JSON.
    checkpoint: str | None = None
    successcount: int | None = None
    failurecount: int | None = None
    totalcount: int | None = None
    #: The moment of its agenda row; None when it has none.
    agendaon: datetime | None = None
    history: tuple[HistoryEntry, ...] = ()
    #: Whether a text of it ever outgrew its row, so that blobs may have to go with it.
    haspayloads: bool = False
    #: Whether it is to be removed soon after it has succeeded. In Dataverse, what caused the job says so.
    asyncautodelete: bool = False
    #: Whether its removal has begun: nothing may be done with it any more.
    removing: bool = False
    #: Rows of its history that stand apart, because the record was full.
    archivedhistory: int = 0

    def __replace__(self, /, **changes: Any) -> "AsyncOperation":  # noqa: ANN401 - any column's value
        """Return the operation with *changes*.

        Every move makes a few new values of eighty columns: the generated method, which sets each of them, took a
        seventh of a busy host's time.
        """
        if unknown := changes.keys() - self.__dict__.keys():
            raise TypeError(f"AsyncOperation has no {', '.join(sorted(unknown))}.")
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__, **changes)
        return new

    @property
    def statecode(self) -> StateCode:
        """The coarse state that the status belongs to."""
        return self.statuscode.state

    @property
    def is_completed(self) -> bool:
        """Whether nothing more will happen to it of itself."""
        return self.statuscode in COMPLETED

    @property
    def is_locked(self) -> bool:
        """Whether an attempt is under way, or was when its process died."""
        return self.statuscode in LOCKED

    @property
    def removes_itself(self) -> bool:
        """Whether it has succeeded and was to be removed then."""
        return self.asyncautodelete and self.statuscode is StatusCode.SUCCEEDED

    @property
    def has_belongings(self) -> bool:
        """Whether blobs or rows of its own (children, events, history) stand apart from its record."""
        return bool(self.haspayloads or self.childcount or self.events or self.archivedhistory)

    @property
    def type(self) -> OperationType | None:
        """The operation type, or None for a number that Dataverse does not publish."""
        return OperationType.parse(self.operationtype)

    @property
    def waitreason(self) -> str | None:
        """What an operation that is not running waits for, for machines to read; None when it waits for nothing.

        `resources`, `time`, `token` (blockedby names the operation), `children`, `event` or `person`.
        """
        if self.statecode is StateCode.READY:
            return "resources" if self.blockedby is None else "token"
        if self.statecode is not StateCode.SUSPENDED:
            return None
        if self.awaits is not None:
            return self.awaits.partition(":")[0]
        return "person" if self.postponeuntil is None else "time"

    @property
    def label(self) -> str:
        """A short name for logs and people."""
        return self.name or (self.type.label if self.type else f"operation type {self.operationtype}")


#: Fields that Dataverse knows, in the order of the record.
DATAVERSE_FIELDS: Final = tuple(each.name for each in fields(AsyncOperation) if each.name in COLUMNS)


def check(operation: AsyncOperation) -> AsyncOperation:
    """Return *operation* when every column holds what it may; raise InvalidOperation naming the first that does not."""
    for name in DATAVERSE_FIELDS:
        _check_column(name, getattr(operation, name))
    if operation.type is None:
        raise InvalidOperation(
            f"operationtype {operation.operationtype} is no operation type of Dataverse.",
            code=ErrorCode.TYPE_NOT_RECOGNIZED,
        )
    if operation.dependencytoken is not None and operation.recurrencepattern is not None:
        raise InvalidOperation(
            "A recurring operation cannot have a dependencytoken: it is never completed, so it would hold back the "
            "others for ever. Leave out dependencytoken or recurrencepattern."
        )
    return operation


def _check_column(name: str, value: Any) -> None:  # noqa: ANN401 - any column's value
    column = COLUMNS[name]
    if value is None:
        if column.system_required:
            raise InvalidOperation(f"{name} is required.")
        return
    if column.max_length is not None and len(value) > column.max_length:
        raise InvalidOperation(f"{name} has {len(value)} characters; {column.max_length} is the limit.")
    if column.minimum is not None and value < column.minimum:
        raise InvalidOperation(f"{name} is {value}; {column.minimum} is the least.")
    if column.maximum is not None and value > column.maximum:
        raise InvalidOperation(f"{name} is {value}; {column.maximum} is the most.")
    if column.type is ColumnType.DATETIME and value.tzinfo is None:
        raise InvalidOperation(f"{name} must carry a time zone, as in 2026-01-31T22:00:00Z.")


@dataclass(frozen=True, slots=True)
class Stored:
    """An operation as it was read or written, with what a conditional write needs."""

    operation: AsyncOperation
    etag: str = field(compare=False)
    #: Columns too long for a row, by the blob that holds each; they are None in the operation until loaded.
    spilled: Mapping[str, str] = field(default_factory=dict)
    #: Names the write that made this version, where it was read.
    write_id: str = field(default="", compare=False)
    #: The columns of its row, where they are at hand.
    values: "Mapping[str, Value] | None" = field(default=None, compare=False, repr=False)
    #: Operations that may run because of this write: the next of its token, the canceller of its children.
    released: "tuple[AsyncOperation, ...]" = field(default=(), compare=False)
