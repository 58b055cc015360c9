"""A Redis server of our own: a free port of this machine, nothing written to disk."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench.children import Child

_START_LIMIT: Final = timedelta(seconds=10)


def find_server() -> str | None:
    """Return the server's executable, or None when it is not installed."""
    return shutil.which("redis-server")


@asynccontextmanager
async def a_server(executable: str, directory: Path) -> AsyncIterator[str]:
    """Run a server; the value is its address."""
    port = _free_port()
    arguments = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    async with Child("Redis", [executable, *arguments], output=directory / "redis.log") as server:
        async with asyncio.timeout(_START_LIMIT.total_seconds()):
            while not await _answers(port):
                server.must_run()
                await asyncio.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"


def _free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
