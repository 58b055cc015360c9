"""Table Storage behind the Table port."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from azure.core.exceptions import ResourceExistsError
from azure.data.tables.aio import TableClient

from asyncservice.storage import azure_batch, azure_rows
from asyncservice.storage.azure_batch import Refused
from asyncservice.storage.azure_errors import TRANSIENT_STATUS, translated
from asyncservice.storage.azure_http import Answer, AzureSession, Credential, SharedKeyLite
from asyncservice.storage.errors import ConflictReason, RowConflict, StorageRefused, StorageUnavailable, TableMissing
from asyncservice.storage.tables import MAX_WRITES, Delete, Insert, Put, Replace, Require, Row, Test, Write

#: Most rows one page of a scan brings; the service's own limit.
_PAGE: Final = 1000
_NOT_FOUND: Final = 404
_NO_TABLE: Final = "TableNotFound"
_JSON: Final = {"Content-Type": "application/json"}
_HEADERS: Final = {
    "x-ms-version": "2019-02-02",
    "Accept": "application/json;odata=minimalmetadata",
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
}
_CONFLICTS: Final[Mapping[str, ConflictReason]] = {
    "EntityAlreadyExists": ConflictReason.EXISTS,
    "ResourceNotFound": ConflictReason.MISSING,
    "EntityNotFound": ConflictReason.MISSING,
    "UpdateConditionNotSatisfied": ConflictReason.CHANGED,
    "ConditionNotMet": ConflictReason.CHANGED,
}


def table_session(url: str, credential: Credential, **options: Any) -> AzureSession:  # noqa: ANN401 - the session's own
    """Return a session with the Table service at *url*; *options* are those of AzureSession."""
    return AzureSession(url, credential, headers=_HEADERS, signed=SharedKeyLite, **options)


class AzureTable:
    """One table of an account."""

    def __init__(self, client: TableClient, session: AzureSession) -> None:
        self._client, self._session = client, session

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
        answer = await self._session.request("GET", azure_rows.address(self.name, partition, key))
        if answer.status == _NOT_FOUND and answer.code != _NO_TABLE:
            return None
        self._must_be_done(answer, "read")
        return azure_rows.decode(json.loads(answer.content), answer.headers.get("ETag"))

    async def commit(self, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        """Apply all writes or none; a single write goes without the envelope of a transaction."""
        if not 1 <= len(writes) <= MAX_WRITES:
            raise StorageRefused(f"A transaction holds 1 to {MAX_WRITES} writes, not {len(writes)}.")
        if len(writes) == 1:
            return [await self._commit_one(partition, writes[0])]
        return await self._commit_all(partition, writes)

    async def scan(
        self,
        partition: str,
        *,
        start: str = "",
        end: str | None = None,
        where: Sequence[Test] = (),
        select: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Row]:
        """Yield rows in key order, one request a page."""
        conditions = [f"PartitionKey eq {azure_rows.literal(partition)}"]
        if start:
            conditions.append(f"RowKey ge {azure_rows.literal(start)}")
        if end is not None:
            conditions.append(f"RowKey lt {azure_rows.literal(end)}")
        conditions += map(azure_rows.condition, where)
        query = {"$filter": " and ".join(conditions)}
        if select is not None:
            query["$select"] = ",".join(("PartitionKey", "RowKey", *select))
        left = limit
        while left is None or left > 0:
            top = _PAGE if left is None else min(left, _PAGE)
            answer = await self._session.request("GET", f"/{self.name}()", query=query | {"$top": str(top)})
            self._must_be_done(answer, "scan")
            entities = json.loads(answer.content)["value"]
            for entity in entities[:left]:
                yield azure_rows.decode(entity)
            if left is not None:
                left -= len(entities)
            following = {
                name: value
                for name in ("NextPartitionKey", "NextRowKey")
                if (value := answer.headers.get(f"x-ms-continuation-{name}"))
            }
            if not following:
                return
            query |= following

    async def _commit_one(self, partition: str, write: Write) -> str:
        method, path, headers = "PUT", azure_rows.address(self.name, partition, write.key), dict(_JSON)
        values = {} if isinstance(write, Delete | Require) else write.values
        content = None if isinstance(write, Delete) else azure_rows.encode(partition, write.key, values).encode()
        match write:
            case Insert():
                method, path, headers["Prefer"] = "POST", f"/{self.name}", "return-no-content"
            case Replace():
                headers["If-Match"] = write.etag
            case Delete():
                method, headers["If-Match"] = "DELETE", write.etag or "*"
            case Require():
                method, headers["If-Match"] = "MERGE", "*"
            case Put():
                pass
        answer = await self._session.request(method, path, headers=headers, content=content)
        if not answer.ok:
            raise self._refusal(partition, write, answer.status, answer.code, repeated=answer.repeated)
        return "" if isinstance(write, Delete | Require) else answer.headers["ETag"]

    async def _commit_all(self, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        content = azure_batch.body(self._session.url, self.name, partition, writes)
        answer = await self._session.request(
            "POST", "/$batch", headers={"Content-Type": azure_batch.CONTENT_TYPE}, content=content
        )
        self._must_be_done(answer, "write")
        try:
            result = azure_batch.answer(answer.content, len(writes))
        except ValueError as error:
            raise StorageUnavailable(f"write {self.name}: {error}") from error
        if isinstance(result, Refused):
            write = writes[result.index if result.index < len(writes) else 0]
            raise self._refusal(partition, write, result.status, result.code, repeated=answer.repeated)
        return ["" if isinstance(write, Require) else etag for write, etag in zip(writes, result, strict=True)]

    def _refusal(self, partition: str, write: Write, status: int, code: str, *, repeated: bool) -> Exception:
        what = f"write {self.name}: {status} {code}"
        reason = _CONFLICTS.get(code)
        if code == _NO_TABLE:
            return TableMissing(self.name)
        if status in TRANSIENT_STATUS:
            return StorageUnavailable(what)
        if reason is not None and repeated:
            # What is in the way may be what an earlier try of this very request has written.
            return StorageUnavailable(f"{what}, after a try that got no clear answer")
        return StorageRefused(what) if reason is None else RowConflict(self.name, partition, write.key, reason)

    def _must_be_done(self, answer: Answer, what: str) -> None:
        if answer.code == _NO_TABLE:
            raise TableMissing(self.name)
        if not answer.ok:
            raise StorageRefused(f"{what} {self.name}: {answer.status} {answer.code or 'no reason given'}")
