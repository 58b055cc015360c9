"""Import (5): makes records of the rows that were transformed."""

from collections.abc import Mapping, Sequence

from asyncservice.operations.handling import OperationContext, Outcome, registry
from asyncservice.operations.operationtypes import OperationType
from asyncservice.organization.bulk import Prepared
from asyncservice.organization.drafts import missing_for_people
from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import DuplicateKeys, ValueRefused
from asyncservice.organization.importing.chunks import ChunkMissing, Manifest, ParsedRow, Stage, TransformedRow
from asyncservice.organization.importing.problems import Phase, Problem, joined, row_id
from asyncservice.organization.importing.running import StepRun, run_step
from asyncservice.organization.importing.steps import IMPORT
from asyncservice.organization.records import Draft, Record, Records
from asyncservice.organization.values import Reference
from asyncservice.organizations import organization_in

type Refusals = Mapping[int, ValueRefused]
"""Why rows did not become records, by their number."""


@registry.handles(OperationType.IMPORT)
async def import_records(context: OperationContext) -> Outcome:
    """Import every file of the import."""
    organization = await organization_in(context.storage, now=context.now())
    return await run_step(context, organization, IMPORT, import_file)


async def import_file(run: StepRun, file: Record) -> Manifest | None:
    """Make the records of one file, chunk by chunk, from its last checkpoint on."""
    chunks = run.chunks(file)
    parsed, transformed = await chunks.manifest(Stage.PARSED), await chunks.manifest(Stage.TRANSFORMED)
    if parsed is None or transformed is None:
        raise ChunkMissing(f"{file.id}/{Stage.TRANSFORMED}/manifest.json")
    records = run.organization.records(str(file.get("targetentityname")))
    saved = run.progress(file)
    rows: int = saved.get("rows", 0)
    failed: int = saved.get("failed", 0)
    for number in range(saved.get("chunks", 0), transformed.chunks):
        chunk = await chunks.transformed(number)
        prepared, refused = _prepare(run, file, records, chunk)
        try:
            await records.create_prepared(prepared, now=run.context.now(), at_once=run.sizes.at_once)
        except DuplicateKeys as duplicates:
            refused = {**refused, **_clashes(file, chunk, duplicates)}
        if refused:
            texts = {row.row: row for row in await chunks.parsed(number)}
            problems = _problems(refused, texts, parsed.headings, transformed.sources)
            await run.log(file, Phase.IMPORT_CREATE, problems)
        rows += len(chunk)
        failed += len(refused)
        progress = {"chunks": number + 1, "rows": rows, "failed": failed}
        if await run.save(file, progress, succeeded=rows - failed, failed=failed):
            return None
    manifest = Manifest(chunks=transformed.chunks, rows=rows, failed=failed)
    await chunks.write_manifest(Stage.IMPORTED, manifest)
    return manifest


def _clashes(file: Record, rows: Sequence[TransformedRow], duplicates: DuplicateKeys) -> Refusals:
    """Return why rows made no record whose alternate key another record has."""
    clashes = {row.row: duplicates.refused.get(row_id(file.id, row.row)) for row in rows}
    return {
        row: ValueRefused(str(clash), column=clash.columns[0], code=clash.code)
        for row, clash in clashes.items()
        if clash is not None
    }


def _prepare(
    run: StepRun, file: Record, records: Records, rows: Sequence[TransformedRow]
) -> tuple[list[Prepared], Refusals]:
    """Return the records to make, and why the other rows make none."""
    now = run.context.now()
    common: dict[str, object] = {"importsequencenumber": run.record.get("sequence")}
    if "ownerid" in records.entity.attributes:
        common["ownerid"] = file.get("recordsownerid") or Reference("systemuser", run.by)
    prepared: list[Prepared] = []
    refused: dict[int, ValueRefused] = {}
    for row in rows:
        missing = missing_for_people(records.entity, row.values)
        if missing:
            refused[row.row] = ValueRefused(
                f"'{records.entity.name}' needs a value for '{missing[0].name}'.",
                column=missing[0].name,
                code=OrganizationErrorCode.INVALID_ARGUMENT,
            )
            continue
        try:
            draft = Draft(row_id(file.id, row.row), {**common, **row.values})
            prepared.append(records.prepared(draft, now=now, by=run.by))
        except ValueRefused as refusal:
            refused[row.row] = refusal
    return prepared, refused


def _problems(
    refused: Refusals, texts: Mapping[int, ParsedRow], headings: Sequence[str], sources: Mapping[str, str]
) -> list[Problem]:
    """Return what importlog tells: the refusals, with the heading and the text that stood in the file."""
    problems = []
    for number, refusal in refused.items():
        row = texts[number]
        heading = sources.get(refusal.column)
        problems.append(
            Problem(
                row=number,
                line=row.line,
                code=refusal.code,
                message=str(refusal),
                text=joined(row.fields),
                heading=heading,
                value=None if heading is None else row.fields[headings.index(heading)],
            )
        )
    return problems
