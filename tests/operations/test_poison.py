"""Poison messages: listed, shown, put back; whatever is put back twice is done once."""

import base64
import json
from collections.abc import Sequence

import pytest

from asyncservice.operations import inbox, poison
from asyncservice.operations.errors import InvalidOperation, MessageNotFound
from asyncservice.operations.handling import Done, OperationContext, Outcome
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.record import AsyncOperation
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageRefused, StorageUnavailable
from asyncservice.storage.memory import MemoryQueue, MemoryStorage
from tests.faults import Died, Fault, FaultyStorage
from tests.operations.world import HOST_HIDES, World
from tests.support import VirtualClock

ASKED = '{"operationtype": "ExecuteAsyncRequest", "name": "pay"}'
NAMED = '{"operationtype": 54, "asyncoperationid": "9a7b0000-0000-4000-8000-0000000000a1"}'
EMAIL = Family.EMAIL.queue_name


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    return await a_world(storage, clock)


async def a_world(storage: Storage, clock: VirtualClock) -> World:
    world = await World(storage, clock).open()

    async def handler(_: OperationContext) -> Outcome:
        return Done()

    world.handle(handler)
    return world


async def set_aside(storage: Storage, *texts: str, queue: str = INBOX) -> list[str]:
    """Put messages on a poison queue as the host would; return their ids."""
    aside = storage.queue(queue + poison.SUFFIX)
    await aside.create()
    for text in texts:
        await aside.send(text)
    return [message.id for message in await aside.peek(count=32)]


async def accept_all(world: World) -> int:
    """Do with the inbox what the host does; return how many messages there were."""
    queue = world.storage.queue(INBOX)
    accepted = 0
    while taken := await queue.receive(count=32, hidden_for=HOST_HIDES):
        for message in taken:
            accepted += 1
            await inbox.accept(
                world.engine, message.text.encode(), message_id=message.id, inserted_on=message.inserted_on
            )
            await queue.delete(message)
    return accepted


async def operations(world: World) -> Sequence[AsyncOperation]:
    store = world.engine.store
    return [each.operation for shard in range(store.shards) async for each in store.scan(shard)]


@pytest.mark.usefixtures("world")
async def test_one_queue_is_listed_and_one_message_is_shown(storage: Storage) -> None:
    [first, second] = await set_aside(storage, ASKED, NAMED)
    await set_aside(storage, "not ours", queue=EMAIL)
    assert {each.id async for each in poison.messages(storage, queue=INBOX)} == {first, second}
    assert {each.queue async for each in poison.messages(storage)} == {INBOX, EMAIL}
    shown = await poison.find(storage, INBOX + poison.SUFFIX, second)
    assert (shown.text, shown.queue) == (NAMED, INBOX)
    assert shown.as_plain()["reason"] == "It could not be recorded: the storage did not answer at any delivery."
    assert await poison.lengths(storage) == {INBOX: 2, EMAIL: 1}


@pytest.mark.usefixtures("world")
async def test_what_is_not_there_is_said_so(storage: Storage) -> None:
    with pytest.raises(InvalidOperation, match="'async-coffee' is no queue of the service; it has async-operations"):
        [each async for each in poison.messages(storage, queue="async-coffee")]
    with pytest.raises(InvalidOperation, match="is no queue"):
        await poison.redrive(storage, queue="async-coffee")
    with pytest.raises(MessageNotFound, match="has no poison message 7 among its oldest 32"):
        await poison.find(storage, INBOX, "7")
    assert await poison.redrive(storage) == 0
    assert await poison.lengths(storage) == {}


async def test_only_the_queue_that_is_named_is_put_back(storage: Storage, world: World) -> None:
    await set_aside(storage, ASKED, NAMED)
    await set_aside(storage, "not ours", queue=EMAIL)
    assert await poison.redrive(storage, queue=INBOX) == 2
    assert await poison.lengths(storage) == {EMAIL: 1}
    assert await accept_all(world) == 2


@pytest.mark.parametrize("text", [ASKED, base64.b64encode(ASKED.encode()).decode(), NAMED], ids=["plain", "64", "id"])
async def test_put_back_twice_it_is_one_operation(clock: VirtualClock, text: str) -> None:
    """The process dies between sending and removing: the message is in both queues, and is put back again."""
    world = await a_world(MemoryStorage(clock.now), clock)
    await set_aside(world.storage, text)
    dying = FaultyStorage(world.storage, number=4, fault=Fault.DIES_BEFORE)
    with pytest.raises(Died):
        await poison.redrive(dying, queue=INBOX)
    assert dying.calls[-1] == f"delete {INBOX}{poison.SUFFIX}"
    clock.jump(HOST_HIDES)
    assert await poison.redrive(world.storage) == 1
    assert await accept_all(world) == 2
    await world.run_everything()
    assert len(await operations(world)) == 1


async def test_whatever_call_goes_wrong_nothing_is_lost_and_nothing_is_doubled() -> None:
    points = 0
    for fault in Fault:
        number = 0
        done = False
        while not done:
            number += 1
            clock = VirtualClock()
            account = MemoryStorage(clock.now)
            world = await a_world(account, clock)
            await set_aside(account, ASKED, NAMED, "no message at all")
            faulty = FaultyStorage(account, number=number, fault=fault)
            try:
                await poison.redrive(faulty)
                done = len(faulty.calls) < number
            except* (Died, StorageUnavailable):
                points += 1
            clock.jump(HOST_HIDES)
            await poison.redrive(account)
            await accept_all(world)
            await world.run_everything()
            found = await operations(world)
            assert sum(each.operationtype == 54 for each in found) == 2, f"call {number}, {fault.name}"
            assert any(each.data == "no message at all" for each in found)
            assert await poison.lengths(account) == {}
    assert points > 20


async def test_a_message_that_would_grow_too_long_is_put_back_as_it_was(world: World) -> None:
    text = json.dumps({"operationtype": 54, "data": {"long": "x" * 65_450}})
    await set_aside(world.storage, text)
    assert await poison.redrive(world.storage) == 1
    [message] = await world.storage.queue(INBOX).receive(count=1, hidden_for=HOST_HIDES)
    assert message.text == text


async def test_a_queue_that_may_not_be_read_is_no_empty_one(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await a_world(MemoryStorage(clock.now), clock)

    async def forbidden(_: MemoryQueue) -> int:
        raise StorageRefused("403 AuthorizationFailure")

    monkeypatch.setattr(MemoryQueue, "length", forbidden)
    with pytest.raises(StorageRefused, match="AuthorizationFailure"):
        [each async for each in poison.messages(world.storage)]
    with pytest.raises(StorageRefused, match="AuthorizationFailure"):
        await poison.redrive(world.storage)
