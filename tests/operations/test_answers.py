"""HTTP answers that say no: retried or suspended as the reference says, and not before they ask to be asked again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.operations.answers import LONGEST_WAIT, refusal, retry_after
from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.handling import OperationContext, Outcome, RetryOperation, SuspendOperation
from asyncservice.operations.retry import RetryPolicy
from asyncservice.operations.states import StatusCode
from asyncservice.storage.account import Storage
from tests.operations.world import World
from tests.support import NOON, VirtualClock

#: 90 seconds after NOON.
A_DATE = "Sun, 01 Mar 2026 12:01:30 GMT"


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"Retry-After": "90"}, timedelta(seconds=90)),
        ({"retry-after": " 90 "}, timedelta(seconds=90)),
        ({"Retry-After": "0"}, timedelta(0)),
        ({"Retry-After": A_DATE}, timedelta(seconds=90)),
        ({"Retry-After": "Sunday, 01-Mar-26 12:01:30 GMT"}, timedelta(seconds=90)),
        ({"Retry-After": "Sun Mar  1 12:01:30 2026"}, timedelta(seconds=90)),
        ({"Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}, timedelta(0)),
        ({"Retry-After": "Fri, 01 Mar 2086 12:00:00 GMT"}, LONGEST_WAIT),
        ({"Retry-After": "86401"}, LONGEST_WAIT),
        ({"Retry-After": "9" * 4000}, LONGEST_WAIT),
        ({"Retry-After-Ms": "1500", "Retry-After": "2"}, timedelta(milliseconds=1500)),
        ({"x-ms-retry-after-ms": "250"}, timedelta(milliseconds=250)),
        ({"x-ms-retry-after-ms": "soon", "Retry-After": "2"}, timedelta(seconds=2)),
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "9" * 5000}, None),
    ],
)
def test_how_long_an_answer_asks_to_be_left_alone(headers: dict[str, str], asked: timedelta | None) -> None:
    assert retry_after(headers, now=NOON) == asked


@given(st.text(max_size=60))
def test_whatever_an_answer_says_it_can_be_read(text: str) -> None:
    asked = retry_after({"Retry-After": text}, now=NOON)
    assert asked is None or timedelta(0) <= asked <= LONGEST_WAIT


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - st wants naive bounds
def test_every_date_is_read_as_the_time_until_then(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    asked = retry_after({"Retry-After": format_datetime(moment, usegmt=True)}, now=NOON)
    assert asked == min(max(moment - NOON, timedelta(0)), LONGEST_WAIT)


def test_unauthorized_waits_for_a_person_and_everything_else_is_tried_again() -> None:
    unauthorized = refusal(401, {"Retry-After": "5"}, now=NOON, what="GET https://example.com")
    assert isinstance(unauthorized, SuspendOperation)
    for status in (400, 403, 404, 408, 429, 500, 502, 503, 504, 599):
        tried_again = refusal(status, {"Retry-After": "5"}, now=NOON, what="GET https://example.com")
        assert isinstance(tried_again, RetryOperation)
        assert (tried_again.code, tried_again.after) == (ErrorCode.NETWORK, timedelta(seconds=5))
    busy = refusal(429, {}, now=NOON, what="GET https://example.com")
    assert str(busy) == "GET https://example.com was answered 429 Too Many Requests."
    assert str(refusal(599, {}, now=NOON, what="It")) == "It was answered 599."


def test_those_who_were_told_the_same_do_not_come_back_together() -> None:
    rng = Random(7)
    asked = timedelta(minutes=10)
    due = [RetryPolicy().next_attempt(retries=0, now=NOON, random=rng, not_before=asked) for _ in range(50)]
    moments = [each for each in due if each is not None]
    assert len(set(moments)) == 50
    assert min(moments) >= NOON + asked
    assert max(moments) <= NOON + asked * 1.2


async def test_a_throttled_operation_is_run_again_when_it_may_be(storage: Storage, clock: VirtualClock) -> None:
    world = await World(storage, clock).open()
    asked = list[datetime]()

    async def handler(context: OperationContext) -> Outcome:
        asked.append(context.now())
        if len(asked) == 1:
            raise refusal(429, {"Retry-After": A_DATE}, now=context.now(), what="GET https://example.com")
        return None

    world.handle(handler)
    operation_id = await world.submit()
    await world.run_everything()
    waiting = await world.get(operation_id)
    assert waiting.statuscode is StatusCode.WAITING
    assert waiting.postponeuntil is not None
    assert timedelta(seconds=90) <= waiting.postponeuntil - NOON <= timedelta(seconds=108)
    assert waiting.errorcode == ErrorCode.NETWORK
    await clock.advance(waiting.postponeuntil - NOON)
    await world.engine.run_one(world.engine.store.place(waiting))
    done = await world.get(operation_id)
    assert (done.statuscode, done.retrycount, len(asked)) == (StatusCode.SUCCEEDED, 1, 2)
