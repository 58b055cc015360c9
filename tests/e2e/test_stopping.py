"""`asyncservice service stop` as people use it: a command, two hosts at work, and the tables as witnesses."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from asyncservice.client import AsyncServiceClient
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import Action, StateCode, StatusCode
from tests.e2e import ledger
from tests.e2e.evidence import Evidence, check_attempts, check_effects, claims
from tests.e2e.handlers.mixed import SIMPLE, STEPS
from tests.e2e.hosts import Host, Hosts, eventually
from tests.e2e.ledger import Effect
from tests.e2e.test_inbox import send

#: A host takes one hint of a family at a time, so that of the long operations, too, some still wait.
ONE_AT_A_TIME = {
    "AzureFunctionsJobHost__extensions__queues__batchSize": "1",
    "AzureFunctionsJobHost__extensions__queues__newBatchThreshold": "0",
}
#: Five hints of long operations, of which each host takes one.
SHORT, LONG = 200, 40
ONE_STEP = {"steps": 1}
#: A stopped host is watched for so long: several polls of every queue, and two sweeps.
A_WHILE = 3.0
#: What the second test stops; the first stops all.
ONE_FAMILY = (Family.BULK_DELETES,)


async def command(connection: str, *arguments: str) -> str:
    """Run the asyncservice command on the account and return what it printed."""
    ran = await asyncio.to_thread(
        subprocess.run,
        [str(Path(sys.executable).with_name("asyncservice")), *arguments],
        env={**os.environ, "AzureWebJobsStorage": connection, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("families", [(), ONE_FAMILY], ids=["everything", "one family"])
async def test_nothing_begins_after_a_stop_has_returned_and_all_completes_after_the_start(
    hosts: Hosts, client: AsyncServiceClient, connection: str, tmp_path: Path, families: Sequence[Family]
) -> None:
    named = [part for family in families for part in ("--family", family.value)]
    kinds = {int(kind) for kind in (SIMPLE, STEPS) if kind.family in (families or Family)}
    settings = {ledger.SETTING: str(tmp_path / "ledger"), **ONE_AT_A_TIME}
    first = await asyncio.gather(hosts.start(settings), hosts.start(settings))
    # What is long goes on until it is let go, however fast the machine.
    let_go = tmp_path / "let-go"
    long_data = {"steps": 1, "takes": 0.2, "until": str(let_go)}
    work = [
        *[{"operationtype": int(STEPS), "data": long_data, "name": "long"}] * LONG,
        *[{"operationtype": int(SIMPLE), "data": {"takes": 0.4}, "name": "short"}] * SHORT,
    ]
    submitted = {each.asyncoperationid for each in await client.submit_many(work)}
    soon = datetime.now(UTC) + timedelta(seconds=6)
    submitted.add((await client.submit(int(STEPS), ONE_STEP, postponeuntil=soon)).asyncoperationid)
    await eventually(lambda: both_work(client), within=timedelta(seconds=60), meanwhile=partial(all_run, first))

    said = await command(connection, "service", "stop", *named)
    returned = datetime.now(UTC)
    assert ("Stopped" if families else "The service is stopped") in said
    # What arrives is kept: from a client, and on the queue, which hosts accept from while they run nothing.
    by_client = (await client.submit(int(STEPS), ONE_STEP)).asyncoperationid
    by_queue = uuid4()
    message = {"operationtype": int(STEPS), "data": ONE_STEP, "asyncoperationid": str(by_queue)}
    await send(connection, json.dumps(message))
    await eventually(lambda: client.find(by_queue), within=timedelta(seconds=20))
    await eventually(lambda: nothing_runs(client, kinds), within=timedelta(seconds=30))
    assert [await host.terminate() for host in first] == [0, 0]
    second = await asyncio.gather(hosts.start(settings), hosts.start(settings))
    assert said in await command(connection, "service", "status")
    await asyncio.sleep(A_WHILE)

    stopped = await Evidence.of(client.storage)
    affected = of(stopped, kinds)
    assert max(entry.on for operation in affected for entry in claims(operation)) <= returned
    assert not any(each.is_locked for each in affected)
    long = [each for each in affected if each.name == "long"]
    under_way = [each for each in long if each.attempt]
    assert len(under_way) < LONG, "some had not begun"
    assert {each.history[-1].action for each in under_way} <= {Action.YIELD, Action.INTERRUPT}
    assert any(each.history[-1].action == Action.YIELD for each in under_way), "what ran came to a checkpoint"
    assert all(stopped.operations[each].statecode is StateCode.READY for each in (by_client, by_queue))
    assert all(stopped.operations[each].attempt == 0 for each in (by_client, by_queue))
    kept = sum(each.statecode is StateCode.READY for each in affected)

    let_go.touch()
    assert "every family runs" in await command(connection, "service", "start", *named)
    submitted |= {by_client, by_queue}
    done = await eventually(
        lambda: all_succeeded(client, len(submitted)),
        within=timedelta(seconds=90),
        meanwhile=partial(all_run, second),
    )
    assert set(done.operations) == submitted
    check_done(done, ledger.read(tmp_path / "ledger"))
    assert [await host.terminate() for host in second] == [0, 0]
    print(  # noqa: T201 - shown with -s, for whoever wants to know
        f"stopped with {len(under_way)} long operations under way; {kept} of {len(submitted)} operations were kept, "
        f"none began after the stop had returned; all completed after the start"
    )


def all_run(hosts: Iterable[Host]) -> None:
    for host in hosts:
        host.must_run()


async def both_work(client: AsyncServiceClient) -> bool:
    """Whether both hosts have long operations in progress, and short ones are done."""
    found = await Evidence.of(client.storage)
    at_work = {each.hostid for each in of(found, {int(STEPS)}) if each.is_locked}
    return len(at_work) == 2 and found.statuses[StatusCode.SUCCEEDED] > 0


async def nothing_runs(client: AsyncServiceClient, kinds: set[int]) -> bool:
    """Whether no operation of these types is under way."""
    return not any(each.is_locked for each in of(await Evidence.of(client.storage), kinds))


async def all_succeeded(client: AsyncServiceClient, operations: int) -> Evidence | None:
    """Return what the tables say once so many operations have succeeded."""
    found = await Evidence.of(client.storage)
    return found if found.statuses == {StatusCode.SUCCEEDED: operations} else None


def of(found: Evidence, kinds: set[int]) -> list[AsyncOperation]:
    return [each for each in found.operations.values() if each.operationtype in kinds]


def check_done(done: Evidence, effects: Mapping[UUID, Sequence[Effect]]) -> None:
    """Check that everything was done once, and that no work was taken back."""
    assert done.agenda == []
    for operation in done.operations.values():
        check_attempts(operation)
        made = effects[operation.asyncoperationid]
        # A claim that was under way when the service was stopped is given back before its handler begins.
        given_back = {entry.attempt for entry in operation.history if entry.action == Action.INTERRUPT}
        assert given_back.isdisjoint(effect.attempt for effect in made), "a stop takes no work back"
        assert check_effects(operation, made) == 0
        assert len(made) == (operation.successcount or 1), f"{operation.name} did {made}"
