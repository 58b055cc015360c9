"""Invocations within limits: the function's time limit, the count of what runs, the log line for what failed."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Protocol

from asyncservice.devhost.durations import format_time_span
from asyncservice.devhost.functions import Function
from asyncservice.devhost.messages import TypedData
from asyncservice.devhost.worker import Result

_log: Final = logging.getLogger("Host.Results")


class Invokes(Protocol):
    """What triggers need: running a function once."""

    async def invoke(
        self,
        function: Function,
        data: TypedData,
        metadata: Mapping[str, TypedData],
        *,
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Result:
        """Run *function* once with *data* for its trigger's parameter."""
        ...


class Invoker:
    """Runs functions through the worker and enforces functionTimeout.

    A function that outlives its limit is reported as failed and cancelled. The real host then restarts the worker
    process; here a synchronous function's thread cannot be stopped and goes on until it ends by itself.
    """

    def __init__(self, worker: Invokes, limit: timedelta | None) -> None:
        self._worker = worker
        self._limit = limit

    async def invoke(
        self,
        function: Function,
        data: TypedData,
        metadata: Mapping[str, TypedData],
        *,
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Result:
        """Run *function* once with *data* for its trigger's parameter. Never raises for what the function does."""
        limit = self._limit.total_seconds() if self._limit else None
        try:
            async with asyncio.timeout(limit):
                result = await self._worker.invoke(
                    function, data, metadata, trace_parent=trace_parent, trace_state=trace_state
                )
        except TimeoutError:
            length = format_time_span(self._limit or timedelta(0))
            result = Result(error=f"Timeout value of {length} exceeded by function {function.name}.")
        if result.error is not None:
            _log.error("Function %s failed: %s", function.name, result.error)
            if result.stack_trace:
                _log.debug("%s", result.stack_trace)
        else:
            _log.debug("Function %s succeeded.", function.name)
        return result
