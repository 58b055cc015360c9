"""Queue Storage behind the Queue port. Messages are plain text: host.json says messageEncoding "none"."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

from asyncservice.storage.azure_errors import translated
from asyncservice.storage.queues import QueueMessage


class AzureQueue:
    """One queue of an account."""

    def __init__(self, client: QueueClient) -> None:
        self._client = client

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._client.queue_name

    async def create(self) -> None:
        """Make the queue."""
        with translated(f"create queue {self.name}"):
            try:
                await self._client.create_queue()
            except ResourceExistsError:
                return

    async def send(self, text: str, *, hidden_for: timedelta = timedelta(0)) -> None:
        """Put a message on the queue; it never expires."""
        # Queue Storage counts whole seconds. A hint that came a moment early would find its operation not due yet.
        seconds = max(0, math.ceil(hidden_for.total_seconds()))
        with translated(f"send to {self.name}"):
            await self._client.send_message(text, visibility_timeout=seconds or None, time_to_live=-1)

    async def receive(self, *, count: int, hidden_for: timedelta) -> Sequence[QueueMessage]:
        """Take up to *count* messages."""
        with translated(f"receive from {self.name}"):
            taken = self._client.receive_messages(
                messages_per_page=count, visibility_timeout=round(hidden_for.total_seconds()), max_messages=count
            )
            return [_message(each) async for each in taken]

    async def delete(self, message: QueueMessage) -> None:
        """Remove a received message."""
        with translated(f"remove a message of {self.name}"):
            try:
                await self._client.delete_message(message.id, message.pop_receipt)
            except ResourceNotFoundError:
                return

    async def peek(self, *, count: int = 1) -> Sequence[QueueMessage]:
        """Look at the oldest visible messages."""
        with translated(f"peek at {self.name}"):
            return [_message(each) for each in await self._client.peek_messages(max_messages=count)]

    async def length(self) -> int:
        """Return about how many messages the queue holds."""
        with translated(f"measure {self.name}"):
            return int((await self._client.get_queue_properties()).approximate_message_count or 0)


def _message(message: Any) -> QueueMessage:  # noqa: ANN401 - the client's class is untyped where it matters
    return QueueMessage(
        id=message.id,
        text=message.content,
        pop_receipt=message.pop_receipt or "",
        dequeue_count=message.dequeue_count or 0,
        inserted_on=message.inserted_on,
    )
