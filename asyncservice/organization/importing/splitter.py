"""Splits text into rows, window by window, and knows at which byte each row ends.

No I/O: text is fed in, rows come out. A row that cannot be read is reported and reading goes on at the next line, so
one stray quote costs one row and not the rest of the file.
"""

import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.importing.dialects import Dialect
from asyncservice.organization.importing.textcodecs import TextCodec

#: A line longer than this many characters is passed over, however long it is.
MAX_LINE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A row as it stands in the file."""

    #: The line it begins in; the first line of the file is 1.
    line: int
    fields: list[str]
    #: Why it could not be read; then there are no fields.
    problem: OrganizationErrorCode | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    #: Bytes of the file.
    length: int
    is_too_long: bool = False


class Splitter:
    """Takes text with `feed`, ends with `finish`, gives complete rows with `rows`."""

    def __init__(self, dialect: Dialect, codec: TextCodec, *, offset: int, line: int = 1) -> None:
        #: The byte behind the last row that was given, and the line that begins there.
        self.offset, self.line = offset, line
        self._codec = codec
        self._tail = ""
        self._dropped = 0
        self._is_finished = False
        self._lines: deque[_Line] = deque()
        self._taken: list[_Line] = []
        #: Blank lines that are an error only when something follows them.
        self._blanks: list[_Line] = []
        self._reader = dialect.reader(_Source(self))

    def feed(self, text: str) -> None:
        """Take the next piece of the file's text."""
        pieces = io.StringIO(self._tail + text, newline="").readlines()
        self._tail = ""
        # What ends in a carriage return may go on with a line feed.
        if pieces and not pieces[-1].endswith("\n"):
            self._tail = pieces.pop()
        self._append(pieces)
        if len(self._tail) > MAX_LINE:
            kept = "\r" if self._tail.endswith("\r") else ""
            self._dropped += self._codec.byte_length(self._tail) - self._codec.byte_length(kept)
            self._tail = kept

    def finish(self) -> None:
        """Say that the file is over."""
        tail, self._tail = self._tail, ""
        if tail or self._dropped:
            self._append([tail])
        self._is_finished = True

    def rows(self) -> Iterator[SplitRow]:
        """Yield the rows that are complete by now."""
        while True:
            try:
                fields = next(self._reader)
            except StopIteration:
                return
            except _NeedsMore:
                self._give_back(self._taken)
                return
            except _LineTooLong:
                row = self._unreadable(OrganizationErrorCode.ROW_TOO_LONG)
            except csv.Error as error:
                row = self._unreadable(_code_of(error))
            else:
                if not fields:
                    self._blanks += self._taken
                    self._taken = []
                    continue
                row = SplitRow(0, fields, text="".join(line.text for line in self._taken))
            yield from self._blank_rows()
            yield self._passed(row)

    def _append(self, pieces: list[str]) -> None:
        for piece in pieces:
            length = self._codec.byte_length(piece) + self._dropped
            too_long = self._dropped > 0 or len(piece) > MAX_LINE
            self._lines.append(_Line("" if too_long else piece, length, is_too_long=too_long))
            self._dropped = 0

    def _unreadable(self, code: OrganizationErrorCode) -> SplitRow:
        """Blame the first line of what was taken, and read the others again."""
        first, *others = self._taken
        self._taken = [first]
        self._lines.extendleft(reversed(others))
        return SplitRow(0, [], code, first.text)

    def _give_back(self, lines: list[_Line]) -> None:
        self._lines.extendleft(reversed(lines))
        self._taken = []

    def _blank_rows(self) -> Iterator[SplitRow]:
        taken = self._taken
        for blank in self._blanks:
            self._taken = [blank]
            yield self._passed(SplitRow(0, [], OrganizationErrorCode.EMPTY_ROW, blank.text))
        self._blanks, self._taken = [], taken

    def _passed(self, row: SplitRow) -> SplitRow:
        """Move the position behind the lines that were taken, and say in which line the row began."""
        began = self.line
        self.offset += sum(line.length for line in self._taken)
        self.line += len(self._taken)
        self._taken = []
        return SplitRow(began, row.fields, row.problem, row.text)

    def take_line(self) -> str:
        """Hand the reader its next line."""
        if not self._lines:
            if self._is_finished:
                raise StopIteration
            raise _NeedsMore
        line = self._lines.popleft()
        self._taken.append(line)
        if line.is_too_long:
            raise _LineTooLong
        return line.text


class _Source:
    """The iterator that the csv reader pulls lines from."""

    def __init__(self, splitter: Splitter) -> None:
        self._splitter = splitter

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        return self._splitter.take_line()


class _NeedsMore(Exception):  # noqa: N818 - a signal, not a fault
    """The row goes on in text that has not been fed yet."""


class _LineTooLong(Exception):  # noqa: N818 - a signal, not a fault
    """The line was passed over."""


def _code_of(error: csv.Error) -> OrganizationErrorCode:
    """Return the number of what the csv reader complains about; it has one exception for everything."""
    text = str(error)
    if "limit" in text:
        return OrganizationErrorCode.ROW_TOO_LONG
    if "expected after" in text or "end of data" in text:
        return OrganizationErrorCode.UNBALANCED_DELIMITER
    return OrganizationErrorCode.ERROR_IN_PARSE_ROW
