"""The answers of a batch as multipart/mixed text, to the letter that clients look for.

They search for `batchresponse_` and `changesetresponse_`, for CRLF, and take what stands between the first brace behind
the headers and the last one of the part for JSON. So nothing here is decoration (reference web-api-wire, section 19).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from uuid import uuid4

from asyncservice.webapi.exchange import Response

_END: Final = "\r\n"
#: What header values must not have: line ends would begin another header, braces would be taken for a body's.
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f{}]")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request, and the Content-ID it came with."""

    response: Response
    content_id: str | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it tells of an error."""
        return self.response.status >= HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class ChangeSetAnswer:
    """The answers to the requests of a change set; of one that failed, the failing request's alone."""

    answers: tuple[Answer, ...]

    @property
    def has_failed(self) -> bool:
        """Whether nothing of it was carried out."""
        return any(each.has_failed for each in self.answers)


def write_batch(answers: Sequence[Answer | ChangeSetAnswer], *, status: int) -> Response:
    """Return the response that holds these answers, in their order."""
    boundary = f"batchresponse_{uuid4()}"
    return Response(
        status=status,
        headers={"Content-Type": f"multipart/mixed; boundary={boundary}"},
        body=b"".join(_multipart(boundary, answers)),
    )


def _multipart(boundary: str, answers: Sequence[Answer | ChangeSetAnswer]) -> Iterator[bytes]:
    for each in answers:
        yield f"--{boundary}{_END}".encode()
        if isinstance(each, ChangeSetAnswer):
            inner = f"changesetresponse_{uuid4()}"
            yield f"Content-Type: multipart/mixed; boundary={inner}{_END}{_END}".encode()
            yield from _multipart(inner, each.answers)
        else:
            yield from _part(each)
    yield f"--{boundary}--{_END}".encode()


def _part(answer: Answer) -> Iterator[bytes]:
    response = answer.response
    yield f"Content-Type: application/http{_END}Content-Transfer-Encoding: binary{_END}".encode()
    if answer.content_id is not None:
        yield _header("Content-ID", answer.content_id)
    yield f"{_END}HTTP/1.1 {response.status} {_phrase(response.status)}{_END}".encode()
    for name, value in response.headers.items():
        yield _header(name, value)
    yield _END.encode()
    yield response.body
    yield _END.encode()


def _header(name: str, value: str) -> bytes:
    return f"{name}: {_UNFIT.sub('', value)}{_END}".encode()


def _phrase(status: int) -> str:
    """Return the words that go with a status: letters and spaces only."""
    return re.sub(r"[^A-Za-z ]", " ", HTTPStatus(status).phrase)
