"""Queue Storage as the queue trigger needs it: a narrow port, and its adapter."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.queue.aio import QueueClient

from asyncservice.storage.azure_http import Answer, AzureSession
from asyncservice.storage.azure_messages import Messages, read_messages
from asyncservice.storage.errors import StorageUnavailable

_NOT_FOUND: Final = 404


@dataclass(slots=True)
class TakenMessage:
    """A message hidden from others until it is deleted, released, or its time ends."""

    id: str
    text: str
    dequeue_count: int
    inserted_on: datetime
    expires_on: datetime
    #: Changes whenever the message's hiding is renewed; only the newest one is accepted.
    pop_receipt: str
    visible_on: datetime


class QueueUnreachable(Exception):  # noqa: N818 - reads as the state it describes
    """No good answer came."""


class QueueMissing(QueueUnreachable):
    """There is no such queue (yet)."""


class MessageQueue(Protocol):
    """One queue. Every method is one request; all raise QueueUnreachable when no good answer came."""

    @property
    def name(self) -> str:
        """The queue's name."""
        ...

    async def take(self, count: int, hidden_for: timedelta) -> Sequence[TakenMessage]:
        """Take up to *count* messages and hide them for *hidden_for*; raise QueueMissing when there is no queue."""
        ...

    async def delete(self, message: TakenMessage) -> None:
        """Remove the message. One that is gone, or that another host has taken since, is no error."""
        ...

    async def hide(self, message: TakenMessage, hidden_for: timedelta) -> bool:
        """Hide the message for *hidden_for* from now on; False when it is gone or in other hands."""
        ...

    async def send_poison(self, text: str) -> None:
        """Put *text* on the queue's poison queue, which is made when there is none."""
        ...


class AzureQueue:
    """A MessageQueue of Azure Queue Storage."""

    def __init__(self, queue: QueueClient, poison: QueueClient, session: AzureSession) -> None:
        self._queue, self._poison = queue, poison
        self._messages = Messages(session, queue.queue_name)
        self._poisoned = Messages(session, poison.queue_name)

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._queue.queue_name

    async def take(self, count: int, hidden_for: timedelta) -> Sequence[TakenMessage]:
        """Take up to *count* messages and hide them for *hidden_for*."""
        answer = await _answer(self._messages.get(count, hidden_for=hidden_for))
        if answer.status == _NOT_FOUND:
            raise QueueMissing("it does not exist")
        _must_be_done(answer)
        return [
            TakenMessage(
                id=each.id,
                text=each.text,
                dequeue_count=each.dequeue_count or 1,
                inserted_on=each.inserted_on,
                expires_on=each.expires_on,
                pop_receipt=each.pop_receipt,
                visible_on=each.visible_on,
            )
            for each in read_messages(answer.content)
        ]

    async def delete(self, message: TakenMessage) -> None:
        """Remove the message. One that is gone, or that another host has taken since, is no error."""
        answer = await _answer(self._messages.delete(message.id, message.pop_receipt))
        if not _is_lost(answer):
            _must_be_done(answer)

    async def hide(self, message: TakenMessage, hidden_for: timedelta) -> bool:
        """Hide the message for *hidden_for* from now on; False when it is gone or in other hands."""
        answer = await _answer(self._messages.hide(message.id, message.pop_receipt, hidden_for=hidden_for))
        if _is_lost(answer):
            return False
        _must_be_done(answer)
        message.pop_receipt = answer.headers["x-ms-popreceipt"]
        message.visible_on = parsedate_to_datetime(answer.headers["x-ms-time-next-visible"])
        return True

    async def send_poison(self, text: str) -> None:
        """Put *text* on the queue's poison queue, which is made when there is none."""
        answer = await _answer(self._poisoned.put(text))
        if answer.status == _NOT_FOUND:
            await self._create_poison()
            answer = await _answer(self._poisoned.put(text))
        _must_be_done(answer)

    async def _create_poison(self) -> None:
        try:
            await self._poison.create_queue()
        except ResourceExistsError:
            # Another host, or another message of this one, was quicker.
            return
        except AzureError as error:
            raise QueueUnreachable(error.message) from error


async def _answer(request: Awaitable[Answer]) -> Answer:
    try:
        return await request
    except StorageUnavailable as error:
        raise QueueUnreachable(str(error)) from error


def _must_be_done(answer: Answer) -> None:
    if not answer.ok:
        raise QueueUnreachable(answer.code or f"the answer is {answer.status}")


def _is_lost(answer: Answer) -> bool:
    # A pop receipt that is not the newest is answered with 400 PopReceiptMismatch.
    return answer.status == _NOT_FOUND or answer.code == "PopReceiptMismatch"
