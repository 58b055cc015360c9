"""Queue Storage behind the Queue port. Messages are plain text: host.json says messageEncoding "none"."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue.aio import QueueClient

from asyncservice.storage.azure_errors import translated
from asyncservice.storage.azure_http import Answer, AzureSession
from asyncservice.storage.azure_messages import Messages, WireMessage, read_messages
from asyncservice.storage.errors import StorageRefused
from asyncservice.storage.queues import QueueMessage

_NOT_FOUND: Final = 404


class AzureQueue:
    """One queue of an account."""

    def __init__(self, client: QueueClient, session: AzureSession) -> None:
        self._client = client
        self._messages = Messages(session, client.queue_name)

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
        self._must_be_done(await self._messages.put(text, hidden_for=hidden_for), "send to")

    async def receive(self, *, count: int, hidden_for: timedelta) -> Sequence[QueueMessage]:
        """Take up to *count* messages."""
        answer = self._must_be_done(await self._messages.get(count, hidden_for=hidden_for), "receive from")
        return [_message(each) for each in read_messages(answer.content)]

    async def delete(self, message: QueueMessage) -> None:
        """Remove a received message."""
        answer = await self._messages.delete(message.id, message.pop_receipt)
        if answer.status != _NOT_FOUND or answer.code == "QueueNotFound":
            self._must_be_done(answer, "remove a message of")

    async def peek(self, *, count: int = 1) -> Sequence[QueueMessage]:
        """Look at the oldest visible messages."""
        answer = self._must_be_done(await self._messages.peek(count), "peek at")
        return [_message(each) for each in read_messages(answer.content)]

    async def length(self) -> int:
        """Return about how many messages the queue holds."""
        with translated(f"measure {self.name}"):
            return int((await self._client.get_queue_properties()).approximate_message_count or 0)

    def _must_be_done(self, answer: Answer, what: str) -> Answer:
        if not answer.ok:
            raise StorageRefused(f"{what} {self.name}: {answer.status} {answer.code or 'no reason given'}")
        return answer


def _message(message: WireMessage) -> QueueMessage:
    return QueueMessage(
        id=message.id,
        text=message.text,
        pop_receipt=message.pop_receipt,
        dequeue_count=message.dequeue_count,
        inserted_on=message.inserted_on,
    )
