"""From the name in a binding's `connection` to a storage account and its clients.

A name is looked up as the real host does: first with the prefix `AzureWebJobs`, then as it stands; no name is
`Storage`. The setting holds a connection string, or settings below it (`<name>__accountName`,
`<name>__queueServiceUri`, ...) describe an identity-based connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self

from azure.core.credentials_async import AsyncTokenCredential
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from asyncservice.devhost.errors import ConfigurationInvalid
from asyncservice.devhost.settings import setting
from asyncservice.storage.azure_errors import RETRIES
from asyncservice.storage.azure_http import AzureSession
from asyncservice.storage.azure_messages import queue_session

#: The emulator's account and its published key.
DEVELOPMENT_ACCOUNT: Final = "devstoreaccount1"
DEVELOPMENT_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

type Service = Literal["blob", "queue", "table"]


def development_connection_string(*, blob_port: int = 10000, queue_port: int = 10001, table_port: int = 10002) -> str:
    """Return the connection string of an emulator on these ports of this machine."""
    endpoints = {"Blob": blob_port, "Queue": queue_port, "Table": table_port}
    return f"DefaultEndpointsProtocol=http;AccountName={DEVELOPMENT_ACCOUNT};AccountKey={DEVELOPMENT_KEY};" + "".join(
        f"{name}Endpoint=http://127.0.0.1:{port}/{DEVELOPMENT_ACCOUNT};" for name, port in endpoints.items()
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """How to reach one storage account: with a connection string, or by address and identity."""

    #: Empty when the connection is identity-based.
    text: str = ""
    account: str = ""
    #: Addresses that settings give outright, by service.
    addresses: Mapping[str, str]
    client_id: str = ""
    tenant_id: str = ""
    managed: bool = False

    def address(self, service: Service) -> str:
        """Return where *service* is reached by identity."""
        return self.addresses.get(service) or f"https://{self.account}.{service}.core.windows.net"


def find_connection(name: str, settings: Mapping[str, str]) -> Connection:
    """Return the connection that *name* stands for; raise ConfigurationInvalid when no setting describes it."""
    name = name or "Storage"
    for candidate in (f"AzureWebJobs{name}", name):
        text = setting(candidate, settings)
        if text:
            return Connection(text=_expanded(text), addresses={})
        found = _identity(candidate, settings)
        if found is not None:
            return found
    raise ConfigurationInvalid(
        f"There is no storage connection {name!r}: set AzureWebJobs{name} to a connection string, "
        f"or AzureWebJobs{name}__accountName to an account's name."
    )


def _identity(prefix: str, settings: Mapping[str, str]) -> Connection | None:
    def part(key: str) -> str:
        return setting(f"{prefix}__{key}", settings) or ""

    addresses = {
        service: address
        for service in ("blob", "queue", "table")
        if (address := part(f"{service}ServiceUri") or part("serviceUri"))
    }
    if not part("accountName") and not addresses:
        return None
    return Connection(
        account=part("accountName"),
        addresses=addresses,
        client_id=part("clientId"),
        tenant_id=part("tenantId"),
        managed=part("credential").lower() == "managedidentity",
    )


def _expanded(text: str) -> str:
    # The Python clients do not know the short form that every other SDK and local.settings.json use.
    if "usedevelopmentstorage=true" in text.replace(" ", "").lower():
        return development_connection_string()
    return text


class Accounts:
    """The clients of every account that the app's triggers use: one a service and account, shared, closed together."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._queues: dict[str, QueueServiceClient] = {}
        self._messages: dict[str, AzureSession] = {}
        self._blobs: dict[str, BlobServiceClient] = {}
        self._credentials: list[AsyncTokenCredential] = []

    def queues(self, connection: str) -> QueueServiceClient:
        """Return the client for the queues of that connection."""
        client = self._queues.get(connection)
        if client is None:
            found = find_connection(connection, self._settings)
            client = self._queues[connection] = self._queue_client(found)
        return client

    def messages(self, connection: str) -> AzureSession:
        """Return the session for the messages of that connection's queues."""
        if connection not in self._messages:
            self._messages[connection] = queue_session(self.queues(connection))
        return self._messages[connection]

    def blobs(self, connection: str = "") -> BlobServiceClient:
        """Return the client for the blobs of that connection."""
        client = self._blobs.get(connection)
        if client is None:
            found = find_connection(connection, self._settings)
            client = self._blobs[connection] = self._blob_client(found)
        return client

    def _queue_client(self, connection: Connection) -> QueueServiceClient:
        try:
            if connection.text:
                return QueueServiceClient.from_connection_string(connection.text, **RETRIES)
            return QueueServiceClient(connection.address("queue"), credential=self._credential(connection), **RETRIES)
        except ValueError as error:
            raise ConfigurationInvalid(f"The storage connection cannot be used: {error}") from error

    def _blob_client(self, connection: Connection) -> BlobServiceClient:
        try:
            if connection.text:
                return BlobServiceClient.from_connection_string(connection.text, **RETRIES)
            return BlobServiceClient(connection.address("blob"), credential=self._credential(connection), **RETRIES)
        except ValueError as error:
            raise ConfigurationInvalid(f"The storage connection cannot be used: {error}") from error

    def _credential(self, connection: Connection) -> AsyncTokenCredential:
        # Imported here: it is slow to load, and a laptop with the emulator has no use for it.
        from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

        options: dict[str, Any] = {}
        if connection.client_id:
            key = "client_id" if connection.managed else "managed_identity_client_id"
            options[key] = connection.client_id
        credential: AsyncTokenCredential
        credential = ManagedIdentityCredential(**options) if connection.managed else DefaultAzureCredential(**options)
        self._credentials.append(credential)
        return credential

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for messages in self._messages.values():
            await messages.close()
        for queues in self._queues.values():
            await queues.close()
        for blobs in self._blobs.values():
            await blobs.close()
        for credential in self._credentials:
            await credential.close()
