"""The sweep: the net below the hints.

It reads the agenda rows that are due and repairs whatever a lost message, a crash or an outage left behind. One
mechanism for all of them: a Ready operation whose hint was lost gets a new one, an expired lease is taken back, a
postponed operation that is due is hinted at, a row that is early is moved.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from copy import replace
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from asyncservice.operations import awaiting, duedates, hints, lifecycle, reservation
from asyncservice.operations.duedates import Readiness
from asyncservice.operations.engine import Engine
from asyncservice.operations.errors import ChangedMeanwhile
from asyncservice.operations.hints import Ticket
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.record import Stored
from asyncservice.operations.states import StateCode
from asyncservice.operations.store import AgendaRow

log = logging.getLogger(__name__)

#: Rows of one partition that one sweep looks at; the oldest first, so a backlog does not hide a crash.
ROWS_A_SHARD: Final = 200
#: Partitions looked at side by side.
SHARDS_AT_ONCE: Final = 4


class Repair(StrEnum):
    """What the sweep did with one row."""

    HINTED = "hinted"
    """A new hint was sent: the old one must have been lost."""
    RECOVERED = "recovered"
    """An attempt whose lease ran out was taken back."""
    MOVED = "moved"
    """The row was early and now stands where it belongs, or its operation still waits its turn."""
    REMOVED = "removed"
    """The row was left over."""
    LEFT = "left"
    """Nothing was to be done, or somebody else was faster."""


@dataclass(slots=True)
class _Fronts:
    """When the oldest visible hint of each family was sent, asked at most once a sweep."""

    engine: Engine
    known: dict[Family, datetime | None]

    async def of(self, family: Family) -> datetime | None:
        if family not in self.known:
            self.known[family] = await self.engine.hints.oldest(family)
        return self.known[family]


async def sweep(engine: Engine) -> Mapping[Repair, int]:
    """Look at every agenda row that is due and repair what is wrong. Safe to run on several hosts at once.

    Costs one request for each partition, and two or three for each row that is due. Repairs nothing while the whole
    service is stopped, but for a stop that died half-way.
    """
    done: Counter[Repair] = Counter()
    stopped = await engine.switch.look()
    fronts = _Fronts(engine, {})
    at_once = asyncio.Semaphore(SHARDS_AT_ONCE)
    unsettled = False

    async def sweep_shard(shard: int) -> None:
        nonlocal unsettled
        async with at_once:
            gates, rows = await engine.store.look(shard, engine.clock.now(), limit=ROWS_A_SHARD)
            unsettled |= gates != stopped.gates
            for row in rows if not stopped.is_everything else ():
                done[await _look_at(engine, row, fronts)] += 1

    async with asyncio.TaskGroup() as group:
        for shard in range(engine.store.shards):
            group.create_task(sweep_shard(shard))
    if unsettled:
        # Somebody stops or starts the service at this moment, or died while he did.
        await engine.switch.settle()
    if done.total():
        log.info("Sweep: %s.", ", ".join(f"{count} {repair}" for repair, count in sorted(done.items())))
    return done


async def _look_at(engine: Engine, row: AgendaRow, fronts: _Fronts) -> Repair:
    stored = await engine.store.read_place(row.place)
    if stored is None:
        await reservation.lift(engine.store, row, now=engine.clock.now())
        return Repair.REMOVED
    now = engine.clock.now()
    try:
        if not engine.store.is_current(stored, row):
            await engine.store.drop_agenda_row(row)
            return Repair.REMOVED
        match duedates.readiness(stored.operation, now):
            case Readiness.CLAIMABLE if stored.operation.is_locked:
                return await _recover(engine, stored, now)
            case Readiness.CLAIMABLE:
                return await _hint_again(engine, stored, fronts, now)
            case Readiness.NOT_YET if stored.operation.awaits == awaiting.CHILDREN:
                return await _look_for_children(engine, stored, row, now)
            case Readiness.NOT_YET:
                await engine.hint(stored)
                return await _move(engine, stored, now)
            case Readiness.HELD | Readiness.FINISHED:
                return await _move(engine, stored, now)
    except ChangedMeanwhile:
        return Repair.LEFT


async def _recover(engine: Engine, stored: Stored, now: datetime) -> Repair:
    """Take back an attempt whose process died, so that another host may claim the operation."""
    taken_back = await engine.store.replace(stored, lifecycle.died(stored.operation, now=now), now=now)
    log.warning(
        "Operation %s: attempt %s on host %s died; it is now %s.",
        stored.operation.asyncoperationid,
        stored.operation.attempt,
        stored.operation.hostid,
        taken_back.operation.statuscode.label,
        extra={"action": "recover", "asyncoperationid": str(stored.operation.asyncoperationid)},
    )
    await engine.follow_up(taken_back)
    return Repair.RECOVERED


async def _hint_again(engine: Engine, stored: Stored, fronts: _Fronts, now: datetime) -> Repair:
    """Send a new hint, unless the old one may still wait in its queue behind others."""
    operation = stored.operation
    family = hints.family_of(operation)
    due_since = operation.readyon if operation.statecode is StateCode.READY else operation.postponeuntil
    front = await fronts.of(family)
    waits_its_turn = front is not None and due_since is not None and front <= due_since
    waits_its_turn |= family in engine.switch.seen.families
    if not waits_its_turn:
        await engine.hints.send(family, [Ticket(engine.store.place(operation))], now=now)
    await engine.store.replace(
        stored,
        replace(operation, version=operation.version + 1),
        now=now,
        look_again=now + engine.store.agenda.look_again,
    )
    return Repair.MOVED if waits_its_turn else Repair.HINTED


async def _look_for_children(engine: Engine, stored: Stored, row: AgendaRow, now: datetime) -> Repair:
    """Wake a parent whose last child's word was lost; look again later at one that rightly waits."""
    if await engine.join(row.place):
        return Repair.HINTED
    operation = replace(stored.operation, version=stored.operation.version + 1)
    await engine.store.replace(stored, operation, now=now, look_again=now + engine.store.agenda.children_net)
    return Repair.MOVED


async def _move(engine: Engine, stored: Stored, now: datetime) -> Repair:
    """Move an early row to where it belongs, when that is far enough away to be worth a write."""
    operation = stored.operation
    policy = engine.store.agenda
    if not policy.needs_move(operation.agendaon, policy.due(operation, now)):
        return Repair.LEFT
    await engine.store.replace(stored, replace(operation, version=operation.version + 1), now=now)
    return Repair.MOVED
