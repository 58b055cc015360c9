"""Hints: queue messages that say "look at these operations", one queue a family.

Losing one costs time and nothing else. A hint for one operation carries a copy of its record where that is short, so
that the host need not read before it claims: the claim applies to the version that was copied, or not at all.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from asyncservice.operations import codec
from asyncservice.operations.ids import Place
from asyncservice.operations.operationtypes import Family, OperationType
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.storage.account import Storage
from asyncservice.storage.company import LINGER, Company, Member
from asyncservice.storage.queues import MAX_HIDDEN, Queue

#: The inbox that other services write to.
INBOX: Final = "async-operations"
#: Operations that one message names at most: what a host takes at a time, and what is taken again when it dies.
MAX_TICKETS: Final = 32
#: Characters that the copy of a record in a message may have.
MAX_COPY: Final = 8_000


def family_of(operation: AsyncOperation) -> Family:
    """Return the family whose queue carries the operation; an unpublished number counts as maintenance."""
    return operation.type.family if isinstance(operation.type, OperationType) else Family.MAINTENANCE


@dataclass(frozen=True, slots=True)
class Ticket:
    """What one message names."""

    places: Sequence[Place]
    #: The record of the only place, as it was when the message was sent. Nothing but a saved read: a claim made from it
    #: applies to that version only.
    copy: Stored | None = None


def write_ticket(places: Iterable[Place], copy: Stored | None = None) -> str:
    """Return the message that names the records at *places*, with a copy of the only one where that is short."""
    ticket: dict[str, object] = {"operations": [[place.partition, place.key] for place in places]}
    if copy is not None and copy.etag and not copy.spilled:
        record = codec.to_json(copy.operation)
        if len(record) <= MAX_COPY:
            ticket |= {"etag": copy.etag, "record": record}
    return json.dumps(ticket, separators=(",", ":"), ensure_ascii=False)


def read_ticket(text: str) -> Ticket:
    """Return what a message names. Raises ValueError when it is no ticket."""
    try:
        ticket = json.loads(text)
        places = [Place(str(partition), str(key)) for partition, key in ticket["operations"]]
        record = ticket.get("record")
        return Ticket(places, None if record is None else Stored(codec.from_json(record), ticket["etag"]))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{text[:200]!r} is no ticket of the service.") from error


@dataclass(frozen=True, slots=True)
class _Errand:
    """What one caller wants to have said."""

    places: Sequence[Place]
    copy: Stored | None


class Hints:
    """The queues of the families. Hints that are sent at the same time go as one message.

    *linger* is how long, in seconds, a hint may wait for one that is under way; None waits until that has arrived.
    """

    def __init__(self, storage: Storage, *, linger: float | None = LINGER) -> None:
        self._queues: Mapping[Family, Queue] = {family: storage.queue(family.queue_name) for family in Family}
        self._lanes: Mapping[Family, Company[_Errand, None]] = {
            family: Company(partial(_Message, queue), linger=linger) for family, queue in self._queues.items()
        }
        self._inbox = storage.queue(INBOX)

    async def open(self) -> None:
        """Make the queues that are missing, the inbox among them."""
        for queue in (*self._queues.values(), self._inbox):
            await queue.create()

    async def send(
        self,
        family: Family,
        places: Sequence[Place],
        *,
        now: datetime,
        due: datetime | None = None,
        copy: Stored | None = None,
    ) -> None:
        """Tell the hosts to look at the operations at *places*, when they are due (seven days ahead at most).

        *copy* is the record of the only place, where it is at hand: it saves the host that takes the message a read.
        """
        if due is None:
            await self._lanes[family].join(_Errand(places, copy))
        else:
            hidden = min(max(due - now, timedelta(0)), MAX_HIDDEN)
            await self._queues[family].send(write_ticket(places, copy), hidden_for=hidden)

    async def oldest(self, family: Family) -> datetime | None:
        """Return when the oldest visible hint of a family was sent, or None when none waits."""
        waiting = await self._queues[family].peek()
        return waiting[0].inserted_on if waiting else None


class _Message:
    """Hints that go as one."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._members: list[Member[_Errand, None]] = []
        self._count = 0

    def takes(self, member: Member[_Errand, None]) -> bool:
        """Take *member* in, or say that it must wait for the next."""
        count = len(member.item.places)
        if self._members and self._count + count > MAX_TICKETS:
            return False
        self._members.append(member)
        self._count += count
        return True

    async def send(self) -> None:
        """Send the message and answer every member."""
        errands = [member.item for member in self._members]
        copy = errands[0].copy if len(errands) == 1 else None
        try:
            await self._queue.send(write_ticket((place for each in errands for place in each.places), copy))
        except BaseException as error:  # noqa: BLE001 - it is not swallowed: everybody who waits gets it
            for member in self._members:
                member.fail(error)
        else:
            for member in self._members:
                member.succeed(None)
