"""Rows on their way in: a JSON object taken apart into values, links and rows within it (web-api-wire, sections 6, 7).

Nothing is looked up but names; whether the rows that are linked exist the organization says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final
from uuid import UUID

from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import Navigation, OneToMany
from asyncservice.organization.values import RecordValue, coerce
from asyncservice.webapi.batchurls import relative
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.resources import NAMESPACE, Key, read_resource
from asyncservice.webapi.urls import read_path

type Members = Mapping[str, object]

#: What the JSON of a column has to be; other types look at the text.
_JSON: Final[Mapping[AttributeType, tuple[type, ...]]] = {
    AttributeType.INTEGER: (int,),
    AttributeType.BIGINT: (int,),
    AttributeType.DECIMAL: (int, Decimal),
    AttributeType.MONEY: (int, Decimal),
    AttributeType.DOUBLE: (int, Decimal),
    AttributeType.BOOLEAN: (bool,),
    AttributeType.PICKLIST: (int,),
    AttributeType.STATE: (int,),
    AttributeType.STATUS: (int,),
}
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Link:
    """A row that is there already: its entity, and how it was named."""

    entity: Entity
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What a JSON object says of a row."""

    #: The id, when the object has one.
    id: UUID | None = None
    #: The row that `@odata.id` names.
    link: Link | None = None
    #: Columns by logical name; None clears.
    values: Mapping[str, RecordValue | None] = field(default_factory=dict)
    #: Lookups by their navigation property; None clears.
    lookups: Sequence[tuple[Navigation, Link | None]] = ()
    #: Rows within it: of a lookup one, of a collection any number.
    rows: Sequence[tuple[Navigation, "Payload"]] = ()
    #: Rows to be attached to a collection.
    attached: Sequence[tuple[Navigation, Link]] = ()

    @property
    def is_deep(self) -> bool:
        """Whether other rows are touched than the one that is described."""
        return bool(self.rows or self.attached)


@dataclass(slots=True)
class _Draft:
    id: UUID | None = None
    link: Link | None = None
    values: dict[str, RecordValue | None] = field(default_factory=dict)
    lookups: list[tuple[Navigation, Link | None]] = field(default_factory=list)
    rows: list[tuple[Navigation, Payload]] = field(default_factory=list)
    attached: list[tuple[Navigation, Link]] = field(default_factory=list)


class PayloadReader:
    """Reads objects of one request. *references* is what `$<content id>` stands for."""

    def __init__(self, catalog: Catalog, references: Mapping[str, str] | None = None) -> None:
        self._catalog, self._references = catalog, references or {}

    def read(self, entity: Entity, members: Members) -> Payload:
        """Take an object apart. Raises ApiError or ValueRefused, naming the member; the first one wins."""
        draft = _Draft()
        navigations = self._catalog.navigations(entity.name)
        for member, value in members.items():
            self._read_member(draft, entity, navigations, member, value)
        return Payload(
            id=draft.id,
            link=draft.link,
            values=draft.values,
            lookups=draft.lookups,
            rows=draft.rows,
            attached=draft.attached,
        )

    def link(self, text: object, what: str) -> Link:
        """Read a reference to a row: an absolute or relative URL, by id or alternate key, or `$<content id>`."""
        if not isinstance(text, str) or not text.strip():
            raise ApiError(f"'{what}' takes the URL of a row, as in accounts(<id>).", code=Code.PAYLOAD)
        path, _ = relative(text.strip(), self._references)
        segments = read_path(path, self._references)
        resource = read_resource(segments, self._catalog) if segments else None
        if resource is None or resource.key is None or resource.steps or resource.column or resource.tail:
            raise ApiError(
                f"'{what}' takes the URL of a row, as in accounts(<id>), not '{text[:_SHOWN]}'.", code=Code.PAYLOAD
            )
        return Link(resource.entity, resource.key)

    def _read_member(
        self, draft: _Draft, entity: Entity, navigations: Mapping[str, Navigation], member: str, value: object
    ) -> None:
        name, at, term = member.partition("@")
        if at:
            if term == "odata.bind" and name:
                self._bind(draft, _navigation(entity, navigations, name), member, value)
            elif not name and term == "odata.id":
                draft.link = self.link(value, member)
            elif not name and term == "odata.type":
                _check_type(entity, value)
            # Whatever else is an annotation may be repeated from what was read; it says nothing.
            return
        if "@odata." in member:
            return
        navigation = navigations.get(member)
        if navigation is not None:
            self._nested(draft, navigation, member, value)
        elif member == entity.primary_id:
            draft.id = _guid(member, value)
        else:
            column = _column(entity, member)
            if column.valid_for_create or column.valid_for_update or column.composed:
                draft.values[column.name] = value_of(column, value)

    def _bind(self, draft: _Draft, navigation: Navigation, member: str, value: object) -> None:
        if navigation.is_collection:
            if not isinstance(value, list):
                raise ApiError(f"'{member}' takes a list of URLs of rows.", code=Code.PAYLOAD)
            draft.attached += [(navigation, self._fitting(navigation, each, member)) for each in value]
        else:
            link = None if value is None else self._fitting(navigation, value, member)
            draft.lookups.append((navigation, link))

    def _fitting(self, navigation: Navigation, text: object, member: str) -> Link:
        link = self.link(text, member)
        if link.entity.name not in targets_of(self._catalog, navigation):
            raise ApiError(
                f"'{member}' leads to rows of '{navigation.target}', not of '{link.entity.name}'.", code=Code.PAYLOAD
            )
        return link

    def _nested(self, draft: _Draft, navigation: Navigation, member: str, value: object) -> None:
        target = self._catalog.entity(navigation.target)
        if navigation.is_collection:
            if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
                raise ApiError(f"'{member}' takes a list of rows: [{{ … }}].", code=Code.PAYLOAD)
            draft.rows += [(navigation, self.read(target, each)) for each in value]
        elif value is None:
            draft.lookups.append((navigation, None))
        elif isinstance(value, dict):
            draft.rows.append((navigation, self.read(target, value)))
        else:
            raise ApiError(
                f"'{member}' is a navigation property; write '{member}@odata.bind': '/{target.set_name}(<id>)'.",
                code=Code.PAYLOAD,
            )


def targets_of(catalog: Catalog, navigation: Navigation) -> frozenset[str]:
    """Return the entities whose rows a navigation property may lead to: the owner's are users and teams."""
    relationship = navigation.relationship
    if isinstance(relationship, OneToMany) and not navigation.is_collection and navigation.target == "owner":
        column = catalog.entity(navigation.entity).attribute(relationship.referencing_attribute)
        return frozenset(column.targets)
    return frozenset({navigation.target})


def value_of(column: Attribute, value: object) -> RecordValue | None:
    """Return the value as the column keeps it. Raises ValueRefused."""
    wanted = _JSON.get(column.type)
    fits = wanted is None or (isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool)))
    if value is not None and not fits:
        raise ApiError(
            f"Cannot convert the value '{str(value)[:_SHOWN]}' of '{column.name}' to its type {column.type}.",
            code=Code.PAYLOAD,
        )
    if column.type in {AttributeType.FILE, AttributeType.VIRTUAL} and value is not None:
        raise ApiError(
            f"'{column.name}' cannot be set with the row; upload the file to its own URL.", code=Code.PAYLOAD
        )
    return coerce(column, value)


def _navigation(entity: Entity, navigations: Mapping[str, Navigation], name: str) -> Navigation:
    found = navigations.get(name)
    if found is None:
        near = [each for each in navigations if each.lower() == name.lower() or each.startswith(f"{name}_")]
        hint = f" Did you mean {' or '.join(sorted(near)[:3])}?" if near else ""
        raise ApiError(
            f"An undeclared property '{name}' which only has property annotations in the payload but no property value "
            f"was found: '{NAMESPACE}{entity.name}' has no such navigation property.{hint}",
            code=Code.PAYLOAD,
        )
    return found


def _column(entity: Entity, name: str) -> Attribute:
    found = entity.attributes.get(name)
    plain = name[1 : -len("_value")] if name.startswith("_") and name.endswith("_value") else name
    lookup = entity.attributes.get(plain)
    if lookup is not None and lookup.type.is_lookup:
        raise ApiError(
            f"'{name}' is a lookup, which is set through its navigation property: "
            f"'<navigation property>@odata.bind': '/<set>(<id>)'.",
            code=Code.PAYLOAD,
        )
    if found is None:
        raise ApiError(
            f"The property '{name[:_SHOWN]}' does not exist on type '{NAMESPACE}{entity.name}'. Use the names that "
            "$metadata lists; they are case-sensitive.",
            code=Code.PAYLOAD,
        )
    return found


def _guid(member: str, value: object) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise ApiError(f"'{member}' takes a GUID, not '{str(value)[:_SHOWN]}'.", code=Code.PAYLOAD) from None


def _check_type(entity: Entity, value: object) -> None:
    name = str(value).removeprefix("#").removeprefix(NAMESPACE)
    # An owner or a party may be declared by the type they share.
    if name not in {entity.name, "crmbaseentity"}:
        raise ApiError(
            f"'@odata.type' says {str(value)[:_SHOWN]}, but the row is one of '{entity.name}'.", code=Code.PAYLOAD
        )


__all__ = ["Link", "Payload", "PayloadReader", "ValueRefused", "targets_of", "value_of"]
