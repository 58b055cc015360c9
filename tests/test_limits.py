"""Every limit in force can be read, its value from where it is enforced, and none is forgotten."""

import ast
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from asyncservice import limits, operations, organization, storage
from asyncservice.limits import Limit, Source, host_values, in_force
from asyncservice.operations.handling import Registration, Registry
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.retry import RetryPolicy
from asyncservice.settings import Settings

#: Public numbers that limit nothing which a user could meet, each with its reason.
NO_LIMITS = {
    "asyncservice.operations.store.FORMAT": "the form of the layout",
    "asyncservice.operations.store.DEFAULT_SHARDS": "the default of the setting `shards`",
    "asyncservice.operations.autodelete.KEPT": "the default of the setting `autodelete_delay`",
    "asyncservice.operations.poison.MAX_LISTED": "listed",
    "asyncservice.operations.indices.MOST": "counts the kinds of index rows",
    "asyncservice.operations.submission.NO_TYPE": "the number of an operation type",
    "asyncservice.storage.tables.MAX_COLUMNS": "no operation has a number of columns that a user chooses",
    "asyncservice.storage.tables.MAX_COMPARISONS": "what a query asks beyond it is compared by the service",
    "asyncservice.storage.tables.MAX_TRANSACTION_BYTES": "transactions are made by the service, and kept small",
    "asyncservice.storage.queues.MAX_RECEIVE": "of the storage; listed as poison_listed",
    "asyncservice.storage.company.LINGER": "a pause of milliseconds between requests that share one",
    "asyncservice.organization.importing.maps.SYSTEM": "a code of Dataverse",
    "asyncservice.organization.query.calendar.LAST_YEAR": "where Python's dates end",
    "asyncservice.organization.query.pipeline.MOST_SEEDS": "decides between two plans of the same answer",
    "asyncservice.organization.schema.reader.FIRST_CUSTOM_TYPE_CODE": "where Dataverse's own numbers end",
}
HOST_JSON = Path(__file__).parent.parent / "host.json"


def a_source(settings: Settings | None = None, **columns: object) -> Source:
    host, in_file = host_values(HOST_JSON, {})
    return Source(settings=settings or Settings(), host=host, host_defaults=in_file, **columns)  # type: ignore[arg-type]


def by_name(source: Source) -> dict[str, Limit]:
    found = in_force(source)
    names = [limit.name for limit in found]
    assert len(names) == len(set(names)), "every limit has a name of its own"
    return {limit.name: limit for limit in found}


def test_no_setting_is_missing() -> None:
    assert limits.settings_listed() == set(Settings.model_fields)


def constants() -> Iterator[str]:
    """Yield the public numbers and lengths of time that are defined at the top of the service's modules."""
    for package in (operations, organization, storage):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            for node in ast.parse(inspect.getsource(module)).body:
                target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
                if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name):
                    value = getattr(module, target.id)
                    is_number = isinstance(value, int | float | timedelta) and not isinstance(value, bool)
                    if target.id.isupper() and not target.id.startswith("_") and is_number:
                        yield f"{found.name}.{target.id}"


def listed_constants() -> set[str]:
    """Return the constants that the list reads, by the names of their modules."""
    tree = ast.parse(inspect.getsource(limits))
    return {
        f"{getattr(limits, node.value.id).__name__}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr.isupper()
    }


def test_no_number_of_the_program_is_missing() -> None:
    known = set(constants())
    assert len(known) > 25
    assert known - listed_constants() - NO_LIMITS.keys() == set(), "list it in asyncservice/limits.py, or say why not"


def test_no_number_stands_in_the_list_itself() -> None:
    numbers = [
        node.value
        for node in ast.walk(ast.parse(inspect.getsource(limits)))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)
    ]
    assert set(numbers) <= {0, 1}


def test_a_setting_changes_the_value_and_not_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSERVICE_MAX_DEPTH", "5")
    monkeypatch.setenv("ASYNCSERVICE_LEASE", "PT90S")
    monkeypatch.setenv("ASYNCSERVICE_HINT_GRACE", "PT7S")
    found = by_name(a_source())
    assert (found["max_depth"].value, found["max_depth"].default) == (5, 16)
    assert (found["lease"].value, found["lease"].default, found["lease"].unit) == (90, 60, "seconds")
    assert (found["hint_grace"].value, found["hint_grace"].default) == (7, 60)
    assert found["max_depth"].setting == "ASYNCSERVICE_MAX_DEPTH"
    assert found["max_depth"].dataverse is not None


def test_host_json_and_what_overrides_it_are_read(tmp_path: Path) -> None:
    host, in_file = host_values(HOST_JSON, {"AzureFunctionsJobHost__extensions__queues__batchSize": "4"})
    found = by_name(Source(settings=Settings(), host=host, host_defaults=in_file))
    batch = found["host.extensions.queues.batchSize"]
    assert (str(batch.value), batch.default) == ("4", 16)
    assert (found["host.concurrency"].value, found["host.concurrency"].default) == (20, 32)
    assert found["host.functionTimeout"].value == json.loads(HOST_JSON.read_text())["functionTimeout"]
    assert host_values(tmp_path / "host.json", {}) == ({}, {})


def test_the_partitions_are_those_that_the_table_has() -> None:
    assert by_name(a_source(shards=4))["shards"].value == 4
    assert by_name(a_source())["shards"].value == 16


def test_types_with_terms_of_their_own_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(_: object) -> None:
        return None

    handlers = Registry()
    handlers.add(
        Registration(
            type=OperationType.IMPORT,
            handler=handler,
            lease=timedelta(seconds=300),
            retry=RetryPolicy(max_attempts=4),
        )
    )
    handlers.add(Registration(type=OperationType.BULK_DELETE, handler=handler))
    own = [limit for limit in in_force(a_source(handlers=handlers)) if limit.group == "operation types"]
    assert {limit.name: limit.value for limit in own} == {"lease of 5": 300, "retries: max_attempts of 5": 4}
    monkeypatch.setenv("ASYNCSERVICE_LEASE", "PT90S")
    overridden = by_name(a_source(handlers=handlers))["lease of 5"]
    assert (overridden.value, overridden.default) == (90, 300)


def test_every_limit_can_be_written_as_json() -> None:
    for limit in in_force(a_source()):
        told = json.loads(json.dumps(limit.as_plain()))
        assert told["what"].endswith(".")
        assert told["unit"]
        assert set(told) == {"name", "group", "what", "value", "default", "unit", "setting", "dataverse"}
