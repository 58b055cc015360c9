"""Two runs beside each other: what got worse is found, what merely varies is not."""

import io
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.compare import Kind, compare
from bench.results import Idle, Latency, Memory, Results, Round, Throughput, paired
from bench.wire import Requests

TOLERANCES = {Kind.RATE: 0.25, Kind.TIME: 0.25, Kind.REQUESTS: 0.1}


def a_round(seconds: float, puts: int = 100) -> Round:
    requests = Requests(Counter({"queue put": puts}), 0, Counter(), 0)
    return Round(operations=100, seconds=seconds, requests=requests, cpu={})


def a_run(*, seconds: float = 1, theirs: float = 10, puts: int = 100, p50: float = 50, idle: float = 3000) -> Any:
    results = Results(taken_on="2026-03-01", plan="full", machine={})
    ours = [a_round(seconds, puts)]
    results.ours.append(Throughput.of("submit_many", ours))
    results.ratios["submit_many"] = {"Celery": paired(ours, [a_round(theirs)])}
    results.latency.append(Latency(name="submit to start, 130 a second", operations=10, p50=p50, p99=10 * p50))
    results.idle.append(Idle(name="Azure settings", seconds=60, per_hour=idle, kinds={}, cpu={}))
    results.memory = Memory(before=80, after=90)
    return asdict(results)


def compared(tmp_path: Path, old: Any, new: Any) -> tuple[int, str]:
    for name, run in (("old.json", old), ("new.json", new)):
        (tmp_path / name).write_text(json.dumps(run))
    told = io.StringIO()
    code = compare(tmp_path / "old.json", tmp_path / "new.json", TOLERANCES, Console(file=told, width=150))
    return code, told.getvalue()


def test_the_same_run_is_not_worse(tmp_path: Path) -> None:
    """Everything is shown; nothing is complained about."""
    code, told = compared(tmp_path, a_run(), a_run())

    assert code == 0
    assert "0 of 7 numbers got worse" in told


def test_a_slow_machine_is_not_our_fault(tmp_path: Path) -> None:
    """Both take three times as long: the ratio stands."""
    assert compared(tmp_path, a_run(), a_run(seconds=3, theirs=30))[0] == 0


@pytest.mark.parametrize(
    ("new", "name"),
    [
        (a_run(seconds=2), "submit_many: x Celery"),
        (a_run(puts=120), "submit_many: requests"),
        (a_run(p50=80), "submit to start, loaded: p50 ms"),
        (a_run(idle=4000), "an idle hour, Azure settings: requests"),
    ],
)
def test_what_got_worse_is_named(tmp_path: Path, new: Any, name: str) -> None:
    """And the exit code says so to a script."""
    code, told = compared(tmp_path, a_run(), new)

    assert code == 1
    [line] = [line for line in told.splitlines() if "worse" in line and "numbers" not in line]
    assert name in line


def test_better_is_not_worse(tmp_path: Path) -> None:
    """Faster, with fewer requests, sooner."""
    assert compared(tmp_path, a_run(), a_run(seconds=0.5, puts=10, p50=5, idle=100))[0] == 0


def test_runs_with_nothing_in_common_are_no_success(tmp_path: Path) -> None:
    """Or a script would take an empty file for a good result."""
    empty = asdict(Results(taken_on="2026-03-01", plan="full", machine={}))

    assert compared(tmp_path, a_run(), empty)[0] == 1
