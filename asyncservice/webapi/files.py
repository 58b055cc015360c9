"""File columns: upload whole or in parts, download whole or in part, delete (reference web-api-wire, section 25)."""

import base64
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, unquote
from uuid import UUID

from asyncservice.organization.filecolumns import PART, FileColumns, Manifest, Place
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.sources import Values
from asyncservice.webapi import permissions
from asyncservice.webapi.context import Api
from asyncservice.webapi.contexts import column_context
from asyncservice.webapi.exchange import JSON, Request, Response
from asyncservice.webapi.faults import ApiError, Code, not_allowed
from asyncservice.webapi.finding import id_of, own_id, row_of
from asyncservice.webapi.jsontext import dumps
from asyncservice.webapi.resources import Resource, Tail

_CONTENT_RANGE: Final = re.compile(r"bytes\s+([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_RANGE: Final = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
_NAMELESS: Final = "file.bin"
_BYTES: Final = "application/octet-stream"
_LONGEST_NAME: Final = 200
#: What a header must not hold.
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f"\\]')


def is_file(column: Attribute | None) -> bool:
    """Whether a column holds files."""
    return column is not None and column.type is AttributeType.FILE


async def change(api: Api, request: Request, resource: Resource) -> Response:
    """Answer an upload, a part of one, or a delete. Raises ApiError, or an error of the organization."""
    column = resource.column
    if column is None or request.method not in {"PATCH", "PUT", "DELETE"}:
        raise not_allowed(request.method, "a file column", "GET", "PATCH", "PUT", "DELETE")
    permissions.require_change(request.user, resource.entity.name)
    key = resource.last_key if not resource.steps else None
    entity = resource.entity
    record_id = await id_of(api, entity, key) if key is not None else own_id(entity, await row_of(api, resource))
    place = Place(entity=entity, record_id=record_id, column=column)
    files, now, by = FileColumns(api.organization), api.clock.now(), request.user.user_id
    if request.method == "DELETE":
        await files.clear(place, now=now, by=by)
        return Response()
    session = request.options.get("sessiontoken")
    if session is not None:
        # A chunk, even when it says once more that the upload is chunked.
        return await _part(request, files, place, session, api)
    media_type = request.headers.get("Content-Type", _BYTES)
    if request.headers.get("x-ms-transfer-mode", "").lower() == "chunked":
        file_id = await files.begin(place, name=_name_of(request), media_type=media_type, now=now)
        path = f"{entity.set_name}({record_id})/{column.name}?sessiontoken={file_id}"
        headers = {
            "Location": request.address.of(path),
            "x-ms-chunk-size": str(PART),
            "Accept-Ranges": "bytes",
        }
        return Response(status=HTTPStatus.OK, headers=headers)
    await files.store(place, request.body, name=_name_of(request), media_type=media_type, now=now, by=by)
    return Response()


async def _part(request: Request, files: FileColumns, place: Place, session: str, api: Api) -> Response:
    found = _CONTENT_RANGE.fullmatch(request.headers.get("Content-Range", "").strip())
    if found is None:
        raise ApiError(
            "A part of an upload needs Content-Range: bytes <first>-<last>/<size>.", code=Code.INVALID_ARGUMENT
        )
    first, last, size = (int(each) for each in found.groups())
    if last - first + 1 != len(request.body):
        raise ApiError(
            f"Content-Range says {last - first + 1} bytes, the body has {len(request.body)}.",
            code=Code.INVALID_ARGUMENT,
        )
    try:
        file_id = UUID(session)
    except ValueError:
        raise ApiError("The sessiontoken is none that was given out.", code=Code.INVALID_ARGUMENT) from None
    is_last = await files.add(
        place, file_id, request.body, offset=first, size=size, now=api.clock.now(), by=request.user.user_id
    )
    return Response(status=HTTPStatus.NO_CONTENT if is_last else HTTPStatus.PARTIAL_CONTENT)


async def download(api: Api, request: Request, resource: Resource, values: Values) -> Response:
    """Answer with the file of a column, or the part that Range asks for: bare, or as JSON; 204 when there is none."""
    column = resource.column
    file_id = None if column is None else values.get(column.name)
    files = FileColumns(api.organization)
    manifest = await files.manifest(file_id) if isinstance(file_id, UUID) else None
    if column is None or not isinstance(file_id, UUID) or manifest is None:
        return Response(status=HTTPStatus.NO_CONTENT)
    asked = _asked(request, manifest)
    content = await files.read(file_id, manifest, start=asked.start, end=asked.end)
    status = HTTPStatus.PARTIAL_CONTENT if asked.is_part else HTTPStatus.OK
    name = _UNSAFE.sub("_", manifest.name)
    headers = {
        "x-ms-file-size": str(manifest.size),
        "x-ms-file-name": quote(name),
        "mimetype": manifest.media_type,
        "Content-Disposition": f"attachment; filename=\"{quote(name)}\"; filename*=UTF-8''{quote(name)}",
        "Accept-Ranges": "bytes",
        **({"Content-Range": f"bytes {asked.start}-{asked.end - 1}/{manifest.size}"} if asked.is_part else {}),
        **({"x-ms-chunk-size": str(PART)} if asked.is_part else {}),
    }
    if resource.tail is Tail.VALUE:
        return Response(status=status, headers={**headers, "Content-Type": _BYTES}, body=content)
    record_id = own_id(resource.entity, values)
    body: dict[str, object] = {"@odata.context": column_context(request.address, resource.entity, record_id, column)}
    if request.options.get("size") is None and "Range" not in request.headers:
        # The column itself, as any other: the id of the file.
        return Response(
            status=HTTPStatus.OK, headers={"Content-Type": JSON}, body=dumps({**body, "value": str(file_id)})
        )
    location = request.address.of(f"{resource.entity.set_name}({record_id})/{column.name}")
    return Response(
        status=status,
        headers={**headers, "Content-Type": JSON, "Location": location},
        body=dumps({**body, "value": base64.b64encode(content).decode()}),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    start: int
    end: int
    is_part: bool


def _asked(request: Request, manifest: Manifest) -> _Asked:
    """Return what of a file is asked for. Raises ApiError (416) when it has nothing of it."""
    found = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if found is None or (not found[1] and not found[2]):
        return _Asked(0, manifest.size, is_part=False)
    if not found[1]:
        start, end = max(manifest.size - int(found[2]), 0), manifest.size
    else:
        start = int(found[1])
        end = min(int(found[2]) + 1, manifest.size) if found[2] else manifest.size
    if start >= end:
        raise ApiError(
            f"The file has {manifest.size} bytes; the range asks for none of them.",
            status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            code=Code.INVALID_ARGUMENT,
            headers={"Content-Range": f"bytes */{manifest.size}"},
        )
    return _Asked(start, end, is_part=True)


def _name_of(request: Request) -> str:
    """Return the name of the file: the header's, else the query's. Headers cannot hold but ASCII, so it is encoded."""
    given = request.headers.get("x-ms-file-name")
    name = unquote(given) if given is not None else request.options.get("x-ms-file-name")
    name = (name or _NAMELESS).strip().replace("\\", "/").rpartition("/")[2]
    if len(name) > _LONGEST_NAME:
        raise ApiError(f"The name of the file is longer than {_LONGEST_NAME} characters.", code=Code.INVALID_ARGUMENT)
    return name or _NAMELESS
