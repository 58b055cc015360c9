"""When a timer next fires: NCRONTAB expressions and constant intervals.

NCRONTAB has six fields, seconds first; five are minutes first, at second 0. Day of month and day of week must both
match (cron lets either do when both are given), Sunday is 0 and never 7, and the L, W and # of other dialects do not
exist.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import Final, Protocol

from cronsim import CronSim, CronSimError

from asyncservice.devhost.durations import parse_time_span
from asyncservice.devhost.errors import ConfigurationInvalid

_FIELD: Final = re.compile(
    r"(?:[*\d,/-]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)+", re.IGNORECASE
)
_NAME: Final = re.compile(
    r"(?:(jan)(?:uary)?|(feb)(?:ruary)?|(mar)(?:ch)?|(apr)(?:il)?|(may)|(june?)|(july?)|(aug)(?:ust)?|(sep)(?:tember)?"
    r"|(oct)(?:ober)?|(nov)(?:ember)?|(dec)(?:ember)?"
    r"|(sun)(?:day)?|(mon)(?:day)?|(tue)(?:sday)?|(wed)(?:nesday)?|(thu)(?:rsday)?|(fri)(?:day)?|(sat)(?:urday)?)",
    re.IGNORECASE,
)
_SUNDAY_TOO: Final = 7
_FREQUENT: Final = timedelta(minutes=1)
#: How many occurrences are looked at to tell how often a schedule recurs.
_LOOK_AHEAD: Final = 10


class Schedule(Protocol):
    """Knows its occurrences."""

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence after *moment*, in the zone of *moment*."""
        ...


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """An NCRONTAB expression that has been checked."""

    expression: str

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence after *moment*, in the zone of *moment*."""
        return next(self._occurrences(moment))

    def _occurrences(self, moment: datetime) -> Iterator[datetime]:
        occurrences = CronSim(self.expression, moment)
        occurrences.day_and = True
        # The library counts Sunday twice, so that a step such as 1/3 would reach it.
        occurrences.weekdays.discard(_SUNDAY_TOO)
        return occurrences


@dataclass(frozen=True, slots=True)
class ConstantSchedule:
    """The same interval again and again, from the last occurrence on."""

    interval: timedelta

    def next_after(self, moment: datetime) -> datetime:
        """Return *moment* plus the interval."""
        return moment + self.interval


def parse_schedule(text: str, now: datetime) -> Schedule:
    """Return the schedule that *text* describes; raise ConfigurationInvalid when it has no occurrence after *now*."""
    if len(text.split()) == 1:
        return _constant(text)
    fields = [_NAME.sub(lambda name: name[0][:3], part) for part in text.split()]
    if len(fields) not in {5, 6} or not all(_FIELD.fullmatch(part) for part in fields):
        raise ConfigurationInvalid(
            f"{text!r} is neither an NCRONTAB expression of six (or five) fields nor a duration."
        )
    days = fields[-1]
    if str(_SUNDAY_TOO) in re.split(r"[,/-]", re.sub(r"/\d+", "", days)):
        raise ConfigurationInvalid(f"{text!r}: Sunday is 0 in an NCRONTAB expression, and 7 is no day.")
    schedule = CronSchedule(" ".join(fields))
    try:
        schedule.next_after(now)
    except (CronSimError, StopIteration) as error:
        raise ConfigurationInvalid(f"{text!r} is no NCRONTAB expression: {str(error) or 'it never occurs'}.") from error
    return schedule


def is_frequent(schedule: Schedule, now: datetime) -> bool:
    """Say whether the schedule recurs more often than once a minute.

    Such timers are not monitored unless the binding asks for it, as documented for useMonitor.
    """

    def moments() -> Iterator[datetime]:
        moment = now
        while True:
            moment = schedule.next_after(moment)
            yield moment

    return any(later - earlier < _FREQUENT for earlier, later in pairwise(islice(moments(), _LOOK_AHEAD)))


def _constant(text: str) -> ConstantSchedule:
    try:
        interval = parse_time_span(text)
    except ValueError as error:
        raise ConfigurationInvalid(f"{text!r} is neither an NCRONTAB expression nor a duration: {error}.") from error
    if interval <= timedelta(0):
        raise ConfigurationInvalid(f"The schedule {text!r} must be longer than nothing.")
    return ConstantSchedule(interval)
