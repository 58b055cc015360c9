"""Entity group transactions as Table Storage reads and answers them: one multipart body, one part a write."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from asyncservice.storage import azure_rows
from asyncservice.storage.tables import Delete, Insert, Put, Replace, Require, Write

#: Nothing in a body can look like these: a row's JSON is one line that begins with a brace.
_BATCH, _CHANGESET = "batch_asyncservice", "changeset_asyncservice"
CONTENT_TYPE: Final = f"multipart/mixed; boundary={_BATCH}"

_OPENING: Final = f"--{_BATCH}\r\nContent-Type: multipart/mixed; boundary={_CHANGESET}\r\n\r\n"
_PART: Final = f"--{_CHANGESET}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
_CLOSING: Final = f"\r\n--{_CHANGESET}--\r\n--{_BATCH}--\r\n"
_BODY: Final = (
    "Content-Type: application/json\r\nAccept: application/json;odata=minimalmetadata\r\nDataServiceVersion: 3.0\r\n"
)
_ETAG: Final = re.compile(rb"\r\netag: *([^\r\n]+)", re.IGNORECASE)
_STATUS: Final = b"HTTP/1.1 "


@dataclass(frozen=True, slots=True)
class Refused:
    """One write of a transaction was refused, and with it all."""

    #: Which of the writes, from 0.
    index: int
    status: int
    #: The service's word for it, such as EntityAlreadyExists.
    code: str


def body(url: str, table: str, partition: str, writes: Sequence[Write]) -> bytes:
    """Return the body that makes *writes* one transaction on the table of the account at *url*."""
    parts = [_OPENING]
    for write in writes:
        parts.append(_PART)
        parts.append(_request(url, table, partition, write))
    parts.append(_CLOSING)
    return "".join(parts).encode()


def _request(url: str, table: str, partition: str, write: Write) -> str:
    match write:
        case Insert(key, values):
            text = azure_rows.encode(partition, key, values)
            return f"POST {url}/{table} HTTP/1.1\r\n{_BODY}Prefer: return-no-content\r\n\r\n{text}\r\n"
        case Put(key, values):
            text = azure_rows.encode(partition, key, values)
            row = azure_rows.address(table, partition, key)
            return f"PUT {url}{row} HTTP/1.1\r\n{_BODY}\r\n{text}\r\n"
        case Replace(key, values, etag):
            text = azure_rows.encode(partition, key, values)
            row = azure_rows.address(table, partition, key)
            return f"PUT {url}{row} HTTP/1.1\r\n{_BODY}If-Match: {etag}\r\n\r\n{text}\r\n"
        case Delete(key, etag):
            row = azure_rows.address(table, partition, key)
            return f"DELETE {url}{row} HTTP/1.1\r\n{_BODY}If-Match: {etag or '*'}\r\n\r\n\r\n"
        case Require(key):
            # A merge of no columns: it applies to a row that is there, and changes nothing but its etag.
            text = azure_rows.encode(partition, key, {})
            row = azure_rows.address(table, partition, key)
            return f"MERGE {url}{row} HTTP/1.1\r\n{_BODY}If-Match: *\r\n\r\n{text}\r\n"


def answer(content: bytes, count: int) -> list[str] | Refused:
    """Return the new etag of each of *count* writes (empty for a deleted row), or what was refused.

    Raises ValueError when the answer is neither.
    """
    parts = content.split(_STATUS)[1:]
    statuses = [int(part[:3]) for part in parts]
    for status, part in zip(statuses, parts, strict=True):
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's own range
            return _refusal(status, part)
    if len(parts) != count:
        raise ValueError(f"{len(parts)} answers to {count} writes")
    etags = (_ETAG.search(part) for part in parts)
    return ["" if found is None else found[1].decode() for found in etags]


def _refusal(status: int, part: bytes) -> Refused:
    start, end = part.find(b"{"), part.rfind(b"}")
    try:
        error = json.loads(part[start : end + 1])["odata.error"]
        code, message = str(error["code"]), str(error["message"]["value"])
    except (ValueError, KeyError, TypeError):
        return Refused(0, status, "")
    # The message begins with the number of the write, as in "3:The specified entity already exists."
    number, colon, _ = message.partition(":")
    return Refused(int(number) if colon and number.isdecimal() else 0, status, code)
