"""A year in the life of a service, played from a seed: what is asked of it, and what befalls its hosts.

Only moments at which something happens are played. A sweep that would find no row due reads and does nothing, so the
sweep's timer fires at the first full minute after a row is due.
"""

import heapq
import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from asyncservice.operations import ids, recurrence, retention
from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.retention import Retention
from asyncservice.operations.states import StatusCode
from tests.simulation.cluster import FAMILIES, TYPES, Cluster, Process, Trouble
from tests.simulation.watch import SKEW
from tests.support import NOON

HOSTS: Final = 3
SWEEP_EVERY: Final = timedelta(minutes=1)
PATTERNS: Final = ("FREQ=DAILY", "FREQ=DAILY", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=MONTHLY", "FREQ=YEARLY")
PLANS: Final = (
    ("chance",),
    ("work",),
    ("yield", "yield", "chance"),
    ("retry", "chance"),
    ("fail",),
    ("postpone", "save"),
)
#: Invariants of all rows together are checked after this many steps, those of one write at every write.
CHECK_EVERY: Final = 25


class Year:
    """A cluster, and everything that will happen to it."""

    def __init__(self, seed: int, *, quiet: bool = False) -> None:
        self.cluster = Cluster()
        self.counts: Counter[str] = Counter()
        #: What is asked for, by when it may begin at the earliest.
        self.asked: dict[UUID, tuple[AsyncOperation, datetime]] = {}
        self._rng, self._quiet = Random(seed), quiet
        self._hosts: list[Process | None] = []
        self._plan: list[tuple[datetime, int, str]] = []
        self._order = itertools.count()
        self._started = 0
        self._asks_again = False

    @property
    def now(self) -> datetime:
        """What time it is."""
        return self.cluster.time.now()

    async def open(self) -> "Year":
        """Start the hosts."""
        await self.cluster.open()
        self.cluster.chance = lambda: "succeed" if self._quiet else self._rng.choice(CHANCES)
        self._hosts = [self._start() for _ in range(HOSTS)]
        return self

    def _start(self) -> Process:
        self._started += 1
        skew = timedelta(0) if self._quiet else timedelta(microseconds=self._rng.randrange(0, 900_000))
        return Process(self.cluster, f"host-{self._started}", skew=skew, seed=self._rng.randrange(2**32))

    def at(self, moment: datetime, event: str) -> None:
        """Plan an event, a method of this class."""
        heapq.heappush(self._plan, (moment, next(self._order), event))

    def scatter(self, event: str, count: int, length: timedelta) -> None:
        """Plan *count* events at random moments within *length* from now."""
        for _ in range(count):
            self.at(self.now + length * self._rng.random(), event)

    def _alive(self) -> list[Process]:
        for number, host in enumerate(self._hosts):
            if host is not None and host.gate.is_frozen:
                self.counts["freezes"] += 1
                self._hosts[number] = self._start()
            elif host is not None and host.is_dead:
                self.counts["crashes"] += 1
                self._hosts[number] = None
                self.at(self.now + timedelta(minutes=self._rng.randrange(1, 30)), "restart")
        return [host for host in self._hosts if host is not None]

    # Time -------------------------------------------------------------------------------------------------------------

    async def play(self, length: timedelta) -> None:
        """Let time pass."""
        end = self.now + length
        await self.cluster.time.settle()
        while self.now < end:
            await self.cluster.time.advance(max(min(self._next(), end) - self.now, timedelta(0)))
            while self._plan and self._plan[0][0] <= self.now:
                await getattr(self, heapq.heappop(self._plan)[2])()
                await self.cluster.time.settle()
            await self._deliver()
            await self._sweep()
            self.counts["steps"] += 1
            if self.counts["steps"] % CHECK_EVERY == 0:
                self.cluster.watch.check(self.now)
        self.cluster.watch.check(self.now)

    def _next(self) -> datetime:
        """Return when something happens next."""
        moments = [self.cluster.time.next_waking(), self._plan[0][0] if self._plan else None]
        if self._alive():
            moments += [self.cluster.next_message(), self._next_sweep()]
        return min((moment for moment in moments if moment is not None), default=self.now + timedelta(days=1))

    def _due(self) -> datetime | None:
        """Return when the first agenda row is due."""
        table = self.cluster.watch.table
        assert table is not None
        first = [
            ids.agenda_moment(keys[position])
            for partition, keys in table._keys.items()
            if partition != "layout"
            and (position := bisect_left(keys, ids.AGENDA)) < len(keys)
            and keys[position].startswith(ids.AGENDA)
        ]
        return min(first, default=None)

    def _next_sweep(self) -> datetime | None:
        due = self._due()
        if due is None:
            return None
        # The timer fires at full minutes, and has fired in this one already.
        moment = max(due, self.now + timedelta(microseconds=1))
        return NOON + SWEEP_EVERY * -((NOON - moment) // SWEEP_EVERY)

    async def _sweep(self) -> None:
        due, alive = self._due(), self._alive()
        if due is None or due > self.now or not alive or (self.now - NOON) % SWEEP_EVERY:
            return
        self.counts["sweeps"] += 1
        self.cluster.sweep(self._troubled(self._rng.choice(alive)))
        await self.cluster.time.settle()

    async def _deliver(self) -> None:
        while alive := self._alive():
            moment = self.cluster.next_message()
            if moment is None or moment > self.now:
                return
            for family in FAMILIES:
                fate = "safe" if self._quiet else self._rng.choice(FATES)
                if fate == "lost":
                    self.counts["hints lost"] += await self.cluster.lose(family)
                    continue
                twice_on = self._rng.choice(alive) if fate == "doubled" else None
                if await self.cluster.deliver(self._troubled(self._rng.choice(alive)), family, twice_on=twice_on):
                    self.counts["hints"] += 1
                    self.counts["hints doubled"] += twice_on is not None
            await self.cluster.time.settle()

    def _troubled(self, process: Process) -> Process:
        """Return *process*, to which something may happen at one of its next storage calls."""
        if not self._quiet and self._rng.random() < TROUBLED:
            process.gate.trouble = self._rng.choice(list(Trouble))
            process.gate.countdown = self._rng.randrange(1, 11)
        return process

    # What is asked for ------------------------------------------------------------------------------------------------

    def ask(self, plan: tuple[str, ...], **columns: Any) -> AsyncOperation:
        """Submit an operation; what is not answered is submitted again until it is."""
        own_id = ids.new_id(self.now, self._rng.getrandbits)
        if self._rng.random() < 1 / 4:
            own_id = UUID(int=self._rng.getrandbits(128), version=4)
        until = columns.get("postponeuntil")
        columns["statuscode"] = StatusCode.WAITING if until else StatusCode.WAITING_FOR_RESOURCES
        operation = self.cluster.new_operation(own_id, plan, type=self._rng.choice(TYPES), **columns)
        self.asked[own_id] = operation, until or self.now
        self._submit(operation)
        return operation

    def _submit(self, operation: AsyncOperation) -> None:
        self._do(lambda host: host.engine.submit(operation))
        if not self._asks_again:
            self._asks_again = True
            self.at(self.now + timedelta(minutes=5), "ask_again")

    def _do(self, work: Any) -> None:
        def accepted(result: object) -> None:
            if isinstance(result, Stored):
                self.cluster.watch.accepted.add(result.operation.asyncoperationid)

        if alive := self._alive():
            host = self._troubled(self._rng.choice(alive))
            request: Coroutine[Any, Any, Any] = work(host)
            host.spawn(request, accepted)

    async def ask_again(self) -> None:
        """Submit again what got no answer."""
        self._asks_again = False
        for operation_id in self.asked.keys() - self.cluster.watch.accepted:
            self.counts["submitted again"] += 1
            self._submit(self.asked[operation_id][0])

    async def submission(self) -> None:
        """Submit something."""
        token = self._rng.choice([None, None, "invoice-7", "invoice-8", "invoice-9"])
        postponed = self._rng.choice([None, None, None, timedelta(minutes=5), timedelta(days=9), timedelta(days=30)])
        until = None if postponed is None else self.now + postponed
        self.ask(self._rng.choice(PLANS), dependencytoken=token, postponeuntil=until)

    def recur(self) -> None:
        """Submit what recurs."""
        for pattern in PATTERNS:
            self.ask(("chance",), recurrencepattern=pattern, recurrencestarttime=self.now, name=pattern)

    async def action(self) -> None:
        """Let a person do something to an operation that is not completed, but to none that recurs."""
        unfinished = [each for each in self.cluster.watch.unfinished() if not each.recurrencepattern]
        if not unfinished:
            return
        operation_id = self._rng.choice(unfinished).asyncoperationid
        verb = self._rng.choice(["cancel", "pause", "resume", "postpone"])
        self.counts["actions"] += 1
        if verb == "postpone":
            until = self.now + timedelta(hours=self._rng.randrange(1, 200))
            # What waits already may be brought forward.
            operation, earliest = self.asked[operation_id]
            self.asked[operation_id] = operation, min(earliest, until)
            self._do(lambda host: host.control.postpone(operation_id, until))
        else:
            if verb == "resume":
                operation, earliest = self.asked[operation_id]
                self.asked[operation_id] = operation, min(earliest, self.now)
            self._do(lambda host: getattr(host.control, verb)(operation_id))

    async def operator(self) -> None:
        """Do an operator's daily round: resume what is paused, retry what was parked, remove what is old."""
        for known in list(self.cluster.watch.known.values()):
            operation = known.operation
            operation_id = operation.asyncoperationid
            if operation.errorcode == ErrorCode.WORKER_NOT_AVAILABLE and operation.statuscode is StatusCode.FAILED:
                self.counts["parked"] += 1
                await self._round("retry", operation_id)
            elif operation.statuscode is StatusCode.WAITING and operation.postponeuntil is None:
                await self._round("resume", operation_id)
        self._do(lambda host: retention.purge(host.engine, Retention(), budget=timedelta(minutes=5)))
        self.at(self.now + timedelta(days=1), "operator")

    async def _round(self, verb: str, operation_id: UUID) -> None:
        self._do(lambda host: getattr(host.control, verb)(operation_id))
        await self.cluster.time.settle()

    # What befalls the hosts -------------------------------------------------------------------------------------------

    async def crash(self) -> None:
        """Let a host die, whatever it does."""
        if alive := self._alive():
            self._rng.choice(alive).die()

    async def outage(self) -> None:
        """Let every host die; they come back hours later."""
        for number, host in enumerate(self._hosts):
            if host is not None:
                host.die()
                self._hosts[number] = None
                self.counts["crashes"] += 1
        self.counts["outages"] += 1
        for _ in range(HOSTS):
            self.at(self.now + timedelta(hours=self._rng.randrange(1, 9)), "restart")

    async def restart(self) -> None:
        """Start one of the hosts that are down."""
        if None in self._hosts:
            self._hosts[self._hosts.index(None)] = self._start()

    async def thaw(self) -> None:
        """Let every host that was taken for dead go on as if nothing had happened."""
        for process in self.cluster.frozen():
            self.counts["thawed"] += 1
            process.gate.thaw()

    def cease(self) -> None:
        """Let there be peace from now on."""
        self._quiet = True
        for host in self._hosts:
            if host is not None:
                host.gate.trouble = None
        self._plan = [(moment, order, event) for moment, order, event in self._plan if event in PEACEFUL]
        heapq.heapify(self._plan)

    async def close(self) -> None:
        """End every process."""
        for host in (*self.cluster.frozen(), *self._alive()):
            host.die()
        await self.cluster.time.settle()

    # What must be true in the end -------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check that everything was run that was asked for, in its time."""
        watch, begun = self.cluster.watch, self.cluster.ledger.begun_on
        assert watch.accepted == self.asked.keys(), "everything that was asked for is accepted"
        left = [each for each in watch.unfinished() if not each.recurrencepattern]
        assert not left, f"what can finish has finished, but {left}"
        for operation_id, (operation, earliest) in self.asked.items():
            runs = begun.get(operation_id, [])
            if operation.recurrencepattern:
                self._check_slots(operation, runs)
            elif watch.last_status[operation_id] is not StatusCode.CANCELED:
                assert runs, f"{operation_id} was never run"
            assert all(run >= earliest - SKEW for run in runs), f"{operation_id} was run before {earliest}: {runs}"

    def _check_slots(self, operation: AsyncOperation, runs: list[datetime]) -> None:
        """Check that a recurring operation ran in each of its slots before the next one."""
        assert operation.recurrencepattern is not None
        assert operation.recurrencestarttime is not None
        rule = recurrence.parse(operation.recurrencepattern, operation.recurrencestarttime)
        slots = list(itertools.takewhile(lambda slot: slot < self.now - timedelta(hours=1), rule))
        for slot, following in itertools.pairwise([*slots, self.now + timedelta(days=1)]):
            ran = any(slot <= run < following for run in runs)
            assert ran, f"{operation.recurrencepattern} missed {slot}: {[run for run in runs if run > slot][:3]}"
            self.counts["slots"] += 1


CHANCES: Final = ("succeed", "succeed", "succeed", "succeed", "succeed", "work", "yield", "retry", "unreachable")
FATES: Final = ("lost", "doubled", *["safe"] * 18)
#: How often something happens to a host while it does what it is asked.
TROUBLED: Final = 0.05
#: What goes on when the troubles have ceased.
PEACEFUL: Final = frozenset({"restart", "operator", "ask_again"})
