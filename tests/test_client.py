"""The client, async and sync, on memory and on Azurite: what a Python service that submits operations relies on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

import pytest

from asyncservice.client import AsyncServiceClient, SyncServiceClient
from asyncservice.operations.errors import (
    InvalidOperation,
    OperationNotFound,
    StateChangeRefused,
)
from asyncservice.operations.handling import Done, OperationContext, OperationFailed, Outcome
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StateCode, StatusCode
from asyncservice.operations.submission import Submission
from asyncservice.storage.account import Storage
from asyncservice.storage.azure import AzureStorage
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import Comparison
from tests.conftest import Prefixed
from tests.operations.world import World, until
from tests.support import NOON, VirtualClock, an_id

SHORT = timedelta(milliseconds=200)
LONG = timedelta(seconds=20)
#: A type that nobody may cancel, pause or resume.
OF_THE_PLATFORM = OperationType.SQM_DATA_COLLECTION


@pytest.fixture
async def client(storage: Storage) -> AsyncIterator[AsyncServiceClient]:
    async with AsyncServiceClient(storage) as client:
        yield client


@pytest.fixture
async def world(client: AsyncServiceClient) -> World:
    """Return the service that runs what the client submits; its clock stands at this moment."""
    return await a_world(client.storage)


async def a_world(storage: Storage) -> World:
    world = await World(storage, VirtualClock(datetime.now(UTC))).open()

    async def handler(context: OperationContext) -> Outcome:
        if "fails" in context.data:
            raise OperationFailed(str(context.data["fails"]))
        return Done(context.operation.name)

    world.handle(handler)
    return world


def told(operation: AsyncOperation) -> AsyncOperation:
    """Return the operation without its history, whose moments are kept to the millisecond only."""
    return replace(operation, history=())


async def newest_first(client: AsyncServiceClient, *where: Comparison, limit: int | None = None) -> list[str]:
    return [operation.name or "" async for operation in client.list(where=where, limit=limit)]


# Submit ---------------------------------------------------------------------------------------------------------------


async def test_what_is_submitted_is_kept_and_run(client: AsyncServiceClient, world: World) -> None:
    submitted = await client.submit("ExecuteAsyncRequest", {"greeting": "Grüße"}, name="greet")
    assert submitted.statuscode is StatusCode.WAITING_FOR_RESOURCES
    assert told(await client.get(submitted.asyncoperationid)) == told(submitted)
    await world.run_everything()
    done = await client.wait(submitted.asyncoperationid, timeout=LONG)
    assert (done.statuscode, done.friendlymessage, done.data) == (
        StatusCode.SUCCEEDED,
        "greet",
        '{"greeting":"Grüße"}',
    )
    assert [entry.action for entry in await client.history(submitted.asyncoperationid)] == [
        "create",
        "claim",
        "succeed",
    ]


async def test_a_host_whose_clock_is_a_little_behind_runs_it_all_the_same(client: AsyncServiceClient) -> None:
    """Less than a millisecond, so that both clocks name the same row of the agenda."""
    client._service.engine.clock = VirtualClock(NOON + timedelta(microseconds=900))
    world = await a_world(client.storage)
    world.engine.clock = VirtualClock(NOON + timedelta(microseconds=100))
    submitted = await client.submit(54)
    await world.run_everything()
    assert (await client.get(submitted.asyncoperationid)).statuscode is StatusCode.SUCCEEDED
    assert await world.sweep() == {}


async def test_every_member_of_the_contract_can_be_said(client: AsyncServiceClient) -> None:
    own_id, other = uuid4(), uuid4()
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    submitted = await client.submit(
        13,
        name="nightly",
        asyncoperationid=own_id,
        postponeuntil=soon,
        recurrencepattern="FREQ=DAILY",
        recurrencestarttime=soon,
        correlationid=other,
        primaryentitytype="account",
        regardingobjectid=other,
    )
    kept = await client.get(own_id)
    assert told(kept) == told(submitted)
    assert (kept.asyncoperationid, kept.postponeuntil, kept.recurrencestarttime) == (own_id, soon, soon)
    assert (kept.recurrencepattern, kept.correlationid, kept.regardingobjectid) == ("FREQ=DAILY", other, other)
    assert (await client.submit(13, dependencytoken="night")).dependencytoken == "night"


async def test_the_same_id_again_returns_the_operation_unchanged(client: AsyncServiceClient, world: World) -> None:
    own_id = uuid4()
    first = await client.submit(54, name="first", asyncoperationid=own_id)
    second = await client.submit(54, name="second", asyncoperationid=own_id)
    assert told(second) == told(first)
    await world.run_everything()
    again = await client.submit(54, name="third", asyncoperationid=own_id)
    assert (again.name, again.statuscode) == ("first", StatusCode.SUCCEEDED)


async def test_what_is_impossible_is_refused_with_a_sentence(client: AsyncServiceClient) -> None:
    with pytest.raises(InvalidOperation, match="is no operation type of Dataverse"):
        await client.submit("Make Coffee")
    with pytest.raises(InvalidOperation, match="colour is no member of the message"):
        await client.submit(54, colour="red")
    with pytest.raises(InvalidOperation, match="postponeuntil: Input should have timezone info"):
        await client.submit(54, postponeuntil=NOON.replace(tzinfo=None))
    assert await newest_first(client) == []


@pytest.mark.parametrize("number", [0, 1, 2, 49, 50, 51, 250])
async def test_many_are_submitted_in_order_and_each_is_run_once(
    client: AsyncServiceClient, world: World, number: int
) -> None:
    names = [f"operation {each}" for each in range(number)]
    submitted = await client.submit_many({"operationtype": 54, "name": name} for name in names)
    assert [operation.name for operation in submitted] == names
    assert len({operation.asyncoperationid for operation in submitted}) == number
    assert sorted(await newest_first(client)) == sorted(names)
    await world.run_everything()
    done = [operation async for operation in client.list()]
    assert {(operation.statuscode, operation.attempt) for operation in done} <= {(StatusCode.SUCCEEDED, 1)}
    assert sorted(operation.name or "" for operation in done) == sorted(names)


async def test_many_with_ids_of_their_own(client: AsyncServiceClient, world: World) -> None:
    own = [uuid4() for _ in range(120)]
    messages = [{"operationtype": 54, "asyncoperationid": each} for each in own]
    submitted = await client.submit_many(messages + messages[:5])
    assert [operation.asyncoperationid for operation in submitted] == own + own[:5]
    again = await client.submit_many(messages)
    assert [told(operation) for operation in again] == [told(operation) for operation in submitted[:120]]
    await world.run_everything()
    assert {(await client.get(each)).attempt for each in own} == {1}


async def test_one_mistake_among_many_and_nothing_is_written(client: AsyncServiceClient) -> None:
    good = {"operationtype": 54}
    for bad in ({"operationtype": "Make Coffee"}, {"operationtype": 54, "data": 5}, {}):
        with pytest.raises(InvalidOperation):
            await client.submit_many([*[good] * 60, bad])
    assert await newest_first(client) == []


async def test_submissions_may_be_made_beforehand(client: AsyncServiceClient) -> None:
    [submitted] = await client.submit_many([Submission(operationtype=13, name="beforehand")])
    assert (submitted.operationtype, submitted.name) == (13, "beforehand")


async def test_long_data_comes_back_whole(client: AsyncServiceClient) -> None:
    text = "ü" * 100_000
    submitted = await client.submit(54, {"text": text})
    assert (await client.get(submitted.asyncoperationid)).data == f'{{"text":"{text}"}}'


# Follow ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation_id", [uuid4(), an_id()])
async def test_what_is_not_there_is_said_so(client: AsyncServiceClient, operation_id: UUID) -> None:
    for ask in (
        client.get,
        client.history,
        client.wait,
        client.cancel,
        client.pause,
        client.resume,
        client.retry,
        client.delete,
    ):
        with pytest.raises(OperationNotFound, match=str(operation_id)):
            await ask(operation_id)
    assert await client.find(operation_id) is None


async def test_waiting_ends_when_its_time_is_up(client: AsyncServiceClient) -> None:
    submitted = await client.submit(54)
    looks: list[AsyncOperation] = []
    with pytest.raises(TimeoutError, match=r"is Waiting For Resources after 0:00:00\.2"):
        await client.wait(submitted.asyncoperationid, timeout=SHORT, seen=looks.append)
    assert looks
    assert {look.statuscode for look in looks} == {StatusCode.WAITING_FOR_RESOURCES}


async def test_waiting_ends_when_the_operation_does(client: AsyncServiceClient, world: World) -> None:
    submitted = await client.submit(54, {"fails": "no luck"})
    looks: list[StatusCode] = []
    waiting = asyncio.create_task(
        client.wait(submitted.asyncoperationid, timeout=LONG, seen=lambda seen: looks.append(seen.statuscode))
    )
    await until(_async(lambda: bool(looks)))
    await world.run_everything()
    failed = await waiting
    assert (failed.statuscode, failed.message) == (StatusCode.FAILED, "no luck")
    assert (looks[0], looks[-1]) == (StatusCode.WAITING_FOR_RESOURCES, StatusCode.FAILED)


async def test_the_newest_come_first(client: AsyncServiceClient) -> None:
    clock = client._service.engine.clock = VirtualClock()
    for number in range(12):
        clock.jump(timedelta(seconds=1))
        # Ids of callers and of ours stand in one order: that of their creation.
        own_id = uuid4() if number % 3 == 0 else None
        await client.submit(13 if number % 2 else 54, name=str(number), asyncoperationid=own_id)
    newest = [str(number) for number in reversed(range(12))]
    assert await newest_first(client) == newest
    assert await newest_first(client, limit=5) == newest[:5]
    assert await newest_first(client, limit=1) == newest[:1]
    assert await newest_first(client, limit=100) == newest


async def test_a_list_can_be_filtered(client: AsyncServiceClient, world: World) -> None:
    clock = client._service.engine.clock = VirtualClock(datetime.now(UTC))
    for number in range(6):
        clock.jump(timedelta(seconds=1))
        await client.submit(54, {"fails": "so"} if number % 2 else None, name=str(number))
    await world.run_everything()
    failed = Comparison("statuscode", "eq", int(StatusCode.FAILED))
    assert await newest_first(client, failed) == ["5", "3", "1"]
    assert await newest_first(client, failed, limit=2) == ["5", "3"]
    assert await newest_first(client, failed, Comparison("name", "lt", "4")) == ["3", "1"]
    assert await newest_first(client, Comparison("statecode", "ne", int(StateCode.COMPLETED))) == []


async def test_history_is_told_from_the_beginning(client: AsyncServiceClient, world: World) -> None:
    submitted = await client.submit(54, {"fails": "so"})
    await world.run_everything()
    await client.retry(submitted.asyncoperationid)
    entries = await client.history(submitted.asyncoperationid)
    assert [(entry.action, entry.status) for entry in entries] == [
        ("create", StatusCode.WAITING_FOR_RESOURCES),
        ("claim", StatusCode.IN_PROGRESS),
        ("fail", StatusCode.FAILED),
        ("retry", StatusCode.WAITING_FOR_RESOURCES),
    ]


# Control --------------------------------------------------------------------------------------------------------------


async def test_what_waits_is_cancelled_at_once(client: AsyncServiceClient, world: World) -> None:
    submitted = await client.submit(54)
    cancelled = await client.cancel(submitted.asyncoperationid)
    assert cancelled.statuscode is StatusCode.CANCELED
    await world.run_everything()
    assert (await client.get(submitted.asyncoperationid)).attempt == 0
    with pytest.raises(StateChangeRefused, match="Cannot cancel"):
        await client.cancel(submitted.asyncoperationid)


async def test_what_is_postponed_waits_and_is_resumed(client: AsyncServiceClient, world: World) -> None:
    submitted = await client.submit(54)
    until_then = datetime.now(UTC) + timedelta(days=1)
    postponed = await client.postpone(submitted.asyncoperationid, until_then)
    assert (postponed.statuscode, postponed.postponeuntil) == (StatusCode.WAITING, until_then)
    await world.run_everything()
    assert (await client.get(submitted.asyncoperationid)).statuscode is StatusCode.WAITING
    later = until_then + timedelta(days=1)
    assert (await client.postpone(submitted.asyncoperationid, later)).postponeuntil == later
    with pytest.raises(InvalidOperation, match="must lie in the future"):
        await client.postpone(submitted.asyncoperationid, NOON - timedelta(days=4000))
    assert (await client.resume(submitted.asyncoperationid)).statuscode is StatusCode.WAITING_FOR_RESOURCES
    await world.run_everything()
    assert (await client.get(submitted.asyncoperationid)).statuscode is StatusCode.SUCCEEDED


async def test_what_runs_is_paused_and_resumed(client: AsyncServiceClient) -> None:
    world = await World(client.storage, VirtualClock(datetime.now(UTC))).open()
    gate = asyncio.Event()

    async def handler(context: OperationContext) -> Outcome:
        for step in range(context.checkpoint or 0, 3):
            await gate.wait()
            await context.save(step + 1, succeeded=step + 1)
        return None

    world.handle(handler)
    submitted = await client.submit(54)
    with pytest.raises(StateChangeRefused, match="Cannot pause"):
        await client.pause(submitted.asyncoperationid)
    running = await world.start(submitted.asyncoperationid)
    assert (await client.pause(submitted.asyncoperationid)).statuscode is StatusCode.PAUSING
    gate.set()
    await running
    paused = await client.get(submitted.asyncoperationid)
    assert (paused.statuscode, paused.postponeuntil, paused.successcount) == (StatusCode.WAITING, None, 1)
    await client.resume(submitted.asyncoperationid)
    await world.run_everything()
    done = await client.get(submitted.asyncoperationid)
    assert (done.statuscode, done.successcount, done.attempt) == (StatusCode.SUCCEEDED, 3, 2)


async def test_what_runs_is_cancelled_at_its_checkpoint(client: AsyncServiceClient) -> None:
    world = await World(client.storage, VirtualClock(datetime.now(UTC))).open()
    gate = asyncio.Event()

    async def handler(context: OperationContext) -> Outcome:
        await gate.wait()
        await context.save(1)
        return Done("too late")

    world.handle(handler)
    submitted = await client.submit(54)
    running = await world.start(submitted.asyncoperationid)
    assert (await client.cancel(submitted.asyncoperationid)).statuscode is StatusCode.CANCELING
    gate.set()
    await running
    assert (await client.get(submitted.asyncoperationid)).statuscode is StatusCode.CANCELED


async def test_what_failed_is_tried_again(client: AsyncServiceClient, world: World) -> None:
    submitted = await client.submit(54, {"fails": "so"})
    with pytest.raises(StateChangeRefused, match="Cannot retry"):
        await client.retry(submitted.asyncoperationid)
    await world.run_everything()
    again = await client.retry(submitted.asyncoperationid)
    assert (again.statuscode, again.message, again.errorcode) == (StatusCode.WAITING_FOR_RESOURCES, None, None)
    await world.run_everything()
    assert (await client.get(submitted.asyncoperationid)).attempt == 2


async def test_only_what_is_completed_is_deleted(client: AsyncServiceClient) -> None:
    submitted = await client.submit(54, asyncoperationid=uuid4())
    with pytest.raises(StateChangeRefused, match="Cannot delete"):
        await client.delete(submitted.asyncoperationid)
    await client.cancel(submitted.asyncoperationid)
    await client.delete(submitted.asyncoperationid)
    assert await client.find(submitted.asyncoperationid) is None
    assert await newest_first(client) == []


async def test_jobs_of_the_platform_are_left_alone(client: AsyncServiceClient) -> None:
    submitted = await client.submit(OF_THE_PLATFORM)
    for action in (client.cancel, client.pause, client.resume):
        with pytest.raises(StateChangeRefused, match="a job of the platform"):
            await action(submitted.asyncoperationid)


# Sync -----------------------------------------------------------------------------------------------------------------


class Opened(Prefixed):
    """An account of this test's own that is opened and closed with its client."""

    async def __aenter__(self) -> Self:
        await self._account.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._account.__aexit__(kind, error, trace)


@pytest.fixture(params=["memory", "azurite"])
def sync_client(request: pytest.FixtureRequest, clock: VirtualClock) -> Iterator[SyncServiceClient]:
    storage: Storage = MemoryStorage(clock.now)
    if request.param == "azurite":
        storage = Opened(AzureStorage.from_connection_string(request.getfixturevalue("azurite")))
    with SyncServiceClient(AsyncServiceClient(storage)) as client:
        yield client


def run_everything(client: SyncServiceClient) -> None:
    """Run what was submitted, in the client's own event loop."""

    async def run() -> None:
        await (await a_world(client._client.storage)).run_everything()

    client._run(run())


def test_without_async_it_is_the_same(sync_client: SyncServiceClient) -> None:
    good = sync_client.submit("ExecuteAsyncRequest", {"greeting": "hello"}, name="good")
    bad = sync_client.submit(54, {"fails": "so"}, name="bad")
    with pytest.raises(TimeoutError):
        sync_client.wait(good.asyncoperationid, timeout=SHORT)
    run_everything(sync_client)
    assert sync_client.wait(good.asyncoperationid, timeout=LONG).statuscode is StatusCode.SUCCEEDED
    assert sync_client.get(bad.asyncoperationid).statuscode is StatusCode.FAILED
    assert [entry.action for entry in sync_client.history(bad.asyncoperationid)] == ["create", "claim", "fail"]
    failed = Comparison("statuscode", "eq", int(StatusCode.FAILED))
    assert [operation.name for operation in sync_client.list(where=[failed])] == ["bad"]
    assert len(sync_client.list()) == 2
    assert len(sync_client.list(limit=1)) == 1


def test_without_async_many_are_submitted(sync_client: SyncServiceClient) -> None:
    submitted = sync_client.submit_many({"operationtype": 54, "name": str(number)} for number in range(60))
    assert [operation.name for operation in submitted] == [str(number) for number in range(60)]
    run_everything(sync_client)
    assert {operation.statuscode for operation in sync_client.list()} == {StatusCode.SUCCEEDED}


def test_without_async_operations_are_controlled(sync_client: SyncServiceClient) -> None:
    operation_id = sync_client.submit(54, {"fails": "so"}).asyncoperationid
    with pytest.raises(StateChangeRefused):
        sync_client.pause(operation_id)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert sync_client.postpone(operation_id, tomorrow).postponeuntil == tomorrow
    assert sync_client.resume(operation_id).statuscode is StatusCode.WAITING_FOR_RESOURCES
    run_everything(sync_client)
    assert sync_client.retry(operation_id).statuscode is StatusCode.WAITING_FOR_RESOURCES
    assert sync_client.cancel(operation_id).statuscode is StatusCode.CANCELED
    sync_client.delete(operation_id)
    with pytest.raises(OperationNotFound):
        sync_client.get(operation_id)


def test_the_environment_says_which_account(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", azurite)
    with SyncServiceClient.from_environment() as client:
        operation_id = client.submit(54).asyncoperationid
        with SyncServiceClient.from_connection_string(azurite) as other:
            assert other.cancel(operation_id).statuscode is StatusCode.CANCELED
        client.delete(operation_id)


def _async(look: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def looked() -> bool:
        return look()

    return looked
