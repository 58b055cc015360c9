"""Change tracking: `Prefer: odata.track-changes` and the links it leads to (reference web-api-wire, section 18).

A list that is tracked begins with a look at the whole table, before its first row is read, so that what changes while
its pages are read is told again by the delta link. `$deltatoken` names that look in the links to further pages too.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from uuid import UUID

from asyncservice.organization.query.odata import ODataQuery
from asyncservice.organization.recordsource import RecordSource
from asyncservice.organization.schema.entities import Kept
from asyncservice.organization.tracking import LOOKS_KEPT, Look, Tracking, difference
from asyncservice.webapi.context import Api
from asyncservice.webapi.contexts import set_context
from asyncservice.webapi.exchange import Request
from asyncservice.webapi.expanding import Rows, written
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.resources import Resource

#: The query option that names a look.
LOOK: Final = "$deltatoken"
#: Most rows of a page of changes: each is looked up by its id.
MAX_DELTA_PAGE: Final = 500

_SKIP: Final = "$skiptoken"
#: The look at the end of a difference, and how much of the difference the pages before have told.
_POSITION: Final = re.compile(r"(\d{8}-[0-9a-f]{32})-(\d{1,7})")
_REFUSED: Final = ("$filter", "$orderby", "$expand", "$top", "$apply")


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a request that tracks changes asks for."""

    #: The look it goes on from; None at the beginning of a list.
    token: str | None
    #: Whether the changes since then are meant, and not a further page of the list that began there.
    is_delta: bool
    position: str | None = None


def tracked(request: Request, resource: Resource) -> Tracked | None:
    """Return what is asked for; None when nothing is tracked. Raises ApiError for what cannot be."""
    options = request.options.system
    token = options.get(LOOK)
    if token is None and not request.preferences.track_changes:
        return None
    for name in _REFUSED:
        if name in options:
            raise ApiError(f'The "{name}" query parameter isn\'t supported when Change Tracking is enabled.')
    if resource.steps or request.options.custom.keys() & {"fetchXml", "sql", "savedQuery", "userQuery"}:
        raise ApiError("Changes are tracked of whole tables; ask for a set, with $select alone.")
    skip = options.get(_SKIP)
    position = None if skip is None or token is None else _POSITION.fullmatch(skip)
    return Tracked(
        token=token,
        is_delta=token is not None and (skip is None or position is not None),
        position=None if position is None else skip,
    )


async def begun(api: Api, resource: Resource, asked: Tracked) -> str:
    """Return the token of the look that a list goes back to, taking it when the list begins."""
    source, tracking = _source(api, resource), Tracking(api.organization.storage)
    if asked.token is not None:
        return (await _found(api, source, asked.token)).token
    return (await tracking.take(source, now=api.clock.now())).token


async def changes(
    api: Api, request: Request, resource: Resource, asked: Tracked, shown: ODataQuery
) -> dict[str, object]:
    """Return the body that tells a page of the changes since a look."""
    source, entity = _source(api, resource), resource.entity
    before = await _found(api, source, asked.token or "")
    position = _POSITION.fullmatch(asked.position or "")
    if position is None:
        after, start = await Tracking(api.organization.storage).take(source, now=api.clock.now(), last=before), 0
    else:
        after, start = await _found(api, source, position[1]), int(position[2])
    found = difference(before, after)
    told: list[tuple[UUID, bool]] = [(each, True) for each in found.written]
    told += [(each, False) for each in found.removed]
    end = start + min(request.preferences.page_size or MAX_DELTA_PAGE, MAX_DELTA_PAGE)
    ids = [record_id for record_id, is_there in told[start:end] if is_there]
    there = await source.find_many(ids)
    # What has been removed since the look is told by the next difference.
    values = [there[record_id] for record_id in ids if record_id in there]
    rows: list[dict[str, object]] = await written(api, request, Rows(entity=entity, values=values, asked=shown))
    context = set_context(request.address, entity)
    rows += [
        {"@odata.context": f"{context}/$deletedEntity", "id": str(record_id), "reason": "deleted"}
        for record_id, is_there in told[start:end]
        if not is_there
    ]
    body: dict[str, object] = {
        "@odata.context": f"{set_context(request.address, entity, shown)}/$delta",
        "value": rows,
    }
    if end < len(told):
        body["@odata.nextLink"] = link(request, f"{LOOK}={before.token}", f"{_SKIP}={after.token}-{end}")
    else:
        body["@odata.deltaLink"] = link(request, f"{LOOK}={after.token}")
    return body


def link(request: Request, *parts: str) -> str:
    """Return the request's URL with other tokens."""
    kept = [part for part in request.query.split("&") if part and not is_token(part)]
    return f"{request.address.of(request.path.rstrip('/'))}?{'&'.join([*kept, *parts])}"


def is_token(part: str) -> bool:
    """Whether a part of a URL says where to go on."""
    return part.partition("=")[0].lower().replace("%24", "$") in {LOOK, _SKIP}


def _source(api: Api, resource: Resource) -> RecordSource:
    source = api.organization.source(resource.entity.name)
    if not isinstance(source, RecordSource) or resource.entity.kept is not Kept.RECORDS:
        raise ApiError(
            f"Changes of '{resource.entity.set_name}' are not tracked: its rows are not kept in a table of their own; "
            "leave out Prefer: odata.track-changes.",
            status=HTTPStatus.NOT_IMPLEMENTED,
            code=Code.NOT_IMPLEMENTED,
        )
    return source


async def _found(api: Api, source: RecordSource, token: str) -> Look:
    look = await Tracking(api.organization.storage).find(source, token, now=api.clock.now())
    if look is None:
        raise ApiError(
            f"The {LOOK} is not one of this table's, or older than {LOOKS_KEPT.days} days; read the table anew with "
            "Prefer: odata.track-changes.",
            status=HTTPStatus.GONE,
            code=Code.INVALID_ARGUMENT,
        )
    return look
