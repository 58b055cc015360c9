"""From a request to the message it calls: by name and binding, with its arguments read, and its result written."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from uuid import UUID

from asyncservice.organization.errors import NoSuchEntity
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import Reference
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request, Response
from asyncservice.webapi.faults import ApiError, Code, not_allowed
from asyncservice.webapi.messages.literals import read_literal
from asyncservice.webapi.messages.reading import Reader
from asyncservice.webapi.messages.registry import Call, Kind, Message, Messages, registry
from asyncservice.webapi.messages.types import NAMESPACE
from asyncservice.webapi.messages.writing import respond
from asyncservice.webapi.urls import Segment

_PREFIXES: Final = (f"{NAMESPACE}.", "mscrm.")


async def answer(api: Api, request: Request, messages: Messages = registry) -> Response:
    """Answer a request whose last segment calls a message. Raises ApiError (404, 405, 400), or what it raises."""
    called = find(api, request, messages)
    if request.method != called.kind.method:
        raise not_allowed(request.method, f"the {called.kind.lower()} {called.name}", called.kind.method)
    call = read_call(api, request, called)
    return respond(request, called.returns, await called.answer(call))


def bare_name(segment: Segment) -> str:
    """Return the name of a message without the namespace."""
    for prefix in _PREFIXES:
        if segment.name.startswith(prefix):
            return segment.name.removeprefix(prefix)
    return segment.name


def is_called_by(request: Request, messages: Messages = registry) -> bool:
    """Whether the last segment calls a message rather than names a set, a column or a navigation property."""
    if not request.segments:
        return False
    last = request.segments[-1]
    if last.name.startswith(_PREFIXES):
        return True
    return len(request.segments) == 1 and messages.unbound(last.name) is not None


def find(api: Api, request: Request, messages: Messages = registry) -> Message:
    """Return the message that the last segment calls. Raises ApiError (404)."""
    *binding, last = request.segments
    name = bare_name(last)
    if not binding:
        found = messages.unbound(name)
    else:
        entity, is_row = _entity(api, binding[0]), binding[0].arguments is not None
        found = messages.bound(name, entity.name, to_collection=not is_row) if len(binding) == 1 else None
    if found is None:
        raise ApiError(f"Resource not found for the segment '{last.name}'.", status=HTTPStatus.NOT_FOUND)
    return found


def read_call(api: Api, request: Request, called: Message) -> Call:
    """Read the arguments of a call. Raises ApiError (400) for what is missing, unknown or of another type."""
    *binding, last = request.segments
    given = _literals(request, last) if called.kind is Kind.FUNCTION else members_of(request)
    reader = Reader(api.organization.catalog, request.references)
    entity = _entity(api, binding[0]) if binding else None
    return Call(
        api=api,
        request=request,
        arguments=reader.members(called.name, called.parameters, given),
        entity=entity,
        target=None if entity is None or called.is_of_collection else _row(entity, binding[0]),
        now=api.clock.now(),
    )


def _literals(request: Request, segment: Segment) -> Mapping[str, object]:
    given: dict[str, object] = {}
    for each in segment.arguments or ():
        if each.name is None:
            raise ApiError(f"'{each.text}' is no parameter; write Name=value or Name=@alias.")
        if each.name in given:
            raise ApiError(f"The parameter '{each.name}' is given twice.")
        # An alias that the query does not give is null, as OData says.
        text = request.options.aliases.get(each.text, "null") if each.text.startswith("@") else each.text
        given[each.name] = read_literal(text.strip())
    return given


def members_of(request: Request) -> Mapping[str, object]:
    """Return the JSON object of the body; of an empty body an empty one. Raises ApiError."""
    if not request.body.strip():
        return {}
    try:
        read = json.loads(request.body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise ApiError("The body is no JSON; send an object with the parameters.", code=Code.PAYLOAD) from None
    if not isinstance(read, dict):
        raise ApiError("The body is JSON, but no object; send an object with the parameters.", code=Code.PAYLOAD)
    return read


def _no_number(text: str) -> object:
    raise ValueError(text)


def _entity(api: Api, segment: Segment) -> Entity:
    try:
        return api.organization.catalog.by_set(segment.name)
    except NoSuchEntity:
        raise ApiError(f"Resource not found for the segment '{segment.name}'.", status=HTTPStatus.NOT_FOUND) from None


def _row(entity: Entity, segment: Segment) -> Reference:
    text = segment.single or segment.named.get(entity.primary_id, "")
    try:
        return Reference(entity.name, UUID(text))
    except ValueError:
        raise ApiError(
            f"The key in the request URI is not valid for resource '{NAMESPACE}.{entity.name}'. Write the row's id."
        ) from None
