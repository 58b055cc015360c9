"""Which of several writes a transaction failed for.

Errors of the organization say which request they are about where it is one. What a transaction finds out at its end,
that a lookup's target is missing or a key is taken, names a record instead: then it is the first write about that one.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from asyncservice.operations.errors import AsyncServiceError
from asyncservice.organization import requests
from asyncservice.organization.errors import OrganizationError
from asyncservice.organization.values import Reference
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.planning import PlannedWrite

#: What one of several writes can be told; anything else is a bug, ends all of them, and is logged by the edge.
TOLD: Final = (ApiError, OrganizationError, AsyncServiceError, StorageUnavailable)


def blamed(error: Exception, plans: Sequence[PlannedWrite]) -> int | None:
    """Return the position of the write that the error is about; None when that cannot be told."""
    if not isinstance(error, OrganizationError):
        return None
    if error.position is not None:
        return _holding(error.position, plans)
    record_id = getattr(error, "record_id", None)
    if not isinstance(record_id, UUID):
        return None
    return next(
        (place for place, plan in enumerate(plans) if any(_is_about(each, record_id) for each in plan.requests)), None
    )


def _holding(position: int, plans: Sequence[PlannedWrite]) -> int | None:
    for place, plan in enumerate(plans):
        if position < len(plan.requests):
            return place
        position -= len(plan.requests)
    return None


def _is_about(request: requests.Request, record_id: UUID) -> bool:
    if isinstance(request, requests.Associate | requests.Disassociate):
        return record_id in {request.entity1_id, request.entity2_id}
    if request.id == record_id:
        return True
    values = () if isinstance(request, requests.Delete) else request.values.values()
    return any(isinstance(value, Reference) and value.id == record_id for value in values)
