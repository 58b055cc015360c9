"""Running a host until it is told to stop: signals, exit codes."""

import asyncio
import logging
import os
import signal
import ssl
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from asyncservice.devhost.errors import HostError, IndexingFailed
from asyncservice.devhost.host import GRACE, FunctionsHost
from asyncservice.devhost.queuetrigger import HIDDEN_FOR

_log: Final = logging.getLogger("Host")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


async def run(
    app_directory: Path,
    *,
    settings: Mapping[str, str] | None = None,
    port: int = 7071,
    host: str = "127.0.0.1",
    grace: timedelta = GRACE,
    message_hiding: timedelta = HIDDEN_FOR,
    tls: ssl.SSLContext | None = None,
    ready: Callable[[str], None] | None = None,
) -> int:
    """Run the app until SIGINT or SIGTERM and return the process's exit code.

    *message_hiding* is how long a taken message stays hidden when the host dies; shorten it to see one come back.
    *tls* lets the host serve https only. *ready* is called with the address once the host serves. The first signal
    drains the host; a second one leaves at once. 0 after a stop in good order; 1 when the app could not be run, with
    the reason on standard error.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _on_signal, number, stopped)
    try:
        async with FunctionsHost(
            app_directory,
            settings=settings,
            port=port,
            host=host,
            grace=grace,
            message_hiding=message_hiding,
            tls=tls,
        ) as running:
            if ready is not None:
                ready(running.url)
            await stopped.wait()
            _log.info("Stopping: what runs may finish within %d seconds.", grace.total_seconds())
            await running.drain()
            _log.info("Stopped.")
    except HostError as error:
        if isinstance(error, IndexingFailed) and error.stack_trace:
            print(error.stack_trace, file=sys.stderr)  # noqa: T201 - may be before logging is set up
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    return 0


def _on_signal(number: int, stopped: asyncio.Event) -> None:
    if stopped.is_set():
        # Asked twice: whoever did so does not want to wait for anything.
        os._exit(128 + number)
    stopped.set()
