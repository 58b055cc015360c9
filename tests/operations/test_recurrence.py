"""Recurrence: rules of RFC 5545 in every time zone, against a second reckoning of the same rules."""

import itertools
import time
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrule, rrulestr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from asyncservice.operations import recurrence, timezones
from asyncservice.operations.errors import InvalidOperation
from asyncservice.operations.handling import OperationContext, Outcome
from asyncservice.operations.states import StatusCode
from asyncservice.operations.submission import Submission
from asyncservice.storage.memory import MemoryStorage
from tests.operations.world import World
from tests.support import NOON, VirtualClock, an_id

#: Half an hour of summer time; a day that was skipped; the clock changes at midnight; by two hours; at Ramadan; the
#: other hemisphere; odd offsets; no summer time; summer time that is "negative"; abolished.
NOTORIOUS = (
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kwajalein"),
    *("America/Sao_Paulo", "America/Santiago", "Asia/Beirut", "Africa/Cairo", "Antarctica/Troll", "Africa/Casablanca"),
    *("Australia/Sydney", "Pacific/Chatham", "Asia/Kathmandu", "Africa/Nairobi", "Europe/Dublin", "Asia/Tehran"),
    *("America/Havana", "Asia/Gaza", "America/Scoresbysund", "Europe/Volgograd", "Asia/Pyongyang", "UTC"),
)
DAY = timedelta(days=1)
zones = st.one_of(st.sampled_from(NOTORIOUS), st.sampled_from(sorted(timezones.names())))
#: Times of day at which clocks are changed, and any.
times = st.one_of(
    st.sampled_from([time_of_day * 1800 for time_of_day in (0, 1, 2, 3, 4, 5, 6, 7, 47)]), st.integers(0, 86399)
)
days = st.datetimes(datetime(1971, 1, 1), datetime(2060, 1, 1)).map(  # noqa: DTZ001 - a clock on a wall
    lambda moment: moment.replace(hour=0, minute=0, second=0, microsecond=0)
)
walls = st.builds(lambda day, seconds: day + timedelta(seconds=seconds), days, times)


def pattern_of(name: str, wall: datetime, rule: str) -> str:
    return f"DTSTART;TZID={name}:{wall:%Y%m%dT%H%M%S} RRULE:{rule}"


def slot_of(wall: datetime, zone: tzinfo) -> datetime:
    """Reckon what a wall clock's time means, from what clocks show and not from what Python says of times on walls."""
    offsets = {(wall.replace(tzinfo=UTC) + timedelta(hours=hours)).astimezone(zone).utcoffset() for hours in NEAR}
    moments = sorted(wall.replace(tzinfo=UTC) - offset for offset in offsets if offset is not None)
    real = [moment for moment in moments if moment.astimezone(zone).replace(tzinfo=None) == wall]
    # One that does not exist is that of the offset before the gap, which is the smaller one: the later moment.
    return real[0] if real else moments[-1]


#: Hours around a time on the wall in which every offset that may be meant is in force.
NEAR = range(-27, 28, 3)


def naive_slots(rule: str, wall: datetime, until: datetime) -> rrule:
    """Return what the clock shows at the slots of a rule, as the library alone says."""
    naive = rrulestr(rule, dtstart=wall)
    assert isinstance(naive, rrule)
    return naive.replace(until=until)


def slots_around(rule: str, wall: datetime, zone: tzinfo, moment: datetime) -> list[datetime]:
    """Reckon the slots of a rule in the days before a moment and some behind it, one by one from the rule's start."""
    naive = naive_slots(rule, wall, moment.replace(tzinfo=None) + timedelta(days=800))
    near = itertools.dropwhile(lambda each: each < moment.replace(tzinfo=None) - 4 * DAY, naive)
    found = []
    for each in near:
        found.append(each)
        if len(found) > 3 and found[-3] > moment.replace(tzinfo=None) + 3 * DAY:
            break
    return sorted({slot_of(each, zone) for each in found})


# The plain rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "following"),
    [
        ("FREQ=HOURLY;", NOON + timedelta(hours=1)),
        ("FREQ=DAILY", NOON + timedelta(days=1)),
        ("FREQ=DAILY;INTERVAL=3;", NOON + timedelta(days=3)),
        ("FREQ=WEEKLY;", NOON + timedelta(days=7)),
        ("FREQ=MONTHLY;", datetime(2026, 4, 1, 12, tzinfo=UTC)),
        ("FREQ=YEARLY", datetime(2027, 3, 1, 12, tzinfo=UTC)),
        ("RRULE:FREQ=DAILY", NOON + timedelta(days=1)),
        ("freq=weekly;byday=we", datetime(2026, 3, 4, 12, tzinfo=UTC)),
        ("FREQ=YEARLY;INTERVAL=40", datetime(2066, 3, 1, 12, tzinfo=UTC)),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;INTERVAL=7", datetime(2040, 2, 29, 12, tzinfo=UTC)),
    ],
)
def test_the_documented_patterns_recur(pattern: str, following: datetime) -> None:
    assert recurrence.next_run(pattern, NOON, after=NOON) == following


def test_missed_slots_are_passed_over() -> None:
    assert recurrence.next_run("FREQ=DAILY", NOON, after=NOON + timedelta(days=10, hours=5)) == NOON + timedelta(
        days=11
    )


def test_a_rule_can_end() -> None:
    assert recurrence.next_run("FREQ=DAILY;COUNT=2", NOON, after=NOON) == NOON + timedelta(days=1)
    assert recurrence.next_run("FREQ=DAILY;COUNT=2", NOON, after=NOON + timedelta(days=1)) is None
    assert recurrence.next_run("FREQ=HOURLY;COUNT=2", NOON, after=NOON + timedelta(hours=1)) is None
    assert recurrence.next_run("FREQ=MONTHLY;COUNT=2", NOON, after=NOON + timedelta(days=40)) is None
    assert recurrence.next_run("FREQ=DAILY;UNTIL=20260302T120000Z", NOON, after=NOON) == NOON + timedelta(days=1)
    assert recurrence.next_run("FREQ=DAILY;UNTIL=20260302T120000Z", NOON, after=NOON + timedelta(days=1)) is None


def test_a_rule_ends_with_the_calendar() -> None:
    late = datetime(9998, 12, 31, tzinfo=UTC)
    assert recurrence.next_run("FREQ=YEARLY;INTERVAL=5", late, after=late) is None
    assert recurrence.next_run("FREQ=WEEKLY;INTERVAL=100000000", NOON, after=NOON) is None
    assert recurrence.next_run("FREQ=DAILY;BYMONTH=1;INTERVAL=100000000", NOON, after=NOON) is None


LONG_LIVED = [
    ("FREQ=SECONDLY", timedelta(days=365), timedelta(seconds=1)),
    ("FREQ=SECONDLY;COUNT=2000000000", timedelta(days=3000), timedelta(seconds=1)),
    ("FREQ=MINUTELY;INTERVAL=7", timedelta(days=3650), timedelta(minutes=7)),
    ("FREQ=HOURLY;UNTIL=20300101T000000Z", timedelta(days=36500), timedelta(hours=1)),
    ("FREQ=HOURLY;BYMINUTE=0,30", timedelta(days=36500), timedelta(minutes=30)),
    ("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", timedelta(days=36500), timedelta(days=3)),
    ("FREQ=MONTHLY;BYDAY=MO,SU;BYHOUR=0,6,12,18;BYMINUTE=0,15,30,45", timedelta(days=36500), timedelta(days=6)),
    ("FREQ=YEARLY;BYDAY=MO,SU;BYHOUR=0,6,12,18;BYMINUTE=0,15,30,45", timedelta(days=36500), timedelta(days=6)),
    ("FREQ=DAILY;BYHOUR=6,18;COUNT=10000", timedelta(days=4000), timedelta(hours=12)),
]


@pytest.mark.parametrize(("rule", "since", "longest"), LONG_LIVED)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_rule_that_began_long_ago_is_worked_out_at_once(
    rule: str, since: timedelta, longest: timedelta, zone: str
) -> None:
    """A rule is worked out on the host's event loop, so one message must not be able to hold it up."""
    pattern = pattern_of(zone, (NOON - since).replace(tzinfo=None), rule)
    began = time.perf_counter()
    following = recurrence.next_run(pattern, NOON, after=NOON)
    assert time.perf_counter() - began < 1
    assert following is not None
    assert timedelta(0) < following - NOON <= longest + timedelta(hours=1)


@pytest.mark.parametrize("rule", ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "DAILY;COUNT=9", "YEARLY;COUNT=9"])
def test_a_day_that_never_comes_is_not_looked_for_for_ever(rule: str) -> None:
    began = time.perf_counter()
    assert recurrence.next_run(f"FREQ={rule};BYMONTH=2;BYMONTHDAY=30", NOON, after=NOON) is None
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("", "is no single rule; write it like FREQ=DAILY;INTERVAL=2"),
        ("nonsense", "is no recurrence rule (NONSENSE is not NAME=VALUE)"),
        ("INTERVAL=2", "is no recurrence rule"),
        ("FREQ=SOMETIMES", "is no recurrence rule"),
        ("FREQ=DAILY;COLOUR=RED", "is no recurrence rule (unknown part COLOUR)"),
        ("FREQ=YEARLY;BYEASTER=1", "is no recurrence rule (unknown part BYEASTER)"),
        ("FREQ=HOURLY;INTERVAL=24;BYHOUR=13", "is no recurrence rule"),
        ("FREQ=DAILY;INTERVAL=x", "must have an INTERVAL of 1 or more"),
        ("FREQ=DAILY;INTERVAL=0", "must have an INTERVAL of 1 or more"),
        ("FREQ=DAILY;INTERVAL=100000001", "must have an INTERVAL of 100,000,000 or less"),
        ("FREQ=DAILY;COUNT=0", "must have a COUNT of 1 or more"),
        ("FREQ=MONTHLY;COUNT=10001", "can have a COUNT of 10,000 at most; say by UNTIL when it ends"),
        ("FREQ=DAILY;UNTIL=20261231", "has an UNTIL that is no moment in UTC; write it like 20261231T225959Z"),
        ("FREQ=DAILY;UNTIL=20261331T000000Z", "has an UNTIL that is no moment in UTC"),
        ("FREQ=SECONDLY;BYMONTH=2", "cannot have SECONDLY with a BY part"),
        ("FREQ=MINUTELY;BYDAY=MO", "cannot have MINUTELY with a BY part"),
        ("F" * 257, "has 257 characters; 256 is the limit"),
        ("A:B\nC:D", "is no single rule"),
        ("RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", "is no single rule"),
        ("RRULE:FREQ=DAILY\nEXDATE:20260302T090000Z", "is no single rule"),
        ("DTSTART;TZID=Europe/Berlin:20260302T090000", "is no single rule"),
        ("DTSTART;TZID=Europe/Berlin:20260302T090000 FREQ=DAILY", "is no single rule"),
        ("DTSTART;TZID=Europe/Berlln:20260302T090000\nRRULE:FREQ=DAILY", "did you mean Europe/Berlin?"),
        ("DTSTART;TZID=europe/berlin:20260302T090000\nRRULE:FREQ=DAILY", "did you mean Europe/Berlin?"),
        ("DTSTART;TZID=New York:20260302T090000\nRRULE:FREQ=DAILY", "is no time zone of the IANA database"),
        ("DTSTART;TZID=W. Europe Standard Time:20260302T090000\nRRULE:FREQ=DAILY", "write it like Europe/Berlin."),
        ("DTSTART;TZID=../../etc/passwd:20260302T090000\nRRULE:FREQ=DAILY", "is no time zone of the IANA database"),
        ("DTSTART;TZID=Europe:20260302T090000\nRRULE:FREQ=DAILY", "is no time zone of the IANA database"),
        ("DTSTART;TZID=Factory:20260302T090000\nRRULE:FREQ=DAILY", "is no time zone of the IANA database"),
        ("DTSTART;TZID=:20260302T090000\nRRULE:FREQ=DAILY", "TZID= is not NAME=VALUE"),
        ("DTSTART:20260302T090000\nRRULE:FREQ=DAILY", "by a TZID or by Z for UTC"),
        ("DTSTART;TZID=Europe/Berlin:20260302T090000Z\nRRULE:FREQ=DAILY", "by a TZID or by Z for UTC"),
        ("DTSTART;VALUE=DATE:20260302\nRRULE:FREQ=DAILY", "has a DTSTART that is no date with a time"),
        ("DTSTART;TZID=Europe/Berlin:20260230T090000\nRRULE:FREQ=DAILY", "has an impossible DTSTART"),
        ("DTSTART;TZID=Europe/Berlin:18991231T090000\nRRULE:FREQ=DAILY", "between the years 1900 and 9998"),
        ("DTSTART;TZID=Europe/Berlin:99991231T235959\nRRULE:FREQ=DAILY", "between the years 1900 and 9998"),
        ("DTSTART;TZID=Europe/Berlin;X-A=B:20260302T090000\nRRULE:FREQ=DAILY", "that is no date with a time"),
    ],
)
def test_a_wrong_pattern_is_explained(pattern: str, sentence: str) -> None:
    with pytest.raises(InvalidOperation, match=r"^recurrencepattern ") as refusal:
        recurrence.parse(pattern, NOON)
    assert sentence in str(refusal.value)


# Time zones -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", ["\n", "\r\n", " ", "\r\n "])
@pytest.mark.parametrize("zone", ["TZID=Europe/Berlin", 'TZID="Europe/Berlin"', "VALUE=DATE-TIME;tzid=Europe/Berlin"])
def test_a_pattern_may_name_its_start_and_zone_as_rfc_5545_does(between: str, zone: str) -> None:
    rule = recurrence.parse(f"DTSTART;{zone}:20261123T090000{between}RRULE:FREQ=DAILY;", NOON)
    assert rule.names_start
    assert rule.start == datetime(2026, 11, 23, 8, tzinfo=UTC)


def test_a_start_in_utc_says_so() -> None:
    rule = recurrence.parse("DTSTART:20261123T090000Z RRULE:FREQ=DAILY;COUNT=2", NOON)
    assert list(rule) == [datetime(2026, 11, 23, 9, tzinfo=UTC), datetime(2026, 11, 24, 9, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("zone", "start", "rule", "shown"),
    [
        pytest.param(
            "Europe/Berlin",
            "20260328T090000",
            "FREQ=DAILY",
            ["03-28T09:00+01:00", "03-29T09:00+02:00", "03-30T09:00+02:00"],
            id="nine o'clock stays nine o'clock",
        ),
        pytest.param(
            "Europe/Berlin",
            "20260328T023000",
            "FREQ=DAILY",
            ["03-28T02:30+01:00", "03-29T03:30+02:00", "03-30T02:30+02:00"],
            id="a time that is skipped is that of the offset before",
        ),
        pytest.param(
            "Europe/Berlin",
            "20261024T023000",
            "FREQ=DAILY",
            ["10-24T02:30+02:00", "10-25T02:30+02:00", "10-26T02:30+01:00"],
            id="of a time that comes twice the first",
        ),
        pytest.param(
            "Europe/Berlin",
            "20260329T023000",
            "FREQ=DAILY",
            ["03-29T03:30+02:00", "03-30T02:30+02:00"],
            id="a start that is skipped moves no other day",
        ),
        pytest.param(
            "Europe/Berlin",
            "20260329T000000",
            "FREQ=HOURLY;INTERVAL=2",
            ["03-29T00:00+01:00", "03-29T03:00+02:00", "03-29T05:00+02:00"],
            id="hours are lengths of time",
        ),
        pytest.param(
            "Europe/Berlin",
            "20260329T010000",
            "FREQ=HOURLY;BYMINUTE=0,30",
            ["03-29T01:00+01:00", "03-29T01:30+01:00", "03-29T03:00+02:00", "03-29T03:30+02:00", "03-29T04:00+02:00"],
            id="skipped times that fall on real ones are one slot",
        ),
        pytest.param(
            "Europe/Berlin",
            "20260328T000000",
            "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=20,40",
            [
                *("03-28T02:20+01:00", "03-28T02:40+01:00", "03-28T03:20+01:00", "03-28T03:40+01:00"),
                *("03-29T03:20+02:00", "03-29T03:40+02:00", "03-30T02:20+02:00"),
            ],
            id="the same of a day",
        ),
        pytest.param(
            "Australia/Lord_Howe",
            "20261003T021500",
            "FREQ=DAILY",
            ["10-03T02:15+10:30", "10-04T02:45+11:00", "10-05T02:15+11:00"],
            id="half an hour",
        ),
        pytest.param(
            "Pacific/Apia",
            "20111229T090000",
            "FREQ=DAILY",
            ["12-29T09:00-10:00", "12-31T09:00+14:00", "01-01T09:00+14:00"],
            id="a day that was skipped",
        ),
        pytest.param(
            "America/Sao_Paulo",
            "20181103T000000",
            "FREQ=DAILY",
            ["11-03T00:00-03:00", "11-04T01:00-02:00", "11-05T00:00-02:00"],
            id="a midnight that was skipped",
        ),
    ],
)
def test_clocks_that_are_changed(zone: str, start: str, rule: str, shown: list[str]) -> None:
    slots = islice(recurrence.parse(f"DTSTART;TZID={zone}:{start} RRULE:{rule}", NOON), len(shown))
    assert [slot.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes")[5:] for slot in slots] == shown


def test_an_end_is_a_moment() -> None:
    pattern = "DTSTART;TZID=Europe/Berlin:20260327T090000 RRULE:FREQ=DAILY;UNTIL=20260329T070000Z"
    assert [slot.isoformat() for slot in recurrence.parse(pattern, NOON)][1:] == [
        "2026-03-28T08:00:00+00:00",
        "2026-03-29T07:00:00+00:00",
    ]


@given(
    name=zones,
    wall=walls,
    unit=st.sampled_from(["DAILY", "WEEKLY"]),
    interval=st.sampled_from([1, 1, 1, 2, 3, 7, 13]),
    later=st.timedeltas(timedelta(0), timedelta(days=9000)),
)
@example("Pacific/Apia", datetime(2011, 12, 25, 9), "DAILY", 1, timedelta(days=3))  # noqa: DTZ001 - a clock on a wall
@example("Pacific/Kwajalein", datetime(1993, 8, 18, 9), "DAILY", 1, timedelta(days=2))  # noqa: DTZ001 - as above
@settings(max_examples=400, deadline=None)
def test_every_day_has_its_run_at_its_time(
    name: str, wall: datetime, unit: str, interval: int, later: timedelta
) -> None:
    """No day is skipped, none has two runs, and what the clock shows is the start's time of day."""
    zone = timezones.zone(name)
    rule = recurrence.parse(pattern_of(name, wall, f"FREQ={unit};INTERVAL={interval}"), NOON)
    slot: datetime | None = rule.start + later
    assert slot is not None
    seen = []
    for _ in range(40):
        slot = rule.after(slot)
        assert slot is not None
        seen.append(slot)
    assert all(earlier < later for earlier, later in pairwise(seen)), "they come one after the other"
    length = timedelta(days=interval * (7 if unit == "WEEKLY" else 1))
    shown = [timezones.wall_clock(each, zone) for each in seen]
    for each in shown:
        meant = wall + (each - wall) // length * length
        was_skipped = timezones.wall_clock(slot_of(meant, zone), zone) != meant
        assert each == meant or was_skipped, "the clock shows that time, but where it was skipped"
    first, last = ((each - wall) // length for each in (shown[0], shown[-1]))
    expected = {slot_of(wall + number * length, zone) for number in range(first - 1, last + 2)}
    assert seen == sorted(each for each in expected if seen[0] <= each <= seen[-1]), "and each has one run"


def a_rule(draw: st.DrawFn) -> str:
    """Make a rule with parts that choose days and times of day, or none."""
    unit = draw(st.sampled_from(["HOURLY", "DAILY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={unit}"]
    some = draw(st.integers(0, 3))
    chosen = draw(st.lists(st.sampled_from(sorted(PARTS)), min_size=some, max_size=some, unique=True))
    if unit == "HOURLY":
        chosen = [name for name in chosen if name != "BYHOUR"] or ["BYMINUTE"]
    for name in chosen:
        values = draw(st.lists(PARTS[name], min_size=1, max_size=3, unique=True))
        parts.append(f"{name}={','.join(map(str, values))}")
    if unit in {"MONTHLY", "YEARLY"} and "BYDAY" in chosen and draw(st.booleans()):
        parts.append(f"BYSETPOS={draw(st.sampled_from([1, 2, -1]))}")
    parts.append(f"INTERVAL={draw(st.sampled_from([1, 1, 2, 3, 5]))}")
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(['MO', 'SU']))}")
    return ";".join(parts)


PARTS = {
    "BYDAY": st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]),
    "BYMONTHDAY": st.sampled_from([1, 2, 13, 28, 29, 30, 31, -1]),
    "BYMONTH": st.integers(1, 12),
    "BYHOUR": st.sampled_from([0, 1, 2, 3, 4, 23]),
    "BYMINUTE": st.sampled_from([0, 15, 20, 30, 45, 59]),
}


@st.composite
def rules(draw: st.DrawFn) -> str:
    return a_rule(draw)


@given(name=zones, wall=walls, rule=rules(), later=st.timedeltas(timedelta(0), timedelta(days=2500)))
@settings(max_examples=300, deadline=None)
def test_a_rule_has_the_slots_that_a_second_reckoning_finds(
    name: str, wall: datetime, rule: str, later: timedelta
) -> None:
    """Whatever the rule, the zone and the moment, the next slot is that of a rule counted out from its start."""
    zone = timezones.zone(name)
    parsed = recurrence.parse(pattern_of(name, wall, rule), NOON)
    moment = parsed.start + later
    known = slots_around(rule, wall, zone, moment)
    ahead = [slot for slot in known if slot > moment]
    following = parsed.after(moment)
    if not ahead:
        assert following is None or following > moment + timedelta(days=798)
        return
    assert following == ahead[0]
    if len(ahead) > 1:
        assert parsed.after(following) == ahead[1]
    assert parsed.after(following - timedelta(microseconds=1)) == following, "asked later, it is still the next"
    behind = [slot for slot in known if slot <= moment]
    if behind:
        assert parsed.after(behind[-1]) == following


@given(name=zones, wall=walls, rule=rules(), count=st.integers(1, 12))
@settings(max_examples=100, deadline=None)
def test_a_rule_that_is_counted_ends_after_its_last_slot(name: str, wall: datetime, rule: str, count: int) -> None:
    zone = timezones.zone(name)
    naive = naive_slots(rule, wall, wall + timedelta(days=3650))
    # Times that were skipped and fall on real ones are counted, but are one slot.
    known = list(islice(naive, count))
    assume(len(known) == count)
    counted = list(recurrence.parse(pattern_of(name, wall, f"{rule};COUNT={count}"), NOON))
    assert counted == sorted({slot_of(each, zone) for each in known})


@given(
    interval=st.integers(1, 365),
    start=st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - as above
    later=st.timedeltas(timedelta(0), timedelta(days=4000)),
)
def test_the_next_run_is_ahead_and_on_the_grid(interval: int, start: datetime, later: timedelta) -> None:
    start = start.replace(microsecond=0)
    following = recurrence.next_run(f"FREQ=DAILY;INTERVAL={interval}", start, after=start + later)
    assert following is not None
    assert timedelta(0) < following - (start + later) <= timedelta(days=interval)
    assert (following - start) % timedelta(days=interval) == timedelta(0)


def test_a_wall_clock_is_read_in_every_zone() -> None:
    """The zones come with the package, so they are there whatever the machine knows."""
    assert len(timezones.names()) > 500
    for name in timezones.names():
        assert timezones.moment(timezones.wall_clock(NOON, timezones.zone(name)), timezones.zone(name)) == NOON


# Operations that recur ------------------------------------------------------------------------------------------------

DAILY = "DTSTART;TZID=Europe/Berlin:20260301T090000 RRULE:FREQ=DAILY"


def submitted(pattern: str, **members: object) -> Submission:
    return Submission.of(operationtype=54, recurrencepattern=pattern, **members)


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        (DAILY, datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ("DTSTART;TZID=Europe/Berlin:20260301T130000 RRULE:FREQ=DAILY", None),
        ("DTSTART;TZID=Europe/Berlin:20300101T090000 RRULE:FREQ=DAILY", datetime(2030, 1, 1, 8, tzinfo=UTC)),
        ("DTSTART;TZID=Europe/Berlin:20260301T130001 RRULE:FREQ=DAILY", NOON + timedelta(seconds=1)),
        ("DTSTART;TZID=Europe/Berlin:20260301T140000 RRULE:FREQ=WEEKLY;BYDAY=WE", datetime(2026, 3, 4, 13, tzinfo=UTC)),
    ],
)
def test_the_first_run_is_the_first_slot_from_now_on(pattern: str, first: datetime | None) -> None:
    operation = submitted(pattern).operation(now=NOON, new_id=an_id())
    assert operation.postponeuntil == first
    assert operation.statuscode is (StatusCode.WAITING_FOR_RESOURCES if first is None else StatusCode.WAITING)
    assert operation.recurrencestarttime == recurrence.parse(pattern, NOON).start


def test_a_start_is_said_once() -> None:
    same = submitted(DAILY, recurrencestarttime="2026-03-01T09:00:00+01:00").operation(now=NOON, new_id=an_id())
    assert same.recurrencestarttime == datetime(2026, 3, 1, 8, tzinfo=UTC)
    with pytest.raises(InvalidOperation, match="leave out recurrencestarttime"):
        submitted(DAILY, recurrencestarttime=NOON).operation(now=NOON, new_id=an_id())


def test_a_rule_that_is_over_is_refused() -> None:
    over = "DTSTART;TZID=Europe/Berlin:20250301T090000 RRULE:FREQ=DAILY;COUNT=3"
    with pytest.raises(InvalidOperation, match="has no slot from now on"):
        submitted(over).operation(now=NOON, new_id=an_id())


@pytest.fixture
async def world(clock: VirtualClock) -> World:
    return await World(MemoryStorage(clock.now), clock).open()


async def test_a_run_that_was_missed_is_run_once_and_then_the_next_regular_one(world: World) -> None:
    """Berlin puts its clocks forward while the service is down."""
    berlin = timezones.zone("Europe/Berlin")
    ran: list[str] = []

    async def handler(context: OperationContext) -> Outcome:
        ran.append(timezones.wall_clock(context.now(), berlin).isoformat(timespec="minutes"))

    world.handle(handler)
    operation = submitted("DTSTART;TZID=Europe/Berlin:20260327T023000 RRULE:FREQ=DAILY").operation(
        now=world.clock.now(), new_id=an_id()
    )
    await world.engine.submit(operation)
    await world.pass_time(datetime(2026, 3, 27, 1, 0, tzinfo=UTC) - world.clock.now(), step=timedelta(days=1))
    assert ran == []
    await world.pass_time(timedelta(hours=1))
    assert ran == ["2026-03-27T02:30"]
    world.clock.jump(timedelta(days=2, hours=3))
    await world.pass_time(timedelta(minutes=30))
    assert ran[1:] == ["2026-03-29T07:01"], "those of the 28th and the 29th were missed: one run for both"
    await world.pass_time(timedelta(days=1), step=timedelta(minutes=30))
    assert ran[2:] == ["2026-03-30T02:30"], "and the next regular one"


async def test_a_time_that_is_skipped_and_one_that_comes_twice_are_run_once(world: World) -> None:
    ran: list[datetime] = []

    async def handler(context: OperationContext) -> Outcome:
        ran.append(context.now())

    world.handle(handler)
    for pattern in ("20260328T023000", "20261024T023000"):
        rule = f"DTSTART;TZID=Europe/Berlin:{pattern} RRULE:FREQ=DAILY;COUNT=3"
        operation = submitted(rule).operation(now=world.clock.now(), new_id=an_id())
        await world.engine.submit(operation)
    await world.pass_time(timedelta(days=30), step=timedelta(minutes=30))
    assert [each.isoformat() for each in ran] == [
        "2026-03-28T01:30:00+00:00",
        "2026-03-29T01:30:00+00:00",
        "2026-03-30T00:30:00+00:00",
    ]
    ran.clear()
    world.clock.jump(datetime(2026, 10, 23, tzinfo=UTC) - world.clock.now())
    await world.pass_time(timedelta(days=5), step=timedelta(minutes=30))
    assert [each.isoformat() for each in ran] == [
        "2026-10-24T00:30:00+00:00",
        "2026-10-25T00:30:00+00:00",
        "2026-10-26T01:30:00+00:00",
    ]


async def test_a_host_whose_clock_goes_back_does_not_run_a_slot_again(world: World) -> None:
    """The clock that says when a slot has come and the one that says that its run is over may be apart."""
    ran: list[datetime] = []

    async def handler(context: OperationContext) -> Outcome:
        ran.append(context.now())
        world.clock.jump(timedelta(seconds=-2))

    world.handle(handler)
    first = datetime(2026, 3, 2, 8, tzinfo=UTC)
    operation = submitted(DAILY).operation(now=world.clock.now(), new_id=an_id())
    await world.engine.submit(operation)
    world.clock.jump(first - world.clock.now())
    await world.run_everything()
    assert ran == [first]
    assert (await world.get(operation.asyncoperationid)).postponeuntil == first + DAY
