"""The parse table: what a step hands to the next, as numbered blobs of JSON lines and a manifest."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from asyncservice.organization.concurrency import together
from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import OrganizationError
from asyncservice.storage.account import Storage

#: The container of import files and of what the steps make of them.
IMPORT_FILES: Final = "import-files"


class Stage(StrEnum):
    """Whose output it is."""

    PARSED = "parsed"
    TRANSFORMED = "transformed"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a step made of one file."""

    #: Chunks to read, numbered from 0.
    chunks: int
    #: Rows that came in, and those of them that got no further.
    rows: int
    failed: int
    #: The file's columns in order; of transformed rows, the heading by target column.
    headings: Sequence[str] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> int:
        """Rows for the next step."""
        return self.rows - self.failed


@dataclass(frozen=True, slots=True)
class ParsedRow:
    """A row as texts."""

    #: Which row of the file it is, from 0; headings do not count.
    row: int
    line: int
    fields: Sequence[str]

    def to_json(self) -> object:
        """Return what a line of a chunk holds."""
        return [self.row, self.line, self.fields]

    @classmethod
    def from_json(cls, kept: Any) -> Self:  # noqa: ANN401 - JSON
        """Return the row that a line of a chunk holds."""
        return cls(*kept)


@dataclass(frozen=True, slots=True)
class TransformedRow:
    """A row as values of the target's columns, in their JSON form."""

    row: int
    line: int
    values: Mapping[str, object]

    def to_json(self) -> object:
        """Return what a line of a chunk holds."""
        return [self.row, self.line, self.values]

    @classmethod
    def from_json(cls, kept: Any) -> Self:  # noqa: ANN401 - JSON
        """Return the row that a line of a chunk holds."""
        return cls(*kept)


class Chunks:
    """The chunks and manifests of one import file."""

    def __init__(self, storage: Storage, importfile_id: UUID) -> None:
        self._blobs = storage.blobs(IMPORT_FILES)
        self._folder = str(importfile_id)

    async def write(self, stage: Stage, number: int, rows: Sequence[ParsedRow] | Sequence[TransformedRow]) -> None:
        """Keep a chunk; writing the same number again replaces it."""
        lines = "\n".join(json.dumps(row.to_json(), ensure_ascii=False, separators=(",", ":")) for row in rows)
        await self._blobs.write(self._name(stage, number), lines.encode())

    async def parsed(self, number: int) -> list[ParsedRow]:
        """Return a chunk of parsed rows."""
        return [ParsedRow.from_json(kept) for kept in await self._read(Stage.PARSED, number)]

    async def transformed(self, number: int) -> list[TransformedRow]:
        """Return a chunk of transformed rows."""
        return [TransformedRow.from_json(kept) for kept in await self._read(Stage.TRANSFORMED, number)]

    async def write_manifest(self, stage: Stage, manifest: Manifest) -> None:
        """Say what a step made of the file."""
        await self._blobs.write(f"{self._folder}/{stage}/manifest.json", json.dumps(asdict(manifest)).encode())

    async def manifest(self, stage: Stage) -> Manifest | None:
        """Return what a step made of the file, or None when it has not ended."""
        content = await self._blobs.read(f"{self._folder}/{stage}/manifest.json")
        return None if content is None else Manifest(**json.loads(content))

    async def clear(self, chunks: int) -> None:
        """Remove the chunks of both stages; the manifests stay. Safe to repeat."""
        await together(
            (
                self._blobs.delete(self._name(stage, number))
                for stage in (Stage.PARSED, Stage.TRANSFORMED)
                for number in range(chunks)
            ),
            at_once=8,
        )

    async def _read(self, stage: Stage, number: int) -> list[Any]:
        name = self._name(stage, number)
        content = await self._blobs.read(name)
        if content is None:
            raise ChunkMissing(name)
        return [json.loads(line) for line in content.split(b"\n") if line]

    def _name(self, stage: Stage, number: int) -> str:
        return f"{self._folder}/{stage}/{number:06d}.jsonl"


class ChunkMissing(OrganizationError):  # noqa: N818 - reads as the fact it states
    """Somebody removed a part of the parse table while the import was under way."""

    code = OrganizationErrorCode.PREVIOUS_OPERATION_NOT_COMPLETE

    def __init__(self, name: str) -> None:
        super().__init__(f"The blob {name} of container {IMPORT_FILES} is gone; start the import again.")
        self.name = name
