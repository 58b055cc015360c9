"""Import File Parse (3): splits the files of an import into rows and keeps them as chunks."""

from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from asyncservice.operations.handling import OperationContext, OperationFailed, Outcome, registry
from asyncservice.operations.operationtypes import OperationType
from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.importing.chunks import IMPORT_FILES, Manifest, ParsedRow, Stage
from asyncservice.organization.importing.dialects import Dialect
from asyncservice.organization.importing.problems import Phase, Problem, rows_with
from asyncservice.organization.importing.running import StepRun, run_step
from asyncservice.organization.importing.sources import (
    FileRefused,
    Position,
    SourceFile,
    headings_of,
    numbered_headings,
)
from asyncservice.organization.importing.splitter import SplitRow
from asyncservice.organization.importing.steps import PARSE
from asyncservice.organization.importing.textcodecs import TextCodec, detect
from asyncservice.organization.records import Record
from asyncservice.organizations import organization_in

#: importfile.filetypecode and import.modecode that can be worked with.
_CSV: Final = 0
_CREATE: Final = 0

_REASONS: Final = {
    OrganizationErrorCode.EMPTY_ROW: "The row is empty.",
    OrganizationErrorCode.EMPTY_RECORD: "Every column of the row is empty.",
    OrganizationErrorCode.UNBALANCED_DELIMITER: "A data delimiter (quote) is not closed, or text follows it: double "
    "the quotes that belong to the text.",
    OrganizationErrorCode.ROW_TOO_LONG: "The row, or one field of it, is too long.",
    OrganizationErrorCode.ERROR_IN_PARSE_ROW: "The row cannot be read.",
}


@registry.handles(OperationType.IMPORT_FILE_PARSE)
async def parse_import(context: OperationContext) -> Outcome:
    """Parse every file of the import."""
    organization = await organization_in(context.storage, now=context.now())
    return await run_step(context, organization, PARSE, parse_file)


@dataclass(slots=True, kw_only=True)
class _Progress:
    """How far a file is parsed: always between two chunks."""

    codec: str
    offset: int
    line: int = 1
    rows: int = 0
    failed: int = 0
    chunks: int = 0
    #: None before the first row has been seen.
    headings: list[str] | None = None


@dataclass(slots=True)
class _Chunk:
    """The rows since the last checkpoint."""

    rows: list[ParsedRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seen: int = 0
    text: int = 0


async def parse_file(run: StepRun, file: Record) -> Manifest | None:
    """Parse one file from its last checkpoint on."""
    _refuse_what_is_not_csv(run, file)
    dialect = Dialect.of(file.get("fielddelimitercode"), file.get("datadelimitercode"))
    source = SourceFile(run.context.storage.blobs(IMPORT_FILES), str(file.get("content")), run.sizes.window)
    progress = await _start(run, file, source)
    chunk = _Chunk()
    start = Position(progress.offset, progress.line)
    async with aclosing(source.rows(dialect, TextCodec(progress.codec), start)) as rows:
        async for row, behind in rows:
            if progress.headings is None:
                if file.get("isfirstrowheader") is True:
                    progress.headings = list(headings_of(row, dialect))
                    continue
                if row.problem is None:
                    progress.headings = list(numbered_headings(len(row.fields)))
            _take(chunk, row, number=progress.rows + chunk.seen, headings=progress.headings or [])
            if chunk.seen >= run.sizes.chunk_rows or chunk.text >= run.sizes.chunk_text:
                if await _close(run, file, progress, chunk, behind):
                    return None
                chunk = _Chunk()
    if chunk.seen:
        await _write(run, file, progress, chunk)
    return await _finish(run, file, progress)


async def _start(run: StepRun, file: Record, source: SourceFile) -> _Progress:
    saved: dict[str, Any] = dict(run.progress(file))
    if saved:
        del saved["file"]
        return _Progress(**saved)
    await source.size()
    codec = await detect(source.windows())
    return _Progress(codec=codec.name, offset=codec.starts_at)


def _take(chunk: _Chunk, row: SplitRow, *, number: int, headings: list[str]) -> None:
    """Add a row to the chunk, or what is wrong with it."""
    chunk.seen += 1
    chunk.text += len(row.text)
    problem = row.problem
    if problem is None and not any(text.strip() for text in row.fields):
        problem = OrganizationErrorCode.EMPTY_RECORD
    if problem is not None:
        message = _REASONS[problem]
    elif len(row.fields) != len(headings):
        problem = OrganizationErrorCode.COLUMN_COUNT_DIFFERS
        message = f"The row has {len(row.fields)} columns, the file has {len(headings)}: add or remove delimiters."
    else:
        chunk.rows.append(ParsedRow(number, row.line, row.fields))
        return
    text = row.text.rstrip("\r\n")
    chunk.problems.append(Problem(row=number, line=row.line, code=problem, message=message, text=text))


async def _close(run: StepRun, file: Record, progress: _Progress, chunk: _Chunk, behind: Position) -> bool:
    """Write a full chunk, move the checkpoint behind it, and say whether the slice is over."""
    await _write(run, file, progress, chunk)
    progress.offset, progress.line = behind.offset, behind.line
    succeeded = progress.rows - progress.failed
    return await run.save(file, asdict(progress), succeeded=succeeded, failed=progress.failed)


async def _write(run: StepRun, file: Record, progress: _Progress, chunk: _Chunk) -> None:
    await run.chunks(file).write(Stage.PARSED, progress.chunks, chunk.rows)
    await run.log(file, Phase.PARSE, chunk.problems)
    progress.rows += chunk.seen
    progress.failed += rows_with(chunk.problems)
    progress.chunks += 1


async def _finish(run: StepRun, file: Record, progress: _Progress) -> Manifest:
    if progress.headings is None:
        raise FileRefused(
            "The file has no row that can be read: upload one with a row of headings and at least one row of data.",
            OrganizationErrorCode.EMPTY_CONTENT,
        )
    manifest = Manifest(chunks=progress.chunks, rows=progress.rows, failed=progress.failed, headings=progress.headings)
    await run.say(
        file,
        {
            "headerrow": ",".join(progress.headings),
            "parsedtablecolumnsnumber": len(progress.headings),
            "parsedtablename": f"{IMPORT_FILES}/{file.id}/{Stage.PARSED}",
        },
    )
    await run.chunks(file).write_manifest(Stage.PARSED, manifest)
    return manifest


def _refuse_what_is_not_csv(run: StepRun, file: Record) -> None:
    if file.get("filetypecode") != _CSV:
        raise FileRefused(
            f"The file {file.get('name')!r} is of type {file.get('filetypecode')}; only delimited text "
            "(filetypecode 0) can be parsed: save it as CSV.",
            OrganizationErrorCode.INVALID_FILE_TYPE,
        )
    if run.record.get("modecode") != _CREATE:
        raise OperationFailed(
            "The import updates records (modecode 1), which is not supported: set modecode 0 to create records.",
            code=OrganizationErrorCode.INVALID_ARGUMENT,
        )
    target = file.get("targetentityname")
    if not isinstance(target, str) or target not in run.organization.catalog:
        raise FileRefused(
            f"The target entity {target!r} is not known: set targetentityname to the logical name of one, "
            "such as account.",
            OrganizationErrorCode.INVALID_TARGET_ENTITY,
        )
