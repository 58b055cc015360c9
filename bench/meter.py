"""What passes between two moments: time, requests on the wire, CPU of the processes that take part."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bench import processes
from bench.wire import AccessLog, Request


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment."""

    at: float
    place: int
    #: Seconds of CPU since each process began, by its name.
    cpu: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Span:
    """What was measured between two marks."""

    length: timedelta
    requests: Sequence[Request]
    cpu: Mapping[str, float]


class Meter:
    """Reads the clocks."""

    def __init__(self, log: AccessLog, pids: Mapping[str, int]) -> None:
        self.log, self._pids = log, pids

    def mark(self) -> Mark:
        """Take the readings of this moment."""
        cpu = {name: seconds for name, pid in self._pids.items() if (seconds := processes.cpu(pid)) is not None}
        return Mark(time.monotonic(), self.log.end(), cpu)

    def between(self, start: Mark, end: Mark) -> Span:
        """Return what passed from *start* to *end*."""
        return Span(
            timedelta(seconds=end.at - start.at),
            self.log.read(start.place, end.place),
            {name: seconds - start.cpu[name] for name, seconds in end.cpu.items() if name in start.cpu},
        )
