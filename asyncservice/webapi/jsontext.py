"""JSON, in and out: numbers keep their digits, what cannot be read is refused with a sentence."""

import json
import math
import re
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from secrets import token_hex
from typing import Any, Final

from asyncservice.webapi.faults import ApiError, Code

#: Bytes of a body; more than any table's row, a batch or a thousand rows in one message need.
MAX_BODY: Final = 64 * 1024 * 1024
#: How deep objects may lie in each other.
MAX_DEPTH: Final = 32

# A number whose digits a float cannot hold passes the encoder as a text that nobody can have guessed.
_MARK: Final = f"decimal-{token_hex(16)}:"
_MARKED: Final = re.compile(f'"{_MARK}([^"]+)"')


def dumps(value: object) -> bytes:
    """Write JSON as UTF-8; Decimals as numbers with all their digits."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_number)
    if _MARK in text:
        text = _MARKED.sub(r"\1", text)
    # Half a surrogate pair has no UTF-8; escaped, it passes.
    return text.encode(errors="backslashreplace")


def _number(value: object) -> object:
    if isinstance(value, Decimal):
        short = float(value)
        return short if math.isfinite(short) and Decimal(repr(short)) == value else f"{_MARK}{value:f}"
    raise TypeError(f"{value!r} is nothing that JSON can write.")


def read_object(body: bytes) -> dict[str, Any]:
    """Read a body that has to be an object. Raises ApiError."""
    value = loads(body)
    if not isinstance(value, dict):
        raise ApiError("The body has to be a JSON object: { … }.", code=Code.PAYLOAD)
    return value


def loads(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Read JSON in UTF-8. Raises ApiError: 413 when it is too large, 400 when it cannot be read."""
    if len(body) > MAX_BODY:
        raise ApiError(
            f"The body has {len(body)} bytes; {MAX_BODY} is the limit.", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        )
    if not body.strip():
        raise ApiError("The request needs a body in JSON.", code=Code.PAYLOAD)
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_float=_decimal, parse_constant=_refused)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError as error:
        raise ApiError(f"The body is not UTF-8 at byte {error.start}.", code=Code.PAYLOAD) from error
    except ValueError as error:
        # int() refuses numbers of thousands of digits with a ValueError, too.
        raise ApiError(f"The body is no JSON: {error}.", code=Code.PAYLOAD) from error
    _check_depth(value, MAX_DEPTH)
    return value


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"the number {text[:40]} is too large") from None


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _check_depth(value: object, left: int) -> None:
    if isinstance(value, dict | list):
        if not left:
            raise _too_deep()
        for each in value.values() if isinstance(value, dict) else value:
            _check_depth(each, left - 1)


def _too_deep() -> ApiError:
    return ApiError(f"The body has objects in objects deeper than {MAX_DEPTH}.", code=Code.PAYLOAD)
