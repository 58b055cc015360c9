"""An import through the running app that is killed in its midst, and what the tables say of it afterwards."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from asyncservice.client import AsyncServiceClient
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.organization.importing.problems import row_id
from asyncservice.organization.importing.service import IMPORT_OPERATIONS, NewImport, create_import
from asyncservice.organization.importing.steps import ImportStatus
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Condition
from tests.e2e.evidence import check_attempts, claims
from tests.e2e.hosts import Hosts, eventually


@dataclass(frozen=True, slots=True)
class Survival:
    """What came of it."""

    rows: int
    #: Rows that were records when the host was killed: by the last checkpoint, and in truth.
    saved: int
    made: int
    seconds: float
    seconds_after_the_kill: float
    attempts: int

    def __str__(self) -> str:
        return (
            f"{self.rows} rows, killed with {self.made} made, {self.saved} of them saved: {self.seconds:.1f} s in all, "
            f"{self.seconds_after_the_kill:.1f} s after the kill, {self.attempts} attempts at the import"
        )


async def import_and_kill(hosts: Hosts, client: AsyncServiceClient, *, rows: int, limit: timedelta) -> Survival:
    """Import *rows* rows, kill the host inside the import itself, start another, check that each row is one record."""
    organization = Organization(client.storage)
    await organization.create()
    made = await _an_import(organization, rows)
    host = await hosts.start()
    began = time.monotonic()
    data = {"ImportId": str(made.import_id)}
    parse, transform, last = IMPORT_OPERATIONS
    for step in (parse, transform):
        await _done(client, await client.submit(step, data), rows, limit)
    submitted = await client.submit(last, data)

    accounts = organization.records("account")

    async def it_died_inside_a_chunk() -> AsyncOperation | None:
        """Hold the host still; kill it when rows are records already that no checkpoint knows of."""
        with host.held_still():
            operation = await client.get(submitted.asyncoperationid)
            assert not operation.is_completed, "it was over before it could be killed"
            saved = operation.successcount or 0
            if saved < rows // 4:
                return None
            following = [row_id(made.importfile_id, saved + number) for number in range(16)]
            if not any(await asyncio.gather(*(accounts.find(each) for each in following))):
                return None
            await host.kill()
            return operation

    left = await eventually(it_died_inside_a_chunk, within=limit, meanwhile=host.must_run)
    killed = time.monotonic()
    saved = left.successcount or 0
    assert (left.statuscode, left.totalcount) == (StatusCode.IN_PROGRESS, rows)
    in_the_tables = await _accounts(organization, made)
    assert max(in_the_tables.values()) == 1
    assert saved < len(in_the_tables) < rows

    second = await hosts.start()
    seen = [saved]
    done = await client.wait(
        submitted.asyncoperationid, timeout=limit, seen=lambda operation: seen.append(operation.successcount or 0)
    )
    ended = time.monotonic()
    assert seen == sorted(seen), "progress never goes back: the second attempt began at the last checkpoint"
    assert done.statuscode is StatusCode.SUCCEEDED, done.message
    assert (done.successcount, done.failurecount, done.totalcount) == (rows, 0, rows)
    check_attempts(done)
    second.must_run()
    await _each_row_is_one_record(organization, made, rows)
    assert await second.terminate() == 0
    return Survival(
        rows=rows,
        saved=saved,
        made=len(in_the_tables),
        seconds=ended - began,
        seconds_after_the_kill=ended - killed,
        attempts=len(claims(done)),
    )


async def _an_import(organization: Organization, rows: int) -> NewImport:
    lines = [f"Contoso {number},{number},Graz" for number in range(rows)]
    content = "\n".join(["Account Name,accountnumber,Address 1: City", *lines]).encode()
    return await create_import(organization, name="Accounts", entity="account", content=content, now=datetime.now(UTC))


async def _done(client: AsyncServiceClient, submitted: AsyncOperation, rows: int, limit: timedelta) -> None:
    operation = await client.wait(submitted.asyncoperationid, timeout=limit)
    assert operation.statuscode is StatusCode.SUCCEEDED, operation.message
    assert (operation.successcount, operation.totalcount) == (rows, rows)


async def _accounts(organization: Organization, made: NewImport) -> Counter[tuple[object, object]]:
    """Count the records of the import by what stood in their rows."""
    record = await organization.records("import").retrieve(made.import_id)
    accounts = organization.records("account").query(
        Condition("importsequencenumber", "eq", record["sequence"]), columns=("accountnumber", "name")
    )
    return Counter([(account["accountnumber"], account["name"]) async for account in accounts])


async def _each_row_is_one_record(organization: Organization, made: NewImport, rows: int) -> None:
    expected = Counter((str(number), f"Contoso {number}") for number in range(rows))
    assert await _accounts(organization, made) == expected
    record = await organization.records("import").retrieve(made.import_id)
    assert record["statuscode"] == ImportStatus.COMPLETED
    file = await organization.records("importfile").retrieve(made.importfile_id)
    assert (file["totalcount"], file["successcount"], file["failurecount"]) == (rows, rows, 0)
