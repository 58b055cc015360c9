"""The service as a state machine: its verbs, what hosts suffer, and time, in every order that Hypothesis thinks of.

After every step the invariants of `tests.simulation.watch` hold; they are read from the tables alone, and those that
speak of one write are checked at every single write. In the end the troubles cease, and what can finish must.

SIMULATION_EXAMPLES=500 runs that many examples, at random, instead of the fixed ones of every day.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from asyncservice.operations import agenda, awaiting, codec, ids, retention
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.retention import Retention
from asyncservice.operations.states import MOVES, Action, StateCode, StatusCode
from tests.simulation.cluster import EVENT, FAMILIES, TYPES, Cluster, Process, Trouble
from tests.simulation.watch import BULK, SKEW
from tests.support import an_operation

EXAMPLES = int(os.environ.get("SIMULATION_EXAMPLES", "0"))
TOKENS = ("invoice-7", "invoice-8")
ENDS = ("succeed", "fail", "break", "save")
STEPS = ("hang", "deaf", "work", "retry", "unreachable", "yield", "postpone", "wait", "await", "await long", *ENDS)
SLOTS = 2

slots = st.integers(0, SLOTS - 1)
anyone = st.integers(0, 50)
families = st.sampled_from(FAMILIES)
plans = st.tuples(
    st.sampled_from(["hang", "hang", *STEPS]), st.lists(st.sampled_from(STEPS), max_size=2), st.sampled_from(ENDS)
).map(lambda parts: (parts[0], *parts[1], parts[2]))
#: What a parent does before it starts children, and after they are completed.
befores = st.lists(st.sampled_from(["hang", "yield", "await", "retry"]), max_size=1)
afters = st.lists(st.sampled_from(["start", "hang", "await long", "yield"]), max_size=2)
#: What children do; among their steps is starting children of their own.
broods = st.lists(
    st.tuples(st.sampled_from(["hang", "hang", "await", "postpone", *ENDS]), st.sampled_from(ENDS)),
    min_size=1,
    max_size=4,
)
VERBS = (
    *("cancel", "pause", "resume", "postpone", "retry", "delete", "purge"),
    *("submit again", "submit elsewhere", "raise", "raise another"),
)
BULK_ACTIONS = ("cancel", "pause", "resume", "postpone", "retry", "delete")
CONDITIONS = (["statecode", "eq", 0], ["statecode", "eq", 1], ["statuscode", "eq", 20], ["statecode", "eq", 3])
verbs = st.tuples(st.sampled_from(VERBS), slots, anyone)


class Service(RuleBasedStateMachine):
    """Two hosts, and those of their predecessors that were given up too early."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.cluster = self.run(self._open())
        self.rng = Random(0)
        self.hosts: list[Process] = []
        self.ghosts: list[Process] = []
        self.submitted: list[AsyncOperation] = []
        self.started = 0

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @staticmethod
    async def _open() -> Cluster:
        cluster = Cluster()
        await cluster.open()
        return cluster

    @initialize(seed=st.integers(0, 10_000), skew=st.sampled_from([0, 1, 400, 999_000, 1_500_000]))
    def begin(self, seed: int, skew: int) -> None:
        """Start the hosts; the second's clock is *skew* microseconds ahead."""
        self.rng = Random(seed)
        self.skews = [timedelta(0), timedelta(microseconds=skew)]
        assert self.skews[1] <= SKEW
        self.hosts = [self._process(slot) for slot in range(SLOTS)]
        # Some are under way when the story begins, for there it is that things can go wrong.
        self.submit_several(0, ("hang", "hang", "succeed"), None, 2)
        self.submit_several(1, ("hang", "retry", "hang", "succeed"), TOKENS[0], 3)
        self.submit_recurring(0, ("hang", "succeed"), "FREQ=DAILY;COUNT=3")
        self.submit_parent(1, [], [("hang", "succeed"), ("await", "fail"), ("succeed",)], ["await long"])
        self.work()

    def _process(self, slot: int) -> Process:
        self.started += 1
        name = f"host-{slot}-{self.started}"
        return Process(self.cluster, name, skew=self.skews[slot], seed=self.rng.randrange(10_000))

    def _do(self, *work: tuple[Process, Coroutine[Any, Any, Any]]) -> None:
        """Let processes do something at the same time, as far as it gets without time passing."""

        async def do() -> None:
            for process, each in work:
                process.spawn(each, self._accepted)
            await self.cluster.time.settle()

        self.run(do())

    def _accepted(self, result: Any) -> None:
        for each in result if isinstance(result, list) else [result]:
            if isinstance(each, Stored):
                self.cluster.watch.accepted.add(each.operation.asyncoperationid)

    def _one(self, index: int) -> AsyncOperation | None:
        """Return one of the operations: mostly one that runs or waits, for there it is that things can go wrong."""
        unfinished = self.cluster.watch.unfinished()
        locked = [each for each in unfinished if each.is_locked]
        choice = next(
            (each for each in ([locked, unfinished][index % 3 :] if index % 3 < 2 else []) if each), self.submitted
        )
        if not choice:
            return None
        return choice[-1 - index // 3 % len(choice)]

    def _submitted(self, chosen: AsyncOperation) -> AsyncOperation | None:
        """Return an operation as its caller submitted it; a child has none."""
        ours = (each for each in self.submitted if each.asyncoperationid == chosen.asyncoperationid)
        return next(ours, None)

    # What callers do --------------------------------------------------------------------------------------------------

    def _new(self, plan: tuple[str, ...], own_id: UUID | None, **columns: Any) -> AsyncOperation:
        operation_id = own_id or ids.new_id(self.cluster.time.now(), self.rng.getrandbits)
        operation = self.cluster.new_operation(operation_id, plan, type=self.rng.choice(TYPES), **columns)
        self.submitted.append(operation)
        return operation

    @rule(
        slot=slots,
        plan=plans,
        own_id=st.none() | st.uuids(version=4),
        token=st.none() | st.sampled_from(TOKENS),
        postponed=st.sampled_from([None, None, 1, 30 * 24 * 60]),
        filling=st.sampled_from(["", "", "x" * 500]),
    )
    def submit(
        self,
        *,
        slot: int,
        plan: tuple[str, ...],
        own_id: UUID | None,
        token: str | None,
        postponed: int | None,
        filling: str,
    ) -> None:
        until = None if postponed is None else self.cluster.time.now() + timedelta(minutes=postponed)
        operation = self._new(
            plan,
            own_id,
            dependencytoken=token,
            filling=filling,
            postponeuntil=until,
            statuscode=StatusCode.WAITING_FOR_RESOURCES if until is None else StatusCode.WAITING,
        )
        host = self.hosts[slot]
        self._do((host, host.engine.submit(operation)))

    @rule(slot=slots, plan=plans, pattern=st.sampled_from(["FREQ=DAILY;COUNT=3", "FREQ=WEEKLY;COUNT=2"]))
    def submit_recurring(self, slot: int, plan: tuple[str, ...], pattern: str) -> None:
        now = self.cluster.time.now()
        operation = self._new(plan, None, recurrencepattern=pattern, recurrencestarttime=now)
        host = self.hosts[slot]
        self._do((host, host.engine.submit(operation)))

    @rule(slot=slots, plan=plans, token=st.none() | st.sampled_from(TOKENS), count=st.integers(2, 4))
    def submit_several(self, slot: int, plan: tuple[str, ...], token: str | None, count: int) -> None:
        batch = [self._new(plan, None, dependencytoken=token) for _ in range(count)]
        host = self.hosts[slot]
        self._do((host, host.engine.submit_many(batch)))

    @rule(slot=slots, before=befores, children=broods, after=afters)
    def submit_parent(self, slot: int, before: list[str], children: list[tuple[str, ...]], after: list[str]) -> None:
        operation = self._new((*before, "start", *after, "succeed"), None, children=children)
        host = self.hosts[slot]
        self._do((host, host.engine.submit(operation)))

    @rule(slot=slots, index=anyone, other=st.sampled_from([None, "cancel", "resume", "raise"]), sweeps=st.booleans())
    def raise_awaited(self, *, slot: int, index: int, other: str | None, sweeps: bool) -> None:
        """Raise the event that an operation waits for, perhaps while somebody else does something to it."""
        waiting = [each for each in self.cluster.watch.unfinished() if each.iswaitingforevent]
        if not waiting:
            return
        operation_id = waiting[index % len(waiting)].asyncoperationid
        here, there = self.hosts[slot], self.hosts[1 - slot]
        work: list[tuple[Process, Coroutine[Any, Any, Any]]] = [
            (here, here.control.raise_event(operation_id, EVENT, {"number": index}))
        ]
        match other:
            case "raise":
                work.append((there, there.control.raise_event(operation_id, EVENT)))
            case "cancel" | "resume":
                work.append((there, getattr(there.control, other)(operation_id)))
        if sweeps:
            work.append((there, agenda.sweep(there.engine)))
            self.cluster.watch.swept(self.cluster.time.now())
        self._do(*work)

    @rule(slot=slots, action=st.sampled_from(BULK_ACTIONS), condition=st.sampled_from(CONDITIONS), dry=st.booleans())
    def act_on_many(self, *, slot: int, action: str, condition: list[Any], dry: bool) -> None:
        """Do something to all operations of a state."""
        until = self.cluster.time.now() + timedelta(days=2)
        data = {"Action": action, "Filter": [condition, ["operationtype", "ne", int(BULK)]], "DryRun": dry}
        operation = an_operation(
            ids.new_id(self.cluster.time.now(), self.rng.getrandbits),
            type=BULK,
            now=self.cluster.time.now(),
            data=json.dumps(data | {"PostponeUntil": until.isoformat()}),
        )
        self.submitted.append(operation)
        host = self.hosts[slot]
        self._do((host, host.engine.submit(operation)))

    def _act(self, verb: str, slot: int, index: int) -> tuple[Process, Coroutine[Any, Any, Any]] | None:
        host, operation = self.hosts[slot], self._one(index)
        if operation is None:
            return None
        operation_id = operation.asyncoperationid
        match verb:
            case "postpone":
                until = self.cluster.time.now() + timedelta(minutes=[2, 90, 60 * 24 * 10][index // 3 % 3])
                return host, host.control.postpone(operation_id, until)
            case "purge":
                kept = Retention(
                    dict.fromkeys((StatusCode.SUCCEEDED, StatusCode.FAILED, StatusCode.CANCELED), timedelta(days=1))
                )
                return host, retention.purge(host.engine, kept, budget=timedelta(minutes=1))
            case "submit again" | "submit elsewhere":
                again = self._submitted(operation)
                if again is None:
                    return None
                if verb == "submit elsewhere":
                    again = replace(again, dependencytoken=[None, *TOKENS][index // 3 % 3], recurrencepattern=None)
                return host, host.engine.submit(again)
            case "raise":
                return host, host.control.raise_event(operation_id, EVENT, {"number": index})
            case "raise another":
                return host, host.control.raise_event(operation_id, f"other-{index % 3}", "x" * 400)
            case _:
                return host, getattr(host.control, verb)(operation_id)

    @rule(verb=verbs)
    def act(self, verb: tuple[str, int, int]) -> None:
        if one := self._act(*verb):
            self._do(one)

    @rule(first=verbs, second=verbs)
    def act_at_once(self, first: tuple[str, int, int], second: tuple[str, int, int]) -> None:
        """Two people are at it at the same time, on the same operation."""
        verb, slot, _ = second
        both = [self._act(*first), self._act(verb, slot, first[2])]
        self._do(*[each for each in both if each])

    @rule(
        verb=st.sampled_from(["cancel", "pause", "pause", "postpone"]),
        slot=slots,
        index=anyone,
        step=st.sampled_from([*ENDS, "retry", "unreachable", "yield", "postpone", "wait"]),
    )
    def act_and_release(self, verb: str, slot: int, index: int, step: str) -> None:
        """Ask a running operation to stop while its handler is about to end by itself."""
        # An index that is divisible by three picks one that runs.
        operation = self._one(index * 3)
        if one := self._act(verb, slot, index * 3):
            self._do(one)
        if operation is not None:
            self.release(index, step, only=operation.asyncoperationid)

    # What hosts do ----------------------------------------------------------------------------------------------------

    @rule()
    def work(self) -> None:
        """Let the hosts take all that is visible."""

        async def work() -> None:
            await self.cluster.deliver_all(self.hosts)
            await self.cluster.time.settle()

        self.run(work())

    @rule(slot=slots, family=families, doubled=st.booleans())
    def deliver(self, *, slot: int, family: Family, doubled: bool) -> None:
        async def deliver() -> None:
            other = self.hosts[1 - slot] if doubled else None
            await self.cluster.deliver(self.hosts[slot], family, twice_on=other)
            await self.cluster.time.settle()

        self.run(deliver())

    @rule(slot=slots, index=anyone, verb=st.none() | verbs)
    def hint(self, slot: int, index: int, verb: tuple[str, int, int] | None) -> None:
        """Deliver a hint that nobody sent just now, an old one say; perhaps while somebody does something to it."""
        operation = self._one(index)
        if operation is None:
            return
        host = self.hosts[slot]
        work = [(host, host.engine.run_one(self.cluster.store.place(operation)))]
        if verb is not None and (act := self._act(verb[0], verb[1], index)):
            work.append(act)
        self._do(*work)

    @rule(family=families)
    def lose(self, family: Family) -> None:
        self.run(self.cluster.lose(family))

    @rule(index=anyone, step=st.sampled_from([*ENDS, "retry", "yield", "postpone"]))
    def release(self, index: int, step: str, only: UUID | None = None) -> None:
        """Let a handler that hangs go on."""

        async def release() -> None:
            self.cluster.release(index, step, only=only)
            await self.cluster.time.settle()

        self.run(release())

    @rule(slot=slots)
    def sweep(self, slot: int) -> None:
        async def sweep() -> None:
            self.cluster.sweep(self.hosts[slot])
            await self.cluster.time.settle()

        self.run(sweep())

    @rule(
        seconds=st.sampled_from([1, 19, 21, 59, 61, 61, 125, 600, 3600, 86_400, 8 * 86_400]), sweeper=st.none() | slots
    )
    def tick(self, seconds: int, sweeper: int | None) -> None:
        """Time passes, and perhaps a host sweeps."""
        if any(not each.process.gate.is_frozen for each in self.cluster.ledger.running):
            seconds = min(seconds, 125)  # Eight days of heartbeats show nothing that two minutes do not.

        async def tick() -> None:
            await self.cluster.time.advance(timedelta(seconds=seconds))
            if sweeper is not None:
                self.cluster.sweep(self.hosts[sweeper])
            await self.cluster.time.settle()

        self.run(tick())

    @rule(slot=slots, family=st.none() | families)
    def stop_service(self, slot: int, family: Family | None) -> None:
        host = self.hosts[slot]
        self._do((host, host.engine.switch.stop(Family if family is None else [family])))

    @rule(slot=slots)
    def start_service(self, slot: int) -> None:
        host = self.hosts[slot]
        self._do((host, host.engine.start_service()))

    # What hosts suffer ------------------------------------------------------------------------------------------------

    @rule(slot=slots, trouble=st.sampled_from(Trouble), countdown=st.integers(1, 12))
    def trouble(self, slot: int, trouble: Trouble, countdown: int) -> None:
        """At one of its next storage calls a host dies, freezes, or gets no answer."""
        self._replace_dead()
        self.hosts[slot].gate.trouble, self.hosts[slot].gate.countdown = trouble, countdown

    @rule(slot=slots)
    def crash(self, slot: int) -> None:
        async def crash() -> None:
            self.hosts[slot].die()
            await self.cluster.time.settle()

        self.run(crash())

    @rule(slot=slots)
    def leave(self, slot: int) -> None:
        """Ask a host to end, as the platform does when it takes instances away."""

        async def leave() -> None:
            self.hosts[slot].leave()
            await self.cluster.time.settle()
            self.hosts[slot].die()
            await self.cluster.time.settle()

        self.run(leave())

    @rule(slot=slots)
    def freeze(self, slot: int) -> None:
        """Let a host stand still; everybody takes it for dead, and another takes its place."""
        self.hosts[slot].freeze()

    @rule(index=anyone)
    def thaw(self, index: int) -> None:
        """Let a host that was taken for dead go on as if nothing had happened."""

        async def thaw() -> None:
            self.ghosts[index % len(self.ghosts)].gate.thaw()
            await self.cluster.time.settle()

        if self.ghosts:
            self.run(thaw())

    @rule(slot=slots, index=anyone, step=st.sampled_from([*ENDS, "retry", "yield"]))
    def haunt(self, slot: int, index: int, step: str) -> None:
        """Let a host stand still until others have taken over what it ran, then go on with it."""
        self.freeze(slot)
        self._replace_dead()
        for _ in range(2):
            self.tick(61, 1 - slot)
            self.work()
        self.release(index, step)
        self.thaw(index)

    @rule(
        slot=slots,
        own_id=st.uuids(version=4) | st.none(),
        tokens=st.tuples(st.sampled_from(TOKENS), st.sampled_from([None, *TOKENS])),
        countdowns=st.tuples(st.integers(1, 4), st.integers(0, 8)),
        removed=st.booleans(),
        days=st.sampled_from([0, 0, 0, 8]),
    )
    def contest(
        self,
        *,
        slot: int,
        own_id: UUID | None,
        tokens: tuple[str, str | None],
        countdowns: tuple[int, int],
        removed: bool,
        days: int,
    ) -> None:
        """Submit an id while a host that has begun to submit it, perhaps for another token, stands still."""
        self._replace_dead()
        operation = self._new(("succeed",), own_id, dependencytoken=tokens[0])
        again = replace(operation, dependencytoken=tokens[1])
        for each, submission, countdown in zip((slot, 1 - slot), (operation, again), countdowns, strict=True):
            host = self.hosts[each]
            if countdown:
                host.gate.trouble, host.gate.countdown = Trouble.FREEZES_BEFORE, countdown
            self._do((host, host.engine.submit(submission)))
            host.gate.trouble = None
        self._replace_dead()
        host = self.hosts[slot]
        self._do((host, host.engine.submit(operation)))
        if removed:
            self._do((host, host.control.cancel(operation.asyncoperationid)))
            self._do((host, host.control.delete(operation.asyncoperationid)))
            self._do((host, host.engine.submit(again)))
        if days:
            self.tick(days * 86_400, slot)
        for index in range(len(self.ghosts)):
            self.thaw(index)

    @rule(verb=st.sampled_from(["cancel", "pause", "postpone"]), slot=slots, index=anyone)
    def outlive(self, verb: str, slot: int, index: int) -> None:
        """Ask a running operation to stop; its host dies before it hears, and an old hint comes before the sweep."""
        if one := self._act(verb, slot, index * 3):
            self._do(one)
        for each in range(SLOTS):
            self.crash(each)
        self._replace_dead()
        self.tick(61, None)
        self.hint(slot, index * 3, None)

    def _replace_dead(self) -> None:
        for slot, host in enumerate(self.hosts):
            if host.gate.is_frozen:
                self.ghosts.append(host)
            if host.gate.is_frozen or host.is_dead:
                self.hosts[slot] = self._process(slot)
        self.ghosts = [ghost for ghost in self.ghosts if ghost.is_busy and not ghost.is_dead]

    @invariant()
    def all_is_well(self) -> None:
        if self.hosts:
            # Somebody's pause may have carried time past the moment at which others wake.
            self.run(self.cluster.time.advance(timedelta(0)))
            self._replace_dead()
            self.cluster.watch.check(self.cluster.time.now())
            self.cluster.ledger.check_leases()

    # The end ----------------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if self.hosts:
                self.run(self._end())
                self.cluster.watch.check(self.cluster.time.now())
                left = [each for each in self.cluster.watch.unfinished() if not self._may_wait(each)]
                assert not left, f"never finished: {left}"
                COUNTS["steps"] += self.cluster.watch.commits
                COUNTS["handlers"] += self.cluster.ledger.begun
                COUNTS["processes"] += self.started
                COUNTS["examples"] += 1
                MOVED.update(self.cluster.watch.moves)
                WOKEN.update(self.cluster.watch.wakings)
        finally:
            self.run(self._close())
            self.runner.close()

    async def _end(self) -> None:
        """Let the troubles cease and time pass."""
        cluster = self.cluster
        for process in (*self.hosts, *self.ghosts):
            process.die()
        await cluster.time.settle()
        self.hosts = [self._process(slot) for slot in range(SLOTS)]
        cluster.is_ending = True
        self.hosts[0].spawn(self.hosts[0].engine.start_service())
        await cluster.time.settle()
        for _ in range(300):
            await cluster.deliver_all(self.hosts)
            cluster.sweep(self.hosts[0])
            await cluster.time.settle()
            await cluster.deliver_all(self.hosts)
            if all(self._may_wait(each) for each in cluster.watch.unfinished()):
                return
            await cluster.time.advance(self._pause())

    def _pause(self) -> timedelta:
        """Return how long until somebody is to do something; at least as long as the sweep's timer takes.

        That somebody looks every few minutes at a parent that waits is of interest only when nothing else happens.
        """
        now = self.cluster.time.now()
        unfinished = [each for each in self.cluster.watch.unfinished() if not self._may_wait(each)]
        others = [each for each in unfinished if each.awaits != awaiting.CHILDREN]
        rows = [each.agendaon for each in others or unfinished]
        moments = [*rows, self.cluster.next_message(), self.cluster.time.next_waking()]
        return max(min(moment for moment in moments if moment is not None) - now, timedelta(minutes=1))

    def _may_wait(self, operation: AsyncOperation) -> bool:
        """Whether *operation* waits for a person, or behind one that does."""
        if operation.blockedby is not None:
            unfinished = self.cluster.watch.unfinished()
            before = next((each for each in unfinished if each.asyncoperationid == operation.blockedby), None)
            return before is not None and self._may_wait(before)
        if operation.awaits == awaiting.CHILDREN:
            children = [each for each in self.cluster.watch.children_of(operation) if not each.is_completed]
            return bool(children) and all(self._may_wait(each) for each in children)
        return operation.statecode is StateCode.SUSPENDED and operation.postponeuntil is None

    async def _close(self) -> None:
        for process in (*self.hosts, *self.ghosts):
            process.die()
        await self.cluster.time.settle()


#: The moves of the table; a deletion leaves no entry, for there is nothing to write it into.
POSSIBLE = sum(len(moves) for action, moves in MOVES.items() if action is not Action.DELETE)
MOVED: Counter[tuple[str, StatusCode]] = Counter()
WOKEN: Counter[str] = Counter()
COUNTS = dict.fromkeys(("examples", "steps", "handlers", "processes"), 0)


def test_whatever_happens_nothing_is_lost_and_nothing_runs_twice_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Small rows, so that payloads leave them and histories are archived.
    monkeypatch.setattr(codec, "MAX_INLINE", 300)
    monkeypatch.setattr(codec, "MAX_HISTORY", 500)
    COUNTS.update(dict.fromkeys(COUNTS, 0))
    profile = settings(
        max_examples=EXAMPLES or 120,
        stateful_step_count=60,
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    run_state_machine_as_test(Service, settings=profile)
    with capsys.disabled():
        print(  # noqa: T201 - part of the proof
            f"\n{COUNTS['examples']} examples: {COUNTS['steps']} transactions by {COUNTS['processes']} processes, "
            f"{COUNTS['handlers']} handlers begun; {len(MOVED)} of {POSSIBLE} moves made; "
            f"woken by children {WOKEN['children']}, by events {WOKEN['event'] - WOKEN['time-out']}, "
            f"by their time-outs {WOKEN['time-out']}; {WOKEN['bulk']} actions on many"
        )
