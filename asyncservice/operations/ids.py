"""Where an operation lives: its id decides its partition, and nearly always its row key.

Ids that we make, and any other UUID of version 7, carry their time of creation: the row key is that time inverted,
so that the newest operation comes first in a scan, and a look-up by id is one point read. Other ids (a caller's own)
carry no time: their record gets the same kind of key from its createdon, and an alias row, keyed by the id, says
which. The alias also makes the second insert of the same id fail. Operations of one dependency token stand in one
partition, the token's; where that is not the id's own, an alias there says so too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final
from uuid import UUID
from zlib import crc32

from asyncservice.storage.tables import Row, Value

_VERSION_7: Final = 7
_ID_LENGTH: Final = 32
_MILLISECONDS: Final = 0xFFFF_FFFF_FFFF
#: First characters of row keys, one for each kind of row, so that each kind is a contiguous range.
AGENDA, CHILD, REMOVAL, EVENT, HISTORY, ALIAS, RECORD, INDEX = "a", "c", "d", "e", "h", "i", "o", "x"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands in the table."""

    partition: str
    key: str

    @property
    def tail(self) -> str:
        """The record's key without its first character; other rows of the operation carry it too."""
        return self.key[1:]


def new_id(
    now: datetime, random_bits: Callable[[int], int], *, shard: int | None = None, order: int | None = None
) -> UUID:
    """Return a UUID of version 7 for *now*; its last byte is *shard* where one is given, so that a batch shares it.

    *order*, below 4,096, says where it comes among ids of the same millisecond.
    """
    milliseconds = round(now.timestamp() * 1000) & _MILLISECONDS
    low = random_bits(62)
    if shard is not None:
        low = (low & ~0xFF) | shard
    high = random_bits(12) if order is None else order
    return UUID(int=milliseconds << 80 | _VERSION_7 << 76 | high << 64 | 0b10 << 62 | low)


def derived_id(now: datetime, text: str, *, shard: int | None = None) -> UUID:
    """Return the UUID of version 7 that these always give: the same message makes the same operation."""
    digest = int.from_bytes(blake2b(text.encode(), digest_size=10).digest())

    def bits_of(bits: int) -> int:
        return (digest >> (0 if bits == 62 else 62)) & ((1 << bits) - 1)  # noqa: PLR2004 - new_id asks for 62 and 12

    return new_id(now, bits_of, shard=shard)


def partition_of(operation_id: UUID, shards: int) -> str:
    """Return the partition that an operation of that id belongs to."""
    number = operation_id.int & 0xFF if operation_id.version == _VERSION_7 else crc32(operation_id.bytes)
    return partition_name(number % shards)


def partition_name(shard: int) -> str:
    """Return the partition key of a shard."""
    return f"{shard:02x}"


def token_shard(token: str, shards: int) -> int:
    """Return the shard that operations of a dependency token share."""
    return crc32(token.encode()) % shards


def known_place(operation_id: UUID, shards: int) -> Place | None:
    """Return where to look for the record of that id, or None when only its alias row knows."""
    if operation_id.version != _VERSION_7:
        return None
    return Place(partition_of(operation_id, shards), record_key(operation_id, None))


def record_key(operation_id: UUID, createdon: datetime | None) -> str:
    """Return the key of the record of that id; *createdon* counts for ids that carry no time."""
    own = known_tail(operation_id)
    if own is not None:
        return RECORD + own
    if createdon is None:
        raise ValueError(f"{operation_id} carries no time.")
    return f"{RECORD}{inverted(createdon)}{operation_id.hex}"


def known_tail(operation_id: UUID) -> str | None:
    """Return the key of the record of that id without its first character, or None when the id carries no time."""
    if operation_id.version != _VERSION_7:
        return None
    return f"{_MILLISECONDS - (operation_id.int >> 80):012x}{operation_id.hex[12:]}"


def inverted(moment: datetime) -> str:
    """Return the milliseconds of a moment as keys hold them: the later it is, the smaller."""
    return f"{_MILLISECONDS - round(moment.timestamp() * 1000):012x}"


def place_of(operation_id: UUID, shards: int, createdon: datetime, token: str | None = None) -> Place:
    """Return where the record of that id, time of creation and dependency token stands."""
    own = partition_of(operation_id, shards)
    partition = own if token is None else partition_name(token_shard(token, shards))
    return Place(partition, record_key(operation_id, createdon))


def alias_key(operation_id: UUID) -> str:
    """Return the key, in the id's own partition, of the row that says where the record stands.

    For an id that carries no time it has a key of its own. For one that does, the record's own key is taken: the
    row is needed only where a dependency token keeps the record elsewhere, and no second record of that id can then
    be made in its own partition.
    """
    return record_key(operation_id, None) if operation_id.version == _VERSION_7 else ALIAS + operation_id.hex


def alias_row(place: Place, createdon: datetime) -> dict[str, Value]:
    """Return what an alias row says: where the record stands."""
    return {"partition": place.partition, "record": place.key, "createdon": createdon}


def is_alias(row: Row) -> bool:
    """Whether a row says where a record stands instead of being one."""
    return "record" in row.values


def fence_row(operation_id: UUID, until: datetime) -> dict[str, Value]:
    """Return what stands in the place of a record that nobody may write late; see `reservation`."""
    return {"fenced": operation_id, "until": until}


def is_fence(row: Row) -> bool:
    """Whether a row keeps late writers from a record's place."""
    return "fenced" in row.values


def fenced_id(fence: Row) -> UUID:
    """Return the id of the operation that a fence is about."""
    return UUID(str(fence.values["fenced"]))


def fenced_until(fence: Row) -> datetime:
    """Return until when a fence stands: the moment of its agenda row."""
    until = fence.values["until"]
    if not isinstance(until, datetime):
        raise TypeError(f"The fence at {fence.key} says until {until!r}.")
    return until


def is_record(row: Row) -> bool:
    """Whether a row that stands where records do is one."""
    return not is_alias(row) and not is_fence(row)


def place_in(alias: Row) -> Place:
    """Return the place that an alias row names."""
    return Place(str(alias.values["partition"]), str(alias.values["record"]))


def needs_alias(operation_id: UUID, place: Place, shards: int) -> bool:
    """Whether a record at *place* cannot be found by its id alone."""
    return operation_id.version != _VERSION_7 or place.partition != partition_of(operation_id, shards)


def created_before(moment: datetime) -> str:
    """Return the smallest record key of operations created before *moment*; they are the end of each partition."""
    return f"{RECORD}{_MILLISECONDS + 1 - round(moment.timestamp() * 1000):012x}"


def agenda_key(due: datetime, place: Place) -> str:
    """Return the key of the agenda row that names a record at *due*."""
    return f"{agenda_until(due)}-{place.tail}"


def agenda_until(moment: datetime) -> str:
    """Return the key before which every agenda row is due by *moment*."""
    return f"{AGENDA}{int(moment.timestamp() * 1000):015d}"


def agenda_moment(key: str) -> datetime:
    """Return the moment that an agenda row's key names."""
    return datetime.fromtimestamp(int(key[1:16]) / 1000, UTC)


def agenda_record_key(key: str) -> str:
    """Return the key of the record that an agenda row names."""
    return RECORD + key[17:]


def removal_key(completedon: datetime, place: Place) -> str:
    """Return the key of the row that asks for the removal of a record that was completed at that moment."""
    return f"{removal_until(completedon)}-{place.tail}"


def removal_until(moment: datetime) -> str:
    """Return the key before which every such row is of a record that was completed before *moment*."""
    return f"{REMOVAL}{int(moment.timestamp() * 1000):015d}"


def removal_record_key(key: str) -> str:
    """Return the key of the record whose removal a row asks for."""
    return RECORD + key[17:]


def alias_beside(record_key: str) -> str | None:
    """Return the key of the alias in the same partition as a record, or None when its id carries its time."""
    own_id = record_key[13:]
    return ALIAS + own_id if len(own_id) == _ID_LENGTH else None


def history_prefix(place: Place) -> str:
    """Return what the keys of an operation's archived history begin with."""
    return f"{HISTORY}{place.tail}-"


def history_key(place: Place, number: int) -> str:
    """Return the key of the *number*th row of archived history."""
    return f"{history_prefix(place)}{number:06d}"


def child_key(parent_key: str, child: Place | None, *, completed: bool) -> str:
    """Return the key of the row by which a parent knows its child; without a child, what all such keys begin with."""
    return f"{CHILD}{parent_key[1:]}-{'d' if completed else 'p'}-{'' if child is None else child.tail}"


def event_key(place: Place, name: str) -> str:
    """Return the key of the row that keeps an event's data."""
    return f"{EVENT}{place.tail}-{name}"
