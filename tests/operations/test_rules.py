"""Retries, ids, types and columns: the pure rules."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.operations import ids
from asyncservice.operations.columns import CLIENT_WRITABLE, COLUMNS
from asyncservice.operations.errors import InvalidOperation
from asyncservice.operations.operationtypes import PLATFORM_TYPES, Family, OperationType
from asyncservice.operations.record import DATAVERSE_FIELDS, check
from asyncservice.operations.retry import RetryPolicy
from tests.support import NOON, an_operation

moments = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - st wants naive bounds


@given(retries=st.integers(0, 10_000), seed=st.integers(0, 1000))
def test_a_retry_comes_within_its_bounds(retries: int, seed: int) -> None:
    policy = RetryPolicy(max_attempts=20_000)
    due = policy.next_attempt(retries=retries, now=NOON, random=Random(seed))
    assert due is not None
    delay = due - NOON
    assert policy.first_delay * 0.8 <= delay <= policy.longest_delay * 1.2


def test_retries_end() -> None:
    policy = RetryPolicy(max_attempts=4)
    assert [policy.next_attempt(retries=n, now=NOON, random=Random(1)) is None for n in range(5)] == [
        False, False, False, True, True,
    ]  # fmt: skip


def test_a_retry_waits_as_long_as_the_other_side_asked() -> None:
    asked = timedelta(hours=2)
    due = RetryPolicy().next_attempt(retries=0, now=NOON, random=Random(1), not_before=asked)
    assert due is not None
    assert NOON + asked <= due <= NOON + asked * 1.2, "never sooner, and not together with all the others"


@given(now=moments, shard=st.integers(0, 255), seed=st.integers(0, 2**32))
def test_an_id_of_ours_says_where_it_lives(now: datetime, shard: int, seed: int) -> None:
    made = ids.new_id(now, Random(seed).getrandbits, shard=shard)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert ids.partition_of(made, 256) == ids.partition_name(shard)
    place = ids.known_place(made, 16)
    assert place is not None
    assert place == ids.place_of(made, 16, NOON)
    assert not ids.needs_alias(made, place, 16)


@given(first=moments, second=moments, seed=st.integers(0, 2**32))
def test_the_newest_comes_first(first: datetime, second: datetime, seed: int) -> None:
    bits = Random(seed).getrandbits
    ours = [ids.new_id(moment, bits) for moment in sorted((first, second))]
    theirs = [UUID(int=bits(128), version=4) for _ in range(2)]
    for pair in (ours, theirs):
        moments_in_order = zip(pair, sorted((first, second)), strict=True)
        older, newer = (ids.place_of(each, 1, moment).key for each, moment in moments_in_order)
        if abs(first - second) >= timedelta(milliseconds=2):
            assert newer < older


@given(now=moments, text=st.text())
def test_the_same_message_makes_the_same_id(now: datetime, text: str) -> None:
    assert ids.derived_id(now, text) == ids.derived_id(now, text)
    assert ids.derived_id(now, text) != ids.derived_id(now, text + "x")


def test_a_callers_own_id_needs_an_alias() -> None:
    own = uuid4()
    assert ids.known_place(own, 16) is None
    assert ids.alias_key(own) == "i" + own.hex
    assert ids.needs_alias(own, ids.place_of(own, 16, NOON), 16)


@given(moment=moments)
def test_an_agenda_row_says_when_and_which(moment: datetime) -> None:
    place = ids.place_of(UUID(int=1), 16, NOON)
    key = ids.agenda_key(moment, place)
    assert ids.agenda_record_key(key) == place.key
    assert timedelta(0) <= moment - ids.agenda_moment(key) < timedelta(milliseconds=2)
    assert key < ids.agenda_until(moment + timedelta(milliseconds=2))


def test_every_published_type_is_there() -> None:
    assert len(OperationType) == 117
    assert (OperationType.BULK_DELETE.value, OperationType.BULK_DELETE.label) == (13, "Bulk Delete")
    for name in (13, "13", "BulkDelete", "Bulk Delete", "bulk delete", "BULK_DELETE"):
        assert OperationType.parse(name) is OperationType.BULK_DELETE
    for name in (33, "33", "Nonsense", ""):
        assert OperationType.parse(name) is None


def test_every_type_has_a_family_and_every_family_a_type() -> None:
    assert {each.family for each in OperationType} == set(Family)
    assert len({family.queue_name for family in Family}) == 10


def test_the_published_platform_types() -> None:
    assert sorted(PLATFORM_TYPES) == [9, 16, 18, 19, 20, 22, 24, 25, 27, 31]


def test_the_record_has_every_stored_column() -> None:
    stored = {name for name, column in COLUMNS.items() if not column.virtual}
    # statecode follows from statuscode, so the record has it as a property.
    assert stored - set(DATAVERSE_FIELDS) == {"statecode"}
    assert len(COLUMNS) == 72
    assert {"statecode", "statuscode", "postponeuntil", "recurrencepattern"} == CLIENT_WRITABLE


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("name", "x" * 257),
        ("dependencytoken", "x" * 257),
        ("messagename", "x" * 161),
        ("depth", -1),
        ("subtype", 256),
        ("postponeuntil", datetime(2026, 1, 1)),  # noqa: DTZ001 - the mistake under test
        ("operationtype", 33),
    ],
)
def test_a_column_that_holds_too_much_is_named(column: str, value: object) -> None:
    operation = an_operation()
    changed = {name: getattr(operation, name) for name in DATAVERSE_FIELDS} | {column: value}
    with pytest.raises(InvalidOperation, match=column):
        check(type(operation)(**changed))
