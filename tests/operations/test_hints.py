"""Hints: what a message says, what goes with it, and what is sent together."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from asyncservice.operations import hints
from asyncservice.operations.hints import Hints, Ticket
from asyncservice.operations.ids import Place
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.record import Stored
from asyncservice.storage.account import Storage
from asyncservice.storage.queues import MAX_MESSAGE_BYTES
from tests.operations.world import World
from tests.support import NOON, VirtualClock, an_operation


@pytest.fixture
async def world(storage: Storage, clock: VirtualClock) -> World:
    return await World(storage, clock).open()


PLACES = [Place("00", f"o{number}") for number in range(40)]


async def stored(world: World, **columns: object) -> Stored:
    return await world.engine.submit(an_operation(**columns))  # type: ignore[arg-type]


async def test_a_copy_is_the_record_to_the_letter(world: World) -> None:
    written = await stored(
        world, data='{"text": "Grüße \\"twice\\""}', dependencytoken="t", depth=3, postponeuntil=NOON, subtype=7
    )
    place = world.engine.store.place(written.operation)

    [read] = hints.read_tickets(hints.write_tickets([hints.ticket(place, written)]))

    assert read.place == place
    assert read.copy is not None
    assert read.copy.operation == written.operation
    assert await world.engine.store.read_place(place) == read.copy
    assert read.copy.etag == written.etag


async def test_a_record_that_is_not_all_there_or_long_goes_without_a_copy(world: World) -> None:
    written = await stored(world, data="x" * hints.MAX_COPY)
    place = world.engine.store.place(written.operation)
    incomplete = replace(written, spilled={"data": "blob"})
    unknown = replace(written, etag="")
    tickets = [hints.ticket(place, each) for each in (written, incomplete, unknown)]
    assert [each.copy for each in hints.read_tickets(hints.write_tickets(tickets))] == [None, None, None]


@pytest.mark.parametrize("character", ["x", '"', "世", "\\", "&", "\0"])
async def test_the_largest_message_fits_its_queue(world: World, character: str) -> None:
    written = await stored(world, name="n", data=character * 1_000)
    tickets = [Ticket(place, written) for place in PLACES[: hints.MAX_TICKETS]]
    text = hints.write_tickets(tickets)
    assert len(text.encode()) <= MAX_MESSAGE_BYTES
    assert [each.place for each in hints.read_tickets(text)] == PLACES[: hints.MAX_TICKETS]
    assert hints.read_tickets(text)[0].copy == written


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", '{"operations": 1}', '{"operations": [["a"]]}'])
def test_what_is_no_ticket_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own error is one of them
        hints.read_tickets(text)


async def test_hints_of_a_family_that_are_sent_together_go_as_one(world: World) -> None:
    sent = Hints(world.storage, linger=None)
    await asyncio.gather(*(sent.send(Family.IMPORTS, [Ticket(place)], now=NOON) for place in PLACES))
    await sent.send(Family.WORKFLOWS, [Ticket(PLACES[0])], now=NOON, due=NOON + timedelta(hours=1))

    messages = [each.text for each in await world.storage.queue(Family.IMPORTS.queue_name).peek(count=32)]
    assert [len(hints.read_tickets(text)) for text in messages] == [hints.MAX_TICKETS, 40 - hints.MAX_TICKETS]
    assert [ticket.place for text in messages for ticket in hints.read_tickets(text)] == PLACES
    assert not await world.storage.queue(Family.WORKFLOWS.queue_name).peek(count=32)


async def test_a_copy_that_is_out_of_date_is_read_again(world: World) -> None:
    written = await stored(world)
    place = world.engine.store.place(written.operation)
    message = hints.write_tickets([hints.ticket(place, written)])
    await world.control.cancel(written.operation.asyncoperationid)

    await world.engine.run(message)

    now = await world.engine.store.read_place(place)
    assert now is not None
    assert now.operation.statuscode.label == "Canceled"
