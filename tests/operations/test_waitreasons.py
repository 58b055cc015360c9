"""What an operation waits for is said, to people and to programs, without a write for it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from asyncservice.operations import lifecycle
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.plain import as_plain
from asyncservice.operations.states import StatusCode
from asyncservice.operations.switch import Stopped
from asyncservice.operations.waitreasons import WaitReason, friendly, wait_of
from tests.support import NOON, an_operation

LATER, BEFORE = NOON + timedelta(hours=1), NOON - timedelta(hours=1)
OTHER = UUID(int=7)
NOTHING, EVERYTHING = Stopped(), Stopped(frozenset(Family))
READY, WAITING = StatusCode.WAITING_FOR_RESOURCES, StatusCode.WAITING


@pytest.mark.parametrize(
    ("columns", "stopped", "plain"),
    [
        ({"statuscode": READY}, NOTHING, {"reason": "resources"}),
        ({"statuscode": READY}, EVERYTHING, {"reason": "service_stopped", "family": "execute-requests"}),
        ({"statuscode": READY}, Stopped(frozenset({Family.IMPORTS})), {"reason": "resources"}),
        ({"statuscode": READY, "blockedby": OTHER}, EVERYTHING, {"reason": "token", "blockedby": str(OTHER)}),
        ({"statuscode": WAITING}, EVERYTHING, {"reason": "person"}),
        ({"postponeuntil": LATER}, EVERYTHING, {"reason": "time", "until": "2026-03-01T13:00:00+00:00"}),
        ({"postponeuntil": LATER, "blockedby": OTHER}, NOTHING, {"reason": "time", "until": LATER.isoformat()}),
        ({"postponeuntil": BEFORE, "blockedby": OTHER}, NOTHING, {"reason": "token", "blockedby": str(OTHER)}),
        ({"postponeuntil": BEFORE}, EVERYTHING, {"reason": "service_stopped", "family": "execute-requests"}),
        ({"postponeuntil": BEFORE}, NOTHING, {"reason": "resources"}),
        ({"awaits": "children"}, EVERYTHING, {"reason": "children"}),
        ({"awaits": "event:paid"}, EVERYTHING, {"reason": "event", "event": "paid"}),
        (
            {"awaits": "event:paid", "postponeuntil": LATER},
            NOTHING,
            {"reason": "event", "event": "paid", "until": LATER.isoformat()},
        ),
        ({"awaits": "event:paid", "postponeuntil": BEFORE}, NOTHING, {"reason": "resources"}),
    ],
)
def test_a_program_can_read_what_is_waited_for(
    columns: dict[str, Any], stopped: Stopped, plain: dict[str, str]
) -> None:
    operation = an_operation(**{"statuscode": WAITING, **columns})
    wait = wait_of(operation, stopped=stopped, now=NOON)
    assert wait is not None
    told = wait.as_plain()
    assert {name: value for name, value in told.items() if name != "message"} == plain
    assert told["message"].startswith("Waits ")
    assert as_plain(operation, wait=wait)["friendlymessage"] == told["message"]


@pytest.mark.parametrize("status", sorted(set(StatusCode) - {READY, WAITING}))
def test_what_runs_or_is_completed_waits_for_nothing(status: StatusCode) -> None:
    operation = an_operation(statuscode=status)
    assert wait_of(operation, stopped=EVERYTHING, now=NOON) is None
    assert as_plain(operation, wait=None)["waitreason"] is None


def test_every_reason_has_a_sentence_of_its_own() -> None:
    waits = [
        wait_of(an_operation(**columns), stopped=stopped, now=NOON)
        for columns, stopped in (
            ({}, NOTHING),
            ({}, EVERYTHING),
            ({"blockedby": OTHER}, NOTHING),
            ({"statuscode": WAITING}, NOTHING),
            ({"statuscode": WAITING, "postponeuntil": LATER}, NOTHING),
            ({"statuscode": WAITING, "awaits": "children"}, NOTHING),
            ({"statuscode": WAITING, "awaits": "event:paid"}, NOTHING),
        )
    ]
    found = [each for each in waits if each is not None]
    assert {each.reason for each in found} == set(WaitReason)
    assert len({each.text for each in found}) == len(WaitReason)


def test_the_friendly_message_says_it_before_what_the_operation_says_itself() -> None:
    operation = an_operation(friendlymessage="Half of it is done.")
    wait = wait_of(operation, stopped=EVERYTHING, now=NOON)
    said = friendly(operation, wait)
    assert said is not None
    assert said.startswith("Waits for the start of the service")
    assert said.endswith("Half of it is done.")
    assert friendly(operation, None) == "Half of it is done."


def test_it_is_not_said_twice() -> None:
    operation = an_operation(blockedby=OTHER, friendlymessage=lifecycle.waits_for(OTHER))
    assert friendly(operation, wait_of(operation, stopped=NOTHING, now=NOON)) == operation.friendlymessage
