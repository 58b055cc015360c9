"""One action on many operations: what it counts is exact, whichever of its storage calls its host dies at."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.operations.submission import Submission
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from handlers import cancel_async_operations
from handlers.cancel_async_operations import act_on_operations
from tests.faults import Died, Fault, FaultyStorage
from tests.operations.world import World
from tests.support import NOON, VirtualClock, an_id

KIND = OperationType.CANCEL_ASYNC_OPERATIONS
LATER = (NOON + timedelta(days=3)).isoformat()
OPTIONS = EngineOptions(shards=2)
#: What each action is tried on: as many operations of that status are there, and as many of the other.
DONE, REFUSED = 5, 3
CASES: Mapping[str, tuple[str, str]] = {
    "cancel": ("waiting", "cancelled"),
    "resume": ("waiting", "cancelled"),
    "postpone": ("ready", "cancelled"),
    "retry": ("failed", "cancelled"),
    "delete": ("cancelled", "waiting"),
}


async def put(world: World, how: str, number: int) -> None:
    """Make operations of a status; all are named alike."""
    for each in range(number):
        day = NOON + timedelta(days=1)
        suspended = how in {"waiting", "cancelled"}
        operation_id = await world.submit(
            operation_id=an_id(shard=each % 2),
            name="this",
            statuscode=StatusCode.WAITING if suspended else StatusCode.WAITING_FOR_RESOURCES,
            postponeuntil=day if suspended else None,
        )
        if how == "cancelled":
            await world.control.cancel(operation_id)
    if how == "failed":
        await world.run_everything()  # Nobody handles that type here.
    await world.lose_hints()


async def act(account: MemoryStorage, clock: VirtualClock, storage: Any, action: str) -> AsyncOperation:
    """Submit the action and run it on a host that sees *storage*, then on one that is well."""
    world = await World(account, clock, host="well", options=OPTIONS).open()
    for how, number in zip(CASES[action], (DONE, REFUSED), strict=True):
        await put(world, how, number)
    data = {"Action": action, "Filter": [["name", "eq", "this"]], "PostponeUntil": LATER}
    submission = Submission(operationtype=int(KIND), name="that", data=data)
    operation = submission.operation(now=clock.now(), new_id=an_id(shard=1))
    await world.engine.submit(operation)
    dying = await World(storage, clock, host="dying", options=OPTIONS).open_quietly()
    dying.handle(act_on_operations, type=KIND)
    with suppress(Died, StorageUnavailable):
        await dying.engine.run_one(dying.engine.store.place(operation))
    world.handle(act_on_operations, type=KIND)
    # Not so long that what was acted on moves by itself.
    await world.pass_time(timedelta(minutes=6), step=timedelta(minutes=2))
    return await world.get(operation.asyncoperationid)


@pytest.mark.parametrize("action", CASES)
async def test_what_is_counted_is_exact_wherever_the_host_dies(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel_async_operations, "_A_BATCH", 2)
    calls = await check(action, 0, Fault.DIES_BEFORE)
    assert calls > 20
    for number in range(1, calls + 1):
        for fault in Fault:
            await check(action, number, fault)


async def check(action: str, number: int, fault: Fault) -> int:
    """Check the counts when the *number*th call goes wrong; return how many calls there were."""
    clock = VirtualClock(skips=timedelta(seconds=5))
    account = MemoryStorage(clock.now)
    faulty = FaultyStorage(account, number=number, fault=fault)
    done = await act(account, clock, faulty, action)
    found = (done.statuscode, done.successcount, done.failurecount, done.totalcount)
    assert found == (StatusCode.SUCCEEDED, DONE, REFUSED, DONE + REFUSED), f"{fault.name} at call {number}"
    return len(faulty.calls)
