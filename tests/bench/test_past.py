"""The records that stand for years of history are those that the service would have left."""

from asyncservice.operations import codec, ids
from asyncservice.operations.states import StatusCode
from asyncservice.storage.tables import Row
from bench.past import a_completed_operation, stops
from tests.support import NOON


def test_a_completed_record_is_one_that_the_service_can_read() -> None:
    """Created, claimed, succeeded; in the partition that was asked for."""
    operation = a_completed_operation(NOON, 7)

    place = ids.place_of(operation.asyncoperationid, 16, operation.createdon)
    row = Row(place.partition, place.key, codec.to_row(operation, spilled={}), "etag")

    assert codec.from_row(row.values) == (operation, {})
    assert operation.statuscode is StatusCode.SUCCEEDED
    assert [entry.action for entry in operation.history][0::2] == ["create", "succeed"]
    assert place.partition == ids.partition_name(7)


def test_it_is_measured_on_the_way() -> None:
    """With none, some and all."""
    assert stops(1_000_000) == [0, 100_000, 300_000, 1_000_000]
    assert stops(0) == [0]
