"""Slots: who runs, who waits, who is left to other hosts; and that nobody starves or is lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.operations import slots
from asyncservice.operations.agenda import Repair
from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.handling import OperationContext, Outcome
from asyncservice.operations.operationtypes import Family, OperationType
from asyncservice.operations.slots import Party, Slots, own_slots
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.queues import QueueMessage
from tests.faults import FaultyStorage
from tests.operations.world import HOST_HIDES, World
from tests.support import VirtualClock, an_id, an_operation

IMPORTS = Family.IMPORTS
EMAIL = Family.EMAIL
FAMILIES = [IMPORTS, EMAIL, Family.WORKFLOWS]


async def test_slots_are_given_in_order_within_a_family() -> None:
    some = Slots(2)
    turns = [some.ask(IMPORTS) for _ in range(4)]
    assert [turn.done() for turn in turns] == [True, True, False, False]
    some.give(IMPORTS)
    assert [turn.done() for turn in turns] == [True, True, True, False]
    some.leave(IMPORTS, turns[3])
    some.give(IMPORTS)
    assert not turns[3].done()
    assert some.running == 1


async def test_a_flood_of_one_family_leaves_the_others_slots_of_their_own() -> None:
    some = Slots(40)
    flood = [some.ask(IMPORTS) for _ in range(100)]
    begun = sum(turn.done() for turn in flood)
    assert begun == 40 - own_slots(40) * (len(Family) - 1)
    for family in Family:
        if family is not IMPORTS:
            assert some.ask(family).done()
            assert not some.ask(family).done()


async def test_a_common_slot_goes_to_the_waiting_family_that_runs_least() -> None:
    some = Slots(4)
    for _ in range(3):
        some.ask(IMPORTS)
    some.ask(EMAIL)
    second_import, second_mail = some.ask(IMPORTS), some.ask(EMAIL)
    some.give(IMPORTS)
    assert (second_mail.done(), second_import.done()) == (True, False)


async def test_one_slot_brings_back_one_that_rests() -> None:
    some = Slots(4)
    for _ in range(4):
        some.ask(IMPORTS)
    resting = [asyncio.create_task(some.room(IMPORTS)) for _ in range(4)]
    await VirtualClock.settle()
    resting[0].cancel()
    await VirtualClock.settle()
    some.give(IMPORTS)
    await VirtualClock.settle()
    assert [rest.done() for rest in resting] == [True, True, False, False]
    # There is a slot that nobody wants: nobody needs to rest.
    await some.room(IMPORTS)


async def test_nobody_rests_where_fewer_run(clock: VirtualClock) -> None:
    """Otherwise a host with few slots and many messages would sit idle until they have rested enough."""
    some = Slots(3)
    for _ in range(3):
        some.ask(IMPORTS)
    resting = [asyncio.create_task(some.room(IMPORTS)) for _ in range(30)]
    await clock.settle()
    for left in (2, 1, 0):
        some.give(IMPORTS)
        await clock.settle()
        assert sum(not rest.done() for rest in resting) == left


@given(st.integers(1, 60), st.randoms(use_true_random=False))
def test_slots_are_neither_lost_nor_given_twice(count: int, random: Random) -> None:
    """Whoever asks, runs, is cancelled or given up, at whatever moment."""

    async def live() -> None:
        some = Slots(count)
        running: Counter[Family] = Counter()

        async def work(party: Party[int], number: int, family: Family) -> None:
            async with party.turn(family, number) as has_come:
                if not has_come:
                    return
                running[family] += 1
                assert running.total() <= some.running <= count
                try:
                    for _ in range(random.randrange(4)):
                        await asyncio.sleep(0)
                finally:
                    running[family] -= 1

        tasks = []
        for number in range(30):
            party = Party[int](some)
            tasks += [
                asyncio.create_task(work(party, number, random.choice(FAMILIES)))
                for _ in range(random.randrange(1, 12))
            ]
            if random.random() < 0.5:
                await asyncio.sleep(0)
            if random.random() < 0.3:
                party.give_up()
            if random.random() < 0.5:
                random.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert [task for task in tasks if not task.cancelled() and task.exception()] == []
        assert some.running == 0
        for family in FAMILIES:
            assert some.is_free(family)

    asyncio.run(live())


def slow(world: World) -> asyncio.Event:
    """Let operations of an import run until the event is set."""
    let_go = asyncio.Event()

    async def handler(_: OperationContext) -> Outcome:
        await let_go.wait()

    world.handle(handler, type=OperationType.IMPORT)
    return let_go


class Mute(FaultyStorage):
    """Storage whose queues take nothing while it is told so."""

    is_mute = False

    async def call(self, what: str, apply: Callable[[], Awaitable[Any]]) -> Any:
        if self.is_mute and what.startswith("send "):
            raise StorageUnavailable(what)
        return await super().call(what, apply)


async def two_hosts(storage: Storage, clock: VirtualClock, concurrency: int) -> tuple[World, World]:
    options = EngineOptions(shards=1, concurrency=concurrency)
    first, second = (World(storage, clock, host=name, options=options) for name in ("first", "second"))
    return await first.open(), await second.open()


async def take(world: World, most: int = 32) -> list[asyncio.Task[None]]:
    """Take hints as a Functions host does: the message is deleted when its invocation has returned."""
    queue = world.storage.queue(IMPORTS.queue_name)

    async def work(message: QueueMessage) -> None:
        await world.engine.run(message.text)
        await queue.delete(message)

    taken = await queue.receive(count=most, hidden_for=HOST_HIDES)
    tasks = [asyncio.create_task(work(message)) for message in taken]
    await VirtualClock.settle()
    return tasks


async def submitted(world: World, count: int) -> None:
    now = world.clock.now()
    await world.engine.submit_many(
        [an_operation(an_id(shard=0), type=OperationType.IMPORT, now=now) for _ in range(count)]
    )


async def hosts(world: World) -> Counter[str | None]:
    """Count the operations that run or have run, by host."""
    return Counter([each.operation.hostid async for each in world.engine.store.scan(0)])


async def test_what_a_host_cannot_begin_goes_to_one_that_can(clock: VirtualClock) -> None:
    storage = MemoryStorage(clock.now)
    first, second = await two_hosts(storage, clock, 10)
    events = [slow(first), slow(second)]
    await submitted(first, 20)
    everything = await take(first)
    assert await take(second) == [], "the first has it all"
    assert await hosts(first) == {"first": 10, None: 10}

    await clock.advance(slots.PATIENCE)
    some = await take(second)
    assert await hosts(first) == {"first": 10, "second": 10}
    assert await take(first) == [], "nothing is left"
    for event in events:
        event.set()
    await asyncio.gather(*everything, *some)
    assert await storage.queue(IMPORTS.queue_name).length() == 0


async def test_a_host_without_room_hands_back_once_and_takes_no_more(clock: VirtualClock) -> None:
    """Nobody else is there. Work that was handed back waits in the queue, and nothing is sent or taken meanwhile."""
    storage = MemoryStorage(clock.now)
    faults = FaultyStorage(storage)
    first, _ = await two_hosts(faults, clock, 4)
    let_go = slow(first)
    await submitted(first, 12)
    messages = await take(first)
    await clock.advance(slots.PATIENCE)
    assert await storage.queue(IMPORTS.queue_name).length() > len(messages)
    assert all(not task.done() for task in messages), "each keeps its place in the host"
    calls = len(faults.calls)
    await clock.advance(timedelta(seconds=10))
    assert len(faults.calls) == calls

    let_go.set()
    await asyncio.gather(*messages)
    while messages := await take(first):
        await asyncio.gather(*messages)
    assert await hosts(first) == {"first": 12}
    assert await storage.queue(IMPORTS.queue_name).length() == 0


async def test_a_message_without_room_keeps_its_place_no_longer_than_a_while(clock: VirtualClock) -> None:
    storage = MemoryStorage(clock.now)
    first, _ = await two_hosts(storage, clock, 4)
    let_go = slow(first)
    await submitted(first, 5)
    messages = await take(first)
    await clock.advance(slots.PATIENCE)
    assert sum(task.done() for task in messages) == 0
    await clock.advance(slots.LONGEST_PAUSE)
    assert sum(task.done() for task in messages) == 1
    let_go.set()
    await asyncio.gather(*messages)


async def test_quick_work_is_never_handed_back(clock: VirtualClock) -> None:
    storage = MemoryStorage(clock.now)
    faults = FaultyStorage(storage)
    first, _ = await two_hosts(faults, clock, 8)

    async def handler(_: OperationContext) -> Outcome:
        await clock.sleep(timedelta(milliseconds=50))

    first.handle(handler, type=OperationType.IMPORT)
    await submitted(first, 300)
    while messages := await take(first):
        await clock.advance(timedelta(seconds=2))
        await asyncio.gather(*messages)
    assert await hosts(first) == {"first": 300}
    assert await storage.queue(IMPORTS.queue_name).length() == 0
    assert faults.calls.count(f"send {IMPORTS.queue_name}") == 30, "ten in each, sent when they were submitted"


async def test_the_sweep_knows_how_long_work_has_waited_that_was_handed_back(clock: VirtualClock) -> None:
    """Its hint is young; the sweep must not take the old one for lost and add another."""
    storage = MemoryStorage(clock.now)
    first, _ = await two_hosts(storage, clock, 4)
    let_go = slow(first)
    await submitted(first, 40)
    since = clock.now()
    messages = await take(first)
    await clock.advance(slots.PATIENCE)
    assert await first.engine.hints.oldest(IMPORTS) == since
    before = await storage.queue(IMPORTS.queue_name).length()
    await clock.advance(first.engine.options.agenda.hint_grace)
    assert Repair.HINTED not in await first.sweep()
    assert await storage.queue(IMPORTS.queue_name).length() <= before
    let_go.set()
    await asyncio.gather(*messages)


async def test_work_that_cannot_be_handed_back_comes_back_with_its_message(clock: VirtualClock) -> None:
    storage = Mute(MemoryStorage(clock.now))
    first, _ = await two_hosts(storage, clock, 4)
    let_go = slow(first)
    await submitted(first, 5)
    messages = await take(first)
    storage.is_mute = True
    await clock.advance(slots.PATIENCE)
    storage.is_mute = False
    [failed] = [task for task in messages if task.done()]
    with pytest.raises(StorageUnavailable):
        await failed
    let_go.set()
    await asyncio.gather(*messages, return_exceptions=True)
    assert await hosts(first) == {"first": 4, None: 1}
    await clock.advance(HOST_HIDES)
    await first.run_everything()
    assert await hosts(first) == {"first": 5}


async def test_a_message_that_is_no_hint_is_as_old_as_it_is(clock: VirtualClock) -> None:
    storage = MemoryStorage(clock.now)
    first, _ = await two_hosts(storage, clock, 4)
    await storage.queue(IMPORTS.queue_name).send("no hint")
    assert await first.engine.hints.oldest(IMPORTS) == clock.now()
