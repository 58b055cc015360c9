"""The catalog: every entity there is."""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Self

from asyncservice.organization.errors import NoSuchEntity, SchemaError
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.reader import read_entity


class Catalog:
    """The entities by name. Two that would share a name, a set or a table are refused."""

    def __init__(self, entities: Iterable[Entity]) -> None:
        self._entities: dict[str, Entity] = {}
        taken: dict[str, str] = {}
        for entity in entities:
            for name in (f"name {entity.name}", f"set {entity.set_name}", f"table {entity.table_name.casefold()}"):
                if name in taken:
                    raise SchemaError(f"{entity.name} and {taken[name]} share the {name}.")
                taken[name] = entity.name
            self._entities[entity.name] = entity

    @classmethod
    def from_folders(cls, *folders: Path) -> Self:
        """Read every definition file of these folders."""
        return cls(
            read_entity(path.read_text("utf-8"), source=str(path))
            for folder in folders
            for path in sorted(folder.glob("*.json"))
        )

    def entity(self, name: str) -> Entity:
        """Return the entity of that logical name. Raises NoSuchEntity."""
        found = self._entities.get(name)
        if found is None:
            raise NoSuchEntity(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._entities

    def __iter__(self) -> Iterator[Entity]:
        return iter(self._entities.values())


@cache
def standard_catalog() -> Catalog:
    """Return the entities that come with the service."""
    folder = resources.files("asyncservice.organization.schema.definitions")
    return Catalog(
        read_entity(file.read_text("utf-8"), source=file.name)
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".json")
    )
