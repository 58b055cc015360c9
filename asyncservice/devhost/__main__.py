"""Starts a host from the command line: `python -m asyncservice.devhost --port 7071 --app DIR`."""

import argparse
import asyncio
import os
import sys
import threading
from datetime import timedelta
from pathlib import Path

from asyncservice.devhost.certificates import local_tls
from asyncservice.devhost.running import run


def main() -> int:
    """Parse the command line, run the host, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m asyncservice.devhost", description="Run a function app locally.")
    parser.add_argument("--app", type=Path, default=Path(), help="the app's directory (default: the current one)")
    parser.add_argument("--port", type=int, default=7071, help="port to serve on; 0 takes a free one (default: 7071)")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (default: 127.0.0.1)")
    parser.add_argument("--grace", type=float, default=30, help="seconds running functions get to finish (default: 30)")
    parser.add_argument(
        "--message-hiding",
        type=int,
        default=600,
        metavar="SECONDS",
        help="how long a taken message stays hidden should the host die (default: 600, as in Azure)",
    )
    parser.add_argument(
        "--https",
        type=Path,
        metavar="FOLDER",
        help="serve https, with certificates of a local authority that is kept in FOLDER and made when missing",
    )
    given = parser.parse_args()
    return asyncio.run(
        run(
            given.app,
            port=given.port,
            host=given.host,
            grace=timedelta(seconds=given.grace),
            message_hiding=timedelta(seconds=given.message_hiding),
            tls=None if given.https is None else local_tls(given.https).context,
            ready=_ready,
        )
    )


def _ready(url: str) -> None:
    print(f"ready {url}", flush=True)  # noqa: T201 - the command's output


if __name__ == "__main__":
    code = main()
    if threading.active_count() > 1:
        # A synchronous function outlived the grace period; its thread would keep the process.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)
