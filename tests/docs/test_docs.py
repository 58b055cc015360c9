"""The documentation is in step with the code: generated parts, links, commands, entries."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from asyncservice.cli import main
from asyncservice.operations import columns, hints
from asyncservice.operations.operationtypes import Family, OperationType
from asyncservice.settings import Settings
from tests.docs import generate, pages
from tests.docs.pages import DOCS, PAGES, ROOT

#: Written by others, or by a program of theirs; whether it is there is for its own tests to say.
ELSEWHERE = {"docs/performance.md", "docs/async-operation.schema.json"}
AN_ID = "01a208b7-da53-72cf-9d0f-a20bbdd6be08"


@pytest.mark.parametrize("path", list(generate.pages_with_parts()), ids=lambda path: path.name)
def test_generated_parts_are_in_step(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == generate.regenerated(text), "Run `python -m tests.docs.generate`."


@pytest.mark.parametrize("path", list(generate.pages_with_parts()), ids=lambda path: path.name)
def test_everything_is_described(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if generate.UNDESCRIBED in line] == []


def test_every_part_stands_somewhere() -> None:
    used = {name for path in generate.pages_with_parts() for name in generate.names_of_parts(path.read_text("utf-8"))}
    assert used == set(generate.PARTS)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    broken = [target for target in pages.links(page) if not _leads_somewhere(page, target)]
    assert broken == []


def _leads_somewhere(page: str, target: str) -> bool:
    if target.startswith(("https://", "mailto:")):
        return True
    path, _, anchor = target.partition("#")
    found = ROOT / page if not path else (ROOT / page).parent / path
    name = found.resolve().relative_to(ROOT).as_posix()
    if name in ELSEWHERE:
        return True
    return found.exists() and (not anchor or anchor in pages.anchors(name))


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_no_folder_of_a_machine(page: str) -> None:
    assert re.findall(r"(?<![\w.])/(?:work|tmp|home|root|Users)/", pages.read(page)) == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[str] = set()
    todo = ["README.md"]
    while todo:
        page = todo.pop()
        if page in reached or not page.endswith(".md"):
            continue
        reached.add(page)
        for target in pages.links(page):
            path = target.partition("#")[0]
            if path and "://" not in path and ((ROOT / page).parent / path).exists():
                todo.append(((ROOT / page).parent / path).resolve().relative_to(ROOT).as_posix())
    assert set(PAGES) - reached == set()


def test_every_setting_has_an_entry() -> None:
    page = pages.read("docs/reference/settings.md")
    assert [name for name in Settings.model_fields if f"`ASYNCSERVICE_{name.upper()}`" not in page] == []


def test_every_setting_that_a_page_names_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"ASYNCSERVICE_([A-Z_]+)\b", pages.read(page))}
    assert {name.lower() for name in named} <= {*Settings.model_fields, "test_storage"}


def test_every_operation_type_has_an_entry() -> None:
    lines = pages.read("docs/reference/operation-types.md").splitlines()
    assert [
        each.label for each in OperationType if not any(f"| {each.value} | {each.label} |" in line for line in lines)
    ] == []


def test_every_type_with_a_handler_says_what_data_it_takes() -> None:
    page = pages.read("docs/reference/operation-types.md")
    section = page.partition("## Data of the types with a handler")[2].partition("\n## ")[0]
    missing = [each.label for each in generate.own_handlers() if f"| {each.value} | {each.label} |" not in section]
    assert missing == []


def test_every_queue_has_an_entry() -> None:
    page = pages.read("docs/reference/storage-layout.md")
    queues = [hints.INBOX, *(family.queue_name for family in Family)]
    assert [queue for queue in queues if f"| `{queue}` |" not in page] == []


def test_every_column_has_an_entry() -> None:
    page = pages.read("docs/reference/asyncoperation.md")
    assert [name for name in columns.COLUMNS if f"| `{name}` |" not in page] == []


def test_every_command_has_an_entry() -> None:
    anchors = pages.anchors("docs/reference/command.md")
    assert [name for name, _ in generate.commands() if name.replace(" ", "-") not in anchors] == []


def test_host_json_is_explained_line_by_line() -> None:
    page = pages.read("docs/reference/host-json.md")
    document = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    lines = [f"| `{name}` | {f'`{value}`' if value != '' else '(empty)'} |" for name, value in _leaves(document)]
    assert [line for line in lines if line not in page] == []


def _leaves(section: dict[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def command_lines() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in pages.blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                _, called, rest = line.partition(".venv/bin/asyncservice ")
                if called:
                    found.append((page, rest))
    return found


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_commands_can_be_given_as_they_are_written(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(line.partition(" | ")[0], comments=True)
    command: click.Command = main
    context = click.Context(main, info_name="asyncservice")
    while isinstance(command, click.Group):
        _, words = command.make_parser(context).parse_args(words)[:2] if command is main else ({}, words)
        _, found, words = command.resolve_command(context, words)
        assert found is not None, page
        command = found
    command.make_context("it", [AN_ID if word == "ID" else word for word in words])


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_make_has_every_target_that_is_named(page: str) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", pages.read(page), re.MULTILINE))
    assert named <= targets()


@pytest.mark.parametrize("page", PAGES)
def test_python_in_pages_is_python(page: str) -> None:
    for block in pages.blocks(page, "python"):
        ast.parse(block)


def test_every_diagram_begins_as_one() -> None:
    found = [block for page in PAGES for block in pages.blocks(page, "mermaid")]
    assert len(found) >= 2
    assert all(block.startswith(("flowchart ", "stateDiagram-v2")) for block in found)


def test_docs_holds_no_page_that_nobody_reads() -> None:
    assert {path.suffix for path in DOCS.rglob("*") if path.is_file()} <= {".md", ".json"}
