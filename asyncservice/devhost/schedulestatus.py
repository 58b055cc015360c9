"""What is remembered of a timer between runs of the host: its last and its next occurrence.

Kept where the real host keeps it, `azure-webjobs-hosts/timers/<host id>/<timer>/status`, in the same JSON, so that one
can read what the other wrote.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from asyncservice.devhost.blobs import HostBlobs
from asyncservice.devhost.schedule import Schedule

#: How .NET writes a moment that was never set.
_NEVER: Final = "0001-01-01T00:00:00"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleStatus:
    """The occurrences of one timer."""

    #: When it last ran; None when it never has.
    last: datetime | None
    next: datetime
    #: The moment from which `next` was computed; None in statuses of old hosts.
    last_updated: datetime | None

    def to_json(self) -> dict[str, str]:
        """Return the status as the host stores it and as functions see it."""
        return {
            "Last": _format(self.last),
            "Next": _format(self.next),
            "LastUpdated": _format(self.last_updated),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` made; raise ValueError or KeyError for anything else."""
        following = _parse(document["Next"])
        if following is None:
            raise ValueError("a schedule status without a next occurrence")
        return cls(last=_parse(document.get("Last")), next=following, last_updated=_parse(document.get("LastUpdated")))


def check_status(status: ScheduleStatus | None, schedule: Schedule, now: datetime) -> tuple[ScheduleStatus, bool]:
    """Return the status a starting timer goes on from, and whether it missed its time while no host ran.

    A timer seen for the first time gets its next occurrence recorded, so that one missed before the first run is
    noticed, too. A status that does not fit the schedule means that the schedule was changed: it starts anew and is not
    past due.
    """
    if status is None:
        return ScheduleStatus(last=None, next=schedule.next_after(now), last_updated=now), False
    base = status.last or status.last_updated or now
    expected = schedule.next_after(base.astimezone(now.tzinfo))
    if status.next != expected:
        if now > expected:
            expected, base = schedule.next_after(now), now
        status = ScheduleStatus(last=None, next=expected, last_updated=base)
    return status, now > status.next


def status_after(
    status: ScheduleStatus, schedule: Schedule, started: datetime, *, scheduled: bool = True
) -> ScheduleStatus:
    """Return the status after a run that *started* then; *scheduled* is False for past-due and start-up runs.

    A timer that fired a moment early counts as on time; else the same occurrence would come twice.
    """
    moment = max(started, status.next) if scheduled else started
    return ScheduleStatus(last=moment, next=schedule.next_after(moment), last_updated=moment)


class StatusStore:
    """The statuses of one host's timers, as blobs."""

    def __init__(self, blobs: HostBlobs, host_id: str) -> None:
        self._blobs = blobs
        self._folder = f"timers/{host_id}"

    async def read(self, timer: str) -> ScheduleStatus | None:
        """Return the timer's status; None when there is none or it cannot be understood."""
        content = await self._blobs.read(f"{self._folder}/{timer}/status")
        if content is None:
            return None
        try:
            return ScheduleStatus.from_json(json.loads(content))
        except (ValueError, KeyError, TypeError):
            return None

    async def write(self, timer: str, status: ScheduleStatus) -> None:
        """Replace the timer's status."""
        await self._blobs.write(f"{self._folder}/{timer}/status", json.dumps(status.to_json()).encode())


def _format(moment: datetime | None) -> str:
    return _NEVER if moment is None else moment.isoformat()


def _parse(text: str | None) -> datetime | None:
    if text is None or text.startswith(_NEVER):
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.astimezone()
