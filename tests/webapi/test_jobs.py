"""System jobs through the Web API: read like any table, changed by the rules of their life cycle alone."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.handling import OperationContext, OperationFailed, Outcome, WaitingForChildren
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.states import StatusCode
from asyncservice.operations.submission import Submission
from asyncservice.organization.organization import Organization
from asyncservice.organization.wellknown import LOCAL_USER
from asyncservice.storage.memory import MemoryStorage
from asyncservice.webapi.application import OpenDoor, WebApi
from tests.operations.world import World
from tests.support import NOON, VirtualClock
from tests.webapi.calling import Client

JSON_BATCH = "multipart/mixed;boundary=b"


@dataclass
class Office:
    """A service with its Web API."""

    world: World
    client: Client

    async def job(self, **columns: Any) -> str:
        return str(await self.world.submit(**columns))

    async def state(self, job: str) -> tuple[int, int]:
        row = (await self.client.get(f"asyncoperations({job})?$select=statecode,statuscode")).json
        return row["statecode"], row["statuscode"]

    async def running(self, job: str) -> Any:
        return await self.world.start(UUID(job))


async def handler(context: OperationContext) -> Outcome:
    match context.data.get("do"):
        case "fail":
            raise OperationFailed("for good")
        case "long":
            while True:
                await context.save(1)
                await asyncio.sleep(0.01)
        case "children":
            later = context.now() + timedelta(days=3)
            await context.start_children([Submission(operationtype=13, postponeuntil=later)])
            return WaitingForChildren(1)
    return None


@pytest.fixture
async def office() -> Office:
    clock = VirtualClock()
    storage = MemoryStorage(clock.now)
    world = await World(storage, clock, options=EngineOptions(shards=4)).open()
    world.handle(handler)
    world.handle(handler, type=OperationType.BULK_DELETE)
    organization = Organization(storage)
    await organization.create()
    await organization.seed(now=NOON)
    api = WebApi(organization, clock=clock, engine=world.engine, door=OpenDoor(LOCAL_USER))
    return Office(world, Client(api))


LONG, FAILS, PARENT = '{"do": "long"}', '{"do": "fail"}', '{"do": "children"}'
RECURS = {"type": OperationType.BULK_DELETE, "recurrencepattern": "FREQ=DAILY", "recurrencestarttime": NOON}


async def test_a_job_is_read_like_any_row(office: Office) -> None:
    account = await office.client.make("accounts", name="Contoso")
    job = await office.job(
        name="Tidy up", regardingobjectid=UUID(account), regardingobjecttypecode="account", data='{"a": 1}'
    )
    row = (
        await office.client.get(
            f"asyncoperations({job})?$expand=regardingobjectid_account($select=name),ownerid",
            Prefer='odata.include-annotations="*"',
        )
    ).json
    assert row["_regardingobjectid_value"] == account
    assert row["_regardingobjectid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    assert row["regardingobjectid_account"]["name"] == "Contoso"
    assert row["statuscode@OData.Community.Display.V1.FormattedValue"] == "Waiting For Resources"
    assert (row["data"], row["createdon"], row["statecode"]) == ('{"a": 1}', "2026-03-01T12:00:00Z", 0)
    assert "workflowstate" not in row
    jobs = (await office.client.get(f"accounts({account})/Account_AsyncOperations?$select=name")).rows
    assert [each["name"] for each in jobs] == ["Tidy up"]


async def test_lists_as_clients_ask_for_them(office: Office) -> None:
    for number in range(5):
        await office.job(type=OperationType.BULK_DELETE, name=f"number {number}", data=FAILS if number == 2 else None)
        await office.world.clock.advance(timedelta(seconds=1))
    await office.world.run_everything()
    waiting = await office.job(name="waiting")
    get = office.client.get
    rows = (
        await get("asyncoperations?$filter=statecode eq 3 and operationtype eq 13&$orderby=createdon desc&$top=3")
    ).rows
    assert [row["name"] for row in rows] == ["number 4", "number 3", "number 2"]
    assert [row["name"] for row in (await get("asyncoperations?$filter=statuscode eq 31")).rows] == ["number 2"]
    assert [row["name"] for row in (await get("asyncoperations?$filter=statecode eq 0")).rows] == ["waiting"]
    assert len((await get(f"asyncoperations?$filter=correlationid eq {waiting}")).rows) == 1
    seen: list[str] = []
    url = "asyncoperations?$select=name&$orderby=createdon desc"
    while url:
        page = (await get(url, Prefer="odata.maxpagesize=2")).json
        seen += [row["name"] for row in page["value"]]
        url = page.get("@odata.nextLink", "")
    assert seen == ["waiting", *(f"number {number}" for number in (4, 3, 2, 1, 0))]
    counts = (await get("asyncoperations?$apply=groupby((statecode,statuscode),aggregate($count as count))")).rows
    assert {(row["statecode"], row["statuscode"]): row["count"] for row in counts} == {
        (3, 30): 4,
        (3, 31): 1,
        (0, 0): 1,
    }
    fetch = "<fetch><entity name='asyncoperation'><attribute name='name'/><filter><condition attribute='statuscode' operator='eq' value='31'/></filter></entity></fetch>"  # noqa: E501
    assert [row["name"] for row in (await get(f"asyncoperations?fetchXml={fetch}")).rows] == ["number 2"]


async def test_cancel_in_every_state(office: Office) -> None:
    ready = await office.job()
    suspended = await office.job(postponeuntil=NOON + timedelta(days=1), statuscode=StatusCode.WAITING)
    cancel = {"statecode": 3, "statuscode": 32}
    for job in (ready, suspended):
        answered = await office.client.patch(f"asyncoperations({job})", cancel, If_Match="*")
        assert (answered.status, answered.text) == (204, "")
        row = (await office.client.get(f"asyncoperations({job})")).json
        assert (row["statecode"], row["statuscode"], bool(row["completedon"])) == (3, 32, True)
        assert row["_modifiedby_value"] == str(LOCAL_USER)
    running = await office.job(data=LONG)
    task = await office.running(running)
    answered = await office.client.patch(f"asyncoperations({running})", cancel, Prefer="return=representation")
    assert (answered.status, answered.json["statecode"], answered.json["statuscode"]) == (200, 2, 22)
    await task
    assert await office.state(running) == (3, 32)


async def test_pause_and_resume(office: Office) -> None:
    job = await office.job(data=LONG)
    task = await office.running(job)
    assert (await office.client.patch(f"asyncoperations({job})", {"statecode": 1})).status == 204
    await task
    assert await office.state(job) == (1, 10)
    # Asked once more, it is as it was.
    assert (await office.client.patch(f"asyncoperations({job})", {"statecode": 1, "statuscode": 10})).status == 204
    assert (await office.client.patch(f"asyncoperations({job})", {"statecode": 0, "statuscode": 0})).status == 204
    assert await office.state(job) == (0, 0)
    assert (await office.client.put(f"asyncoperations({job})/statecode", {"value": 3})).status == 204
    assert await office.state(job) == (3, 32)


@pytest.mark.parametrize("state", [{}, {"statecode": 0}, {"statecode": 1, "statuscode": 10}])
async def test_postpone_and_postpone_again(office: Office, state: dict[str, int]) -> None:
    job = await office.job()
    for moment in ("2026-03-02T08:00:00Z", "2026-03-05T08:00:00Z"):
        answered = await office.client.patch(f"asyncoperations({job})", {"postponeuntil": moment, **state})
        assert answered.status == 204, answered.text
        row = (await office.client.get(f"asyncoperations({job})")).json
        assert (row["statecode"], row["statuscode"], row["postponeuntil"]) == (1, 10, moment)
    await office.world.pass_time(timedelta(days=5), step=timedelta(hours=1))
    assert await office.state(job) == (3, 30)


async def test_a_recurrence_is_changed_and_its_next_run_with_it(office: Office) -> None:
    job = await office.job(**RECURS)
    await office.world.run_everything()
    assert await office.state(job) == (1, 10)
    changed = {"recurrencepattern": "FREQ=WEEKLY;"}
    assert (await office.client.patch(f"asyncoperations({job})", changed)).status == 204
    row = (await office.client.get(f"asyncoperations({job})")).json
    assert (row["recurrencepattern"], row["postponeuntil"]) == ("FREQ=WEEKLY;", "2026-03-08T12:00:00Z")


REFUSED = [
    ("finished", {"statecode": 0}, 400, "0x80044166"),
    ("finished", {"statecode": 3, "statuscode": 32}, 400, "0x80044165"),
    ("finished", {"postponeuntil": "2026-03-05T08:00:00Z"}, 400, "0x80044167"),
    ("ready", {"statecode": 1}, 400, "0x80044167"),
    ("ready", {"statecode": 3, "statuscode": 30}, 400, "0x80044165"),
    ("ready", {"statecode": 2, "statuscode": 20}, 400, "0x80044162"),
    ("ready", {"statecode": 0, "statuscode": 32}, 400, "0x80044162"),
    ("ready", {"statecode": 7}, 400, None),
    ("ready", {"statecode": True}, 400, None),
    ("ready", {"statecode": None}, 400, None),
    ("ready", {"postponeuntil": "2020-01-01T00:00:00Z"}, 400, "0x80040203"),
    ("ready", {"postponeuntil": "tomorrow"}, 400, None),
    ("ready", {"postponeuntil": None}, 400, "0x80040203"),
    ("ready", {"statecode": 3, "postponeuntil": "2026-03-05T08:00:00Z"}, 400, "0x80040203"),
    ("ready", {"recurrencepattern": "FREQ=DAILY"}, 400, "0x80044169"),
    ("bulk", {"recurrencepattern": "FREQ=DAILY"}, 400, "0x80044168"),
    ("recurs", {"recurrencepattern": "FREQ=SOMETIMES"}, 400, None),
    ("recurs", {"recurrencepattern": None}, 400, "0x80040203"),
    ("ready", {"name": "another"}, 400, "0x80040203"),
    ("ready", {"_ownerid_value": str(uuid4())}, 400, "0x80040203"),
    ("ready", {"nonsense": 1}, 400, "0x80048d19"),
    ("ready", {"asyncoperationid": str(uuid4())}, 400, "0x80040203"),
    ("parent", {"postponeuntil": "2026-03-05T08:00:00Z"}, 400, "0x80044167"),
    ("nobody's", {"statecode": 3, "statuscode": 32}, 404, "0x80040217"),
]


@pytest.mark.parametrize(("which", "body", "status", "code"), REFUSED)
async def test_everything_else_is_refused_and_nothing_changes(
    office: Office, which: str, body: dict[str, object], status: int, code: str | None
) -> None:
    jobs: dict[str, Callable[[], Awaitable[str]]] = {
        "ready": office.job,
        "finished": office.job,
        "bulk": lambda: office.job(type=OperationType.BULK_DELETE),
        "recurs": lambda: office.job(**RECURS),
        "parent": lambda: office.job(data=PARENT),
    }
    job = await jobs[which]() if which in jobs else str(uuid4())
    if which in {"finished", "recurs", "parent"}:
        await office.world.run_everything()
    before = (await office.client.get(f"asyncoperations({job})")).json
    answered = await office.client.patch(f"asyncoperations({job})", body)
    assert answered.status == status, answered.text
    assert code is None or answered.code == code
    assert len(answered.message) > 20
    assert (await office.client.get(f"asyncoperations({job})")).json == before


async def test_jobs_are_not_created(office: Office) -> None:
    assert (await office.client.post("asyncoperations", {"name": "mine"})).status == 400
    missing = f"asyncoperations({uuid4()})"
    assert (await office.client.patch(missing, {"statecode": 0})).status == 404
    assert (await office.client.patch(missing, {"statecode": 0}, If_None_Match="*")).status == 400
    assert (await office.client.get("asyncoperations")).rows == []


async def test_the_version_that_was_read_counts(office: Office) -> None:
    job = await office.job()
    etag = (await office.client.get(f"asyncoperations({job})")).json["@odata.etag"]
    later = {"postponeuntil": "2026-03-05T08:00:00Z"}
    assert (await office.client.patch(f"asyncoperations({job})", later, If_Match=etag)).status == 204
    stale = await office.client.patch(f"asyncoperations({job})", {"statecode": 0}, If_Match=etag)
    assert (stale.status, stale.code) == (412, "0x80060882")
    assert (await office.client.delete(f"asyncoperations({job})", If_Match=etag)).status == 412
    assert await office.state(job) == (1, 10)


async def test_a_completed_job_is_deleted_and_no_other(office: Office) -> None:
    job = await office.job()
    refused = await office.client.delete(f"asyncoperations({job})")
    assert (refused.status, refused.code) == (400, "0x8004416a")
    await office.world.run_everything()
    assert (await office.client.delete(f"asyncoperations({job})")).status == 204
    assert (await office.client.get(f"asyncoperations({job})")).status == 404
    assert (await office.client.delete(f"asyncoperations({job})")).status == 404


def a_batch(*requests: str, in_change_set: bool) -> bytes:
    parts = [
        f"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: {number}\r\n\r\n{each}\r\n"
        for number, each in enumerate(requests, start=1)
    ]
    if not in_change_set:
        return ("".join(f"--b\r\n{part}" for part in parts) + "--b--\r\n").encode()
    inner = "".join(f"--c\r\n{part}" for part in parts) + "--c--\r\n"
    return f"--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n{inner}--b--\r\n".encode()


def cancelling(job: str) -> str:
    body = json.dumps({"statecode": 3, "statuscode": 32})
    return f"PATCH /api/data/v9.2/asyncoperations({job}) HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}"


async def test_in_a_batch_but_not_in_a_change_set_with_others(office: Office) -> None:
    first, second = await office.job(), await office.job()
    both = (cancelling(first), cancelling(second))
    refused = await office.client.post("$batch", a_batch(*both, in_change_set=True), Content_Type=JSON_BATCH)
    assert "change set" in refused.text
    assert await office.state(first) == (0, 0)
    done = await office.client.post("$batch", a_batch(*both, in_change_set=False), Content_Type=JSON_BATCH)
    assert done.status == 200, done.text
    assert [await office.state(each) for each in (first, second)] == [(3, 32), (3, 32)]
    third = await office.job()
    alone = a_batch(cancelling(third), in_change_set=True)
    assert (await office.client.post("$batch", alone, Content_Type=JSON_BATCH)).status == 200
    assert await office.state(third) == (3, 32)
