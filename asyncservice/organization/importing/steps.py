"""The three steps of an import: which may begin when, and what the import and its files say meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import OrganizationError, RecordChanged
from asyncservice.organization.importing.chunks import Stage
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Condition, Record
from asyncservice.organization.values import Reference


class ImportStatus(IntEnum):
    """How far an import is (import.statuscode, importfile.statuscode)."""

    SUBMITTED = 0
    PARSING = 1
    TRANSFORMING = 2
    IMPORTING = 3
    COMPLETED = 4
    FAILED = 5


class ProcessingStatus(IntEnum):
    """How far a file is (importfile.processingstatus), as far as these steps tell."""

    NOT_STARTED = 1
    PARSING = 2
    PARSING_COMPLETE = 3
    LOOKUP_TRANSFORMATION = 5
    TRANSFORMATION_COMPLETE = 8
    IMPORT_PASS_1 = 9
    IMPORT_COMPLETE = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One of the three."""

    name: str
    stage: Stage
    #: What the import says before, during and after.
    follows: ImportStatus
    status: ImportStatus
    ends: ImportStatus
    #: What a file says before, during and after.
    needs: ProcessingStatus
    working: ProcessingStatus
    done: ProcessingStatus
    #: The stages before this one, in order.
    earlier: tuple[Stage, ...] = ()

    @property
    def is_last(self) -> bool:
        """Whether the import is complete after it."""
        return self.ends is ImportStatus.COMPLETED

    @property
    def takes_from(self) -> Stage | None:
        """The stage whose rows this step works on; None for the first."""
        return self.earlier[-1] if self.earlier else None


PARSE: Final = Step(
    name="Parse",
    stage=Stage.PARSED,
    follows=ImportStatus.SUBMITTED,
    status=ImportStatus.PARSING,
    ends=ImportStatus.PARSING,
    needs=ProcessingStatus.NOT_STARTED,
    working=ProcessingStatus.PARSING,
    done=ProcessingStatus.PARSING_COMPLETE,
)
TRANSFORM: Final = Step(
    name="Transform",
    stage=Stage.TRANSFORMED,
    follows=ImportStatus.PARSING,
    status=ImportStatus.TRANSFORMING,
    ends=ImportStatus.TRANSFORMING,
    needs=ProcessingStatus.PARSING_COMPLETE,
    working=ProcessingStatus.LOOKUP_TRANSFORMATION,
    done=ProcessingStatus.TRANSFORMATION_COMPLETE,
    earlier=(Stage.PARSED,),
)
IMPORT: Final = Step(
    name="Import",
    stage=Stage.IMPORTED,
    follows=ImportStatus.TRANSFORMING,
    status=ImportStatus.IMPORTING,
    ends=ImportStatus.COMPLETED,
    needs=ProcessingStatus.TRANSFORMATION_COMPLETE,
    working=ProcessingStatus.IMPORT_PASS_1,
    done=ProcessingStatus.IMPORT_COMPLETE,
    earlier=(Stage.PARSED, Stage.TRANSFORMED),
)

#: What the step says when the one before it has not even begun.
_TOO_EARLY: Final[Mapping[Stage, tuple[OrganizationErrorCode, str]]] = {
    Stage.TRANSFORMED: (OrganizationErrorCode.PARSE_BEFORE_TRANSFORM, "Parse the import before it is transformed."),
    Stage.IMPORTED: (
        OrganizationErrorCode.TRANSFORM_BEFORE_IMPORT,
        "Transform the import before its records are imported.",
    ),
}
#: importfile.processcode: a file that takes part.
_PROCESS: Final = 1


class OutOfOrder(OrganizationError):  # noqa: N818 - reads as the fact it states
    """The step cannot be done now. The import stays as it is."""

    def __init__(self, message: str, code: OrganizationErrorCode) -> None:
        super().__init__(message)
        self.code = code


async def begin(
    organization: Organization, import_id: UUID, step: Step, operation_id: UUID, *, now: datetime
) -> Record:
    """Give the step to this operation and return the import; the second call of the same operation changes nothing.

    Raises OutOfOrder, or RecordNotFound.
    """
    imports = organization.records("import")
    while True:
        record = await imports.retrieve(import_id)
        if record.get("stepoperationid") == operation_id:
            # A step of ours that failed and was tried again is under way again.
            if record.get("statuscode") != ImportStatus.FAILED:
                return record
        else:
            await _refuse_out_of_order(organization, record, step)
        begun = {"statuscode": step.status, "stepoperationid": operation_id}
        try:
            return await imports.update(import_id, begun, now=now, version=record.version)
        except RecordChanged:
            continue


async def files_of(organization: Organization, import_id: UUID) -> list[Record]:
    """Return the import's files that are to be processed, in the order of their ids."""
    files = await organization.records("importfile").few(Condition("importid", "eq", Reference("import", import_id)))
    return [file for file in files if file.get("processcode") == _PROCESS]


async def _refuse_out_of_order(organization: Organization, record: Record, step: Step) -> None:
    status = record.get("statuscode")
    if status == ImportStatus.FAILED:
        raise OutOfOrder(
            f"{step.name} cannot begin: an earlier step of the import has failed. Correct the cause and import anew.",
            OrganizationErrorCode.PREVIOUS_OPERATION_NOT_COMPLETE,
        )
    if isinstance(status, int) and status > step.follows:
        raise OutOfOrder(
            f"{step.name} has been called for this import already; each step is done once.",
            OrganizationErrorCode.CALLED_ONLY_ONCE,
        )
    if status != step.follows:
        code, message = _TOO_EARLY[step.stage]
        raise OutOfOrder(message, code)
    for file in await files_of(organization, record.id):
        if file.get("processingstatus") != step.needs:
            raise OutOfOrder(
                f"{step.name} cannot begin: the step before has not finished. Wait until its system job has succeeded.",
                OrganizationErrorCode.PREVIOUS_OPERATION_NOT_COMPLETE,
            )
