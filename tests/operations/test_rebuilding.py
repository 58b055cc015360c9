"""A history tells the life of its record: whatever moves are made, the record can be rebuilt from it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from asyncservice.operations import awaiting, creation, history, lifecycle, requests
from asyncservice.operations.errors import InvalidOperation, StateChangeRefused
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.rebuilding import CLOCK_SKEW, deviations, rebuilt
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.operations.transition import millisecond
from tests.support import NOON, an_operation

type Step = Callable[[AsyncOperation, datetime], AsyncOperation]

LEASE = timedelta(seconds=60)
LATER = timedelta(minutes=7, microseconds=1234)
LONG_TEXT = "ein Fehler " * 50

#: Everything that may happen to an operation.
STEPS: dict[str, Step] = {
    # Also takes over what died, and what is due.
    "claim": lambda each, now: lifecycle.claimed(each, now=now, host=f"host-{now.second}", lease=LEASE),
    "interrupt": lambda each, now: lifecycle.interrupted(each, now=now, reason="leaving"),
    "yield": lambda each, now: lifecycle.yielded(each, now=now, checkpoint=1),
    "wait": lambda each, now: lifecycle.waiting(each, now=now, until=now + LATER, message="later"),
    "wait for somebody": lambda each, now: lifecycle.waiting(each, now=now, until=None),
    "wait for children": lambda each, now: awaiting.waiting_for_children(each, now=now),
    "wait for an event": lambda each, now: awaiting.waiting_for_event(each, now=now, name="e", until=now + LATER),
    "join": lambda each, now: awaiting.joined(each, now=now),
    "inform": lambda each, now: awaiting.informed(each, now=now, event="e"),
    "succeed": lambda each, now: lifecycle.succeeded(each, now=now, message="done"),
    "fail": lambda each, now: lifecycle.failed(each, now=now, code=-7, message=LONG_TEXT),
    "fail shortly": lambda each, now: lifecycle.failed(each, now=now, code=-8, message=""),
    "try later": lambda each, now: lifecycle.tried_later(each, now=now, due=now + LATER, code=-9, message="busy"),
    "suspend": lambda each, now: lifecycle.suspended(each, now=now, code=-10, message="unauthorized"),
    "stop": lambda each, now: lifecycle.stopped(each, now=now),
    "fall due": lambda each, now: lifecycle.fallen_due(each, now=now),
    "cancel": lambda each, now: requests.cancelled(each, now=now),
    "pause": lambda each, now: requests.paused(each, now=now),
    "resume": lambda each, now: requests.resumed(each, now=now),
    "postpone": lambda each, now: requests.postponed(each, now=now, until=now + LATER),
    "retry": lambda each, now: requests.retried(each, now=now),
}


def a_life(*steps: str, apart: timedelta = timedelta(seconds=1, microseconds=500), **columns: object) -> AsyncOperation:
    """Return an operation after these steps."""
    operation = creation.created(an_operation(**columns))  # type: ignore[arg-type]
    now = NOON
    for step in steps:
        now += apart
        operation = STEPS[step](operation, now)
    return operation


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(sorted(STEPS)), st.timedeltas(timedelta(0), timedelta(hours=3))), max_size=40
    ),
    recurs=st.booleans(),
    waits=st.booleans(),
)
def test_whatever_happens_the_record_can_be_rebuilt(
    steps: list[tuple[str, timedelta]],
    recurs: bool,  # noqa: FBT001 - Hypothesis passes them so
    waits: bool,  # noqa: FBT001 - as above
) -> None:
    operation = creation.created(
        an_operation(
            recurrencepattern="FREQ=DAILY;COUNT=3" if recurs else None,
            statuscode=StatusCode.WAITING if waits else StatusCode.WAITING_FOR_RESOURCES,
            postponeuntil=NOON + LATER if waits else None,
        )
    )
    now = NOON
    made = 0
    for name, passed in steps:
        now += passed
        with suppress(StateChangeRefused, InvalidOperation):
            operation = STEPS[name](operation, now)
            made += 1
        assert list(deviations(operation, operation.history)) == []
        read_back = history.read(history.write(operation.history))
        assert read_back == operation.history
    event(f"moves made: {min(made, 9)}{'+' if made > 9 else ''}")


def test_a_life_is_told_in_full() -> None:
    operation = a_life("claim", "try later", "fall due", "claim", "fail")
    life = rebuilt(operation.history)
    assert (life.statuscode, life.attempt, life.retrycount, life.errorcode) == (StatusCode.FAILED, 2, 1, -7)
    assert life.hostid == operation.hostid == "host-4"
    assert life.message is not None
    assert life.message.startswith("ein Fehler")
    assert operation.completedon is not None
    assert life.completedon == millisecond(operation.completedon)


def test_a_retry_and_a_suspension_are_told_apart() -> None:
    retried = a_life("claim", "try later", "fall due", "claim", "try later")
    suspended = a_life("claim", "try later", "fall due", "claim", "suspend")
    assert [rebuilt(each.history).retrycount for each in (retried, suspended)] == [2, 1]


def test_what_an_entry_leaves_behind_is_small() -> None:
    operation = a_life("claim", "try later", "resume", "claim", "succeed")
    assert len(history.write(operation.history)) < 320


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"statuscode": StatusCode.SUCCEEDED}, "statuscode is Succeeded, its history says Failed"),
        ({"attempt": 5}, "attempt is 5, its history says 2"),
        ({"hostid": "another"}, "hostid is another, its history says host-4"),
        ({"retrycount": 0}, "retrycount is 0, its history says 1"),
        ({"startedon": NOON}, "startedon is 2026-03-01T12:00:00+00:00, its history says 2026-03-01T12:00:01+00:00"),
        ({"completedon": None}, "completedon is empty, its history says"),
        ({"readyon": NOON}, "readyon is"),
        ({"postponeuntil": NOON}, "postponeuntil is 2026-03-01T12:00:00+00:00, its history says empty"),
        ({"awaits": "children"}, "awaits is children, its history says empty"),
        ({"executiontimespan": 3600.0}, "executiontimespan is 3600.0, its history says"),
        ({"errorcode": None}, "errorcode is empty, its history says -7"),
        ({"message": "all is well"}, "message is all is well, its history says ein Fehler"),
        ({"claimedon": NOON}, "claimedon is 2026-03-01T12:00:00+00:00, its history says empty"),
        ({"leaseuntil": NOON}, "it is Failed and leaseuntil is"),
        ({"iswaitingforevent": True}, "iswaitingforevent is True and awaits is None"),
        ({"agendaon": NOON}, "it is Failed and agendaon is"),
        ({"tokennumber": 3}, "it is Failed and tokennumber is 3"),
        ({"blockedby": UUID(int=1)}, "it is Failed and blockedby is"),
        ({"version": 2}, "it was written 2 times and has moved"),
        ({"modifiedon": NOON - timedelta(minutes=1)}, "modifiedon is"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_every_column_that_was_changed_is_found(columns: dict[str, object], said: str) -> None:
    operation = a_life("claim", "try later", "fall due", "claim", "fail")
    assert list(deviations(operation, operation.history)) == []
    found = list(deviations(replace(operation, **columns), operation.history))  # type: ignore[arg-type]
    assert any(said in each for each in found), found


def changed(number: int, **members: object) -> Callable[[tuple[HistoryEntry, ...]], tuple[HistoryEntry, ...]]:
    return lambda entries: (*entries[:number], replace(entries[number], **members), *entries[number + 1 :])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: (), "its history is empty"),
        (lambda entries: entries[1:], "its history begins with claim, attempt 1, not with create"),
        (lambda entries: entries[:-1], "statuscode is Failed, its history says In Progress"),
        (lambda entries: entries[:1] + entries[2:], "moves from Waiting For Resources to Waiting by try later"),
        (changed(1, action="teleport"), "to In Progress by teleport"),
        (changed(1, attempt=7), "entry 2 of its history (claim) is of attempt 7 and should be of 1"),
        (changed(1, host=None), "entry 2 of its history is a claim of no host"),
        (changed(2, on=NOON - timedelta(hours=1)), "entry 3 of its history is of 2026-03-01T11:00:00+00:00, before"),
        (changed(2, status=StatusCode.SUCCEEDED), "entry 3 of its history moves from In Progress to Succeeded by"),
        (changed(5, code=1), "errorcode is -7, its history says 1"),
    ],
)
def test_every_change_of_the_history_is_found(
    change: Callable[[tuple[HistoryEntry, ...]], tuple[HistoryEntry, ...]], said: str
) -> None:
    operation = a_life("claim", "try later", "fall due", "claim", "fail")
    found = list(deviations(operation, change(operation.history)))
    assert any(said in each for each in found), found


def test_clocks_of_two_hosts_may_differ_a_little() -> None:
    operation = a_life("claim", "yield")
    behind = lifecycle.claimed(operation, now=operation.modifiedon - CLOCK_SKEW, host="slow", lease=LEASE)
    assert list(deviations(behind, behind.history)) == []
    further = lifecycle.claimed(
        operation, now=operation.modifiedon - CLOCK_SKEW - timedelta(milliseconds=2), host="slow", lease=LEASE
    )
    assert any("before the entry before it" in each for each in deviations(further, further.history))


def test_a_column_that_was_not_loaded_is_not_compared() -> None:
    operation = replace(a_life("claim", "fail"), message=None)
    assert list(deviations(operation, operation.history, unread={"message"})) == []
    assert list(deviations(operation, operation.history)) != []
