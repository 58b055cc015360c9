"""A year of the service in seconds: recurrences, retries, postponements, crashes, hints lost and doubled.

SIMULATION_SEED=7 plays that year, SIMULATION_YEARS=50 plays that many.
"""

import os
from datetime import timedelta

import pytest

from asyncservice.operations import codec
from asyncservice.operations.states import StatusCode
from tests.simulation.year import Year
from tests.support import NOON

SEEDS = (
    [int(os.environ["SIMULATION_SEED"])]
    if "SIMULATION_SEED" in os.environ
    else range(int(os.environ.get("SIMULATION_YEARS", "3")))
)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_year_of_crashes_loses_nothing_and_misses_no_slot(
    seed: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small rows, so that a year's history is archived many times over.
    monkeypatch.setattr(codec, "MAX_HISTORY", 2000)
    year = await Year(seed).open()
    try:
        year.recur()
        year.at(NOON + timedelta(days=1), "operator")
        length = timedelta(days=367)
        for event, count in {"submission": 400, "action": 60, "crash": 120, "thaw": 120, "outage": 6}.items():
            year.scatter(event, count, length)
        await year.play(length)
        year.cease()
        await year.play(timedelta(days=40))
        year.check()
    except BaseException:
        with capsys.disabled():
            print(f"\nSIMULATION_SEED={seed} plays this year again; it had come to {year.now}")  # noqa: T201
        raise
    finally:
        await year.close()
    counts, ledger = year.counts, year.cluster.ledger
    with capsys.disabled():
        print(  # noqa: T201 - part of the proof
            f"\nyear {seed}: {counts['steps']} steps, {year.cluster.watch.commits} transactions, "
            f"{len(year.asked)} operations accepted, {ledger.begun} handlers begun, {counts['slots']} slots kept; "
            f"{counts['crashes']} crashes, {counts['freezes']} freezes ({counts['thawed']} came back), "
            f"{counts['outages']} outages, {counts['hints lost']} hints lost, {counts['hints doubled']} doubled"
        )
    assert counts["crashes"] > 100
    assert counts["freezes"] > 10
    assert counts["slots"] > 2 * 365


async def test_thirty_days_later_and_a_year_later_to_the_second() -> None:
    year = await Year(0, quiet=True).open()
    postponed = year.ask(("succeed",), postponeuntil=NOON + timedelta(days=30, seconds=7))
    yearly = year.ask(("succeed",), recurrencepattern="FREQ=YEARLY", recurrencestarttime=NOON)
    await year.play(timedelta(days=366))
    begun = year.cluster.ledger.begun_on
    assert begun[postponed.asyncoperationid] == [NOON + timedelta(days=30, seconds=7)]
    assert begun[yearly.asyncoperationid] == [NOON, NOON.replace(year=NOON.year + 1)]
    await year.close()


async def test_a_lease_that_runs_out_is_taken_over_by_the_next_sweep() -> None:
    year = await Year(0, quiet=True).open()
    operation = year.ask(("work", "succeed"))
    await year.play(timedelta(seconds=30))
    await year.outage()
    await year.cluster.time.settle()
    await year.restart()
    await year.play(timedelta(minutes=3))
    first, second = year.cluster.ledger.begun_on[operation.asyncoperationid]
    assert timedelta(seconds=60) <= second - first <= timedelta(seconds=121)
    assert year.cluster.watch.last_status[operation.asyncoperationid] is StatusCode.SUCCEEDED
    await year.close()
