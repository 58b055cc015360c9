"""The audit finds nothing where the service was at work, and everything that somebody tampered with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from asyncservice.operations import codec, history, ids, indices, tokens
from asyncservice.operations.audit import Audit, Finding
from asyncservice.operations.errors import OperationNotFound
from asyncservice.operations.handling import (
    OperationContext,
    OperationFailed,
    Outcome,
    Postponed,
    RetryOperation,
    SuspendOperation,
    WaitingForChildren,
    WaitingForEvent,
    Yielded,
)
from asyncservice.operations.ids import Place
from asyncservice.operations.indices import Index
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.states import StatusCode
from asyncservice.operations.store import PAYLOADS, TABLE
from asyncservice.operations.submission import Submission
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.tables import Delete, Put, Row, Table, Write
from handlers.cancel_async_operations import act_on_operations
from tests.operations.world import World
from tests.support import VirtualClock, an_id

LONG_TEXT = "x" * 40_000
OTHERS_ID = UUID("9a7b0000-0000-4000-8000-0000000000a1")
SOON = timedelta(minutes=10)


async def handler(context: OperationContext) -> Outcome:
    """Do what the operation's data say, once; then be done."""
    if context.checkpoint is not None:
        return None
    match context.data.get("do"):
        case "yield":
            return Yielded(1)
        case "postpone":
            return Postponed(context.now() + SOON, 1)
        case "retry" if context.operation.retrycount < 2:
            raise RetryOperation("busy")
        case "suspend":
            raise SuspendOperation("unauthorized")
        case "fail":
            raise OperationFailed("for good")
        case "break":
            raise RuntimeError("a bug")
        case "long":
            await context.save(None, message=LONG_TEXT)
        case "event":
            return WaitingForEvent("approved", checkpoint=1)
        case "children":
            child = int(OperationType.BULK_DELETE_SUBPROCESS)
            due = context.now() + timedelta(days=9) if context.data.get("later") else None
            submissions = [Submission(operationtype=child, postponeuntil=due) for _ in range(3)]
            await context.start_children(submissions)
            return WaitingForChildren(1)
    return None


async def child(_: OperationContext) -> Outcome:
    return None


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    return await a_world(storage, clock)


async def a_world(storage: Storage, clock: VirtualClock) -> World:
    world = await World(storage, clock).open()
    world.handle(handler)
    world.handle(child, type=OperationType.BULK_DELETE_SUBPROCESS)
    world.handle(act_on_operations, type=OperationType.CANCEL_ASYNC_OPERATIONS)
    return world


def audit_of(world: World) -> Audit:
    return Audit(world.engine.store, world.clock.now)


async def findings(world: World) -> list[Finding]:
    return [finding async for finding in audit_of(world).everything()]


async def every_kind(world: World) -> dict[str, UUID]:
    """Submit operations of every kind, run what can run, and leave some in every state."""
    submitted = {
        do: await world.submit(data=f'{{"do": "{do}"}}')
        for do in ("once", "yield", "postpone", "retry", "suspend", "fail", "break", "long", "event", "children")
    }
    submitted["theirs"] = await world.submit(operation_id=OTHERS_ID, data=f'{{"long": "{LONG_TEXT}"}}')
    submitted["brief"] = await world.submit(asyncautodelete=True)
    submitted["recurring"] = await world.submit(recurrencepattern="FREQ=DAILY")
    submitted["later"] = await world.submit(
        statuscode=StatusCode.WAITING, postponeuntil=world.clock.now() + timedelta(days=40)
    )
    for number, own_id in enumerate((None, uuid4(), None, uuid4())):
        submitted[f"line {number}"] = await world.submit(
            operation_id=own_id, dependencytoken="invoice-7", data='{"do": "suspend"}' if number == 1 else None
        )
    await world.run_everything()
    await world.control.raise_event(submitted["event"], "approved", {"by": "Ada"})
    await world.control.raise_event(submitted["later"], "early", None)
    submitted["parent"] = await world.submit(data='{"do": "children", "later": true}')
    await world.pass_time(timedelta(minutes=4), step=timedelta(minutes=2))
    await world.control.retry(submitted["fail"])
    submitted["ready"] = await world.submit()
    return submitted


async def test_where_the_service_was_at_work_nothing_is_found(world: World) -> None:
    submitted = await every_kind(world)
    audit = audit_of(world)
    assert [finding async for finding in audit.everything()] == []
    assert audit.tally.operations == len(submitted) + 6
    assert audit.tally.partitions == audit.tally.of_partitions == 4
    assert 0 < audit.tally.unfinished < audit.tally.operations
    assert audit.tally.blobs >= 2
    assert audit.tally.other_rows > audit.tally.unfinished
    for operation_id in submitted.values():
        assert await audit_of(world).one(operation_id) == []

    await world.control.cancel(submitted["parent"])
    await world.pass_time(timedelta(days=2), step=timedelta(hours=8))
    assert await findings(world) == []
    for name in ("once", "theirs", "long", "children", "line 0"):
        await world.control.delete(submitted[name])
    assert await findings(world) == []


async def test_while_handlers_run_nothing_is_found(storage: Storage, clock: VirtualClock) -> None:
    world = await World(storage, clock).open()
    go_on = asyncio.Event()

    async def slow(context: OperationContext) -> Outcome:
        await context.save(1, message=LONG_TEXT)
        await go_on.wait()
        return None

    world.handle(slow)
    running = [await world.submit() for _ in range(3)]
    tasks = [await world.start(each) for each in running]
    await world.control.pause(running[0])
    await world.control.cancel(running[1])
    assert await findings(world) == []
    go_on.set()
    await asyncio.gather(*tasks)
    assert await findings(world) == []


async def test_a_long_history_is_read_from_where_it_was_archived(world: World) -> None:
    operation_id = await world.submit(recurrencepattern="FREQ=DAILY")
    world.engine.host = "a-host-with-a-long-name-" * 8
    for _ in range(90):
        await world.clock.advance(timedelta(days=1))
        await world.engine.run_one(world.engine.store.place(await world.get(operation_id)))
    operation = await world.get(operation_id)
    assert operation.archivedhistory > 0
    assert await findings(world) == []
    place = world.engine.store.place(operation)
    await tamper(world, place.partition, [Delete(ids.history_key(place, 0))])
    assert any("row 0 of its archived history is missing" in each.what for each in await findings(world))


async def test_an_operation_that_is_not_there_is_said_to_be_so(world: World) -> None:
    with pytest.raises(OperationNotFound):
        await audit_of(world).one(an_id())
    with pytest.raises(OperationNotFound):
        await audit_of(world).one(uuid4())


# Tampering ------------------------------------------------------------------------------------------------------------


async def tamper(world: World, partition: str, writes: list[Write]) -> None:
    await world.engine.store.table.commit(partition, writes)


@dataclass(frozen=True, slots=True)
class Victim:
    """An operation, where it stands and what its row holds."""

    world: World
    place: Place
    values: Mapping[str, Any]

    @classmethod
    async def of(cls, world: World, operation_id: UUID) -> "Victim":
        stored = await world.engine.store.read(operation_id)
        assert stored is not None
        place = world.engine.store.place(stored.operation)
        row = await world.engine.store.table.read(place.partition, place.key)
        assert row is not None
        return cls(world, place, row.values)

    async def change(self, **columns: Any) -> None:
        values = {name: value for name, value in {**self.values, **columns}.items() if value is not None}
        await tamper(self.world, self.place.partition, [Put(self.place.key, values)])

    async def write(self, *writes: Write) -> None:
        await tamper(self.world, self.place.partition, list(writes))

    @property
    def agenda_key(self) -> str:
        return ids.agenda_key(self.values["agendaon"], self.place)

    def index_key(self, index: Index, value: UUID | int) -> str:
        return indices.prefix(index, value) + indices.tail(self.values["asyncoperationid"], self.values["createdon"])

    @property
    def member_key(self) -> str:
        return tokens.member_key(self.values["dependencytoken"], self.values["tokennumber"])

    async def head(self) -> Row:
        row = await self.world.engine.store.table.read(
            self.place.partition, tokens.head_key(self.values["dependencytoken"])
        )
        assert row is not None
        return row


type Tampering = Callable[[Victim], Awaitable[None]]


def columns(**changes: Any) -> Tampering:
    return lambda victim: victim.change(**changes)


async def no_agenda_row(victim: Victim) -> None:
    await victim.write(Delete(victim.agenda_key))


async def late_agenda_row(victim: Victim) -> None:
    late = victim.values["agendaon"] + timedelta(days=3000)
    await victim.write(Delete(victim.agenda_key), Put(ids.agenda_key(late, victim.place), {}))
    await victim.change(agendaon=late)


async def second_agenda_row(victim: Victim) -> None:
    await victim.write(Put(ids.agenda_key(victim.world.clock.now() + SOON, victim.place), {}))


async def agenda_row_of_nobody(victim: Victim) -> None:
    await victim.write(Put(ids.agenda_key(victim.world.clock.now(), Place("", "o" + "f" * 32)), {}))


async def no_index_row(victim: Victim) -> None:
    await victim.write(Delete(victim.index_key(Index.TYPE, victim.values["operationtype"])))


async def index_row_elsewhere(victim: Victim) -> None:
    key = victim.index_key(Index.TYPE, victim.values["operationtype"])
    await victim.write(Put(key, {"record": "o" + "f" * 32}))


async def second_index_row(victim: Victim) -> None:
    await victim.write(Put(victim.index_key(Index.TYPE, int(OperationType.IMPORT)), {}))


async def index_row_of_nobody(victim: Victim) -> None:
    await victim.write(Put(indices.prefix(Index.REGARDING, UUID(int=7)) + "f" * 32, {}))


async def lost_record(victim: Victim) -> None:
    await victim.write(Delete(victim.place.key))


async def no_alias(victim: Victim) -> None:
    operation_id = victim.values["asyncoperationid"]
    home = ids.partition_of(operation_id, victim.world.engine.store.shards)
    await tamper(victim.world, home, [Delete(ids.alias_key(operation_id))])


async def alias_to_nowhere(victim: Victim) -> None:
    values = ids.alias_row(Place(victim.place.partition, "o" + "0" * 32), victim.world.clock.now())
    await victim.write(Put(ids.alias_key(uuid4()), values))


async def reservation_of_the_dead(victim: Victim) -> None:
    other = ids.partition_name((int(victim.place.partition, 16) + 1) % 4)
    values = ids.alias_row(Place(other, "o" + "0" * 32), victim.world.clock.now())
    await victim.write(Put(ids.alias_key(uuid4()), values))


async def no_member_row(victim: Victim) -> None:
    await victim.write(Delete(victim.member_key))


async def no_head(victim: Victim) -> None:
    await victim.write(Delete(tokens.head_key(victim.values["dependencytoken"])))


def head_says(**changes: Any) -> Tampering:
    async def change(victim: Victim) -> None:
        head = await victim.head()
        await victim.write(Put(head.key, {**head.values, **changes}))

    return change


async def member_of_nobody(victim: Victim) -> None:
    key = tokens.member_key(victim.values["dependencytoken"], 99)
    await victim.write(Put(key, {"record": "o" + "0" * 32, "asyncoperationid": uuid4()}))


async def no_child_row(victim: Victim) -> None:
    parent = victim.values["parentkey"]
    await victim.write(Delete(ids.child_key(parent, victim.place, completed=False)))


async def child_told_as_completed(victim: Victim) -> None:
    parent = victim.values["parentkey"]
    await victim.write(Put(ids.child_key(parent, victim.place, completed=True), {"status": 30}))


async def child_of_nobody(victim: Victim) -> None:
    await victim.write(Put(ids.child_key("o" + "e" * 32, victim.place, completed=True), {"status": 30}))


async def child_that_is_not_there(victim: Victim) -> None:
    await victim.write(Put(ids.child_key(victim.place.key, Place("", "o" + "0" * 32), completed=False), {}))


async def no_event(victim: Victim) -> None:
    await victim.write(Delete(ids.event_key(victim.place, "early")))


async def event_nobody_raised(victim: Victim) -> None:
    await victim.write(Put(ids.event_key(victim.place, "other"), {"data": "1"}))


async def history_of_nobody(victim: Victim) -> None:
    await victim.write(Put(ids.history_key(Place("", "o" + "0" * 32), 0), {"entries": "[]"}))


async def history_too_many(victim: Victim) -> None:
    await victim.write(Put(ids.history_key(victim.place, 0), {"entries": "[]"}))


async def no_blob(victim: Victim) -> None:
    payloads = victim.world.engine.store.payloads
    async for name in payloads.names(f"{victim.values['asyncoperationid']}/"):
        await payloads.delete(name)


async def blob_of_nobody(victim: Victim) -> None:
    await victim.world.engine.store.payloads.write(f"{uuid4()}/data-1", b"left")


async def no_removal(victim: Victim) -> None:
    await victim.write(Delete(ids.removal_key(victim.values["completedon"], victim.place)))


async def removal_of_nobody(victim: Victim) -> None:
    await victim.write(Put(ids.removal_key(victim.world.clock.now(), Place("", "o" + "0" * 32)), {}))


async def removal_nobody_asked_for(victim: Victim) -> None:
    await victim.write(Put(ids.removal_key(victim.values["completedon"], victim.place), {}))


async def fence_for_ever(victim: Victim) -> None:
    await victim.write(Put("o" + "0" * 32, ids.fence_row(uuid4(), victim.world.clock.now())))


async def strange_row(victim: Victim) -> None:
    await victim.write(Put("zebra", {}))


def fewer_moves(victim: Victim) -> Awaitable[None]:
    entries = codec.from_row(victim.values)[0].history
    return victim.change(history=history.write(entries[:-1]))


def another_past(victim: Victim) -> Awaitable[None]:
    first, second, *others = codec.from_row(victim.values)[0].history
    changed = [first, replace(second, attempt=2), *others]
    return victim.change(history=history.write(changed))


TAMPERINGS: list[tuple[str, Tampering, str]] = [
    ("once", columns(statuscode=31), "statuscode is Failed, its history says Succeeded"),
    ("once", columns(statecode=0), "statecode is 0, its status Succeeded is of 3"),
    ("once", columns(attempt=7), "attempt is 7, its history says 1"),
    ("once", columns(completedon=None), "completedon is empty, its history says"),
    ("retry", columns(retrycount=None), "retrycount is 0, its history says 2"),
    ("break", columns(errorcode=None), "errorcode is empty, its history says"),
    ("break", columns(message=None), "message is empty, its history says"),
    ("suspend", columns(postponeuntil=VirtualClock().now()), "postponeuntil is"),
    ("later", columns(postponeuntil=None), "postponeuntil is empty, its history says"),
    ("parent", columns(awaits=None), "awaits is empty, its history says children"),
    ("once", columns(history="nonsense"), "its row cannot be read"),
    ("once", columns(attempt="seven"), "its row cannot be read: attempt is of another type"),
    ("once", columns(operationtype=None), "its row cannot be read"),
    ("once", columns(asyncoperationid=an_id()), "where its id and token do not lead"),
    ("once", fewer_moves, "statuscode is Succeeded, its history says In Progress"),
    ("once", another_past, "is of attempt 2 and should be of 1"),
    ("ready", no_agenda_row, "is missing: nobody will look at it"),
    ("ready", columns(agendaon=None), "has no agenda row: nobody will look at it"),
    ("ready", columns(agendaon=None), "an agenda row is there that its record does not know"),
    ("ready", late_agenda_row, "and it is due by"),
    ("later", late_agenda_row, "and it is due by"),
    ("ready", second_agenda_row, "an agenda row is there that its record does not know"),
    ("once", second_agenda_row, "an agenda row is there that its record does not know"),
    ("once", agenda_row_of_nobody, "an agenda row is there, and no record that it belongs to"),
    ("once", no_index_row, "is missing or leads elsewhere: it may not be found in lists"),
    ("theirs", no_index_row, "is missing or leads elsewhere: it may not be found in lists"),
    ("child", no_index_row, "is missing or leads elsewhere: it may not be found in lists"),
    ("once", index_row_elsewhere, "is missing or leads elsewhere: it may not be found in lists"),
    ("once", second_index_row, "an index row is there that its record does not know"),
    ("once", index_row_of_nobody, "an index row is there, and no record that it belongs to"),
    ("ready", lost_record, "an agenda row is there, and no record that it belongs to"),
    ("theirs", lost_record, "an alias leads to"),
    ("theirs", no_alias, "it cannot be found by its id"),
    ("line 3", no_alias, "it cannot be found by its id"),
    ("once", alias_to_nowhere, "an alias leads to"),
    ("line 2", lost_record, "names a record that is not there"),
    ("line 2", no_member_row, "its row in the line of its token (number 3) is missing"),
    ("line 2", no_member_row, "the head counts 3 members, there are 2"),
    ("line 2", columns(blockedby=None), "waits for None and stands behind"),
    ("line 2", columns(blockedby=UUID(int=7)), "waits for 00000000-0000-0000-0000-000000000007 and stands behind"),
    ("line 2", columns(tokennumber=None), "it has a dependency token and no place in the token's line"),
    ("line 2", columns(tokennumber=9), "(number 9) is missing or names another"),
    ("line 2", no_head, "the line has members and no head row"),
    ("line 2", head_says(members=9), "the head counts 9 members, there are 3"),
    ("line 2", head_says(tail=UUID(int=7)), "is the last"),
    ("line 2", head_says(latest=1), "the head has given out 1 numbers, the last member has 4"),
    ("line 2", member_of_nobody, "names a record that is not there"),
    ("ready", columns(blockedby=UUID(int=7)), "it has a place in a token's line and no token"),
    ("child", no_child_row, "its parent does not know it as unfinished"),
    ("child", child_told_as_completed, "its parent knows it as completed"),
    ("child", lost_record, "an unfinished child's row is there, and no record that it belongs to"),
    ("child", child_of_nobody, "a child's row is there, and no record that it belongs to"),
    ("parent", lost_record, "a child's row is there, and no record that it belongs to"),
    ("parent", columns(childcount=None), "a child's row is there that its record does not know"),
    ("parent", child_that_is_not_there, "an unfinished child's row is there, and no record"),
    ("later", no_event, "event early has arrived for it and its row is missing"),
    ("later", event_nobody_raised, "an event is there that its record does not know"),
    ("later", lost_record, "an event is there, and no record that it belongs to"),
    ("once", history_of_nobody, "a row of archived history is there, and no record that it belongs to"),
    ("once", history_too_many, "a row of archived history is there that its record does not know"),
    ("theirs", no_blob, "which is missing"),
    ("brief", no_removal, "and no row asks for that: it will stay"),
    ("once", removal_of_nobody, "a row that asks for a removal is there, and no record that it belongs to"),
    ("once", removal_nobody_asked_for, "a row that asks for a removal is there that its record does not know"),
    ("once", fence_for_ever, "a fence has no agenda row: nobody will lift it"),
    ("once", strange_row, "the service writes no row with such a key"),
]
#: What a submission that died half-way may leave: said, and no deviation.
LEFTOVERS: list[tuple[str, Tampering, str]] = [
    ("once", blob_of_nobody, "belongs to no record"),
    ("theirs", columns(haspayloads=None), "would stay when it is removed"),
    ("once", reservation_of_the_dead, "an alias leads to"),
]


@dataclass(frozen=True, slots=True)
class Lived:
    """An account in which operations of every kind stand; made once, copied for each tampering."""

    account: MemoryStorage
    now: datetime
    submitted: Mapping[str, UUID]

    async def again(self) -> World:
        """Return a service on a copy of the account, at the same moment."""
        clock = VirtualClock(self.now)
        copy = MemoryStorage(clock.now)
        for kept, new in (
            (self.account.table(TABLE), copy.table(TABLE)),
            (self.account.blobs(PAYLOADS), copy.blobs(PAYLOADS)),
        ):
            await new.create()
            for name in ("_rows", "_keys", "_contents"):
                for key, values in getattr(kept, name, {}).items():
                    getattr(new, name)[key] = values if isinstance(values, bytes) else values.copy()
        return await a_world(copy, clock)


@pytest.fixture(scope="module")
def lived() -> Lived:
    async def live() -> Lived:
        clock = VirtualClock()
        account = MemoryStorage(clock.now)
        submitted = await every_kind(await a_world(account, clock))
        return Lived(account, clock.now(), submitted)

    return asyncio.run(live())


async def tampered(world: World, submitted: Mapping[str, UUID], name: str, tampering: Tampering) -> UUID:
    if name == "child":
        parent = await Victim.of(world, submitted["parent"])
        rows = world.engine.store.table.scan(parent.place.partition, start=ids.RECORD, end="p")
        children = [row async for row in rows if row.values.get("parentkey") == parent.place.key]
        victim_id = children[0].values["asyncoperationid"]
        assert isinstance(victim_id, UUID)
    else:
        victim_id = submitted[name]
    await tampering(await Victim.of(world, victim_id))
    return victim_id


@pytest.mark.parametrize(
    ("name", "tampering", "said"), TAMPERINGS, ids=[f"{name}-{said[:50]}" for name, _, said in TAMPERINGS]
)
async def test_every_tampering_is_found(lived: Lived, name: str, tampering: Tampering, said: str) -> None:
    world = await lived.again()
    await tampered(world, lived.submitted, name, tampering)
    audit = audit_of(world)
    found = [finding async for finding in audit.everything()]
    assert any(said in finding.what and not finding.is_leftover for finding in found), found
    assert len(found) <= 6, found
    assert audit.tally.deviations + audit.tally.leftovers == len(found)


async def test_the_copy_that_is_tampered_with_is_sound(lived: Lived) -> None:
    assert await findings(await lived.again()) == []


async def test_tampering_is_found_on_every_storage(world: World) -> None:
    """One of each kind of row, all in one account."""
    submitted = await every_kind(world)
    for name, tampering in (
        ("once", columns(retrycount=3)),
        ("ready", no_agenda_row),
        ("theirs", no_blob),
        ("line 2", no_member_row),
        ("later", event_nobody_raised),
        ("retry", history_too_many),
        ("parent", child_that_is_not_there),
        ("break", strange_row),
        ("yield", alias_to_nowhere),
    ):
        await tampering(await Victim.of(world, submitted[name]))
    said = [finding.what for finding in await findings(world)]
    for expected in (
        "retrycount is 3, its history says 0",
        "nobody will look at it",
        "which is missing",
        "the head counts 3 members, there are 2",
        "an event is there that",
        "a row of archived history is there that",
        "an unfinished child's row is there, and no record",
        "the service writes no row with such a key",
        "an alias leads to",
    ):
        assert any(expected in each for each in said), (expected, said)


@pytest.mark.parametrize(("name", "tampering", "said"), LEFTOVERS, ids=[said for _, _, said in LEFTOVERS])
async def test_what_died_half_way_is_no_deviation(lived: Lived, name: str, tampering: Tampering, said: str) -> None:
    world = await lived.again()
    await tampered(world, lived.submitted, name, tampering)
    audit = audit_of(world)
    found = [finding async for finding in audit.everything()]
    assert found
    assert all(said in finding.what and finding.is_leftover for finding in found)
    assert (audit.tally.deviations, audit.tally.leftovers) == (0, len(found))


@pytest.mark.parametrize(
    ("name", "tampering", "said"),
    [
        each
        for each in TAMPERINGS
        if each[1]
        not in {
            agenda_row_of_nobody,
            alias_to_nowhere,
            history_of_nobody,
            strange_row,
            fence_for_ever,
            removal_of_nobody,
            second_index_row,
            index_row_of_nobody,
            lost_record,
        }
        and each[1] is not child_of_nobody
        and "cannot be found" not in each[2]
        and "do not lead" not in each[2]
    ],
)
async def test_one_operation_is_audited_with_all_that_belongs_to_it(
    lived: Lived, name: str, tampering: Tampering, said: str
) -> None:
    world = await lived.again()
    victim_id = await tampered(world, lived.submitted, name, tampering)
    found = await audit_of(world).one(victim_id)
    assert any(said in finding.what for finding in found), found


class Busy:
    """A table in which somebody makes a change just before the *number*th request of the audit."""

    def __init__(self, inner: Table, number: int, change: Callable[[], Awaitable[object]]) -> None:
        self._inner, self._left, self._change = inner, number, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def _tick(self) -> None:
        self._left -= 1
        if self._left == 0:
            await self._change()

    async def read(self, partition: str, key: str) -> Row | None:
        await self._tick()
        return await self._inner.read(partition, key)

    async def scan(self, partition: str, **bounds: Any) -> AsyncIterator[Row]:
        await self._tick()
        rows = [row async for row in self._inner.scan(partition, **bounds)]
        for row in rows:
            yield row

    async def commit(self, *_: object) -> None:
        raise AssertionError("The audit writes.")


async def test_what_happens_meanwhile_is_not_taken_for_a_deviation() -> None:
    """Whatever request of the audit the service's work falls before, nothing is found. The audit writes nothing."""
    number = 0
    done = False
    while not done:
        number += 1
        clock = VirtualClock()
        world = await a_world(MemoryStorage(clock.now), clock)
        line = [await world.submit(dependencytoken="t", operation_id=uuid4()) for _ in range(3)]
        parent = await world.submit(data='{"do": "children"}')
        waiting = await world.submit(data='{"do": "event"}')
        await world.deliver()
        await world.submit(data=f'{{"do": "long", "text": "{LONG_TEXT}"}}')
        done = True

        async def work(world: World = world, waiting: UUID = waiting, line: list[UUID] = line) -> None:
            nonlocal done
            done = False
            await world.control.raise_event(waiting, "approved", 1)
            await world.run_everything()
            await world.control.delete(line[0])
            await world.submit(dependencytoken="t")

        audit = audit_of(world)
        audit.store = seen_through(world, Busy(world.engine.store.table, number, work))
        assert [finding async for finding in audit.everything()] == [], f"request {number}"
        assert await world.get(parent) is not None
    assert number > 30


def seen_through(world: World, table: Busy) -> Any:
    """Return the world's store as the audit sees it, over another table."""
    store = world.engine.store
    seen = object.__new__(type(store))
    seen.__dict__.update(store.__dict__)
    seen.table = table  # type: ignore[assignment]
    return seen
