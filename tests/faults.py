"""Storage that fails on request: every call is counted, and one of them goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum, auto
from typing import Any, Self

from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageUnavailable


class Died(BaseException):
    """The process ended at this call. Nothing in the service may catch it."""


class Fault(Enum):
    """How a call goes wrong."""

    DIES_BEFORE = auto()
    DIES_AFTER = auto()
    FAILS_BEFORE = auto()
    ANSWER_LOST = auto()


class FaultyStorage:
    """An account whose *number*th call (from 1) goes wrong; `calls` names each call that was made."""

    def __init__(self, account: Storage, *, number: int = 0, fault: Fault = Fault.DIES_BEFORE) -> None:
        self._account, self._number, self._fault = account, number, fault
        self.calls: list[str] = []
        self._dead = False

    def fail_at(self, number: int) -> None:
        """Let the *number*th call of all go wrong."""
        self._number = number

    def table(self, name: str) -> Any:
        return _Faulty(self._account.table(name), self)

    def queue(self, name: str) -> Any:
        return _Faulty(self._account.queue(name), self)

    def blobs(self, name: str) -> Any:
        return _Faulty(self._account.blobs(name), self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def call(self, what: str, apply: Callable[[], Awaitable[Any]]) -> Any:
        if self._dead:
            raise Died(what)
        self.calls.append(what)
        if len(self.calls) != self._number:
            return await apply()
        if self._fault in {Fault.DIES_AFTER, Fault.ANSWER_LOST}:
            await apply()
        if self._fault in {Fault.FAILS_BEFORE, Fault.ANSWER_LOST}:
            raise StorageUnavailable(f"call {self._number}: {what}")
        self._dead = True
        raise Died(f"call {self._number}: {what}")


class FreezingStorage(FaultyStorage):
    """An account whose user stands still before its *number*th call until `thawed` is set."""

    def __init__(self, account: Storage, *, number: int) -> None:
        super().__init__(account)
        self.freeze_at(number)

    def freeze_at(self, number: int) -> None:
        """Stand still before the *number*th call of all."""
        self._stands_still_at = number
        self.frozen, self.thawed = asyncio.Event(), asyncio.Event()

    async def call(self, what: str, apply: Callable[[], Awaitable[Any]]) -> Any:
        self.calls.append(what)
        if len(self.calls) == self._stands_still_at:
            self.frozen.set()
            await self.thawed.wait()
        return await apply()


class _Faulty:
    """One table, queue or container whose calls go through the account's counter."""

    def __init__(self, inner: Any, storage: FaultyStorage) -> None:
        self._inner, self._storage = inner, storage

    @property
    def name(self) -> str:
        return str(self._inner.name)

    def __getattr__(self, method: str) -> Any:
        inner = getattr(self._inner, method)
        what = f"{method} {self._inner.name}"
        if method in {"scan", "names"}:

            async def scan(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
                async def page() -> list[Any]:
                    return [each async for each in inner(*args, **kwargs)]

                for each in await self._storage.call(what, page):
                    yield each

            return scan

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._storage.call(what, lambda: inner(*args, **kwargs))

        return call
