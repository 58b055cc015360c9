"""How long an empty queue is left alone."""

from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from asyncservice.devhost.backoff import SHORTEST, Backoff

LONGEST = timedelta(seconds=2)


def test_after_a_message_the_wait_is_the_shortest() -> None:
    backoff = Backoff(LONGEST, Random(1))
    for _ in range(10):
        backoff.next(found=False)

    assert backoff.next(found=True) == SHORTEST


def test_waits_grow_to_the_longest_and_stay_there() -> None:
    backoff = Backoff(LONGEST, Random(1))
    waits = [backoff.next(found=True), *(backoff.next(found=False) for _ in range(10))]

    assert waits == sorted(waits)
    assert waits[1] > SHORTEST
    assert waits[-1] == waits[-2] == LONGEST


def test_growth_is_random_so_that_hosts_do_not_poll_in_step() -> None:
    def third(seed: int) -> timedelta:
        backoff = Backoff(timedelta(minutes=1), Random(seed))
        return [backoff.next(found=False) for _ in range(3)][-1]

    assert len({third(seed) for seed in range(5)}) > 1


@given(st.lists(st.booleans(), max_size=40), st.integers(100, 60_000), st.integers())
def test_no_wait_is_shorter_or_longer_than_documented(founds: list[bool], longest: int, seed: int) -> None:
    backoff = Backoff(timedelta(milliseconds=longest), Random(seed))
    for found in founds:
        assert SHORTEST <= backoff.next(found=found) <= timedelta(milliseconds=longest)
