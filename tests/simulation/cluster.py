"""Several hosts on one account in memory: each can die, freeze or fail at any storage call, on a clock that is moved.

A host is a process: an engine of its own behind a gate of its own. One that freezes may be thawed long after everybody
took it for dead, and then tries to go on writing.
"""

import asyncio
import heapq
import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from random import Random
from typing import Any, Final
from uuid import UUID

from asyncservice.operations import agenda
from asyncservice.operations.engine import Engine, EngineOptions
from asyncservice.operations.errors import AsyncServiceError
from asyncservice.operations.handling import (
    Done,
    Handler,
    OperationContext,
    OperationFailed,
    Outcome,
    Postponed,
    Registration,
    Registry,
    RetryOperation,
    WaitingForChildren,
    WaitingForEvent,
    Yielded,
)
from asyncservice.operations.operationtypes import Family, OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.retry import RetryPolicy
from asyncservice.operations.store import OperationStore
from asyncservice.operations.submission import Submission
from asyncservice.storage.errors import StorageError, StorageUnavailable
from handlers.cancel_async_operations import act_on_operations
from tests.faults import Died, FaultyStorage
from tests.simulation.watch import BULK, JOINED, SKEW, WRITER, Watch, WatchedStorage
from tests.support import NOON, VirtualClock, an_operation

#: The service's own pauses between tries at a write, and its patience after a stop; the clock passes over them.
PAUSES: Final = timedelta(seconds=5)
#: How long the Functions host hides a message that an invocation has taken.
HOST_HIDES: Final = timedelta(minutes=10)
#: What is sent so long after it was signed is refused, whoever signed it.
REQUEST_LIVES: Final = timedelta(days=1)
SHARDS: Final = 2
TYPES: Final = (OperationType.EXECUTE_ASYNC_REQUEST, OperationType.WORKFLOW)
FAMILIES: Final = (Family.EXECUTE_REQUESTS, Family.WORKFLOWS, Family.MAINTENANCE)
#: The event that handlers wait for.
EVENT: Final = "approved"


class SimulatedTime(VirtualClock):
    """Time that never goes back, and stands still until nobody has anything left to do."""

    def __init__(self, start: datetime = NOON) -> None:
        super().__init__(start, skips=PAUSES)

    async def advance(self, length: timedelta) -> None:
        end = self._now + length
        await self.settle()
        while (moment := self.next_waking()) is not None and moment <= end:
            _, _, woken = heapq.heappop(self._sleepers)
            # Somebody's pause may have carried time past this moment already.
            self._now = max(self._now, moment)
            woken.set_result(None)
            await self.settle()
        self._now = max(self._now, end)
        await self.settle()

    def next_waking(self) -> datetime | None:
        """Return when the next sleeper wakes."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    @staticmethod
    async def settle() -> None:
        """Return when everybody waits for time, for a release or for a thaw."""
        waiting = vars(asyncio.get_running_loop())["_ready"]
        for _ in range(100_000):
            await asyncio.sleep(0)
            if not waiting:
                return
        raise AssertionError("It never comes to rest.")


@dataclass(slots=True)
class HostClock:
    """The time as one host knows it: its own clock may be a little off."""

    time: SimulatedTime
    skew: timedelta

    def now(self) -> datetime:
        return self.time.now() + self.skew

    async def sleep(self, length: timedelta) -> None:
        await self.time.sleep(length)


class Trouble(Enum):
    """What happens to a process at one of its storage calls."""

    DIES_BEFORE = auto()
    DIES_AFTER = auto()
    FAILS_BEFORE = auto()
    ANSWER_LOST = auto()
    FREEZES_BEFORE = auto()
    FREEZES_AFTER = auto()


class Gate(FaultyStorage):
    """The account as one process sees it."""

    def __init__(self, account: WatchedStorage, process: "Process", rng: Random) -> None:
        super().__init__(account)
        self._process, self._rng = process, rng
        self._open = asyncio.Event()
        self._open.set()
        self.was_frozen = False
        self.trouble: Trouble | None = None
        self.countdown = 0

    async def call(self, what: str, apply: Callable[[], Coroutine[Any, Any, Any]]) -> Any:  # type: ignore[override]
        # Requests take time, and not all the same: that is what lets hosts get in each other's way.
        for _ in range(self._rng.randrange(3)):
            await asyncio.sleep(0)
        trouble = self._take_trouble()
        if trouble is Trouble.FREEZES_BEFORE:
            self._process.freeze()
        begun = self._process.clock.now()
        await self.passable(what)
        if self._process.clock.now() - begun > REQUEST_LIVES:
            raise StorageUnavailable(what)
        if trouble is Trouble.DIES_BEFORE:
            self._process.die()
            raise Died(what)
        if trouble is Trouble.FAILS_BEFORE:
            raise StorageUnavailable(what)
        writer = WRITER.set((self._process.name, self._process.clock.now()))
        try:
            result = await apply()
        finally:
            WRITER.reset(writer)
        if trouble is Trouble.DIES_AFTER:
            self._process.die()
            raise Died(what)
        if trouble is Trouble.FREEZES_AFTER:
            self._process.freeze()
        await self.passable(what)
        if trouble is Trouble.ANSWER_LOST:
            raise StorageUnavailable(what)
        return result

    async def passable(self, what: str) -> None:
        """Return when the process may go on; raise Died when it never will."""
        await self._open.wait()
        if self._process.is_dead:
            raise Died(what)

    def freeze(self) -> None:
        self.was_frozen = True
        self._open.clear()

    def thaw(self) -> None:
        self._open.set()

    @property
    def is_frozen(self) -> bool:
        return not self._open.is_set()

    def _take_trouble(self) -> Trouble | None:
        if self.trouble is None:
            return None
        self.countdown -= 1
        if self.countdown > 0:
            return None
        trouble, self.trouble = self.trouble, None
        return trouble


class Process:
    """One process of the service. What it is asked to do are tasks of its own, which end when it dies."""

    def __init__(self, cluster: "Cluster", name: str, *, skew: timedelta = timedelta(0), seed: int = 0) -> None:
        self.name, self.is_dead = name, False
        self.clock = HostClock(cluster.time, skew)
        rng = Random(seed)
        self.gate = Gate(cluster.account, self, rng)
        registry = Registry()
        for each in TYPES:
            registry.add(Registration(type=each, handler=cluster.handler(self), retry=RetryPolicy(max_attempts=4)))
        bulk = Registration(
            type=BULK, handler=cluster.observed(self, act_on_operations), retry=RetryPolicy(max_attempts=4)
        )
        registry.add(bulk)
        self.engine = Engine(self.gate, registry, clock=self.clock, host=name, options=cluster.options, rng=rng)
        self.engine.store._shards = SHARDS
        self.control = self.engine.control
        self._cluster = cluster
        #: In order, so that a seed always ends them in the same one.
        self._tasks: dict[asyncio.Task[None], None] = {}
        cluster.join(self)

    def spawn(self, work: Coroutine[Any, Any, Any], then: Callable[[Any], object] = lambda _: None) -> None:
        """Begin *work*; *then* is given what it returns. Errors that callers must expect end it, others are kept."""
        task = asyncio.create_task(self._guarded(work, then))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        # One that is cancelled before it began would leave its work behind, never awaited.
        task.add_done_callback(lambda _: work.close())

    async def _guarded(self, work: Coroutine[Any, Any, Any], then: Callable[[Any], object]) -> None:
        try:
            result = await work
        except* (Died, asyncio.CancelledError, StorageUnavailable, AsyncServiceError):
            pass
        except* BaseException as group:  # noqa: BLE001 - the check after the step raises it
            self._cluster.watch.violations.append(f"{self.name} failed with {_leaf(group)!r}")
        else:
            then(result)

    @property
    def is_busy(self) -> bool:
        """Whether something it was asked for is under way."""
        return bool(self._tasks)

    def die(self) -> None:
        """End at once: nothing of it is written any more."""
        self.is_dead = True
        self.gate.thaw()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    def leave(self) -> None:
        """Be asked to end: what runs is given back first."""
        for task in self._tasks:
            task.cancel()

    def freeze(self) -> None:
        """Stand still: the process does nothing until it is thawed, while time goes on for the others."""
        self._cluster.note_freeze()
        self.gate.freeze()


@dataclass(slots=True, eq=False)
class Body:
    """A handler's body while it runs."""

    process: Process
    context: OperationContext
    operation_id: UUID
    token: str | None

    def is_excused(self, now: datetime) -> bool:
        """Whether nobody has to reckon with it: its process is dead, or its lease, as it last wrote it, has run out.

        By another host's clock, perhaps. A process that is well renews its lease long before.
        """
        lease = self.context.operation.leaseuntil
        return self.process.is_dead or lease is None or lease <= now + SKEW


@dataclass(slots=True)
class Ledger:
    """Which handler bodies run, and what they did."""

    watch: Watch
    running: list[Body] = field(default_factory=list)
    begun: int = 0
    #: When the bodies of each operation began.
    begun_on: dict[UUID, list[datetime]] = field(default_factory=dict)

    @contextmanager
    def body(self, process: Process, context: OperationContext) -> Iterator[None]:
        operation = context.operation
        body = Body(process, context, operation.asyncoperationid, operation.dependencytoken)
        now = process.clock.now()
        for other in self.running:
            if other.is_excused(now):
                continue
            if other.operation_id == body.operation_id:
                self.watch.violations.append(
                    f"{body.operation_id} is run twice at once: attempt {other.context.operation.attempt} on "
                    f"{other.process.name} until {other.context.operation.leaseuntil}, and at {now} attempt "
                    f"{operation.attempt} on {process.name} until {operation.leaseuntil}"
                )
            elif other.token is not None and other.token == body.token:
                self.watch.violations.append(f"two operations of token {body.token} run at once")
        for ahead in self.watch.ahead_of(operation):
            self.watch.violations.append(f"{body.operation_id} overtakes {ahead}")
        self.begun += 1
        self.begun_on.setdefault(body.operation_id, []).append(now)
        self.running.append(body)
        try:
            yield
        finally:
            self.running.remove(body)

    def check_leases(self) -> None:
        """Check that a host that was always well holds the leases of all that it runs."""
        for body in self.running:
            lease = body.context.operation.leaseuntil
            is_well = not body.process.is_dead and not body.process.gate.was_frozen
            assert not is_well or (lease is not None and lease > body.process.clock.now()), f"{body} has lost its lease"


class Cluster:
    """An account, its hosts, and the handlers they run; handlers do what the operation's data says."""

    def __init__(self, *, options: EngineOptions | None = None) -> None:
        self.time = SimulatedTime()
        # Company that is waited for by the real clock would not be the same in every run.
        self.options = replace(options or EngineOptions(shards=SHARDS), linger=None)
        self.watch = Watch(self.options.agenda, SHARDS)
        self.account = WatchedStorage(self.time.now, self.watch)
        self.watch.is_haunted = lambda: self._was_frozen
        self._was_frozen = False
        self.ledger = Ledger(self.watch)
        #: Handlers that wait to be told how to end, each with its operation.
        self.hanging: list[tuple[UUID, asyncio.Future[str]]] = []
        self.is_ending = False
        #: How a handler ends that leaves it to chance.
        self.chance: Callable[[], str] = lambda: "succeed"
        self._processes: list[Process] = []

    def join(self, process: Process) -> None:
        """Take note of a process."""
        self._processes = [each for each in self._processes if not each.is_dead]
        self._processes.append(process)

    def note_freeze(self) -> None:
        """Take note that a process stands still."""
        self._was_frozen = True

    def frozen(self) -> list[Process]:
        """Return the processes that stand still."""
        return [each for each in self._processes if each.gate.is_frozen]

    async def open(self) -> None:
        """Make what the service needs."""
        await Engine(self.account, Registry(), clock=self.time, host="setup", options=self.options).open()

    @property
    def store(self) -> OperationStore:
        """The tables, read past every gate."""
        store = OperationStore(self.account, agenda=self.options.agenda)
        store._shards = SHARDS
        return store

    # Deliver ----------------------------------------------------------------------------------------------------------

    async def deliver(self, process: Process, family: Family, *, twice_on: Process | None = None) -> bool:
        """Give one message of a family to *process*, and a copy to another; return whether there was one."""
        queue = self.account.queue(family.queue_name)
        taken = await queue.receive(count=1, hidden_for=HOST_HIDES)
        if not taken:
            return False

        async def run() -> None:
            await process.engine.run(taken[0].text)
            with suppress(StorageError):  # It took so long that another host has the message now.
                await queue.delete(taken[0])

        process.spawn(run())
        if twice_on is not None:
            twice_on.spawn(twice_on.engine.run(taken[0].text))
        return True

    async def deliver_all(self, processes: Sequence[Process], families: Sequence[Family] = FAMILIES) -> None:
        """Deliver until no message is visible, each to the next process in turn."""
        turn = 0
        found = True
        while found:
            found = False
            for family in families:
                if await self.deliver(processes[turn % len(processes)], family):
                    found = True
                    turn += 1
                    await self.time.settle()

    async def lose(self, family: Family) -> int:
        """Lose one message of a family; return how many were there to lose."""
        queue = self.account.queue(family.queue_name)
        lost = await queue.receive(count=1, hidden_for=HOST_HIDES)
        for message in lost:
            await queue.delete(message)
        return len(lost)

    def sweep(self, process: Process) -> None:
        """Let *process* sweep."""

        async def sweep() -> None:
            await agenda.sweep(process.engine)
            self.watch.swept(self.time.now())

        self.watch.swept(self.time.now())
        process.spawn(sweep())

    def next_message(self, families: Sequence[Family] = FAMILIES) -> datetime | None:
        """Return when the next message becomes visible."""
        moments = [self.account.queue(family.queue_name).next_visible_on() for family in families]
        return min((moment for moment in moments if moment is not None), default=None)

    # Handlers ---------------------------------------------------------------------------------------------------------

    def handler(self, process: Process) -> Callable[[OperationContext], Coroutine[Any, Any, Outcome]]:
        """Return the handler of *process*: the operation's plan names, attempt by attempt, how it ends."""

        async def handle(context: OperationContext) -> Outcome:
            with self.ledger.body(process, context):
                await self._check_join(context)
                plan: list[str] = context.data["plan"]
                step = plan[min(context.operation.attempt, len(plan)) - 1]
                if step == "chance":
                    step = self.chance()
                if step == "hang":
                    step = await self._hang(context)
                if step == "deaf":
                    try:
                        await self._hang(context)
                    except asyncio.CancelledError:
                        step = "succeed"
                return await self._end(step, context)

        return handle

    def observed(self, process: Process, handler: Handler) -> Handler:
        """Return a handler of the service itself as *process* runs it, under the ledger's eyes."""

        async def handle(context: OperationContext) -> Outcome:
            with self.ledger.body(process, context):
                return await handler(context)

        return handle

    async def _check_join(self, context: OperationContext) -> None:
        """Check that a parent that was woken because its children are completed finds them so."""
        operation = context.operation
        entries = operation.history[-2:-1]
        if not entries or entries[0].reason != JOINED:
            return
        tally = await context.children()
        if tally.total != operation.childcount or (tally.unfinished and not self.watch.has_reopened(operation)):
            self.watch.violations.append(f"{operation.asyncoperationid} goes on with {tally}")

    async def _hang(self, context: OperationContext) -> str:
        if self.is_ending:
            return "succeed"
        released: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        hanging = context.operation.asyncoperationid, released
        self.hanging.append(hanging)
        try:
            return await released
        finally:
            self.hanging.remove(hanging)

    async def _end(self, step: str, context: OperationContext) -> Outcome:
        steps = (context.checkpoint or 0) + 1
        match step:
            case "fail":
                raise OperationFailed("as it was told")
            case "break":
                raise KeyError("a bug in the handler")
            case "retry":
                raise RetryOperation("the other side is busy")
            case "unreachable":
                raise ConnectionResetError("gone")
            case "yield":
                await context.save(steps, succeeded=steps)
                return Yielded(steps)
            case "postpone":
                return Postponed(context.now() + timedelta(hours=3), checkpoint=steps)
            case "wait":
                return Postponed(context.now() + timedelta(days=30), checkpoint=steps)
            case "start":
                plans: list[list[str]] = context.data["children"]
                await context.start_children([self._child(number, plan) for number, plan in enumerate(plans)])
                return WaitingForChildren(steps)
            case "await":
                return WaitingForEvent(EVENT, checkpoint=steps)
            case "await long":
                return WaitingForEvent(EVENT, until=context.now() + timedelta(hours=3), checkpoint=steps)
            case "work":
                for part in range(steps, steps + 4):
                    await self.time.sleep(timedelta(seconds=50))
                    await context.save(part)
            case "save":
                await context.save(steps, message="almost there")
        return Done("done")

    def release(self, index: int, step: str, *, only: UUID | None = None) -> None:
        """Let one hanging handler go on as *step* says; that of a host that stands still goes on when its host does."""
        hanging = [released for operation_id, released in self.hanging if only in {None, operation_id}]
        if hanging and not (released := hanging[index % len(hanging)]).done():
            released.set_result(step)

    def _child(self, number: int, plan: list[str]) -> Submission:
        return Submission(operationtype=int(TYPES[number % len(TYPES)]), data={"plan": plan})

    def new_operation(
        self, operation_id: UUID, plan: Sequence[str], *, children: Sequence[Sequence[str]] = (), **columns: Any
    ) -> AsyncOperation:
        """Return an operation that goes by *plan*, and whose children go by plans of their own."""
        data = json.dumps({"plan": list(plan), "children": children, "filling": columns.pop("filling", "")})
        return an_operation(operation_id, now=self.time.now(), data=data, **columns)


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
