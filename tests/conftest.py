"""What every test can ask for: storage in memory, storage in Azurite, a clock that a test moves."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import pytest

from asyncservice.devhost.azurite import Azurite
from asyncservice.storage.account import Storage
from asyncservice.storage.azure import AzureStorage
from asyncservice.storage.blobs import Blobs
from asyncservice.storage.memory import MemoryStorage
from asyncservice.storage.queues import Queue
from asyncservice.storage.tables import Table
from tests.support import VirtualClock


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the connection string of an emulator that this session started, or of the one the environment names."""
    if given := os.environ.get("ASYNCSERVICE_TEST_STORAGE"):
        yield given
        return
    emulator = Azurite(data=tmp_path_factory.mktemp("azurite"))
    # Tests have event loops of their own; the emulator outlives them in one that runs beside them.
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(emulator.start(), loop).result(60)
    yield emulator.connection_string
    asyncio.run_coroutine_threadsafe(emulator.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


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

    def table(self, name: str) -> Table:
        return self._account.table(self._prefix + name)

    def queue(self, name: str) -> Queue:
        return self._account.queue(f"{self._prefix}-{name}")

    def blobs(self, name: str) -> Blobs:
        return self._account.blobs(f"{self._prefix}-{name}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the account open: the fixture closes it."""
