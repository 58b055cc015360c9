"""New ids, chosen so that what is submitted together stands together.

Operations of one partition share transactions, and hosts read those that stand close together in one request. So one
submitter's ids keep to a partition for a short while, those of a batch for as many as fill a transaction, and ids of
the same millisecond are in the order of their submission.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from secrets import randbits
from typing import Final
from uuid import UUID

from asyncservice.operations import ids

#: How long a submitter stays with a partition, in milliseconds: about as long as it takes to write a transaction.
_STAY: Final = 32
_ORDERS: Final = 1 << 12


class Mint:
    """Makes the ids of one submitter. *run* is how many operations of a batch stay together."""

    def __init__(self, *, run: int, random_bits: Callable[[int], int] = randbits) -> None:
        self._run, self._random_bits = run, random_bits
        # Submitters begin anywhere, so that they do not all write to the same partition at the same time.
        self._offset = random_bits(8)
        self._millisecond, self._order = 0, 0

    def ids(self, tokens: Sequence[str | None], *, shards: int, now: datetime) -> list[UUID]:
        """Return an id for each operation of a batch, by its dependency token."""
        millisecond = round(now.timestamp() * 1000)
        if millisecond != self._millisecond:
            self._millisecond, self._order = millisecond, 0
        first = self._offset + millisecond // _STAY
        step = max(len(tokens), 1)
        made = []
        for index, token in enumerate(tokens):
            shard = (first + index // self._run) % shards if token is None else ids.token_shard(token, shards)
            # More than there are orders share them, still ascending.
            order = index * _ORDERS // step if step > _ORDERS else min(self._order + index, _ORDERS - 1)
            made.append(ids.new_id(now, self._random_bits, shard=shard, order=order))
        self._order += len(tokens)
        return made
