"""What else happens when a record is deleted: by each relationship its children go too, lose the link, or forbid it.

Children are found by scans of the tables that may hold them, one test for all their lookups. A record is marked only
when everything below it is, so a deletion that is too large for one transaction can be cut anywhere: each slice leaves
whole records behind, and the record that was asked for goes last.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from asyncservice.organization.activities import POINTER
from asyncservice.organization.concurrency import together
from asyncservice.organization.drafts import without_links
from asyncservice.organization.errors import CannotDelete
from asyncservice.organization.ids import SHARDS
from asyncservice.organization.lazytables import LazyTables
from asyncservice.organization.pending import CHANGING, IS_CHANGING
from asyncservice.organization.rows import RECORD_PREFIX, id_of
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity, Kept
from asyncservice.organization.schema.relationships import CascadeType, ManyToMany
from asyncservice.organization.values import RecordValue, Reference
from asyncservice.organization.workspace import Author, Held, Workspace
from asyncservice.storage.tables import MAX_COMPARISONS, Comparison, Either, prefix_end

#: Records that one transaction writes at most; what a deletion takes with it beyond that is deleted before it.
MOST_TOUCHED: Final = 2000


class TooManyRecords(Exception):  # noqa: N818 - reads as the fact it states
    """A deletion reaches more records than one transaction writes. What the workspace holds so far may be written."""


@dataclass(frozen=True, slots=True)
class _Link:
    """A column of another entity that may lead to the record, and what becomes of the row that has it."""

    column: str
    relationship: str
    on_delete: CascadeType


@dataclass(slots=True)
class _Step:
    """A record on its way out, and what remains to be looked at below it."""

    held: Held
    children: Iterator[Held]


class Cascades:
    """Deletes records in a workspace, with what their relationships say."""

    def __init__(self, catalog: Catalog, tables: LazyTables) -> None:
        self._catalog, self._tables = catalog, tables

    async def delete(self, workspace: Workspace, held: Held, author: Author) -> None:
        """Mark a record and all that goes with it. Raises CannotDelete, or TooManyRecords."""
        steps = [await self._entered(workspace, held, author)]
        on_the_way = {(held.entity.name, held.id)}
        while steps:
            step = steps[-1]
            child = next(step.children, None)
            if child is None:
                steps.pop()
                step.held.after = None
                if steps and workspace.touched >= MOST_TOUCHED:
                    raise TooManyRecords
            elif (child.entity.name, child.id) not in on_the_way and child.after is not None:
                on_the_way.add((child.entity.name, child.id))
                steps.append(await self._entered(workspace, child, author))

    async def _entered(self, workspace: Workspace, held: Held, author: Author) -> _Step:
        """Unlink the children that only lose their link; return the record with those that go with it."""
        gone = Reference(held.entity.name, held.id)
        doomed: list[Held] = []
        unlinked: list[tuple[Held, frozenset[str]]] = []
        referring = self._links(held.entity.name)
        found = await together(
            self._found(workspace, self._catalog.entity(name), links, gone) for name, links in referring.items()
        )
        for (name, links), kept in zip(referring.items(), found, strict=True):
            for child in _children(workspace, name, links, gone, kept):
                fits = [link for link in links if _leads_to(child, link.column, gone)]
                behaviours = {link.on_delete for link in fits}
                if CascadeType.RESTRICT in behaviours:
                    restricting = next(link for link in fits if link.on_delete is CascadeType.RESTRICT)
                    raise CannotDelete(gone.entity, gone.id, restricting.relationship, name)
                if CascadeType.CASCADE in behaviours:
                    doomed.append(child)
                else:
                    unlinked.append((child, frozenset(link.column for link in fits)))
        for child, columns in unlinked:
            if child.after is not None:
                child.after = without_links(child.entity, child.after, columns, now=author.now, by=author.by)
                if workspace.touched >= MOST_TOUCHED:
                    raise TooManyRecords
        return _Step(held, iter(doomed))

    def _links(self, entity: str) -> Mapping[str, Sequence[_Link]]:
        """Return the columns that may lead to records of an entity, by the entity that has them."""
        found: dict[str, list[_Link]] = defaultdict(list)
        for one in (each for name in self._names(entity) for each in self._catalog.one_to_many(name)):
            if one.on_delete in _FOLLOWED:
                found[one.referencing_entity].append(_Link(one.referencing_attribute, one.schema_name, one.on_delete))
        for pair in self._catalog.many_to_many(entity):
            found[pair.intersect_entity] += (
                _Link(column, pair.schema_name, CascadeType.CASCADE) for column in _columns_of(pair, entity)
            )
        return {name: links for name, links in found.items() if self._catalog.entity(name).kept is Kept.RECORDS}

    def _names(self, entity: str) -> tuple[str, ...]:
        """Return the names by which lookups refer to records of an entity: activities go by a common one too."""
        return (entity, POINTER) if self._catalog.entity(entity).is_activity else (entity,)

    async def _found(self, workspace: Workspace, entity: Entity, links: Sequence[_Link], gone: Reference) -> list[Held]:
        # Two lookups of an entity to one other are common, more than fit a test are not: then all rows are looked at.
        fits = len(links) < MAX_COMPARISONS
        where = [Either((*(Comparison(link.column, "eq", gone.id) for link in links), IS_CHANGING))] if fits else []
        table = self._tables.table(entity.table_name)

        async def in_shard(shard: str) -> list[Held]:
            rows = [
                row async for row in table.scan(shard, start=RECORD_PREFIX, end=prefix_end(RECORD_PREFIX), where=where)
            ]
            return [
                await workspace.read(entity, id_of(row))
                if CHANGING in row.values
                else workspace.adopt(entity, id_of(row), row)
                for row in rows
            ]

        first, others = SHARDS[0], SHARDS[1:]
        found = await in_shard(first)
        if not table.is_there:
            return []
        return [*found, *(held for more in await together(map(in_shard, others)) for held in more)]


_FOLLOWED: Final = frozenset({CascadeType.CASCADE, CascadeType.REMOVE_LINK, CascadeType.RESTRICT})


def _children(
    workspace: Workspace, entity: str, links: Sequence[_Link], gone: Reference, found: Sequence[Held]
) -> Iterator[Held]:
    """Yield the records of an entity that lead to the one that goes."""
    # What this transaction has made, or brought there, stands in no row yet.
    here = [held for held in workspace if held.entity.name == entity and held.after is not None]
    for held in {held.id: held for held in (*here, *found)}.values():
        if any(_leads_to(held, link.column, gone) for link in links):
            yield held


def _columns_of(pair: ManyToMany, entity: str) -> Iterator[str]:
    if pair.entity1 == entity:
        yield pair.entity1_attribute
    if pair.entity2 == entity:
        yield pair.entity2_attribute


def _leads_to(held: Held, column: str, gone: Reference) -> bool:
    value: RecordValue | None = (held.after or {}).get(column)
    if isinstance(value, Reference):
        return value.id == gone.id and value.entity in {gone.entity, POINTER}
    return value == gone.id
