"""The one service of a function app: opened when it is needed, closed when its event loop ends."""

import asyncio
from types import TracebackType
from typing import Self

import pytest

from asyncservice import service
from asyncservice.operations.engine import Engine
from asyncservice.service import Runtime, Service
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from tests.support import VirtualClock


class Watched(MemoryStorage):
    """Storage that knows how often it was opened and closed."""

    def __init__(self) -> None:
        super().__init__(VirtualClock().now)
        self.opened = self.closed = 0

    async def __aenter__(self) -> Self:
        self.opened += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # As with real connections, closing needs the event loop.
        await asyncio.sleep(0)
        self.closed += 1


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched()
    monkeypatch.setattr(service, "storage_from_environment", lambda: watched)
    return watched


def test_the_service_of_an_app_is_opened_once_and_closed_when_its_loop_ends(storage: Watched) -> None:
    runtime = Runtime()

    async def use() -> list[Service]:
        found = await asyncio.gather(*(runtime.service() for _ in range(5)))
        assert (storage.opened, storage.closed) == (1, 0)
        return found

    assert len(set(asyncio.run(use()))) == 1
    assert (storage.opened, storage.closed) == (1, 1)


def test_an_opening_that_fails_leaves_nothing_open_and_is_tried_again(
    storage: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime()
    answers = asyncio.Event()
    really = Engine.open

    async def opened(engine: Engine, **given: object) -> None:
        if not answers.is_set():
            raise StorageUnavailable("no answer")
        await really(engine, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "open", opened)

    async def use() -> None:
        with pytest.raises(StorageUnavailable):
            await runtime.service()
        assert (storage.opened, storage.closed) == (1, 1)
        answers.set()
        assert await runtime.service() is await runtime.service()

    asyncio.run(use())
    assert (storage.opened, storage.closed) == (2, 2)
