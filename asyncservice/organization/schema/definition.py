"""Definitions: what files and users say about entities and global choices, before a catalog is made of it.

Kept as they were written, by name, so that they can be added to, changed, stored and read again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Self

from asyncservice.organization.errors import SchemaError
from asyncservice.organization.schema.attributes import OptionSet
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.reader import described, entity_of, is_option_set, option_set_of

type Said = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Definitions:
    """What is said about each entity and each global choice, with where it was said.

    Equal to itself only, so that what follows from it can be kept beside it.
    """

    said: Mapping[str, Said] = field(default_factory=dict)
    choices: Mapping[str, Said] = field(default_factory=dict)
    #: The file or the place of each, for messages.
    sources: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_files(cls, files: Iterable[Path | Traversable]) -> Self:
        """Read definition files. Raises SchemaError, which names the file."""
        return cls().with_all((described(file.read_text("utf-8"), source=str(file.name)), file.name) for file in files)

    def with_all(self, definitions: Iterable[tuple[Said, str]]) -> Self:
        """Return these definitions and others, each with its source; what extends an entity is merged into it.

        The order does not matter. Raises SchemaError when something is defined twice or extends what there is not.
        """
        said, choices, sources = dict(self.said), dict(self.choices), dict(self.sources)
        extensions = []
        for definition, source in definitions:
            if "extends" in definition:
                extensions.append((definition, source))
                continue
            name = definition.get("name")
            if not isinstance(name, str):
                raise SchemaError(f"{source}: the key 'name' is missing.")
            kind = choices if is_option_set(definition) else said
            if name in kind:
                raise SchemaError(f"{source}: {name} is described in {sources[name]} already; extend it there.")
            kind[name], sources[name] = definition, source
        for extension, source in extensions:
            name = extension["extends"]
            if name not in said:
                raise SchemaError(f"{source}: it extends {name!r}, which nothing describes.")
            said[name] = _extended(said[name], extension, source=source)
            sources[name] = f"{sources[name]} with {source}"
        return type(self)(said=said, choices=choices, sources=sources)

    def option_sets(self) -> dict[str, OptionSet]:
        """Return the global choices. Raises SchemaError."""
        return {name: option_set_of(said, source=self.sources[name]) for name, said in self.choices.items()}

    def entities(self, option_sets: Mapping[str, OptionSet]) -> Iterator[Entity]:
        """Yield the entities. Raises SchemaError."""
        for name, said in self.said.items():
            yield entity_of(said, source=self.sources[name], option_sets=option_sets)


def _extended(said: Said, extension: Said, *, source: str) -> Said:
    unknown = extension.keys() - {"extends", "attributes", "keys", "manytomany"}
    if unknown:
        raise SchemaError(f"{source}: {', '.join(sorted(unknown))} is nothing that can be added to an entity.")
    attributes, keys = dict(said.get("attributes", {})), dict(said.get("keys", {}))
    for there, added in ((attributes, extension.get("attributes", {})), (keys, extension.get("keys", {}))):
        for name, about in added.items():
            if name in there:
                raise SchemaError(f"{source}: {said['name']} has {name!r} already.")
            # What is added to a table of the service is the user's.
            there[name] = {"custom": True, **about} if there is attributes else about
    related = [*said.get("manytomany", ()), *extension.get("manytomany", ())]
    return {**said, "attributes": attributes, "keys": keys, "manytomany": related}
