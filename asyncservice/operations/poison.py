"""Poison messages: what the host moved aside because no invocation could take it, seen and put back.

A hint that ends here loses nothing, for its operation is found by the sweep. A message to the inbox that ends here is
the only trace of what somebody asked for: it could not even be recorded, because the storage did not answer.

A message that is put back is sent before it is removed, so a crash in between leaves it in both. Being put back twice
does no harm: a hint changes nothing the second time, and a message to the inbox that names no id of its operation gets
one that follows from the poison message, so that both are the same operation.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from asyncservice.operations import hints, ids, inbox
from asyncservice.operations.errors import InvalidOperation, MessageNotFound
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import Family
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageRefused
from asyncservice.storage.queues import MAX_MESSAGE_BYTES, MAX_RECEIVE, QueueMessage

#: What the Functions host adds to a queue's name.
SUFFIX: Final = "-poison"
#: Every queue whose messages the host may move aside.
QUEUES: Final = (INBOX, *(family.queue_name for family in Family))
#: Messages of one queue that are listed: as many as one look shows.
MAX_LISTED: Final = MAX_RECEIVE
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
            tickets = hints.read_tickets(self.text)
        except ValueError:
            return "It is no hint of the service: something else writes to this queue."
        return f"The host gave up delivering a hint at {len(tickets)} operation(s); the sweep has taken them over."

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON can write it."""
        return {
            "queue": self.queue,
            "id": self.id,
            "insertedon": self.inserted_on.isoformat(),
            "reason": self.reason,
            "text": self.text,
        }


async def messages(storage: Storage, *, queue: str | None = None) -> AsyncIterator[PoisonMessage]:
    """Yield poison messages of one queue or of all, MAX_LISTED of each at most, the oldest first.

    Raises InvalidOperation when there is no such queue.
    """
    for name in _named(queue):
        for message in await _peek(storage, name):
            yield PoisonMessage(name, message.id, message.text, message.inserted_on)


async def lengths(storage: Storage) -> dict[str, int]:
    """Return about how many poison messages each queue has; queues that have none are left out."""
    counted = {}
    for name in QUEUES:
        try:
            counted[name] = await storage.queue(name + SUFFIX).length()
        except StorageRefused:
            await _only_missing(storage, name)
    return {name: count for name, count in counted.items() if count}


async def find(storage: Storage, queue: str, message_id: str) -> PoisonMessage:
    """Return one poison message. Raises MessageNotFound when it is not among the first MAX_LISTED of its queue."""
    async for message in messages(storage, queue=queue):
        if message.id == message_id:
            return message
    raise MessageNotFound(queue, message_id, MAX_LISTED)


async def redrive(storage: Storage, *, message_id: str | None = None, queue: str | None = None) -> int:
    """Put poison messages back on the queue they came from, all or one, of one queue or of all; return how many.

    Safe to repeat, and after a crash. Raises InvalidOperation when there is no such queue.
    """
    moved = 0
    for name in _named(queue):
        try:
            moved += await _redrive_queue(storage, name, message_id)
        except StorageRefused:
            await _only_missing(storage, name)
        if moved and message_id is not None:
            break
    return moved


async def _redrive_queue(storage: Storage, name: str, message_id: str | None) -> int:
    poison, queue = storage.queue(name + SUFFIX), storage.queue(name)
    moved = 0
    for _ in range(-(-await poison.length() // MAX_RECEIVE)):
        for message in await poison.receive(count=MAX_RECEIVE, hidden_for=_HIDDEN):
            if message_id in {None, message.id}:
                await queue.send(_named_operation(message) if name == INBOX else message.text)
                await poison.delete(message)
                moved += 1
        if moved and message_id is not None:
            break
    return moved


def _named_operation(message: QueueMessage) -> str:
    """Return a message to the inbox as it is sent again: it names its operation's id, so that twice is once."""
    text = inbox.decode(message.text.encode())
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError):
        return message.text  # It will become a Failed operation that says so.
    if not isinstance(asked, dict) or asked.get("asyncoperationid") is not None:
        return message.text
    own_id = str(ids.derived_id(message.inserted_on, message.id))
    named = json.dumps({**asked, "asyncoperationid": own_id}, separators=(",", ":"), ensure_ascii=False)
    return named if len(named.encode()) <= MAX_MESSAGE_BYTES else message.text


async def _peek(storage: Storage, name: str) -> Sequence[QueueMessage]:
    try:
        return await storage.queue(name + SUFFIX).peek(count=MAX_LISTED)
    except StorageRefused:
        await _only_missing(storage, name)
        return ()


async def _only_missing(storage: Storage, name: str) -> None:
    """Return when a poison queue was refused because there is none yet; raise StorageRefused when it is worse.

    The host makes it with its first message. Whoever may not read the queue beside it may read neither.
    """
    await storage.queue(name).length()


def _named(queue: str | None) -> Sequence[str]:
    if queue is None:
        return QUEUES
    name = queue.removesuffix(SUFFIX)
    if name not in QUEUES:
        raise InvalidOperation(f"{queue!r} is no queue of the service; it has {', '.join(QUEUES)}.")
    return (name,)
