"""Sends tasks and waits for their results: a program of its own, as Celery is not for event loops.

Prints one line of JSON for each round: how long it took, and where it began and ended in the access log.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Final

from bench.peers.app import noop

#: Seconds that one result may take.
_PATIENCE: Final = 60


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--access-log", type=Path)
    given = parser.parse_args()
    # The first task finds the worker up, and the connections made.
    noop.delay(-1).get(timeout=_PATIENCE)
    for _ in range(given.rounds):
        start, began = _end(given.access_log), time.monotonic()
        results = [noop.delay(number) for number in range(given.tasks)]
        for result in results:
            result.get(timeout=_PATIENCE)
        seconds = time.monotonic() - began
        print(json.dumps({"seconds": seconds, "start": start, "end": _end(given.access_log)}), flush=True)


def _end(log: Path | None) -> int:
    return 0 if log is None else log.stat().st_size


if __name__ == "__main__":
    main()
