"""The queue trigger: polls a queue and runs a function for every message.

Follows the documented behaviour of the Functions queue trigger:

* A batch of up to batchSize messages is taken at once; the next one as soon as no more than newBatchThreshold of them
  are being worked on, so up to batchSize + newBatchThreshold functions run side by side.
* An empty queue is polled again after a random exponential back-off, from 100 ms to maxPollingInterval. A queue that
  does not exist is polled in the same way until it does: the host does not make it.
* A message is hidden for ten minutes when it is taken, and again halfway through while its function runs.
* Success deletes the message. Failure makes it visible again after visibilityTimeout, or, when it has been taken
  maxDequeueCount times, moves it to `<queue>-poison`. A message taken more often than that (its host died each time)
  goes there without being run, and so does one that cannot be decoded.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final

from asyncservice.devhost.backoff import Backoff
from asyncservice.devhost.encoding import MessageUndecodable, decode_message
from asyncservice.devhost.functions import Function
from asyncservice.devhost.hostjson import QueueOptions
from asyncservice.devhost.invoker import Invokes
from asyncservice.devhost.messages import TypedData
from asyncservice.devhost.pausing import Stop
from asyncservice.devhost.queues import MessageQueue, QueueMissing, QueueUnreachable, TakenMessage

_log: Final = logging.getLogger("Host.Triggers.Queues")

#: How long a message is hidden when it is taken; half of it is the interval of its renewal.
HIDDEN_FOR: Final = timedelta(minutes=10)

type Clock = Callable[[], datetime]
type Sleep = Callable[[float], Awaitable[None]]


class QueueListener:
    """Works through one queue until it is stopped. `run` returns once no message is waited for or being worked on."""

    def __init__(
        self,
        *,
        function: Function,
        queue: MessageQueue,
        invoker: Invokes,
        options: QueueOptions,
        stop: Stop,
        rng: Random,
        clock: Clock,
        hidden_for: timedelta = HIDDEN_FOR,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._function = function
        self._queue = queue
        self._invoker = invoker
        self._options = options
        self._stop = stop
        self._backoff = Backoff(options.max_polling_interval, rng)
        self._clock = clock
        self._hidden_for = hidden_for
        self._sleep = sleep
        self._running: dict[asyncio.Task[None], TakenMessage] = {}
        #: Messages whose function runs at this moment, and renewals of them that are under way.
        self._held: dict[str, TakenMessage] = {}
        self._renewing: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Poll until the stop is requested, then wait for what is running. Cancelling abandons that, too."""
        renewal = asyncio.create_task(self._renew(), name=f"renewal of {self._queue.name}")
        try:
            await self._poll()
            if self._running:
                await asyncio.wait(self._running)
        finally:
            renewal.cancel()
            for task in self._running:
                task.cancel()
            await asyncio.gather(renewal, *self._running, *self._renewing.values(), return_exceptions=True)

    async def _poll(self) -> None:
        found = True
        reachable = True
        while not self._stop.requested:
            try:
                messages = await self._queue.take(self._options.batch_size, self._hidden_for)
            except QueueUnreachable as error:
                if reachable:
                    # An app that makes its queues on first use is not in trouble.
                    level = logging.INFO if isinstance(error, QueueMissing) else logging.WARNING
                    _log.log(level, "Queue %s: %s. It is polled until it answers.", self._queue.name, error)
                reachable, messages = False, ()
            else:
                if not reachable:
                    _log.info("Queue %s answers again.", self._queue.name)
                reachable = True
            if messages:
                found = True
                await self._start(messages)
                await self._room_for_more()
            elif not self._stop.requested:
                await self._stop.pause(self._backoff.next(found=found))
                found = False

    async def _start(self, messages: Sequence[TakenMessage]) -> None:
        if self._stop.requested:
            # The stop came while these were on their way. They are handed to whoever polls next instead of staying
            # hidden for ten minutes.
            await asyncio.gather(*(self._give_back(message) for message in messages))
            return
        for message in messages:
            task = asyncio.create_task(self._process(message))
            self._running[task] = message
            task.add_done_callback(self._finished)

    async def _room_for_more(self) -> None:
        while len(self._running) > self._options.new_batch_threshold and not self._stop.requested:
            self._room.clear()
            await self._room.wait()

    def _finished(self, task: asyncio.Task[None]) -> None:
        message = self._running.pop(task)
        if len(self._running) <= self._options.new_batch_threshold:
            self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("Message %s of queue %s: %s", message.id, self._queue.name, error, exc_info=error)

    async def _process(self, message: TakenMessage) -> None:
        try:
            await self._work_on(message)
        except QueueUnreachable as error:
            # The outcome could not be recorded: the message comes back when its hiding ends, and is run again.
            _log.warning("Message %s of queue %s stays hidden: %s", message.id, self._queue.name, error)

    async def _work_on(self, message: TakenMessage) -> None:
        most = self._options.max_dequeue_count
        if message.dequeue_count > most:
            await self._poison(message, f"it was taken {message.dequeue_count} times and never settled")
            return
        try:
            body = decode_message(message.text, self._options.message_encoding)
        except MessageUndecodable as error:
            await self._poison(message, str(error))
            return
        self._held[message.id] = message
        try:
            result = await self._invoker.invoke(self._function, TypedData(string=body), trigger_metadata(message, body))
        finally:
            del self._held[message.id]
        if (renewal := self._renewing.get(message.id)) is not None:
            # It brings a new pop receipt, without which the message can no longer be settled.
            await asyncio.wait([renewal])
        if result.error is None:
            await self._queue.delete(message)
        elif message.dequeue_count >= most:
            await self._poison(message, f"its function failed {message.dequeue_count} times")
        else:
            await self._queue.hide(message, self._options.visibility_timeout)

    async def _poison(self, message: TakenMessage, reason: str) -> None:
        await self._queue.send_poison(message.text)
        await self._queue.delete(message)
        _log.warning("Message %s was moved to %s-poison: %s.", message.id, self._queue.name, reason.rstrip("."))

    async def _give_back(self, message: TakenMessage) -> None:
        try:
            await self._queue.hide(message, timedelta(0))
        except QueueUnreachable as error:
            _log.warning("Message %s of queue %s stays hidden: %s", message.id, self._queue.name, error)

    async def _renew(self) -> None:
        # One task for all messages: a timer for each would cost more than most functions do.
        interval = self._hidden_for / 2
        while True:
            await self._sleep((interval / 2).total_seconds())
            limit = self._clock() + interval
            for message in [held for held in self._held.values() if held.visible_on <= limit]:
                if message.id not in self._renewing:
                    self._renewing[message.id] = asyncio.create_task(self._renew_one(message))

    async def _renew_one(self, message: TakenMessage) -> None:
        try:
            if not await self._queue.hide(message, self._hidden_for):
                _log.warning("Message %s of queue %s is in other hands.", message.id, self._queue.name)
        except QueueUnreachable as error:
            _log.warning("Message %s of queue %s could not be renewed: %s", message.id, self._queue.name, error)
        finally:
            del self._renewing[message.id]


def trigger_metadata(message: TakenMessage, body: str) -> dict[str, TypedData]:
    """Return what the host tells a function of its message; `func.QueueMessage` takes its attributes from it."""
    return {
        "QueueTrigger": TypedData(string=body),
        "Id": TypedData(string=message.id),
        "DequeueCount": TypedData(json=str(message.dequeue_count)),
        "PopReceipt": TypedData(string=message.pop_receipt),
        "InsertionTime": TypedData(string=_time(message.inserted_on)),
        "ExpirationTime": TypedData(string=_time(message.expires_on)),
        "NextVisibleTime": TypedData(string=_time(message.visible_on)),
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
