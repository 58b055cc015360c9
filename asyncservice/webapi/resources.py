"""What a path below an entity set means: the rows, the column, the link or the message that it names.

    accounts(<key>)/contact_customer_accounts(<key>)/lastname/$value
    set    key      step                      key    column   tail

Names are looked up in the catalog; nothing is read (reference web-api-wire, section 5).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from http import HTTPStatus
from typing import Final
from uuid import UUID

from asyncservice.organization.errors import OrganizationError
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import Navigation
from asyncservice.organization.values import RecordValue, Reference, coerce
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.messages.literals import read_literal
from asyncservice.webapi.urls import Segment

#: What names of types, functions and actions begin with.
NAMESPACE: Final = "Microsoft.Dynamics.CRM."
#: Navigation properties in one path, each of which is looked up on the way.
MAX_STEPS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Which row of a set: by its id, or by the values of an alternate key's columns."""

    id: UUID | None = None
    values: Mapping[str, RecordValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A navigation property on the way, and which of the rows it leads to is meant."""

    navigation: Navigation
    #: What it leads to.
    entity: Entity
    key: Key | None = None


class Tail(StrEnum):
    """What stands at the end of a path and begins with a dollar sign."""

    COUNT = "$count"
    REF = "$ref"
    VALUE = "$value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a path means."""

    #: The entity of the set that the path begins with, and the row of it.
    start: Entity
    key: Key | None = None
    steps: tuple[Step, ...] = ()
    #: The entity of the rows that are meant: the set's, or the last step's.
    entity: Entity
    column: Attribute | None = None
    tail: Tail | None = None

    @property
    def is_row(self) -> bool:
        """Whether one row is meant, or something of one."""
        if not self.steps:
            return self.key is not None
        last = self.steps[-1]
        return last.key is not None or not last.navigation.is_collection

    @property
    def last_key(self) -> Key | None:
        """The key that stands at the end of the path."""
        return self.steps[-1].key if self.steps else self.key

    @property
    def parent(self) -> "Resource":
        """The row that the last step starts from."""
        rest = self.steps[:-1]
        return replace(self, steps=rest, entity=rest[-1].entity if rest else self.start, column=None, tail=None)


def read_resource(
    segments: tuple[Segment, ...], catalog: Catalog, aliases: Mapping[str, str] | None = None
) -> Resource | None:
    """Return what the path means, or None when it names a message: of a set, of a row, or of neither.

    Raises ApiError: 404 for names that nothing has, 400 for keys that fit nothing.
    """
    aliases = aliases or {}
    first = segments[0]
    if not catalog.has_set(first.name):
        return None
    start = catalog.by_set(first.name)
    found = Resource(start=start, entity=start, key=_key(first, start, aliases))
    for segment in segments[1:]:
        if found.tail is not None:
            raise _nothing_follows(found.tail, segment)
        if segment.name.startswith(NAMESPACE):
            if segment.name.removeprefix(NAMESPACE) != found.entity.name:
                return None
            # A cast to what it is already.
            continue
        found = _next(found, segment, catalog, aliases)
    return found


def _next(found: Resource, segment: Segment, catalog: Catalog, aliases: Mapping[str, str]) -> Resource:
    entity, name = found.entity, segment.name
    if name in set(Tail) and segment.arguments is None:
        return _with_tail(found, Tail(name))
    if found.column is not None:
        raise _nothing_follows(found.column.name, segment)
    if not found.is_row:
        raise ApiError(
            f"'{name}' follows the set '{entity.set_name}', which needs a key first: {entity.set_name}(<id>)/{name}.",
            status=HTTPStatus.NOT_FOUND,
        )
    navigation = catalog.navigations(entity.name).get(name)
    if navigation is not None:
        target = catalog.entity(navigation.target)
        if len(found.steps) == MAX_STEPS:
            raise ApiError(f"The path has more than {MAX_STEPS} navigation properties; begin nearer to its end.")
        step = Step(navigation=navigation, entity=target, key=_key(segment, target, aliases))
        return replace(found, steps=(*found.steps, step), entity=target)
    column = column_of(entity, name)
    if column is not None and segment.arguments is None:
        return replace(found, column=column)
    raise ApiError(
        f"Resource not found for the segment '{name}': '{NAMESPACE}{entity.name}' has no such property.",
        status=HTTPStatus.NOT_FOUND,
    )


def column_of(entity: Entity, name: str) -> Attribute | None:
    """Return the column that a property is: lookups are properties as `_<column>_value` only."""
    if name.startswith("_") and name.endswith("_value"):
        lookup = entity.attributes.get(name[1 : -len("_value")])
        return lookup if lookup is not None and lookup.type.is_lookup else None
    column = entity.attributes.get(name)
    return column if column is not None and not column.type.is_lookup else None


def _with_tail(found: Resource, tail: Tail) -> Resource:
    fits = {
        Tail.COUNT: not found.is_row and found.column is None,
        Tail.REF: bool(found.steps) and found.column is None,
        Tail.VALUE: found.column is not None,
    }
    if not fits[tail]:
        meant = {
            Tail.COUNT: "a set or a collection-valued navigation property",
            Tail.REF: "a navigation property",
            Tail.VALUE: "a column of a row",
        }
        raise ApiError(f"{tail.value} may only follow {meant[tail]}.")
    return replace(found, tail=tail)


def _key(segment: Segment, entity: Entity, aliases: Mapping[str, str]) -> Key | None:
    """Read the parentheses of a segment. Raises ApiError when they are no key of the entity."""
    if not segment.arguments:
        return None
    single = segment.single
    if single is not None:
        return Key(id=_guid(aliases.get(single, single), entity))
    texts = {name: aliases.get(text, text) for name, text in segment.named.items()}
    if len(texts) != len(segment.arguments):
        raise wrong_key(entity)
    if set(texts) == {entity.primary_id}:
        return Key(id=_guid(texts[entity.primary_id], entity))
    columns = {_plain(name): text for name, text in texts.items()}
    if not any(set(key.attributes) == set(columns) for key in entity.keys):
        raise wrong_key(entity)
    return Key(values={name: _value(entity.attribute(name), text) for name, text in columns.items()})


def _plain(name: str) -> str:
    return name[1 : -len("_value")] if name.startswith("_") and name.endswith("_value") else name


def _guid(text: str, entity: Entity) -> UUID:
    plain = text.strip("'{}")
    try:
        # UUID() takes more spellings than an address does.
        if len(plain) == len(str(UUID(int=0))):
            return UUID(plain)
    except ValueError:
        pass
    raise wrong_key(entity)


def _value(column: Attribute, text: str) -> RecordValue:
    literal = read_literal(text)
    try:
        if column.type.is_lookup:
            record_id = UUID(str(literal))
            return Reference(column.targets[0], record_id) if len(column.targets) == 1 else record_id
        value = coerce(column, literal)
    except (OrganizationError, ValueError) as error:
        raise ApiError(f"The key of the URL has no value that '{column.name}' can hold: {error}") from error
    if value is None:
        raise ApiError(f"The key of the URL needs a value for '{column.name}'.")
    return value


def wrong_key(entity: Entity) -> ApiError:
    """Return the error for a key that fits nothing the entity has."""
    keys = [f"{entity.set_name}(<guid>)", *(_shape(entity, key.attributes) for key in entity.keys)]
    return ApiError(
        f"The key in the request URI is not valid for resource '{NAMESPACE}{entity.name}'. "
        f"It takes {' or '.join(keys)}."
    )


def _shape(entity: Entity, columns: tuple[str, ...]) -> str:
    return f"{entity.set_name}({','.join(f'{column}=<value>' for column in columns)})"


def _nothing_follows(what: str, segment: Segment) -> ApiError:
    return ApiError(f"'{segment.name}' cannot follow '{what}' in the URL.", status=HTTPStatus.NOT_FOUND, code=Code.URI)
