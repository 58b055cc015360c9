"""What the language worker finds in the app: every function, every binding, and nothing else."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.hosts import ROOT

#: Loads the app through the worker's own library and tells what it was told. A process of its own: the library keeps
#: the app in globals of its modules.
INDEX = """
import asyncio, json, pathlib, sys
from asyncservice.devhost.worker import Worker

async def index():
    started = await Worker.start(pathlib.Path(sys.argv[1]))
    found = {each.name: [json.loads(binding) for binding in each.bindings] for each in started.descriptions}
    assert len(found) == len(started.descriptions), "a name is there twice"
    await started.stop()
    return found

print(json.dumps(asyncio.run(index())))
"""


def a_queue_function(queue: str) -> list[dict[str, Any]]:
    return [
        {
            "direction": "IN",
            "type": "queueTrigger",
            "name": "message",
            "queueName": queue,
            "connection": "AzureWebJobsStorage",
        }
    ]


def a_timer(schedule: str) -> list[dict[str, Any]]:
    return [{"direction": "IN", "type": "timerTrigger", "name": "timer", "schedule": schedule}]


def an_endpoint(route: str, method: str) -> list[dict[str, Any]]:
    """Return the bindings of an endpoint that asks for a key."""
    trigger = {
        "direction": "IN",
        "type": "httpTrigger",
        "name": "request",
        "methods": [method],
        "authLevel": "FUNCTION",
        "route": route,
    }
    return [trigger, {"direction": "OUT", "type": "http", "name": "$return"}]


def an_open_endpoint(route: str) -> list[dict[str, Any]]:
    """Return the bindings of an endpoint that takes every method and has a door of its own."""
    trigger = {
        "direction": "IN",
        "type": "httpTrigger",
        "name": "request",
        "authLevel": "ANONYMOUS",
        "route": route,
    }
    return [trigger, {"direction": "OUT", "type": "http", "name": "$return"}]


EXPECTED = {
    "run_system_events": a_queue_function("async-system-events"),
    "run_workflows": a_queue_function("async-workflows"),
    "run_execute_requests": a_queue_function("async-execute-requests"),
    "run_email": a_queue_function("async-email"),
    "run_imports": a_queue_function("async-imports"),
    "run_campaigns": a_queue_function("async-campaigns"),
    "run_duplicates": a_queue_function("async-duplicates"),
    "run_bulk_deletes": a_queue_function("async-bulk-deletes"),
    "run_roll_ups": a_queue_function("async-roll-ups"),
    "run_maintenance": a_queue_function("async-maintenance"),
    "accept": a_queue_function("async-operations"),
    "sweep": a_timer("0 * * * * *"),
    "retention": a_timer("0 30 2 * * *"),
    "autodelete": a_timer("0 */10 * * * *"),
    "limits": an_endpoint("api/limits", "GET"),
    "list_poison": an_endpoint("api/poison", "GET"),
    "show_poison": an_endpoint("api/poison/{queue}/{id}", "GET"),
    "redrive_poison": an_endpoint("api/poison/redrive", "POST"),
    "webapi": an_open_endpoint("api/data/{*path}"),
    "background_operation": an_open_endpoint("api/backgroundoperation/{id}"),
    "health": [
        {
            "direction": "IN",
            "type": "httpTrigger",
            "name": "request",
            "methods": ["GET"],
            "authLevel": "ANONYMOUS",
            "route": "api/health",
        },
        {"direction": "OUT", "type": "http", "name": "$return"},
    ],
}


def index(**settings: str) -> dict[str, list[dict[str, Any]]]:
    """Index the app with these settings; return the bindings of each function, what is empty in them left out."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ASYNCSERVICE_")}
    done = subprocess.run(
        [sys.executable, "-c", INDEX, str(ROOT)],
        cwd=ROOT,
        env={**ours, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, list[dict[str, Any]]]:
    return index()


def test_the_functions_are_these(found: dict[str, list[dict[str, Any]]]) -> None:
    assert sorted(found) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_bindings_of_each_are_these(found: dict[str, list[dict[str, Any]]], name: str) -> None:
    assert found[name] == EXPECTED[name]


def test_the_schedules_are_settings() -> None:
    found = index(ASYNCSERVICE_SWEEP_SCHEDULE="*/5 * * * * *", ASYNCSERVICE_RETENTION_SCHEDULE="0 0 4 * * *")
    assert found["sweep"][0]["schedule"] == "*/5 * * * * *"
    assert found["retention"][0]["schedule"] == "0 0 4 * * *"
