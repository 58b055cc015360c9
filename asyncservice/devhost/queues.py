"""Queue Storage as the queue trigger needs it: a narrow port, and its adapter to the Azure client library."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient


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
    """A MessageQueue over the Azure client library."""

    def __init__(self, queue: QueueClient, poison: QueueClient) -> None:
        self._queue = queue
        self._poison = poison

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._queue.queue_name

    async def take(self, count: int, hidden_for: timedelta) -> Sequence[TakenMessage]:
        """Take up to *count* messages and hide them for *hidden_for*."""
        seconds = int(hidden_for.total_seconds())
        try:
            pages = self._queue.receive_messages(messages_per_page=count, visibility_timeout=seconds).by_page()
            # The first page only: the iterator would go on asking until the queue is empty.
            page = await anext(pages, None)
            if page is None:
                return ()
            return [
                TakenMessage(
                    id=message.id,
                    text=message.content,
                    dequeue_count=message.dequeue_count or 1,
                    inserted_on=_known(message.inserted_on),
                    expires_on=_known(message.expires_on),
                    pop_receipt=_known(message.pop_receipt),
                    visible_on=_known(message.next_visible_on),
                )
                async for message in page
            ]
        except ResourceNotFoundError as error:
            raise QueueMissing("it does not exist") from error
        except AzureError as error:
            raise QueueUnreachable(_reason(error)) from error

    async def delete(self, message: TakenMessage) -> None:
        """Remove the message. One that is gone, or that another host has taken since, is no error."""
        try:
            await self._queue.delete_message(message.id, message.pop_receipt)
        except ResourceNotFoundError:
            return
        except HttpResponseError as error:
            if not _lost(error):
                raise QueueUnreachable(_reason(error)) from error
        except AzureError as error:
            raise QueueUnreachable(_reason(error)) from error

    async def hide(self, message: TakenMessage, hidden_for: timedelta) -> bool:
        """Hide the message for *hidden_for* from now on; False when it is gone or in other hands."""
        seconds = int(hidden_for.total_seconds())
        try:
            # Without content, the message's text stays as it is.
            updated = await self._queue.update_message(message.id, message.pop_receipt, visibility_timeout=seconds)
        except ResourceNotFoundError:
            return False
        except HttpResponseError as error:
            if _lost(error):
                return False
            raise QueueUnreachable(_reason(error)) from error
        except AzureError as error:
            raise QueueUnreachable(_reason(error)) from error
        message.pop_receipt = _known(updated.pop_receipt)
        message.visible_on = _known(updated.next_visible_on)
        return True

    async def send_poison(self, text: str) -> None:
        """Put *text* on the queue's poison queue, which is made when there is none."""
        try:
            try:
                await self._poison.send_message(text, time_to_live=-1)
            except ResourceNotFoundError:
                await self._create_poison()
                await self._poison.send_message(text, time_to_live=-1)
        except AzureError as error:
            raise QueueUnreachable(_reason(error)) from error

    async def _create_poison(self) -> None:
        try:
            await self._poison.create_queue()
        except ResourceExistsError:
            # Another host, or another message of this one, was quicker.
            return


def _known[Value](value: Value | None) -> Value:
    """Return what every answer carries although the client library's types allow for its absence."""
    if value is None:
        raise QueueUnreachable("The answer is incomplete")
    return value


def _lost(error: HttpResponseError) -> bool:
    # A pop receipt that is not the newest is answered with 400 PopReceiptMismatch.
    return getattr(error, "error_code", "") == "PopReceiptMismatch"


def _reason(error: AzureError) -> str:
    code = getattr(error, "error_code", None)
    return str(code) if code else error.message
