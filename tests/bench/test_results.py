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
from bench.records import Seen, shares
from bench.results import Results, Round, Throughput, paired
from bench.wire import Request, Requests

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_round(seconds: float, puts: int = 100) -> Round:
    requests = Requests(Counter({"queue put": puts}), 25, Counter(), 0)
    return Round(operations=100, seconds=seconds, requests=requests, cpu={"host": 0.5})


def test_numbers_are_medians_of_rounds() -> None:
    """One bad round does not spoil the result."""
    measured = Throughput.of("submit", [a_round(1), a_round(50, puts=900), a_round(2)])

    assert (measured.per_second.middle, measured.per_second.low, measured.per_second.high) == (50, 2, 100)
    assert measured.own == 1
    assert measured.polls == 0.25
    assert measured.kinds == {"queue put": 1}
    assert measured.cpu == {"host": 5}
    assert (measured.operations, measured.rounds) == (100, 3)


def test_ratios_are_ours_over_theirs_round_by_round() -> None:
    """A slow minute that met both leaves their ratio alone; the medians of each would not."""
    ours, theirs = [a_round(1), a_round(4), a_round(2)], [a_round(10), a_round(40), a_round(10)]

    ratio = paired(ours, theirs)

    assert (ratio.middle, ratio.low, ratio.high) == (10, 5, 10)


def test_what_was_measured_is_written(tmp_path: Path) -> None:
    """A program can read the file."""
    results = Results(taken_on=NOON.isoformat(), plan="quick", machine={})
    results.ours.append(Throughput.of("submit_many", [a_round(1)]))
    results.ratios["submit_many"] = {"Celery": paired([a_round(1)], [a_round(10)])}

    results.write(tmp_path / "new" / "latest.json")

    written = json.loads((tmp_path / "new" / "latest.json").read_text())
    assert written["ratios"] == {"submit_many": {"Celery": {"middle": 10, "low": 10, "high": 10}}}
    assert written["ours"][0]["per_second"]["middle"] == 100


def test_operations_are_counted_by_the_host_that_ran_them() -> None:
    """The busiest comes first."""
    one, two = (Seen(StatusCode.SUCCEEDED, NOON, NOON, host) for host in ("one", "two"))

    assert list(shares([one, two, two]).items()) == [("two", 2), ("one", 1)]


def test_latency_is_from_submission_to_start_and_to_the_last_write() -> None:
    """The table's own timestamp ends the second one."""
    operation = UUID(int=1)
    seen = Seen(StatusCode.SUCCEEDED, NOON + timedelta(milliseconds=30), NOON + timedelta(milliseconds=45))

    start, completion = lone.latencies({operation: NOON}, {operation: seen}, "idle")

    assert (start.p50, start.p99) == (30, 30)
    assert (completion.p50, completion.operations) == (45, 1)


def test_idle_requests_are_counted_an_hour() -> None:
    """Half a minute counts 120 times; the host's timers are told from polls."""
    requests = [
        Request("queue", "poll", "async-email", 200),
        Request("blob", "lease", "azure-webjobs-hosts", 200, periodic=True),
        Request("table", "query", "AsyncOperations", 200, periodic=True),
    ]

    result = idle.summed_up(Span(timedelta(seconds=30), requests, {"host": 0.25}), "local settings")

    assert result.per_hour == 360
    assert result.kinds == {"queue poll": 120, "blob lease by the host's timers": 120, "table query by the sweep": 120}
    assert result.cpu == {"host": 30}


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 50), (99, 99), (100, 100)])
def test_percentiles_are_values_of_the_sample(percent: float, value: float) -> None:
    """Nearest rank: no value is made up between two."""
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


def test_nothing_has_no_percentile() -> None:
    """An empty sample is refused."""
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)
