"""All entities there are, and how they hang together: those that come with the service and those that a user adds."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property, lru_cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Self

from asyncservice.organization.errors import NoSuchAttribute, NoSuchEntity, SchemaError
from asyncservice.organization.schema.attributes import OptionSet
from asyncservice.organization.schema.definition import Definitions
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.intersects import intersect_of
from asyncservice.organization.schema.reader import described
from asyncservice.organization.schema.relating import lookups_of, navigations_of, with_targets
from asyncservice.organization.schema.relationships import ManyToMany, Navigation, OneToMany


class Catalog:
    """The entities by name. Two that would share a name, a set, a type code or a table are refused.

    A value: what changes the schema makes a new catalog.
    """

    def __init__(self, entities: Iterable[Entity], option_sets: Iterable[OptionSet] = ()) -> None:
        every = list(entities)
        names = {entity.name for entity in every}
        every += [
            intersect_of(relationship, every)
            for entity in every
            for relationship in entity.many_to_many
            if relationship.intersect_entity not in names and relationship.entity2 in names
        ]
        self._entities: dict[str, Entity] = {}
        taken: dict[str, str] = {}
        for entity in every:
            for name in (
                f"name {entity.name}",
                f"set {entity.set_name}",
                f"type code {entity.type_code}",
                f"table {entity.table_name.casefold()}",
            ):
                if name in taken:
                    raise SchemaError(f"{entity.name} and {taken[name]} share the {name}.")
                taken[name] = entity.name
            self._entities[entity.name] = with_targets(entity, every)
        self._by_set = {entity.set_name: entity for entity in self}
        self.option_sets: Mapping[str, OptionSet] = MappingProxyType({one.name: one for one in option_sets})

    @classmethod
    def from_folders(cls, *folders: Path) -> Self:
        """Read every definition file of these folders."""
        return cls.from_definitions(
            Definitions.of_files(path for folder in folders for path in sorted(folder.glob("*.json")))
        )

    @classmethod
    def from_definitions(cls, definitions: Definitions) -> Self:
        """Make a catalog of what definitions say. Raises SchemaError."""
        option_sets = definitions.option_sets()
        return cls(definitions.entities(option_sets), option_sets.values())

    def entity(self, name: str) -> Entity:
        """Return the entity of that logical name. Raises NoSuchEntity."""
        found = self._entities.get(name)
        if found is None:
            raise NoSuchEntity(name)
        return found

    def by_set(self, set_name: str) -> Entity:
        """Return the entity whose collection the Web API calls so. Raises NoSuchEntity."""
        found = self._by_set.get(set_name)
        if found is None:
            raise NoSuchEntity(set_name)
        return found

    def by_type_code(self, type_code: int) -> Entity:
        """Return the entity of that object type code. Raises NoSuchEntity."""
        found = self._by_type_code.get(type_code)
        if found is None:
            raise NoSuchEntity(str(type_code))
        return found

    def has_set(self, set_name: str) -> bool:
        """Whether an entity's collection is called so."""
        return set_name in self._by_set

    @cached_property
    def relationships(self) -> Mapping[str, OneToMany | ManyToMany]:
        """Every relationship by schema name. Raises SchemaError when two have the same."""
        found: dict[str, OneToMany | ManyToMany] = {}
        for relationship in self._related():
            if relationship.schema_name in found:
                raise SchemaError(f"two relationships are called {relationship.schema_name}.")
            found[relationship.schema_name] = relationship
        return MappingProxyType(found)

    @cached_property
    def stamp(self) -> str:
        """A text that is another one whenever a table, a column, a choice or a relationship is; the same everywhere."""
        described = (
            *(repr(attribute) for entity in self for attribute in entity.attributes.values()),
            *(repr((entity.name, entity.label, entity.set_name, entity.keys)) for entity in self),
            *(repr(relationship) for relationship in self.relationships.values()),
            *(repr(choices) for choices in self.option_sets.values()),
        )
        return sha256("\n".join(described).encode()).hexdigest()[:32]

    def lookups(self, entity: str, attribute: str) -> tuple[OneToMany, ...]:
        """Return the relationships of a lookup, one a target. Raises NoSuchEntity, NoSuchAttribute.

        Of an owner there is one, which refers to the entity `owner`.
        """
        found = self._lookups.get((entity, self.entity(entity).attribute(attribute).name))
        if found is None:
            raise NoSuchAttribute(entity, attribute)
        return found

    def navigations(self, entity: str) -> Mapping[str, Navigation]:
        """Return the navigation properties of an entity by their names, which are case-sensitive. Raises NoSuchEntity.

        Those of activities that carry the activity's name (`ownerid_task`) go by the column's name as well.
        """
        return self._navigations.get(self.entity(entity).name, MappingProxyType({}))

    def one_to_many(self, entity: str) -> tuple[OneToMany, ...]:
        """Return the relationships in which the entity is the one side."""
        return tuple(one for ones in self._lookups.values() for one in ones if one.referenced_entity == entity)

    def many_to_one(self, entity: str) -> tuple[OneToMany, ...]:
        """Return the relationships in which the entity is the many side."""
        return tuple(one for ones in self._lookups.values() for one in ones if one.referencing_entity == entity)

    def many_to_many(self, entity: str) -> tuple[ManyToMany, ...]:
        """Return the relationships of many to many that the entity is in."""
        return tuple(
            one
            for one in self.relationships.values()
            if isinstance(one, ManyToMany) and entity in {one.entity1, one.entity2}
        )

    def check(self) -> None:
        """Look at everything that is otherwise made when it is needed. Raises SchemaError."""
        for entity in self:
            self.navigations(entity.name)
            for attribute in entity.attributes.values():
                if (
                    attribute.type.is_lookup
                    and not attribute.target_group
                    and not self.lookups(entity.name, attribute.name)
                ):
                    missing = ", ".join(attribute.targets)
                    raise SchemaError(f"{attribute.name} of {entity.name} refers to {missing}, which there is not.")

    def __contains__(self, name: object) -> bool:
        return name in self._entities

    def __iter__(self) -> Iterator[Entity]:
        return iter(self._entities.values())

    def __len__(self) -> int:
        return len(self._entities)

    @cached_property
    def _by_type_code(self) -> Mapping[int, Entity]:
        return {entity.type_code: entity for entity in self}

    @cached_property
    def _lookups(self) -> Mapping[tuple[str, str], tuple[OneToMany, ...]]:
        return {
            (entity.name, attribute.name): lookups_of(entity, attribute, self._entities)
            for entity in self
            for attribute in entity.attributes.values()
            if attribute.type.is_lookup
        }

    @cached_property
    def _navigations(self) -> Mapping[str, Mapping[str, Navigation]]:
        found: dict[str, dict[str, Navigation]] = {entity.name: {} for entity in self}
        for relationship in self.relationships.values():
            for navigation in navigations_of(relationship, self._entities):
                there = found[navigation.entity].setdefault(navigation.name, navigation)
                if there.relationship is not relationship:
                    raise SchemaError(
                        f"{navigation.entity} has two navigation properties {navigation.name}: of "
                        f"{there.relationship.schema_name} and of {relationship.schema_name}."
                    )
        return {name: MappingProxyType(properties) for name, properties in found.items()}

    def _related(self) -> Iterator[OneToMany | ManyToMany]:
        for ones in self._lookups.values():
            yield from ones
        for entity in self:
            yield from (one for one in entity.many_to_many if one.entity2 in self)


@cache
def standard_definitions() -> Definitions:
    """Return what describes the entities that come with the service."""
    folder = resources.files("asyncservice.organization.schema.definitions")
    return Definitions.of_files(
        file for file in sorted(folder.iterdir(), key=lambda file: file.name) if file.name.endswith(".json")
    )


def definitions_in(folder: Path | None) -> Definitions:
    """Return what describes the entities of the service and of a user's folder. Raises SchemaError."""
    if folder is None:
        return standard_definitions()
    if not folder.is_dir():
        raise SchemaError(f"There is no folder {folder}; name one that holds definitions of tables.")
    files = sorted(folder.glob("*.json"))
    return standard_definitions().with_all(
        (described(file.read_text("utf-8"), source=str(file)), str(file)) for file in files
    )


@lru_cache(maxsize=8)
def catalog_of(definitions: Definitions) -> Catalog:
    """Return the entities that definitions describe, made once, since that takes long. Raises SchemaError."""
    return Catalog.from_definitions(definitions)


def standard_catalog() -> Catalog:
    """Return the entities that come with the service."""
    return catalog_of(standard_definitions())
