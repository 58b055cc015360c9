"""The inbox queue: messages of other services become operations, or Failed records that say why not."""

import base64
import binascii
import json
import logging
from copy import replace
from datetime import datetime
from typing import Final
from uuid import UUID
from zlib import crc32

from asyncservice.operations import creation, ids, insertion
from asyncservice.operations.engine import Engine
from asyncservice.operations.errors import InvalidOperation
from asyncservice.operations.insertion import Inserted
from asyncservice.operations.record import Stored, check
from asyncservice.operations.submission import Submission, refused

log = logging.getLogger(__name__)

#: Partitions that the messages of one second are spread over.
_PARTITIONS_A_SECOND: Final = 2


async def accept(engine: Engine, body: bytes, *, message_id: str, inserted_on: datetime) -> Stored:
    """Turn one message into one operation; the same message, delivered twice, into the same one.

    A message that cannot be understood becomes a Failed operation with the payload and the reason. Only storage
    errors pass through: the host then delivers the message again and, in the end, puts it on the poison queue.
    """
    text = decode(body)
    try:
        submission = Submission.read(text)
        derived = _derived_id(message_id, inserted_on, submission.dependencytoken, engine.store.shards)
        operation = check(submission.operation(now=inserted_on, new_id=derived))
    except InvalidOperation as error:
        derived = _derived_id(message_id, inserted_on, None, engine.store.shards)
        return await _refuse(engine, text, str(error), derived, inserted_on)
    now = engine.clock.now()
    # The message may have waited: it counts as created when it was accepted; id and sequence say when it was sent.
    return await engine.submit(replace(operation, createdon=now, modifiedon=now, correlationupdatedtime=now))


def _derived_id(message_id: str, sent: datetime, token: str | None, shards: int) -> UUID:
    """Return the id that the message's own time and id make, so that a second delivery makes no second operation."""
    if token is not None:
        return ids.derived_id(sent, message_id, shard=ids.token_shard(token, shards))
    # Messages that were sent about the same time share a few partitions, and so transactions.
    slot = round(sent.timestamp()) * _PARTITIONS_A_SECOND + crc32(message_id.encode()) % _PARTITIONS_A_SECOND
    return ids.derived_id(sent, message_id, shard=slot % shards)


def decode(body: bytes) -> str:
    """Return the text of a message that is plain UTF-8 or base64 of it, whichever it is; odd bytes are escaped."""
    text = body.decode("utf-8-sig", errors="backslashreplace").strip()
    try:
        decoded = base64.b64decode(text, validate=True).decode("utf-8-sig").strip()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return text
    # A short plain word may be base64 by chance; only what is an object inside was meant to be.
    return decoded if decoded.startswith("{") else text


async def _refuse(engine: Engine, text: str, reason: str, derived: UUID, sent: datetime) -> Stored:
    log.warning("A message on the inbox queue was refused: %s", reason, extra={"action": "refuse"})

    async def write(operation_id: UUID) -> Inserted:
        record = refused(text, reason, now=sent, operation_id=operation_id)
        return await insertion.insert(engine.store, creation.created(record, reason=reason))

    if own_id := _own_id(text):
        written = await write(own_id)
        # A long text is kept apart from its record and must be brought in before it can be compared.
        if written.new or (await engine.store.load(written.stored)).operation.data == text:
            return written.stored
        # The id belongs to an operation that was understood; the refusal gets a record of its own.
    return (await write(derived)).stored


def _own_id(text: str) -> UUID | None:
    """Return the id that a refused message gave its operation, so that its sender finds the refusal under it."""
    try:
        return UUID(json.loads(text)["asyncoperationid"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
