"""How much is let in at once: Dataverse's service protection, with limits of one worker process.

Three things are counted for each caller: requests under way, requests within a window of five minutes, and how long
they took in it. What is over is refused at once with 429, a code that says which, and `Retry-After`: nothing waits
in line, so a flood costs little and callers that keep to their share do not feel it.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Final, Self
from uuid import UUID

from asyncservice.settings import Settings
from asyncservice.webapi.faults import ApiError

#: Over which time requests and their durations are added up; Dataverse's own window.
WINDOW: Final = timedelta(minutes=5)
#: The window moves on in steps of so many seconds.
_STEP: Final = 10
_STEPS: Final = int(WINDOW.total_seconds()) // _STEP
#: Callers that are remembered; who has been away longest is forgotten first.
_MOST_CALLERS: Final = 10_000
#: What those wait, in seconds, who are too many at once: requests are short.
_A_MOMENT: Final = 2

#: Dataverse's codes: too much time, too many requests, too many at once.
TOO_MUCH_TIME: Final = "0x80072321"
TOO_MANY_REQUESTS: Final = "0x80072322"
TOO_MANY_AT_ONCE: Final = "0x80072326"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """What one process lets in."""

    at_once: int
    caller_at_once: int
    #: None: not limited.
    caller_requests: int | None = None
    caller_time: timedelta | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say."""
        return cls(
            at_once=settings.api_concurrency,
            caller_at_once=settings.api_caller_concurrency,
            caller_requests=settings.api_caller_requests,
            caller_time=settings.api_caller_time,
        )


@dataclass(slots=True)
class _Step:
    number: int
    requests: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Tally:
    """What one caller does, and did within the window."""

    under_way: int = 0
    steps: deque[_Step] = field(default_factory=deque)

    def step(self, number: int) -> _Step:
        """Return the step of that number, and forget those that have left the window."""
        while self.steps and self.steps[0].number <= number - _STEPS:
            self.steps.popleft()
        if not self.steps or self.steps[-1].number < number:
            self.steps.append(_Step(number))
        return self.steps[-1]


class Admission:
    """Counts requests of one process and refuses those over the limits."""

    def __init__(self, limits: AdmissionLimits, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._seconds = seconds
        self._under_way = 0
        self._tallies: OrderedDict[UUID, _Tally] = OrderedDict()

    @contextmanager
    def any(self) -> Iterator[None]:
        """Count a request, whoever makes it, while the context is open. Raises ApiError (429)."""
        if self._under_way >= self.limits.at_once:
            raise _refused(
                TOO_MANY_AT_ONCE,
                f"{self.limits.at_once} requests are being answered already (ASYNCSERVICE_API_CONCURRENCY)",
                _A_MOMENT,
            )
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    @contextmanager
    def of(self, caller: UUID) -> Iterator[None]:
        """Count a request of *caller* while the context is open. Raises ApiError (429)."""
        tally = self._tally(caller)
        began = self._seconds()
        self._check(tally, began)
        tally.under_way += 1
        tally.step(self._number(began)).requests += 1
        try:
            yield
        finally:
            tally.under_way -= 1
            ended = self._seconds()
            tally.step(self._number(ended)).seconds += ended - began

    def _check(self, tally: _Tally, now: float) -> None:
        limits = self.limits
        if tally.under_way >= limits.caller_at_once:
            raise _refused(
                TOO_MANY_AT_ONCE,
                f"Number of concurrent requests exceeded the limit of {limits.caller_at_once}",
                _A_MOMENT,
            )
        tally.step(self._number(now))
        requests = sum(step.requests for step in tally.steps)
        if limits.caller_requests is not None and requests >= limits.caller_requests:
            over = requests - limits.caller_requests + 1
            raise _refused(
                TOO_MANY_REQUESTS,
                f"Number of requests exceeded the limit of {limits.caller_requests} within {WINDOW.seconds} seconds",
                self._until_gone(tally, over, lambda step: step.requests, now),
            )
        seconds = sum(step.seconds for step in tally.steps)
        if limits.caller_time is not None and seconds >= limits.caller_time.total_seconds():
            allowed = limits.caller_time.total_seconds()
            # Strictly below the limit is what lets the next request in.
            over_time = math.nextafter(seconds - allowed, math.inf)
            raise _refused(
                TOO_MUCH_TIME,
                f"Combined execution time of requests exceeded the limit of {allowed:g} seconds "
                f"within {WINDOW.seconds} seconds",
                self._until_gone(tally, over_time, lambda step: step.seconds, now),
            )

    @staticmethod
    def _until_gone(tally: _Tally, much: float, count: Callable[[_Step], float], now: float) -> int:
        """Return the whole seconds until so *much* has left the window."""
        gone = 0.0
        for step in tally.steps:
            gone += count(step)
            if gone >= much:
                return max(1, math.ceil((step.number + _STEPS) * _STEP - now))
        return int(WINDOW.total_seconds())

    @staticmethod
    def _number(now: float) -> int:
        return int(now // _STEP)

    def _tally(self, caller: UUID) -> _Tally:
        tally = self._tallies.setdefault(caller, _Tally())
        self._tallies.move_to_end(caller)
        if len(self._tallies) > _MOST_CALLERS:
            oldest = next(iter(self._tallies))
            if not self._tallies[oldest].under_way:
                del self._tallies[oldest]
        return tally


def _refused(code: str, what: str, seconds: int) -> ApiError:
    return ApiError(
        f"{what}. Try again in {seconds} seconds.",
        status=HTTPStatus.TOO_MANY_REQUESTS,
        code=code,
        headers={"Retry-After": str(seconds)},
    )
