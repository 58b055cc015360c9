"""Measures the service and its peers: `python -m bench [--quick] [--scale [SIZE ...]] [--history NUMBER]`."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from asyncservice.devhost.errors import HostError
from bench import flame, growth, machine, past
from bench.children import ROOT, ChildFailed
from bench.plan import FULL, QUICK
from bench.progress import Steps
from bench.report import markdown, report
from bench.results import Results
from bench.run import forget_settings, run

_RESULTS: Final = ROOT / "bench" / "results"
_WIDTH: Final = 170


def main() -> int:
    """Measure, print the tables, write the JSON; return the exit code."""
    given = _arguments()
    # A pipe or a file has no width of its own; the tables are not to be squeezed into 80 columns.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    forget_settings(os.environ)
    try:
        return asyncio.run(_measure(given, console))
    except (ChildFailed, HostError) as error:
        console.print(f"[red]error:[/] {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("Stopped before the end.")
    return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the service and its peers.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--quick", action="store_true", help="a short run that only shows that everything works")
    what.add_argument(
        "--scale",
        type=int,
        nargs="*",
        metavar="SIZE",
        help=f"instead: so many operations submitted together (default: {' '.join(map(str, growth.SIZES))})",
    )
    what.add_argument(
        "--history", type=int, metavar="NUMBER", help="instead: throughput while so many completed records are there"
    )
    parser.add_argument("--flame", type=Path, metavar="FILE", help="write a flame graph of the host at work (SVG)")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument("--output", type=Path, help="the JSON file to write (default: one in bench/results)")
    given = parser.parse_args()
    if given.flame is not None and (given.scale is not None or given.history is not None):
        parser.error("--flame goes with the whole benchmark only.")
    return given


async def _measure(given: argparse.Namespace, console: Console) -> int:
    task = asyncio.current_task()
    with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in the loop.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: task.cancel() if task else None)
    if given.flame is not None:
        flame.find_sampler()  # Minutes before it is needed.
    name, measure = _chosen(given)
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    results = Results(taken_on=moment, plan=name, machine=machine.facts())
    output = given.output or _RESULTS / f"{'latest' if name in {'full', 'quick'} else name}.json"
    try:
        with Steps(console) as steps:
            await measure(steps, results)
    finally:
        # Minutes of measuring are not thrown away: sizes that were completed are kept.
        if results.growth or results.past or sys.exception() is None:
            results.write(output)
            if given.markdown:
                sys.stdout.write(markdown(results) + "\n")
            else:
                console.print(report(results))
    return 0


def _chosen(given: argparse.Namespace) -> tuple[str, Callable[[Steps, Results], Awaitable[None]]]:
    """Return the name and the measurement that the command line asks for."""
    if given.scale is not None:
        return "scale", lambda steps, results: growth.measure(given.scale or growth.SIZES, steps, results)
    if given.history is not None:
        return "history", lambda steps, results: past.measure(given.history, steps, results)
    plan = QUICK if given.quick else FULL
    return plan.name, lambda steps, results: run(plan, steps, results, graph=given.flame and given.flame.absolute())


if __name__ == "__main__":
    sys.exit(main())
