"""Hints: queue messages that say "look at these operations", one queue a family.

Losing one costs time and nothing else. A hint carries a copy of each record that is short, so that the host need not
read before it claims: the claim applies to the version that was copied, or not at all.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from asyncservice.operations import codec
from asyncservice.operations.ids import Place
from asyncservice.operations.operationtypes import Family, OperationType
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.store import stored_from
from asyncservice.storage.account import Storage
from asyncservice.storage.company import LINGER, Company, Member
from asyncservice.storage.queues import MAX_HIDDEN, Queue, QueueMessage
from asyncservice.storage.tables import Row

#: The inbox that other services write to.
INBOX: Final = "async-operations"
#: Operations that one message names at most: what a host takes at a time, and what is taken again when it dies.
MAX_TICKETS: Final = 32
#: Bytes that the copy of one record in a message may have, and those of all: a message holds 64 KiB.
MAX_COPY: Final = 8_000
MAX_COPIES: Final = 48_000


def family_of(operation: AsyncOperation) -> Family:
    """Return the family whose queue carries the operation; an unpublished number counts as maintenance."""
    return operation.type.family if isinstance(operation.type, OperationType) else Family.MAINTENANCE


@dataclass(frozen=True, slots=True)
class Ticket:
    """One operation that a message names."""

    place: Place
    #: Its record as it was when the message was sent. Nothing but a saved read: a claim made from it applies to that
    #: version only.
    copy: Stored | None = None


def ticket(place: Place, stored: Stored) -> Ticket:
    """Return the ticket of an operation, with a copy of its record where that may go with it."""
    is_whole = stored.etag and stored.values is not None and not stored.spilled
    return Ticket(place, stored if is_whole else None)


def write_tickets(tickets: Iterable[Ticket]) -> str:
    """Return the message that names operations; it carries copies of their records as far as there is room."""
    room = MAX_COPIES
    entries = []
    for each in tickets:
        entry = json.dumps([each.place.partition, each.place.key, each.copy.etag if each.copy else ""])
        if each.copy is not None and each.copy.values is not None:
            record = codec.to_json(each.copy.values)
            size = len(record.encode()) + 4 * sum(map(record.count, "&<>"))  # The queue's own envelope is XML.
            if size <= min(MAX_COPY, room):
                room -= size
                entry = f"{entry[:-1]},{record}]"
        entries.append(entry)
    return f'{{"operations":[{",".join(entries)}]}}'


def read_tickets(text: str) -> Sequence[Ticket]:
    """Return what a message names. Raises ValueError when it is no message of the service."""
    try:
        return [_ticket(*entry) for entry in json.loads(text)["operations"]]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{text[:200]!r} is no ticket of the service.") from error


def _ticket(partition: str, key: str, etag: str = "", record: Mapping[str, Any] | None = None) -> Ticket:
    place = Place(str(partition), str(key))
    return Ticket(place, None if record is None else stored_from(Row(partition, key, codec.from_json(record), etag)))


class Hints:
    """The queues of the families. Hints that are sent at the same time go as one message.

    *linger* is how long, in seconds, a hint may wait for one that is under way; None waits until that has arrived.
    """

    def __init__(self, storage: Storage, *, linger: float | None = LINGER) -> None:
        self._queues: Mapping[Family, Queue] = {family: storage.queue(family.queue_name) for family in Family}
        self._lanes: Mapping[Family, Company[Sequence[Ticket], None]] = {
            family: Company(partial(_Message, queue), linger=linger) for family, queue in self._queues.items()
        }
        self._inbox = storage.queue(INBOX)

    async def open(self) -> None:
        """Make the queues that are missing, the inbox among them."""
        for queue in (*self._queues.values(), self._inbox):
            await queue.create()

    async def send(
        self, family: Family, tickets: Sequence[Ticket], *, now: datetime, due: datetime | None = None
    ) -> None:
        """Tell the hosts to look at operations, when they are due (seven days ahead at most)."""
        if due is None:
            await self._lanes[family].join(tickets)
        else:
            hidden = min(max(due - now, timedelta(0)), MAX_HIDDEN)
            await self._queues[family].send(write_tickets(tickets), hidden_for=hidden)

    async def oldest(self, family: Family) -> datetime | None:
        """Return since when the oldest visible hint of a family has waited, or None when none waits.

        A hint that was handed back was sent anew, but what it names has waited all the time.
        """
        waiting = await self._queues[family].peek()
        return min(_waits_since(waiting[0])) if waiting else None


def _waits_since(message: QueueMessage) -> Iterator[datetime]:
    yield message.inserted_on
    try:
        tickets = read_tickets(message.text)
    except ValueError:
        return  # No hint of ours: whoever takes it says so.
    for each in tickets:
        if each.copy is not None and each.copy.operation.readyon is not None:
            yield each.copy.operation.readyon


class _Message:
    """Hints that go as one."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._members: list[Member[Sequence[Ticket], None]] = []
        self._count = 0

    def takes(self, member: Member[Sequence[Ticket], None]) -> bool:
        """Take *member* in, or say that it must wait for the next."""
        count = len(member.item)
        if self._members and self._count + count > MAX_TICKETS:
            return False
        self._members.append(member)
        self._count += count
        return True

    async def send(self) -> None:
        """Send the message and answer every member."""
        try:
            await self._queue.send(write_tickets(ticket for each in self._members for ticket in each.item))
        except BaseException as error:  # noqa: BLE001 - it is not swallowed: everybody who waits gets it
            for member in self._members:
                member.fail(error)
        else:
            for member in self._members:
                member.succeed(None)
