"""Messages of Queue Storage as they go over the wire. What the storage port and the local host's queues are made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.queue.aio import QueueServiceClient

from asyncservice.storage.azure_http import Answer, AzureSession, Credential, SharedKey

_HEADERS: Final = {"x-ms-version": "2020-10-02", "Accept": "application/xml"}
_XML: Final = {"Content-Type": "application/xml"}
#: A carriage return would be read as a line feed.
_ESCAPED: Final = {"\r": "&#13;"}
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WireMessage:
    """A message as the service describes it; one that was only peeked at has no receipt."""

    id: str
    text: str
    dequeue_count: int
    inserted_on: datetime
    expires_on: datetime
    pop_receipt: str
    visible_on: datetime


def queue_session(client: QueueServiceClient) -> AzureSession:
    """Return a session with the Queue service that *client* talks to, with its credential."""
    credential: Credential = client.credential
    if account := getattr(credential, "account_name", None):
        credential = AzureNamedKeyCredential(account, credential.account_key)  # type: ignore[union-attr]
    return AzureSession(client.url, credential, headers=_HEADERS, signed=SharedKey)


class Messages:
    """The messages of one queue. Every method is one request and returns the service's answer, whatever it is.

    All raise StorageUnavailable when none came.
    """

    def __init__(self, session: AzureSession, queue: str) -> None:
        self._session, self._path = session, f"/{queue}/messages"

    async def put(self, text: str, *, hidden_for: timedelta = timedelta(0)) -> Answer:
        """Put a message on the queue that never expires."""
        query = {"messagettl": "-1"}
        # Queue Storage counts whole seconds. A hint that came a moment early would find its operation not due yet.
        if seconds := max(0, math.ceil(hidden_for.total_seconds())):
            query["visibilitytimeout"] = str(seconds)
        content = f"<QueueMessage><MessageText>{escape(text, _ESCAPED)}</MessageText></QueueMessage>".encode()
        return await self._session.request("POST", self._path, query=query, headers=_XML, content=content)

    async def get(self, count: int, *, hidden_for: timedelta) -> Answer:
        """Take up to *count* messages."""
        query = {"numofmessages": str(count), "visibilitytimeout": str(round(hidden_for.total_seconds()))}
        return await self._session.request("GET", self._path, query=query)

    async def peek(self, count: int) -> Answer:
        """Look at up to *count* visible messages."""
        return await self._session.request("GET", self._path, query={"numofmessages": str(count), "peekonly": "true"})

    async def delete(self, message_id: str, pop_receipt: str) -> Answer:
        """Remove a message."""
        return await self._session.request("DELETE", self._one(message_id), query={"popreceipt": pop_receipt})

    async def hide(self, message_id: str, pop_receipt: str, *, hidden_for: timedelta) -> Answer:
        """Hide a message from now on; its text stays as it is. The answer's headers have its new receipt."""
        query = {"popreceipt": pop_receipt, "visibilitytimeout": str(round(hidden_for.total_seconds()))}
        return await self._session.request("PUT", self._one(message_id), query=query)

    def _one(self, message_id: str) -> str:
        return f"{self._path}/{quote(message_id, safe='')}"


def read_messages(content: bytes) -> Sequence[WireMessage]:
    """Return the messages that an answer lists."""
    listed = ET.fromstring(content)  # noqa: S314 - the answer of the account's own service
    return [_message({part.tag: part.text or "" for part in each}) for each in listed]


def _message(parts: Mapping[str, str]) -> WireMessage:
    return WireMessage(
        id=parts["MessageId"],
        text=parts.get("MessageText", ""),
        dequeue_count=int(parts.get("DequeueCount", "0")),
        inserted_on=parsedate_to_datetime(parts["InsertionTime"]),
        expires_on=parsedate_to_datetime(parts["ExpirationTime"]),
        pop_receipt=parts.get("PopReceipt", ""),
        visible_on=parsedate_to_datetime(parts["TimeNextVisible"]) if "TimeNextVisible" in parts else _NEVER,
    )
