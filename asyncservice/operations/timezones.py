"""Time zones by their IANA names, and which moment a wall clock's time is in one.

The zones are those of the package tzdata, which the lock pins, and not the machine's: hosts whose systems know
different rules, or none, would otherwise run one operation at different times.
"""

from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from asyncservice.operations.errors import InvalidOperation

#: A zone of the database that stands for "not set".
_NO_ZONE = "Factory"


@cache
def names() -> frozenset[str]:
    """Return the name of every zone."""
    text = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(text.split()) - {_NO_ZONE}


def zone(name: str) -> ZoneInfo:
    """Return the zone of that name. Raises InvalidOperation, with the nearest name there is, when there is none."""
    # Asked of the list first: as a path, a name could lead anywhere.
    if name not in names():
        raise InvalidOperation(f"{name!r} is no time zone of the IANA database; {_hint(name)}")
    return _read(name)


def moment(wall: datetime, where: tzinfo) -> datetime:
    """Return the moment, in UTC, at which a clock *where* shows *wall* (naive).

    As RFC 5545 says in section 3.3.5: a time that comes twice is the first of the two; one that is skipped is reckoned
    with the offset before the gap, so 02:30 becomes 03:30 where the clock goes forward from 02:00 to 03:00.
    """
    return wall.replace(tzinfo=where, fold=0).astimezone(UTC)


def wall_clock(instant: datetime, where: tzinfo) -> datetime:
    """Return what a clock *where* shows at a moment, naive."""
    return instant.astimezone(where).replace(tzinfo=None, fold=0)


@cache
def _read(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _hint(name: str) -> str:
    by_lower = {each.lower(): each for each in names()}
    near = get_close_matches(name.lower().replace(" ", "_"), by_lower, n=1, cutoff=0.75)
    return f"did you mean {by_lower[near[0]]}?" if near else "write it like Europe/Berlin."
