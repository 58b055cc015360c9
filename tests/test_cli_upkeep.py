"""The commands for whoever keeps the service, on memory: what they print, and how they exit."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from asyncservice import cliupkeep, storagechoice
from asyncservice.cli import main
from asyncservice.client import AsyncServiceClient, SyncServiceClient
from asyncservice.operations import ids
from asyncservice.operations.handling import Done, OperationContext, Outcome
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.store import TABLE
from asyncservice.operations.switch import PATIENCE
from asyncservice.operations.waitreasons import WaitReason
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import Delete, Row
from tests.operations.world import World
from tests.support import VirtualClock, an_id

type Command = Callable[..., Result]


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def command(storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return what runs a command on the test's own storage."""
    monkeypatch.setattr(storagechoice, "choose", lambda *_: storage)

    def run(*words: str) -> Result:
        monkeypatch.setattr(cliupkeep, "console", Console(width=200))
        return CliRunner().invoke(main, list(words))

    return run


def in_world(storage: MemoryStorage, work: Callable[[World], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        world = await World(storage, VirtualClock(datetime.now(UTC), skips=PATIENCE)).open()

        async def handler(_: OperationContext) -> Outcome:
            return Done()

        world.handle(handler)
        return await work(world)

    return asyncio.run(run())


async def two_jobs(world: World) -> list[str]:
    submitted = [await world.submit() for _ in range(2)]
    await world.engine.run_one(world.engine.store.place(await world.get(submitted[0])))
    return [str(each) for each in submitted]


async def lose_an_agenda_row(world: World) -> None:
    for shard in range(world.engine.store.shards):
        partition = ids.partition_name(shard)
        rows = world.engine.store.table.scan(partition, start=ids.AGENDA, end=ids.CHILD)
        for key in [row.key async for row in rows]:
            await world.engine.store.table.commit(partition, [Delete(key)])


def test_an_audit_of_all_says_what_it_looked_at(storage: MemoryStorage, command: Command) -> None:
    in_world(storage, two_jobs)
    done = command("jobs", "audit")
    assert done.exit_code == 0, done.output
    assert "2 operations (1 unfinished, 4 moves in their records), 3 other rows and 0 blobs" in done.output
    assert "Nothing deviates." in done.output


def test_an_audit_exits_1_and_says_what_deviates(storage: MemoryStorage, command: Command) -> None:
    [_, ready] = in_world(storage, two_jobs)
    in_world(storage, lose_an_agenda_row)
    done = command("jobs", "audit")
    assert done.exit_code == 1
    [line] = [line for line in done.output.splitlines() if line.startswith(ready)]
    assert line.endswith("is missing: nobody will look at it")
    assert "1 deviation." in done.output


def test_an_audit_prints_json_that_can_be_read(storage: MemoryStorage, command: Command) -> None:
    [done_one, ready] = in_world(storage, two_jobs)
    in_world(storage, lose_an_agenda_row)
    done = command("jobs", "audit", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert [finding["asyncoperationid"] for finding in told["findings"]] == [ready]
    assert (told["tally"]["operations"], told["tally"]["deviations"]) == (2, 1)
    one = command("jobs", "audit", done_one, "--json")
    assert (one.exit_code, json.loads(one.stdout)["findings"]) == (0, [])


def test_an_audit_of_one_that_is_not_there_says_so(storage: MemoryStorage, command: Command) -> None:
    in_world(storage, two_jobs)
    done = command("jobs", "audit", str(an_id()))
    assert done.exit_code == 1
    assert "Does Not Exist" in done.output


def test_the_sync_client_audits(storage: MemoryStorage) -> None:
    in_world(storage, two_jobs)
    in_world(storage, lose_an_agenda_row)
    with SyncServiceClient(AsyncServiceClient(storage)) as client:
        assert len(client.audit()) == 1


# What is waited for ---------------------------------------------------------------------------------------------------


def records(storage: MemoryStorage) -> list[Row]:
    return [row for row in storage.table(TABLE).all_rows() if row.key.startswith(ids.RECORD)]


async def stop(world: World) -> None:
    await world.engine.switch.stop([Family.EXECUTE_REQUESTS])


def test_jobs_say_that_the_service_is_stopped_without_a_write(storage: MemoryStorage, command: Command) -> None:
    [done_one, ready] = in_world(storage, two_jobs)
    before = records(storage)
    in_world(storage, stop)
    listed = {each["asyncoperationid"]: each for each in json.loads(command("jobs", "list", "--json").stdout)}
    shown = json.loads(command("jobs", "show", ready, "--json").stdout)
    text = "Waits for the start of the service: the family execute-requests is stopped."
    for each in (listed[ready], shown):
        assert each["asyncoperationid"] == ready
        assert each["statecode"] == 0
        assert each["waitreason"] == {"reason": "service_stopped", "message": text, "family": "execute-requests"}
        assert each["friendlymessage"] == text
    assert listed[done_one]["waitreason"] is None
    assert [entry["action"] for entry in shown["history"]] == ["create"]
    assert records(storage) == before, "no record was written"


def test_the_sync_client_says_what_is_waited_for(storage: MemoryStorage) -> None:
    [_, ready] = in_world(storage, two_jobs)
    with SyncServiceClient(AsyncServiceClient(storage)) as client:
        wait = client.waits_for(client.get(UUID(ready)))
        assert wait is not None
        assert wait.reason is WaitReason.RESOURCES
        assert client.get_plain(UUID(ready))["waitreason"]["reason"] == "resources"
