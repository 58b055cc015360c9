"""Our service under load: the ways to have many small operations done."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from azure.storage.queue.aio import QueueClient

from asyncservice.client import AsyncServiceClient
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import OperationType
from bench.results import Round
from bench.stage import Stage

_TYPE: Final = OperationType.EXECUTE_ASYNC_REQUEST
#: The queues that these operations pass through.
WORKING: Final = frozenset({_TYPE.family.queue_name, INBOX})
#: How long a client waits for one operation.
_PATIENCE: Final = timedelta(seconds=120)

#: Has so many operations of a name done. Returns when they were submitted or, where the way says so, waited for.
type Submit = Callable[[Stage, str, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to have operations done."""

    name: str
    submit: Submit
    #: Whether the time ends when the client has seen the last result, as it does for the peers.
    waits: bool = False


async def _one_by_one(stage: Stage, name: str, operations: int) -> None:
    for number in range(operations):
        await stage.client.submit(_TYPE, {"number": number}, name=name)


def _side_by_side(submitters: int) -> Submit:
    async def submit(stage: Stage, name: str, operations: int) -> None:
        numbers = iter(range(operations))

        async def submitter() -> None:
            for number in numbers:
                await stage.client.submit(_TYPE, {"number": number}, name=name)

        async with asyncio.TaskGroup() as group:
            for _ in range(submitters):
                group.create_task(submitter())

    return submit


async def _many(stage: Stage, name: str, operations: int) -> None:
    await stage.client.submit_many(_many_of(name, operations))


async def _many_and_wait(stage: Stage, name: str, operations: int) -> None:
    submitted = await stage.client.submit_many(_many_of(name, operations))
    for operation in submitted:
        await stage.client.wait(operation.asyncoperationid, timeout=_PATIENCE)


def _many_of(name: str, operations: int) -> Sequence[dict[str, object]]:
    return [{"operationtype": int(_TYPE), "name": name, "data": {"number": n}} for n in range(operations)]


def _messages(submitters: int) -> Submit:
    async def submit(stage: Stage, name: str, operations: int) -> None:
        numbers = iter(range(operations))
        async with QueueClient.from_connection_string(stage.connection, INBOX) as queue:

            async def sender() -> None:
                for number in numbers:
                    message = {"operationtype": int(_TYPE), "name": name, "data": {"number": number}}
                    await queue.send_message(json.dumps(message))

            async with asyncio.TaskGroup() as group:
                for _ in range(submitters):
                    group.create_task(sender())

    return submit


def ways(submitters: int) -> Sequence[Way]:
    """Return the ways to have operations done."""
    return (
        Way("submit in sequence", _one_by_one),
        Way(f"submit, {submitters} at once", _side_by_side(submitters)),
        Way("submit_many", _many),
        Way("submit_many and wait", _many_and_wait, waits=True),
        Way("inbox messages", _messages(submitters)),
    )


_rounds = count(1)


async def measure(stage: Stage, way: Way, operations: int) -> Round:
    """Have operations done and return how it went; raise when one of them did not succeed."""
    name = f"bench {next(_rounds)}: {way.name}"
    # Each round is a client that has just started: its connections are fresh.
    async with AsyncServiceClient.from_connection_string(stage.connection) as client:
        start = stage.meter.mark()
        began = datetime.now(UTC)
        await way.submit(replace(stage, client=client), name, operations)
        waited = datetime.now(UTC)
    outcome = await stage.completed(name, operations, start, WORKING)
    end = waited if way.waits else max(seen.written for seen in outcome.seen.values())
    return Round.of(outcome.span, operations=operations, seconds=(end - began).total_seconds(), working=WORKING)
