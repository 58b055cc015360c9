"""Our service under load: the ways to have many small operations done."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from asyncservice.client import AsyncServiceClient
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import OperationType
from bench.families import MILLISECONDS
from bench.records import shares
from bench.results import Round
from bench.stage import Stage

TYPE: Final = OperationType.EXECUTE_ASYNC_REQUEST
#: The queues that these operations pass through.
WORKING: Final = frozenset({TYPE.family.queue_name, INBOX})
#: How long a client waits for one operation.
_PATIENCE: Final = timedelta(seconds=120)
#: Operations of one `submit_many`; more are submitted by several, one after the other.
_TOGETHER: Final = 5000

#: Has operations done, one for each of these data. Returns when they were submitted or, where the way says so, waited
#: for.
type Submit = Callable[[Stage, str, Sequence[dict[str, Any]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to have operations done."""

    name: str
    submit: Submit
    #: Whether the time ends when the client has seen the last result, as it does for the peers.
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """So many operations, had done in one way, each of which sleeps for so long."""

    way: Way
    operations: int
    milliseconds: int = 0

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.way.name}; {self.milliseconds} ms each" if self.milliseconds else self.way.name


def side_by_side(submitters: int) -> Way:
    """Return the way of so many tasks of one process, each of which submits one operation after the other."""

    async def submit(stage: Stage, name: str, everything: Sequence[dict[str, Any]]) -> None:
        data = iter(everything)

        async def submitter() -> None:
            for each in data:
                await stage.client.submit(TYPE, each, name=name)

        async with asyncio.TaskGroup() as group:
            for _ in range(submitters):
                group.create_task(submitter())

    return Way("submit in sequence" if submitters == 1 else f"submit, {submitters} at once", submit)


def messages(submitters: int) -> Way:
    """Return the way of a service in any language: messages to the inbox, from so many senders."""

    async def submit(stage: Stage, name: str, everything: Sequence[dict[str, Any]]) -> None:
        data = iter(everything)
        queue = stage.client.storage.queue(INBOX)

        async def sender() -> None:
            for each in data:
                await queue.send(json.dumps({"operationtype": int(TYPE), "name": name, "data": each}))

        async with asyncio.TaskGroup() as group:
            for _ in range(submitters):
                group.create_task(sender())

    return Way(f"inbox messages, {submitters} senders", submit)


async def _many(stage: Stage, name: str, everything: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(everything), _TOGETHER):
        await stage.client.submit_many(_many_of(name, everything[start : start + _TOGETHER]))


async def _many_and_wait(stage: Stage, name: str, everything: Sequence[dict[str, Any]]) -> None:
    submitted = await stage.client.submit_many(_many_of(name, everything))
    for operation in submitted:
        await stage.client.wait(operation.asyncoperationid, timeout=_PATIENCE)


def _many_of(name: str, everything: Sequence[dict[str, Any]]) -> Sequence[dict[str, object]]:
    return [{"operationtype": int(TYPE), "name": name, "data": each} for each in everything]


MANY: Final = Way("submit_many", _many)
MANY_AND_WAIT: Final = Way("submit_many and wait", _many_and_wait, waits=True)

_rounds = count(1)


async def measure(stage: Stage, load: Load) -> Round:
    """Have operations done and return how it went; raise when one of them did not succeed."""
    name = f"bench {next(_rounds)}: {load.name}"
    everything = [data_of(number, load.milliseconds) for number in range(load.operations)]
    # Each round is a client that has just started: its connections are fresh.
    async with AsyncServiceClient.from_connection_string(stage.connection) as client:
        start = stage.meter.mark()
        began = datetime.now(UTC)
        await load.way.submit(replace(stage, client=client), name, everything)
        waited = datetime.now(UTC)
    outcome = await stage.completed(name, load.operations, start, WORKING)
    end = waited if load.way.waits else max(seen.written for seen in outcome.seen.values())
    return Round.of(
        outcome.span,
        operations=load.operations,
        seconds=(end - began).total_seconds(),
        working=WORKING,
        shares=shares(outcome.seen.values()),
    )


def data_of(number: int, milliseconds: int) -> dict[str, Any]:
    """Return what an operation is told."""
    return {"number": number} | ({MILLISECONDS: milliseconds} if milliseconds else {})
