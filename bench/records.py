"""What became of operations, read from the table itself.

An operation counts as completed at the moment of its last write as the storage stamped it, not when some program
believed that it was.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from azure.data.tables.aio import TableClient

from asyncservice.operations import ids
from asyncservice.operations.states import StatusCode
from asyncservice.operations.store import DEFAULT_SHARDS, TABLE

_COLUMNS: Final = ["asyncoperationid", "statuscode", "startedon", "hostid", "Timestamp"]
#: Partition by partition: the emulator sorts all rows that a query finds anew for each page of it.
_QUERY: Final = "PartitionKey eq @partition and name eq @name"


@dataclass(frozen=True, slots=True)
class Seen:
    """An operation as it stands in the table."""

    status: StatusCode
    #: When a host claimed it.
    started: datetime | None
    #: When the storage took the last write.
    written: datetime
    #: The host that claimed it last.
    host: str | None = None

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
        found: dict[UUID, Seen] = {}
        for shard in range(DEFAULT_SHARDS):
            parameters = {"partition": ids.partition_name(shard), "name": name}
            rows = self._table.query_entities(_QUERY, parameters=parameters, select=_COLUMNS)
            found |= {row["asyncoperationid"]: _seen(row) async for row in rows}
        return found


def shares(seen: Iterable[Seen]) -> Mapping[str, int]:
    """Return how many operations each host ran, the busiest first."""
    return dict(Counter(each.host or "none" for each in seen).most_common())


def _seen(row: Any) -> Seen:  # noqa: ANN401 - the client's entity: a dictionary with metadata
    started: datetime | None = row.get("startedon")
    return Seen(
        StatusCode(int(row["statuscode"].value)),
        None if started is None else started.astimezone(UTC),
        row.metadata["timestamp"].astimezone(UTC),
        row.get("hostid"),
    )
