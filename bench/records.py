"""What became of operations, read from the table itself.

An operation counts as completed at the moment of its last write as the storage stamped it, not when some program
believed that it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from azure.data.tables.aio import TableClient

from asyncservice.operations.states import StatusCode
from asyncservice.operations.store import TABLE

_COLUMNS: Final = ["asyncoperationid", "statuscode", "startedon", "Timestamp"]


@dataclass(frozen=True, slots=True)
class Seen:
    """An operation as it stands in the table."""

    status: StatusCode
    #: When a host claimed it.
    started: datetime | None
    #: When the storage took the last write.
    written: datetime

    @property
    def succeeded(self) -> bool:
        """Whether it came to a good end."""
        return self.status is StatusCode.SUCCEEDED


class Records:
    """The operations of an account, found by the name they were given. An async context manager."""

    def __init__(self, connection: str) -> None:
        self._table = TableClient.from_connection_string(connection, TABLE)

    async def __aenter__(self) -> Self:
        await self._table.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._table.__aexit__(kind, error, trace)

    async def named(self, name: str) -> Mapping[UUID, Seen]:
        """Return the operations of that name."""
        rows = self._table.query_entities("name eq @name", parameters={"name": name}, select=_COLUMNS)
        return {row["asyncoperationid"]: _seen(row) async for row in rows}


def _seen(row: Any) -> Seen:  # noqa: ANN401 - the client's entity: a dictionary with metadata
    started: datetime | None = row.get("startedon")
    return Seen(
        StatusCode(int(row["statuscode"].value)),
        None if started is None else started.astimezone(UTC),
        row.metadata["timestamp"].astimezone(UTC),
    )
