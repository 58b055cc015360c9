"""The inbox: messages of other services become operations, each once, or records that say why not."""

import base64
import json
from datetime import timedelta
from uuid import UUID

import pytest

from asyncservice.operations import codec, ids, inbox
from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.handling import Done, OperationContext, Outcome
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.operations.store import TABLE
from asyncservice.operations.submission import NO_TYPE
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import prefix_end
from tests.operations.world import World
from tests.support import NOON, VirtualClock

OWN_ID = "9a7b0000-0000-4000-8000-0000000000a1"
OWN_ID_OF_VERSION_7 = "019cab3f-5800-7000-8000-0000000000a1"
GOOD = '{"operationtype": "ExecuteAsyncRequest", "data": {"greeting": "Grüße"}}'


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    return await a_world(storage, clock)


async def a_world(storage: Storage, clock: VirtualClock) -> World:
    world = await World(storage, clock, options=EngineOptions(shards=2)).open()

    async def greet(context: OperationContext) -> Outcome:
        return Done(str(context.data.get("greeting")))

    world.handle(greet)
    return world


async def accept(world: World, body: str | bytes, *, message_id: str = "m-1") -> AsyncOperation:
    """Deliver a message that was sent at noon, whatever time it is now."""
    raw = body.encode() if isinstance(body, str) else body
    stored = await inbox.accept(world.engine, raw, message_id=message_id, inserted_on=NOON)
    return await world.get(stored.operation.asyncoperationid)


async def everything(world: World) -> list[AsyncOperation]:
    """Return what the table holds, long texts included."""
    found: list[AsyncOperation] = []
    for shard in range(world.engine.store.shards):
        async for row in world.storage.table(TABLE).scan(
            ids.partition_name(shard), start=ids.RECORD, end=prefix_end(ids.RECORD)
        ):
            if ids.is_alias(row):
                continue
            operation, _ = codec.from_row(row.values)
            found.append(await world.get(operation.asyncoperationid))
    return found


def in_base64(body: str | bytes) -> str:
    return base64.b64encode(body.encode() if isinstance(body, str) else body).decode()


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        f"\n {GOOD} \n",
        "\ufeff" + GOOD,
        in_base64(GOOD),
        in_base64("\ufeff" + GOOD),
        in_base64(json.dumps(json.loads(GOOD))),
    ],
    ids=["plain", "spaces", "byte order mark", "base64", "base64 with a mark", "base64, escaped"],
)
async def test_a_message_becomes_an_operation_that_is_run(world: World, body: str) -> None:
    accepted = await accept(world, body)
    assert accepted.statuscode is StatusCode.WAITING_FOR_RESOURCES
    assert accepted.type is OperationType.EXECUTE_ASYNC_REQUEST
    await world.run_everything()
    [done] = await everything(world)
    assert (done.statuscode, done.friendlymessage) == (StatusCode.SUCCEEDED, "Grüße")


async def test_a_message_that_waited_was_created_when_it_was_accepted(world: World) -> None:
    world.clock.jump(timedelta(days=3))
    accepted = await accept(world, GOOD)
    assert (accepted.createdon, accepted.sequence) == (NOON + timedelta(days=3), 1772366400000000)


@pytest.mark.parametrize("own_id", [None, OWN_ID, OWN_ID_OF_VERSION_7])
async def test_a_message_delivered_again_is_the_same_operation(world: World, own_id: str | None) -> None:
    """The host delivers again what it could not delete, perhaps when the operation has long been run."""
    body = json.dumps({"operationtype": 54, "asyncoperationid": own_id})
    first = await accept(world, body)
    assert await accept(world, body) == first
    await world.run_everything()
    world.clock.jump(timedelta(hours=1))
    again = await accept(world, body)
    await world.run_everything()
    assert again.asyncoperationid == first.asyncoperationid
    assert [each.attempt for each in await everything(world)] == [1]


async def test_two_messages_with_one_id_are_one_operation(world: World) -> None:
    body = json.dumps({"operationtype": 54, "asyncoperationid": OWN_ID})
    for message_id in ("m-1", "m-2"):
        await accept(world, body, message_id=message_id)
    await world.run_everything()
    [done] = await everything(world)
    assert (str(done.asyncoperationid), done.attempt) == (OWN_ID, 1)


async def test_two_messages_without_an_id_are_two_operations(world: World) -> None:
    """Sent in the same second, with the same words: only the queue's own ids tell them apart."""
    for message_id in ("m-1", "m-2"):
        await accept(world, GOOD, message_id=message_id)
    await world.run_everything()
    assert [each.statuscode for each in await everything(world)] == [StatusCode.SUCCEEDED] * 2


REFUSED = {
    "nothing": ("", "The message is no JSON object"),
    "words": ("good morning", "The message is no JSON object"),
    "cut off": ('{"operationtype": 54', "The message is no JSON object"),
    "XML": ("<operation/>", "The message is no JSON object"),
    "nested too deeply": ("[" * 60_000, "recursion limit exceeded"),
    "data nested too deeply": ('{"operationtype": 54, "data": ' + '{"a":' * 12_000, "recursion limit exceeded"),
    "a number too long": ('{"operationtype": ' + "9" * 5_000 + "}", "The message is no JSON object"),
    "a list": ("[1]", "The message must be a JSON object."),
    "a text": ('"x"', "The message must be a JSON object."),
    "null": ("null", "The message must be a JSON object."),
    "no type": ('{"name": "x"}', "operationtype is missing."),
    "unknown type": ('{"operationtype": "Make Coffee"}', "is no operation type of Dataverse"),
    "a type of the wrong kind": ('{"operationtype": true}', "operationtype must be a number such as 13"),
    "unknown member": ('{"operationtype": 54, "colour": "red"}', "colour is no member of the message"),
    "member of the wrong kind": ('{"operationtype": 54, "data": "x"}', "data: Input should be an object."),
    "a moment without a zone": (
        '{"operationtype": 54, "postponeuntil": "2030-01-01T00:00:00"}',
        "postponeuntil: Input should have timezone info.",
    ),
    "a moment out of range": (
        '{"operationtype": 54, "postponeuntil": "9999-12-31T23:59:59-10:00"}',
        "postponeuntil: it must lie between the years 1900 and 9998.",
    ),
    "a rule without end": (
        '{"operationtype": 54, "recurrencepattern": "FREQ=DAILY;INTERVAL=0"}',
        "must have an INTERVAL of 1 or more.",
    ),
    "a rule in no time zone": (
        '{"operationtype": 54, "recurrencepattern": "DTSTART;TZID=Europe/Bern:20300131T090000 RRULE:FREQ=DAILY"}',
        "'Europe/Bern' is no time zone of the IANA database; did you mean Europe/Berlin?",
    ),
    "a rule and a token": (
        '{"operationtype": 54, "recurrencepattern": "FREQ=DAILY", "dependencytoken": "t"}',
        "A recurring operation cannot have a dependencytoken",
    ),
    "a number that JSON has not": ('{"operationtype": 54, "data": {"n": NaN}}', "data cannot be written as JSON"),
    "base64 of what is no message": (in_base64('{"colour": "red"}'), "colour is no member of the message"),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_understood_is_a_failed_record(world: World, body: str, reason: str) -> None:
    refused = await accept(world, body)
    assert refused.statuscode is StatusCode.FAILED
    assert (refused.operationtype, refused.errorcode) == (NO_TYPE, int(ErrorCode.INVALID_ARGUMENT))
    assert reason in (refused.message or "")
    assert refused.data == inbox.decode(body.encode())
    assert (refused.completedon, refused.agendaon) == (NOON, None)
    assert [entry.action for entry in refused.history] == ["create"]
    # Delivered again, it is the same record; and there is nothing to run.
    world.clock.jump(timedelta(minutes=1))
    assert await accept(world, body) == refused
    assert await world.deliver() == 0
    assert await everything(world) == [refused]


async def test_bytes_that_are_no_text_are_kept_readably(world: World) -> None:
    refused = await accept(world, b'{"operationtype": 54, "name": "\xff\xfe"}')
    assert refused.statuscode is StatusCode.FAILED
    assert refused.data == r'{"operationtype": 54, "name": "\xff\xfe"}'
    raw = in_base64(b'{"name": "\xff"}')
    assert (await accept(world, raw, message_id="m-2")).data == raw


async def test_a_word_that_could_be_base64_is_taken_as_it_stands(world: World) -> None:
    assert (await accept(world, "abcd")).data == "abcd"


@pytest.mark.parametrize("own_id", [OWN_ID, OWN_ID_OF_VERSION_7])
@pytest.mark.parametrize("length", [10, 50_000], ids=["short", "long"])
async def test_a_refusal_is_found_under_the_id_that_its_sender_gave(world: World, own_id: str, length: int) -> None:
    """A long payload is kept in a blob, apart from its record; delivered again it is still the same one."""
    body = json.dumps({"operationtype": 54, "asyncoperationid": own_id, "colour": "x" * length})
    refused = await accept(world, body)
    assert (refused.asyncoperationid, refused.statuscode) == (UUID(own_id), StatusCode.FAILED)
    assert refused.data == body
    assert await accept(world, body) == refused
    assert len(await everything(world)) == 1


@pytest.mark.parametrize("own_id", ["7", 7, None, [], {}])
async def test_an_id_that_is_none_is_refused_under_another(world: World, own_id: object) -> None:
    body = json.dumps({"operationtype": 54, "asyncoperationid": own_id, "colour": "red"})
    assert (await accept(world, body)).statuscode is StatusCode.FAILED
    await accept(world, body)
    assert len(await everything(world)) == 1


async def test_a_refusal_does_not_touch_the_operation_that_has_its_id(world: World) -> None:
    good = json.dumps({"operationtype": 54, "asyncoperationid": OWN_ID})
    bad = json.dumps({"operationtype": 54, "asyncoperationid": OWN_ID, "colour": "red"})
    first = await accept(world, good)
    refused = await accept(world, bad, message_id="m-2")
    assert refused.asyncoperationid != first.asyncoperationid
    assert (refused.statuscode, refused.data) == (StatusCode.FAILED, bad)
    assert await accept(world, bad, message_id="m-2") == refused
    await world.run_everything()
    assert (await world.get(first.asyncoperationid)).statuscode is StatusCode.SUCCEEDED
    assert len(await everything(world)) == 2


async def test_a_postponed_message_waits_for_its_moment(world: World) -> None:
    until = NOON + timedelta(hours=2)
    accepted = await accept(world, json.dumps({"operationtype": 54, "postponeuntil": until.isoformat()}))
    assert (accepted.statuscode, accepted.postponeuntil) == (StatusCode.WAITING, until)


async def test_a_message_that_waited_past_its_moment_runs_at_once(clock: VirtualClock) -> None:
    world = await a_world(MemoryStorage(clock.now), clock)
    clock.jump(timedelta(hours=3))
    until = NOON + timedelta(hours=2)
    await accept(world, json.dumps({"operationtype": 54, "postponeuntil": until.isoformat()}))
    await world.run_everything()
    assert [each.statuscode for each in await everything(world)] == [StatusCode.SUCCEEDED]
