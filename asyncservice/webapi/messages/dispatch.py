"""From a request to the message it calls: by name and binding, with its arguments read, and its result written."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final
from uuid import UUID

from asyncservice.organization.errors import RecordNotFound
from asyncservice.organization.values import Reference
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request, Response
from asyncservice.webapi.faults import ApiError, not_allowed
from asyncservice.webapi.finding import id_of, own_id, row_of
from asyncservice.webapi.jsontext import read_object
from asyncservice.webapi.messages.literals import read_literal
from asyncservice.webapi.messages.reading import Reader
from asyncservice.webapi.messages.registry import Call, Kind, Message, Messages
from asyncservice.webapi.messages.standard import STANDARD
from asyncservice.webapi.messages.types import NAMESPACE
from asyncservice.webapi.messages.writing import respond
from asyncservice.webapi.reading import answer_row
from asyncservice.webapi.resources import Resource, read_resource
from asyncservice.webapi.urls import Segment

_PREFIXES: Final = (f"{NAMESPACE}.", "mscrm.")


async def answer(api: Api, request: Request, messages: Messages = STANDARD) -> Response:
    """Answer a request whose last segment calls a message. Raises ApiError (404, 405, 400), or what it raises."""
    called = find(api, request, messages)
    if request.method != called.kind.method:
        raise not_allowed(request.method, f"the {called.kind.lower()} {called.name}", called.kind.method)
    call = await read_call(api, request, called)
    result = await called.answer(call)
    if isinstance(result, Reference):
        return await _row(api, request, result)
    return respond(request, called.returns, result)


async def _row(api: Api, request: Request, named: Reference) -> Response:
    """Answer with the row that a message has made or found; `$select` of the request applies."""
    source = api.organization.source(named.entity)
    values = await source.find(named.id)
    if values is None:
        raise RecordNotFound(named.entity, named.id)
    return await answer_row(api, request, source.entity, values)


def bare_name(segment: Segment) -> str:
    """Return the name of a message without the namespace."""
    for prefix in _PREFIXES:
        if segment.name.startswith(prefix):
            return segment.name.removeprefix(prefix)
    return segment.name


def is_called_by(request: Request, messages: Messages = STANDARD) -> bool:
    """Whether the last segment calls a message rather than names a set, a column or a navigation property."""
    if not request.segments:
        return False
    last = request.segments[-1]
    if last.name.startswith(_PREFIXES):
        return True
    return len(request.segments) == 1 and messages.unbound(last.name) is not None


def find(api: Api, request: Request, messages: Messages = STANDARD) -> Message:
    """Return the message that the last segment calls. Raises ApiError (404)."""
    *binding, last = request.segments
    name = bare_name(last)
    if binding:
        bound = _resource(api, request, binding)
        found = messages.bound(name, bound.entity.name, to_collection=not bound.is_row)
    else:
        found = messages.unbound(name)
    if found is None:
        raise _not_found(last)
    return found


async def read_call(api: Api, request: Request, called: Message) -> Call:
    """Read the arguments of a call. Raises ApiError (400) for what is missing, unknown or of another type."""
    *binding, last = request.segments
    given = _literals(request, last) if called.kind is Kind.FUNCTION else _members(request)
    reader = Reader(api.organization.catalog, request.references)
    arguments = reader.members(called.name, called.parameters, given)
    bound = _resource(api, request, binding) if binding else None
    target = None
    if bound is not None and bound.is_row:
        target = Reference(bound.entity.name, await _id_of(api, bound))
    return Call(
        api=api,
        request=request,
        message=called,
        arguments=arguments,
        entity=None if bound is None else bound.entity,
        target=target,
        now=api.clock.now(),
    )


def _literals(request: Request, segment: Segment) -> Mapping[str, object]:
    given: dict[str, object] = {}
    for each in segment.arguments or ():
        if each.name is None:
            raise ApiError(f"'{each.text[:100]}' is no parameter; write Name=value or Name=@alias.")
        if each.name in given:
            raise ApiError(f"The parameter '{each.name}' is given twice.")
        # An alias that the query does not give is null, as OData says.
        text = request.options.aliases.get(each.text, "null") if each.text.startswith("@") else each.text
        given[each.name] = read_literal(text.strip())
    return given


def _members(request: Request) -> Mapping[str, object]:
    return read_object(request.body) if request.body.strip() else {}


def _resource(api: Api, request: Request, binding: Sequence[Segment]) -> Resource:
    """Return what a message is bound to. Raises ApiError (404): not every path can be."""
    found = read_resource(tuple(binding), api.organization.catalog, request.options.aliases)
    if found is None or found.column is not None or found.tail is not None:
        raise _not_found(binding[-1])
    return found


async def _id_of(api: Api, row: Resource) -> UUID:
    if row.key is not None and not row.steps:
        return await id_of(api, row.entity, row.key)
    return own_id(row.entity, await row_of(api, row))


def _not_found(segment: Segment) -> ApiError:
    return ApiError(f"Resource not found for the segment '{segment.name[:200]}'.", status=HTTPStatus.NOT_FOUND)
