"""The code of the documentation runs."""

import os
import subprocess
import sys
import time
from types import ModuleType
from uuid import UUID

import pytest

from asyncservice.client import SyncServiceClient
from asyncservice.operations import handling
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from tests.docs import pages

SNIPPETS = pages.snippets()
EMULATOR = "UseDevelopmentStorage=true"


def run(name: str, connection: str) -> str:
    """Run a snippet as its reader would, but on the storage of the test; return what it prints."""
    code = SNIPPETS[name].code
    assert EMULATOR in code
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code.replace(EMULATOR, connection)],
        cwd=pages.ROOT,
        env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def outcome(connection: str, operation_id: str) -> AsyncOperation:
    """Return the operation once it is completed, waiting first until the host has taken its message."""
    with SyncServiceClient.from_connection_string(connection) as client:
        for _ in range(100):
            found = [each for each in client.list(limit=50) if each.asyncoperationid == UUID(operation_id)]
            if found:
                return client.wait(UUID(operation_id))
            time.sleep(0.2)
    raise AssertionError(f"No operation {operation_id} came of the message.")


def test_every_runnable_snippet_is_run() -> None:
    assert set(SNIPPETS) == {
        "inbox",
        "submit-async",
        "submit-sync",
        "inbox-python",
        "follow",
        "import",
        "handler",
        "handler-tests",
    }


def test_inbox(running_service: str) -> None:
    operation = outcome(running_service, run("inbox", running_service).strip())
    assert operation.statuscode is StatusCode.FAILED
    assert "Does Not Exist" in str(operation.message)


def test_inbox_python(running_service: str) -> None:
    run("inbox-python", running_service)
    operation = outcome(running_service, "3f2b8f6a-52c1-4b7e-9d57-1f0f4b8f2a01")
    assert operation.name == "Import the price list"


def test_submit_async(running_service: str) -> None:
    assert run("submit-async", running_service).strip().endswith(" Waiting")


def test_submit_sync(running_service: str) -> None:
    assert run("submit-sync", running_service).startswith("Failed Entity 'import' With Id = ")


def test_follow(running_service: str) -> None:
    printed = run("follow", running_service)
    assert "Failed ImportId is None" in printed
    assert "0x80044165" in printed
    assert " resume Waiting For Resources" in printed


def test_import(running_service: str) -> None:
    lines = run("import", running_service).splitlines()
    assert lines[:3] == [
        "Import File Parse Succeeded 2 0",
        "Transform Parse Data Succeeded 1 1",
        "Import Succeeded 1 0",
    ]
    assert lines[3].startswith("3 Staff about a dozen ")


async def test_the_handler_of_the_guide_passes_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    # It registers with a registry of this test's own, so that no other test meets it.
    monkeypatch.setattr(handling, "registry", handling.Registry())
    module = ModuleType("handlers.import_sample_data")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(SNIPPETS["handler"].code, module.__dict__)  # noqa: S102 - the code of our own page
    tests: dict[str, object] = {"__name__": "tests_of_the_guide"}
    exec(SNIPPETS["handler-tests"].code, tests)  # noqa: S102 - as above
    found = [test for name, test in tests.items() if name.startswith("test_")]
    assert len(found) == 3
    for test in found:
        await test()  # type: ignore[operator]
