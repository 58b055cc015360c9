"""Transform Parse Data (4): turns the texts of parsed rows into values of the target's columns."""

from asyncservice.operations.handling import OperationContext, Outcome, registry
from asyncservice.operations.operationtypes import OperationType
from asyncservice.organization.importing.chunks import ChunkMissing, Manifest, Stage
from asyncservice.organization.importing.lookups import Lookups
from asyncservice.organization.importing.maps import read_map
from asyncservice.organization.importing.plans import Plan, plan
from asyncservice.organization.importing.problems import Phase, rows_with
from asyncservice.organization.importing.running import StepRun, run_step
from asyncservice.organization.importing.steps import TRANSFORM
from asyncservice.organization.importing.transformation import Transformed, texts_to_look_up, transform
from asyncservice.organization.records import Record
from asyncservice.organizations import organization_in


@registry.handles(OperationType.TRANSFORM_PARSE_DATA)
async def transform_import(context: OperationContext) -> Outcome:
    """Transform every file of the import."""
    organization = await organization_in(context.storage, now=context.now())
    return await run_step(context, organization, TRANSFORM, transform_file)


async def transform_file(run: StepRun, file: Record) -> Manifest | None:
    """Transform one file, chunk by chunk, from its last checkpoint on."""
    chunks = run.chunks(file)
    parsed = await chunks.manifest(Stage.PARSED)
    if parsed is None:
        raise ChunkMissing(f"{file.id}/{Stage.PARSED}/manifest.json")
    planned = await _plan(run, file, parsed)
    lookups = Lookups(run.organization)
    saved = run.progress(file)
    failed: int = saved.get("failed", 0)
    rows: int = saved.get("rows", 0)
    for number in range(saved.get("chunks", 0), parsed.chunks):
        done = await _transform_chunk(run, file, planned, lookups, number)
        failed += rows_with(done.problems)
        rows += rows_with(done.problems) + len(done.rows)
        progress = {"chunks": number + 1, "rows": rows, "failed": failed}
        if await run.save(file, progress, succeeded=rows - failed, failed=failed):
            return None
    manifest = Manifest(
        chunks=parsed.chunks,
        rows=rows,
        failed=failed,
        sources={column.attribute.name: column.heading for column in planned.columns},
    )
    await chunks.write_manifest(Stage.TRANSFORMED, manifest)
    return manifest


async def _plan(run: StepRun, file: Record, parsed: Manifest) -> Plan:
    return plan(
        run.organization.catalog,
        run.organization.catalog.entity(str(file.get("targetentityname"))),
        parsed.headings,
        await read_map(run.organization, file),
        has_header=file.get("isfirstrowheader") is True,
        date_format=str(file.get("dateformatstring")),
    )


async def _transform_chunk(run: StepRun, file: Record, planned: Plan, lookups: Lookups, number: int) -> Transformed:
    chunks = run.chunks(file)
    rows = await chunks.parsed(number)
    answers = {keys: await lookups.find(keys, sorted(texts)) for keys, texts in texts_to_look_up(planned, rows).items()}
    done = transform(planned, rows, answers)
    await chunks.write(Stage.TRANSFORMED, number, done.rows)
    await run.log(file, Phase.TRANSFORM, list(done.problems))
    return done
