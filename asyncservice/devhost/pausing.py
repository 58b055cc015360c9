"""Waiting that a stop ends early: what listeners use between polls and between occurrences."""

import asyncio
from datetime import timedelta


class Stop:
    """A stop that can be asked for once and waited for by many."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def requested(self) -> bool:
        """Whether the stop has been asked for."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask for the stop. Safe to repeat."""
        self._event.set()

    async def pause(self, length: timedelta) -> None:
        """Wait for *length*, or until the stop is asked for."""
        try:
            async with asyncio.timeout(length.total_seconds()):
                await self._event.wait()
        except TimeoutError:
            return
