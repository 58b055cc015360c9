"""The port to Blob Storage: payloads, import files, attachments."""

from collections.abc import AsyncIterator
from typing import Protocol


class Blobs(Protocol):
    """One container. Errors are those of `asyncservice.storage.errors`."""

    @property
    def name(self) -> str:
        """The container's name."""
        ...

    async def create(self) -> None:
        """Make the container. Safe to repeat."""
        ...

    async def write(self, name: str, content: bytes) -> None:
        """Store *content* under *name*, replacing what was there."""
        ...

    async def read(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes | None:
        """Return the bytes from *offset* on (at most *length*), or None when there is no such blob."""
        ...

    async def size(self, name: str) -> int | None:
        """Return the blob's length in bytes, or None when there is no such blob."""
        ...

    async def delete(self, name: str) -> None:
        """Remove the blob. One that is gone already is no error."""
        ...

    def names(self, prefix: str = "") -> AsyncIterator[str]:
        """Yield the names that start with *prefix*, in order."""
        ...
