"""Submits the mixture through storage that misbehaves, and does to it what is to be done; notes what was accepted."""

import asyncio
import base64
import json
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched, count
from typing import Any, Final

from azure.core.exceptions import AzureError
from azure.storage.queue.aio import QueueClient

from asyncservice.client import AsyncServiceClient
from asyncservice.operations.errors import OperationNotFound, StateChangeRefused
from asyncservice.operations.hints import INBOX
from asyncservice.operations.states import StatusCode
from asyncservice.storage.errors import StorageUnavailable
from tests.e2e.mixture import LINE, Deed, Intent, Way

_BATCH: Final = 100
#: How many tasks submit by each way.
_SIDE_BY_SIDE: Final = 4
_PAUSE: Final = 0.3


class Feeder:
    """Submits every intent until it is accepted, and does its deed. What came of it stands in its attributes."""

    def __init__(self, client: AsyncServiceClient, connection: str, seed: int) -> None:
        self._client, self._connection = client, connection
        self._random = random.Random(seed)
        #: How often the submission of a name got no answer: it may have been accepted each of these times.
        self.unanswered: Counter[str] = Counter()
        #: When each was first sent, at the earliest, and the moment before which it must not run.
        self.not_before: dict[str, datetime] = {}
        #: Which requests of people were accepted.
        self.accepted: dict[Deed, set[str]] = defaultdict(set)

    async def feed(self, intents: Sequence[Intent]) -> None:
        """Return when everything is accepted and every deed but the last is done."""
        by_way = {way: [intent for intent in intents if intent.way is way] for way in Way}
        lines = defaultdict[str, list[Intent]](list)
        alone = list[Sequence[Intent]]()
        for intent in by_way[Way.CLIENT]:
            if (token := intent.members.get("dependencytoken")) is not None:
                lines[token].append(intent)
            else:
                alone.append([intent])
        for line in lines.values():
            line.sort(key=lambda intent: int(intent.name.partition("-")[2]))
            assert len(line) <= LINE
        batches = list(batched(by_way[Way.MANY], _BATCH, strict=False))
        async with asyncio.TaskGroup() as group:
            group.create_task(_each(batches, self._submit_many))
            # The members of a line are accepted one after the other, so that their order is known.
            group.create_task(_each([*lines.values(), *alone], partial(self._submit_in_order, group)))
            group.create_task(self._send([*by_way[Way.PLAIN], *by_way[Way.BASE64]]))

    async def end(self, intents: Sequence[Intent]) -> None:
        """Do the deeds that are done in the end."""
        await _each([intent for intent in intents if intent.deed is Deed.END], self._cancel)

    async def _submit_many(self, intents: Sequence[Intent]) -> None:
        messages = [self._message(intent) for intent in intents]
        names = [intent.name for intent in intents]
        await self._until_answered(names, lambda: self._client.submit_many(messages))
        if twice := [message for intent, message in zip(intents, messages, strict=True) if intent.twice]:
            await self._until_answered([], lambda: self._client.submit_many(twice))

    async def _submit_in_order(self, group: asyncio.TaskGroup, intents: Sequence[Intent]) -> None:
        for intent in intents:
            for message in [self._message(intent)] * (1 + intent.twice):
                await self._until_answered([intent.name], partial(self._client.submit, **message))
            if intent.deed not in {Deed.NOTHING, Deed.END}:
                group.create_task(self._do(intent))

    async def _send(self, intents: Sequence[Intent]) -> None:
        async with QueueClient.from_connection_string(
            self._connection, INBOX, initial_backoff=0, increment_base=2, random_jitter_range=1
        ) as queue:

            async def send(intent: Intent) -> None:
                text = json.dumps(self._message(intent), default=str)
                if intent.way is Way.BASE64:
                    text = base64.b64encode(text.encode()).decode()
                for _ in range(1 + intent.twice):
                    await self._until_answered([intent.name], lambda: queue.send_message(text, time_to_live=-1))

            await _each(intents, send)

    def _message(self, intent: Intent) -> dict[str, Any]:
        if not intent.postponed:
            return intent.message
        moment = datetime.now(UTC) + timedelta(seconds=intent.postponed)
        self.not_before[intent.name] = moment
        return intent.message | {"postponeuntil": moment.isoformat()}

    async def _do(self, intent: Intent) -> None:
        match intent.deed:
            case Deed.EVENT:
                # Some are told before they ask.
                await asyncio.sleep(self._random.choice([0, 0, 1, 4]))
                await self._tell(intent)
            case Deed.CANCEL:
                await asyncio.sleep(self._random.uniform(0, 6))
                await self._cancel(intent)
            case Deed.PAUSE:
                await self._pause_and_resume(intent)
            case Deed.NOTHING | Deed.END:
                return

    async def _tell(self, intent: Intent) -> None:
        data, asked = int(intent.name.partition("-")[2]), count()

        async def ask() -> None:
            earlier = next(asked)
            try:
                await self._client.raise_event(_id(intent), "go", data)
            except StateChangeRefused:
                # Only an earlier request that was done and not answered can have let it complete.
                if not earlier:
                    raise

        await self._until_answered([], ask)

    async def _cancel(self, intent: Intent) -> None:
        try:
            await self._until_answered([], lambda: self._client.cancel(_id(intent)))
        except StateChangeRefused:
            # It was completed: before this request, or by an earlier one that was done and not answered.
            return
        self.accepted[Deed.CANCEL].add(intent.name)

    async def _pause_and_resume(self, intent: Intent) -> None:
        while True:
            operation = await self._until_answered([], lambda: self._client.get(_id(intent)))
            if operation.is_completed:
                return
            try:
                if operation.statuscode is StatusCode.IN_PROGRESS:
                    await self._until_answered([], lambda: self._client.pause(_id(intent)))
                    self.accepted[Deed.PAUSE].add(intent.name)
                elif operation.statuscode is StatusCode.WAITING and operation.postponeuntil is None:
                    await self._until_answered([], lambda: self._client.resume(_id(intent)))
                    return
            except StateChangeRefused:
                pass  # It moved on meanwhile; the next look says where to.
            await asyncio.sleep(_PAUSE)

    async def _until_answered[T](self, names: Sequence[str], ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer; an operation that is not there yet is asked for again."""
        while True:
            try:
                return await ask()
            except (StorageUnavailable, AzureError):
                self.unanswered.update(names)
            except OperationNotFound:
                pass
            await asyncio.sleep(_PAUSE)


async def _each[T](things: Sequence[T], act: Callable[[T], Awaitable[None]]) -> None:
    """Act on each thing, on a few side by side."""
    left = iter(things)

    async def work() -> None:
        for thing in left:
            await act(thing)

    async with asyncio.TaskGroup() as group:
        for _ in range(_SIDE_BY_SIDE):
            group.create_task(work())


def _id(intent: Intent) -> Any:
    assert intent.id is not None
    return intent.id
