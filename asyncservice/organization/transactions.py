"""Carries out requests for records, all of them or none.

One try reads what the requests are about, works out in a workspace what they make of it, and commits that. Where
somebody else was first, the next try reads again and decides again; the ids of new records stay what they were.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from asyncservice.organization import drafts, keys
from asyncservice.organization.activities import POINTER
from asyncservice.organization.cascades import MOST_TOUCHED, Cascades, TooManyRecords
from asyncservice.organization.changes import Outbox
from asyncservice.organization.commits import Commits
from asyncservice.organization.contents import Contents
from asyncservice.organization.errors import (
    DuplicateKey,
    OrganizationError,
    RecordChanged,
    RecordExists,
    RequestRefused,
)
from asyncservice.organization.files import File
from asyncservice.organization.identities import chosen_ids, without_id
from asyncservice.organization.ids import derived_id
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.leftovers import Leftovers
from asyncservice.organization.references import References
from asyncservice.organization.requests import (
    Associate,
    Create,
    Delete,
    Disassociate,
    Given,
    Outcome,
    Request,
    Update,
    Upsert,
)
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity, Kept
from asyncservice.organization.schema.relationships import ManyToMany
from asyncservice.organization.settling import Busy
from asyncservice.organization.values import Reference
from asyncservice.organization.workspace import Author, Workspace
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import RowConflict

#: Requests that one transaction holds at most.
MOST_REQUESTS: Final = 1000
#: How often a transaction is tried while others change the same records.
TRIES: Final = 12
#: The longest pause between tries, in seconds; it grows from a fortieth of that.
_LONGEST_PAUSE: Final = 0.4


@dataclass(slots=True)
class _Try:
    """One try: what it works on, and what it found out on the way."""

    workspace: Workspace
    author: Author
    #: Whether records that are assumed to be new are looked for: the try before found that something is in the way.
    is_careful: bool
    #: Whether lookups need not be checked.
    is_trusted: bool
    references: References
    contents: Contents


class Transactions:
    """What `Organization.transact` does."""

    def __init__(
        self,
        storage: Storage,
        catalog: Callable[[], Catalog],
        tables: LazyTables,
        *,
        outbox: Outbox,
        references: Callable[[], References],
        leftovers: Leftovers,
        new_id: Callable[[], UUID] = uuid4,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._storage, self._catalog_of, self._tables, self._outbox = storage, catalog, tables, outbox
        self._references, self.leftovers, self._new_id, self._pause = references, leftovers, new_id, pause
        self._rng = rng or random.SystemRandom()
        self.commits = Commits(tables)

    async def transact(self, requests: Sequence[Request], author: Author, *, is_trusted: bool = False) -> list[Outcome]:
        """Carry out *requests* in their order, all or none; see `Organization.transact`."""
        if len(requests) > MOST_REQUESTS:
            raise RequestRefused(f"A transaction takes at most {MOST_REQUESTS} requests, not {len(requests)}.")
        ids = chosen_ids(requests, self._entity, self._new_id)
        is_careful, number = False, 0
        contents = Contents(self._storage, self.leftovers)
        while number < TRIES:
            one = _Try(
                Workspace(self._tables, self.commits.settling, now=author.now),
                author,
                is_careful=is_careful,
                is_trusted=is_trusted,
                references=self._references(),
                contents=contents,
            )
            contents.begin()
            try:
                outcomes = await self._carried_out(one, requests, ids)
                await self._commit_told(one, outcomes)
            except TooManyRecords:
                if len(requests) > 1:
                    raise RequestRefused(
                        f"These requests delete or change more than {MOST_TOUCHED} records with what goes with them; "
                        "ask for the deletions one by one."
                    ) from None
                # A slice of a large deletion: as much of it as one transaction takes, from the bottom up.
                number = 0 if await self._commit_slice(one) else number + 1
            except (RowConflict, Busy):
                is_careful = True
                number += 1
                await self._pause(self._rng.uniform(0, _LONGEST_PAUSE * min(1, number / 10)))
            else:
                return outcomes
        raise RecordChanged(*self._first(requests, ids))

    async def _commit_told(self, one: _Try, outcomes: Sequence[Outcome]) -> None:
        """Commit; an alternate key that is taken shows only then, and is told of the request that wanted it."""
        try:
            await self._commit(one)
        except DuplicateKey as error:
            wanted = (place for place, outcome in enumerate(outcomes) if outcome.id == error.record_id)
            error.position = next(wanted, None)
            raise

    async def write_files(self, files: Sequence[File], *, now: datetime) -> Sequence[str]:
        """Note and write contents for rows that somebody else is about to write; return the keys of the notes."""
        notes = await self.leftovers.note([file.named for file in files], now=now)
        for file in files:
            await self._storage.blobs(file.named.container).write(file.named.blobs, file.content)
        return notes

    async def _commit(self, one: _Try) -> None:
        await one.references.check(one.workspace)
        touches = await one.workspace.touches(one.author, self._outbox, is_careful=one.is_careful)
        change = await one.contents.write(one.workspace, now=one.author.now)
        await self.commits.commit(touches, now=one.author.now)
        await change.finish()

    async def _commit_slice(self, one: _Try) -> bool:
        try:
            await self._commit(one)
        except (RowConflict, Busy):
            # The next round reads what is there now and goes on from that.
            await self._pause(_LONGEST_PAUSE)
            return False
        return True

    # Requests ---------------------------------------------------------------------------------------------------------

    async def _carried_out(self, one: _Try, requests: Sequence[Request], ids: Mapping[int, UUID]) -> list[Outcome]:
        await self._read_ahead(one, requests, ids)
        outcomes: list[Outcome] = []
        for place, request in enumerate(requests):
            try:
                outcomes.append(await self._carry_out(one, request, ids.get(place)))
            except OrganizationError as error:
                error.position = place
                raise
        return outcomes

    async def _carry_out(self, one: _Try, request: Request, chosen: UUID | None) -> Outcome:
        match request:
            case Create():
                return await self._create(one, self._entity(request.entity), request.values, _chosen(chosen))
            case Update():
                return await self._update(one, request)
            case Upsert():
                return await self._upsert(one, request, _chosen(chosen))
            case Delete():
                held = await one.workspace.existing(self._entity(request.entity), request.id)
                _insist_on_version(request.entity, request.id, held.after, request.version)
                await Cascades(self._catalog, self._tables).delete(one.workspace, held, one.author)
                return Outcome(entity=request.entity, id=request.id)
            case Associate():
                return await self._associate(one, request)
            case Disassociate():
                entity, pair_id, _ = self._pair(request)
                held = await one.workspace.read(entity, pair_id)
                held.after = None
                return Outcome(entity=entity.name, id=pair_id)

    async def _create(self, one: _Try, entity: Entity, values: Given, record_id: UUID) -> Outcome:
        workspace = one.workspace
        held = workspace.held(entity.name, record_id)
        if held is None:
            held = (
                await workspace.read(entity, record_id) if one.is_careful else workspace.adopt(entity, record_id, None)
            )
        if held.after is not None:
            raise RecordExists(entity.name, record_id)
        given = one.contents.kept(entity, record_id, without_id(entity, values, record_id))
        author = one.author
        held.was_made = True
        held.after = drafts.new_values(
            entity,
            given,
            record_id=record_id,
            now=author.now,
            by=author.by,
            on_behalf_of=author.on_behalf_of,
            surroundings=await one.references.surroundings(entity, {}, given, by=author.by, now=author.now),
        )
        if held.before is not None:
            # Deleted and made again at once: versions only ever grow.
            version = held.before.get("versionnumber")
            held.after["versionnumber"] = (version if isinstance(version, int) else 0) + 1
        self._note_references(one, entity, given, held.after)
        return Outcome(entity=entity.name, id=record_id, created=True, values=held.after)

    async def _update(self, one: _Try, request: Update) -> Outcome:
        entity = self._entity(request.entity)
        held = await one.workspace.existing(entity, request.id)
        before = held.after or {}
        _insist_on_version(entity.name, request.id, before, request.version)
        given = one.contents.kept(entity, request.id, without_id(entity, request.values, request.id))
        author = one.author
        surroundings = None
        if {"ownerid", "transactioncurrencyid"} & given.keys():
            surroundings = await one.references.surroundings(entity, before, given, by=author.by, now=author.now)
        held.after = drafts.changed_values(
            entity,
            before,
            given,
            now=author.now,
            by=author.by,
            on_behalf_of=author.on_behalf_of,
            surroundings=surroundings,
        )
        self._note_references(one, entity, given, held.after)
        return Outcome(entity=entity.name, id=request.id, values=held.after)

    async def _upsert(self, one: _Try, request: Upsert, new_id: UUID) -> Outcome:
        entity = self._entity(request.entity)
        record_id: UUID | None = request.id
        if request.key:
            place = keys.place_of(entity, keys.key_of(entity, request.key), keys.coerced(entity, request.key))
            if place is None:
                raise RequestRefused(f"Every column of the alternate key of '{entity.name}' needs a value.")
            record_id = await one.workspace.with_key(entity, place) or new_id
        record_id = record_id or new_id
        held = await one.workspace.read(entity, record_id)
        if held.after is None:
            return await self._create(one, entity, keys.completed(request.values, request.key), record_id)
        return await self._update(one, Update(entity=entity.name, id=record_id, values=request.values))

    async def _associate(self, one: _Try, request: Associate) -> Outcome:
        entity, pair_id, pair = self._pair(request)
        held = await one.workspace.read(entity, pair_id)
        if held.after is not None:
            return Outcome(entity=entity.name, id=pair_id, values=held.after)
        one.references.note(one.workspace, pair.entity1, request.entity1_id)
        one.references.note(one.workspace, pair.entity2, request.entity2_id)
        ends = (
            (pair.entity1_attribute, Reference(pair.entity1, request.entity1_id)),
            (pair.entity2_attribute, Reference(pair.entity2, request.entity2_id)),
        )
        # An intersect entity that is described (listmember) may have lookups; others hold bare ids.
        values = {name: end if entity.attribute(name).type.is_lookup else end.id for name, end in ends}
        return await self._create(one, entity, values, pair_id)

    def _pair(self, request: Associate | Disassociate) -> tuple[Entity, UUID, ManyToMany]:
        found = self._catalog.relationships.get(request.relationship)
        if not isinstance(found, ManyToMany):
            raise RequestRefused(f"'{request.relationship}' is no relationship of many to many.")
        first = request.entity1_id
        pair_id = derived_id(first, found.schema_name, str(request.entity2_id), shard=first.int & 0xF)
        return self._entity(found.intersect_entity), pair_id, found

    @staticmethod
    def _note_references(one: _Try, entity: Entity, given: Given, values: Mapping[str, object]) -> None:
        if not one.is_trusted:
            one.references.note_given(one.workspace, entity, given, values)

    async def _read_ahead(self, one: _Try, requests: Sequence[Request], ids: Mapping[int, UUID]) -> None:
        """Read side by side what the requests will ask for one by one."""
        wanted = []
        for place, request in enumerate(requests):
            if isinstance(request, Update | Delete):
                wanted.append((self._entity(request.entity), request.id))
            elif isinstance(request, Upsert) and not request.key:
                wanted.append((self._entity(request.entity), request.id or _chosen(ids.get(place))))
            elif isinstance(request, Create) and one.is_careful:
                wanted.append((self._entity(request.entity), _chosen(ids.get(place))))
            elif isinstance(request, Associate | Disassociate):
                entity, pair_id, _ = self._pair(request)
                wanted.append((entity, pair_id))
        await one.workspace.read_all(wanted)

    def _entity(self, name: str) -> Entity:
        entity = self._catalog.entity(name)
        if entity.kept is not Kept.RECORDS:
            raise RequestRefused(f"Records of '{name}' cannot be created, changed or deleted like others.")
        if name == POINTER:
            raise RequestRefused(f"Write the activity itself, a task for instance; '{name}' is there to be read.")
        return entity

    @property
    def _catalog(self) -> Catalog:
        return self._catalog_of()

    def _first(self, requests: Sequence[Request], ids: Mapping[int, UUID]) -> tuple[str, UUID]:
        first = requests[0]
        if isinstance(first, Associate | Disassociate):
            entity, pair_id, _ = self._pair(first)
            return entity.name, pair_id
        return first.entity, ids[0] if isinstance(first, Create | Upsert) else first.id


def _insist_on_version(entity: str, record_id: UUID, values: Mapping[str, object] | None, version: int | None) -> None:
    if version is not None and (values or {}).get("versionnumber") != version:
        raise RecordChanged(entity, record_id)


def _chosen(record_id: UUID | None) -> UUID:
    if record_id is None:
        raise ValueError("A request that may make a record has no id.")
    return record_id
