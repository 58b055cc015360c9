"""Blob Storage behind the Blobs port."""

from collections.abc import AsyncIterator
from io import BytesIO

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from asyncservice.storage.azure_errors import translated


class AzureBlobs:
    """One container of an account."""

    def __init__(self, client: ContainerClient) -> None:
        self._client = client

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self._client.container_name)

    async def create(self) -> None:
        """Make the container."""
        with translated(f"create container {self.name}"):
            try:
                await self._client.create_container()
            except ResourceExistsError:
                return

    async def write(self, name: str, content: bytes) -> None:
        """Store content under a name."""
        with translated(f"write blob {name}"):
            # As a stream: the transport warns about large bodies that are plain bytes.
            await self._client.upload_blob(name, BytesIO(content), length=len(content), overwrite=True)

    async def read(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes | None:
        """Return a range of a blob."""
        with translated(f"read blob {name}"):
            try:
                download = await self._client.download_blob(name, offset=offset, length=length)
                return await download.readall()
            except ResourceNotFoundError as error:
                if getattr(error, "error_code", "") == "ContainerNotFound":
                    raise
                return None
            except HttpResponseError as error:
                if error.status_code == 416:  # noqa: PLR2004 - a range behind the end of the blob is an empty one
                    return b""
                raise

    async def size(self, name: str) -> int | None:
        """Return a blob's length."""
        with translated(f"measure blob {name}"):
            try:
                return int((await self._client.get_blob_client(name).get_blob_properties()).size)
            except ResourceNotFoundError:
                return None

    async def delete(self, name: str) -> None:
        """Remove a blob."""
        with translated(f"delete blob {name}"):
            try:
                await self._client.delete_blob(name)
            except ResourceNotFoundError:
                return

    async def names(self, prefix: str = "") -> AsyncIterator[str]:
        """Yield the names that start with *prefix*."""
        with translated(f"list {self.name}"):
            async for name in self._client.list_blob_names(name_starts_with=prefix):
                yield name
