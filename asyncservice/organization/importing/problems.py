"""What was wrong with a row, and the importlog and importdata records that tell it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from itertools import groupby
from typing import Final
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.ids import SHARDS, derived_id
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Draft
from asyncservice.organization.values import Reference

#: Rows that share a partition: a full entity group transaction.
ROWS_TOGETHER: Final = 100
#: Most characters of a bad row or value that are kept; the row of a table is small.
_KEPT: Final = 20_000


class Phase(IntEnum):
    """The step that found the problem (importlog.logphasecode)."""

    PARSE = 0
    TRANSFORM = 1
    IMPORT_CREATE = 2
    IMPORT_UPDATE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that was wrong with one row."""

    row: int
    line: int
    code: OrganizationErrorCode
    message: str
    #: The row as it stands in the file.
    text: str
    #: The column's heading and the text that stood there, where one column is to blame.
    heading: str | None = None
    value: str | None = None


def row_id(importfile_id: UUID, row: int, *, what: str | int = "record") -> UUID:
    """Return the id of what a row becomes: always the same, and a hundred rows in one partition."""
    return derived_id(importfile_id, what, row, shard=row // ROWS_TOGETHER % len(SHARDS))


def joined(fields: Sequence[str]) -> str:
    """Return fields as a line of text again."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def rows_with(problems: Sequence[Problem]) -> int:
    """Return how many rows have problems."""
    return len({problem.row for problem in problems})


async def log(
    organization: Organization,
    importfile_id: UUID,
    phase: Phase,
    problems: Sequence[Problem],
    *,
    now: datetime,
    by: UUID,
) -> None:
    """Write an importlog for every problem and an importdata for every row that has one. Safe to repeat."""
    if not problems:
        return
    file = Reference("importfile", importfile_id)
    logs: list[Draft] = []
    data: list[Draft] = []
    ordered = sorted(problems, key=lambda problem: problem.row)
    for row, of_row in groupby(ordered, key=lambda problem: problem.row):
        data_id = row_id(importfile_id, row, what="data")
        for position, problem in enumerate(of_row):
            if position == 0:
                values = {
                    "importfileid": file,
                    "linenumber": problem.line,
                    "data": problem.text[:_KEPT],
                    "errortype": 0,
                }
                data.append(Draft(data_id, values))
            logs.append(
                Draft(
                    row_id(importfile_id, row, what=f"log {phase.value} {position}"),
                    {
                        "importfileid": file,
                        "importdataid": Reference("importdata", data_id),
                        "logphasecode": phase.value,
                        "linenumber": problem.line,
                        "headercolumn": problem.heading,
                        "columnvalue": None if problem.value is None else problem.value[:_KEPT],
                        "errornumber": problem.code.value,
                        "errordescription": problem.message,
                        "additionalinfo": f"Row {problem.row + 1} of the file",
                    },
                )
            )
    await organization.records("importdata").create_many(data, now=now, by=by)
    await organization.records("importlog").create_many(logs, now=now, by=by)
