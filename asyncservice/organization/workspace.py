"""What one try of a transaction has read, and what it would make of it: records, and the rows of alternate keys."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncservice.organization import keys
from asyncservice.organization.changes import Change, ChangeKind, Outbox
from asyncservice.organization.commits import Touch
from asyncservice.organization.concurrency import together
from asyncservice.organization.errors import DuplicateKey, RecordNotFound
from asyncservice.organization.ids import shard_of
from asyncservice.organization.keys import KeyPlace
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.rows import from_row, record_key, to_row, unknown_columns
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.settling import Settling
from asyncservice.organization.values import RecordValue
from asyncservice.storage.tables import Row, Value

type Values = Mapping[str, RecordValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who changes records, when, and as part of what."""

    now: datetime
    by: UUID
    #: Who acts in that name when it is somebody else.
    on_behalf_of: UUID | None = None
    correlation_id: UUID | None = None
    depth: int = 1


@dataclass(slots=True)
class Held:
    """A record in a workspace."""

    entity: Entity
    id: UUID
    #: As it was read; None: there is none, or nobody looked.
    row: Row | None
    before: Values | None
    after: Values | None
    #: Whether the transaction made it, even if it deleted it afterwards.
    was_made: bool = False

    @property
    def is_touched(self) -> bool:
        """Whether something is to be written."""
        return self.before is not self.after


class Workspace:
    """Records by entity and id; each is read once, and later requests see what earlier ones have made of it."""

    def __init__(self, tables: LazyTables, settling: Settling, *, now: datetime) -> None:
        self._tables, self._settling, self._now = tables, settling, now
        self._held: dict[tuple[str, UUID], Held] = {}
        self._keys: dict[tuple[str, str], Row | None] = {}

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held.values()))

    @property
    def touched(self) -> int:
        """How many rows are to be written at most: records, and one for each alternate key of theirs."""
        return sum(1 + len(held.entity.keys) for held in self._held.values() if held.is_touched)

    def held(self, entity: str, record_id: UUID) -> Held | None:
        """Return the record if it was read or made here."""
        return self._held.get((entity, record_id))

    async def read(self, entity: Entity, record_id: UUID) -> Held:
        """Return the record, reading it where that has not been done. Raises Busy while another transaction has it."""
        found = self._held.get((entity.name, record_id))
        if found is None:
            table = self._tables.table(entity.table_name)
            row = await self._settling.settled(table, shard_of(record_id), record_key(record_id), now=self._now)
            found = self.adopt(entity, record_id, row)
        return found

    async def read_all(self, wanted: Iterable[tuple[Entity, UUID]]) -> None:
        """Read records side by side."""
        missing = {(entity.name, record_id): (entity, record_id) for entity, record_id in wanted}
        await together(self.read(*each) for key, each in missing.items() if key not in self._held)

    def adopt(self, entity: Entity, record_id: UUID, row: Row | None) -> Held:
        """Take up a record whose row was read, or that is assumed not to exist."""
        before = None if row is None else from_row(entity, row.values)
        held = Held(entity, record_id, row, before, before)
        return self._held.setdefault((entity.name, record_id), held)

    async def existing(self, entity: Entity, record_id: UUID) -> Held:
        """Return a record that is there. Raises RecordNotFound."""
        held = await self.read(entity, record_id)
        if held.after is None:
            raise RecordNotFound(entity.name, record_id)
        return held

    async def with_key(self, entity: Entity, place: KeyPlace) -> UUID | None:
        """Return the record that has the values of an alternate key, here or in the storage."""
        for held in self._held.values():
            is_changed = held.entity.name == entity.name and held.is_touched
            if is_changed and place in keys.places_of(entity, held.after or {}):
                return held.id
        row = await self._key_row(entity, place)
        if row is None:
            return None
        record_id = keys.record_of(row)
        held_record = await self.read(entity, record_id)
        taken = held_record.after is not None and place in keys.places_of(entity, held_record.after)
        return record_id if taken else None

    async def touches(self, author: Author, outbox: Outbox, *, is_careful: bool) -> list[Touch]:
        """Return what must be written. Raises DuplicateKey where an alternate key is taken.

        Unless *is_careful* the rows of new keys are not looked at: their insert tells whether they are free.
        """
        changed = [held for held in self._held.values() if held.is_touched]
        return [
            *(_record_touch(held, author, outbox) for held in changed),
            *await self._key_touches(changed, is_careful=is_careful),
        ]

    async def _key_touches(self, changed: Iterable[Held], *, is_careful: bool) -> list[Touch]:
        old: dict[tuple[str, str], tuple[Held, KeyPlace]] = {}
        new: dict[tuple[str, str], tuple[Held, KeyPlace]] = {}
        for held in changed:
            for states, found in ((held.before, old), (held.after, new)):
                for place in keys.places_of(held.entity, states or {}):
                    slot = (place.entity, place.row_key)
                    if slot in found and found is new:
                        raise DuplicateKey(held.entity.name, held.id, place.key.schema_name, place.key.attributes)
                    found[slot] = (held, place)
        kept = {slot for slot in old.keys() & new.keys() if old[slot][0] is new[slot][0]}
        slots = {slot: each for slot, each in (old | new).items() if slot not in kept}
        looked_at = [each for slot, each in slots.items() if slot in old or is_careful]
        await together(self._key_row(held.entity, place) for held, place in looked_at)
        touches = []
        for slot, (held, place) in slots.items():
            row = self._keys.get(slot)
            after = keys.row_of(new[slot][0].id) if slot in new else None
            had = old[slot][0].id if slot in old else None
            if row is not None and keys.record_of(row) != had:
                if after is None:
                    # Another record has it: the key was defined when two had the same values.
                    continue
                if await self._has(held.entity, keys.record_of(row), place):
                    raise DuplicateKey(held.entity.name, held.id, place.key.schema_name, place.key.attributes)
            if row is None and after is None:
                # The key was defined after the record was written.
                continue
            touches.append(
                Touch(
                    table=held.entity.table_name,
                    partition=place.partition,
                    key=place.row_key,
                    before=row,
                    after=after,
                )
            )
        return touches

    async def _has(self, entity: Entity, record_id: UUID, place: KeyPlace) -> bool:
        """Whether the record has those values. A key that was removed and added again has rows from before."""
        states = (await self.read(entity, record_id)).before or {}
        return any(place.row_key == each.row_key for each in keys.places_of(entity, states))

    async def _key_row(self, entity: Entity, place: KeyPlace) -> Row | None:
        slot = (place.entity, place.row_key)
        if slot not in self._keys:
            table = self._tables.table(entity.table_name)
            self._keys[slot] = await self._settling.settled(table, place.partition, place.row_key, now=self._now)
        return self._keys[slot]


def _row_after(held: Held) -> dict[str, Value] | None:
    if held.after is None:
        return None
    is_same = held.row is not None and not held.was_made
    kept = unknown_columns(held.entity, held.row.values) if held.row is not None and is_same else {}
    return {**kept, **to_row(held.entity, held.after)}


def _record_touch(held: Held, author: Author, outbox: Outbox) -> Touch:
    kind = ChangeKind.UPDATE
    if held.before is None or held.after is None:
        kind = ChangeKind.CREATE if held.before is None else ChangeKind.DELETE
    change = Change(
        kind=kind,
        entity=held.entity.name,
        id=held.id,
        before=held.before,
        after=held.after,
        on=author.now,
        by=author.by,
        on_behalf_of=author.on_behalf_of,
        correlation_id=author.correlation_id,
        depth=author.depth,
    )
    return Touch(
        table=held.entity.table_name,
        partition=shard_of(held.id),
        key=record_key(held.id),
        before=held.row,
        after=_row_after(held),
        beside=tuple(outbox.rows_for(change)),
    )
