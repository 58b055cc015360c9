"""What the endpoints for whoever keeps the service answer: limits, and poison messages. Triggers only translate.

Errors are Dataverse's: `{"error": {"code": "0x…", "message": "…"}}`, with a sentence that says what to change.
"""

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from asyncservice import limits
from asyncservice.limits import Limit, Source
from asyncservice.operations import poison
from asyncservice.operations.errors import AsyncServiceError, ErrorCode, InvalidOperation, MessageNotFound
from asyncservice.service import Service
from asyncservice.storage.errors import StorageError, StorageUnavailable

#: Where the app, and so its host.json, stands.
_APP: Final = Path(__file__).parent.parent
#: What a caller that met a busy storage waits, in seconds.
_LATER: Final = "5"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answers: a status and something that JSON can write."""

    status: HTTPStatus
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def limits_in_force(service: Service, *, environ: Mapping[str, str] = os.environ) -> list[Limit]:
    """Return every limit of an opened service. No request."""
    host, in_file = limits.host_values(_APP / "host.json", environ)
    engine = service.engine
    return limits.in_force(
        Source(
            settings=service.settings,
            host=host,
            host_defaults=in_file,
            shards=engine.store.shards,
            handlers=engine.registry,
        )
    )


async def read_limits(service: Service) -> Answer:
    """Answer with every limit and default in force."""
    return Answer(HTTPStatus.OK, {"value": [each.as_plain() for each in limits_in_force(service)]})


async def list_poison(service: Service, *, queue: str | None) -> Answer:
    """Answer with the poison messages of one queue or of all, and with how many each queue has."""
    listed = [message.as_plain() async for message in poison.messages(service.storage, queue=queue)]
    return Answer(HTTPStatus.OK, {"value": listed, "queues": await poison.lengths(service.storage)})


async def show_poison(service: Service, *, queue: str, message_id: str) -> Answer:
    """Answer with one poison message."""
    return Answer(HTTPStatus.OK, (await poison.find(service.storage, queue, message_id)).as_plain())


async def redrive_poison(service: Service, *, body: bytes) -> Answer:
    """Put back what the body names: `{"id": "…"}`, `{"queue": "…"}`, both, or `{"all": true}`."""
    asked = _redrive_request(body)
    message_id = asked.get("id")
    moved = await poison.redrive(service.storage, message_id=message_id, queue=asked.get("queue"))
    if message_id is not None and not moved:
        raise MessageNotFound(asked.get("queue") or "of the service", message_id, poison.MAX_LISTED)
    return Answer(HTTPStatus.OK, {"redriven": moved})


async def answered(work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return the answer of *work*, or the one that tells what was wrong. What is a bug passes through."""
    try:
        return await work()
    except AsyncServiceError as error:
        is_missing = error.code is ErrorCode.OBJECT_DOES_NOT_EXIST
        status = HTTPStatus.NOT_FOUND if is_missing else HTTPStatus.BAD_REQUEST
        return _refusal(status, error.code, str(error))
    except StorageUnavailable as error:
        answer = _refusal(
            HTTPStatus.SERVICE_UNAVAILABLE, ErrorCode.SERVER_BUSY, f"The storage does not answer: {error}"
        )
        return Answer(answer.status, answer.body, {"Retry-After": _LATER})
    except StorageError as error:
        return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR, ErrorCode.UNEXPECTED, f"The storage refuses: {error}")


def _refusal(status: HTTPStatus, code: ErrorCode, message: str) -> Answer:
    return Answer(status, {"error": {"code": code.hex, "message": message}})


def _redrive_request(body: bytes) -> dict[str, Any]:
    wanted = 'Write {"all": true}, {"queue": "async-operations"} or {"id": "…"} in the body.'
    try:
        asked = json.loads(body or b"null")
    except ValueError as error:
        raise InvalidOperation(f"The body is no JSON: {error}. {wanted}") from error
    if not isinstance(asked, dict) or not asked:
        raise InvalidOperation(f"The body says nothing of what to put back. {wanted}")
    if unknown := asked.keys() - {"all", "queue", "id"}:
        raise InvalidOperation(f"{', '.join(sorted(unknown))} is nothing that can be asked for. {wanted}")
    for name in ("queue", "id"):
        if name in asked and not (isinstance(asked[name], str) and asked[name]):
            raise InvalidOperation(f"{name} must be a text. {wanted}")
    if "all" in asked and (asked["all"] is not True or len(asked) > 1):
        raise InvalidOperation(f"all must be true, and stand alone. {wanted}")
    return asked
