"""How much is let in at once, and when those that were refused may come again."""

from contextlib import ExitStack
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.webapi.admission import WINDOW, Admission, AdmissionLimits
from asyncservice.webapi.faults import ApiError

ANN, BOB = UUID(int=1), UUID(int=2)


class Gate:
    """An admission whose time a test moves."""

    def __init__(self, **limits: object) -> None:
        self.seconds = 12345.6
        made = AdmissionLimits(**({"at_once": 100, "caller_at_once": 100} | limits))  # type: ignore[arg-type]
        self.admission = Admission(made, seconds=lambda: self.seconds)

    def ask(self, caller: UUID = ANN, *, takes: float = 0) -> None:
        with self.admission.any(), self.admission.of(caller):
            self.seconds += takes

    def tried(self, takes: float) -> ApiError | None:
        try:
            self.ask(takes=takes)
        except ApiError as error:
            return error
        return None

    def refused(self, caller: UUID = ANN) -> ApiError:
        with pytest.raises(ApiError) as refused:
            self.ask(caller)
        assert refused.value.status == 429
        assert int(refused.value.headers["Retry-After"]) >= 1
        return refused.value


def test_a_process_answers_so_many_at_once() -> None:
    gate = Gate(at_once=2)
    with gate.admission.any(), gate.admission.any():
        assert gate.refused().code == "0x80072326"
    gate.ask()


def test_a_caller_may_have_so_many_at_once_and_others_do_not_feel_it() -> None:
    gate = Gate(caller_at_once=2)
    with gate.admission.of(ANN), gate.admission.of(ANN):
        assert gate.refused(ANN).code == "0x80072326"
        gate.ask(BOB)
    gate.ask(ANN)


def test_a_request_that_fails_gives_its_place_back() -> None:
    gate = Gate(at_once=1, caller_at_once=1)
    with pytest.raises(KeyError), gate.admission.any(), gate.admission.of(ANN):
        raise KeyError
    gate.ask()


def test_requests_are_counted_over_five_minutes() -> None:
    gate = Gate(caller_requests=3)
    for _ in range(3):
        gate.ask()
        gate.seconds += 20
    refused = gate.refused()
    assert refused.code == "0x80072322"
    gate.ask(BOB)
    gate.seconds += int(refused.headers["Retry-After"])
    gate.ask()
    gate.refused()


def test_what_is_refused_does_not_count() -> None:
    gate = Gate(caller_requests=1)
    gate.ask()
    for _ in range(50):
        gate.refused()
    gate.seconds += WINDOW.total_seconds()
    gate.ask()


def test_time_is_counted_over_five_minutes() -> None:
    gate = Gate(caller_time=timedelta(seconds=10))
    gate.ask(takes=9)
    gate.ask(takes=9)
    refused = gate.refused()
    assert refused.code == "0x80072321"
    gate.seconds += int(refused.headers["Retry-After"])
    gate.ask()


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 40)), max_size=60), st.integers(1, 8), st.integers(1, 100))
def test_whoever_waits_as_long_as_it_was_told_is_let_in(
    asked: list[tuple[float, float]], requests: int, seconds: int
) -> None:
    gate = Gate(caller_requests=requests, caller_time=timedelta(seconds=seconds))
    for pause, takes in asked:
        gate.seconds += pause
        refusals = []
        # Either limit may hold once; whoever has waited for it is not refused by it again.
        while (refused := gate.tried(takes)) is not None:
            wait = int(refused.headers["Retry-After"])
            assert 1 <= wait <= WINDOW.total_seconds()
            gate.seconds += wait
            refusals.append(refused.code)
        assert len(refusals) == len(set(refusals))


@given(st.lists(st.floats(0, 60), min_size=1, max_size=80), st.integers(1, 6))
def test_no_window_ever_holds_more_requests_than_allowed(pauses: list[float], allowed: int) -> None:
    gate = Gate(caller_requests=allowed)
    let_in: list[float] = []
    for pause in pauses:
        gate.seconds += pause
        try:
            gate.ask()
        except ApiError:
            continue
        let_in.append(gate.seconds)
    # The window moves in steps of ten seconds, so it is up to one step shorter than five minutes.
    width = WINDOW.total_seconds() - 10
    assert all(sum(start <= each < start + width for each in let_in) <= allowed for start in let_in)


def test_callers_who_have_gone_are_forgotten_and_those_who_are_here_are_not() -> None:
    gate = Gate(caller_at_once=1, caller_requests=100)
    with ExitStack() as stack:
        stack.enter_context(gate.admission.of(ANN))
        for _ in range(10_050):
            gate.ask(uuid4())
        assert len(gate.admission._tallies) <= 10_051
        gate.refused(ANN)
