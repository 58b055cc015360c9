"""What a message returns, as JSON (reference web-api-wire, section 6)."""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from http import HTTPStatus
from typing import Any
from uuid import UUID

from asyncservice.webapi.exchange import JSON, Request, Response
from asyncservice.webapi.jsontext import dumps
from asyncservice.webapi.messages.types import ComplexType, Type, type_of
from asyncservice.webapi.values import moment_text


def respond(request: Request, returns: Type | None, result: object) -> Response:
    """Return the response that holds a result: bare when it is an object, as `value` when it is anything else."""
    if result is None:
        return Response(status=HTTPStatus.NO_CONTENT)
    if isinstance(result, Response):
        return result
    if returns is None:
        raise TypeError(f"{request.path} is declared to return nothing, and returned a {type(result).__name__}.")
    context = {"@odata.context": request.address.of(f"$metadata#{returns.edm}")}
    plain = as_json(result)
    body = (
        {**context, **plain}
        if isinstance(returns, ComplexType) and isinstance(plain, dict)
        else {**context, "value": plain}
    )
    return json_response(body)


def json_response(body: Mapping[str, object], status: int = HTTPStatus.OK) -> Response:
    """Return a response with that JSON."""
    return Response(status=status, headers={"Content-Type": JSON}, body=dumps(body))


def as_json(value: object) -> Any:  # noqa: ANN401 - JSON is of any shape
    """Return a value as JSON writes it. Raises TypeError for what has no such form."""
    match value:
        case IntEnum():
            return value.name
        case None | bool() | int() | float() | str() | Decimal():
            return value
        case UUID():
            return str(value)
        case datetime():
            return moment_text(value)
        case date():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {str(name): as_json(each) for name, each in value.items()}
        case Sequence():
            return [as_json(each) for each in value]
    declared = type_of(type(value))
    if not isinstance(declared, ComplexType) or not dataclasses.is_dataclass(value):
        raise TypeError(f"{value!r} cannot be written as JSON.")
    return {each.name: as_json(getattr(value, each.field)) for each in declared.members}
