"""How the fields of a file are told apart."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import OrganizationError


class FieldDelimiter(IntEnum):
    """What stands between two fields (importfile.fielddelimitercode)."""

    COLON = 1
    COMMA = 2
    TAB = 3
    SEMICOLON = 4


class DataDelimiter(IntEnum):
    """What stands around a field that contains a delimiter or a line's end (importfile.datadelimitercode)."""

    DOUBLE_QUOTE = 1
    NONE = 2
    SINGLE_QUOTE = 3


BETWEEN: Final[Mapping[FieldDelimiter, str]] = {
    FieldDelimiter.COLON: ":",
    FieldDelimiter.COMMA: ",",
    FieldDelimiter.TAB: "\t",
    FieldDelimiter.SEMICOLON: ";",
}
AROUND: Final[Mapping[DataDelimiter, str | None]] = {
    DataDelimiter.DOUBLE_QUOTE: '"',
    DataDelimiter.NONE: None,
    DataDelimiter.SINGLE_QUOTE: "'",
}


class InvalidDelimiter(OrganizationError):  # noqa: N818 - reads as the fact it states
    """The import file names a delimiter that there is not."""

    def __init__(self, column: str, value: object, code: OrganizationErrorCode) -> None:
        super().__init__(f"{value!r} is no value of {column}; see the options of that column.")
        self.code = code


@dataclass(frozen=True, slots=True)
class Dialect:
    """The two delimiters of a file."""

    field: FieldDelimiter = FieldDelimiter.COMMA
    data: DataDelimiter = DataDelimiter.DOUBLE_QUOTE

    @classmethod
    def of(cls, field: object, data: object) -> Self:
        """Make a dialect of the two codes. Raises InvalidDelimiter."""
        try:
            between = FieldDelimiter(int(str(field)))
        except ValueError as error:
            raise InvalidDelimiter(
                "fielddelimitercode", field, OrganizationErrorCode.INVALID_FIELD_DELIMITER
            ) from error
        try:
            around = DataDelimiter(int(str(data)))
        except ValueError as error:
            raise InvalidDelimiter("datadelimitercode", data, OrganizationErrorCode.INVALID_DATA_DELIMITER) from error
        return cls(between, around)

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Return a reader of lines that refuses what it cannot tell apart."""
        around = AROUND[self.data]
        if around is None:
            return csv.reader(lines, delimiter=BETWEEN[self.field], quoting=csv.QUOTE_NONE, strict=True)
        return csv.reader(lines, delimiter=BETWEEN[self.field], quotechar=around, strict=True)

    def other_delimiter_in(self, heading: str) -> FieldDelimiter | None:
        """Return the delimiter that a file of one column probably means; colons are common in headings."""
        for delimiter, character in BETWEEN.items():
            if delimiter not in {self.field, FieldDelimiter.COLON} and character in heading:
                return delimiter
        return None
