"""Runs one step as one system job: file by file, from the last checkpoint, to the end or to the end of the slice."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from asyncservice.operations.handling import Done, OperationContext, OperationFailed, Outcome, Yielded
from asyncservice.operations.record import SYSTEM_USER
from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import OrganizationError
from asyncservice.organization.importing.chunks import Chunks, Manifest
from asyncservice.organization.importing.problems import Phase, Problem, log
from asyncservice.organization.importing.steps import ImportStatus, OutOfOrder, Step, begin, files_of
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Record
from asyncservice.organization.values import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is held in memory and done at once."""

    #: Bytes read from the file at a time.
    window: int = 1024 * 1024
    #: Rows a chunk, a multiple of the rows of a transaction.
    chunk_rows: int = 1000
    #: Characters after which a chunk is closed early.
    chunk_text: int = 4 * 1024 * 1024
    #: Transactions in flight.
    at_once: int = 8


SIZES: Final = Sizes()


@dataclass(slots=True, kw_only=True)
class StepRun:
    """One slice of one step of one import."""

    context: OperationContext
    organization: Organization
    step: Step
    record: Record
    sizes: Sizes
    #: Rows of files that are finished.
    succeeded: int = 0
    failed: int = 0
    #: Rows there are in all; None while nobody knows.
    total: int | None = None
    checkpoint: dict[str, Any] = field(default_factory=dict)

    @property
    def by(self) -> UUID:
        """The user in whose name the import runs."""
        owner = self.record.get("ownerid")
        return owner.id if isinstance(owner, Reference) else SYSTEM_USER

    def chunks(self, file: Record) -> Chunks:
        """Return the parse table of a file."""
        return Chunks(self.context.storage, file.id)

    def progress(self, file: Record) -> Mapping[str, Any]:
        """Return what was last saved about a file; empty when nothing was."""
        saved = self.context.checkpoint or {}
        return saved if saved.get("file") == str(file.id) else {}

    async def save(self, file: Record, progress: Mapping[str, Any], *, succeeded: int, failed: int) -> bool:
        """Write how far a file is, and say whether the slice is over. The counts are the file's own."""
        self.checkpoint = {"file": str(file.id), **progress}
        await self.context.save(
            self.checkpoint,
            succeeded=self.succeeded + succeeded,
            failed=self.failed + failed,
            total=self.total,
        )
        return self.context.should_yield()

    async def log(self, file: Record, phase: Phase, problems: list[Problem]) -> None:
        """Write what was wrong with rows of a file."""
        await log(self.organization, file.id, phase, problems, now=self.context.now(), by=self.by)

    async def say(self, file: Record, values: Mapping[str, object]) -> None:
        """Write columns of the import file."""
        await self.organization.records("importfile").update(file.id, values, now=self.context.now())


type Work = Callable[[StepRun, Record], Awaitable[Manifest | None]]
"""Does one file from its last checkpoint; None when the slice ended first."""


async def run_step(
    context: OperationContext, organization: Organization, step: Step, work: Work, sizes: Sizes = SIZES
) -> Outcome:
    """Do a step for every file of the import that the operation names, and return how the slice ended."""
    import_id = _import_id(context)
    try:
        record = await begin(organization, import_id, step, context.operation.asyncoperationid, now=context.now())
    except OutOfOrder as refused:
        raise OperationFailed(str(refused), code=refused.code) from refused
    except OrganizationError as error:
        raise OperationFailed(
            f"{error}. Name an import that exists as ImportId.", code=error.code, friendly="Import not found."
        ) from error
    run = StepRun(context=context, organization=organization, step=step, record=record, sizes=sizes)
    try:
        if not await _do_files(run, work):
            return Yielded(run.checkpoint)
    except OrganizationError as error:
        await _fail(run)
        raise OperationFailed(str(error), code=error.code) from error
    except OperationFailed:
        await _fail(run)
        raise
    await organization.records("import").update(import_id, {"statuscode": step.ends}, now=context.now())
    return Done(f"{step.name}: {run.succeeded + run.failed} rows read, {run.failed} failed.")


def _import_id(context: OperationContext) -> UUID:
    given = context.data.get("ImportId")
    try:
        return UUID(str(given))
    except ValueError:
        raise OperationFailed(
            f'ImportId is {given!r}; it must be the id of an import, as in {{"ImportId": "…"}}.',
            code=OrganizationErrorCode.INVALID_ARGUMENT,
        ) from None


async def _do_files(run: StepRun, work: Work) -> bool:
    """Do the files that are not done yet; False when the slice ended first."""
    files = await files_of(run.organization, run.record.id)
    if not files:
        raise OperationFailed(
            "The import has no files to process: create an importfile with importid set to it.",
            code=OrganizationErrorCode.INVALID_ARGUMENT,
        )
    run.total = await _rows_to_expect(run, files)
    for file in files:
        manifest = await run.chunks(file).manifest(run.step.stage)
        if manifest is None or file.get("processingstatus") != run.step.done:
            if file.get("processingstatus") != run.step.working:
                await run.say(file, {"statuscode": run.step.status, "processingstatus": run.step.working})
            manifest = manifest or await work(run, file)
            if manifest is None:
                return False
            await _settle(run, file, manifest)
        if run.step.is_last:
            # The parse table can be read until its rows are records, and no longer.
            await run.chunks(file).clear(manifest.chunks)
        run.succeeded += manifest.usable
        run.failed += manifest.failed
    await run.context.save(
        run.context.checkpoint, succeeded=run.succeeded, failed=run.failed, total=run.succeeded + run.failed
    )
    return True


async def _rows_to_expect(run: StepRun, files: list[Record]) -> int | None:
    """Return how many rows the step before has left, or None for the first step."""
    before = run.step.takes_from
    if before is None:
        return None
    manifests = [await run.chunks(file).manifest(before) for file in files]
    return sum(manifest.usable for manifest in manifests if manifest is not None)


async def _settle(run: StepRun, file: Record, manifest: Manifest) -> None:
    """Write the file's counters. They follow from the manifests alone, so writing them twice changes nothing."""
    earlier = [await run.chunks(file).manifest(stage) for stage in run.step.earlier]
    failed = manifest.failed + sum(one.failed for one in earlier if one is not None)
    first = next((one for one in earlier if one is not None), manifest)
    values: dict[str, object] = {
        "processingstatus": run.step.done,
        "statuscode": run.step.ends,
        "progresscounter": manifest.rows,
        "totalcount": first.rows,
        "failurecount": failed,
        "partialfailurecount": 0,
        "successcount": manifest.usable if run.step.is_last else 0,
    }
    if run.step.is_last:
        values["completedon"] = run.context.now()
    await run.say(file, values)


async def _fail(run: StepRun) -> None:
    """Mark the import and its unfinished files as failed."""
    now = run.context.now()
    for file in await files_of(run.organization, run.record.id):
        if file.get("processingstatus") != run.step.done:
            await run.organization.records("importfile").update(file.id, {"statuscode": ImportStatus.FAILED}, now=now)
    await run.organization.records("import").update(run.record.id, {"statuscode": ImportStatus.FAILED}, now=now)
