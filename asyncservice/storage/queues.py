"""The port to Queue Storage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

#: Most bytes of UTF-8 a message may hold.
MAX_MESSAGE_BYTES: Final = 64 * 1024
#: Longest time a message can be hidden.
MAX_HIDDEN: Final = timedelta(days=7)
#: Most messages one request returns.
MAX_RECEIVE: Final = 32


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message as it was received: hidden from others until its visibility timeout ends."""

    id: str
    text: str
    pop_receipt: str
    dequeue_count: int
    inserted_on: datetime


class Queue(Protocol):
    """One queue. Every method is one storage request; errors are those of `asyncservice.storage.errors`."""

    @property
    def name(self) -> str:
        """The queue's name."""
        ...

    async def create(self) -> None:
        """Make the queue. Safe to repeat."""
        ...

    async def send(self, text: str, *, hidden_for: timedelta = timedelta(0)) -> None:
        """Put a message on the queue, invisible for *hidden_for* (at most MAX_HIDDEN). It never expires."""
        ...

    async def receive(self, *, count: int, hidden_for: timedelta) -> Sequence[QueueMessage]:
        """Take up to *count* messages, hiding each from others for *hidden_for*."""
        ...

    async def delete(self, message: QueueMessage) -> None:
        """Remove a received message. A message that is gone already is no error."""
        ...

    async def peek(self, *, count: int = 1) -> Sequence[QueueMessage]:
        """Look at the oldest visible messages without hiding them."""
        ...

    async def length(self) -> int:
        """Return about how many messages the queue holds, hidden ones included."""
        ...
