"""One attempt at one operation: the handler's context, the lease's heartbeat, and the only writer of the record."""

import asyncio
import itertools
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import batched

from asyncservice.operations import awaiting, children, duedates, ids, lifecycle
from asyncservice.operations.clock import Clock
from asyncservice.operations.errors import ChangedMeanwhile, LeaseLost
from asyncservice.operations.handling import Json, OperationControl, Tally
from asyncservice.operations.hints import family_of
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.states import StatusCode
from asyncservice.operations.store import OperationStore
from asyncservice.operations.submission import Submission
from asyncservice.operations.switch import Switch
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.storage.tables import Write

log = logging.getLogger(__name__)

#: A lease is renewed this many times in its length, so that two renewals may fail before it runs out.
BEATS_A_LEASE = 3
#: A write that got no answer is tried again after these pauses; then the lease runs out and the sweep takes over.
WRITE_PAUSES = (timedelta(milliseconds=200), timedelta(seconds=1), timedelta(seconds=3))


class Stopped(Exception):  # noqa: N818 - names what happened
    """Somebody asked to pause or cancel the operation; ends the handler at its checkpoint."""


class Attempt:
    """What a handler sees of its operation (an OperationContext), and what the engine settles in the end.

    Its writes are serialised: the handler's checkpoints and the heartbeat share one lock. When a write finds the
    record changed by somebody else it reads again: a request to pause or cancel is taken over, anything else means
    that the lease is lost.
    """

    def __init__(
        self,
        stored: Stored,
        *,
        lease: timedelta,
        slice_length: timedelta,
        store: OperationStore,
        storage: Storage,
        clock: Clock,
        switch: Switch,
        control: OperationControl,
        hint_all: Callable[[Sequence[Stored]], Awaitable[None]],
    ) -> None:
        self._stored, self._lease = stored, lease
        self._store, self._storage, self._clock = store, storage, clock
        self._number = stored.operation.attempt
        self._lock = asyncio.Lock()
        self._slice_ends = clock.now() + slice_length
        self._data: Mapping[str, Json] | None = None
        self._control, self._hint_all = control, hint_all
        self._family, self._switch = family_of(stored.operation), switch
        #: Set when the lease is gone: whatever the handler still does is no longer written.
        self.lost = False

    @property
    def operation(self) -> AsyncOperation:
        """The record as it was claimed or last written."""
        return self._stored.operation

    @property
    def stored(self) -> Stored:
        """The record with what a conditional write needs."""
        return self._stored

    @property
    def data(self) -> Mapping[str, Json]:
        """The operation's input, read as JSON. Raises ValueError when it is no JSON object."""
        if self._data is None:
            data = json.loads(self.operation.data) if self.operation.data else {}
            if not isinstance(data, dict):
                raise ValueError(f"The operation's data must be a JSON object, not {type(data).__name__}.")
            self._data = data
        return self._data

    @property
    def checkpoint(self) -> Json:
        """What was last saved, by this slice or an earlier one."""
        return None if self.operation.checkpoint is None else json.loads(self.operation.checkpoint)

    @property
    def storage(self) -> Storage:
        """The account that keeps records, files and payloads."""
        return self._storage

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked to pause or cancel."""
        return self.operation.statuscode in {StatusCode.PAUSING, StatusCode.CANCELING}

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return self._clock.now()

    def should_yield(self) -> bool:
        """Say whether this slice has used up its time or the service was stopped."""
        return self._family in self._switch.seen.families or self._clock.now() >= self._slice_ends

    async def save(
        self,
        checkpoint: Json,
        *,
        succeeded: int | None = None,
        failed: int | None = None,
        total: int | None = None,
        message: str | None = None,
    ) -> None:
        """Write how far the work has come, and renew the lease. Raises Stopped or LeaseLost."""

        def progress(operation: AsyncOperation) -> AsyncOperation:
            return lifecycle.saved(
                operation,
                now=self.now(),
                lease=self._lease,
                checkpoint=checkpoint,
                succeeded=succeeded,
                failed=failed,
                total=total,
                message=message,
            )

        await self.write(progress)
        await self._switch.look()
        if self.stop_requested:
            raise Stopped

    @property
    def control(self) -> OperationControl:
        """What may be done to other operations."""
        return self._control

    async def start_children(self, submissions: Sequence[Submission], *, key: str = "children") -> int:
        """Start operations that belong to this one; return how many it has started in all."""
        place = self._store.place(self.operation)
        made: Sequence[AsyncOperation] = children.of(self.operation, place, submissions, key=key, now=self.now())
        if self.operation.childcount:
            made = await children.missing(self._store, place, made)
        for batch in batched(made, children.batch_size(made), strict=False):
            await self._start(batch)
            await self._hint_all([Stored(child, "") for child in batch])
        return self.operation.childcount

    async def _start(self, batch: Sequence[AsyncOperation]) -> None:
        """Write children with the record of their parent."""
        new, tries = batch, itertools.count()

        async def rows() -> Sequence[Write]:
            nonlocal new
            if next(tries):  # The try before may have been applied, though no answer came.
                new = await children.missing(self._store, self._store.place(self.operation), batch)
            return await children.writes(self._store, new)

        await self.write(lambda record: awaiting.parent_of(record, record.childcount + len(new)), also=rows)

    async def children(self) -> Tally:
        """Return how the operations that this one has started stand."""
        return await children.tally(self._store, self.operation)

    async def event(self, name: str) -> Json:
        """Return the data of an event that has arrived, or None when it has not."""
        if name not in awaiting.arrived(self.operation):
            return None
        place = self._store.place(self.operation)
        row = await self._store.table.read(place.partition, ids.event_key(place, name))
        return None if row is None else json.loads(str(row.values["data"]))

    async def write(
        self,
        change: Callable[[AsyncOperation], AsyncOperation],
        *,
        also: Callable[[], Awaitable[Sequence[Write]]] | None = None,
    ) -> Stored:
        """Apply *change* to the record as it now is and write it. Raises LeaseLost when it is no longer ours.

        *change* may be called again on a newer version, so it must only depend on what it is given. *also* gives
        other writes of the same transaction, anew at each try. While the attempt goes on, its lease is live when this
        returns.
        """
        async with self._lock:
            pauses, is_stale = iter(WRITE_PAUSES), False
            while True:
                self._must_hold()
                try:
                    if is_stale:
                        await self._take_over()
                        is_stale = False
                    rows = () if also is None else await also()
                    after = change(self.operation)
                    self._stored = await self._store.replace(self._stored, after, now=self.now(), also=rows)
                except ChangedMeanwhile:
                    is_stale = True
                except StorageUnavailable:
                    pause = next(pauses, None)
                    if pause is None:
                        raise
                    await self._clock.sleep(pause)
                else:
                    if not duedates.has_expired(self.operation, self.now()):
                        return self._stored
                    # The host stood still, and what it wrote says a lease that has ended meanwhile. Nobody took the
                    # operation yet, and from the next write on nobody may.
                    change, also = self._renewed, None

    async def keep_alive(self, end_handler: Callable[[], object]) -> None:
        """Renew the lease until cancelled; call *end_handler* when it is lost or somebody wants the handler to stop."""
        while True:
            await self._clock.sleep(self._lease / BEATS_A_LEASE)
            try:
                await self.write(self._renewed)
                await self._switch.look()
            except LeaseLost:
                end_handler()
                return
            except StorageUnavailable:
                log.warning("The lease of %s could not be renewed.", self.operation.label, exc_info=True)
            if self.stop_requested:
                end_handler()
                return

    def _renewed(self, operation: AsyncOperation) -> AsyncOperation:
        return lifecycle.renewed(operation, now=self.now(), lease=self._lease)

    def _must_hold(self) -> None:
        if self.lost:
            raise LeaseLost(self.operation.asyncoperationid, self._number)

    async def _take_over(self) -> None:
        """Read the record again; go on when it is still this attempt's."""
        current = await self._store.read_place(self._store.place(self.operation))
        ours = (
            current is not None
            and current.operation.is_locked
            and current.operation.attempt == self._number
            and current.operation.hostid == self.operation.hostid
        )
        if not ours or current is None:
            self.lost = True
            raise LeaseLost(self.operation.asyncoperationid, self._number)
        self._stored = await self._store.load(current)
