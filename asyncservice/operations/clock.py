"""Time, as it is passed in: the system's at the edge, a test's own everywhere else."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the engine knows of time."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        ...

    async def sleep(self, length: timedelta) -> None:
        """Return after *length*."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, length: timedelta) -> None:
        """Return after *length*."""
        await asyncio.sleep(length.total_seconds())
