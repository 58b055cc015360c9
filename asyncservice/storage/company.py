"""What is asked for at the same time goes out together: the waiting room of shared transactions and messages."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

#: An item waits at most this long, in seconds, for a batch that is under way.
LINGER: Final = 0.005
#: Batches of one room that are under way at the same time, when there is enough for them.
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Member[Item, Answer]:
    """One caller's item, and where its answer goes."""

    item: Item
    answer: "asyncio.Future[Answer]"

    @property
    def has_left(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.answer.done()

    def succeed(self, answer: Answer) -> None:
        """Give the caller its answer."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: BaseException) -> None:
        """Raise *error* where the caller waits."""
        if self.answer.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.answer.cancel()
        else:
            self.answer.set_exception(error)


class Batch[Item, Answer](Protocol):
    """Items that go out together."""

    def takes(self, member: Member[Item, Answer]) -> bool:
        """Take *member* in, or say that it must wait for the next. An empty batch takes anything."""
        ...

    def send(self) -> Coroutine[Any, Any, None]:
        """Send the batch and answer every member, whatever happens."""
        ...


class Company[Item, Answer]:
    """A waiting room. An item that is alone leaves at once; while a batch is under way, the next one gathers.

    *linger* is how many seconds an item may wait for a batch that is under way; None waits until that is answered.
    """

    def __init__(self, new_batch: Callable[[], Batch[Item, Answer]], *, linger: float | None = LINGER) -> None:
        self._new_batch, self._linger = new_batch, linger
        self._waiting: deque[Member[Item, Answer]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._call: asyncio.Handle | None = None

    async def join(self, item: Item) -> Answer:
        """Send *item* with whatever else is ready, and return its own answer."""
        member = Member[Item, Answer](item, asyncio.get_running_loop().create_future())
        self._waiting.append(member)
        self._arrange()
        return await member.answer

    def _arrange(self) -> None:
        """See to it that what waits goes out: soon when nothing is under way, else a little later."""
        if not self._waiting or self._call is not None:
            return
        loop = asyncio.get_running_loop()
        if not self._under_way:
            # Not at once: whoever is ready to run now may want to come along.
            self._call = loop.call_soon(self._depart)
        elif self._linger is not None:
            self._call = loop.call_later(self._linger, self._depart)

    def _depart(self) -> None:
        self._call = None
        while self._waiting and len(self._under_way) < _AT_ONCE:
            batch, count = self._new_batch(), 0
            while self._waiting and (self._waiting[0].has_left or batch.takes(self._waiting[0])):
                count += not self._waiting.popleft().has_left
            if count:
                task = asyncio.get_running_loop().create_task(batch.send())
                self._under_way.add(task)
                task.add_done_callback(self._arrived)
        self._arrange()

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._call is not None and not self._under_way:
            self._call.cancel()
            self._call = None
        self._arrange()
