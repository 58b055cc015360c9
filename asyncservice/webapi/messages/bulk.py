"""CreateMultiple, UpdateMultiple, UpsertMultiple and DeleteMultiple: many rows of a table, all of them or none.

Each target is what the same request for one row would be, so the same rules hold for its columns and links; all of them
together are one transaction of the organization (reference web-api-wire, section 20).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from asyncservice.organization.requests import Outcome
from asyncservice.organization.schema.entities import Entity
from asyncservice.webapi import faults, writes
from asyncservice.webapi.batchurls import relative
from asyncservice.webapi.blame import TOLD, blamed
from asyncservice.webapi.exchange import Headers, Request
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.jsontext import dumps
from asyncservice.webapi.messages.reading import type_name
from asyncservice.webapi.messages.registry import Call, Kind, message
from asyncservice.webapi.messages.types import ANY_ENTITY, Row, complex_type
from asyncservice.webapi.planning import PlannedWrite

#: Most rows in one call; as many as one transaction takes.
MAX_TARGETS: Final = 1000

_TARGETS: Final = {"Targets": tuple[Row, ...]}
_ID: Final = "@odata.id"

type Single = Callable[[Call, Row], Request]
"""Makes of a target the request for that one row. Raises ApiError."""


@complex_type()
class CreateMultipleResponse:
    """The ids of the rows, in the order of the targets."""

    ids: tuple[UUID, ...]


@complex_type()
class UpsertMultipleResponse:
    """The ids of the rows, in the order of the targets."""

    ids: tuple[UUID, ...]


@message(
    "CreateMultiple",
    Kind.ACTION,
    bound_to=ANY_ENTITY,
    collection=True,
    parameters=_TARGETS,
    returns=CreateMultipleResponse,
)
async def create_multiple(call: Call) -> CreateMultipleResponse:
    """Make rows."""
    return CreateMultipleResponse(ids=await _carry_out(call, _create))


@message("UpdateMultiple", Kind.ACTION, bound_to=ANY_ENTITY, collection=True, parameters=_TARGETS)
async def update_multiple(call: Call) -> None:
    """Change rows, all of which must exist."""
    await _carry_out(call, _update)


@message(
    "UpsertMultiple",
    Kind.ACTION,
    bound_to=ANY_ENTITY,
    collection=True,
    parameters=_TARGETS,
    returns=UpsertMultipleResponse,
)
async def upsert_multiple(call: Call) -> UpsertMultipleResponse:
    """Change the rows that exist, make the others."""
    return UpsertMultipleResponse(ids=await _carry_out(call, _upsert))


@message("DeleteMultiple", Kind.ACTION, bound_to=ANY_ENTITY, collection=True, parameters=_TARGETS)
async def delete_multiple(call: Call) -> None:
    """Remove rows, all of which must exist."""
    await _carry_out(call, _delete)


async def _carry_out(call: Call, single: Single) -> tuple[UUID, ...]:
    """Carry out the requests for all targets; return the ids of their rows. Raises ApiError, which names the target."""
    targets: Sequence[Row] = call["Targets"]
    if not targets:
        raise ApiError("'Targets' is empty; it takes at least one row.", code=Code.INVALID_ARGUMENT)
    if len(targets) > MAX_TARGETS:
        raise ApiError(
            f"'Targets' has {len(targets)} rows; {MAX_TARGETS} is the limit. Send them in several requests.",
            code=Code.INVALID_ARGUMENT,
        )
    plans: list[PlannedWrite] = []
    for place, target in enumerate(targets):
        try:
            plans.append(await _planned(call, single, target))
        except TOLD as error:
            raise _about(error, place) from error
    outcomes = await _transacted(call, plans)
    ids: list[UUID] = []
    position = 0
    for plan in plans:
        ids.append(outcomes[position + plan.main].id)
        position += len(plan.requests)
    return tuple(ids)


async def _planned(call: Call, single: Single, target: Row) -> PlannedWrite:
    entity = call.bound_entity
    named = type_name(target)
    if named not in {None, entity.name}:
        raise ApiError(f"'@odata.type' says {named}, but the set has rows of {entity.name}.", code=Code.PAYLOAD)
    plan = await writes.plan(call.api, single(call, target))
    if plan is None:
        raise ApiError(f"The table '{entity.name}' does not support {call.message.name}.", code=Code.INVALID_ARGUMENT)
    return plan


async def _transacted(call: Call, plans: Sequence[PlannedWrite]) -> Sequence[Outcome]:
    user = call.request.user
    try:
        return await call.api.organization.transact(
            [each for plan in plans for each in plan.requests],
            now=call.now,
            by=user.user_id,
            on_behalf_of=user.on_behalf_of,
        )
    except TOLD as error:
        place = blamed(error, plans)
        if place is None:
            raise
        raise _about(error, place) from error


def _about(error: Exception, place: int) -> Exception:
    told = faults.known(error)
    if told is None:
        return error
    return ApiError(f"Targets[{place}]: {told.message}", status=told.status, code=told.code, headers=told.headers)


def _create(call: Call, target: Row) -> Request:
    return _single(call, "POST", call.bound_entity.set_name, body=target)


def _update(call: Call, target: Row) -> Request:
    return _single(call, "PATCH", _path(call, target), body=target, headers={"If-Match": "*"})


def _upsert(call: Call, target: Row) -> Request:
    return _single(call, "PATCH", _path(call, target), body=target)


def _delete(call: Call, target: Row) -> Request:
    return _single(call, "DELETE", _path(call, target))


def _single(
    call: Call, method: str, path: str, *, body: Row | None = None, headers: Mapping[str, str] | None = None
) -> Request:
    members: dict[str, Any] = {} if body is None else {name: each for name, each in body.items() if name != _ID}
    return Request(
        method=method,
        path=path,
        headers=Headers(headers),
        body=b"" if body is None else dumps(members),
        address=call.request.address,
        caller=call.request.caller,
        references=call.request.references,
    )


def _path(call: Call, target: Row) -> str:
    """Return the path to the row that a target names: by `@odata.id`, or by its primary key. Raises ApiError."""
    entity: Entity = call.bound_entity
    url = target.get(_ID)
    if isinstance(url, str):
        path, _ = relative(url, call.request.references)
        if not path.startswith(f"{entity.set_name}("):
            raise ApiError(f"'{_ID}' takes a row of {entity.set_name}, not '{url[:100]}'.", code=Code.PAYLOAD)
        return path
    key = target.get(entity.primary_id)
    if key is None:
        raise ApiError(
            f"The row has neither '{entity.primary_id}' nor '{_ID}', so it is not known which one is meant.",
            code=Code.INVALID_ARGUMENT,
        )
    try:
        return f"{entity.set_name}({UUID(str(key))})"
    except ValueError:
        raise ApiError(f"'{entity.primary_id}' takes a GUID, not {str(key)[:100]!r}.", code=Code.PAYLOAD) from None
