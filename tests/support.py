"""Builders and stand-ins that tests share."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from asyncservice.operations import ids
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class VirtualClock:
    """A clock that a test moves; sleepers wake when their moment has come."""

    def __init__(self, start: datetime = NOON, *, skips: timedelta = timedelta(0)) -> None:
        self._now = start
        #: Sleeps up to this long are over at once; time moves by them.
        self._skips = skips
        self._order = itertools.count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, length: timedelta) -> None:
        if length <= self._skips:
            self._now += length
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + length, next(self._order), woken))
        await woken

    async def advance(self, length: timedelta) -> None:
        """Move time forward, stopping at each moment at which somebody wakes, and let them work."""
        end = self._now + length
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await self.settle()
        self._now = end
        await self.settle()

    @property
    def sleepers(self) -> int:
        """How many wait for a moment to come."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    def jump(self, length: timedelta) -> None:
        """Move time forward at once; nobody wakes."""
        self._now += length

    @staticmethod
    async def settle() -> None:
        """Let everything that can run run, as far as it gets without time passing."""
        for _ in range(50):
            await asyncio.sleep(0)


_bits = Random(7)


def an_id(now: datetime = NOON, *, shard: int | None = None) -> UUID:
    """Return a fresh id of ours."""
    return ids.new_id(now, _bits.getrandbits, shard=shard)


def an_operation(
    operation_id: UUID | None = None,
    *,
    type: OperationType = OperationType.EXECUTE_ASYNC_REQUEST,  # noqa: A002 - the domain's word
    now: datetime = NOON,
    **columns: Any,
) -> AsyncOperation:
    """Return a new operation; a test names only what matters to it."""
    operation_id = operation_id or an_id(now)
    usual: dict[str, Any] = {
        "createdon": now,
        "modifiedon": now,
        "correlationid": operation_id,
        "correlationupdatedtime": now,
    }
    return AsyncOperation(asyncoperationid=operation_id, operationtype=int(type), **(usual | columns))
