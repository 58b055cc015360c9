"""A real storage account: Azure Storage, or Azurite on a laptop. Azure's types and errors stay inside this room."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.request import getproxies

from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from asyncservice.storage.azure_blobs import AzureBlobs
from asyncservice.storage.azure_errors import RETRIES
from asyncservice.storage.azure_messages import queue_session
from asyncservice.storage.azure_queues import AzureQueue
from asyncservice.storage.azure_tables import AzureTable, table_session

#: The emulator's account, published by Microsoft; a secret to nobody.
DEVELOPMENT_ACCOUNT: Final = "devstoreaccount1"
DEVELOPMENT_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def development_connection_string(blob_port: int = 10000) -> str:
    """Return the connection string of an emulator whose queue and table ports follow *blob_port*."""
    account = f"DefaultEndpointsProtocol=http;AccountName={DEVELOPMENT_ACCOUNT};AccountKey={DEVELOPMENT_KEY}"
    endpoints = (
        f"{service}Endpoint=http://127.0.0.1:{blob_port + offset}/{DEVELOPMENT_ACCOUNT}"
        for offset, service in enumerate(("Blob", "Queue", "Table"))
    )
    return ";".join((account, *endpoints))


class StorageSettingsError(ValueError):
    """The settings do not say which storage account to use."""


class AzureStorage:
    """An account over the network. Use as an async context manager: leaving it closes every connection.

    Each service has one client, and each client one connection pool, shared by everything that is asked of it.
    """

    def __init__(self, services: "_Services") -> None:
        self._services = services
        self._rows = table_session(services.table.url, services.table.credential)
        self._messages = queue_session(services.queue)
        self._stack = AsyncExitStack()
        self._tables: dict[str, AzureTable] = {}
        self._queues: dict[str, AzureQueue] = {}
        self._containers: dict[str, AzureBlobs] = {}

    @classmethod
    def from_connection_string(cls, connection_string: str) -> Self:
        """Make an account from a connection string; "UseDevelopmentStorage=true" is the emulator on its usual ports."""
        if connection_string.strip().rstrip(";").casefold() == "usedevelopmentstorage=true":
            connection_string = development_connection_string()
        return cls(_ByConnectionString(connection_string))

    @classmethod
    def from_settings(cls, settings: Mapping[str, str], name: str = "AzureWebJobsStorage") -> Self:
        """Make an account from application settings, in the forms that Azure Functions knows.

        Either *name* holds a connection string, or `name__accountName` (or one `name__…ServiceUri` a service) names
        the account and `name__credential`/`name__clientId` say which identity to use. Raises StorageSettingsError
        when neither is there.
        """
        if connection_string := settings.get(name):
            return cls.from_connection_string(connection_string)
        account = settings.get(f"{name}__accountName")
        endpoints = {
            service: settings.get(f"{name}__{service}ServiceUri")
            or (f"https://{account}.{service}.core.windows.net" if account else None)
            for service in ("blob", "queue", "table")
        }
        missing = [service for service, endpoint in endpoints.items() if endpoint is None]
        if missing:
            raise StorageSettingsError(
                f"Set {name} to a connection string, or {name}__accountName to the name of a storage account."
            )
        return cls(
            _ByIdentity(
                {service: endpoint for service, endpoint in endpoints.items() if endpoint},
                managed=settings.get(f"{name}__credential", "").casefold() == "managedidentity",
                client_id=settings.get(f"{name}__clientId"),
            )
        )

    def table(self, name: str) -> AzureTable:
        """Return the table of that name."""
        if name not in self._tables:
            self._tables[name] = AzureTable(self._services.table.get_table_client(name), self._rows)
        return self._tables[name]

    def queue(self, name: str) -> AzureQueue:
        """Return the queue of that name."""
        if name not in self._queues:
            self._queues[name] = AzureQueue(self._services.queue.get_queue_client(name), self._messages)
        return self._queues[name]

    def blobs(self, name: str) -> AzureBlobs:
        """Return the container of that name."""
        if name not in self._containers:
            self._containers[name] = AzureBlobs(self._services.blob.get_container_client(name))
        return self._containers[name]

    async def __aenter__(self) -> Self:
        """Open the connections."""
        for client in self._services.closing():
            await self._stack.enter_async_context(client)
        for session in (self._rows, self._messages):
            self._stack.push_async_callback(session.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._stack.aclose()


class _Services(Protocol):
    """The three service clients of one account."""

    table: TableServiceClient
    queue: QueueServiceClient
    blob: BlobServiceClient

    def closing(self) -> tuple[Any, ...]: ...


def _transport() -> AioHttpTransport:
    """Return a transport that looks for a proxy only where the environment names one.

    With the environment's settings on, every request also looks for a .netrc file, in a thread of its own; that is a
    fifth of a busy host's processor time.
    """
    return AioHttpTransport(use_env_settings=bool(getproxies()))


class _ByConnectionString:
    def __init__(self, connection_string: str) -> None:
        self.table = TableServiceClient.from_connection_string(connection_string, transport=_transport())
        self.queue = QueueServiceClient.from_connection_string(connection_string, transport=_transport(), **RETRIES)
        self.blob = BlobServiceClient.from_connection_string(connection_string, transport=_transport(), **RETRIES)

    def closing(self) -> tuple[Any, ...]:
        return self.table, self.queue, self.blob


class _ByIdentity:
    def __init__(self, endpoints: Mapping[str, str], *, managed: bool, client_id: str | None) -> None:
        self._credential = (
            ManagedIdentityCredential(client_id=client_id)
            if managed
            else DefaultAzureCredential(managed_identity_client_id=client_id)
        )
        self.table = TableServiceClient(endpoints["table"], credential=self._credential, transport=_transport())
        self.queue = QueueServiceClient(
            endpoints["queue"], credential=self._credential, transport=_transport(), **RETRIES
        )
        self.blob = BlobServiceClient(endpoints["blob"], credential=self._credential, transport=_transport(), **RETRIES)

    def closing(self) -> tuple[Any, ...]:
        return self._credential, self.table, self.queue, self.blob
