"""The port to a whole storage account: where tables, queues and blob containers come from."""

from types import TracebackType
from typing import Protocol, Self

from asyncservice.storage.blobs import Blobs
from asyncservice.storage.queues import Queue
from asyncservice.storage.tables import Table


class Storage(Protocol):
    """An account. Asking for a table, queue or container costs nothing and does not create it."""

    def table(self, name: str) -> Table:
        """Return the table of that name."""
        ...

    def queue(self, name: str) -> Queue:
        """Return the queue of that name."""
        ...

    def blobs(self, name: str) -> Blobs:
        """Return the blob container of that name."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
