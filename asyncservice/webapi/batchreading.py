"""A batch as clients send it: multipart/mixed text, read into requests and change sets.

Clients write batches with their own hands, so this reader takes what they are known to write (OData 4.0, section 11.7,
and its looser relatives): bare line feeds, empty lines wherever they like, raw spaces in addresses, requests that end
with their last header, part headers in any order and case. What it does not take is a batch without its closing
delimiter: that one has been cut off, and half a change set must not be carried out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.urls import MAX_PART_URL

#: Most requests one batch holds, those of change sets included.
MAX_REQUESTS: Final = 1000
_MAX_HEADERS: Final = 100
#: What of a broken line is repeated in a refusal.
_SHOWN: Final = 80

_BOUNDARY: Final = re.compile(r'(?:^|;)\s*boundary\s*=\s*(?:"([^"]*)"|([^;\s"]+))', re.IGNORECASE)
_LINE_ENDS: Final = b"\r\n"
_BLANK: Final = b" \t\r\n"


class BatchUnreadable(ApiError):  # noqa: N818 - reads as the fact it states
    """The text is no batch; the message says where it breaks off from being one. Nothing of it may be carried out."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=Code.PAYLOAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """One HTTP request of a batch."""

    method: str
    #: As it was written: absolute, host-relative, service-relative, or `$` and a content id.
    url: str
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes = b""
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Requests that are carried out together or not at all."""

    requests: tuple[BatchRequest, ...]


type Part = BatchRequest | ChangeSet


def read_batch(content_type: str, body: bytes) -> tuple[Part, ...]:
    """Read the body of a batch whose header Content-Type is *content_type*. Raises BatchUnreadable."""
    kind = _media_type(content_type)
    if kind != "multipart/mixed":
        raise BatchUnreadable(f"A batch is sent as multipart/mixed with a boundary, not as '{content_type}'.")
    parts: list[Part] = []
    count = 0
    for headers, content in _parts(_boundary(content_type), body):
        part = _part(headers, content)
        count += len(part.requests) if isinstance(part, ChangeSet) else 1
        if count > MAX_REQUESTS:
            raise BatchUnreadable(f"A batch holds at most {MAX_REQUESTS} requests; send the rest in another one.")
        parts.append(part)
    if not parts:
        raise BatchUnreadable("The batch has no parts between its delimiters.")
    return tuple(parts)


def _part(headers: Mapping[str, str], content: bytes) -> Part:
    content_type = headers.get("content-type", "application/http")
    match _media_type(content_type):
        case "application/http":
            return _request(headers, content)
        case "multipart/mixed":
            inner = tuple(_change(*each) for each in _parts(_boundary(content_type), content))
            _refuse_twins(inner)
            return ChangeSet(inner)
        case _:
            raise BatchUnreadable(
                f"A part of a batch is application/http or, for a change set, multipart/mixed; not '{content_type}'."
            )


def _change(headers: Mapping[str, str], content: bytes) -> BatchRequest:
    part = _part(headers, content)
    if isinstance(part, ChangeSet):
        raise BatchUnreadable("A change set holds requests; another change set inside it is not possible.")
    return part


def _refuse_twins(requests: Sequence[BatchRequest]) -> None:
    seen: set[str] = set()
    for each in requests:
        if each.content_id is None:
            continue
        if each.content_id in seen:
            raise BatchUnreadable(f"Two requests of one change set have the Content-ID '{each.content_id}'.")
        seen.add(each.content_id)


def _request(part_headers: Mapping[str, str], content: bytes) -> BatchRequest:
    text = content.lstrip(_BLANK)
    if not text:
        raise BatchUnreadable("A part of the batch holds no request.")
    line, end = _line(text)
    # The method is what stands before the first space, the version what stands behind the last: addresses have spaces.
    method, _, target = _decoded(line).strip().partition(" ")
    url, _, version = target.rpartition(" ")
    if not method.isalpha() or not url.strip() or not version.upper().startswith("HTTP/"):
        raise BatchUnreadable(f"'{_decoded(line)[:_SHOWN]}' is no request line; write METHOD URL HTTP/1.1.")
    if len(line) > MAX_PART_URL:
        raise BatchUnreadable(f"An address in a batch has at most {MAX_PART_URL} bytes.")
    headers, body = _headers(text[end:])
    return BatchRequest(
        method=method.upper(),
        url=url.strip(),
        headers=headers,
        body=_body(headers, body),
        content_id=part_headers.get("content-id", headers.get("content-id")) or None,
    )


def _body(headers: Mapping[str, str], content: bytes) -> bytes:
    """Cut the line ends that stand round a body off it.

    Content-Length decides where it is plausible, that is, where only blanks remain behind it: files may end in blanks.
    """
    stated = headers.get("content-length", "")
    if stated.isascii() and stated.isdecimal() and len(stated) <= len(str(len(content))):
        length = int(stated)
        if length <= len(content) and not content[length:].strip(_BLANK):
            return content[:length]
    return content.strip(_LINE_ENDS).rstrip(_BLANK)


def _parts(boundary: bytes, body: bytes) -> Iterator[tuple[Mapping[str, str], bytes]]:
    """Yield headers and content of the parts between the delimiters. Raises BatchUnreadable for lack of the last."""
    delimiter = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
    begin: int | None = None
    for found in delimiter.finditer(body):
        if begin is not None:
            yield _headers(body[begin : found.start()].lstrip(_BLANK))
        if found.group(1):
            return
        begin = found.end()
    raise BatchUnreadable(
        f"The closing delimiter '--{_decoded(boundary)}--' is missing: the batch was cut off, or has another boundary."
    )


def _headers(text: bytes) -> tuple[Mapping[str, str], bytes]:
    """Read header lines up to an empty line or the end; return them by lower-case name, and what follows."""
    headers: dict[str, str] = {}
    name = ""
    position = 0
    while position < len(text):
        raw, position = _line(text, position)
        line = _decoded(raw).rstrip()
        if not line:
            break
        if line[0] in " \t" and name:
            headers[name] += f" {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            raise BatchUnreadable(
                f"'{line[:_SHOWN]}' is no header; write Name: value, or leave an empty line before it."
            )
        if len(headers) >= _MAX_HEADERS:
            raise BatchUnreadable(f"A part of a batch has at most {_MAX_HEADERS} headers.")
        # Repeated headers mean the same as one with commas.
        headers[name] = f"{headers[name]},{value.strip()}" if name in headers else value.strip()
    return headers, text[position:]


def _line(text: bytes, begin: int = 0) -> tuple[bytes, int]:
    """Return the line that begins there, without its end, and where the next one begins."""
    end = text.find(b"\n", begin)
    end = len(text) if end < 0 else end
    return text[begin:end].removesuffix(b"\r"), min(end + 1, len(text))


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise BatchUnreadable(
            "The lines of a batch are UTF-8; this one has other bytes. Percent-encode them."
        ) from None


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _boundary(content_type: str) -> bytes:
    found = _BOUNDARY.search(content_type)
    boundary = (found.group(1) or found.group(2) or "") if found else ""
    if not boundary:
        raise BatchUnreadable(f"'{content_type[:_SHOWN]}' names no boundary; add boundary=… to it.")
    return boundary.encode()
