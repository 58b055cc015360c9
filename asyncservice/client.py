"""What a Python service imports to submit operations and follow them.

    async with AsyncServiceClient.from_connection_string(connection) as client:
        operation = await client.submit("Import", data={"ImportId": "…"})
        operation = await client.wait(operation.asyncoperationid)

`SyncServiceClient` is the same without async. Both talk to the storage account directly; no server need be up.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from asyncservice.limits import Limit
from asyncservice.operations import insertion, poison
from asyncservice.operations.audit import Audit, Finding
from asyncservice.operations.control import Control
from asyncservice.operations.engine import Engine
from asyncservice.operations.errors import OperationNotFound
from asyncservice.operations.handling import Registry
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.minting import Mint
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.plain import as_plain
from asyncservice.operations.poison import PoisonMessage
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.submission import Submission
from asyncservice.operations.switch import Stopped
from asyncservice.operations.waitreasons import Wait, wait_of
from asyncservice.organization.organization import Organization
from asyncservice.service import Service
from asyncservice.settings import Settings, storage_from_environment
from asyncservice.storage.account import Storage
from asyncservice.storage.azure import AzureStorage
from asyncservice.storage.tables import Comparison
from asyncservice.upkeep import limits_in_force

#: `wait` looks this soon at first, then ever more rarely, up to the longest pause.
_FIRST_PAUSE: Final = timedelta(milliseconds=50)
_LONGEST_PAUSE: Final = timedelta(seconds=2)


class AsyncServiceClient:
    """Submits, follows and controls operations. Use as an async context manager.

    All methods raise StorageUnavailable when the storage does not answer; a submit or an action may then have been
    done, and both are safe to repeat (a submit when it names its id).
    """

    def __init__(self, storage: Storage) -> None:
        self._service = Service(storage, settings=Settings(), handlers=Registry())
        self._mint = Mint(run=insertion.USUAL_BATCH)

    @classmethod
    def from_connection_string(cls, connection_string: str) -> Self:
        """Make a client from a storage connection string; "UseDevelopmentStorage=true" is the local emulator."""
        return cls(AzureStorage.from_connection_string(connection_string))

    @classmethod
    def from_environment(cls) -> Self:
        """Make a client for the account that AzureWebJobsStorage names, as a key or as an identity."""
        return cls(storage_from_environment())

    async def __aenter__(self) -> Self:
        """Open the connections."""
        await self._service.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._service.__aexit__(kind, error, trace)

    async def organization(self) -> Organization:
        """Return the records of the account: the tables of the service, of ASYNCSERVICE_SCHEMA_FOLDER, and of users."""
        organization = self._service.organization
        await organization.refresh(now=self._engine.clock.now())
        return organization

    @property
    def storage(self) -> Storage:
        """The storage account, for what goes beside operations: files to import, records."""
        return self._service.storage

    async def ping(self) -> None:
        """Return when the storage has answered. Raises StorageError when it does not."""
        await self._engine.store.ping()

    async def submit(
        self,
        operationtype: int | str,
        data: Mapping[str, Any] | None = None,
        **members: Any,  # noqa: ANN401 - the members of the message contract
    ) -> AsyncOperation:
        """Have one operation done. When this returns it is kept and will be run; two storage requests.

        *members* are the other members of the message contract: name, asyncoperationid, postponeuntil,
        dependencytoken, recurrencepattern, recurrencestarttime, asyncautodelete, correlationid, primaryentitytype,
        regardingobjectid.
        Raises InvalidOperation with a sentence that says what to change. Submitting an id again changes nothing
        and returns the operation of that id.
        """
        [operation] = await self.submit_many([{"operationtype": operationtype, "data": data, **members}])
        return operation

    async def submit_many(self, submissions: Iterable[Submission | Mapping[str, Any]]) -> list[AsyncOperation]:
        """Have many operations done, in far fewer storage requests than one by one.

        Each is a Submission or a mapping of the message contract's members. All are checked before any is written.
        """
        engine = self._engine
        now = engine.clock.now()
        requests = [each if isinstance(each, Submission) else Submission.of(**each) for each in submissions]
        new_ids = self._mint.ids([request.dependencytoken for request in requests], shards=engine.store.shards, now=now)
        operations = [
            request.operation(now=now, new_id=new_id) for request, new_id in zip(requests, new_ids, strict=True)
        ]
        return [stored.operation for stored in await engine.submit_many(operations)]

    async def get(self, operation_id: UUID) -> AsyncOperation:
        """Return the operation. Raises OperationNotFound."""
        return await self._control.get(operation_id)

    async def find(self, operation_id: UUID) -> AsyncOperation | None:
        """Return the operation, or None when there is none of that id."""
        try:
            return await self._control.get(operation_id)
        except OperationNotFound:
            return None

    async def history(self, operation_id: UUID) -> tuple[HistoryEntry, ...]:
        """Return every move of the operation, the oldest first. Raises OperationNotFound."""
        return (await self.get_with_history(operation_id))[1]

    async def get_with_history(self, operation_id: UUID) -> tuple[AsyncOperation, tuple[HistoryEntry, ...]]:
        """Return the operation and every move that made it so. Raises OperationNotFound."""
        store = self._engine.store
        stored = await store.read(operation_id)
        if stored is None:
            raise OperationNotFound(operation_id)
        return (await store.load(stored)).operation, await store.history(stored)

    async def waits_for(self, operation: AsyncOperation) -> Wait | None:
        """Return what an operation waits for (reason, and the operation, event, moment or family that is meant).

        None when it runs or is completed. One request at most every two seconds: whether the service is stopped.
        """
        return wait_of(operation, stopped=await self._engine.switch.look(), now=self._engine.clock.now())

    async def get_plain(self, operation_id: UUID) -> dict[str, Any]:
        """Return the operation as JSON can write it: columns, `waitreason`, `history`. Raises OperationNotFound."""
        operation, history = await self.get_with_history(operation_id)
        return as_plain(operation, wait=await self.waits_for(operation), history=history)

    async def wait(
        self,
        operation_id: UUID,
        *,
        timeout: timedelta | None = None,
        seen: Callable[[AsyncOperation], object] | None = None,
    ) -> AsyncOperation:
        """Return the operation when it is Completed, whatever its status. Raises TimeoutError after *timeout*.

        One with asyncautodelete can be waited for as any other, since it stands for an hour after it has succeeded.
        Whoever asks later is told OperationNotFound, as for any operation that was removed.

        *seen* is called with every look at it, to show progress.
        """
        clock = self._engine.clock
        give_up = None if timeout is None else clock.now() + timeout
        pause = _FIRST_PAUSE
        while True:
            operation = await self.get(operation_id)
            if seen is not None:
                seen(operation)
            if operation.is_completed:
                return operation
            if give_up is not None and clock.now() + pause > give_up:
                raise TimeoutError(f"Operation {operation_id} is {operation.statuscode.label} after {timeout}.")
            await clock.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def list(
        self, *, where: Iterable[Comparison] = (), limit: int | None = None
    ) -> AsyncIterator[AsyncOperation]:
        """Yield operations, the newest first. *where* compares columns of the record, as the storage evaluates them."""
        conditions = tuple(where)
        store = self._engine.store
        shards = await asyncio.gather(
            *(_Ahead.of(store.scan(shard, where=conditions, limit=limit)) for shard in range(store.shards))
        )
        found = 0
        while limit is None or found < limit:
            newest = min((each for each in shards if each.next is not None), key=_order, default=None)
            if newest is None or newest.next is None:
                return
            yield newest.next.operation
            found += 1
            await newest.step()

    async def cancel(self, operation_id: UUID) -> AsyncOperation:
        """Cancel for good. Raises StateChangeRefused when it is completed or a job of the platform."""
        return await self._control.cancel(operation_id)

    async def pause(self, operation_id: UUID) -> AsyncOperation:
        """Stop a running operation at its next checkpoint. Raises StateChangeRefused when it is not running."""
        return await self._control.pause(operation_id)

    async def resume(self, operation_id: UUID) -> AsyncOperation:
        """Make a suspended operation Ready. Raises StateChangeRefused when it is not suspended."""
        return await self._control.resume(operation_id)

    async def postpone(self, operation_id: UUID, until: datetime) -> AsyncOperation:
        """Do not run before *until*. Raises StateChangeRefused when it is completed, or awaits an event or children."""
        return await self._control.postpone(operation_id, until)

    async def retry(self, operation_id: UUID) -> AsyncOperation:
        """Run a failed operation again from its last checkpoint. Raises StateChangeRefused when it has not failed."""
        return await self._control.retry(operation_id)

    async def raise_event(
        self,
        operation_id: UUID,
        name: str,
        data: Any = None,  # noqa: ANN401 - any JSON value
    ) -> AsyncOperation:
        """Let an operation know that something has happened, whether it waits for it already or not.

        Raises InvalidOperation for a wrong name or too much data, StateChangeRefused when it is completed.
        """
        return await self._control.raise_event(operation_id, name, data)

    async def delete(self, operation_id: UUID) -> None:
        """Remove a completed operation with all that belongs to it. Raises StateChangeRefused when it is not."""
        await self._control.delete(operation_id)

    async def service_state(self) -> Stopped:
        """Return which families are stopped."""
        return await self._engine.switch.read()

    async def stop_service(self, families: Iterable[Family] = Family) -> Stopped:
        """Stop families, all by default: returns when no host takes new work of theirs.

        What runs yields at its next look or ends; what arrives is kept. It stays so until somebody starts it.
        """
        return await self._engine.switch.stop(families)

    async def start_service(self, families: Iterable[Family] = Family) -> int:
        """Let families run again, all by default; return how many operations were waiting."""
        return await self._engine.start_service(families)

    def limits(self) -> Sequence[Limit]:
        """Return every limit and default in force, by the settings of this process. No request."""
        return limits_in_force(self._service)

    def audit(self) -> Audit:
        """Return an audit that has yet to be begun: `one` looks at one operation, `everything` at all.

        It says whether records agree with their history and with all other rows, and changes nothing. It judges the
        agenda by this process's settings, which should be those of the hosts.
        """
        return Audit(self._engine.store, self._engine.now)

    async def poison_messages(self, *, queue: str | None = None) -> AsyncIterator[PoisonMessage]:
        """Yield the messages that the host moved aside, up to 32 of each queue. Raises InvalidOperation."""
        async for message in poison.messages(self.storage, queue=queue):
            yield message

    async def poison_message(self, queue: str, message_id: str) -> PoisonMessage:
        """Return one of them. Raises MessageNotFound, and InvalidOperation when there is no such queue."""
        return await poison.find(self.storage, queue, message_id)

    async def redrive(self, message_id: str | None = None, *, queue: str | None = None) -> int:
        """Put poison messages back on their queues, one, those of a queue, or all; return how many. Safe to repeat."""
        return await poison.redrive(self.storage, message_id=message_id, queue=queue)

    @property
    def _engine(self) -> Engine:
        return self._service.engine

    @property
    def _control(self) -> Control:
        return self._service.control


class SyncServiceClient:
    """AsyncServiceClient for code that is not async. Use as a context manager, from one thread at a time."""

    def __init__(self, client: AsyncServiceClient) -> None:
        self._client = client
        self._runner = asyncio.Runner()

    @classmethod
    def from_connection_string(cls, connection_string: str) -> Self:
        """Make a client from a storage connection string; "UseDevelopmentStorage=true" is the local emulator."""
        return cls(AsyncServiceClient.from_connection_string(connection_string))

    @classmethod
    def from_environment(cls) -> Self:
        """Make a client for the account that AzureWebJobsStorage names, as a key or as an identity."""
        return cls(AsyncServiceClient.from_environment())

    def __enter__(self) -> Self:
        """Open the connections."""
        self._run(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        try:
            self._run(self._client.__aexit__(kind, error, trace))
        finally:
            self._runner.close()

    def submit(
        self,
        operationtype: int | str,
        data: Mapping[str, Any] | None = None,
        **members: Any,  # noqa: ANN401 - the members of the message contract
    ) -> AsyncOperation:
        """Have one operation done; see AsyncServiceClient.submit."""
        return self._run(self._client.submit(operationtype, data, **members))

    def submit_many(self, submissions: Iterable[Submission | Mapping[str, Any]]) -> list[AsyncOperation]:
        """Have many operations done; see AsyncServiceClient.submit_many."""
        return self._run(self._client.submit_many(submissions))

    def get(self, operation_id: UUID) -> AsyncOperation:
        """Return the operation. Raises OperationNotFound."""
        return self._run(self._client.get(operation_id))

    def history(self, operation_id: UUID) -> tuple[HistoryEntry, ...]:
        """Return every move of the operation, the oldest first. Raises OperationNotFound."""
        return self._run(self._client.history(operation_id))

    def waits_for(self, operation: AsyncOperation) -> Wait | None:
        """Return what an operation waits for; see AsyncServiceClient.waits_for."""
        return self._run(self._client.waits_for(operation))

    def get_plain(self, operation_id: UUID) -> dict[str, Any]:
        """Return the operation as JSON can write it; see AsyncServiceClient.get_plain."""
        return self._run(self._client.get_plain(operation_id))

    def wait(self, operation_id: UUID, *, timeout: timedelta | None = None) -> AsyncOperation:
        """Return the operation when it is Completed. Raises TimeoutError after *timeout*."""
        return self._run(self._client.wait(operation_id, timeout=timeout))

    def audit(self, operation_id: UUID | None = None) -> list[Finding]:
        """Return what deviates in one operation, or in all; see AsyncServiceClient.audit. Raises OperationNotFound."""

        async def everything() -> list[Finding]:
            return [finding async for finding in self._client.audit().everything()]

        return self._run(everything() if operation_id is None else self._client.audit().one(operation_id))

    def list(self, *, where: Iterable[Comparison] = (), limit: int | None = None) -> "list[AsyncOperation]":
        """Return operations, the newest first; see AsyncServiceClient.list."""

        async def all_of_them() -> "list[AsyncOperation]":
            return [operation async for operation in self._client.list(where=where, limit=limit)]

        return self._run(all_of_them())

    def cancel(self, operation_id: UUID) -> AsyncOperation:
        """Cancel for good; see AsyncServiceClient.cancel."""
        return self._run(self._client.cancel(operation_id))

    def pause(self, operation_id: UUID) -> AsyncOperation:
        """Stop a running operation at its next checkpoint; see AsyncServiceClient.pause."""
        return self._run(self._client.pause(operation_id))

    def resume(self, operation_id: UUID) -> AsyncOperation:
        """Make a suspended operation Ready; see AsyncServiceClient.resume."""
        return self._run(self._client.resume(operation_id))

    def postpone(self, operation_id: UUID, until: datetime) -> AsyncOperation:
        """Do not run before *until*; see AsyncServiceClient.postpone."""
        return self._run(self._client.postpone(operation_id, until))

    def retry(self, operation_id: UUID) -> AsyncOperation:
        """Run a failed operation again; see AsyncServiceClient.retry."""
        return self._run(self._client.retry(operation_id))

    def raise_event(self, operation_id: UUID, name: str, data: Any = None) -> AsyncOperation:  # noqa: ANN401 - any JSON
        """Let an operation know that something has happened; see AsyncServiceClient.raise_event."""
        return self._run(self._client.raise_event(operation_id, name, data))

    def delete(self, operation_id: UUID) -> None:
        """Remove a completed operation; see AsyncServiceClient.delete."""
        self._run(self._client.delete(operation_id))

    def _run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)


class _Ahead:
    """A scan that has been read one operation ahead, so that the newest of several can be chosen."""

    def __init__(self, scan: AsyncIterator[Stored]) -> None:
        self._scan = scan
        self.next: Stored | None = None

    @classmethod
    async def of(cls, scan: AsyncIterator[Stored]) -> Self:
        ahead = cls(scan)
        await ahead.step()
        return ahead

    async def step(self) -> None:
        self.next = await anext(self._scan, None)


def _order(ahead: _Ahead) -> tuple[float, int]:
    if ahead.next is None:
        return (0.0, 0)
    return (-ahead.next.operation.createdon.timestamp(), -ahead.next.operation.sequence)
