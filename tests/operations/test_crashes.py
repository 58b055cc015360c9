"""The crash-point sweep: every scenario, with every storage call going wrong in every way, ends as it should.

A scenario is run once to count its calls. Then, for each call, it is run again with that call failing: the process
dies before it or after it was applied, the call fails, or its answer is lost. The service is restarted, time passes,
and the same sentences must hold: what was accepted is completed, its effects were made, nobody is left behind.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest

from asyncservice.operations import autodelete, ids, inbox
from asyncservice.operations.audit import Audit
from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.errors import StateChangeRefused
from asyncservice.operations.handling import (
    Done,
    OperationContext,
    Outcome,
    RetryOperation,
    WaitingForChildren,
    WaitingForEvent,
    Yielded,
)
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.states import StatusCode
from asyncservice.operations.store import PAYLOADS, TABLE, OperationStore
from asyncservice.operations.submission import Submission
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from handlers.cancel_async_operations import act_on_operations
from tests.faults import Died, Fault, FaultyStorage
from tests.operations.world import World
from tests.support import VirtualClock, an_id, an_operation

type Ledger = list[str]
type Scenario = Callable[[World, Ledger], Awaitable[None]]

PARENT, CHILD = OperationType.BULK_DELETE, OperationType.BULK_DELETE_SUBPROCESS
PATIENT = OperationType.WORKFLOW
#: The service's own pauses between tries at a write; the clock passes over them.
PAUSES = timedelta(seconds=5)
PLENTY = timedelta(hours=1)
OURS = an_id(shard=1)
OTHERS = UUID("9a7b0000-0000-4000-8000-0000000000a2")
THEIRS = UUID("9a7b0000-0000-4000-8000-0000000000a1")


def handlers(world: World, ledger: Ledger) -> None:
    """Register what every scenario may run: the effects of a handler are lines of the ledger."""

    async def handler(context: OperationContext) -> Outcome:
        match context.data.get("do"):
            case "slices":
                for step in range(context.checkpoint or 0, 4):
                    ledger.append(f"step {step}")
                    await context.save(step + 1, succeeded=step + 1, total=4)
                    if step == 1:
                        return Yielded(step + 1)
            case "retry" if context.operation.retrycount == 0:
                ledger.append("first try")
                raise RetryOperation("busy")
            case "long":
                ledger.append(str(len(context.data["text"])))
            case _:
                ledger.append("run")
        return Done("done")

    async def parent(context: OperationContext) -> Outcome:
        if context.checkpoint is None:
            due = context.now() + timedelta(days=200) if context.data.get("children") == "wait" else None
            goes = context.data.get("children") == "go"
            child = Submission(operationtype=int(CHILD), postponeuntil=due, asyncautodelete=goes)
            children = [child, child]
            await context.start_children(children)
            return WaitingForChildren("started")
        ledger.append("parent")
        return Done()

    async def child(_: OperationContext) -> Outcome:
        ledger.append("child")

    async def patient(context: OperationContext) -> Outcome:
        if context.checkpoint is None:
            return WaitingForEvent("approved", checkpoint="asked")
        ledger.append(f"approved by {await context.event('approved')}")
        return None

    world.handle(handler)
    world.handle(parent, type=PARENT)
    world.handle(child, type=CHILD)
    world.handle(patient, type=PATIENT)
    world.handle(act_on_operations, type=OperationType.CANCEL_ASYNC_OPERATIONS)


async def one(world: World, _: Ledger) -> None:
    await world.engine.submit(an_operation(OURS, data='{"do": "once"}'))
    await world.run_everything()


async def with_a_callers_id(world: World, _: Ledger) -> None:
    await world.engine.submit(an_operation(THEIRS, data='{"do": "once"}'))
    await world.run_everything()


async def slices(world: World, _: Ledger) -> None:
    await world.engine.submit(an_operation(OURS, data='{"do": "slices"}'))
    await world.run_everything()


async def retry(world: World, _: Ledger) -> None:
    await world.engine.submit(an_operation(OURS, data='{"do": "retry"}'))
    await world.run_everything()
    await world.pass_time(timedelta(minutes=2), step=timedelta(minutes=2))


async def postponed(world: World, _: Ledger) -> None:
    due = world.clock.now() + timedelta(days=8)
    await world.engine.submit(an_operation(OURS, statuscode=StatusCode.WAITING, postponeuntil=due))
    await world.pass_time(timedelta(days=9), step=timedelta(days=3))


async def long_payload(world: World, _: Ledger) -> None:
    await world.engine.submit(an_operation(OURS, data='{"do": "long", "text": "' + "x" * 40_000 + '"}'))
    await world.run_everything()


async def batch(world: World, _: Ledger) -> None:
    await world.engine.submit_many([an_operation(an_id(shard=1), data="{}") for _ in range(5)])
    await world.run_everything()


async def from_the_inbox(world: World, _: Ledger) -> None:
    body = b'{"operationtype": "ExecuteAsyncRequest", "asyncoperationid": "9a7b0000-0000-4000-8000-0000000000a1"}'
    await inbox.accept(world.engine, body, message_id="m1", inserted_on=world.clock.now())
    await world.run_everything()


async def paused_and_resumed(world: World, _: Ledger) -> None:
    await world.engine.submit(an_operation(OURS, data="{}"))
    # A caller whose answer was lost asks again, and may be refused what has been done already.
    with suppress(StateChangeRefused):
        await world.control.postpone(OURS, world.clock.now() + timedelta(minutes=10))
    with suppress(StateChangeRefused):
        await world.control.resume(OURS)
    await world.run_everything()


async def in_line(world: World, _: Ledger) -> None:
    """Three operations of one token: one of ours, two with callers' ids, whose records stand elsewhere."""
    for operation_id in (OURS, THEIRS, OTHERS):
        await world.engine.submit(an_operation(operation_id, data="{}", dependencytoken="invoice-7"))
    await world.run_everything()


async def cancelled_in_line(world: World, _: Ledger) -> None:
    """Cancel the first of a token, so that the second moves up."""
    for operation_id in (OURS, THEIRS):
        await world.engine.submit(an_operation(operation_id, data="{}", dependencytoken="invoice-7"))
    with suppress(StateChangeRefused):
        await world.control.cancel(OURS)
    await world.run_everything()


async def family(world: World, _: Ledger) -> None:
    """Let an operation start two others and wait for them."""
    await world.engine.submit(an_operation(OURS, type=PARENT, data="{}"))
    await world.run_everything()


async def cancelled_family(world: World, _: Ledger) -> None:
    """Cancel an operation that waits for two others, which wait for a day far away."""
    await world.engine.submit(an_operation(OURS, type=PARENT, data='{"children": "wait"}'))
    await world.run_everything()
    with suppress(StateChangeRefused):
        await world.control.cancel(OURS)
    await world.run_everything()


async def event(world: World, _: Ledger) -> None:
    """Let an operation wait for an event, which is raised while it does."""
    await world.engine.submit(an_operation(OURS, type=PATIENT, data="{}"))
    await world.run_everything()
    with suppress(StateChangeRefused):
        await world.control.raise_event(OURS, "approved", "Ada")
    await world.run_everything()


async def recovered(world: World, _: Ledger) -> None:
    """Take back an attempt whose host died, and run it."""
    stored = await world.engine.submit(an_operation(OURS, data="{}"))
    await world.engine._claim(world.engine.store.place(stored.operation), stored)
    await world.pass_time(timedelta(minutes=2), step=timedelta(minutes=2))


async def removed_when_it_succeeded(world: World, ledger: Ledger) -> None:
    """Remove an operation with a caller's id and one with ours; a caller who was answered does not ask again."""
    if "run" not in ledger:
        await world.engine.submit(an_operation(OURS, data="{}", asyncautodelete=True))
        await world.engine.submit(an_operation(THEIRS, data="{}", asyncautodelete=True))
    await world.run_everything()
    await autodelete.remove(world.engine, kept=timedelta(0), budget=PLENTY)


async def removed_with_all_it_has(world: World, ledger: Ledger) -> None:
    """Remove one that stands elsewhere because of its token, with a long text; the next of the token runs."""
    if "run" not in ledger:
        data = '{"do": "long", "text": "' + "x" * 40_000 + '"}'
        for operation_id, text in ((THEIRS, data), (OURS, "{}")):
            new = an_operation(operation_id, data=text, dependencytoken="invoice-7", asyncautodelete=True)
            await world.engine.submit(new)
    await world.run_everything()
    await autodelete.remove(world.engine, kept=timedelta(0), budget=PLENTY)


async def removed_with_its_family(world: World, ledger: Ledger) -> None:
    """Remove a parent and its children, each by itself; the parent is woken as ever."""
    if "parent" not in ledger:
        await world.engine.submit(an_operation(OURS, type=PARENT, data='{"children": "go"}', asyncautodelete=True))
    await world.run_everything()
    await autodelete.remove(world.engine, kept=timedelta(0), budget=PLENTY)


SCENARIOS: dict[Scenario, list[str]] = {
    one: ["run"],
    with_a_callers_id: ["run"],
    slices: ["step 0", "step 1", "step 2", "step 3"],
    retry: ["first try", "run"],
    postponed: ["run"],
    long_payload: ["40000"],
    batch: ["run"] * 5,
    from_the_inbox: ["run"],
    paused_and_resumed: ["run"],
    recovered: ["run"],
    in_line: ["run"] * 3,
    cancelled_in_line: ["run"],
    family: ["child", "child", "parent"],
    cancelled_family: [],
    event: ["approved by Ada"],
    removed_when_it_succeeded: ["run", "run"],
    removed_with_all_it_has: ["40000", "run"],
    removed_with_its_family: ["child", "child", "parent"],
}
#: Scenarios in the end of which nothing may be left.
REMOVED = {removed_when_it_succeeded, removed_with_all_it_has, removed_with_its_family}


async def attempt(scenario: Scenario, account: MemoryStorage, clock: VirtualClock, faulty: FaultyStorage) -> Ledger:
    """Run *scenario* until it ends or dies, then restart, try what was asked for again, and let time pass."""
    ledger: Ledger = []
    options = EngineOptions(shards=2)
    await World(account, clock, host="first", options=options).open()
    world = await World(faulty, clock, host="first", options=options).open_quietly()
    handlers(world, ledger)
    done = False
    try:
        await scenario(world, ledger)
        done = True
    except* (Died, StorageUnavailable):
        pass  # That is what the call going wrong looks like; anything else fails the test.
    await asyncio.sleep(0)

    restarted = await World(account, clock, host="second", options=options).open()
    handlers(restarted, ledger)
    if not done:
        # The caller got no answer, so it asks again; what was accepted before must not be done twice over.
        await scenario(restarted, ledger)
    await restarted.pass_time(timedelta(minutes=12), step=timedelta(minutes=2))
    await autodelete.remove(restarted.engine, kept=timedelta(0), budget=PLENTY)
    await restarted.pass_time(timedelta(days=9), step=timedelta(days=3))
    return ledger


def check(account: MemoryStorage, scenario: Scenario, ledger: Ledger) -> None:
    expected = SCENARIOS[scenario]
    rows = account.table(TABLE).all_rows()
    records = [row for row in rows if row.key.startswith(ids.RECORD)]
    if scenario in REMOVED:
        left = [row.key for row in rows if row.partition != "layout" and not row.key.startswith("_")]
        assert left == [], "nothing is left of what was to be removed"
        assert list(account.blobs(PAYLOADS)._contents) == [], "its texts neither"
    else:
        assert records, "no operation vanishes"
    statuses = {row.values["statuscode"] for row in records if ids.is_record(row)}
    assert statuses <= {StatusCode.SUCCEEDED, StatusCode.CANCELED}
    assert [row.key for row in rows if row.key.startswith("t")] == [], "nobody stands in a token's line"
    assert [row.key for row in rows if row.key.startswith(ids.AGENDA)] == [], "the agenda is empty"
    assert set(ledger) == set(expected), "every effect was made"
    if len(records) == 1:
        assert len(ledger) <= len(expected) + 1, "an effect is repeated only where the process died inside it"


async def audit(account: MemoryStorage, clock: VirtualClock) -> None:
    store = OperationStore(account)
    await store.open()
    found = [finding async for finding in Audit(store, clock.now).everything()]
    assert [finding for finding in found if not finding.is_leftover] == [], "the audit finds nothing"


async def test_every_scenario_with_every_call_going_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    points = 0
    for scenario, expected in SCENARIOS.items():
        clock = VirtualClock(skips=PAUSES)
        account = MemoryStorage(clock.now)
        counted = FaultyStorage(account)
        ledger = await attempt(scenario, account, clock, counted)
        assert sorted(ledger) == sorted(expected), scenario.__name__
        check(account, scenario, ledger)
        await audit(account, clock)
        for number in range(1, len(counted.calls) + 1):
            for fault in Fault:
                clock = VirtualClock(skips=PAUSES)
                account = MemoryStorage(clock.now)
                faulty = FaultyStorage(account, number=number, fault=fault)
                where = f"{scenario.__name__}, call {number} of {len(counted.calls)}, {fault.name}: "
                try:
                    ledger = await attempt(scenario, account, clock, faulty)
                    check(account, scenario, ledger)
                    await audit(account, clock)
                except AssertionError as error:
                    raise AssertionError(where + counted.calls[number - 1] + f" - {error}") from error
                points += 1
    with capsys.disabled():
        print(f"\n{points} crash points of {len(SCENARIOS)} scenarios swept")  # noqa: T201 - part of the proof
    assert points > 400
