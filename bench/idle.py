"""The service with nothing to do: what it asks of the storage all the same."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from bench.meter import Span
from bench.results import Idle
from bench.stage import Stage

_MINUTE: Final = timedelta(minutes=1)


async def measure(stage: Stage, length: timedelta, step: Callable[[], object]) -> Idle:
    """Watch the service for *length*; *step* is called every second."""
    start = stage.meter.mark()
    give_up = time.monotonic() + length.total_seconds()
    while (left := give_up - time.monotonic()) > 0:
        await asyncio.sleep(min(1.0, left))
        step()
    return summed_up(stage.meter.between(start, stage.meter.mark()))


def summed_up(span: Span) -> Idle:
    """Return what a span with nothing to do comes to in a minute."""
    times = _MINUTE / span.length
    kinds = Counter(
        "timers of the host" if request.service == "blob" else "sweep" if request.periodic else request.kind
        for request in span.requests
    )
    return Idle(
        seconds=round(span.length.total_seconds(), 1),
        per_minute=round(len(span.requests) * times, 1),
        kinds={kind: round(number * times, 1) for kind, number in kinds.most_common()},
        cpu={process: round(seconds * times, 2) for process, seconds in span.cpu.items()},
    )
