"""When a failed attempt is tried again: a decision, not an effect."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how far apart an operation type is tried again."""

    #: Attempts in all, the first included. 10 is the limit for infrastructure errors (reference, section 10).
    max_attempts: int = 10
    first_delay: timedelta = timedelta(seconds=10)
    #: Each delay is this many times the one before.
    factor: float = 2.0
    longest_delay: timedelta = timedelta(hours=1)
    #: After the last attempt the operation waits for a person instead of failing, as workflow jobs do.
    suspends: bool = False
    #: Delays vary by this share either way, so that what failed together does not come back together.
    jitter: float = 0.2

    def next_attempt(
        self, *, retries: int, now: datetime, random: Random, not_before: timedelta | None = None
    ) -> datetime | None:
        """Return when to try again after *retries* retries, or None when the operation has had its chances.

        *not_before* is what the other side asked for (Retry-After); it lengthens a delay and never shortens one. It is
        lengthened itself, by up to the jitter, so that all who were told the same do not come back together.
        """
        if retries + 1 >= self.max_attempts:
            return None
        # Doubling for ever would overflow long before it mattered.
        growth = self.factor ** min(retries, 64)
        seconds = min(self.first_delay.total_seconds() * growth, self.longest_delay.total_seconds())
        delay = timedelta(seconds=seconds * random.uniform(1 - self.jitter, 1 + self.jitter))
        if not_before is None:
            return now + delay
        return now + max(delay, not_before * random.uniform(1, 1 + self.jitter))
