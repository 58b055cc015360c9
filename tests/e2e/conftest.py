"""An emulator for each test, since the app's tables and queues have the names that they have; hosts and a client."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from asyncservice.client import AsyncServiceClient
from asyncservice.devhost.azurite import Azurite
from tests.e2e.handlers.effects import EFFECTS
from tests.e2e.hosts import Hosts, hosts_on


@pytest.fixture
def connection() -> Iterator[str]:
    """Return the connection string of an emulator with nothing in it."""
    emulator = Azurite()
    asyncio.run(emulator.start(), loop_factory=asyncio.new_event_loop)
    yield emulator.connection_string
    asyncio.run(emulator.stop(), loop_factory=asyncio.new_event_loop)


@pytest.fixture
def hosts(connection: str, tmp_path: Path) -> Iterator[Hosts]:
    """Return the means to start hosts on the emulator."""
    with hosts_on(connection, tmp_path) as hosts:
        yield hosts


@pytest.fixture
async def client(connection: str) -> AsyncIterator[AsyncServiceClient]:
    """Return a client of the service, whose storage has the table of effects."""
    async with AsyncServiceClient.from_connection_string(connection) as client:
        await client.storage.table(EFFECTS).create()
        yield client
