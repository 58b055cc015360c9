"""What the command line shows fits where it is shown."""

import io
from datetime import date, timedelta

import pytest
from rich.console import Console

from asyncservice import display
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.states import StatusCode
from asyncservice.operations.switch import Stopped
from asyncservice.operations.waitreasons import wait_of
from tests.support import NOON, an_operation

OPERATIONS = [an_operation(name=f"{each.label} " * 4, statuscode=each, successcount=123_456) for each in StatusCode]


def shown(width: int, *, today: date) -> list[str]:
    output = io.StringIO()
    waits = [(each, wait_of(each, stopped=Stopped(), now=NOON)) for each in OPERATIONS]
    table = display.operations_table(waits, today=today, width=width)
    Console(file=output, width=width).print(table)
    return output.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_list_fits_its_terminal_and_cuts_no_id(width: int) -> None:
    lines = shown(width, today=NOON.date())
    assert max(len(line) for line in lines) <= width
    for operation in OPERATIONS:
        [line] = [line for line in lines if str(operation.asyncoperationid) in line]
        assert "12:00:00Z" in line
        assert ("123,456" in line) is (width >= 100)


def test_a_list_of_other_days_shows_the_day() -> None:
    assert sum("2026-03-01" in line for line in shown(80, today=date(2026, 3, 2))) == len(OPERATIONS)


def test_an_operation_is_shown_with_its_history_and_what_it_waits_for() -> None:
    output = io.StringIO()
    operation = an_operation(name="[bold]no markup[/]")
    history = [HistoryEntry(NOON, "create", StatusCode.WAITING_FOR_RESOURCES, reason="because [of] this")]
    wait = wait_of(operation, stopped=Stopped(frozenset(Family)), now=NOON)
    display.show_operation(Console(file=output, width=120), operation, history, wait=wait)
    text = output.getvalue()
    assert "because [of] this" in text
    assert "service_stopped" in text
    assert "Waits for the start of the service: the family execute-requests is stopped." in text
    assert str(operation.asyncoperationid) in text


def test_a_wide_list_says_what_each_waits_for() -> None:
    text = "\n".join(shown(120, today=NOON.date()))
    assert "○ Ready (resources)" in text
    assert "◷ Waiting (person)" in text
    assert "(resources)" not in "\n".join(shown(80, today=NOON.date()))


def test_the_history_says_the_error_and_until_when_it_waits() -> None:
    output = io.StringIO()
    until = NOON + timedelta(hours=1)
    entry = HistoryEntry(NOON, "try later", StatusCode.WAITING, 2, reason="busy", until=until, code=-2147204346)
    display.show_operation(Console(file=output, width=160), an_operation(), [entry], wait=None)
    assert "busy; 0x80044306; until 2026-03-01 13:00:00" in output.getvalue()
