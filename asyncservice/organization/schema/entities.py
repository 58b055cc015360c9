"""An entity: its names, its keys and its columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from asyncservice.organization.errors import NoSuchAttribute
from asyncservice.organization.schema.attributes import Attribute, AttributeType, RequiredLevel
from asyncservice.organization.schema.relationships import AlternateKey, ManyToMany

#: Stands for the underscore, which a table's name must not have.
_UNDERSCORE: Final = "00"


class Ownership(StrEnum):
    """Whom records belong to; values are Dataverse's words."""

    USER_OWNED = "UserOwned"
    TEAM_OWNED = "TeamOwned"
    BUSINESS_OWNED = "BusinessOwned"
    ORGANIZATION_OWNED = "OrganizationOwned"
    NONE = "None"


class Kept(StrEnum):
    """Where records of an entity come from."""

    #: A table of their own.
    RECORDS = "records"
    #: The table of operations.
    OPERATIONS = "operations"
    #: Nowhere: they follow from the schema or from other records.
    COMPUTED = "computed"


@dataclass(frozen=True, kw_only=True)
class Entity:
    """What a record of one kind looks like."""

    name: str
    schema_name: str
    label: str
    collection_label: str
    description: str = ""
    #: What the Web API calls the collection.
    set_name: str
    #: The object type code.
    type_code: int
    primary_id: str
    primary_name: str | None
    ownership: Ownership
    attributes: Mapping[str, Attribute]
    keys: tuple[AlternateKey, ...] = ()
    #: Relationships of many to many that were described with this entity, which is their first.
    many_to_many: tuple[ManyToMany, ...] = ()
    kept: Kept = Kept.RECORDS
    #: Whether records are activities: they have a pointer, parties and something they are about.
    is_activity: bool = False
    #: Whether records are pairs of a relationship of many to many.
    is_intersect: bool = False
    #: Whether a user of the service added it.
    is_custom: bool = False
    has_notes: bool = False
    has_activities: bool = False
    #: Whether it is offered to people at all.
    is_private: bool = False

    @property
    def is_user_owned(self) -> bool:
        """Whether records belong to a user or a team."""
        return self.ownership in {Ownership.USER_OWNED, Ownership.TEAM_OWNED}

    @property
    def collection_schema_name(self) -> str:
        """What the collection is called in the style of schema names."""
        if self.set_name.endswith("ies") and not self.name.endswith("ie"):
            return f"{self.schema_name[:-1]}ies"
        return f"{self.schema_name}{'es' if self.set_name == f'{self.name}es' else 's'}"

    def attribute(self, name: str) -> Attribute:
        """Return the column of that logical name. Raises NoSuchAttribute."""
        found = self.attributes.get(name)
        if found is None:
            raise NoSuchAttribute(self.name, name)
        return found

    def matching(self, heading: str) -> Attribute | None:
        """Return the column that a person means: by logical name or, failing that, by display label."""
        plain = heading.strip().casefold()
        return self.attributes.get(plain) or self._by_label.get(plain)

    @property
    def table_name(self) -> str:
        """The table that keeps the records."""
        return f"Records{self.name.replace('_', _UNDERSCORE)}"

    @cached_property
    def required_by_people(self) -> tuple[Attribute, ...]:
        """The columns that forms and imports insist on."""
        return tuple(
            attribute
            for attribute in self.attributes.values()
            if attribute.required is RequiredLevel.APPLICATION_REQUIRED
        )

    @cached_property
    def required_by_system(self) -> tuple[Attribute, ...]:
        """The columns that no record can be without."""
        return tuple(
            attribute for attribute in self.attributes.values() if attribute.required is RequiredLevel.SYSTEM_REQUIRED
        )

    @cached_property
    def defaults(self) -> Mapping[str, int | bool | str]:
        """What columns of a new record hold when nobody says otherwise."""
        return {name: attribute.default for name, attribute in self.attributes.items() if attribute.default is not None}

    @cached_property
    def composed(self) -> tuple[Attribute, ...]:
        """The columns that are made of others."""
        return tuple(attribute for attribute in self.attributes.values() if attribute.composed)

    @cached_property
    def kept_in_blobs(self) -> tuple[Attribute, ...]:
        """The columns whose content lies in a blob."""
        return tuple(attribute for attribute in self.attributes.values() if attribute.container is not None)

    @cached_property
    def file_columns(self) -> tuple[Attribute, ...]:
        """The columns that hold files."""
        return tuple(attribute for attribute in self.attributes.values() if attribute.type is AttributeType.FILE)

    @cached_property
    def _by_label(self) -> Mapping[str, Attribute]:
        # Some labels name two columns ("Address 1: ID" and the like); the first one defined wins.
        found: dict[str, Attribute] = {}
        for attribute in self.attributes.values():
            found.setdefault(attribute.label.casefold(), attribute)
        return found
