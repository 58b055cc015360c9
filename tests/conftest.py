"""What every test can ask for: storage in memory, storage in Azurite, a clock that a test moves."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asyncservice.devhost.azurite import Azurite
from asyncservice.storage.account import Storage
from asyncservice.storage.azure import AzureStorage
from asyncservice.storage.memory import MemoryStorage
from tests.support import VirtualClock


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the connection string of an emulator that this session started, or of the one the environment names."""
    if given := os.environ.get("ASYNCSERVICE_TEST_STORAGE"):
        yield given
        return
    data: Path = tmp_path_factory.mktemp("azurite")
    with asyncio.Runner() as runner:
        emulator = Azurite(data=data)
        runner.run(emulator.start())
        yield emulator.connection_string
        runner.run(emulator.stop())


@pytest.fixture
def clock() -> VirtualClock:
    """Return a clock that stands still until the test moves it."""
    return VirtualClock()


@pytest.fixture(params=["memory", "azurite"])
async def storage(request: pytest.FixtureRequest, clock: VirtualClock) -> AsyncIterator[Storage]:
    """Return an empty account of each kind: what holds on one must hold on the other."""
    async with an_account(request, clock) as account:
        yield account


@asynccontextmanager
async def an_account(request: pytest.FixtureRequest, clock: VirtualClock) -> AsyncIterator[Storage]:
    """Open the account that the test's parameter names; names are made its own by a prefix on Azurite."""
    if request.param == "memory":
        yield MemoryStorage(clock.now)
        return
    connection: str = request.getfixturevalue("azurite")
    async with AzureStorage.from_connection_string(connection) as account:
        yield Prefixed(account)


class Prefixed:
    """An account whose names all begin with a prefix of this test's own, so that tests share one emulator."""

    def __init__(self, account: AzureStorage) -> None:
        self._account, self._prefix = account, "t" + os.urandom(6).hex()

    def table(self, name: str) -> object:
        return self._account.table(self._prefix + name)

    def queue(self, name: str) -> object:
        return self._account.queue(f"{self._prefix}-{name}")

    def blobs(self, name: str) -> object:
        return self._account.blobs(f"{self._prefix}-{name}")
