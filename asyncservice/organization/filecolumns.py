"""Files in columns of records: their content lies in blobs, in parts as they were sent; the row names the file.

A file is written whole before the row names it, and removed after the row has ceased to. A note is made before the
first part is written and struck out when the row names the file, so what a crash or somebody who never sends the rest
leaves is found and removed (`asyncservice.organization.leftovers`).

    <file id>/session            whose file it is going to be, from the beginning of an upload
    <file id>/<offset>           a part
    <file id>/manifest           name, size and parts, once it is whole
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final
from uuid import UUID, uuid4

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import RecordNotFound, ValueRefused
from asyncservice.organization.files import FILES, of_file
from asyncservice.organization.organization import Organization
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.schema.entities import Entity
from asyncservice.storage.blobs import Blobs
from asyncservice.storage.errors import StorageUnavailable

#: The container.
CONTAINER: Final = FILES
#: An upload that was begun longer ago takes no more parts. Much less than what is left over is given before removal.
SESSION: Final = timedelta(days=1)
#: Bytes of a part, and the most that one upload request of a session should hold.
PART: Final = 4 * 1024 * 1024
#: Kilobytes of a file whose column says nothing.
MAX_KILOBYTES: Final = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A column of a record."""

    entity: Entity
    record_id: UUID
    column: Attribute

    @property
    def text(self) -> str:
        """What tells it from all others."""
        return f"{self.entity.name}/{self.record_id}/{self.column.name}"

    @property
    def most(self) -> int:
        """Bytes that a file may have."""
        return (self.column.max_size or MAX_KILOBYTES) * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A file that is whole."""

    name: str
    media_type: str
    size: int
    #: Offset and length of each part, in order.
    parts: Sequence[tuple[int, int]]


class FileColumns:
    """The files of an organization."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    @property
    def _blobs(self) -> Blobs:
        return self._organization.storage.blobs(CONTAINER)

    async def begin(self, place: Place, *, name: str, media_type: str, now: datetime) -> UUID:
        """Begin an upload in parts, and return the id of its session. Raises RecordNotFound."""
        if await self._organization.source(place.entity.name).find(place.record_id) is None:
            raise RecordNotFound(place.entity.name, place.record_id)
        await self._blobs.create()
        file_id = uuid4()
        named = of_file(place.entity, place.record_id, place.column.name, file_id)
        await self._organization.leftovers.note_file(named, file_id, now=now)
        session = {"place": place.text, "name": name, "type": media_type, "begun": now.isoformat()}
        await self._blobs.write(f"{file_id}/session", json.dumps(session).encode())
        return file_id

    async def add(
        self, place: Place, file_id: UUID, content: bytes, *, offset: int, size: int, now: datetime, by: UUID
    ) -> bool:
        """Keep a part of a file of *size* bytes; return whether it was the last one, with which the row names the file.

        Safe to repeat. Raises ValueRefused for a session that is not of this column, for a part that does not fit, and
        when the last part comes before others.
        """
        session = await self._session(place, file_id, now=now)
        self._check_size(place, size)
        if offset + len(content) > size or not content:
            raise _refused(place, f"a part of {len(content)} bytes at {offset} does not fit a file of {size} bytes")
        await self._blobs.write(f"{file_id}/{offset:012d}", content)
        if offset + len(content) < size:
            return False
        parts = await self._parts(file_id)
        if sum(length for _, length in parts) != size or any(
            before + length != after for (before, length), (after, _) in pairwise(parts)
        ):
            raise _refused(place, "the last part has come before others; send the parts in order")
        manifest = Manifest(name=session["name"], media_type=session["type"], size=size, parts=parts)
        await self._finish(place, file_id, manifest, now=now, by=by)
        return True

    async def store(self, place: Place, content: bytes, *, name: str, media_type: str, now: datetime, by: UUID) -> UUID:
        """Keep a whole file in the column; return its id. Raises RecordNotFound, ValueRefused."""
        self._check_size(place, len(content))
        file_id = await self.begin(place, name=name, media_type=media_type, now=now)
        parts = [(start, len(content[start : start + PART])) for start in range(0, len(content), PART)]
        for start, length in parts:
            await self._blobs.write(f"{file_id}/{start:012d}", content[start : start + length])
        manifest = Manifest(name=name, media_type=media_type, size=len(content), parts=parts)
        await self._finish(place, file_id, manifest, now=now, by=by)
        return file_id

    async def manifest(self, file_id: UUID) -> Manifest | None:
        """Return what is known of a file, or None when there is none."""
        text = await self._blobs.read(f"{file_id}/manifest")
        if text is None:
            return None
        said = json.loads(text)
        return Manifest(
            name=said["name"],
            media_type=said["media_type"],
            size=said["size"],
            parts=[(offset, length) for offset, length in said["parts"]],
        )

    async def read(self, file_id: UUID, manifest: Manifest, *, start: int, end: int) -> bytes:
        """Return the bytes from *start* up to *end*, which is not among them.

        Raises StorageUnavailable when the row has let go of the file meanwhile.
        """
        found: list[bytes] = []
        for offset, length in manifest.parts:
            first, last = max(start, offset), min(end, offset + length)
            if first < last:
                name = f"{file_id}/{offset:012d}"
                content = await self._blobs.read(name, offset=first - offset, length=last - first)
                if content is None:
                    raise StorageUnavailable(f"The file {file_id} was replaced while it was read; read it again.")
                found.append(content)
        return b"".join(found)

    async def clear(self, place: Place, *, now: datetime, by: UUID) -> None:
        """Empty the column and remove its file. Raises RecordNotFound."""
        await self._name(place, None, None, now=now, by=by)

    async def _finish(self, place: Place, file_id: UUID, manifest: Manifest, *, now: datetime, by: UUID) -> None:
        await self._blobs.write(f"{file_id}/manifest", json.dumps(asdict(manifest)).encode())
        await self._name(place, file_id, manifest.name, now=now, by=by)
        await self._organization.leftovers.strike([str(file_id)])

    async def _name(self, place: Place, file_id: UUID | None, name: str | None, *, now: datetime, by: UUID) -> None:
        """Let the row name the file; the transaction removes the one it named before."""
        beside = f"{place.column.name}_name"
        values = {place.column.name: file_id}
        names = {beside: name} if beside in place.entity.attributes else {}
        records = self._organization.records(place.entity.name)
        await records.update(place.record_id, {**values, **names}, now=now, by=by)

    async def _session(self, place: Place, file_id: UUID, *, now: datetime) -> dict[str, Any]:
        # Where nobody ever began an upload there is no container to look in.
        await self._blobs.create()
        text = await self._blobs.read(f"{file_id}/session")
        session: dict[str, Any] = {} if text is None else json.loads(text)
        if session.get("place") != place.text:
            raise _refused(place, "the sessiontoken is none that was given out for it; begin the upload again")
        if now - datetime.fromisoformat(session["begun"]) > SESSION:
            raise _refused(place, "the upload was begun more than a day ago; begin it again")
        return session

    async def _parts(self, file_id: UUID) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        async for name in self._blobs.names(f"{file_id}/"):
            offset = name.rpartition("/")[2]
            if offset.isdigit():
                found.append((int(offset), await self._blobs.size(name) or 0))
        return sorted(found)

    @staticmethod
    def _check_size(place: Place, size: int) -> None:
        if size > place.most:
            raise _refused(place, f"the file has {size} bytes; {place.most} is the limit")


def _refused(place: Place, why: str) -> ValueRefused:
    return ValueRefused(
        f"The file for '{place.column.name}' cannot be stored: {why}.",
        column=place.column.name,
        code=OrganizationErrorCode.INVALID_ARGUMENT,
    )
