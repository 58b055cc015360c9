"""The command `submit`, and what it says of requests and settings that make no sense."""

import asyncio
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from asyncservice import storagechoice
from asyncservice.cli import main
from asyncservice.client import AsyncServiceClient
from asyncservice.operations.record import AsyncOperation
from asyncservice.storage.memory import MemoryStorage
from tests.support import VirtualClock


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> MemoryStorage:
    storage = MemoryStorage(VirtualClock().now)
    monkeypatch.setattr(storagechoice, "choose", lambda *_: storage)
    return storage


def submit(*words: str) -> Result:
    return CliRunner().invoke(main, ["submit", *words])


def kept(storage: MemoryStorage, result: Result) -> AsyncOperation:
    async def read() -> AsyncOperation:
        async with AsyncServiceClient(storage) as client:
            return await client.get(UUID(result.output.strip()))

    assert result.exit_code == 0, result.output
    return asyncio.run(read())


def test_it_takes_a_rule_in_a_time_zone_and_what_is_to_be_removed(storage: MemoryStorage) -> None:
    rule = "DTSTART;TZID=Europe/Berlin:22000131T090000 RRULE:FREQ=DAILY"
    operation = kept(storage, submit("Import", "--recurrence", rule, "--auto-delete"))
    assert operation.asyncautodelete
    assert operation.recurrencepattern == rule
    assert operation.postponeuntil is not None
    assert operation.postponeuntil.isoformat() == "2200-01-31T08:00:00+00:00"
    assert not kept(storage, submit("Import")).asyncautodelete


@pytest.mark.usefixtures("storage")
def test_it_says_that_there_is_no_such_zone() -> None:
    refused = submit("Import", "--recurrence", "DTSTART;TZID=Europe/Berln:22000131T090000 RRULE:FREQ=DAILY")
    assert refused.exit_code == 1
    assert "'Europe/Berln' is no time zone of the IANA database; did you mean Europe/Berlin?\n" in refused.output


@pytest.mark.usefixtures("storage")
def test_it_says_which_setting_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSERVICE_PERSISTENCE_DAYS_BY_TYPE", "Coffee=1")
    refused = submit("Import")
    assert refused.exit_code == 1
    assert refused.output == (
        "Error: Settings that cannot be read: persistence_days_by_type: ASYNCSERVICE_PERSISTENCE_DAYS_BY_TYPE: "
        "'Coffee=1': 'Coffee' is no operation type; write it like BulkDelete=7 or 13=7.\n"
    )
