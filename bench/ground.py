"""What everything is measured on: an emulator whose access log is read, and a directory that is gone afterwards."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from asyncservice.devhost.azurite import Azurite
from bench.wire import AccessLog


@dataclass(frozen=True, slots=True)
class Ground:
    """A running emulator."""

    azurite: Azurite
    log: AccessLog
    directory: Path


@asynccontextmanager
async def a_ground(*, on_disk: bool) -> AsyncIterator[Ground]:
    """Run an emulator.

    On disk, as `asyncservice up` has it, it writes all its rows anew every five seconds, as one text, which it can no
    longer do somewhere above 200,000 rows. In memory it stands still for seconds every minute, to remove the texts of
    deleted queue messages one by one.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        log = AccessLog(directory / "access.log")
        async with Azurite(data=directory / "azurite" if on_disk else None, access_log=log.path) as azurite:
            yield Ground(azurite, log, directory)
