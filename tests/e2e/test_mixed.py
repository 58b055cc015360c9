"""Everything at once: operations of every kind, hosts that are killed, storage that misbehaves and is restarted.

`E2E_OPERATIONS`, `E2E_KILLS`, `E2E_FAULTS` (the share of requests that are spoilt) scale it, `E2E_SEED` plays the same
operations, kills and faults again, as far as processes of their own allow.
"""

import asyncio
import json
import os
import random
import socket
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from asyncservice.client import AsyncServiceClient
from asyncservice.devhost.azurite import Azurite
from asyncservice.devhost.connections import development_connection_string
from asyncservice.operations import ids
from asyncservice.operations.duedates import AgendaPolicy
from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.hints import INBOX
from asyncservice.operations.lifecycle import MAX_DEATHS
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import Action, StateCode, StatusCode
from asyncservice.operations.store import DEFAULT_SHARDS, TABLE
from asyncservice.storage.tables import Comparison
from tests.e2e import ledger
from tests.e2e.evidence import Evidence, check_attempts, check_effects, check_moves, check_wishes, claims
from tests.e2e.faultyproxy import Fault
from tests.e2e.feeding import Feeder
from tests.e2e.handlers.effects import EFFECTS
from tests.e2e.hosts import ROOT, Host, Hosts, eventually, hosts_on
from tests.e2e.ledger import Effect
from tests.e2e.mixture import Deed, Intent, draw

OPERATIONS: Final = int(os.environ.get("E2E_OPERATIONS", "5000"))
KILLS: Final = int(os.environ.get("E2E_KILLS", "20"))
FAULTS: Final = float(os.environ.get("E2E_FAULTS", "0.01"))
SEED: Final = int(os.environ.get("E2E_SEED", "3"))
#: The whole must have ended after this long; what it takes is printed.
LIMIT: Final = timedelta(seconds=120 + OPERATIONS * 0.1 + KILLS * 5)
#: What the sweep may otherwise leave for minutes, it looks at again within seconds. Whoever writes a record writes its
#: agenda row, so clients have the same settings as hosts.
POLICY: Final = AgendaPolicy(
    hint_grace=timedelta(seconds=5), look_again=timedelta(seconds=10), children_net=timedelta(seconds=10)
)
SETTINGS: Final = {
    "ASYNCSERVICE_HINT_GRACE": f"00:00:{POLICY.hint_grace.seconds:02}",
    "ASYNCSERVICE_LOOK_AGAIN": f"00:00:{POLICY.look_again.seconds:02}",
    "ASYNCSERVICE_CHILDREN_NET": f"00:00:{POLICY.children_net.seconds:02}",
}


class Proxy:
    """The misbehaving storage account, a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, ports: Sequence[int]) -> None:
        self._process = process
        blob, queue, table = ports
        self.connection_string = development_connection_string(blob_port=blob, queue_port=queue, table_port=table)

    @classmethod
    @asynccontextmanager
    async def before(cls, emulator: Azurite, *, seed: int, share: float) -> AsyncIterator["Proxy"]:
        """Run a proxy before the emulator until the end of the block."""
        arguments = [str(each) for each in (seed, share, *emulator.ports)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.e2e.faultyproxy", *arguments),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield cls(process, json.loads(await process.stdout.readline()))
        finally:
            process.stdin.close()
            await process.wait()

    async def tell(self, command: str) -> Any:
        """Have it do something and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n".encode())
        return json.loads(await self._process.stdout.readline())


@dataclass
class Course:
    """What has happened so far."""

    kills: int = 0
    restarts: int = 0
    #: Unfinished operations whose agenda row was checked while the storage stood still.
    looked_at: int = 0


async def test_nothing_is_lost_and_nothing_runs_twice_at_once_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"seed {SEED}")  # noqa: T201 - shown when it fails
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    intents = draw(SEED, OPERATIONS)
    effects, course, began = tmp_path / "ledger", Course(), time.monotonic()
    emulator = Azurite(port=three_free_ports(), data=tmp_path / "azurite")
    async with (
        emulator,
        Proxy.before(emulator, seed=SEED, share=FAULTS) as proxy,
        AsyncServiceClient.from_connection_string(emulator.connection_string) as direct,
        AsyncServiceClient.from_connection_string(proxy.connection_string) as client,
        asyncio.timeout(LIMIT.total_seconds()),
        asyncio.TaskGroup() as group,
    ):
        # The witness reads it everywhere; the effects of this test stand in the ledger.
        await direct.storage.table(EFFECTS).create()
        with hosts_on(proxy.connection_string, tmp_path) as hosts:
            feeder = Feeder(client, proxy.connection_string, SEED)
            feeding = group.create_task(feeder.feed(intents))
            herd = await Herd.start(hosts, effects, random.Random(SEED))
            pieces = sum(len(intent.pieces) + intent.children for intent in intents)
            for kill in range(1, KILLS + 1):
                await herd.until_done(pieces * kill // (KILLS + 1))
                await herd.kill_one()
                course.kills += 1
                if kill == KILLS // 2:
                    course.looked_at = await restart(emulator, proxy, direct)
                    course.restarts += 1
            await feeding
            await feeder.end(intents)
            ran = time.monotonic()
            redriven = await all_completed(direct, herd)
            ended = time.monotonic()
            count = await proxy.tell("count")
        found = await Evidence.of(direct.storage)
        assert [finding async for finding in direct.audit().everything()] == []
        verdict = judge(intents, found, ledger.read(effects), feeder)
    faults: Mapping[str, int] = count["faults"]
    print(  # noqa: T201 - what docs/reliability.md tells of
        f"seed {SEED}: {len(found.operations)} operations, {course.kills} kills, {course.restarts} restart of the "
        f"storage with {course.looked_at} operations unfinished, {ended - began:.0f} s ({ended - ran:.0f} s after the "
        f"last was asked for)\n"
        f"{sum(faults.values())} of {count['requests']} requests spoilt: "
        + "; ".join(f"{number} {kind}" for kind, number in sorted(faults.items()))
        + f"\n{found.interrupted} attempts taken back, {verdict.repeated} of {verdict.effects} effects made again, "
        f"{verdict.parked} operations parked, {sum(feeder.unanswered.values())} submissions sent again, "
        f"{verdict.copies} of them accepted twice for want of an id, {redriven} messages redriven; "
        + ", ".join(f"{number} {status.label}" for status, number in sorted(found.statuses.items()))
    )
    if KILLS and OPERATIONS >= 1000:
        assert found.interrupted > 0, "kills met operations at work"
        assert set(faults) == {fault.value for fault in Fault}, "every kind of fault came up"


class Herd:
    """Two hosts, one of which is killed and started again."""

    def __init__(self, hosts: Hosts, effects: Path, rng: random.Random) -> None:
        self._hosts, self._effects, self._random = hosts, effects, rng
        self._running: list[Host] = []

    @classmethod
    async def start(cls, hosts: Hosts, effects: Path, rng: random.Random) -> "Herd":
        herd = cls(hosts, effects, rng)
        herd._running = list(await asyncio.gather(herd._one(), herd._one()))
        return herd

    async def kill_one(self) -> None:
        victim = self._running.pop(self._random.randrange(2))
        await victim.kill()
        self._running.append(await self._one())

    async def until_done(self, effects: int) -> None:
        """Return when so many effects have been made."""

        async def enough() -> bool:
            return ledger.lines(self._effects) >= effects

        await eventually(enough, within=LIMIT, meanwhile=self.must_run)

    def must_run(self) -> None:
        for host in self._running:
            host.must_run()

    async def _one(self) -> Host:
        settings = {
            **SETTINGS,
            ledger.SETTING: str(self._effects),
            "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:01",
        }
        return await self._hosts.start(settings)


async def restart(emulator: Azurite, proxy: Proxy, direct: AsyncServiceClient) -> int:
    """Take the storage away in the middle of everything and bring it back; look at its tables in between.

    Every connection is cut, whatever is on its way. The emulator itself is stopped in good order: killed, it forgets up
    to five seconds of what it has answered for, which no account in Azure does.
    """
    await proxy.tell("cut")
    await asyncio.sleep(0.5)
    before = await Evidence.of(direct.storage)
    before.check_agenda(POLICY, datetime.now(UTC))
    await emulator.stop()
    await emulator.start()
    after = await Evidence.of(direct.storage)
    assert after.operations == before.operations, "the storage has forgotten nothing"
    await proxy.tell("join")
    return sum(not each.is_completed for each in after.operations.values())


async def all_completed(direct: AsyncServiceClient, herd: Herd) -> int:
    """Return when nothing is left to be done: how many messages had to be redriven from the inbox's poison queue."""
    redriven = 0

    async def nothing_is_left() -> bool:
        nonlocal redriven
        aside = [message async for message in direct.poison_messages() if message.queue == INBOX]
        for message in aside:
            redriven += await direct.redrive(message.id)
        return not (aside or await direct.storage.queue(INBOX).length() or await unfinished(direct))

    await eventually(nothing_is_left, within=LIMIT, meanwhile=herd.must_run)
    return redriven


async def unfinished(direct: AsyncServiceClient) -> bool:
    """Whether any operation is not completed."""
    for shard in range(DEFAULT_SHARDS):
        rows = direct.storage.table(TABLE).scan(
            ids.partition_name(shard),
            start=ids.RECORD,
            where=[Comparison("statecode", "lt", int(StateCode.COMPLETED))],
            select=("statecode",),
            limit=1,
        )
        async for _ in rows:
            return True
    return False


@dataclass(kw_only=True)
class Verdict:
    """What the tables and the ledger say in the end."""

    effects: int = 0
    repeated: int = 0
    parked: int = 0
    copies: int = 0


def judge(
    intents: Sequence[Intent], found: Evidence, effects: Mapping[UUID, Sequence[Effect]], feeder: Feeder
) -> Verdict:
    """Check that everything that was accepted is completed as it should, each effect made, and none without need."""
    verdict = Verdict(effects=sum(len(made) for made in effects.values()))
    assert found.agenda == []
    assert set(effects) <= set(found.operations)
    by_name = defaultdict[str, list[AsyncOperation]](list)
    children = defaultdict[UUID, list[AsyncOperation]](list)
    for operation in found.operations.values():
        assert operation.is_completed, f"{operation.name} is {operation.statuscode.label}"
        check_attempts(operation)
        check_moves(operation)
        check_wishes(operation)
        verdict.repeated += check_effects(operation, effects.get(operation.asyncoperationid, ()))
        verdict.parked += is_parked(operation)
        if operation.parentoperationid is None:
            by_name[operation.name or ""].append(operation)
        else:
            children[operation.parentoperationid].append(operation)
    for intent in intents:
        copies = by_name.pop(intent.name, [])
        assert copies, f"{intent.name} was accepted and is not there"
        # Without an id of its own, what got no answer and was sent again may have been accepted both times.
        assert len(copies) == 1 or (intent.id is None and len(copies) <= 1 + feeder.unanswered[intent.name])
        verdict.copies += len(copies) - 1
        for operation in copies:
            assert intent.id in {None, operation.asyncoperationid}
            check_outcome(intent, operation, effects.get(operation.asyncoperationid, ()), feeder)
            check_children(intent, children.pop(operation.asyncoperationid, []), effects, operation)
    assert not by_name, f"nobody submitted {list(by_name)}"
    assert not children
    check_lines(intents, found)
    taken_back = Counter(entry.action for each in found.operations.values() for entry in each.history)
    assert verdict.repeated <= taken_back[Action.INTERRUPT] + taken_back[Action.TRY_LATER] + taken_back[Action.STOP]
    return verdict


def is_parked(operation: AsyncOperation) -> bool:
    """Whether its process died three times in a row: it is Failed and says so."""
    return operation.errorcode == ErrorCode.WORKER_NOT_AVAILABLE and operation.deaths == MAX_DEATHS


def check_outcome(intent: Intent, operation: AsyncOperation, made: Sequence[Effect], feeder: Feeder) -> None:
    """Check that one operation came to what it was to come to."""
    status, pieces = operation.statuscode, {effect.piece for effect in made}
    if is_parked(operation):
        assert status is StatusCode.FAILED
        return
    assert status in intent.ends, f"{intent.name} is {status.label}: {operation.message}"
    if intent.name in feeder.accepted[Deed.CANCEL]:
        assert status is StatusCode.CANCELED, f"{intent.name} was cancelled and is {status.label}"
    if intent.deed is Deed.END:
        assert pieces == {f"run-{run}" for run in range(len(pieces))}, f"{intent.name} ran {sorted(pieces)}"
        runs = sum(entry.action == Action.RECUR for entry in operation.history)
        assert runs <= len(pieces) <= runs + 1
    elif status is StatusCode.CANCELED:
        assert pieces <= intent.pieces
    else:
        assert pieces == intent.pieces, f"{intent.name} is {status.label} and did {sorted(pieces)}"
    if intent.postponed:
        assert claims(operation)[0].on >= feeder.not_before[intent.name] - timedelta(milliseconds=1)
    retries = sum(entry.action == Action.TRY_LATER for entry in operation.history)
    assert retries >= intent.data.get("retries", 0)
    if intent.name in feeder.accepted[Deed.PAUSE]:
        assert any(entry.action == Action.PAUSE for entry in operation.history)


def check_children(
    intent: Intent,
    children: Sequence[AsyncOperation],
    effects: Mapping[UUID, Sequence[Effect]],
    parent: AsyncOperation,
) -> None:
    """Check that a parent has the children it was to have, and went on when all of them were completed."""
    assert len(children) == intent.children or is_parked(parent)
    assert len({child.name for child in children}) == len(children)
    joined = [effect.on for effect in effects.get(parent.asyncoperationid, ()) if effect.piece == "joined"]
    for child in children:
        assert is_parked(child) or {effect.piece for effect in effects[child.asyncoperationid]} == {"run-0"}
        assert child.completedon is not None
        assert all(child.completedon <= moment for moment in joined), f"{parent.name} did not wait for {child.name}"


def check_lines(intents: Sequence[Intent], found: Evidence) -> None:
    """Check that operations of one token ran one at a time, in the order in which they were accepted."""
    lines = defaultdict[str, list[Intent]](list)
    for intent in intents:
        if (token := intent.members.get("dependencytoken")) is not None:
            lines[token].append(intent)
    for line in lines.values():
        line.sort(key=lambda intent: int(intent.name.partition("-")[2]))
        for before, after in pairwise(found.operations[each.id] for each in line if each.id is not None):
            assert before.history[-1].on <= claims(after)[0].on, f"{after.name} overtook {before.name}"


def three_free_ports() -> int:
    """Return the first of three free ports in a row, so that the emulator can come back to them."""
    for _ in range(100):
        with ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                for offset in (1, 2):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            return port
    raise AssertionError("There are no three free ports in a row.")
