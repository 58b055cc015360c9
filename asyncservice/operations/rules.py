"""Recurrence rules of RFC 5545 and their slots: the moments at which something recurs.

A rule is reckoned by the clock on the wall of its zone. Days, weeks, months and years keep their time of day when
that clock is put forward or back; hours, minutes and seconds, where the rule has no BY part, are lengths of time and
take no notice.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from itertools import count, islice
from typing import Final

from dateutil.rrule import rrule, rrulestr

from asyncservice.operations import timezones

#: A rule that has no slot for this long, times its INTERVAL, has none.
HORIZON: Final = timedelta(days=10 * 366)
#: Units whose slots, without a BY part, are equally far apart: in time, or on the wall.
TIMES: Final[Mapping[str, timedelta]] = {
    "SECONDLY": timedelta(seconds=1),
    "MINUTELY": timedelta(minutes=1),
    "HOURLY": timedelta(hours=1),
}
DAYS: Final[Mapping[str, timedelta]] = {"DAILY": timedelta(days=1), "WEEKLY": timedelta(weeks=1)}

_LENGTHS: Final = {**TIMES, **DAYS}
#: Parts that choose days; without any, the start's own day is meant.
_DAY_PARTS: Final = frozenset({"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"})
#: What RFC 5545 knows beside COUNT and UNTIL.
_PARTS: Final = _DAY_PARTS | {"FREQ", "INTERVAL", "BYSECOND", "BYMINUTE", "BYHOUR", "BYMONTH", "BYSETPOS", "WKST"}
#: No clock was ever put forward by more: Samoa skipped a day when it changed sides of the date line.
_LONGEST_GAP: Final = timedelta(days=1)
#: Times of this day and earlier can be reckoned in every zone.
_LAST_WALL: Final = datetime(9999, 12, 29)  # noqa: DTZ001 - a clock on a wall
#: No two years that a clock can show are further apart.
_MOST_YEARS: Final = 9999
#: The calendar, its days of the week included, repeats itself after this many years.
_CYCLE: Final = 400


@dataclass(frozen=True)
class Rule:
    """A recurrence rule."""

    #: What the rule says, but for COUNT and UNTIL, by the names of RFC 5545.
    parts: Mapping[str, str]
    #: What the clock of the zone shows at the start, in whole seconds.
    wall: datetime
    zone: tzinfo
    #: Slots there are in all; times that fall together because the clock was put forward count each.
    count: int | None = None
    #: No slot comes later.
    until: datetime | None = None
    #: Whether the pattern itself names the start, with a DTSTART.
    names_start: bool = False

    @property
    def start(self) -> datetime:
        """When the rule begins, in UTC."""
        return timezones.moment(self.wall, self.zone)

    @property
    def frequency(self) -> str:
        """The unit that is repeated, such as DAILY."""
        return self.parts["FREQ"]

    @property
    def interval(self) -> int:
        """Every how many units there may be a slot."""
        return int(self.parts.get("INTERVAL", 1))

    @property
    def has_by_parts(self) -> bool:
        """Whether it names seconds, hours, days or months beside its unit."""
        return any(name.startswith("BY") for name in self.parts)

    @property
    def is_counted_slot_by_slot(self) -> bool:
        """Whether its slots are not all equally far apart, so that each must be worked out from the one before."""
        return self.has_by_parts or self.frequency not in _LENGTHS

    def check(self) -> None:
        """Raise ValueError, KeyError or TypeError when the parts are those of no rule."""
        if unknown := self.parts.keys() - _PARTS:
            raise ValueError(f"unknown part {min(unknown)}")
        self._library(self.wall, _LAST_WALL)

    def after(self, moment: datetime) -> datetime | None:
        """Return the first slot strictly after *moment*, or None when the rule has ended or none comes in HORIZON."""
        try:
            is_timed = self.frequency in TIMES and not self.has_by_parts
            slot = self._after_by_time(moment) if is_timed else self._after_on_the_wall(moment)
        except OverflowError:  # The next one would lie beyond the year 9999.
            return None
        return None if slot is None or (self.until is not None and slot > self.until) else slot

    def __iter__(self) -> Iterator[datetime]:
        """Yield the slots, the first at or after the start."""
        slot = self.after(self.start - timedelta(microseconds=1))
        while slot is not None:
            yield slot
            slot = self.after(slot)

    def _after_by_time(self, moment: datetime) -> datetime | None:
        length = TIMES[self.frequency] * self.interval
        number = max(0, (moment - self.start) // length + 1)
        return self.start + number * length if self.count is None or number < self.count else None

    def _after_on_the_wall(self, moment: datetime) -> datetime | None:
        """Return the first slot after *moment* of those that times on the wall give.

        They come in order but where a clock is put forward: 02:30, which is skipped, becomes 03:30 and comes after
        the real 03:00. So the search begins a gap's length early, and does not end with a time that is skipped.
        """
        first: datetime | None = None
        end = _LAST_WALL
        for wall in self._walls(timezones.wall_clock(max(moment, self.start), self.zone) - _LONGEST_GAP):
            if wall > end:
                break
            slot = timezones.moment(wall, self.zone)
            if slot <= moment:
                continue
            first = slot if first is None else min(first, slot)
            if timezones.wall_clock(slot, self.zone) == wall:
                break
            end = min(end, wall + _LONGEST_GAP)
        return first

    def _walls(self, near: datetime) -> Iterator[datetime]:
        """Yield what the clock shows at each slot, in order, beginning somewhere before *near* or with the first."""
        if not self.is_counted_slot_by_slot:
            length = _LENGTHS[self.frequency] * self.interval
            first = max(0, (near - self.wall) // length)
            return (self.wall + number * length for number in _numbers(first, self.count))
        ahead = HORIZON * min(self.interval, _MOST_YEARS // 11)
        end = min(_LAST_WALL - ahead, max(self.wall, near)) + ahead
        start = self.wall if self.count is not None else self._shifted(near)
        # The library looks for a day that never comes, such as the 30th of February, until the year 9999, whatever
        # the end. It does so in a century that is as near to that year as may be.
        later = (_MOST_YEARS - end.year) // _CYCLE * _CYCLE
        slots = self._library(start.replace(year=start.year + later), end.replace(year=end.year + later))
        return (slot.replace(year=slot.year - later) for slot in islice(slots, self.count))

    def _shifted(self, near: datetime) -> datetime:
        """Return a later start for the same slots from *near* on, so that a rule of many years costs no more.

        The library counts slot by slot. It is a whole number of intervals later, and two before *near*, since the
        first interval of a rule may be cut short by its start.
        """
        if self.frequency in _LENGTHS:
            length = _LENGTHS[self.frequency] * self.interval
            return self.wall + max(0, (near - self.wall) // length - 2) * length
        years, months = near.year - self.wall.year, near.month - self.wall.month
        if self.frequency == "YEARLY":
            number = years // self.interval - 2
            return self.wall if number < 1 else self.wall.replace(self.wall.year + number * self.interval, 1, 1)
        number = (years * 12 + months) // self.interval - 2
        year, month = divmod(self.wall.year * 12 + self.wall.month - 1 + number * self.interval, 12)
        return self.wall if number < 1 else self.wall.replace(year, month + 1, 1)

    def _library(self, start: datetime, end: datetime) -> rrule:
        text = ";".join(f"{name}={value}" for name, value in self._complete.items())
        rule = rrulestr(text, dtstart=start)
        if not isinstance(rule, rrule):
            raise TypeError("it must be one rule, not a set of rules")
        return rule.replace(until=end)

    @cached_property
    def _complete(self) -> Mapping[str, str]:
        """The parts, with the day that the start alone says."""
        meant = dict(self.parts)
        if not _DAY_PARTS & self.parts.keys():
            if self.frequency == "YEARLY":
                meant.setdefault("BYMONTH", str(self.wall.month))
            if self.frequency in {"YEARLY", "MONTHLY"}:
                meant["BYMONTHDAY"] = str(self.wall.day)
        return meant


def _numbers(first: int, end: int | None) -> Iterable[int]:
    return count(first) if end is None else range(first, end)
