"""Turns a parsed row into values of the target's columns. Plain functions; look-ups have been answered before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.importing.chunks import ParsedRow, TransformedRow
from asyncservice.organization.importing.conversion import convert, option_meant, shown
from asyncservice.organization.importing.lookups import Found
from asyncservice.organization.importing.maps import LookupKey
from asyncservice.organization.importing.plans import Plan, PlannedColumn
from asyncservice.organization.importing.problems import Problem, joined
from asyncservice.organization.schema.attributes import AttributeType

type Answers = Mapping[tuple[LookupKey, ...], Mapping[str, Found]]
"""What texts name, by where they were looked for."""


@dataclass(frozen=True, slots=True)
class Transformed:
    """A chunk's rows that can go on, and what was wrong with the others."""

    rows: Sequence[TransformedRow]
    problems: Sequence[Problem]


def texts_to_look_up(plan: Plan, rows: Iterable[ParsedRow]) -> Mapping[tuple[LookupKey, ...], set[str]]:
    """Return the texts whose records must be found before the rows are transformed."""
    wanted: dict[tuple[LookupKey, ...], set[str]] = {}
    lookups = [column for column in plan.columns if column.lookups]
    for row in rows if lookups else ():
        for column in lookups:
            text = row.fields[column.index].strip()
            if text:
                wanted.setdefault(column.lookups, set()).add(text)
    return wanted


def transform(plan: Plan, rows: Iterable[ParsedRow], answers: Answers) -> Transformed:
    """Return the rows as values. A row with any problem is left out, all its problems are told."""
    good: list[TransformedRow] = []
    problems: list[Problem] = []
    for row in rows:
        values: dict[str, object] = {}
        before = len(problems)
        for column in plan.columns:
            text = row.fields[column.index]
            if not text.strip():
                continue
            try:
                values[column.attribute.name] = _value(plan, column, text, answers)
            except ValueRefused as refused:
                problems.append(
                    Problem(
                        row=row.row,
                        line=row.line,
                        code=refused.code,
                        message=str(refused),
                        text=joined(row.fields),
                        heading=column.heading,
                        value=text,
                    )
                )
        if len(problems) == before:
            good.append(TransformedRow(row.row, row.line, values))
    return Transformed(good, problems)


def _value(plan: Plan, column: PlannedColumn, text: str, answers: Answers) -> object:
    kind = column.attribute.type
    if kind.is_choice:
        return option_meant(column.attribute, text, column.options)
    if kind is AttributeType.BOOLEAN and text.strip().casefold() in column.options:
        return bool(column.options[text.strip().casefold()])
    if kind is AttributeType.OWNER:
        return _owner(plan, column, text.strip())
    if kind.is_lookup:
        return _record(column, text.strip(), answers)
    return convert(column.attribute, text, date_format=plan.date_format)


def _owner(plan: Plan, column: PlannedColumn, text: str) -> object:
    known = plan.owners.get(text.casefold())
    if known is not None:
        return {"entity": known.entity, "id": str(known.id)}
    try:
        return {"entity": "systemuser", "id": str(UUID(text))}
    except ValueError:
        raise ValueRefused(
            f"The owner {shown(text)} is not mapped to a user: add an ownermapping, or write the user's id.",
            column=column.attribute.name,
            code=OrganizationErrorCode.OWNER_NOT_MAPPED,
            value=text,
        ) from None


def _record(column: PlannedColumn, text: str, answers: Answers) -> object:
    if not column.lookups:
        # The organization keeps no records of that kind, so an id is taken at its word.
        return convert(column.attribute, text, date_format="")
    found = answers.get(column.lookups, {}).get(text, ())
    if len(found) == 1:
        return {"entity": found[0].entity, "id": str(found[0].id)}
    where = " or ".join(f"{key.entity}.{key.attribute}" for key in column.lookups)
    if found:
        raise ValueRefused(
            f"More than one record is called {shown(text)} ({where}): write the id of the one that is meant.",
            column=column.attribute.name,
            code=OrganizationErrorCode.DUPLICATE_LOOKUP_FOUND,
            value=text,
        )
    raise ValueRefused(
        f"No record is called {shown(text)} ({where}): import it first, or correct the text.",
        column=column.attribute.name,
        code=OrganizationErrorCode.LOOKUP_NOT_FOUND,
        value=text,
    )
