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
from bench.wire import Request

_HOUR: Final = timedelta(hours=1)


async def measure(stage: Stage, length: timedelta, step: Callable[[], object], *, settings: str) -> Idle:
    """Watch the service for *length*; *step* is called every second."""
    start = stage.meter.mark()
    give_up = time.monotonic() + length.total_seconds()
    while (left := give_up - time.monotonic()) > 0:
        await asyncio.sleep(min(1.0, left))
        step()
    return summed_up(stage.meter.between(start, stage.meter.mark()), f"{settings} settings")


def summed_up(span: Span, name: str) -> Idle:
    """Return what a span with nothing to do comes to in an hour."""
    times = _HOUR / span.length
    kinds = Counter(map(_kind, span.requests))
    return Idle(
        name=name,
        seconds=round(span.length.total_seconds(), 1),
        per_hour=round(len(span.requests) * times),
        kinds={kind: round(number * times) for kind, number in kinds.most_common()},
        cpu={group: round(seconds * times, 1) for group, seconds in span.cpu.items()},
    )


def _kind(request: Request) -> str:
    if request.periodic and request.service == "table":
        return "table query by the sweep"
    return f"{request.kind} by the host's timers" if request.service == "blob" else request.kind
