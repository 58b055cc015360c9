"""The contracts of a queue and of a blob container, in memory and on Azurite."""

from datetime import timedelta

import pytest

from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageRefused

HIDDEN = timedelta(seconds=30)
TEXT = " Grüße <&>\r\n]]>\t"


async def test_a_message_is_taken_once_and_deleted(storage: Storage) -> None:
    queue = storage.queue("things")
    await queue.create()
    await queue.create()
    await queue.send(TEXT)
    assert await queue.length() == 1
    assert [message.text for message in await queue.peek()] == [TEXT]

    [taken] = await queue.receive(count=32, hidden_for=HIDDEN)

    assert (taken.text, taken.dequeue_count) == (TEXT, 1)
    assert await queue.receive(count=32, hidden_for=HIDDEN) == []
    assert await queue.peek() == []
    await queue.delete(taken)
    await queue.delete(taken)
    assert await queue.length() == 0


async def test_a_hidden_message_is_counted_and_not_seen(storage: Storage) -> None:
    queue = storage.queue("things")
    await queue.create()
    await queue.send("later", hidden_for=timedelta(days=6))
    assert await queue.receive(count=1, hidden_for=HIDDEN) == []
    assert await queue.length() == 1


async def test_a_message_comes_no_earlier_than_it_was_to_come(storage: Storage) -> None:
    queue = storage.queue("things")
    await queue.create()
    await queue.send("soon", hidden_for=timedelta(seconds=0.4))
    assert await queue.peek() == []


async def test_a_message_has_limits(storage: Storage) -> None:
    queue = storage.queue("things")
    await queue.create()
    with pytest.raises(StorageRefused):
        await queue.send("x" * (64 * 1024 + 1))
    with pytest.raises(StorageRefused):
        await queue.send("x", hidden_for=timedelta(days=8))


async def test_a_queue_that_was_never_made_refuses(storage: Storage) -> None:
    with pytest.raises(StorageRefused):
        await storage.queue("missing").send("x")


async def test_a_blob_comes_back_whole_and_in_ranges(storage: Storage) -> None:
    blobs = storage.blobs("things")
    await blobs.create()
    await blobs.create()
    await blobs.write("a/1", b"old")
    await blobs.write("a/1", b"0123456789")
    await blobs.write("b", b"")

    assert await blobs.read("a/1") == b"0123456789"
    assert await blobs.read("a/1", offset=3, length=4) == b"3456"
    assert await blobs.read("a/1", offset=8, length=10) == b"89"
    assert await blobs.read("a/1", offset=10, length=10) == b""
    assert await blobs.size("a/1") == 10
    assert await blobs.read("b") == b""
    assert [name async for name in blobs.names("a/")] == ["a/1"]
    assert [name async for name in blobs.names()] == ["a/1", "b"]

    await blobs.delete("a/1")
    await blobs.delete("a/1")
    assert await blobs.read("a/1") is None
    assert await blobs.size("a/1") is None


async def test_a_container_that_was_never_made_refuses(storage: Storage) -> None:
    with pytest.raises(StorageRefused):
        await storage.blobs("missing").read("x")
