"""The host's own blobs: schedule statuses, and the leases by which hosts agree who runs a timer."""

from datetime import timedelta
from typing import Final, Protocol

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobClient, BlobLeaseClient, BlobServiceClient

#: The container that the real host uses, too.
CONTAINER: Final = "azure-webjobs-hosts"


class BlobsUnreachable(Exception):  # noqa: N818 - reads as the state it describes
    """The account did not answer."""


class Lease(Protocol):
    """The right to a blob, for as long as it is renewed."""

    async def renew(self) -> bool:
        """Extend the lease; False when it was lost. Raises BlobsUnreachable."""
        ...

    async def release(self) -> None:
        """Give the lease up. Safe to repeat; one that is lost already is no error."""
        ...


class HostBlobs(Protocol):
    """The container of hosts. Every method raises BlobsUnreachable when no answer came."""

    async def read(self, name: str) -> bytes | None:
        """Return the blob's content, or None when there is no such blob."""
        ...

    async def write(self, name: str, content: bytes) -> None:
        """Store *content*, replacing what was there."""
        ...

    async def lease(self, name: str, length: timedelta) -> Lease | None:
        """Take a lease of *length* on the blob, which is made when there is none; None when another has it."""
        ...


class AzureHostBlobs:
    """HostBlobs over the Azure client library."""

    def __init__(self, service: BlobServiceClient) -> None:
        self._container = service.get_container_client(CONTAINER)

    async def read(self, name: str) -> bytes | None:
        """Return the blob's content, or None when there is no such blob."""
        try:
            download = await self._container.download_blob(name)
            return await download.readall()
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            raise BlobsUnreachable(str(error)) from error

    async def write(self, name: str, content: bytes) -> None:
        """Store *content*, replacing what was there."""
        try:
            await self._upload(self._container.get_blob_client(name), content, overwrite=True)
        except AzureError as error:
            raise BlobsUnreachable(str(error)) from error

    async def lease(self, name: str, length: timedelta) -> Lease | None:
        """Take a lease of *length* on the blob, which is made when there is none; None when another has it."""
        blob = self._container.get_blob_client(name)
        try:
            try:
                return AzureLease(await blob.acquire_lease(int(length.total_seconds())))
            except ResourceNotFoundError:
                await self._make(blob)
                return AzureLease(await blob.acquire_lease(int(length.total_seconds())))
        except HttpResponseError as error:
            if error.status_code in {409, 412}:
                return None
            raise BlobsUnreachable(str(error)) from error
        except AzureError as error:
            raise BlobsUnreachable(str(error)) from error

    async def _make(self, blob: BlobClient) -> None:
        try:
            await self._upload(blob, b"", overwrite=False)
        except ResourceExistsError:
            # Another host was quicker.
            return

    async def _upload(self, blob: BlobClient, content: bytes, *, overwrite: bool) -> None:
        try:
            await blob.upload_blob(content, overwrite=overwrite)
        except ResourceNotFoundError:
            await self._create_container()
            await blob.upload_blob(content, overwrite=overwrite)

    async def _create_container(self) -> None:
        try:
            await self._container.create_container()
        except ResourceExistsError:
            return


class AzureLease:
    """A Lease over the Azure client library."""

    def __init__(self, lease: BlobLeaseClient) -> None:
        self._lease = lease

    async def renew(self) -> bool:
        """Extend the lease; False when it was lost. Raises BlobsUnreachable."""
        try:
            await self._lease.renew()
        except HttpResponseError as error:
            if error.status_code in {404, 409, 412}:
                return False
            raise BlobsUnreachable(str(error)) from error
        except AzureError as error:
            raise BlobsUnreachable(str(error)) from error
        return True

    async def release(self) -> None:
        """Give the lease up. Safe to repeat; one that is lost already is no error."""
        try:
            await self._lease.release()
        except HttpResponseError as error:
            if error.status_code not in {404, 409, 412}:
                raise BlobsUnreachable(str(error)) from error
        except AzureError as error:
            raise BlobsUnreachable(str(error)) from error
