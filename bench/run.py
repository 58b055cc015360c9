"""The order of events in one run."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from bench import flame, idle, load, loaded, lone, prices
from bench.children import ChildFailed
from bench.ground import Ground, a_ground
from bench.growth import mebibytes
from bench.hosts import app_as_in_azure
from bench.load import Load
from bench.peers import celery, redis
from bench.peers.celery import PeerAtWork
from bench.plan import SHORT, Plan
from bench.progress import Steps
from bench.results import Hosting, Memory, Results, Round, Throughput, paired
from bench.stage import Stage, a_stage

#: The way whose rate says what the service can do when operations come one by one.
_STEADY = "submit, 32 at once"


async def run(plan: Plan, steps: Steps, results: Results, *, graph: Path | None = None) -> None:
    """Measure everything, one after the other; *graph* receives a flame graph.

    Each round has an emulator of its own, since an emulator gets slower with every row in it.
    """
    steps.begin("starting the emulator and the service")
    async with a_ground(on_disk=True) as ground:
        async with a_stage(ground) as stage:
            await _warm_up(stage, plan, steps)
            await _alone(stage, plan, steps, results)
            await _idle(stage, plan, steps, results)
        await _as_in_azure(ground, plan, steps, results)
    await _taking_turns(plan, steps, results)
    async with a_ground(on_disk=True) as ground, a_stage(ground) as stage:
        await _warm_up(stage, plan, steps)
        await _loaded(stage, plan, steps, results)
        if graph is not None:
            steps.begin("a flame graph")
            await flame.draw(stage, graph, ground.directory)
        await _hosting(stage, plan, steps, results)
    _costs(results)


async def _warm_up(stage: Stage, plan: Plan, steps: Steps) -> None:
    steps.begin("warming up")
    for each in plan.loads:
        if each.milliseconds == SHORT:
            await load.measure(stage, replace(each, operations=max(1, each.operations // plan.warm_up)))


async def _alone(stage: Stage, plan: Plan, steps: Steps, results: Results) -> None:
    steps.begin("waiting until every listener rests")
    await asyncio.sleep(plan.settling.total_seconds())
    steps.begin("one operation at a time", total=plan.lone)
    results.lone, latencies = await lone.measure(stage, plan.lone, plan.lone_pause, steps.step, settings="local")
    results.latency += latencies


async def _taking_turns(plan: Plan, steps: Steps, results: Results) -> None:
    """Measure our ways and the peers, all in each round, so that whatever else the machine does meets them alike."""
    ours: dict[Load, list[Round]] = {each: [] for each in plan.loads}
    theirs: dict[tuple[str, int], list[Round]] = {}
    memory: list[Memory] = []
    give_up = time.monotonic() + plan.rounds_time.total_seconds()
    for number in range(1, plan.rounds + 1):
        if number > 1 and time.monotonic() > give_up:
            break
        steps.begin(f"round {number}: starting an emulator, the service and the peers")
        async with a_ground(on_disk=True) as ground, a_stage(ground) as stage:
            await _warm_up(stage, plan, steps)
            before = mebibytes(stage.hosts.memory())
            async with _peers(ground, plan, steps, results) as peers:
                for milliseconds, loads in groupby(plan.loads, lambda each: each.milliseconds):
                    for each in loads:
                        steps.begin(f"round {number}: {each.operations:,} x {each.name}")
                        ours[each].append(await load.measure(stage, each))
                    for peer in peers:
                        steps.begin(f"round {number}: {peer.peer.tasks:,} tasks of {milliseconds} ms: {peer.name}")
                        theirs.setdefault((peer.name, milliseconds), []).append(await peer.measure(milliseconds))
            memory.append(Memory(before=before, after=mebibytes(stage.hosts.memory())))
    results.memory = max(memory, key=lambda each: each.after or 0)
    names = list(dict.fromkeys(name for name, _ in theirs))
    results.ours = [
        Throughput.of(each.name, measured, milliseconds=each.milliseconds) for each, measured in ours.items()
    ]
    results.peers = [
        Throughput.of(f"{name}; {milliseconds} ms each" if milliseconds else name, measured, milliseconds=milliseconds)
        for (name, milliseconds), measured in theirs.items()
    ]
    results.ratios = {
        each.name: {name: paired(ours[each], theirs[name, each.milliseconds]) for name in names} for each in plan.loads
    }


async def _loaded(stage: Stage, plan: Plan, steps: Steps, results: Results) -> None:
    steady = next(each for each in results.ours if each.name == _STEADY)
    rate = max(1.0, steady.per_second.middle * plan.loaded_part)
    steps.begin(f"{rate:.0f} operations a second", total=plan.loaded.total_seconds())
    results.latency += await loaded.measure(stage, rate, plan.loaded, steps.step)


async def _idle(stage: Stage, plan: Plan, steps: Steps, results: Results) -> None:
    steps.begin("waiting until every listener rests")
    await asyncio.sleep(plan.settling.total_seconds())
    steps.begin("nothing to do", total=plan.idle.total_seconds())
    results.idle.append(await idle.measure(stage, plan.idle, steps.step, settings="local"))


async def _hosting(stage: Stage, plan: Plan, steps: Steps, results: Results) -> None:
    rounds: dict[tuple[int, int, Load], list[Round]] = {}
    for number in range(1, plan.hosting_rounds + 1):
        for hosts, workers in plan.hosting:
            steps.begin(f"round {number}: {hosts} hosts of {workers} worker processes")
            await stage.hosts.be(hosts, workers=workers)
            for each in plan.hosting_loads:
                rounds.setdefault((hosts, workers, each), []).append(await load.measure(stage, each))
    results.hosting = [
        Hosting(
            hosts=hosts,
            workers=workers,
            measured=Throughput.of(each.name, measured, milliseconds=each.milliseconds),
        )
        for (hosts, workers, each), measured in rounds.items()
    ]


async def _as_in_azure(ground: Ground, plan: Plan, steps: Steps, results: Results) -> None:
    """Measure latency and the idle host with the settings that are deployed."""
    steps.begin("starting the service with the settings for Azure")
    async with a_stage(ground, app=app_as_in_azure(ground.directory)) as stage:
        steps.begin("waiting until every listener rests")
        await asyncio.sleep(plan.azure_settling.total_seconds())
        steps.begin("nothing to do", total=plan.idle.total_seconds())
        results.idle.append(await idle.measure(stage, plan.idle, steps.step, settings="Azure"))
        steps.begin("one operation at a time", total=len(lone.WORKING))
        # One for each queue: after that, a listener polls often for a while.
        _, latencies = await lone.measure(stage, len(lone.WORKING), plan.lone_pause, steps.step, settings="Azure")
        results.latency += latencies


def _costs(results: Results) -> None:
    if results.lone is not None:
        # Its polls are those of an hour that passes with or without it.
        results.costs.append(prices.of_operations("a million operations, each alone", results.lone.kinds, 0.0))
    results.costs += [
        prices.of_operations(f"a million: {each.name}", each.kinds, each.polls)
        for each in results.ours
        if each.milliseconds == SHORT
    ]
    results.costs += [prices.of_hour(f"an idle hour of one host, {each.name}", each.kinds) for each in results.idle]


@asynccontextmanager
async def _peers(ground: Ground, plan: Plan, steps: Steps, results: Results) -> AsyncIterator[Sequence[PeerAtWork]]:
    """Run the peers that can be run here; between their turns they wait, as our host does."""
    async with AsyncExitStack() as stack:
        on_azure = celery.Peer.on_azure(ground.azurite, ground.log, plan)
        steps.begin(f"starting {on_azure.name}")
        peers = [await stack.enter_async_context(celery.at_work(on_azure, plan, ground.directory))]
        executable = redis.find_server()
        if executable is None:
            _skip(results, "Celery on Redis: skipped, there is no redis-server on the PATH.")
        else:
            try:
                url = await stack.enter_async_context(redis.a_server(executable, ground.directory))
                on_redis = celery.Peer.on_redis(url, plan)
                steps.begin(f"starting {on_redis.name}")
                peers.append(await stack.enter_async_context(celery.at_work(on_redis, plan, ground.directory)))
            except ChildFailed as error:
                # A peer that does not run here is no reason to measure nothing.
                _skip(results, f"Celery on Redis: skipped. {error}")
        yield peers


def _skip(results: Results, why: str) -> None:
    """Note once what is left out, however many rounds leave it out."""
    if why not in results.skipped:
        results.skipped.append(why)


def forget_settings(environment: "os._Environ[str]") -> None:
    """Remove settings of the service that the caller has: its defaults are what is measured."""
    for name in list(environment):
        if name.startswith(("ASYNCSERVICE_", "AzureWebJobs", "AzureFunctionsJobHost", "FUNCTIONS_")):
            del environment[name]
