"""What operators, clients and handlers do to one operation: one conditional write, repeated when it lost a race."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from asyncservice.operations import awaiting, children, ids, removal, requests, states
from asyncservice.operations.errors import (
    ChangedMeanwhile,
    ErrorCode,
    InvalidOperation,
    OperationNotFound,
    StateChangeRefused,
)
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.ids import Place
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.states import Action
from asyncservice.operations.store import OperationStore
from asyncservice.storage.tables import MAX_TEXT, Comparison, Put, Write, after

_EVENT_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Control:
    """The actions on operations. All raise OperationNotFound, and StateChangeRefused with Dataverse's code.

    A *reason* stands in the operation's history.
    """

    def __init__(
        self,
        store: OperationStore,
        *,
        now: Callable[[], datetime],
        follow_up: Callable[[Stored], Awaitable[None]],
    ) -> None:
        self._store, self._now, self._follow_up = store, now, follow_up

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return self._store.shards

    async def get(self, operation_id: UUID) -> AsyncOperation:
        """Return the operation, long texts included."""
        return (await self._store.load(await self._read(operation_id))).operation

    async def history(self, operation_id: UUID) -> tuple[HistoryEntry, ...]:
        """Return all that has happened to the operation, the oldest first."""
        return await self._store.history(await self._read(operation_id))

    async def cancel(self, operation_id: UUID, *, reason: str | None = None) -> AsyncOperation:
        """Cancel for good, with all that it has started: at once, or as soon as its handler or heartbeat sees it."""
        return await self._change(operation_id, lambda each, now: requests.cancelled(each, now=now, reason=reason))

    async def pause(self, operation_id: UUID, *, reason: str | None = None) -> AsyncOperation:
        """Stop a running operation at its next checkpoint; it waits until it is resumed."""
        return await self._change(operation_id, lambda each, now: requests.paused(each, now=now, reason=reason))

    async def resume(self, operation_id: UUID, *, reason: str | None = None) -> AsyncOperation:
        """Make a suspended operation Ready, whatever it waited for."""
        return await self._change(operation_id, lambda each, now: requests.resumed(each, now=now, reason=reason))

    async def postpone(self, operation_id: UUID, until: datetime, *, reason: str | None = None) -> AsyncOperation:
        """Suspend until a moment; a running operation is stopped first. Raises InvalidOperation for a past one."""
        return await self._change(
            operation_id, lambda each, now: requests.postponed(each, now=now, until=until, reason=reason)
        )

    async def retry(self, operation_id: UUID, *, reason: str | None = None) -> AsyncOperation:
        """Run a failed operation again from its last checkpoint. Not in Dataverse; an addition of this service."""
        return await self._change(operation_id, lambda each, now: requests.retried(each, now=now, reason=reason))

    async def raise_event(self, operation_id: UUID, name: str, data: Any = None) -> AsyncOperation:  # noqa: ANN401 - any JSON
        """Let an operation know that something has happened; it need not wait for it yet.

        *data* is any JSON value of at most 32,768 characters. Raises InvalidOperation for a wrong name or too much
        data, StateChangeRefused when the operation is completed. Safe to repeat: the latest data counts. Who repeats
        a request that was not answered may be refused, because the first one was done and the operation completed.
        """
        if not _EVENT_NAME.fullmatch(name):
            raise InvalidOperation(f"{name!r} is no event name: 1 to 64 letters, digits, dots, hyphens, underscores.")
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        if len(text) > MAX_TEXT:
            raise InvalidOperation(f"The data of event {name} has {len(text)} characters; {MAX_TEXT} is the limit.")

        def inform(operation: AsyncOperation, now: datetime) -> AsyncOperation:
            if operation.is_completed:
                label = operation.statuscode.label
                raise StateChangeRefused(f"raise event {name} for", label, ErrorCode.INVALID_STATE_CHANGE, operation_id)
            return awaiting.informed(operation, now=now, event=name)

        def data_row(operation: AsyncOperation) -> list[Write]:
            key = ids.event_key(self._store.place(operation), name)
            return [Put(key, {"data": text, "on": self._now()})]

        return await self._change(operation_id, inform, also=data_row)

    async def update(
        self, operation_id: UUID, change: Callable[[AsyncOperation, datetime], AsyncOperation]
    ) -> AsyncOperation:
        """Change an operation by *change*, which is asked anew whenever somebody else was faster.

        It makes one of the moves of `requests`, or returns the operation as it is, and nothing is written. What it
        raises passes through.
        """
        return await self._change(operation_id, change)

    async def delete(self, operation_id: UUID, *, check: Callable[[AsyncOperation], object] = lambda _: None) -> None:
        """Remove a completed operation with its payloads and history. What *check* raises keeps it."""
        while True:
            stored = await self._read(operation_id)
            check(stored.operation)
            states.target(Action.DELETE, stored.operation.statuscode)
            try:
                await removal.delete_many(self._store, [stored], now=self._now())
            except ChangedMeanwhile:
                continue
            return

    def position(self, operation: AsyncOperation) -> str:
        """Return where an operation stands among those of its shard or its parent, to go on behind it later."""
        return self._store.place(operation).key

    async def matching(
        self, where: Sequence[Comparison], *, shard: int, behind: str | None = None
    ) -> AsyncIterator[AsyncOperation]:
        """Yield the operations of a shard that match, the newest first; *behind* is the position to go on from."""
        async for stored in self._store.scan(shard, where=where, start=None if behind is None else after(behind)):
            yield stored.operation

    async def unfinished_children(self, parent: Place, *, behind: str | None = None) -> AsyncIterator[AsyncOperation]:
        """Yield what the operation at *parent* has started and is not completed; *behind* as in `matching`."""
        for place in await children.unfinished(self._store, parent, behind=behind):
            stored = await self._store.read_place(place)
            if stored is not None and not stored.operation.is_completed:
                yield stored.operation

    async def _read(self, operation_id: UUID) -> Stored:
        stored = await self._store.read(operation_id)
        if stored is None:
            raise OperationNotFound(operation_id)
        return stored

    async def _change(
        self,
        operation_id: UUID,
        change: Callable[[AsyncOperation, datetime], AsyncOperation],
        *,
        also: Callable[[AsyncOperation], Sequence[Write]] = lambda _: (),
    ) -> AsyncOperation:
        while True:
            stored = await self._read(operation_id)
            now = self._now()
            changed = change(stored.operation, now)
            if changed is stored.operation:
                return changed
            try:
                written = await self._store.replace(stored, changed, now=now, also=also(stored.operation))
            except ChangedMeanwhile:
                continue
            await self._follow_up(written)
            return written.operation
