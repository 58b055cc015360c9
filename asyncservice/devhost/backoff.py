"""How long to wait before an empty queue is polled again: random exponential back-off."""

from datetime import timedelta
from random import Random
from typing import Final

#: The shortest wait, as documented for maxPollingInterval.
SHORTEST: Final = timedelta(milliseconds=100)
#: Each step varies by a fifth to both sides, so that hosts do not poll in step.
_SPREAD: Final = 0.2


class Backoff:
    """Waits of one listener: 100 ms after a message was found, then growing to the longest and staying there."""

    def __init__(self, longest: timedelta, rng: Random) -> None:
        self._longest = longest
        self._rng = rng
        self._step = 0
        self._current = SHORTEST

    def next(self, *, found: bool) -> timedelta:
        """Return the next wait; *found* says whether any message came since the last one."""
        if found:
            self._step, self._current = 1, SHORTEST
        elif self._current < self._longest:
            growth = SHORTEST * self._rng.uniform(1 - _SPREAD, 1 + _SPREAD) * 2.0 ** (self._step - 1)
            self._current = min(self._longest, SHORTEST + growth if self._step else SHORTEST)
            self._step += 1
        return self._current
