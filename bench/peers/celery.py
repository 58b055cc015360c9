"""Measures a Celery worker."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from asyncservice.devhost.azurite import Azurite
from asyncservice.storage.azure import DEVELOPMENT_ACCOUNT, DEVELOPMENT_KEY
from bench.children import Child
from bench.peers.app import BACKEND, BROKER
from bench.plan import Plan
from bench.results import Round, Throughput
from bench.wire import AccessLog, Requests

_LIMIT: Final = timedelta(seconds=150)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Celery on one kind of storage."""

    name: str
    broker: str
    backend: str
    tasks: int
    #: Where its requests can be counted.
    log: AccessLog | None = None

    @classmethod
    def on_azure(cls, azurite: Azurite, log: AccessLog, plan: Plan) -> "Peer":
        """Return Celery with queues and results in the emulator that our service uses."""
        _, queue_port, _ = azurite.ports
        return cls(
            name="Celery on Azure Storage",
            broker=f"azurestoragequeues://{DEVELOPMENT_KEY}@http://127.0.0.1:{queue_port}/{DEVELOPMENT_ACCOUNT}",
            backend=f"azureblockblob://{azurite.connection_string}",
            tasks=plan.azure_tasks,
            log=log,
        )

    @classmethod
    def on_redis(cls, url: str, plan: Plan) -> "Peer":
        """Return Celery with queues and results in Redis."""
        return cls(name="Celery on Redis", broker=url, backend=url, tasks=plan.redis_tasks)


async def measure(peer: Peer, plan: Plan, directory: Path) -> Throughput:
    """Run a worker, have tasks done, end the worker."""
    environment = {BROKER: peer.broker, BACKEND: peer.backend}
    worker = Child.python(
        f"The worker of {peer.name}",
        "celery",
        *("-A", "bench.peers.app", "worker", "--pool", "threads", "--concurrency", str(plan.peer_threads)),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
        output=directory / "worker.log",
        environment=environment,
    )
    submitter = Child.python(
        f"The submitter of {peer.name}",
        "bench.peers.submitter",
        *("--tasks", str(peer.tasks), "--rounds", str(plan.peer_rounds)),
        *(() if peer.log is None else ("--access-log", str(peer.log.path))),
        output=directory / "submitter.log",
        environment=environment,
    )
    async with worker, submitter:
        output = await submitter.ends(_LIMIT)
    rounds = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return Throughput.of(peer.name, [_round(peer, each) for each in rounds])


def _round(peer: Peer, told: Mapping[str, float]) -> Round:
    requests = peer.log.read(int(told["start"]), int(told["end"])) if peer.log else ()
    return Round(
        operations=peer.tasks,
        seconds=told["seconds"],
        requests=Requests.of_peer(requests),
        cpu={},
    )
