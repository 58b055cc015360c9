"""What passes between two moments: time, requests on the wire, CPU of the processes that take part."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bench import processes
from bench.wire import AccessLog, Request


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment."""

    at: float
    place: int
    #: Seconds of CPU since they began, by the name of a group of processes.
    cpu: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Span:
    """What was measured between two marks."""

    length: timedelta
    requests: Sequence[Request]
    cpu: Mapping[str, float]


class Meter:
    """Reads the clocks. *taking_part* returns the processes that take part, by the name of their group."""

    def __init__(self, log: AccessLog, taking_part: Callable[[], Mapping[str, Iterable[int]]]) -> None:
        self.log, self._taking_part = log, taking_part

    def mark(self) -> Mark:
        """Take the readings of this moment."""
        groups = self._taking_part()
        cpu = {name: seconds for name, pids in groups.items() if (seconds := processes.cpu(pids)) is not None}
        return Mark(time.monotonic(), self.log.end(), cpu)

    def between(self, start: Mark, end: Mark) -> Span:
        """Return what passed from *start* to *end*."""
        return Span(
            timedelta(seconds=end.at - start.at),
            self.log.read(start.place, end.place),
            {name: seconds - start.cpu[name] for name, seconds in end.cpu.items() if name in start.cpu},
        )
