"""Changes of the schema by its users, as plain functions over what they have said so far.

What a user adds is kept apart from what comes with the service and from what files describe: tables of their own, what
they have added to other tables, and choices. A function takes all of it and returns all of it, changed; whether the
result makes a schema the catalog decides.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from asyncservice.organization.errors import SchemaError
from asyncservice.organization.schema.definition import Definitions, Said

#: Names of what users add: a publisher's prefix of two to eight letters and digits, an underscore, a name.
_NAME: Final = re.compile(r"(?!mscrm)[a-z][a-z0-9]{1,7}_[a-z0-9_]{1,92}")
#: Characters a name may have in all.
_LONGEST: Final = 50
_EMPTY: Final[Said] = {"attributes": {}, "keys": {}, "manytomany": []}


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """What users have added, as definitions would say it."""

    entities: Mapping[str, Said] = field(default_factory=dict)
    #: What was added to entities that are not theirs, by entity.
    extensions: Mapping[str, Said] = field(default_factory=dict)
    choices: Mapping[str, Said] = field(default_factory=dict)
    #: Types of columns that were removed, by table: rows still hold values of that type.
    removed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def over(self, base: Definitions) -> Definitions:
        """Return *base* and what users have added. Raises SchemaError when they do not go together."""
        extensions = ({"extends": name, **said} for name, said in self.extensions.items())
        everything = (*self.entities.values(), *self.choices.values(), *extensions)
        return base.with_all((said, "the customization") for said in everything)

    def added(self, entity: str) -> Said:
        """Return what users have said about an entity: all of it, or what they have added."""
        return self.entities.get(entity) or self.extensions.get(entity) or _EMPTY

    def saying(self, entity: str, said: Said) -> "Custom":
        """Return the customization with that said about an entity."""
        if entity in self.entities:
            return replace(self, entities={**self.entities, entity: said})
        return replace(self, extensions={**self.extensions, entity: said})


def checked_name(name: str) -> str:
    """Return a name that a user may give. Raises SchemaError for others."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise SchemaError(
            f"The name '{name}' is not valid: it begins with a publisher's prefix of two to eight letters and digits "
            f"and an underscore, as new_boat does, and has letters, digits and underscores, {_LONGEST} in all at most."
        )
    return name


def _check_types(custom: Custom, entity: str, attributes: Mapping[str, Any]) -> None:
    """Refuse columns that rows hold values of another type for. Raises SchemaError."""
    for name, said in attributes.items():
        before = custom.removed.get(entity, {}).get(name, said["type"])
        if before != said["type"]:
            raise SchemaError(
                f"'{entity}' had a column '{name}' of the type {before}, whose values rows still hold; make it a "
                f"{before} again, or take another name."
            )


def _forgetting(custom: Custom, entity: str, attributes: Mapping[str, Any]) -> Custom:
    """Return the customization with the types of removed columns noted."""
    types = {name: str(said["type"]) for name, said in attributes.items() if "type" in said}
    return replace(custom, removed={**custom.removed, entity: {**custom.removed.get(entity, {}), **types}})


def with_entity(custom: Custom, said: Said) -> Custom:
    """Add a table. Raises SchemaError when there is one, or its name may not be given."""
    name = checked_name(said["name"])
    if name in custom.entities:
        raise SchemaError(f"There is a table '{name}' already; change it with PUT, or take another name.")
    for attribute in said["attributes"]:
        checked_name(attribute)
    _check_types(custom, name, said["attributes"])
    return replace(custom, entities={**custom.entities, name: {"custom": True, **said}})


def with_entity_changed(custom: Custom, name: str, changes: Said) -> Custom:
    """Change what a table is called and described as. Raises SchemaError when it is none of theirs."""
    return custom.saying(name, {**_own(custom, name), **changes})


def without_entity(custom: Custom, name: str) -> Custom:
    """Remove a table. Raises SchemaError when it is none of theirs."""
    custom = _forgetting(custom, name, _own(custom, name)["attributes"])
    return replace(custom, entities={each: said for each, said in custom.entities.items() if each != name})


def with_attribute(custom: Custom, entity: str, name: str, said: Said) -> Custom:
    """Add a column to a table. Raises SchemaError when it has one of that name, or the name may not be given."""
    added = custom.added(entity)
    if checked_name(name) in added["attributes"]:
        raise SchemaError(f"'{entity}' has a column '{name}' already; change it with PUT, or take another name.")
    _check_types(custom, entity, {name: said})
    return custom.saying(entity, {**added, "attributes": {**added["attributes"], name: {"custom": True, **said}}})


def with_attribute_changed(custom: Custom, entity: str, name: str, changes: Said) -> Custom:
    """Change a column. Raises SchemaError when it is none of theirs, or its type would be another one."""
    added = custom.added(entity)
    before = _added_attribute(added, entity, name)
    if changes.get("type", before["type"]) != before["type"]:
        raise SchemaError(f"'{name}' of '{entity}' is a {before['type']} and stays one; add another column instead.")
    return custom.saying(entity, {**added, "attributes": {**added["attributes"], name: {**before, **changes}}})


def without_attribute(custom: Custom, entity: str, name: str) -> Custom:
    """Remove a column, which no key may have. Raises SchemaError."""
    added = custom.added(entity)
    said = _added_attribute(added, entity, name)
    if name == added.get("primaryname"):
        raise SchemaError(f"'{name}' names the rows of '{entity}' and cannot be removed.")
    for key, columns in added.get("keys", {}).items():
        if name in columns:
            raise SchemaError(f"'{name}' of '{entity}' is in the key '{key}'; remove that first.")
    rest = {each: about for each, about in added["attributes"].items() if each != name}
    return _forgetting(custom, entity, {name: said}).saying(entity, {**added, "attributes": rest})


def with_key(custom: Custom, entity: str, schema_name: str, columns: list[str]) -> Custom:
    """Add an alternate key. Raises SchemaError."""
    checked_name(schema_name.lower())
    added = custom.added(entity)
    keys = added.get("keys", {})
    if schema_name.lower() in {each.lower() for each in keys}:
        raise SchemaError(f"'{entity}' has a key '{schema_name}' already.")
    return custom.saying(entity, {**added, "keys": {**keys, schema_name: columns}})


def without_key(custom: Custom, entity: str, schema_name: str) -> Custom:
    """Remove an alternate key. Raises SchemaError when it is none of theirs."""
    added = custom.added(entity)
    keys = added.get("keys", {})
    if schema_name not in keys:
        raise SchemaError(f"The key '{schema_name}' of '{entity}' comes with the service and cannot be removed.")
    return custom.saying(
        entity, {**added, "keys": {each: columns for each, columns in keys.items() if each != schema_name}}
    )


def with_many_to_many(custom: Custom, entity: str, said: Said) -> Custom:
    """Relate two tables by pairs. Raises SchemaError when the relationship's name may not be given."""
    checked_name(said["relationship"].lower())
    added = custom.added(entity)
    return custom.saying(entity, {**added, "manytomany": [*added.get("manytomany", ()), {"custom": True, **said}]})


def without_many_to_many(custom: Custom, entity: str, schema_name: str) -> Custom:
    """Remove a relationship of many to many. Raises SchemaError when it is none of theirs."""
    added = custom.added(entity)
    rest = [one for one in added.get("manytomany", ()) if one["relationship"] != schema_name]
    if len(rest) == len(added.get("manytomany", ())):
        raise SchemaError(f"The relationship '{schema_name}' comes with the service and cannot be removed.")
    return custom.saying(entity, {**added, "manytomany": rest})


def with_choice(custom: Custom, said: Said, *, anew: bool) -> Custom:
    """Add a global choice, or (not *anew*) change one. Raises SchemaError."""
    name = checked_name(said["name"])
    if anew and name in custom.choices:
        raise SchemaError(f"There is a choice '{name}' already; change it with PUT, or take another name.")
    if not anew and name not in custom.choices:
        raise SchemaError(f"The choice '{name}' comes with the service and cannot be changed.")
    return replace(custom, choices={**custom.choices, name: said})


def without_choice(custom: Custom, name: str) -> Custom:
    """Remove a global choice. Raises SchemaError when it is none of theirs."""
    if name not in custom.choices:
        raise SchemaError(f"The choice '{name}' comes with the service and cannot be removed.")
    return replace(custom, choices={each: said for each, said in custom.choices.items() if each != name})


def _own(custom: Custom, name: str) -> Said:
    if name not in custom.entities:
        raise SchemaError(f"The table '{name}' comes with the service; only tables that users added can be changed so.")
    return custom.entities[name]


def _added_attribute(added: Said, entity: str, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = added["attributes"].get(name)
    if found is None:
        raise SchemaError(f"The column '{name}' of '{entity}' comes with the service and cannot be changed or removed.")
    return found
