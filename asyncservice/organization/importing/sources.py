"""The file of an importfile record: its bytes by windows, its text by rows."""

import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import OrganizationError
from asyncservice.organization.importing.dialects import BETWEEN, Dialect
from asyncservice.organization.importing.splitter import SplitRow, Splitter
from asyncservice.organization.importing.textcodecs import TextCodec
from asyncservice.storage.blobs import Blobs

#: Most characters of a heading.
MAX_HEADING = 160


class FileRefused(OrganizationError):  # noqa: N818 - reads as the fact it states
    """The file as a whole cannot be imported; the message says what to change."""

    def __init__(self, message: str, code: OrganizationErrorCode) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Position:
    """Between two rows."""

    offset: int
    line: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A blob with delimited text."""

    blobs: Blobs
    name: str
    #: Bytes a request asks for.
    window: int

    async def size(self) -> int:
        """Return the length of the file. Raises FileRefused when it is missing or empty."""
        size = await self.blobs.size(self.name)
        if size is None:
            raise FileRefused(
                f"The file of the import is gone: there is no blob {self.name!r} in {self.blobs.name!r}. "
                "Write the importfile's content again.",
                OrganizationErrorCode.EMPTY_CONTENT,
            )
        if size == 0:
            raise FileRefused(
                "The file is empty: upload one with a row of headings and at least one row of data.",
                OrganizationErrorCode.EMPTY_CONTENT,
            )
        return size

    async def windows(self, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the file's bytes from *offset* on."""
        while True:
            window = await self.blobs.read(self.name, offset=offset, length=self.window)
            if not window:
                return
            yield window
            offset += len(window)
            if len(window) < self.window:
                return

    async def rows(
        self, dialect: Dialect, codec: TextCodec, start: Position
    ) -> AsyncGenerator[tuple[SplitRow, Position]]:
        """Yield the rows behind *start*, each with the position behind it."""
        splitter = Splitter(dialect, codec, offset=start.offset, line=start.line)
        decoder = codecs.getincrementaldecoder(codec.name)()
        try:
            async for window in self.windows(start.offset):
                splitter.feed(decoder.decode(window))
                for row in splitter.rows():
                    yield row, Position(splitter.offset, splitter.line)
            splitter.feed(decoder.decode(b"", final=True))
        except UnicodeDecodeError as error:
            raise FileRefused(
                f"The file is not {codec.name} throughout: save it as UTF-8 and upload it again.",
                OrganizationErrorCode.NOT_A_TEXT_FILE,
            ) from error
        splitter.finish()
        for row in splitter.rows():
            yield row, Position(splitter.offset, splitter.line)


def headings_of(row: SplitRow, dialect: Dialect) -> tuple[str, ...]:
    """Return the headings that a first row gives. Raises FileRefused when they cannot name columns."""
    if row.problem is OrganizationErrorCode.EMPTY_ROW:
        row = SplitRow(row.line, [""])
    if row.problem is not None:
        raise FileRefused(
            f"The row of headings cannot be read (line {row.line}): check its quotes, or set datadelimitercode.",
            row.problem,
        )
    headings = tuple(field.strip() for field in row.fields)
    if not any(headings):
        raise FileRefused(
            f"The row of headings (line {row.line}) is blank: write a heading for every column.",
            OrganizationErrorCode.EMPTY_HEADER_ROW,
        )
    if len(headings) == 1 and (other := dialect.other_delimiter_in(headings[0])) is not None:
        raise FileRefused(
            f"The row of headings has no {BETWEEN[dialect.field]!r} in it but {BETWEEN[other]!r}: "
            f"set fielddelimitercode to {other.value}.",
            OrganizationErrorCode.NO_DELIMITERS,
        )
    _refuse_bad_headings(headings)
    return headings


def numbered_headings(count: int) -> tuple[str, ...]:
    """Return the names of columns in a file without headings."""
    return tuple(f"Col{number}" for number in range(1, count + 1))


def _refuse_bad_headings(headings: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for number, heading in enumerate(headings, start=1):
        if not heading:
            raise FileRefused(
                f"Column {number} has no heading: write one, or remove the column.",
                OrganizationErrorCode.EMPTY_HEADER_COLUMN,
            )
        if len(heading) > MAX_HEADING:
            raise FileRefused(
                f"The heading of column {number} has {len(heading)} characters; {MAX_HEADING} is the limit.",
                OrganizationErrorCode.HEADING_TOO_LONG,
            )
        other = seen.setdefault(heading.casefold(), number)
        if other != number:
            raise FileRefused(
                f"Columns {other} and {number} are both called {heading!r}: rename one.",
                OrganizationErrorCode.DUPLICATE_HEADER_COLUMN,
            )
