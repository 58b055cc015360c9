"""A process that can be killed at any of its storage calls: before the call is applied, or after."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from asyncservice.storage.memory import MemoryStorage


class Killed(BaseException):
    """The process is gone. No handler can catch it as an Exception."""


@dataclass
class Fate:
    """Which call is the last one."""

    #: The number of the call at which the process dies; None lets it live, and only counts.
    at: int | None = None
    after: bool = False
    calls: list[str] = field(default_factory=list)
    is_dead: bool = False

    def before_call(self, what: str) -> None:
        if self.is_dead:
            raise Killed
        self.calls.append(what)
        if len(self.calls) == self.at and not self.after:
            self.is_dead = True
            raise Killed

    def after_call(self, number: int) -> None:
        if number == self.at and self.after:
            self.is_dead = True
        if self.is_dead:
            raise Killed


class Watched:
    """A table, queue or container whose every method passes by Fate."""

    def __init__(self, inner: Any, fate: Fate) -> None:
        self._inner, self._fate = inner, fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name == "name":
            return method
        if name in {"scan", "names"}:

            async def iterate(*args: Any, **named: Any) -> AsyncIterator[Any]:
                self._fate.before_call(f"{name} {self._inner.name}")
                number = len(self._fate.calls)
                found = [item async for item in method(*args, **named)]
                self._fate.after_call(number)
                for item in found:
                    yield item

            return iterate

        async def call(*args: Any, **named: Any) -> Any:
            self._fate.before_call(f"{name} {self._inner.name}")
            number = len(self._fate.calls)
            result = await method(*args, **named)
            self._fate.after_call(number)
            return result

        return call


class MortalStorage:
    """An account as a mortal process sees it; what was applied stays in the account."""

    def __init__(self, account: MemoryStorage, fate: Fate) -> None:
        self._account, self._fate = account, fate

    def table(self, name: str) -> Any:
        return Watched(self._account.table(name), self._fate)

    def queue(self, name: str) -> Any:
        return Watched(self._account.queue(name), self._fate)

    def blobs(self, name: str) -> Any:
        return Watched(self._account.blobs(name), self._fate)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
