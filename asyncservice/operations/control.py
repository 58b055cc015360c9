"""What operators and clients do to one operation; each is one conditional write, repeated when somebody was faster."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from asyncservice.operations import lifecycle, removal, states
from asyncservice.operations.engine import Engine
from asyncservice.operations.errors import ChangedMeanwhile, OperationNotFound
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.states import Action


class Control:
    """The actions on operations. All raise OperationNotFound, and StateChangeRefused with Dataverse's code."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def get(self, operation_id: UUID) -> AsyncOperation:
        """Return the operation, long texts included."""
        return (await self._engine.store.load(await self._read(operation_id))).operation

    async def cancel(self, operation_id: UUID) -> AsyncOperation:
        """Cancel for good: at once when nobody runs it, else as soon as its handler or heartbeat sees it."""
        return await self._change(operation_id, lambda each, now: lifecycle.cancelled(each, now=now))

    async def pause(self, operation_id: UUID) -> AsyncOperation:
        """Stop a running operation at its next checkpoint; it waits until it is resumed."""
        return await self._change(operation_id, lambda each, now: lifecycle.paused(each, now=now))

    async def resume(self, operation_id: UUID) -> AsyncOperation:
        """Make a suspended operation Ready, whatever it waited for."""
        return await self._change(operation_id, lambda each, now: lifecycle.resumed(each, now=now))

    async def postpone(self, operation_id: UUID, until: datetime) -> AsyncOperation:
        """Suspend until a moment; a running operation is stopped first. Raises InvalidOperation for a past one."""
        return await self._change(operation_id, lambda each, now: lifecycle.postponed(each, now=now, until=until))

    async def retry(self, operation_id: UUID) -> AsyncOperation:
        """Run a failed operation again from its last checkpoint. Not in Dataverse; an addition of this service."""
        return await self._change(operation_id, lambda each, now: lifecycle.retried(each, now=now))

    async def delete(self, operation_id: UUID) -> None:
        """Remove a completed operation with its payloads and history."""
        while True:
            stored = await self._read(operation_id)
            states.target(Action.DELETE, stored.operation.statuscode)
            try:
                await removal.delete_many(self._engine.store, [stored])
            except ChangedMeanwhile:
                continue
            return

    async def _read(self, operation_id: UUID) -> Stored:
        stored = await self._engine.store.read(operation_id)
        if stored is None:
            raise OperationNotFound(operation_id)
        return stored

    async def _change(
        self, operation_id: UUID, change: Callable[[AsyncOperation, datetime], AsyncOperation]
    ) -> AsyncOperation:
        while True:
            stored = await self._read(operation_id)
            now = self._engine.clock.now()
            after = change(stored.operation, now)
            try:
                written = await self._engine.store.replace(stored, after, now=now)
            except ChangedMeanwhile:
                continue
            await self._engine.follow_up(written)
            return written.operation
