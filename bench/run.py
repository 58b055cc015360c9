"""The order of events in one run."""

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from asyncservice.devhost.azurite import Azurite
from bench import idle, load, lone, machine
from bench.children import ChildFailed
from bench.peers import celery, redis
from bench.plan import Plan
from bench.progress import Steps
from bench.results import Memory, Results, Round, Throughput
from bench.stage import Stage, a_stage
from bench.wire import AccessLog

_MEBIBYTE = 1024 * 1024


async def run(plan: Plan, steps: Steps) -> Results:
    """Measure everything, one after the other: what is not measured does not run, but for the emulator."""
    results = Results(taken_on=datetime.now(UTC).isoformat(timespec="seconds"), plan=plan.name, machine=machine.facts())
    _forget_settings(os.environ)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        log = AccessLog(directory / "access.log")
        steps.begin("starting the emulator")
        # On disk, as `asyncservice up` keeps it. In memory the emulator stands still for seconds every minute, to
        # remove the texts of deleted queue messages one by one.
        async with Azurite(data=directory / "azurite", access_log=log.path) as azurite:
            steps.begin("starting the service")
            async with a_stage(azurite, log, directory) as stage:
                await _ours(stage, plan, steps, results)
            await _peers(celery.Peer.on_azure(azurite, log, plan), directory, plan, steps, results)
        results.compare()
    return results


async def _ours(stage: Stage, plan: Plan, steps: Steps, results: Results) -> None:
    ways = load.ways(plan.submitters)
    steps.begin("warming up")
    await load.measure(stage, ways[1], plan.operations // 10)
    before = stage.memory()
    steps.begin("waiting until every listener rests")
    await asyncio.sleep(plan.settling.total_seconds())
    steps.begin("one operation at a time", total=plan.lone)
    results.lone, results.latency = await lone.measure(stage, plan.lone, plan.lone_pause, steps.step)
    rounds: Mapping[str, list[Round]] = {way.name: [] for way in ways}
    give_up = time.monotonic() + plan.rounds_time.total_seconds()
    for number in range(1, plan.rounds + 1):
        # All ways take turns, so that whatever else the machine does meets them alike.
        for way in ways:
            if rounds[way.name] and time.monotonic() > give_up:
                break
            steps.begin(f"{plan.operations} operations: {way.name} ({number})")
            rounds[way.name].append(await load.measure(stage, way, plan.operations))
    results.ours = [Throughput.of(name, measured) for name, measured in rounds.items()]
    results.memory = Memory(before=_mebibytes(before), after=_mebibytes(stage.memory()))
    steps.begin("waiting until every listener rests")
    await asyncio.sleep(plan.settling.total_seconds())
    steps.begin("nothing to do", total=plan.idle.total_seconds())
    results.idle = await idle.measure(stage, plan.idle, steps.step)


async def _peers(on_azure: celery.Peer, directory: Path, plan: Plan, steps: Steps, results: Results) -> None:
    steps.begin(f"{plan.peer_rounds} x {on_azure.tasks} tasks: {on_azure.name}")
    results.peers.append(await celery.measure(on_azure, plan, directory))
    executable = redis.find_server()
    if executable is None:
        results.skipped.append("Celery on Redis: skipped, there is no redis-server on the PATH.")
        return
    try:
        async with redis.a_server(executable, directory) as url:
            on_redis = celery.Peer.on_redis(url, plan)
            steps.begin(f"{plan.peer_rounds} x {on_redis.tasks} tasks: {on_redis.name}")
            results.peers.append(await celery.measure(on_redis, plan, directory))
    except ChildFailed as error:
        # Minutes of measuring lie behind us; a peer that does not run here is no reason to throw them away.
        results.skipped.append(f"Celery on Redis: skipped. {error}")


def _forget_settings(environment: "os._Environ[str]") -> None:
    """Remove settings of the service that the caller has: its defaults are what is measured."""
    for name in list(environment):
        if name.startswith(("ASYNCSERVICE_", "AzureWebJobs", "AzureFunctionsJobHost")):
            del environment[name]


def _mebibytes(size: int | None) -> float | None:
    return None if size is None else round(size / _MEBIBYTE, 1)
