"""Ids of records, and the partition each one lives in.

The last hexadecimal digit of an id is its shard. Random ids spread over all sixteen; ids that are derived choose
theirs, so that records which are made together share a partition and therefore a transaction.
"""

from hashlib import sha256
from typing import Final
from uuid import UUID

#: Partitions of a record table.
SHARDS: Final = "0123456789abcdef"


def shard_of(record_id: UUID) -> str:
    """Return the partition that keeps the record of this id."""
    return SHARDS[record_id.int & 0xF]


def in_shard(record_id: UUID, shard: int) -> UUID:
    """Return the id with its last digit changed, so that it lives in the shard of that number."""
    return UUID(int=record_id.int & ~0xF | shard % len(SHARDS))


def derived_id(origin: UUID, *names: str | int, shard: int) -> UUID:
    """Return the id that *origin* and *names* always give, in the shard of that number.

    The same as version 8 of RFC 9562 asks for: a hash of our own, with version and variant set.
    """
    text = "/".join((str(origin), *map(str, names)))
    number = int.from_bytes(sha256(text.encode()).digest()[:16])
    number = number & ~(0xF << 76) | (0x8 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return in_shard(UUID(int=number), shard)
