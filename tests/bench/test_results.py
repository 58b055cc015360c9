"""Rounds are summed up by their medians, and everything is written as JSON."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from asyncservice.operations.states import StatusCode
from bench import idle, lone
from bench.meter import Span
from bench.quantiles import percentile
from bench.records import Seen
from bench.results import Results, Round, Throughput
from bench.wire import Request, Requests

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_round(seconds: float, puts: int = 100) -> Round:
    requests = Requests(Counter({"queue put": puts}), 25, Counter(), 0)
    return Round(operations=100, seconds=seconds, requests=requests, cpu={"host": 0.5})


def test_numbers_are_medians_of_rounds() -> None:
    """One bad round does not spoil the result."""
    measured = Throughput.of("submit", [a_round(1), a_round(50, puts=900), a_round(2)])

    assert measured.per_second == 50
    assert measured.own == 1
    assert measured.polls == 0.25
    assert measured.kinds == {"queue put": 1}
    assert measured.cpu == {"host": 5}
    assert (measured.operations, measured.rounds) == (100, 3)


def test_ratios_are_ours_over_theirs(tmp_path: Path) -> None:
    """A ratio above one says that we are faster; the file holds what was measured."""
    results = Results(taken_on=NOON.isoformat(), plan="quick", machine={})
    results.ours.append(Throughput.of("submit_many", [a_round(1)]))
    results.peers.append(Throughput.of("Celery", [a_round(10)]))

    results.compare()
    results.write(tmp_path / "new" / "latest.json")

    written = json.loads((tmp_path / "new" / "latest.json").read_text())
    assert written["ratios"] == {"submit_many": {"Celery": 10}}
    assert written["ours"][0]["per_second"] == 100


def test_latency_is_from_submission_to_start_and_to_the_last_write() -> None:
    """The table's own timestamp ends the second one."""
    operation = UUID(int=1)
    seen = Seen(StatusCode.SUCCEEDED, NOON + timedelta(milliseconds=30), NOON + timedelta(milliseconds=45))

    start, completion = lone.latencies({operation: NOON}, {operation: seen})

    assert (start.p50, start.p99) == (30, 30)
    assert (completion.p50, completion.operations) == (45, 1)


def test_idle_requests_are_counted_a_minute() -> None:
    """Half a minute counts twice; the host's timers are told from polls."""
    requests = [
        Request("queue", "poll", "async-email", 200),
        Request("blob", "lease", "azure-webjobs-hosts", 200, periodic=True),
        Request("table", "query", "AsyncOperations", 200, periodic=True),
    ]

    result = idle.summed_up(Span(timedelta(seconds=30), requests, {"host": 0.25}))

    assert result.per_minute == 6
    assert result.kinds == {"queue poll": 2, "timers of the host": 2, "sweep": 2}
    assert result.cpu == {"host": 0.5}


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 50), (99, 99), (100, 100)])
def test_percentiles_are_values_of_the_sample(percent: float, value: float) -> None:
    """Nearest rank: no value is made up between two."""
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


def test_nothing_has_no_percentile() -> None:
    """An empty sample is refused."""
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)
