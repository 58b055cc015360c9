"""What a caller says to have an operation done: the one contract of the inbox, the client and the command line."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
)

from asyncservice.operations import recurrence
from asyncservice.operations.errors import ErrorCode, InvalidOperation
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.rules import Rule
from asyncservice.operations.states import StatusCode

#: operationtype of a record that stands for a message nobody could understand: Dataverse's "none".
NO_TYPE: Final = -1
#: Moments that Dataverse and the storage can both hold.
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9998, 12, 31, tzinfo=UTC)


def _no_number(value: object) -> object:
    """Refuse numbers: whether they count seconds or milliseconds would be a guess."""
    if isinstance(value, int | float) or (isinstance(value, str) and value.strip().lstrip("+-").isdecimal()):
        raise ValueError("write it as RFC 3339, as in 2026-01-31T22:00:00Z")
    return value


def _in_range(moment: datetime) -> datetime:
    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError("it must lie between the years 1900 and 9998")
    return moment.astimezone(UTC)


_Moment = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(_in_range)]


class Submission(BaseModel):
    """A request to run one operation."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="AsyncOperation message")

    operationtype: Annotated[
        StrictInt | str,
        Field(
            description="What to do: a number of Dataverse's asyncoperation_operationtype, or its label.",
            examples=[13, "BulkDelete"],
        ),
    ]
    name: Annotated[
        str | None, Field(max_length=256, description="A name for people; the type's label without it.")
    ] = None
    data: Annotated[
        dict[str, Any] | None, Field(description="The input; each operation type documents what it takes.")
    ] = None
    asyncoperationid: Annotated[
        UUID | None, Field(description="The operation's id. The same id sent twice is one operation.")
    ] = None
    postponeuntil: Annotated[_Moment | None, Field(description="Not before this moment (RFC 3339, with a zone).")] = (
        None
    )
    dependencytoken: Annotated[
        str | None, Field(max_length=256, description="Operations that share a token run one at a time, in order.")
    ] = None
    recurrencepattern: Annotated[
        str | None,
        Field(
            max_length=recurrence.MAX_PATTERN,
            description="Repeat by this rule of RFC 5545; with a DTSTART before it, in a time zone.",
            examples=["FREQ=DAILY;INTERVAL=2", "DTSTART;TZID=Europe/Berlin:20300131T090000 RRULE:FREQ=DAILY"],
        ),
    ] = None
    recurrencestarttime: Annotated[
        _Moment | None, Field(description="When the recurrence begins; now without it, or when the pattern says.")
    ] = None
    asyncautodelete: Annotated[
        StrictBool | None,
        Field(description="Remove it an hour after it has succeeded; one that Failed or was Canceled stays."),
    ] = None
    correlationid: Annotated[UUID | None, Field(description="Ties together what one action caused.")] = None
    primaryentitytype: Annotated[str | None, Field(max_length=128, description="The table it is mainly about.")] = None
    regardingobjectid: Annotated[UUID | None, Field(description="The record it is about.")] = None

    @classmethod
    def read(cls, text: str) -> "Submission":
        """Return what a JSON text asks for. Raises InvalidOperation with a sentence for every mistake in it."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InvalidOperation(_sentences(error)) from error

    @classmethod
    def of(cls, **members: Any) -> "Submission":  # noqa: ANN401 - the members of the model
        """Return the request with these members. Raises InvalidOperation with a sentence for every mistake."""
        try:
            return cls.model_validate(members)
        except ValidationError as error:
            raise InvalidOperation(_sentences(error)) from error

    def operation(self, *, now: datetime, new_id: UUID) -> AsyncOperation:
        """Return the record that this request makes; *new_id* is its id unless the request names one.

        Raises InvalidOperation when the type or the recurrence says something impossible.
        """
        kind = OperationType.parse(self.operationtype)
        if kind is None:
            raise InvalidOperation(
                f"operationtype {self.operationtype!r} is no operation type of Dataverse; "
                "use a number such as 13 or a label such as BulkDelete.",
                code=ErrorCode.TYPE_NOT_RECOGNIZED,
            )
        rule = self._rule(now)
        until = self._first_run(rule, now)
        operation_id = self.asyncoperationid or new_id
        return AsyncOperation(
            asyncoperationid=operation_id,
            operationtype=int(kind),
            name=self.name or kind.label,
            createdon=now,
            modifiedon=now,
            correlationid=self.correlationid or operation_id,
            correlationupdatedtime=now,
            sequence=sequence(now),
            data=None if self.data is None else _json(self.data),
            statuscode=StatusCode.WAITING_FOR_RESOURCES if until is None else StatusCode.WAITING,
            postponeuntil=until,
            dependencytoken=self.dependencytoken,
            recurrencepattern=self.recurrencepattern or None,
            asyncautodelete=self.asyncautodelete is True,
            recurrencestarttime=rule.start if rule and rule.names_start else self._recurs_from(now),
            primaryentitytype=self.primaryentitytype,
            regardingobjectid=self.regardingobjectid,
            regardingobjecttypecode=self.primaryentitytype if self.regardingobjectid else None,
        )

    def _rule(self, now: datetime) -> Rule | None:
        """Return the rule by which the operation recurs, or None when it does not."""
        if not self.recurrencepattern:
            return None
        rule = recurrence.parse(self.recurrencepattern, self.recurrencestarttime or now)
        if rule.names_start and self.recurrencestarttime not in {None, rule.start}:
            raise InvalidOperation(
                f"The DTSTART of recurrencepattern is {rule.start.isoformat()} and recurrencestarttime another moment; "
                "leave out recurrencestarttime."
            )
        return rule

    def _recurs_from(self, now: datetime) -> datetime | None:
        return self.recurrencestarttime or (now if self.recurrencepattern else None)

    def _first_run(self, rule: Rule | None, now: datetime) -> datetime | None:
        """Return when the operation may first run, or None for at once.

        A pattern that names its start means times on the wall, so the first run is its first slot from now on. One
        that does not begins, as in Dataverse, at recurrencestarttime, and at once when that has passed.
        """
        moments = [self.postponeuntil]
        if rule is not None and rule.names_start:
            first = rule.after(now - timedelta(microseconds=1))
            if first is None:
                raise InvalidOperation(f"recurrencepattern {self.recurrencepattern!r} has no slot from now on.")
            moments.append(first)
        elif rule is not None:
            moments.append(self.recurrencestarttime)
        ahead = [moment.astimezone(UTC) for moment in moments if moment is not None and moment > now]
        return max(ahead, default=None)


def _json(data: dict[str, Any]) -> str:
    try:
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidOperation(f"data cannot be written as JSON: {error}.") from error


def refused(text: str, reason: str, *, now: datetime, operation_id: UUID) -> AsyncOperation:
    """Return the Failed record that stands for a message nobody could understand: its payload, and why."""
    return AsyncOperation(
        asyncoperationid=operation_id,
        operationtype=NO_TYPE,
        name="Message that could not be understood",
        createdon=now,
        modifiedon=now,
        completedon=now,
        correlationid=operation_id,
        correlationupdatedtime=now,
        sequence=sequence(now),
        data=text,
        statuscode=StatusCode.FAILED,
        errorcode=ErrorCode.INVALID_ARGUMENT,
        message=reason,
        friendlymessage="A message on the inbox queue was not understood and nothing was done.",
    )


def sequence(now: datetime) -> int:
    """Return the submission order of an operation made at *now*: microseconds of the epoch, which grow."""
    return round(now.timestamp() * 1_000_000)


def _sentences(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False)
    # A member that may be one of two things is told once, not once for each thing that it is not.
    return " ".join(dict.fromkeys(_sentence(detail) for detail in details))


def _sentence(detail: Any) -> str:  # noqa: ANN401 - pydantic's own dictionary
    where = ".".join(str(part) for part in detail["loc"] if part not in {"int", "str"})
    match detail["type"]:
        case "json_invalid":
            return f"The message is no JSON object: {detail['msg']}."
        case "model_type" | "dict_type" if not where:
            return "The message must be a JSON object."
        case "missing":
            return f"{where} is missing."
        case _ if where == "operationtype":
            return "operationtype must be a number such as 13 or a label such as BulkDelete."
        case "value_error":
            return f"{where}: {detail['msg'].removeprefix('Value error, ')}."
        case "extra_forbidden":
            known = ", ".join(Submission.model_fields)
            return f"{where} is no member of the message; it may have {known}."
        case _:
            return f"{where}: {detail['msg']}."
