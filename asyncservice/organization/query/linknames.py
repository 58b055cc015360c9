"""The names of a query's links: made up where the text has none, unique, and found again by conditions and orders."""

import re
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.schema.entities import Entity

_ALIAS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def checked_alias(alias: str) -> str:
    """Return an alias that is one. Raises QueryError for what a result could not be keyed by."""
    if not _ALIAS.fullmatch(alias):
        raise QueryError(
            f"'{alias}' is no alias: it must begin with a letter or _ and go on with letters, digits, _ and points.",
            OrganizationErrorCode.INVALID_ALIAS,
        )
    return alias


class LinkNames:
    """The links of one query, as they are read. A made-up alias is the entity's name and the number of the link."""

    def __init__(self, root: Entity) -> None:
        self._root = root
        self._entities: dict[str, Entity] = {}
        self._made_up: set[str] = set()

    def add(self, entity: Entity, alias: str | None) -> str:
        """Return the alias of one more link to *entity*. Raises QueryError when *alias* is taken."""
        name = f"{entity.name}{len(self._entities) + 1}" if alias is None else checked_alias(alias)
        if name in self._entities:
            raise QueryError(
                f"The alias '{name}' names two links; give each an alias of its own.",
                OrganizationErrorCode.DUPLICATE_ALIAS,
            )
        self._entities[name] = entity
        if alias is None:
            self._made_up.add(name)
        return name

    def has(self, alias: str) -> bool:
        """Whether a link has that alias."""
        return alias in self._entities

    def entity(self, alias: str) -> Entity:
        """Return the entity of a link."""
        return self._entities[alias]

    def find(self, name: str) -> tuple[str, Entity]:
        """Return the link that a condition or an order means: by alias, or by its entity when it has no other name.

        Raises QueryError when there is none, or when several are called so.
        """
        if name in self._entities:
            return name, self._entities[name]
        unnamed = [alias for alias in self._made_up if self._entities[alias].name == name]
        if len(unnamed) == 1:
            return unnamed[0], self._entities[unnamed[0]]
        if unnamed:
            raise QueryError(
                f"Several links lead to '{name}'; give each an alias and name that.",
                OrganizationErrorCode.ALIAS_MISSING,
            )
        raise QueryError(
            f"No link of the query has the alias '{name}'; there are {', '.join(self._entities) or 'none'}.",
            OrganizationErrorCode.ALIAS_DOES_NOT_EXIST,
        )

    def is_root(self, name: str) -> bool:
        """Whether a name means the query's own entity."""
        return name == self._root.name and name not in self._entities
