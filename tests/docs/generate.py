"""Writes the parts of the documentation that follow from the code: `python -m tests.docs.generate`.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`. In tables whose last column is
written by people, that column stays as it is; a new row says "(to be described)" there until somebody does.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from enum import IntEnum
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from random import Random
from typing import Any, Final

import click

from asyncservice import limits
from asyncservice.cli import main
from asyncservice.limits import Source
from asyncservice.operations import retry, states
from asyncservice.operations.columns import COLUMNS, Column
from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.handling import registry
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import CASCADE_TYPES, PLATFORM_TYPES, Family, OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import Action, StateCode, StatusCode
from asyncservice.operations.submission import Submission
from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.operators import Operator
from asyncservice.service import load_handlers
from asyncservice.settings import Settings
from asyncservice.webapi.messages.planned import NOT_YET
from asyncservice.webapi.messages.registry import Message
from asyncservice.webapi.messages.standard import STANDARD
from tests.docs.pages import DOCS, ROOT
from tests.support import NOON

UNDESCRIBED: Final = "(to be described)"
HELP: Final = main.context_settings["help_option_names"]

_PART: Final = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(?P<end><!-- end of (?P=name) -->)", re.DOTALL
)

type Part = Callable[[str], str]
"""Makes a part anew; is given what stands there now."""


def regenerated(text: str) -> str:
    """Return a page with every generated part as it must be."""
    return _PART.sub(lambda part: part["begin"] + PARTS[part["name"]](part["body"]) + part["end"], text)


def names_of_parts(text: str) -> list[str]:
    """Return the names of the generated parts of a page."""
    return [part["name"] for part in _PART.finditer(text)]


def pages_with_parts() -> Iterator[Path]:
    """Yield the pages that have generated parts."""
    for path in sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")]):
        if _PART.search(path.read_text(encoding="utf-8")):
            yield path


# Tables ---------------------------------------------------------------------------------------------------------------


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def described(headings: Sequence[str], rows: Sequence[Sequence[object]], now: str) -> str:
    """Return a table with a last column that people write, kept from what stands there *now*."""
    known = {cells[0]: cells[-1] for cells in map(_cells, now.splitlines()) if len(cells) == len(headings) + 1}
    full = [[*row, known.get(_cell(row[0]), UNDESCRIBED)] for row in rows]
    return table([*headings, "what it means"], full)


def _cell(value: object) -> str:
    return str(value).replace("\n", " ")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


# Parts ----------------------------------------------------------------------------------------------------------------


def states_picture(_: str) -> str:
    """Return the states and every move between them as a Mermaid diagram."""
    moves: dict[tuple[StatusCode, StatusCode], list[str]] = {}
    for action, leads in states.MOVES.items():
        for source, reached in leads.items():
            if source is not reached:
                moves.setdefault((source, reached), []).append(action.value)
    lines = ["```mermaid", "stateDiagram-v2"]
    for state in StateCode:
        lines.append(f"    state {state.name.title()} {{")
        lines += [f'        state "{status.label} {status.value}" as {_id(status)}' for status in _of(state)]
        lines.append("    }")
    lines += [
        f"    [*] --> {_id(status)} : create" for status in (StatusCode.WAITING_FOR_RESOURCES, StatusCode.WAITING)
    ]
    lines += [
        f"    {_id(source)} --> {_id(reached)} : {', '.join(actions)}"
        for (source, reached), actions in sorted(moves.items())
    ]
    lines += [f"    {_id(status)} --> [*]" for status in sorted(states.COMPLETED)]
    return "\n".join([*lines, "```", ""])


def moves_table(_: str) -> str:
    """Return for every action where it leads from each status."""
    rows = [
        [f"`{action.value}`", *(_led(leads, status) for status in StatusCode)] for action, leads in states.MOVES.items()
    ]
    return table(["action", *(f"from {status.label}" for status in StatusCode)], rows)


def statuses(_: str) -> str:
    """Return states and status reasons with their numbers."""
    rows = [[f"{each.state.value} {each.state.name.title()}", each.value, each.label] for each in StatusCode]
    return table(["statecode", "statuscode", "label"], rows)


def requests_table(_: str) -> str:
    """Return which request is allowed in which status."""
    asked = (Action.CANCEL, Action.PAUSE, Action.RESUME, Action.POSTPONE, Action.RETRY, Action.DELETE)
    rows = [[status.label, *("yes" if states.may(action, status) else "" for action in asked)] for status in StatusCode]
    return table(["status", *(f"`{action.value}`" for action in asked)], rows)


def settings(_: str) -> str:
    """Return every setting with its default."""
    prefix = str(Settings.model_config.get("env_prefix"))
    rows = [
        [
            f"`{prefix}{name.upper()}`",
            _kind(field.annotation),
            "(none)" if field.default is None else f"`{_written(field.default)}`",
            field.description,
        ]
        for name, field in Settings.model_fields.items()
    ]
    return table(["setting", "kind", "default", "what it does"], rows)


def operation_types(_: str) -> str:
    """Return every operation type."""
    handled = own_handlers()
    rows = [
        [each.value, each.label, f"`{each.family.value}`", "yes" if each in handled else "", _note(each)]
        for each in OperationType
    ]
    return table(["number", "label", "family", "has a handler", "may be controlled"], rows)


def families(_: str) -> str:
    """Return the families with their queues."""
    return table(
        ["family", "queue", "function", "operation types"],
        [
            [
                f"`{family.value}`",
                f"`{family.queue_name}`",
                f"`run_{family.value.replace('-', '_')}`",
                ", ".join(str(each.value) for each in OperationType if each.family is family),
            ]
            for family in Family
        ],
    )


def queues(now: str) -> str:
    """Return the queues that the service makes."""
    return described(["queue"], [[f"`{name}`"] for name in (INBOX, *(family.queue_name for family in Family))], now)


def columns(_: str) -> str:
    """Return Dataverse's columns."""
    stored = {each.name for each in fields(AsyncOperation)}
    rows = [
        [f"`{column.name}`", column.type.value, _limits(column), _kept(column, stored)] for column in COLUMNS.values()
    ]
    return table(["column", "type", "limits", "kept"], rows)


def own_columns(now: str) -> str:
    """Return the columns that only this service has."""
    names = [each.name for each in fields(AsyncOperation) if each.name not in COLUMNS]
    return described(["column"], [[f"`{name}`"] for name in names], now)


def message_members(_: str) -> str:
    """Return the members of the message contract."""
    rows = [
        [f"`{name}`", "yes" if field.is_required() else "", field.description]
        for name, field in Submission.model_fields.items()
    ]
    return table(["member", "required", "what it says"], rows)


def retries(_: str) -> str:
    """Return the delays of the default retry policy."""
    policy = retry.RetryPolicy(jitter=0)
    rows = []
    total = timedelta(0)
    for retries_so_far in range(policy.max_attempts):
        due = policy.next_attempt(retries=retries_so_far, now=NOON, random=Random(0))
        if due is None:
            rows.append([retries_so_far + 1, "none: the operation is Failed", ""])
        else:
            total += due - NOON
            rows.append([retries_so_far + 1, _written(due - NOON), _written(total)])
    return table(["failed attempts", "the next one after (hh:mm:ss)", "in all"], rows)


def errors(now: str) -> str:
    """Return the codes of operations."""
    return described(["code", "number", "name"], _codes(ErrorCode), now)


def organization_errors(now: str) -> str:
    """Return the codes of records and imports."""
    return described(["code", "number", "name"], _codes(OrganizationErrorCode), now)


def query_operators(_: str) -> str:
    """Return the operators of conditions in the words of each language."""
    rows = [
        [each.value, f"`{each.sdk_name}`", f"`{each.fetch_name}`" if each.fetch_name else "", _number_of_values(each)]
        for each in Operator
    ]
    return table(["number", "QueryExpression, query function", "FetchXML", "values"], rows)


def _number_of_values(operator: Operator) -> str:
    return f"{operator.fewest} or more" if operator.most is None else str(operator.most)


def command(_: str) -> str:
    """Return the help of every command."""
    parts = []
    for name, each in commands():
        context = click.Context(each, info_name=name, terminal_width=100, help_option_names=HELP)
        parts.append(f"## {name}\n\n```text\n{each.get_help(context)}\n```\n")
    return "\n".join(parts)


def limits_tables(_: str) -> str:
    """Return every limit with its default, a table for each group."""
    host, in_file = limits.host_values(ROOT / "host.json", {})
    # Without the handlers: their terms stand with the operation types.
    found = limits.in_force(Source(settings=Settings(), host=host, host_defaults=in_file))
    parts = []
    for group, members in groupby(found, attrgetter("group")):
        rows = [
            [
                f"`{limit.name}`",
                "(none)" if limit.default is None else f"{_limit(limit.default)} {limit.unit}",
                limit.what,
                f"`{limit.setting}`" if limit.setting else "",
                limit.dataverse or "",
            ]
            for limit in members
        ]
        heading = group[0].upper() + group[1:]
        parts.append(f"## {heading}\n\n{table(['limit', 'default', 'what it limits', 'setting', 'Dataverse'], rows)}")
    return "\n".join(parts)


def _limit(value: float | str) -> str:
    return f"`{value}`" if isinstance(value, str) else f"{value:,}"


def web_api_messages(now: str) -> str:
    """Return the functions and actions of the Web API that are there."""
    return _messages(now, [each for each in STANDARD if each.name not in NOT_YET])


def web_api_messages_not_yet(now: str) -> str:
    """Return those that are declared and answered 501."""
    return _messages(now, [each for each in STANDARD if each.name in NOT_YET])


def _messages(now: str, chosen: Sequence[Message]) -> str:
    rows = [
        [
            f"`{each.name}`",
            each.kind.lower(),
            "" if each.bound_to is None else f"{each.bound_to}{', the set' if each.is_of_collection else ''}",
            ", ".join(f"`{one.name}`{'' if one.is_required else ' (optional)'}" for one in each.parameters),
            "" if each.returns is None else f"`{each.returns.edm.removeprefix('Microsoft.Dynamics.CRM.')}`",
        ]
        for each in sorted(chosen, key=attrgetter("name"))
    ]
    return described(["message", "kind", "bound to", "parameters", "returns"], rows, now)


PARTS: Final[Mapping[str, Part]] = {
    "states-picture": states_picture,
    "moves": moves_table,
    "statuses": statuses,
    "requests": requests_table,
    "settings": settings,
    "operation-types": operation_types,
    "families": families,
    "queues": queues,
    "columns": columns,
    "own-columns": own_columns,
    "message-members": message_members,
    "retries": retries,
    "errors": errors,
    "organization-errors": organization_errors,
    "query-operators": query_operators,
    "command": command,
    "limits": limits_tables,
    "web-api-messages": web_api_messages,
    "web-api-messages-not-yet": web_api_messages_not_yet,
}


# What the parts are made of -------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command with the words that call it."""
    yield from _commands("asyncservice", main)


def _commands(name: str, each: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, each
    if isinstance(each, click.Group):
        for word, inner in sorted(each.commands.items()):
            yield from _commands(f"{name} {word}", inner)


def own_handlers() -> set[OperationType]:
    """Return the types that have a handler in `handlers/`; what tests register does not count."""
    load_handlers("handlers")
    return {
        kind
        for kind in registry.types()
        if (found := registry.get(kind)) is not None and found.handler.__module__.startswith("handlers.")
    }


def _codes(codes: type[IntEnum]) -> list[list[object]]:
    return [[f"`0x{code & 0xFFFFFFFF:08x}`", code.value, f"`{code.name}`"] for code in codes]


def _id(status: StatusCode) -> str:
    return "".join(word.title() for word in status.name.split("_"))


def _of(state: StateCode) -> list[StatusCode]:
    return [status for status in StatusCode if status.state is state]


def _led(leads: Mapping[StatusCode, StatusCode], status: StatusCode) -> str:
    return leads[status].label if status in leads else ""


def _note(each: OperationType) -> str:
    if each in PLATFORM_TYPES:
        return "not cancelled, paused or resumed"
    return "cancelled only while suspended" if each in CASCADE_TYPES else "yes"


def _limits(column: Column) -> str:
    parts = []
    if column.max_length is not None:
        parts.append(f"{column.max_length:,} characters")
    if column.minimum is not None and column.maximum is not None:
        parts.append(f"{column.minimum:,} to {column.maximum:,}")
    if column.targets:
        parts.append(", ".join(column.targets))
    return "; ".join(parts)


def _kept(column: Column, stored: set[str]) -> str:
    if column.virtual:
        return "derived"
    if column.name == "statecode":
        return "follows from statuscode"
    return "yes" if column.name in stored else "no"


def _kind(annotation: Any) -> str:
    names = {"str": "text", "int": "whole number", "timedelta": "length of time", "UUID": "id", "bool": "true or false"}
    names |= {"Path": "folder"}
    found = next((text for name, text in names.items() if name in str(annotation)), None)
    if found is None:
        raise ValueError(f"The documentation has no word for settings of {annotation}.")
    return found


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, timedelta):
        return str(value)
    seconds = round(value.total_seconds())
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


if __name__ == "__main__":
    for page in pages_with_parts():
        before = page.read_text(encoding="utf-8")
        after = regenerated(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"written: {page.relative_to(ROOT)}")  # noqa: T201 - the command's output
