"""The engine: from a submitted operation to its history.

The story of one operation: submit writes the record and sends a hint; a hint leads to a claim, the claim to one
attempt of the handler, its outcome to one conditional write, and that write perhaps to another hint. Whatever a lost
message, a crash or an outage leaves behind is found by the sweep (`asyncservice.operations.agenda`).
"""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Any
from uuid import UUID

from asyncservice.operations import (
    awaiting,
    children,
    creation,
    duedates,
    hints,
    insertion,
    lifecycle,
    outcomes,
    slots,
    switch,
)
from asyncservice.operations.attempt import Attempt, Stopped
from asyncservice.operations.clock import Clock
from asyncservice.operations.control import Control
from asyncservice.operations.duedates import AgendaPolicy, Readiness
from asyncservice.operations.errors import ChangedMeanwhile, ErrorCode, LeaseLost
from asyncservice.operations.handling import Registration, Registry
from asyncservice.operations.hints import Hints, Ticket
from asyncservice.operations.ids import Place
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.outcomes import Change
from asyncservice.operations.record import AsyncOperation, Stored, check
from asyncservice.operations.slots import Party, Slots
from asyncservice.operations.states import StateCode
from asyncservice.operations.store import OperationStore
from asyncservice.operations.switch import PATIENCE, Switch
from asyncservice.storage.account import Storage
from asyncservice.storage.company import LINGER
from asyncservice.storage.errors import RowConflict, StorageUnavailable
from asyncservice.storage.tables import Comparison

log = logging.getLogger(__name__)

#: How long an attempt may take to give its operation back when its host is leaving.
RELEASE_TIME = timedelta(seconds=10)
_DEFAULT_LEASE = timedelta(seconds=60)
_NO_TIME = timedelta(0)
#: Operations submitted together are spread over at least this many hints, so that many hosts may help, before a hint
#: names more than one.
_SPREAD = 32
#: Groups of operations that are written side by side.
_GROUPS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What an installation may set."""

    #: Overrides the lease of every type, where given.
    lease: timedelta | None = None
    #: Overrides how long every type's slice may work, where given.
    slice: timedelta | None = None
    agenda: AgendaPolicy = field(default_factory=AgendaPolicy)
    #: An operation deeper in a chain of operations that cause each other is failed (reference, section 3.9).
    max_depth: int = 16
    #: Partitions, at the very first start.
    shards: int = 16
    #: Operations that one process runs at the same time; others wait for their turn, unclaimed, or go to other hosts.
    concurrency: int = 256
    #: How long, in seconds, a write or a hint may wait for company that is under way; None waits for its answer.
    linger: float | None = LINGER


class Engine:
    """Submits and runs operations. One a process; everything it knows is in the storage."""

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        *,
        clock: Clock,
        host: str,
        options: EngineOptions | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.storage, self.registry, self.clock, self.host = storage, registry, clock, host
        self.options = options or EngineOptions()
        self.store = OperationStore(storage, agenda=self.options.agenda, linger=self.options.linger)
        self.hints = Hints(storage, linger=self.options.linger)
        self.switch = Switch(self.store.table, clock, partitions=lambda: self.store.partitions)
        self.control = Control(self.store, now=self.now, follow_up=self.follow_up)
        self._rng = rng or random.SystemRandom()
        self.slots = Slots(self.options.concurrency)

    async def open(self, *, prepare: Callable[[], Awaitable[None]] | None = None) -> None:
        """Be ready to work: one request, and at the very first start those that make tables, queues, containers.

        *prepare* makes, at that first start, what others need beside the engine.
        """

        async def prepare_all() -> None:
            await self.hints.open()
            await self.switch.settle()
            if prepare is not None:
                await prepare()

        await self.store.open(shards=self.options.shards, prepare=prepare_all)

    # Submit -----------------------------------------------------------------------------------------------------------

    async def submit(self, operation: AsyncOperation) -> Stored:
        """Accept an operation: when this returns, it is kept and will be run.

        Two requests. An id that exists already is answered with the operation it belongs to, unchanged. Raises
        InvalidOperation when a column holds what it may not.
        """
        [stored] = await self.submit_many([operation])
        return stored

    async def submit_many(self, operations: Iterable[AsyncOperation]) -> list[Stored]:
        """Accept operations, in as few requests as can be: one transaction and a few hints for each full batch.

        Operations of one partition share transactions, so ids made for the batch (`ids.new_id(shard=…)`) cost
        least. Each transaction is all or nothing; the call as a whole is safe to repeat.
        """
        drafts = [creation.created(check(operation)) for operation in operations]
        groups: dict[tuple[str, bool], list[AsyncOperation]] = {}
        for draft in drafts:
            key = self.store.place(draft).partition, draft.dependencytoken is None
            groups.setdefault(key, []).append(draft)
        tickets = _tickets_a_hint(len(drafts))
        gate = asyncio.Semaphore(_GROUPS_AT_ONCE)
        written = await asyncio.gather(
            *(self._submit_group(group, tickets, gate) for group in groups.values()), return_exceptions=True
        )
        stored: dict[UUID, Stored] = {}
        for result in written:
            if isinstance(result, BaseException):
                raise result
            stored |= {each.operation.asyncoperationid: each for each in result}
        return [stored[draft.asyncoperationid] for draft in drafts]

    async def _submit_group(
        self, group: Sequence[AsyncOperation], tickets: int, gate: asyncio.Semaphore
    ) -> Sequence[Stored]:
        """Write operations of one partition, a full transaction at a time, and send *tickets* of them a hint."""
        stored: list[Stored] = []
        for batch in batched(group, _batch_size(insertion.batch_size(group), tickets), strict=False):
            unique = {draft.asyncoperationid: draft for draft in batch}
            async with gate:
                results = await insertion.insert_many(self.store, list(unique.values()))
                await self._announce([each.stored for each in results if each.new], tickets)
            stored += (each.stored for each in results)
        return stored

    async def _announce(self, stored: Sequence[Stored], tickets: int) -> None:
        """Send hints for operations that were just written. They are accepted, whatever becomes of the hints."""
        try:
            await self._hint_all(stored, tickets=tickets)
        except StorageUnavailable as error:
            log.warning("No hint could be sent for %s operation(s); the sweep will find them. %s", len(stored), error)

    # Run --------------------------------------------------------------------------------------------------------------

    async def run(self, message: str) -> None:
        """Run what a hint names. Raises ValueError when the message is no hint; storage errors pass through."""
        known: dict[Place, Stored | None] = {each.place: each.copy for each in hints.read_tickets(message)}
        if unknown := [place for place, copy in known.items() if copy is None]:
            known |= await self.store.read_places(unknown)
        work = [(place, stored) for place, stored in known.items() if stored is not None]
        party = Party[Stored](self.slots)
        results = await asyncio.gather(
            *(self._run_in_turn(party, place, stored) for place, stored in work),
            self._hand_back(party),
            return_exceptions=True,
        )
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors and len(work) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup(f"{len(errors)} of {len(work)} operations could not be run", errors)

    async def run_one(self, place: Place) -> None:
        """Claim the operation at *place*, run its handler, settle. Does nothing when there is nothing to do."""
        stored = await self.store.read_place(place)
        if stored is not None:
            await self._run_in_turn(Party(self.slots), place, stored)

    async def _run_in_turn(self, party: Party[Stored], place: Place, known: Stored) -> None:
        async with party.turn(hints.family_of(known.operation), known) as has_come:
            if has_come and (stored := await self._claim(place, known)) is not None:
                await self._run(stored)

    async def _hand_back(self, party: Party[Stored]) -> None:
        """Leave to other hosts what cannot begin here soon; then take nothing more until there is room."""
        if not party.is_waiting or await self._happens(party.all_have_begun(), within=slots.PATIENCE):
            return
        late = party.give_up()
        await self._hint_all([stored for _, stored in late], tickets=hints.MAX_TICKETS)
        for family in {family for family, _ in late}:
            await self._happens(self.slots.room(family), within=slots.LONGEST_PAUSE)

    async def _happens(self, something: Coroutine[Any, Any, None], *, within: timedelta) -> bool:
        """Wait for *something*, but no longer than that; return whether it happened."""
        awaited = asyncio.ensure_future(something)
        limit = asyncio.ensure_future(self.clock.sleep(within))
        try:
            done, _ = await asyncio.wait({awaited, limit}, return_when=asyncio.FIRST_COMPLETED)
            return awaited in done
        finally:
            awaited.cancel()
            limit.cancel()

    async def _run(self, stored: Stored) -> None:
        registration = self.registry.get(stored.operation.operationtype)
        attempt = Attempt(
            stored,
            lease=self._lease(registration),
            slice_length=self.options.slice or (registration.slice if registration else _NO_TIME),
            store=self.store,
            storage=self.storage,
            clock=self.clock,
            switch=self.switch,
            control=self.control,
            hint_all=self._hint_all,
        )
        if self._outlasted(stored) and hints.family_of(stored.operation) in (await self.switch.read()).families:
            # The stop has returned meanwhile. The handler has not begun, so nothing of it is executed.
            await self._conclude(
                attempt,
                lambda record: lifecycle.interrupted(record, now=self.clock.now(), reason="the service was stopped"),
            )
            return
        if stored.operation.depth > self.options.max_depth:
            await self._conclude(attempt, self._too_deep)
            return
        if registration is None:
            await self._conclude(attempt, self._unhandled)
            return
        await self._perform(attempt, registration)

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return self.clock.now()

    async def hint(self, stored: Stored) -> None:
        """Tell a host to look at the operation when it is due. Nothing to send for one that waits for somebody."""
        operation = stored.operation
        if operation.blockedby is not None:
            return
        now = self.clock.now()
        if operation.statecode is StateCode.READY:
            await self.hints.send(hints.family_of(operation), [self._ticket(stored)], now=now)
        elif operation.statecode is StateCode.SUSPENDED and operation.postponeuntil is not None:
            due = operation.postponeuntil
            if due - now <= self.options.agenda.horizon:
                await self.hints.send(hints.family_of(operation), [self._ticket(stored)], now=now, due=due)

    async def start_service(self, families: Iterable[Family] = Family) -> int:
        """Let families run again and send hints for all that waits in them; return how many operations that is."""
        started = frozenset(families)
        await self.switch.start(started)
        found = 0
        for shard in range(self.store.shards):
            ready = [Comparison("statecode", "eq", int(StateCode.READY))]
            # What fell due while its family was stopped had its hint, and the host that took it did nothing with it.
            fell_due = [
                Comparison("statecode", "eq", int(StateCode.SUSPENDED)),
                Comparison("postponeuntil", "le", self.clock.now()),
            ]
            waiting = [
                each
                for where in (fell_due, ready)
                async for each in self.store.scan(shard, where=where)
                if hints.family_of(each.operation) in started
            ]
            await self._hint_all([each for each in reversed(waiting) if each.operation.blockedby is None])
            found += len(waiting)
        return found

    async def _claim(self, place: Place, known: Stored) -> Stored | None:
        """Take the operation at *place* for this host; None when it is gone, finished, held, not due, or stopped.

        *known* is what was seen of it lately.
        """
        stored: Stored | None = known
        while stored is not None:
            now = self.clock.now()
            if duedates.readiness(stored.operation, now) is not Readiness.CLAIMABLE:
                return None
            stored = await self.store.load(stored)
            lease = self._lease(self.registry.get(stored.operation.operationtype))
            after = lifecycle.claimed(stored.operation, now=now, host=self.host, lease=lease)
            try:
                gate = switch.gate(hints.family_of(stored.operation))
                taken = await self.store.replace(stored, after, now=now, also=[gate])
            except ChangedMeanwhile:
                stored = await self.store.read_place(place)
                continue
            except RowConflict:
                return None  # The family is stopped. It stays Ready; the start of the service sends a new hint.
            if not after.is_locked:  # It was parked, paused or cancelled on the way.
                await self.follow_up(taken)
                return None
            if duedates.has_expired(taken.operation, self.clock.now()):
                return None  # The claim took longer than the lease: others may take it back any moment.
            return taken
        return None

    def _outlasted(self, claimed: Stored) -> bool:
        """Whether the claim took so long that a stop may have returned since it was made."""
        began = claimed.operation.claimedon
        return began is None or self.clock.now() - began >= PATIENCE

    async def _perform(self, attempt: Attempt, registration: Registration) -> None:
        handler = asyncio.ensure_future(_call(registration, attempt))
        heart = asyncio.create_task(attempt.keep_alive(handler.cancel))
        try:
            await asyncio.wait({handler})
        except asyncio.CancelledError:
            # The host is leaving: give the operation back, so that another host need not wait for the lease to end.
            handler.cancel()
            async with asyncio.timeout(RELEASE_TIME.total_seconds()):
                await asyncio.wait({handler})
                heart.cancel()
                await self._conclude(
                    attempt,
                    lambda record: lifecycle.interrupted(
                        record, now=self.clock.now(), reason=f"host {self.host} is leaving"
                    ),
                )
            raise
        finally:
            heart.cancel()
        await self._conclude(attempt, self._decide(attempt, handler, registration))

    def _decide(self, attempt: Attempt, handler: asyncio.Future[object], registration: Registration) -> Change:
        # The clock is read when the change is made, which may be again, after what somebody else wrote meanwhile: the
        # history's moments go forward.
        error = None if handler.cancelled() else handler.exception()
        if attempt.stop_requested and (handler.cancelled() or outcomes.contains(error, Stopped)):
            return lambda record: lifecycle.stopped(record, now=self.clock.now())
        if handler.cancelled():
            reason = "the handler was cancelled"
            return lambda record: lifecycle.interrupted(record, now=self.clock.now(), reason=reason)

        def outcome(record: AsyncOperation) -> AsyncOperation:
            now = self.clock.now()
            if error is not None:
                return outcomes.after_error(error, now=now, policy=registration.retry, random=self._rng)(record)
            return outcomes.after_return(handler.result(), now=now)(record)

        return outcome

    async def _conclude(self, attempt: Attempt, change: Change) -> None:
        """Write what became of the attempt; send the next hint where there is a next time."""
        try:
            stored = await attempt.write(change)
        except LeaseLost as lost:
            log.warning("%s What it did since is not recorded; the attempt that holds it goes on.", lost)
            return
        operation = stored.operation
        log.info(
            "Operation %s (%s) is now %s.",
            operation.asyncoperationid,
            operation.label,
            operation.statuscode.label,
            extra={"action": "settle", "asyncoperationid": str(operation.asyncoperationid)},
        )
        await self.follow_up(stored)

    async def follow_up(self, stored: Stored) -> None:
        """Send the hints that a change calls for: for the operation, for those it released, for its parent."""
        operation = stored.operation
        await self.hint(stored)
        for released in stored.released:
            await self.hint(Stored(released, ""))
        place = self.store.place(operation)
        if operation.is_completed and operation.parentkey is not None:
            await self.join(Place(place.partition, operation.parentkey))
        if operation.awaits == awaiting.CHILDREN:
            await self.join(place)

    async def join(self, parent: Place) -> bool:
        """Wake the operation at *parent* when all that it started is completed; return whether it was woken."""
        while not await children.unfinished(self.store, parent, limit=1):
            stored = await self.store.read_place(parent)
            if stored is None or stored.operation.awaits != awaiting.CHILDREN:
                return False
            if await children.unfinished(self.store, parent, limit=1):
                return False  # One was reopened before the parent was read; one reopened after it changes the parent.
            now = self.clock.now()
            try:
                woken = await self.store.replace(stored, awaiting.joined(stored.operation, now=now), now=now)
            except ChangedMeanwhile:
                continue
            await self.hint(woken)
            return True
        return False

    async def _hint_all(self, stored: Sequence[Stored], *, tickets: int | None = None) -> None:
        """Send hints for operations, *tickets* to a message where they may run."""
        now = self.clock.now()
        ready: dict[Family, list[Stored]] = {}
        for each in stored:
            if duedates.readiness(each.operation, now) is Readiness.CLAIMABLE:
                ready.setdefault(hints.family_of(each.operation), []).append(each)
            else:
                await self.hint(each)
        for family, several in ready.items():
            for group in batched(several, tickets or _tickets_a_hint(len(several)), strict=False):
                await self.hints.send(family, [self._ticket(each) for each in group], now=now)

    def _ticket(self, stored: Stored) -> Ticket:
        return hints.ticket(self.store.place(stored.operation), stored)

    def _too_deep(self, record: AsyncOperation) -> AsyncOperation:
        message = (
            f"Operation {record.asyncoperationid} is {record.depth} deep in the chain of correlation "
            f"{record.correlationid}; it was started by operation {record.parentoperationid}. "
            f"{self.options.max_depth} is the limit: the chain probably goes round in a circle."
        )
        return lifecycle.failed(
            record, now=self.clock.now(), code=ErrorCode.LOOP_DETECTED, message=message, recur=False
        )

    def _unhandled(self, record: AsyncOperation) -> AsyncOperation:
        label = record.type.label if record.type else "unknown"
        message = f"No handler is registered for operation type {record.operationtype} ({label})."
        return lifecycle.failed(
            record, now=self.clock.now(), code=ErrorCode.TYPE_NOT_RECOGNIZED, message=message, recur=False
        )

    def _lease(self, registration: Registration | None) -> timedelta:
        return self.options.lease or (registration.lease if registration else _DEFAULT_LEASE)


def _batch_size(most: int, tickets: int) -> int:
    """Return how many operations to write together, at most *most*, with *tickets* to a hint: so that requests are few.

    A transaction of 33 would take two hints of 32, the second one nearly empty.
    """
    full = most // tickets * tickets or most
    return min(most, full, key=lambda size: (1 + math.ceil(size / tickets)) / size)


def _tickets_a_hint(operations: int) -> int:
    """Return how many of so many operations, submitted together, one hint names."""
    return min(max(math.ceil(operations / _SPREAD), 1), hints.MAX_TICKETS)


async def _call(registration: Registration, attempt: Attempt) -> object:
    return await registration.handler(attempt)
