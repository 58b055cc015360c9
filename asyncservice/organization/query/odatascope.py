"""What names mean in OData: properties of an entity, and the links that paths through navigation properties lead along.

Each filter of a query, and each lambda in one, is a scope of its own. A path brings its link into being when it is
first met; the same path again means the same link.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from asyncservice.organization.query.checks import MAX_LINKS
from asyncservice.organization.query.model import Column, Filter, Link, LinkType
from asyncservice.organization.query.odatatext import url_error
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import ManyToMany, Navigation, OneToMany

_LOOKUP: Final = "_value"


def property_of(entity: Entity, name: str) -> Attribute:
    """Return the column behind a property: by its name, a lookup's as `_name_value`. Raises QueryError."""
    if name.startswith("_") and name.endswith(_LOOKUP):
        attribute = entity.attributes.get(name[1 : -len(_LOOKUP)])
        if attribute is not None and attribute.type.is_lookup:
            return attribute
    attribute = entity.attributes.get(name)
    if attribute is None or attribute.type.is_lookup:
        raise no_property(entity, name)
    return attribute


def selected(entity: Entity, name: str, catalog: Catalog) -> Attribute:
    """Return the column that `$select` means, which may call a lookup by its navigation property. Raises QueryError."""
    lookup = _lookup_behind(catalog.navigations(entity.name).get(name))
    return entity.attribute(lookup.referencing_attribute) if lookup is not None else property_of(entity, name)


def navigation_of(entity: Entity, name: str, catalog: Catalog) -> Navigation:
    """Return a navigation property. Raises QueryError."""
    found = catalog.navigations(entity.name).get(name)
    if found is None:
        raise no_property(entity, name)
    return found


def no_property(entity: Entity, name: str) -> Exception:
    """Return the error for a name that the entity has no property of, in the words that clients look for."""
    return url_error(f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{entity.name}'.")


def _lookup_behind(navigation: Navigation | None) -> OneToMany | None:
    if navigation is None or navigation.is_collection or not isinstance(navigation.relationship, OneToMany):
        return None
    return navigation.relationship


@dataclass(slots=True)
class _Joined:
    """A link that a path has brought into being."""

    alias: str
    entity: Entity
    relationship: OneToMany
    children: dict[str, "_Joined"] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)

    def link(self) -> Link:
        return Link(
            entity=self.entity.name,
            from_attribute=self.relationship.referenced_attribute,
            to_attribute=self.relationship.referencing_attribute,
            alias=self.alias,
            type=LinkType.OUTER,
            columns=tuple(self.columns),
            links=tuple(child.link() for child in self.children.values()),
        )


class Scope:
    """The names of an entity, or of the members of a collection that a range variable goes through."""

    def __init__(
        self, entity: Entity, catalog: Catalog, *, variable: str | None = None, outer: "Scope | None" = None
    ) -> None:
        self.entity, self.catalog, self.variable = entity, catalog, variable
        self._joined: dict[str, _Joined] = {}
        self._aliases: list[str] = outer._aliases if outer is not None else []  # noqa: SLF001 - its own kind

    def own(self, segments: Sequence[str]) -> tuple[str, ...]:
        """Return a path as it goes from this scope's entity. Raises QueryError for one that begins elsewhere."""
        if self.variable is None:
            return tuple(segments)
        if segments[0] != self.variable or len(segments) == 1:
            raise url_error(
                f"'{'/'.join(segments)}' must begin with the range variable: {self.variable}/…; what is outside of "
                "any and all cannot be named in them."
            )
        return tuple(segments[1:])

    def attribute(self, segments: Sequence[str]) -> tuple[str | None, Attribute]:
        """Return the column at the end of a path, and the alias of its link (None: this entity). Raises QueryError."""
        *way, name = self.own(segments)
        joined = self._follow(way)
        if joined is None:
            return None, self._column(self.entity, name)
        return joined.alias, self._column(joined.entity, name)

    def compared(self, segments: Sequence[str]) -> tuple[str | None, Attribute]:
        """Return the column that a condition on a path asks about; as `attribute` does, but without needless links.

        The key behind a lookup is the lookup's own value: `asyncoperationid/asyncoperationid eq …` joins nothing.
        """
        path = self.own(segments)
        if len(path) > 1:
            *way, step, name = path
            before = self._follow(way)
            entity = self.entity if before is None else before.entity
            lookup = _lookup_behind(navigation_of(entity, step, self.catalog))
            if lookup is not None and lookup.referenced_attribute == name:
                attribute = entity.attribute(lookup.referencing_attribute)
                # Of several targets the property leads to one only; of an owner it leads to all.
                if len(attribute.targets) == 1 or attribute.type is AttributeType.OWNER:
                    return None if before is None else before.alias, attribute
        return self.attribute(segments)

    def named(self, segments: Sequence[str]) -> tuple[str | None, Attribute]:
        """Return the column that a query function names: as `compared` does, lookups by their column as well."""
        *way, name = self.own(segments)
        entity = self.entity
        for step in way:
            entity = self.catalog.entity(navigation_of(entity, step, self.catalog).target)
        attribute = entity.attributes.get(name)
        if attribute is None or not attribute.type.is_lookup:
            return self.compared(segments)
        joined = self._follow(way)
        return None if joined is None else joined.alias, attribute

    def select(self, segments: Sequence[str], column: Column) -> bool:
        """Add a column to the link at the end of a path; False when the path is not through one."""
        joined = self._follow(self.own(segments)[:-1])
        if joined is None:
            return False
        joined.columns.append(column)
        return True

    def collection(self, segments: Sequence[str]) -> tuple[tuple[Navigation, ...], Navigation]:
        """Return the way to a collection: single-valued properties, then that of the collection. Raises QueryError."""
        *way, name = self.own(segments)
        entity, steps = self.entity, []
        for step in way:
            navigation = navigation_of(entity, step, self.catalog)
            if navigation.is_collection:
                raise url_error(f"'{step}' is a collection; go into it with any or all.")
            steps.append(navigation)
            entity = self.catalog.entity(navigation.target)
        last = navigation_of(entity, name, self.catalog)
        if not last.is_collection:
            raise url_error(f"'{name}' leads to one row; any and all are for collections.")
        return tuple(steps), last

    def inner(self, entity: Entity, variable: str | None) -> "Scope":
        """Return a scope for the rows of a collection."""
        return Scope(entity, self.catalog, variable=variable or "$it", outer=self)

    def new_alias(self, name: str) -> str:
        """Return an alias for a link that has none."""
        if len(self._aliases) >= MAX_LINKS:
            raise url_error(f"The query goes along more than {MAX_LINKS} relationships; ask for less at once.")
        self._aliases.append(name)
        return f"{name}{len(self._aliases)}"

    def links(self) -> tuple[Link, ...]:
        """Return the links that paths have led along."""
        return tuple(joined.link() for joined in self._joined.values())

    def _column(self, entity: Entity, name: str) -> Attribute:
        # A lookup to one entity may go by the property that leads there: `primarycontactid eq null`.
        lookup = _lookup_behind(self.catalog.navigations(entity.name).get(name))
        if lookup is not None:
            attribute = entity.attribute(lookup.referencing_attribute)
            if len(attribute.targets) == 1:
                return attribute
        return property_of(entity, name)

    def _follow(self, way: Sequence[str]) -> _Joined | None:
        entity, children, found = self.entity, self._joined, None
        for step in way:
            lookup = _lookup_behind(navigation_of(entity, step, self.catalog))
            if lookup is None:
                raise url_error(f"'{step}' is a collection; a path goes into it with any or all only.")
            entity = self.catalog.entity(lookup.referenced_entity)
            found = children.get(step)
            if found is None:
                found = children[step] = _Joined(self.new_alias(step), entity, lookup)
            children = found.children
        return found


def link_along(
    navigation: Navigation, scope: Scope, *, kind: LinkType, where: Filter | None, links: Sequence[Link]
) -> Link:
    """Return the link along a navigation property, with a filter and links of the rows it leads to."""
    relationship, alias = navigation.relationship, scope.new_alias(navigation.name)
    if isinstance(relationship, ManyToMany):
        return _through(relationship, navigation, scope, alias=alias, kind=kind, where=where, links=links)
    near, far = relationship.referenced_attribute, relationship.referencing_attribute
    if not navigation.is_collection:
        near, far = far, near
    return Link(
        entity=navigation.target,
        from_attribute=far,
        to_attribute=near,
        alias=alias,
        type=kind,
        where=where,
        links=tuple(links),
    )


def _through(
    relationship: ManyToMany,
    navigation: Navigation,
    scope: Scope,
    *,
    alias: str,
    kind: LinkType,
    where: Filter | None,
    links: Sequence[Link],
) -> Link:
    """Return the link to the pairs of a relationship, and on to the rows at its other end."""
    near, far = relationship.entity1_attribute, relationship.entity2_attribute
    if navigation.name != relationship.entity1_navigation or navigation.entity != relationship.entity1:
        near, far = far, near
    target = Link(
        entity=navigation.target,
        from_attribute=scope.catalog.entity(navigation.target).primary_id,
        to_attribute=far,
        alias=scope.new_alias(navigation.name),
        where=where,
        links=tuple(links),
    )
    return Link(
        entity=relationship.intersect_entity,
        from_attribute=near,
        to_attribute=scope.catalog.entity(navigation.entity).primary_id,
        alias=alias,
        type=kind,
        links=(target,),
    )


def names(text: Sequence[str]) -> Iterator[str]:
    """Yield the names of a list, without those that were said before."""
    seen: set[str] = set()
    for name in text:
        if name not in seen:
            seen.add(name)
            yield name
