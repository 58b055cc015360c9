"""NCRONTAB expressions and intervals; statuses of timers and what is past due."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from asyncservice.devhost.errors import ConfigurationInvalid
from asyncservice.devhost.schedule import ConstantSchedule, is_frequent, parse_schedule
from asyncservice.devhost.schedulestatus import ScheduleStatus, check_status, status_after

#: A Tuesday.
NOW = datetime(2026, 3, 10, 12, 0, 30, 250_000, tzinfo=UTC)


def following(text: str, now: datetime = NOW) -> str:
    return parse_schedule(text, now).next_after(now).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("* * * * * *", "2026-03-10T12:00:31"),
        ("*/5 * * * * *", "2026-03-10T12:00:35"),
        ("0 */5 * * * *", "2026-03-10T12:05:00"),
        ("*/5 * * * *", "2026-03-10T12:05:00"),
        ("0 0 * * * *", "2026-03-10T13:00:00"),
        ("0 0 9-17 * * *", "2026-03-10T13:00:00"),
        ("0 30 9 * * 1-5", "2026-03-11T09:30:00"),
        ("0 30 9 * * MON-FRI", "2026-03-11T09:30:00"),
        ("0 30 9 * Jan Monday", "2027-01-04T09:30:00"),
        ("0 0 0 * * 0", "2026-03-15T00:00:00"),
        ("0 0 0 * * 1/3", "2026-03-12T00:00:00"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
        ("5,8,10 * * * * *", "2026-03-10T12:01:05"),
        ("0 0 0 1 january,july *", "2026-07-01T00:00:00"),
    ],
)
def test_next_occurrences(text: str, moment: str) -> None:
    assert following(text) == moment


def test_a_step_of_weekdays_does_not_reach_sunday_by_its_other_number() -> None:
    schedule = parse_schedule("0 0 0 * * 1/3", NOW)
    days, moment = [], NOW
    for _ in range(4):
        moment = schedule.next_after(moment)
        days.append(moment.strftime("%a"))
    assert days == ["Thu", "Mon", "Thu", "Mon"]


def test_day_of_month_and_day_of_week_must_both_match() -> None:
    # cron itself would take every 13th and every Friday.
    assert following("0 0 0 13 * FRI") == "2026-03-13T00:00:00"
    assert following("0 0 0 14 * FRI") == "2026-08-14T00:00:00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "often",
        "* * * *",
        "60 * * * * *",
        "0 0 0 * * 7",
        "0 0 0 * * 5-7",
        "0 0 0 L * *",
        "0 0 0 * * 5#2",
        "0 0 0 30 2 *",
        "00:00:00",
        "0 0 0 31 2 1",
        "@daily",
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse_schedule(text, NOW)


def test_an_interval_counts_from_the_last_occurrence() -> None:
    assert parse_schedule("01:30:00", NOW) == ConstantSchedule(timedelta(minutes=90))
    assert parse_schedule("01:30:00", NOW).next_after(NOW) == NOW + timedelta(minutes=90)


def test_an_expression_is_read_in_the_zone_of_the_clock() -> None:
    now = NOW.astimezone(ZoneInfo("Europe/Berlin"))
    assert parse_schedule("0 0 9 * * *", now).next_after(now).astimezone(UTC).hour == 8
    summer = now + timedelta(days=60)
    assert parse_schedule("0 0 9 * * *", now).next_after(summer).astimezone(UTC).hour == 7


@pytest.mark.parametrize(
    ("text", "frequent"),
    [
        ("*/30 * * * * *", True),
        ("0 * * * * *", False),
        ("0,5 0 * * * *", True),
        ("00:00:59", True),
        ("00:01:00", False),
    ],
)
def test_schedules_more_frequent_than_a_minute_are_told(text: str, *, frequent: bool) -> None:
    assert is_frequent(parse_schedule(text, NOW), NOW) is frequent


HOURLY = parse_schedule("0 0 * * * *", NOW)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-10T{text}+00:00")


def test_a_new_timer_waits_for_its_next_occurrence() -> None:
    status, past_due = check_status(None, HOURLY, NOW)
    assert not past_due
    assert status == ScheduleStatus(last=None, next=at("13:00:00"), last_updated=NOW)


def test_a_timer_whose_time_passed_is_past_due() -> None:
    stored = ScheduleStatus(last=at("10:00:00"), next=at("11:00:00"), last_updated=at("10:00:00"))
    assert check_status(stored, HOURLY, NOW) == (stored, True)


def test_a_timer_that_never_ran_can_be_past_due() -> None:
    stored = ScheduleStatus(last=None, next=at("11:00:00"), last_updated=at("10:30:00"))
    assert check_status(stored, HOURLY, NOW) == (stored, True)


def test_a_timer_whose_time_is_to_come_is_not_past_due() -> None:
    stored = ScheduleStatus(last=at("12:00:00"), next=at("13:00:00"), last_updated=at("12:00:00"))
    assert check_status(stored, HOURLY, NOW) == (stored, False)


def test_a_changed_schedule_starts_anew() -> None:
    stored = ScheduleStatus(last=at("10:00:00"), next=at("10:05:00"), last_updated=at("10:00:00"))
    status, past_due = check_status(stored, HOURLY, NOW)
    assert not past_due
    assert status == ScheduleStatus(last=None, next=at("13:00:00"), last_updated=NOW)


def test_a_timer_that_fires_early_does_not_fire_twice() -> None:
    status = ScheduleStatus(last=None, next=at("13:00:00"), last_updated=NOW)
    after = status_after(status, HOURLY, at("12:59:59"))
    assert (after.last, after.next) == (at("13:00:00"), at("14:00:00"))


def test_a_run_out_of_schedule_does_not_skip_the_occurrence_to_come() -> None:
    status = ScheduleStatus(last=None, next=at("13:00:00"), last_updated=NOW)
    assert status_after(status, HOURLY, at("12:30:00"), scheduled=False).next == at("13:00:00")


@pytest.mark.parametrize("last", [None, at("12:00:00")])
def test_a_status_is_stored_as_the_real_host_does(last: datetime | None) -> None:
    status = ScheduleStatus(last=last, next=at("13:00:00"), last_updated=NOW)
    document = status.to_json()
    assert set(document) == {"Last", "Next", "LastUpdated"}
    assert ScheduleStatus.from_json(document) == status
    assert last is not None or document["Last"] == "0001-01-01T00:00:00"


def test_statuses_of_the_real_host_are_read() -> None:
    document = {
        "Last": "0001-01-01T00:00:00",
        "Next": "2026-03-10T13:00:00+01:00",
        "LastUpdated": "2026-03-10T12:00:30.2571234+01:00",
    }
    status = ScheduleStatus.from_json(document)
    assert (status.last, status.next) == (None, at("12:00:00"))
