"""The queue listener, against a queue in memory whose every request is counted."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random

from asyncservice.devhost.functions import Function, QueueTrigger
from asyncservice.devhost.hostjson import MessageEncoding, QueueOptions
from asyncservice.devhost.messages import TypedData
from asyncservice.devhost.pausing import Stop
from asyncservice.devhost.queues import QueueMissing, QueueUnreachable, TakenMessage
from asyncservice.devhost.queuetrigger import QueueListener, trigger_metadata
from asyncservice.devhost.worker import Result

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
FUNCTION = Function(id="1", name="work", parameter="message", trigger=QueueTrigger(queue="q", connection=""))
FAILED = Result(error="ValueError: no")

type Work = Callable[[str], Awaitable[Result]]


def a_message(text: str, *, dequeue_count: int = 1) -> TakenMessage:
    return TakenMessage(
        id=text,
        text=text,
        dequeue_count=dequeue_count,
        inserted_on=NOW,
        expires_on=NOW + timedelta(days=7),
        pop_receipt="r0",
        visible_on=NOW + timedelta(minutes=10),
    )


class MemoryQueue:
    """Hands out prepared batches and keeps a journal of what is asked of it."""

    def __init__(self, *batches: Sequence[TakenMessage] | Exception) -> None:
        self.batches = list(batches)
        self.journal: list[str] = []
        self.takes = 0
        #: Set while renewals shall wait.
        self.renewals_may_pass = asyncio.Event()
        self.renewals_may_pass.set()

    name = "q"

    async def take(self, count: int, hidden_for: timedelta) -> Sequence[TakenMessage]:
        assert (count, hidden_for) == (4, timedelta(minutes=10))
        self.takes += 1
        await asyncio.sleep(0)
        batch = self.batches.pop(0) if self.batches else ()
        if isinstance(batch, Exception):
            raise batch
        return batch

    async def delete(self, message: TakenMessage) -> None:
        await asyncio.sleep(0)
        self.journal.append(f"delete {message.text} {message.pop_receipt}")

    async def hide(self, message: TakenMessage, hidden_for: timedelta) -> bool:
        await self.renewals_may_pass.wait()
        message.pop_receipt = f"r{int(message.pop_receipt[1:]) + 1}"
        message.visible_on += hidden_for
        self.journal.append(f"hide {message.text} {hidden_for.total_seconds():g}")
        return True

    async def send_poison(self, text: str) -> None:
        self.journal.append(f"poison {text}")


class Functions:
    """Runs *work* for every message and counts how many run side by side."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.running = self.most = 0
        self.bodies: list[str] = []

    async def invoke(
        self,
        function: Function,
        data: TypedData,
        metadata: Mapping[str, TypedData],
        *,
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Result:
        assert function is FUNCTION
        assert metadata["QueueTrigger"].value == data.value
        assert (trace_parent, trace_state) == ("", "")
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            self.bodies.append(data.value)
            return await self._work(data.value)
        finally:
            self.running -= 1


class Ticks:
    """Stands in for sleeping: each tick wakes whoever sleeps."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def sleep(self, _seconds: float) -> None:
        await self._event.wait()
        self._event.clear()

    def tick(self) -> None:
        self._event.set()


async def succeed(_body: str) -> Result:
    await asyncio.sleep(0)
    return Result()


async def fail(_body: str) -> Result:
    return FAILED


class Running:
    """A listener at work, until it is told to stop."""

    def __init__(self, queue: MemoryQueue, work: Work, **options: object) -> None:
        self.queue, self.functions, self.ticks, self.stop = queue, Functions(work), Ticks(), Stop()
        self.now = NOW
        chosen: dict[str, object] = {
            "batch_size": 4,
            "new_batch_threshold": 2,
            "message_encoding": MessageEncoding.NONE,
        }
        self.task = asyncio.create_task(
            QueueListener(
                function=FUNCTION,
                queue=queue,
                invoker=self.functions,
                options=QueueOptions(**(chosen | options)),  # type: ignore[arg-type]
                stop=self.stop,
                rng=Random(1),
                clock=lambda: self.now,
                sleep=self.ticks.sleep,
            ).run()
        )

    async def until(self, fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not fact():  # noqa: ASYNC110 - the world under test has no events to wait for
                await asyncio.sleep(0)

    async def finish(self) -> list[str]:
        self.stop.request()
        await asyncio.wait_for(self.task, 5)
        return self.queue.journal


async def test_a_message_is_deleted_when_its_function_succeeds() -> None:
    running = Running(MemoryQueue([a_message("a")]), succeed)
    await running.until(lambda: bool(running.queue.journal))
    assert await running.finish() == ["delete a r0"]


async def test_a_message_comes_back_after_the_visibility_timeout_when_its_function_fails() -> None:
    running = Running(MemoryQueue([a_message("a")]), fail, visibility_timeout=timedelta(seconds=30))
    await running.until(lambda: bool(running.queue.journal))
    assert await running.finish() == ["hide a 30"]


async def test_a_message_that_failed_too_often_is_moved_to_the_poison_queue() -> None:
    running = Running(MemoryQueue([a_message("a", dequeue_count=5)]), fail)
    await running.until(lambda: len(running.queue.journal) == 2)
    assert await running.finish() == ["poison a", "delete a r0"]


async def test_a_message_that_was_taken_too_often_is_not_even_run() -> None:
    running = Running(MemoryQueue([a_message("a", dequeue_count=6)]), succeed)
    await running.until(lambda: len(running.queue.journal) == 2)
    assert await running.finish() == ["poison a", "delete a r0"]
    assert running.functions.bodies == []


async def test_a_message_that_cannot_be_decoded_is_not_run_and_goes_to_the_poison_queue_as_it_was() -> None:
    running = Running(MemoryQueue([a_message("{}")]), succeed, message_encoding=MessageEncoding.BASE64)
    await running.until(lambda: len(running.queue.journal) == 2)
    assert await running.finish() == ["poison {}", "delete {} r0"]
    assert running.functions.bodies == []


async def test_the_next_batch_is_taken_once_no_more_than_the_threshold_are_running() -> None:
    free = {text: asyncio.Event() for text in "abcdefgh"}

    async def work(body: str) -> Result:
        await free[body].wait()
        return Result()

    running = Running(MemoryQueue([a_message(text) for text in "abcd"], [a_message(text) for text in "efgh"]), work)
    await running.until(lambda: len(running.functions.bodies) == 4)
    free["a"].set()
    await running.until(lambda: running.functions.running == 3)
    assert running.queue.takes == 1

    free["b"].set()
    await running.until(lambda: running.functions.running == 6)

    assert running.functions.most == 6
    for event in free.values():
        event.set()
    assert len(await running.finish()) == 8


async def test_a_queue_that_does_not_answer_is_asked_again() -> None:
    queue = MemoryQueue(QueueMissing("none"), QueueUnreachable("busy"), [a_message("a")])
    running = Running(queue, succeed)
    await running.until(lambda: bool(queue.journal))
    assert await running.finish() == ["delete a r0"]


async def test_hiding_is_renewed_halfway_through_while_the_function_runs() -> None:
    end = asyncio.Event()

    async def work(_body: str) -> Result:
        await end.wait()
        return Result()

    running = Running(MemoryQueue([a_message("a")]), work)
    await running.until(lambda: running.functions.running == 1)
    running.now = NOW + timedelta(minutes=4)
    running.ticks.tick()
    await asyncio.sleep(0)
    running.now = NOW + timedelta(minutes=6)
    running.ticks.tick()
    await running.until(lambda: bool(running.queue.journal))
    end.set()

    assert await running.finish() == ["hide a 600", "delete a r1"]


async def test_a_function_that_ends_during_a_renewal_settles_its_message_with_the_new_receipt() -> None:
    end = asyncio.Event()

    async def work(_body: str) -> Result:
        await end.wait()
        return Result()

    queue = MemoryQueue([a_message("a")])
    queue.renewals_may_pass.clear()
    running = Running(queue, work)
    await running.until(lambda: running.functions.running == 1)
    running.now = NOW + timedelta(minutes=6)
    running.ticks.tick()
    await asyncio.sleep(0)
    end.set()
    await running.until(lambda: running.functions.running == 0)
    queue.renewals_may_pass.set()

    assert await running.finish() == ["hide a 600", "delete a r1"]


async def test_a_stop_lets_running_functions_finish_and_takes_nothing_more() -> None:
    end = asyncio.Event()

    async def work(_body: str) -> Result:
        await end.wait()
        return Result()

    running = Running(MemoryQueue([a_message("a")], [a_message("b")]), work, new_batch_threshold=0)
    await running.until(lambda: running.functions.running == 1)
    finishing = asyncio.create_task(running.finish())
    await asyncio.sleep(0)
    end.set()

    assert await finishing == ["delete a r0"]
    assert running.queue.takes == 1


async def test_messages_that_arrive_after_the_stop_are_given_back_at_once() -> None:
    queue = MemoryQueue([a_message("a"), a_message("b")])
    running = Running(queue, succeed)
    await running.until(lambda: queue.takes == 1)

    assert await running.finish() == ["hide a 0", "hide b 0"]
    assert running.functions.bodies == []


async def test_functions_that_are_cancelled_leave_their_messages_hidden() -> None:
    async def work(_body: str) -> Result:
        await asyncio.Event().wait()
        return Result()

    running = Running(MemoryQueue([a_message("a")]), work)
    await running.until(lambda: running.functions.running == 1)
    running.task.cancel()
    with suppress(asyncio.CancelledError):
        await running.task

    assert running.queue.journal == []
    assert running.functions.running == 0


def test_metadata_carries_what_a_function_can_ask_of_its_message() -> None:
    metadata = trigger_metadata(a_message("a", dequeue_count=3), "a")
    assert {name: data.value for name, data in metadata.items()} == {
        "QueueTrigger": "a",
        "Id": "a",
        "DequeueCount": "3",
        "PopReceipt": "r0",
        "InsertionTime": "2026-03-10T12:00:00+00:00",
        "ExpirationTime": "2026-03-17T12:00:00+00:00",
        "NextVisibleTime": "2026-03-10T12:10:00+00:00",
    }
