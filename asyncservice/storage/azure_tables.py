"""Table Storage behind the Table port."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.data.tables import EdmType, EntityProperty, TableTransactionError, UpdateMode
from azure.data.tables.aio import TableClient

from asyncservice.storage.azure_errors import code_of, translated
from asyncservice.storage.errors import ConflictReason, RowConflict, StorageRefused
from asyncservice.storage.tables import MAX_WRITES, Comparison, Delete, Insert, Put, Replace, Row, Value, Write

#: Most rows one page of a scan brings; the service's own limit.
_PAGE: Final = 1000
_CONFLICTS: Final[Mapping[str, ConflictReason]] = {
    "EntityAlreadyExists": ConflictReason.EXISTS,
    "ResourceNotFound": ConflictReason.MISSING,
    "UpdateConditionNotSatisfied": ConflictReason.CHANGED,
    "ConditionNotMet": ConflictReason.CHANGED,
}


class AzureTable:
    """One table of an account."""

    def __init__(self, client: TableClient) -> None:
        self._client = client

    @property
    def name(self) -> str:
        """The table's name."""
        return self._client.table_name

    async def create(self) -> None:
        """Make the table."""
        with translated(f"create table {self.name}"):
            try:
                await self._client.create_table()
            except ResourceExistsError:
                return

    async def read(self, partition: str, key: str) -> Row | None:
        """Return the row, or None."""
        with translated(f"read {self.name}"):
            try:
                return _row(await self._client.get_entity(partition, key))
            except ResourceNotFoundError as error:
                if code_of(error) == "TableNotFound":
                    raise
                return None

    async def commit(self, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        """Apply all writes or none; a single write goes without the envelope of a transaction."""
        if not 1 <= len(writes) <= MAX_WRITES:
            raise StorageRefused(f"A transaction holds 1 to {MAX_WRITES} writes, not {len(writes)}.")
        with translated(f"write {self.name}"):
            # The client takes the deletion of a missing row for done, but in a transaction; here it is an answer.
            if len(writes) == 1 and not isinstance(writes[0], Delete):
                return [await self._commit_one(partition, writes[0])]
            return await self._commit_all(partition, writes)

    async def scan(
        self,
        partition: str,
        *,
        start: str = "",
        end: str | None = None,
        where: Sequence[Comparison] = (),
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Row]:
        """Yield rows in key order, one request a page."""
        conditions = [f"PartitionKey eq {_literal(partition)}"]
        if start:
            conditions.append(f"RowKey ge {_literal(start)}")
        if end is not None:
            conditions.append(f"RowKey lt {_literal(end)}")
        conditions += [f"{each.column} {each.operator} {_literal(each.value)}" for each in where]
        columns = None if select is None else ["PartitionKey", "RowKey", *select]
        pages = self._client.query_entities(
            " and ".join(conditions),
            results_per_page=_PAGE if limit is None else min(limit, _PAGE),
            select=columns,
        )
        found = 0
        with translated(f"scan {self.name}"):
            async for entity in pages:
                yield _row(entity)
                found += 1
                if limit is not None and found >= limit:
                    return

    async def _commit_one(self, partition: str, write: Insert | Put | Replace) -> str:
        answer: Mapping[str, Any]
        try:
            match write:
                case Insert(key, values):
                    answer = await self._client.create_entity(_entity(partition, key, values))
                case Put(key, values):
                    answer = await self._client.upsert_entity(_entity(partition, key, values), mode=UpdateMode.REPLACE)
                case Replace(key, values, etag):
                    answer = await self._client.update_entity(
                        _entity(partition, key, values),
                        mode=UpdateMode.REPLACE,
                        etag=etag,
                        match_condition=MatchConditions.IfNotModified,
                    )
        except HttpResponseError as error:
            raise self._conflict(error, partition, write.key) or error from error
        return str(answer["etag"])

    async def _commit_all(self, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        try:
            answers = await self._client.submit_transaction([_operation(partition, write) for write in writes])
        except TableTransactionError as error:
            failed = writes[error.index] if 0 <= error.index < len(writes) else writes[0]
            raise self._conflict(error, partition, failed.key) or error from error
        return [str(answer.get("etag") or "") for answer in answers]

    def _conflict(self, error: HttpResponseError, partition: str, key: str) -> RowConflict | None:
        reason = _CONFLICTS.get(code_of(error))
        return None if reason is None else RowConflict(self.name, partition, key, reason)


def _operation(partition: str, write: Write) -> Any:  # noqa: ANN401 - the client's union of tuples
    match write:
        case Insert(key, values):
            return "create", _entity(partition, key, values)
        case Put(key, values):
            return "upsert", _entity(partition, key, values), {"mode": UpdateMode.REPLACE}
        case Replace(key, values, etag):
            condition = {"mode": UpdateMode.REPLACE, "etag": etag, "match_condition": MatchConditions.IfNotModified}
            return "update", _entity(partition, key, values), condition
        case Delete(key, None):
            return "delete", {"PartitionKey": partition, "RowKey": key}
        case Delete(key, etag):
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            return "delete", {"PartitionKey": partition, "RowKey": key}, condition


def _entity(partition: str, key: str, values: Mapping[str, Value]) -> dict[str, Any]:
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": key}
    for name, value in values.items():
        # Every number is Edm.Int64, so that a column keeps one type whatever it holds.
        entity[name] = EntityProperty(value, EdmType.INT64) if type(value) is int else value
    return entity


def _row(entity: Mapping[str, Any]) -> Row:
    values = {
        name: _value(value) for name, value in entity.items() if name not in {"PartitionKey", "RowKey", "Timestamp"}
    }
    etag: str = entity.metadata["etag"]  # type: ignore[attr-defined]
    return Row(entity["PartitionKey"], entity["RowKey"], values, etag)


def _value(value: Any) -> Value:  # noqa: ANN401 - whatever the client decoded
    if isinstance(value, tuple):  # EntityProperty(value, edm_type): a 64-bit integer
        return int(value[0])
    if isinstance(value, datetime):
        # The client's subclass also carries the service's sub-microsecond text; a plain value compares and pickles.
        return datetime(
            value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, tzinfo=UTC
        )
    return value  # type: ignore[no-any-return]


def _literal(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case int():
            return f"{value}L"
        case float():
            return repr(value)
        case datetime():
            return f"datetime'{value.astimezone(UTC).isoformat(timespec='microseconds').replace('+00:00', 'Z')}'"
        case UUID():
            return f"guid'{value}'"
        case bytes():
            return f"X'{value.hex()}'"
