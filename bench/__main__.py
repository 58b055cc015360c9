"""Measures the service and its peers: `python -m bench [--quick]`."""

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from asyncservice.devhost.errors import HostError
from bench.children import ROOT, ChildFailed
from bench.plan import FULL, QUICK, Plan
from bench.progress import Steps
from bench.report import report
from bench.run import run

_OUTPUT: Final = ROOT / "bench" / "results" / "latest.json"

_WIDTH: Final = 150


def main() -> int:
    """Measure, print the tables, write the JSON; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the service and its peers.")
    parser.add_argument("--quick", action="store_true", help="a short run that only shows that everything works")
    parser.add_argument("--output", type=Path, default=_OUTPUT, help="the JSON file to write")
    given = parser.parse_args()
    # A pipe or a file has no width of its own; the tables are not to be squeezed into 80 columns.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    try:
        return asyncio.run(_measure(QUICK if given.quick else FULL, given.output, console))
    except (ChildFailed, HostError) as error:
        console.print(f"[red]error:[/] {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("Stopped before the end; nothing was written.")
    return 1


async def _measure(plan: Plan, output: Path, console: Console) -> int:
    task = asyncio.current_task()
    with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in the loop.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: task.cancel() if task else None)
    with Steps(console) as steps:
        results = await run(plan, steps)
    results.write(output)
    console.print(report(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
