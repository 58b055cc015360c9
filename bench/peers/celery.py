"""Measures a Celery worker."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from asyncservice.devhost.azurite import Azurite
from asyncservice.storage.azure import DEVELOPMENT_ACCOUNT, DEVELOPMENT_KEY
from bench.children import Child
from bench.peers.app import BACKEND, BROKER
from bench.plan import Plan
from bench.results import Round
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


@dataclass(frozen=True, slots=True)
class PeerAtWork:
    """A peer whose worker is up and whose submitter waits to be asked."""

    peer: Peer
    submitter: Child

    @property
    def name(self) -> str:
        """The peer's name."""
        return self.peer.name

    async def measure(self, milliseconds: int, *, part: int = 1) -> Round:
        """Have tasks done that sleep for so long; *part* divides their number."""
        tasks = max(1, self.peer.tasks // part)
        asked = json.dumps({"tasks": tasks, "milliseconds": milliseconds})
        told = json.loads(await self.submitter.asked(asked, _LIMIT))
        requests = self.peer.log.read(told["start"], told["end"]) if self.peer.log else ()
        return Round(operations=tasks, seconds=told["seconds"], requests=Requests.of_peer(requests), cpu={})


@asynccontextmanager
async def at_work(peer: Peer, plan: Plan, directory: Path) -> AsyncIterator[PeerAtWork]:
    """Run a worker and a submitter; end both. The first task has found everything connected."""
    environment = {BROKER: peer.broker, BACKEND: peer.backend}
    stem = peer.name.replace(" ", "-").lower()
    worker = Child.python(
        f"The worker of {peer.name}",
        "celery",
        *("-A", "bench.peers.app", "worker", "--pool", "threads", "--concurrency", str(plan.peer_threads)),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"),
        output=directory / f"{stem}-worker.log",
        environment=environment,
    )
    log = () if peer.log is None else ("--access-log", str(peer.log.path))
    submitter = Child(
        f"The submitter of {peer.name}",
        # It ends with its input, as it must: nothing has to see to it that it does.
        [sys.executable, "-m", "bench.peers.submitter", *log],
        output=directory / f"{stem}-submitter.log",
        environment=environment,
    )
    async with worker, submitter:
        ready = PeerAtWork(peer, submitter)
        await ready.measure(0, part=peer.tasks)
        yield ready
