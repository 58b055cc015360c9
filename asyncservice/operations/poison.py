"""Poison messages: what the host moved aside because no invocation could take it, seen and put back.

A hint that ends here loses nothing, for its operation is found by the sweep. A message to the inbox that ends here is
the only trace of what somebody asked for: it could not even be recorded, because the storage did not answer.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from asyncservice.operations import hints
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import Family
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageRefused
from asyncservice.storage.queues import MAX_RECEIVE, Queue

#: What the Functions host adds to a queue's name.
SUFFIX: Final = "-poison"
#: Every queue whose messages the host may move aside.
QUEUES: Final = (INBOX, *(family.queue_name for family in Family))
#: How long a message is kept from others while it is put back.
_HIDDEN: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class PoisonMessage:
    """A message that was moved aside."""

    queue: str
    id: str
    text: str
    inserted_on: datetime

    @property
    def reason(self) -> str:
        """Why it is probably here, as far as the message itself tells."""
        if self.queue == INBOX:
            return "It could not be recorded: the storage did not answer at any delivery."
        try:
            places = hints.read_ticket(self.text).places
        except ValueError:
            return "It is no hint of the service: something else writes to this queue."
        return f"The host gave up delivering a hint at {len(places)} operation(s); the sweep has taken them over."


async def messages(storage: Storage) -> AsyncIterator[PoisonMessage]:
    """Yield poison messages, up to 32 of each queue; their number is the queue's length."""
    for name in QUEUES:
        queue = storage.queue(name + SUFFIX)
        try:
            waiting = await queue.peek(count=MAX_RECEIVE)
        except StorageRefused:  # The host makes the queue with its first poison message.
            continue
        for message in waiting:
            yield PoisonMessage(name, message.id, message.text, message.inserted_on)


async def redrive(storage: Storage, *, message_id: str | None = None) -> int:
    """Put poison messages back on the queue they came from, all or one; return how many.

    Each is sent before it is removed, so a crash in between leaves it in both. That does no harm to a message that
    names its operation's id; one that names none may then become a second operation.
    """
    moved = 0
    for name in QUEUES:
        poison = storage.queue(name + SUFFIX)
        try:
            moved += await _redrive_queue(poison, storage.queue(name), message_id)
        except StorageRefused:
            continue
    return moved


async def _redrive_queue(poison: Queue, queue: Queue, message_id: str | None) -> int:
    moved = 0
    for _ in range(-(-await poison.length() // MAX_RECEIVE)):
        for message in await poison.receive(count=MAX_RECEIVE, hidden_for=_HIDDEN):
            if message_id in {None, message.id}:
                await queue.send(message.text)
                await poison.delete(message)
                moved += 1
    return moved
