"""Hints: queue messages that say "look at these operations", one queue a family.

Losing one costs time and nothing else.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from asyncservice.operations.ids import Place
from asyncservice.operations.operationtypes import Family, OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.storage.account import Storage
from asyncservice.storage.queues import MAX_HIDDEN, Queue

#: The inbox that other services write to.
INBOX: Final = "async-operations"


def family_of(operation: AsyncOperation) -> Family:
    """Return the family whose queue carries the operation; an unpublished number counts as maintenance."""
    return operation.type.family if isinstance(operation.type, OperationType) else Family.MAINTENANCE


def write_ticket(places: Iterable[Place]) -> str:
    """Return the message that names the records at *places*."""
    return json.dumps({"operations": [[place.partition, place.key] for place in places]}, separators=(",", ":"))


def read_ticket(text: str) -> Sequence[Place]:
    """Return the places that a message names. Raises ValueError when it is no ticket."""
    try:
        return [Place(str(partition), str(key)) for partition, key in json.loads(text)["operations"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{text[:200]!r} is no ticket of the service.") from error


class Hints:
    """The queues of the families."""

    def __init__(self, storage: Storage) -> None:
        self._queues: Mapping[Family, Queue] = {family: storage.queue(family.queue_name) for family in Family}
        self._inbox = storage.queue(INBOX)

    async def open(self) -> None:
        """Make the queues that are missing, the inbox among them."""
        for queue in (*self._queues.values(), self._inbox):
            await queue.create()

    async def send(
        self, family: Family, places: Iterable[Place], *, now: datetime, due: datetime | None = None
    ) -> None:
        """Put one message on the family's queue that names *places*, hidden until they are due (seven days at most)."""
        hidden = timedelta(0) if due is None else min(max(due - now, timedelta(0)), MAX_HIDDEN)
        await self._queues[family].send(write_ticket(places), hidden_for=hidden)

    async def oldest(self, family: Family) -> datetime | None:
        """Return when the oldest visible hint of a family was sent, or None when none waits."""
        waiting = await self._queues[family].peek()
        return waiting[0].inserted_on if waiting else None
