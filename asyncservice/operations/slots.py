"""Slots: how many operations run in one process at once, which families they belong to, and who waits for one.

A flood of one family cannot starve the others: each has a few slots of its own, and what is common goes to the waiting
family that runs least. Within a family it is first come, first served.

A host takes messages ahead of its work, and what it cannot begin soon must not wait in it while other hosts are idle.
The operations of one message therefore wait as a `Party`, which can give up on those whose turn has not come. Whoever
gave up waits in `Slots.room` until there is a slot that nobody wants: that keeps the host from taking more meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from asyncservice.operations.operationtypes import Family

#: An operation that cannot begin within this time is left to other hosts. A host that begins 200 a second begins
#: everything that it takes ahead, so quick work is never handed back.
PATIENCE: Final = timedelta(seconds=5)
#: A message whose operations were handed back keeps its place in the host no longer than this.
LONGEST_PAUSE: Final = timedelta(minutes=1)
#: The share of the slots that belongs to the families, in equal parts; the rest is common.
_OWN: Final = 1 / 4


def own_slots(slots: int) -> int:
    """Return how many of so many slots each family has for itself."""
    return max(int(slots * _OWN) // len(Family), 1) if slots >= 2 * len(Family) else 0


class Slots:
    """The slots of one process."""

    def __init__(self, count: int) -> None:
        self._own = own_slots(count)
        self._common = count - self._own * len(Family)
        self._running: Counter[Family] = Counter()
        #: How many common slots are taken.
        self._shared = 0
        # A dictionary is a line that can be left from the middle.
        self._lines: dict[Family, dict[asyncio.Future[bool], None]] = {family: {} for family in Family}
        self._resting: dict[asyncio.Future[None], Family] = {}

    @property
    def running(self) -> int:
        """How many are taken."""
        return self._running.total()

    def is_free(self, family: Family) -> bool:
        """Whether there is a slot for the family."""
        return self._running[family] < self._own or self._shared < self._common

    def ask(self, family: Family) -> asyncio.Future[bool]:
        """Stand in the family's line; the answer is True when a slot is taken, which must be given back."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._lines[family] or not self.is_free(family):
            self._lines[family][turn] = None
        else:
            self._take(family, turn)
        return turn

    def leave(self, family: Family, turn: asyncio.Future[bool]) -> None:
        """Leave the line. A slot that was taken meanwhile is given back."""
        self._lines[family].pop(turn, None)
        if turn.done() and not turn.cancelled() and turn.result():
            self.give(family)

    def give(self, family: Family) -> None:
        """Give a slot back."""
        self._running[family] -= 1
        self._shared -= self._running[family] >= self._own
        while waiting := [each for each, line in self._lines.items() if line and self.is_free(each)]:
            least = min(waiting, key=self._running.__getitem__)
            turn = next(iter(self._lines[least]))
            del self._lines[least][turn]
            if not turn.done():
                self._take(least, turn)
        self._end_a_rest()
        # Where few run, few may rest: a host that rests takes nothing.
        while len(self._resting) > self.running and self._end_a_rest():
            pass

    async def room(self, family: Family) -> None:
        """Return when there is a slot for the family that nobody waits for."""
        if self._lines[family] or not self.is_free(family):
            rest: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._resting[rest] = family
            try:
                await rest
            finally:
                self._resting.pop(rest, None)

    def _end_a_rest(self) -> bool:
        """Wake one of those who rest, for whom there is a slot; return whether there was one.

        One for each slot that is given back: if all came back at once, the host would take far more than it can begin.
        """
        for rest, family in self._resting.items():
            if self.is_free(family) and not rest.done():
                del self._resting[rest]
                rest.set_result(None)
                return True
        return False

    def _take(self, family: Family, turn: asyncio.Future[bool]) -> None:
        self._shared += self._running[family] >= self._own
        self._running[family] += 1
        turn.set_result(True)


class Party[Item]:
    """Some that wait for slots together."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._waiting: dict[asyncio.Future[bool], tuple[Family, Item]] = {}
        self._none_waits = asyncio.Event()

    @asynccontextmanager
    async def turn(self, family: Family, item: Item) -> AsyncIterator[bool]:
        """Wait for a slot and hold it for the block. False stands for none: the party has given up on this one."""
        turn = self._slots.ask(family)
        self._waiting[turn] = family, item
        self._none_waits.clear()
        try:
            has_come = await turn
        except asyncio.CancelledError:
            self._slots.leave(family, turn)
            raise
        finally:
            del self._waiting[turn]
            if not self._waiting:
                self._none_waits.set()
        try:
            yield has_come
        finally:
            if has_come:
                self._slots.give(family)

    @property
    def is_waiting(self) -> bool:
        """Whether somebody's turn has not come."""
        return any(not turn.done() for turn in self._waiting)

    async def all_have_begun(self) -> None:
        """Return when nobody waits any more."""
        await self._none_waits.wait()

    def give_up(self) -> Sequence[tuple[Family, Item]]:
        """Let those leave the line whose turn has not come; return them."""
        late = [(turn, *each) for turn, each in self._waiting.items() if not turn.done()]
        for turn, family, _ in late:
            self._slots.leave(family, turn)
            turn.set_result(False)
        return [(family, item) for _, family, item in late]
