"""Sends tasks and waits for their results: a program of its own, as Celery is not for event loops.

It reads a line of JSON for each round, `{"tasks": 300, "milliseconds": 0}`, and prints one: how long the round took,
and where it began and ended in the access log. It ends with its input.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Final

from bench.peers.app import noop

#: Seconds that one result may take.
_PATIENCE: Final = 60


def main() -> None:
    """Do as the command line and the input say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--access-log", type=Path)
    log: Path | None = parser.parse_args().access_log
    for line in sys.stdin:
        asked = json.loads(line)
        start, began = _end(log), time.monotonic()
        results = [noop.delay(number, asked["milliseconds"]) for number in range(asked["tasks"])]
        for result in results:
            result.get(timeout=_PATIENCE)
        seconds = time.monotonic() - began
        print(json.dumps({"seconds": seconds, "start": start, "end": _end(log)}), flush=True)


def _end(log: Path | None) -> int:
    return 0 if log is None else log.stat().st_size


if __name__ == "__main__":
    main()
