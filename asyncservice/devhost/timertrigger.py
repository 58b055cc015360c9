"""The timer trigger: runs a function on its schedule, on one host at a time.

Follows the documented behaviour of the Functions timer trigger:

* A listener works only while it holds a blob lease (`azure-webjobs-hosts/locks/<host id>/<timer>.Listener`), which is
  renewed halfway through and given up when the host stops. The others ask for it every
  listenerLockRecoveryPollingInterval.
* Monitored schedules keep their status in a blob. A timer whose time passed while no host ran is run at once, with
  IsPastDue; one that is marked runOnStartup is run at once, too.
* One run at a time: the next occurrence is computed when the last run has ended, and occurrences in between are
  skipped. A run that fails is not repeated before the next occurrence.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from asyncservice.devhost.blobs import BlobsUnreachable, HostBlobs, Lease
from asyncservice.devhost.functions import Function
from asyncservice.devhost.hostjson import SingletonOptions
from asyncservice.devhost.invoker import Invokes
from asyncservice.devhost.messages import TypedData
from asyncservice.devhost.pausing import Stop
from asyncservice.devhost.schedule import Schedule
from asyncservice.devhost.schedulestatus import ScheduleStatus, StatusStore, check_status, status_after

_log: Final = logging.getLogger("Host.Triggers.Timers")

#: How soon a lease that could not be renewed for want of an answer is renewed again.
_RETRY: Final = timedelta(seconds=2)
#: How long at most passes before the wall clock is read again: a laptop that slept wakes to a past occurrence.
_LONGEST_WAIT: Final = timedelta(minutes=1)

type Clock = Callable[[], datetime]
type Sleep = Callable[[float], Awaitable[None]]


class TimerListener:
    """Runs one timer until it is stopped. `run` returns once nothing runs and the lease is given up."""

    def __init__(
        self,
        *,
        function: Function,
        schedule: Schedule,
        monitored: bool,
        run_on_startup: bool,
        invoker: Invokes,
        blobs: HostBlobs,
        statuses: StatusStore,
        options: SingletonOptions,
        host_id: str,
        stop: Stop,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._function = function
        self._schedule = schedule
        self._monitored = monitored
        self._run_on_startup = run_on_startup
        self._invoker = invoker
        self._blobs = blobs
        self._statuses = statuses
        self._options = options
        self._stop = stop
        self._clock = clock
        self._sleep = sleep
        self._timer = timer_name(function)
        self._lock = f"locks/{host_id}/{self._timer}.Listener"

    async def run(self) -> None:
        """Wait for the lease, then for each occurrence, until the stop is requested."""
        while not self._stop.requested:
            lease = await self._acquire()
            if lease is not None:
                await self._hold(lease)
            elif not self._stop.requested:
                await self._stop.pause(self._options.listener_lock_recovery_polling_interval)

    async def _acquire(self) -> Lease | None:
        try:
            lease = await self._blobs.lease(self._lock, self._options.listener_lock_period)
        except BlobsUnreachable as error:
            _log.warning("Timer %s: its lease cannot be asked for: %s", self._function.name, error)
            return None
        if lease is None:
            _log.debug("Timer %s is run by another host.", self._function.name)
        return lease

    async def _hold(self, lease: Lease) -> None:
        work = asyncio.create_task(self._work(), name=f"timer {self._function.name}")
        renewal = asyncio.create_task(self._keep(lease), name=f"lease of timer {self._function.name}")
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                _log.warning("Timer %s: the lease was lost; what runs is stopped.", self._function.name)
        finally:
            work.cancel()
            renewal.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)
            await self._release(lease)
        if not work.cancelled() and (error := work.exception()) is not None:
            _log.error("Timer %s: %s", self._function.name, error)
            await self._stop.pause(self._options.listener_lock_recovery_polling_interval)

    async def _keep(self, lease: Lease) -> None:
        """Renew the lease; return when it is lost."""
        wait = self._options.listener_lock_period / 2
        renewed = self._clock()
        while True:
            await self._sleep(wait.total_seconds())
            try:
                if not await lease.renew():
                    return
            except BlobsUnreachable:
                wait = _RETRY
                if self._clock() - renewed > self._options.listener_lock_period:
                    return
            else:
                wait, renewed = self._options.listener_lock_period / 2, self._clock()

    async def _release(self, lease: Lease) -> None:
        try:
            await lease.release()
        except BlobsUnreachable as error:
            _log.warning("Timer %s: its lease ends by itself: %s", self._function.name, error)

    async def _work(self) -> None:
        status, past_due = await self._begin()
        if past_due:
            _log.info("Timer %s is past due and runs now.", self._function.name)
            status = await self._fire(status, past_due=True, scheduled=False)
        elif self._run_on_startup:
            status = await self._fire(status, scheduled=False)
        while not self._stop.requested:
            wait = status.next - self._clock()
            if wait > timedelta(0):
                await self._stop.pause(min(wait, _LONGEST_WAIT))
            else:
                status = await self._fire(status)

    async def _begin(self) -> tuple[ScheduleStatus, bool]:
        now = self._clock()
        if not self._monitored:
            return ScheduleStatus(last=None, next=self._schedule.next_after(now), last_updated=None), False
        stored = await self._statuses.read(self._timer)
        status, past_due = check_status(stored, self._schedule, now)
        if status != stored:
            await self._store(status)
        return status, past_due

    async def _fire(self, status: ScheduleStatus, *, past_due: bool = False, scheduled: bool = True) -> ScheduleStatus:
        if self._stop.requested:
            return status
        started = self._clock()
        request = timer_request(status if self._monitored else None, past_due=past_due)
        await self._invoker.invoke(self._function, TypedData(json=request), {})
        status = status_after(status, self._schedule, started, scheduled=scheduled)
        if self._monitored:
            await self._store(status)
        return status

    async def _store(self, status: ScheduleStatus) -> None:
        try:
            await self._statuses.write(self._timer, status)
        except BlobsUnreachable as error:
            # As with the real host, the schedule goes on; only past-due detection suffers.
            _log.warning("Timer %s: its status could not be written: %s", self._function.name, error)


def timer_name(function: Function) -> str:
    """Return the name under which the host keeps what belongs to a timer."""
    return f"Host.Functions.{function.name}"


def timer_request(status: ScheduleStatus | None, *, past_due: bool) -> str:
    """Return what a function receives; without a status when its schedule is not monitored."""
    return json.dumps(
        {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": None if status is None else status.to_json(),
            "IsPastDue": past_due,
        }
    )
