"""What tests of the host share: the emulator's account, and names of their own in it."""

import os
from collections.abc import AsyncIterator

import pytest
from azure.storage.queue.aio import QueueServiceClient


@pytest.fixture(scope="session")
def azurite_connection(azurite: str) -> str:
    """Return the connection string of the session's emulator."""
    return azurite


@pytest.fixture
async def queues(azurite_connection: str) -> AsyncIterator[QueueServiceClient]:
    """Return a client for the emulator's queues."""
    async with QueueServiceClient.from_connection_string(azurite_connection) as service:
        yield service


@pytest.fixture
def unique() -> str:
    """Return a name that no other test has: good for queues and host ids."""
    return "t" + os.urandom(6).hex()
