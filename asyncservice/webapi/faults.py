"""Errors on the wire (reference web-api-wire, section 4): which status and code each has, and the object for it."""

import json
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from asyncservice.operations.errors import AsyncServiceError
from asyncservice.organization.errors import OrganizationError
from asyncservice.storage.errors import StorageUnavailable


class Code(StrEnum):
    """Codes that only the Web API itself answers with; those of records and operations come with their errors."""

    NONE = ""
    #: The URL: its syntax, a segment, a property of a query option.
    URI = "0x80060888"
    #: The body: an undeclared member, a wrong JSON type.
    PAYLOAD = "0x80048d19"
    INVALID_ARGUMENT = "0x80040203"
    OBJECT_DOES_NOT_EXIST = "0x80040217"
    KEY_NOT_FOUND = "0x80060891"
    DUPLICATE_RECORD = "0x80040237"
    CONCURRENCY_VERSION_MISMATCH = "0x80060882"
    PRIVILEGE_DENIED = "0x80040220"
    NOT_IMPLEMENTED = "0x80040210"
    UNEXPECTED = "0x80040216"


#: Codes that have a status of their own; every other one is 400.
STATUS_OF_CODE: Final[Mapping[str, HTTPStatus]] = {
    Code.OBJECT_DOES_NOT_EXIST: HTTPStatus.NOT_FOUND,
    Code.KEY_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.DUPLICATE_RECORD: HTTPStatus.PRECONDITION_FAILED,
    "0x80060892": HTTPStatus.PRECONDITION_FAILED,
    Code.CONCURRENCY_VERSION_MISMATCH: HTTPStatus.PRECONDITION_FAILED,
    Code.PRIVILEGE_DENIED: HTTPStatus.FORBIDDEN,
    "0x80040227": HTTPStatus.METHOD_NOT_ALLOWED,
    Code.NOT_IMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    Code.UNEXPECTED: HTTPStatus.INTERNAL_SERVER_ERROR,
}

#: What a caller that met a busy storage waits, in seconds.
_LATER: Final = "5"


class ApiError(Exception):
    """Something the client is told: a status, Dataverse's code, and a sentence that says what to change."""

    def __init__(
        self,
        message: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        code: str = Code.URI,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.code = message, status, str(code)
        #: Sent with it: Retry-After, Allow, WWW-Authenticate.
        self.headers: Mapping[str, str] = headers or {}

    def as_body(self) -> bytes:
        """Return the error object."""
        return json.dumps({"error": {"code": self.code, "message": self.message}}, ensure_ascii=False).encode(
            errors="backslashreplace"
        )


def not_allowed(method: str, what: str, *allowed: str) -> ApiError:
    """Return the error for a method that *what* does not take."""
    return ApiError(
        f"The method {method} is not valid for {what}; it takes {', '.join(allowed)}.",
        status=HTTPStatus.METHOD_NOT_ALLOWED,
        headers={"Allow": ", ".join(allowed)},
    )


def known(error: Exception) -> ApiError | None:
    """Return what the client is told of an error, or None when it is a bug that the log should have."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, OrganizationError | AsyncServiceError):
        code = error.code.hex
        return ApiError(str(error), status=STATUS_OF_CODE.get(code, HTTPStatus.BAD_REQUEST), code=code)
    if isinstance(error, StorageUnavailable):
        return ApiError(
            "The storage is busy or cannot be reached; try again later.",
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            code=Code.UNEXPECTED,
            headers={"Retry-After": _LATER},
        )
    return None
