"""The measurement of what a history costs measures that, and the bound that follows from it holds."""

from datetime import timedelta

from asyncservice.operations import codec, creation, lifecycle
from asyncservice.operations.errors import ErrorCode
from bench import history
from tests.support import NOON, an_operation


def test_a_record_that_keeps_less_of_its_history_is_written_for_less() -> None:
    bound = codec.MAX_HISTORY
    much, little = history.measure(4 * bound, runs=250), history.measure(bound, runs=250)
    assert bound == codec.MAX_HISTORY
    assert little.bytes_a_write < much.bytes_a_write / 2
    assert little.archived_a_write > much.archived_a_write > 0
    assert bound < much.largest < 3 * 4 * bound


def test_what_an_operation_that_fails_ten_times_has_to_tell_fits_its_record() -> None:
    """So the removal of such a one, which is common, need not look for rows of archived history."""
    operation, now = creation.created(an_operation()), NOON
    code, message = ErrorCode.NETWORK, "ConnectionResetError: " + "x" * 1000
    for number in range(10):
        operation = lifecycle.claimed(
            operation, now=now, host="vm-0123456789ab-4711-a1b2c3", lease=timedelta(minutes=1)
        )
        if number < 9:
            now += timedelta(hours=1)
            operation = lifecycle.tried_later(operation, now=now, due=now, code=code, message=message)
    operation = lifecycle.failed(operation, now=now, code=code, message=message)
    assert len(operation.history) == 30
    assert codec.split_history(operation.history) == ((), operation.history)
