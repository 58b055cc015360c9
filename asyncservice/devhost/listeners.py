"""Makes the listener of each function that is triggered by a queue or a timer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from random import Random
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from asyncservice.devhost.blobs import AzureHostBlobs
from asyncservice.devhost.connections import Accounts
from asyncservice.devhost.errors import ConfigurationInvalid
from asyncservice.devhost.functions import Function, HttpTrigger, QueueTrigger, TimerTrigger
from asyncservice.devhost.hostjson import HostJson
from asyncservice.devhost.invoker import Invokes
from asyncservice.devhost.pausing import Stop
from asyncservice.devhost.queues import AzureQueue
from asyncservice.devhost.queuetrigger import QueueListener
from asyncservice.devhost.schedule import is_frequent, parse_schedule
from asyncservice.devhost.schedulestatus import StatusStore
from asyncservice.devhost.timertrigger import TimerListener


class Listener(Protocol):
    """Waits for a trigger and runs its function."""

    async def run(self) -> None:
        """Go on until the host stops, then return once nothing runs."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Listeners:
    """What listeners share."""

    settings: Mapping[str, str]
    options: HostJson
    invoker: Invokes
    accounts: Accounts
    stop: Stop
    host_id: str
    #: How long a message is hidden when it is taken.
    message_hiding: timedelta

    def make(self, function: Function) -> Listener | None:
        """Return the listener of *function*, which does not run yet; None for HTTP, which the server listens to.

        Raises ConfigurationInvalid when the trigger cannot be followed.
        """
        match function.trigger:
            case QueueTrigger() as trigger:
                return self._queue_listener(function, trigger)
            case TimerTrigger() as trigger:
                return self._timer_listener(function, trigger)
            case HttpTrigger():
                return None

    def _queue_listener(self, function: Function, trigger: QueueTrigger) -> QueueListener:
        queues = self.accounts.queues(trigger.connection)
        poison = f"{trigger.queue}-poison"
        return QueueListener(
            function=function,
            queue=AzureQueue(
                queues.get_queue_client(trigger.queue),
                queues.get_queue_client(poison),
                self.accounts.messages(trigger.connection),
            ),
            invoker=self.invoker,
            options=self.options.queues,
            stop=self.stop,
            rng=Random(),  # noqa: S311 - spreads polls, guards nothing
            clock=make_clock(self.settings),
            hidden_for=self.message_hiding,
        )

    def _timer_listener(self, function: Function, trigger: TimerTrigger) -> TimerListener:
        blobs = AzureHostBlobs(self.accounts.blobs())
        clock = make_clock(self.settings)
        schedule = parse_schedule(trigger.schedule, clock())
        monitored = trigger.use_monitor
        return TimerListener(
            function=function,
            schedule=schedule,
            monitored=not is_frequent(schedule, clock()) if monitored is None else monitored,
            run_on_startup=trigger.run_on_startup,
            invoker=self.invoker,
            blobs=blobs,
            statuses=StatusStore(blobs, self.host_id),
            options=self.options.singleton,
            host_id=self.host_id,
            stop=self.stop,
            clock=clock,
        )


def make_clock(settings: Mapping[str, str]) -> Callable[[], datetime]:
    """Return the clock by which schedules are read: UTC, or the zone that WEBSITE_TIME_ZONE names.

    This is how it is in Azure. Core Tools takes the laptop's zone, which surprises on deployment.
    """
    name = settings.get("WEBSITE_TIME_ZONE")
    try:
        zone: tzinfo = ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationInvalid(f"WEBSITE_TIME_ZONE is {name!r}, which is no IANA time zone.") from error
    return lambda: datetime.now(zone)
