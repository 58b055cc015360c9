"""Operations that start others, wait for them or for events, and take them along when they are cancelled."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from asyncservice.operations import ids
from asyncservice.operations.agenda import Repair
from asyncservice.operations.errors import ErrorCode, InvalidOperation, LeaseLost, StateChangeRefused
from asyncservice.operations.handling import (
    Done,
    OperationContext,
    OperationFailed,
    Outcome,
    WaitingForChildren,
    WaitingForEvent,
)
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.operations.submission import Submission
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from handlers.cancel_async_operations import act_on_operations
from tests.faults import FreezingStorage
from tests.operations.world import World, until
from tests.support import VirtualClock, an_id

PARENT, CHILD = OperationType.BULK_DELETE, OperationType.BULK_DELETE_SUBPROCESS


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    made = await World(storage, clock).open()
    made.handle(act_on_operations, type=OperationType.CANCEL_ASYNC_OPERATIONS)
    return made


def a_family(world: World, number: int) -> list[str]:
    """Register a parent that starts *number* children and adds up how they ended; each third child fails."""
    runs: list[str] = []

    async def parent(context: OperationContext) -> Outcome:
        if context.checkpoint is None:
            children = [Submission(operationtype=int(CHILD), name=str(n), data={"n": n}) for n in range(number)]
            await context.start_children(children)
            return WaitingForChildren("started")
        tally = await context.children()
        return Done(f"{tally.succeeded} succeeded, {tally.failed} failed, {tally.canceled} canceled of {tally.total}")

    async def child(context: OperationContext) -> Outcome:
        runs.append(context.operation.name or "")
        if context.data["n"] % 3 == 2:
            raise OperationFailed("each third")

    world.handle(parent, type=PARENT)
    world.handle(child, type=CHILD)
    return runs


async def kept(world: World) -> list[AsyncOperation]:
    store = world.engine.store
    return [each.operation for shard in range(store.shards) async for each in store.scan(shard)]


async def test_a_parent_waits_for_all_its_children_and_adds_up_how_they_ended(world: World) -> None:
    runs = a_family(world, 7)
    parent_id = await world.submit(type=PARENT)
    await world.run_everything()
    parent = await world.get(parent_id)
    assert parent.friendlymessage == "5 succeeded, 2 failed, 0 canceled of 7"
    assert sorted(runs) == [str(number) for number in range(7)]
    children = [each for each in await kept(world) if each.operationtype == CHILD]
    assert {(each.parentoperationid, each.correlationid, each.depth) for each in children} == {
        (parent_id, parent.correlationid, 2)
    }


async def test_a_waiting_parent_says_so(world: World) -> None:
    a_family(world, 2)
    parent_id = await world.submit(type=PARENT)
    await world.deliver()
    parent = await world.get(parent_id)
    if parent.statuscode is StatusCode.WAITING:
        assert (parent.waitreason, parent.childcount) == ("children", 2)
    await world.run_everything()
    assert (await world.get(parent_id)).waitreason is None


async def test_thousands_of_children_are_waited_for_without_polling(clock: VirtualClock) -> None:
    world = await World(MemoryStorage(clock.now), clock).open()
    a_family(world, 3000)
    parent_id = await world.submit(type=PARENT)
    await world.run_everything()
    parent = await world.get(parent_id)
    assert parent.friendlymessage == "2000 succeeded, 1000 failed, 0 canceled of 3000"
    assert [entry.action for entry in parent.history] == ["create", "claim", "wait", "fall due", "claim", "succeed"]


async def test_the_word_of_the_last_child_may_be_lost(world: World) -> None:
    a_family(world, 3)
    parent_id = await world.submit(type=PARENT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.engine, "join", lambda _: asyncio.sleep(0, result=False))
        await world.run_everything()
    assert (await world.get(parent_id)).waitreason == "children"
    world.clock.jump(timedelta(minutes=6))
    assert (await world.sweep()).get(Repair.HINTED) == 1
    await world.run_everything()
    assert (await world.get(parent_id)).statuscode is StatusCode.SUCCEEDED


async def test_starting_children_twice_starts_them_once(world: World) -> None:
    attempts = 0

    async def parent(context: OperationContext) -> Outcome:
        nonlocal attempts
        attempts += 1
        submissions = [Submission(operationtype=int(CHILD)) for _ in range(5)]
        first = await context.start_children(submissions)
        again = await context.start_children(submissions)
        more = await context.start_children(submissions[:2], key="more")
        return Done(f"{first} {again} {more}")

    world.handle(parent, type=PARENT)
    parent_id = await world.submit(type=PARENT)
    await world.deliver()
    assert (await world.get(parent_id)).friendlymessage == "5 5 7"
    assert len(await kept(world)) == 8


async def test_cancelling_a_waiting_parent_cancels_what_it_started(world: World) -> None:
    async def parent(context: OperationContext) -> Outcome:
        due = context.now() + timedelta(days=1)
        await context.start_children([Submission(operationtype=int(CHILD), postponeuntil=due) for _ in range(4)])
        return WaitingForChildren("started")

    world.handle(parent, type=PARENT)
    parent_id = await world.submit(type=PARENT)
    await world.run_everything()
    assert (await world.control.cancel(parent_id)).statuscode is StatusCode.CANCELED
    await world.run_everything()
    children = [each for each in await kept(world) if each.operationtype == CHILD]
    assert [each.statuscode for each in children] == [StatusCode.CANCELED] * 4
    [canceller] = [each for each in await kept(world) if each.operationtype == OperationType.CANCEL_ASYNC_OPERATIONS]
    assert (canceller.statuscode, canceller.successcount) == (StatusCode.SUCCEEDED, 4)


async def test_a_family_is_deleted_without_a_trace(world: World) -> None:
    a_family(world, 5)
    parent_id = await world.submit(type=PARENT)
    await world.run_everything()
    for each in await kept(world):
        await world.control.delete(each.asyncoperationid)
    assert await world.engine.store.read(parent_id) is None
    table = world.engine.store.table
    for shard in range(world.engine.store.shards):
        assert [row.key async for row in table.scan(ids.partition_name(shard), start=ids.AGENDA)] == []


async def test_a_child_cannot_have_a_token(world: World) -> None:
    async def parent(context: OperationContext) -> Outcome:
        with pytest.raises(InvalidOperation, match="dependencytoken"):
            await context.start_children([Submission(operationtype=int(CHILD), dependencytoken="t")])

    world.handle(parent, type=PARENT)
    parent_id = await world.submit(type=PARENT)
    await world.run_everything()
    assert (await world.get(parent_id)).statuscode is StatusCode.SUCCEEDED


async def of_type(world: World, kind: OperationType) -> list[AsyncOperation]:
    return [each for each in await kept(world) if each.operationtype == kind]


def hanging(world: World, *, then: Outcome = None, starts: int = 1) -> asyncio.Event:
    """Register a parent that starts children, then waits to be told to go on and ends as *then* says."""
    go = asyncio.Event()

    async def parent(context: OperationContext) -> Outcome:
        if not context.operation.childcount:
            due = context.now() + timedelta(days=1)
            children = [Submission(operationtype=int(CHILD), data={"n": 0}, postponeuntil=due) for _ in range(starts)]
            await context.start_children(children)
            await go.wait()
            if isinstance(then, Done):
                raise OperationFailed("so be it")
            return then
        return None

    world.handle(parent, type=PARENT)
    return go


async def test_a_child_outlives_the_parent_that_is_removed(world: World) -> None:
    """It ends as if nobody had started it, and nothing of the family is left when it is removed too."""
    go = asyncio.Event()

    async def parent(context: OperationContext) -> None:
        await context.start_children([Submission(operationtype=int(CHILD)) for _ in range(3)])

    async def child(_: OperationContext) -> None:
        await go.wait()

    world.handle(parent, type=PARENT)
    world.handle(child, type=CHILD)
    parent_id = await world.submit(type=PARENT)
    await world.engine.run_one(world.engine.store.place(await world.get(parent_id)))
    running = [await world.start(each.asyncoperationid) for each in await of_type(world, CHILD)]
    await world.control.delete(parent_id)
    go.set()
    await asyncio.gather(*running)
    children = await of_type(world, CHILD)
    assert [each.statuscode for each in children] == [StatusCode.SUCCEEDED] * 3
    for each in children:
        await world.control.delete(each.asyncoperationid)
    table = world.engine.store.table
    for shard in range(world.engine.store.shards):
        assert [row.key async for row in table.scan(ids.partition_name(shard), start=ids.AGENDA)] == []


async def test_an_attempt_that_was_taken_over_starts_no_children(world: World) -> None:
    """Its host stood still; the operation was cancelled meanwhile, and nobody would cancel what it starts now."""
    go = asyncio.Event()
    lost: list[type[BaseException]] = []

    async def parent(context: OperationContext) -> Outcome:
        await go.wait()
        try:
            await context.start_children([Submission(operationtype=int(CHILD))])
        except LeaseLost as error:
            lost.append(type(error))
            raise

    world.handle(parent, type=PARENT)
    parent_id = await world.submit(type=PARENT)
    running = await world.start(parent_id)
    await world.control.cancel(parent_id)
    world.clock.jump(timedelta(minutes=2))
    await world.sweep()
    assert (await world.get(parent_id)).statuscode is StatusCode.CANCELED
    go.set()
    await running
    assert (lost, await of_type(world, CHILD)) == ([LeaseLost], [])


@pytest.mark.parametrize("then", [Done(), WaitingForChildren(), WaitingForEvent("approved")], ids=["fails", "c", "e"])
async def test_a_parent_that_ends_before_it_sees_that_it_is_cancelled_takes_its_children_along(
    world: World, then: Outcome
) -> None:
    go = hanging(world, then=then, starts=2)
    parent_id = await world.submit(type=PARENT)
    running = await world.start(parent_id)
    await until(lambda: has_children(world))
    await world.control.cancel(parent_id)
    go.set()
    await running
    await world.run_everything()
    parent = await world.get(parent_id)
    assert parent.statuscode is (StatusCode.FAILED if isinstance(then, Done) else StatusCode.CANCELED)
    assert (parent.awaits, parent.iswaitingforevent) == (None, False)
    assert [each.statuscode for each in await of_type(world, CHILD)] == [StatusCode.CANCELED] * 2


async def has_children(world: World) -> bool:
    return bool(await of_type(world, CHILD))


@pytest.mark.parametrize("at", range(1, 12))
async def test_a_child_that_is_tried_again_keeps_its_parent_waiting(clock: VirtualClock, at: int) -> None:
    """Whoever completes the last child stands still on his way to wake the parent; somebody reopens another."""
    account = MemoryStorage(clock.now)

    async def parent(context: OperationContext) -> Outcome:
        if context.checkpoint is None:
            await context.start_children([Submission(operationtype=int(CHILD), data={"n": n}) for n in range(2)])
            return WaitingForChildren("started")
        return Done(f"{(await context.children()).unfinished} unfinished")

    async def child(context: OperationContext) -> Outcome:
        if context.data["n"] == 0 and context.operation.attempt == 1:
            raise OperationFailed("the first time")

    async def a_world(storage: Storage) -> World:
        made = World(storage, clock)
        made.handle(parent, type=PARENT)
        made.handle(child, type=CHILD)
        return await made.open()

    world = await a_world(account)
    parent_id = await world.submit(type=PARENT)
    await world.engine.run_one(world.engine.store.place(await world.get(parent_id)))
    first, last = sorted(await of_type(world, CHILD), key=lambda each: each.data or "")
    await world.engine.run_one(world.engine.store.place(first))
    await world.lose_hints()
    storage = FreezingStorage(account, number=-1)
    completing = await a_world(storage)
    storage.freeze_at(len(storage.calls) + at)
    task = asyncio.create_task(completing.engine.run_one(completing.engine.store.place(last)))
    standing = asyncio.create_task(storage.frozen.wait())
    await asyncio.wait({task, standing}, return_when="FIRST_COMPLETED")
    standing.cancel()
    is_waiting = (await world.get(parent_id)).awaits == "children"
    if is_waiting:
        await world.control.retry(first.asyncoperationid)
    storage.thawed.set()
    await task
    assert ((await world.get(parent_id)).awaits == "children") is is_waiting
    await world.run_everything()
    assert (await world.get(parent_id)).friendlymessage == "0 unfinished"


def awaiting(world: World, *, until: timedelta | None = None) -> None:
    async def handler(context: OperationContext) -> Outcome:
        if context.checkpoint is None:
            return WaitingForEvent(
                "approved", until=None if until is None else context.now() + until, checkpoint="asked"
            )
        return Done(f"approved by {(await context.event('approved') or {}).get('by', 'nobody')}")

    world.handle(handler)


async def test_an_event_wakes_the_operation_that_waits_for_it(world: World) -> None:
    awaiting(world)
    operation_id = await world.submit()
    await world.run_everything()
    operation = await world.get(operation_id)
    assert (operation.waitreason, operation.iswaitingforevent) == ("event", True)
    await world.control.raise_event(operation_id, "other", {"by": "nobody"})
    await world.run_everything()
    assert (await world.get(operation_id)).waitreason == "event"
    await world.control.raise_event(operation_id, "approved", {"by": "Ada"})
    await world.run_everything()
    operation = await world.get(operation_id)
    assert (operation.friendlymessage, operation.iswaitingforevent) == ("approved by Ada", False)


async def test_an_event_that_comes_first_is_not_lost(world: World) -> None:
    awaiting(world)
    operation_id = await world.submit()
    await world.control.raise_event(operation_id, "approved", {"by": "Grace"})
    await world.run_everything()
    assert (await world.get(operation_id)).friendlymessage == "approved by Grace"


async def test_an_event_that_comes_while_the_handler_runs_is_not_lost(world: World) -> None:
    go = asyncio.Event()

    async def handler(context: OperationContext) -> Outcome:
        if context.checkpoint is None:
            await go.wait()
            return WaitingForEvent("approved", checkpoint="asked")
        return Done("approved")

    world.handle(handler)
    operation_id = await world.submit()
    running = await world.start(operation_id)
    await world.control.raise_event(operation_id, "approved")
    go.set()
    await running
    await world.run_everything()
    assert (await world.get(operation_id)).friendlymessage == "approved"


async def test_waiting_for_an_event_ends_with_its_time(world: World) -> None:
    awaiting(world, until=timedelta(days=30))
    operation_id = await world.submit()
    await world.run_everything()
    world.clock.jump(timedelta(days=29))
    await world.sweep()
    await world.run_everything()
    assert (await world.get(operation_id)).waitreason == "event"
    world.clock.jump(timedelta(days=1, seconds=1))
    await world.sweep()
    await world.run_everything()
    assert (await world.get(operation_id)).friendlymessage == "approved by nobody"


async def test_events_have_rules(world: World) -> None:
    operation_id = await world.submit()
    with pytest.raises(InvalidOperation, match="event name"):
        await world.control.raise_event(operation_id, "a/b")
    with pytest.raises(InvalidOperation, match="limit"):
        await world.control.raise_event(operation_id, "a", "x" * 40_000)
    await world.control.cancel(operation_id)
    with pytest.raises(StateChangeRefused):
        await world.control.raise_event(operation_id, "a")


async def act(world: World, **data: object) -> AsyncOperation:
    """Submit an action on many operations, run it, and return what became of it."""
    submission = Submission(operationtype=int(OperationType.CANCEL_ASYNC_OPERATIONS), data=data)
    operation = submission.operation(now=world.clock.now(), new_id=an_id(world.clock.now()))
    await world.engine.submit(operation)
    await world.run_everything()
    return await world.get(operation.asyncoperationid)


WAITING = [["statuscode", "eq", 10], ["name", "eq", "this"]]


async def waiting(world: World, number: int) -> list[UUID]:
    due = world.clock.now() + timedelta(days=1)
    return [
        await world.submit(operation_id=uuid4(), name=name, statuscode=StatusCode.WAITING, postponeuntil=due)
        for name in ["this"] * number + ["that"]
    ]


async def test_all_that_match_are_counted_and_then_cancelled(world: World) -> None:
    made = await waiting(world, 9)
    counted = await act(world, Action="cancel", Filter=WAITING, DryRun=True)
    assert (counted.successcount, counted.friendlymessage) == (9, "9 match; 0 refused.")
    assert {(await world.get(each)).statuscode for each in made} == {StatusCode.WAITING}
    done = await act(world, Action="cancel", Filter=WAITING)
    assert (done.statuscode, done.successcount, done.failurecount) == (StatusCode.SUCCEEDED, 9, 0)
    assert [(await world.get(each)).statuscode for each in made] == [StatusCode.CANCELED] * 9 + [StatusCode.WAITING]


async def test_values_are_compared_as_the_column_keeps_them(world: World) -> None:
    made = await waiting(world, 1)
    for condition in (
        ["asyncoperationid", "eq", str(made[0])],
        ["createdon", "lt", "2026-03-01T12:00:01Z"],
        ["postponeuntil", "gt", "2026-03-01T12:00:01"],
    ):
        counted = await act(world, Action="cancel", Filter=[condition, *WAITING], DryRun=True)
        assert counted.successcount == 1, condition


async def test_what_is_refused_is_counted_and_stops_nothing(world: World) -> None:
    await waiting(world, 3)
    done = await act(world, Action="pause", Filter=WAITING)
    assert (done.statuscode, done.successcount, done.failurecount) == (StatusCode.SUCCEEDED, 0, 3)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"Action": "destroy", "Filter": WAITING}, "none of cancel, delete, pause"),
        ({"Action": "cancel"}, "Filter must name"),
        ({"Action": "cancel", "Filter": []}, "Filter must name"),
        ({"Action": "cancel", "Filter": [["nonsense", "eq", 1]]}, "no condition"),
        ({"Action": "cancel", "Filter": [["name", "like", "x"]]}, "no condition"),
        ({"Action": "cancel", "Filter": [["createdon", "lt", "zzz"]]}, "does not fit createdon"),
        ({"Action": "cancel", "Filter": [["asyncoperationid", "eq", 5]]}, "does not fit asyncoperationid"),
        ({"Action": "postpone", "Filter": WAITING, "PostponeUntil": "soon"}, "no moment"),
    ],
)
async def test_a_wrong_request_says_what_to_change(world: World, data: dict[str, object], said: str) -> None:
    done = await act(world, **data)
    assert done.statuscode is StatusCode.FAILED
    assert said in (done.message or "")


async def test_a_chain_that_goes_round_in_a_circle_is_ended(world: World) -> None:
    async def handler(context: OperationContext) -> Outcome:
        await context.start_children([Submission(operationtype=int(CHILD))])

    world.handle(handler, type=CHILD)
    await world.submit(type=CHILD)
    await world.run_everything()
    chain = sorted(await kept(world), key=lambda each: each.depth)
    assert [each.depth for each in chain] == list(range(1, 18))
    assert {each.statuscode for each in chain[:16]} == {StatusCode.SUCCEEDED}
    assert (chain[16].statuscode, chain[16].errorcode) == (StatusCode.FAILED, ErrorCode.LOOP_DETECTED)
    assert str(chain[0].asyncoperationid) in (chain[16].message or ""), "the correlation is the first one's id"
    assert str(chain[15].asyncoperationid) in (chain[16].message or "")


async def test_a_chain_that_was_quiet_counts_anew(world: World) -> None:
    async def handler(context: OperationContext) -> Outcome:
        world.clock.jump(timedelta(minutes=11))
        await context.start_children([Submission(operationtype=int(CHILD), name="child")], key="once")

    world.handle(handler, type=PARENT)
    await world.submit(type=PARENT, depth=16)
    await world.deliver()
    assert [each.depth for each in await kept(world) if each.name == "child"] == [1]
