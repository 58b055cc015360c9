"""A whole service in one process: storage, engine, and a host that a test moves by hand."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from random import Random
from uuid import UUID

from asyncservice.operations import agenda
from asyncservice.operations.agenda import Repair
from asyncservice.operations.engine import Engine, EngineOptions
from asyncservice.operations.handling import Handler, Registration, Registry
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import Family, OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.retry import RetryPolicy
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageError
from tests.support import VirtualClock, an_operation

#: How long the Functions host hides a message that an invocation has taken.
HOST_HIDES = timedelta(minutes=10)
#: How long it hides one whose invocation failed.
HOST_RETRIES = timedelta(seconds=10)


class World:
    """An engine with its handlers, and the host that feeds it. Several worlds may share one storage."""

    def __init__(
        self, storage: Storage, clock: VirtualClock, *, host: str = "host-1", options: EngineOptions | None = None
    ) -> None:
        self.storage, self.clock = storage, clock
        self.registry = Registry()
        self.engine = Engine(
            storage, self.registry, clock=clock, host=host, options=options or EngineOptions(shards=4), rng=Random(1)
        )
        self.control = self.engine.control

    async def open(self) -> "World":
        await self.engine.open()
        return self

    async def open_quietly(self) -> "World":
        """Open on storage that was opened before, without counting as a call to it."""
        self.engine.store._shards = self.engine.options.shards
        return self

    def handle(
        self,
        handler: Handler,
        *,
        type: OperationType = OperationType.EXECUTE_ASYNC_REQUEST,  # noqa: A002 - the domain's word
        retry: RetryPolicy | None = None,
        slice_length: timedelta = timedelta(minutes=4),
    ) -> None:
        registration = Registration(type=type, handler=handler, retry=retry or RetryPolicy(), slice=slice_length)
        self.registry.add(registration)

    async def submit(self, **columns: object) -> UUID:
        operation = an_operation(now=self.clock.now(), **columns)  # type: ignore[arg-type]
        return (await self.engine.submit(operation)).operation.asyncoperationid

    async def get(self, operation_id: UUID) -> AsyncOperation:
        return await self.control.get(operation_id)

    async def deliver(self) -> int:
        """Deliver every visible hint once, as the host would; return how many there were."""
        delivered = 0
        for family in Family:
            queue = self.storage.queue(family.queue_name)
            for message in await queue.receive(count=32, hidden_for=HOST_HIDES):
                delivered += 1
                try:
                    await self.engine.run(message.text)
                except StorageError:
                    continue
                await queue.delete(message)
        return delivered

    async def run_everything(self) -> None:
        """Deliver hints until none is visible."""
        while await self.deliver():
            pass

    async def sweep(self) -> Mapping[Repair, int]:
        return await agenda.sweep(self.engine)

    async def pass_time(self, length: timedelta, *, step: timedelta = timedelta(minutes=1)) -> None:
        """Let time pass with the host at work: hints are delivered and the sweep runs at every step."""
        end = self.clock.now() + length
        while self.clock.now() < end:
            await self.clock.advance(min(step, end - self.clock.now()))
            await self.run_everything()
            await self.sweep()
            await self.run_everything()

    async def start(self, operation_id: UUID) -> asyncio.Task[None]:
        """Begin to run an operation and return while it runs."""
        stored = await self.engine.store.read(operation_id)
        assert stored is not None
        task = asyncio.create_task(self.engine.run_one(self.engine.store.place(stored.operation)))
        await until(lambda: self.is_running(operation_id))
        return task

    async def is_running(self, operation_id: UUID) -> bool:
        return (await self.get(operation_id)).is_locked

    async def lose_hints(self) -> None:
        """Take every message and forget it."""
        for name in (*(family.queue_name for family in Family), INBOX):
            while taken := await self.storage.queue(name).receive(count=32, hidden_for=HOST_HIDES):
                for message in taken:
                    await self.storage.queue(name).delete(message)


async def until(condition: object, *, tries: int = 400) -> None:
    """Return when *condition*, an async function, says so; fail after enough looks."""
    for _ in range(tries):
        if await condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.005)
    raise AssertionError("It did not come to pass.")
