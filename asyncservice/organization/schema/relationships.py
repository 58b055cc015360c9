"""Relationships between entities, and the navigation properties that lead along them."""

from dataclasses import dataclass
from enum import StrEnum


class CascadeType(StrEnum):
    """What happens to the other end when something happens to this one; values are Dataverse's words."""

    NO_CASCADE = "NoCascade"
    CASCADE = "Cascade"
    ACTIVE = "Active"
    USER_OWNED = "UserOwned"
    REMOVE_LINK = "RemoveLink"
    RESTRICT = "Restrict"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneToMany:
    """A lookup of the referencing entity, seen from both ends. A lookup to several entities has one for each."""

    schema_name: str
    #: The one side.
    referenced_entity: str
    referenced_attribute: str
    #: The many side, whose column *referencing_attribute* is the lookup.
    referencing_entity: str
    referencing_attribute: str
    #: On the one side, e.g. contact_customer_accounts; None where no collection is offered.
    collection_navigation: str | None
    #: On the many side, e.g. parentcustomerid_account.
    lookup_navigation: str
    on_delete: CascadeType = CascadeType.REMOVE_LINK
    is_hierarchical: bool = False
    is_custom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyToMany:
    """Two entities whose records go together in pairs; a pair is a record of the intersect entity."""

    schema_name: str
    intersect_entity: str
    entity1: str
    #: Column of the intersect entity that holds the id of the first.
    entity1_attribute: str
    #: Property of the first entity that leads to records of the second.
    entity1_navigation: str
    entity2: str
    entity2_attribute: str
    entity2_navigation: str
    is_custom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternateKey:
    """Columns whose values together belong to one record only. Records that lack one of them are not in it."""

    schema_name: str
    attributes: tuple[str, ...]

    @property
    def logical_name(self) -> str:
        """The schema name in lower case."""
        return self.schema_name.lower()


class NavigationKind(StrEnum):
    """What a navigation property leads to."""

    TO_ONE = "to one"
    TO_MANY = "to many"
    MANY_TO_MANY = "many to many"


@dataclass(frozen=True, slots=True, kw_only=True)
class Navigation:
    """A navigation property: *name* of *entity* leads to rows of *target*. Names are case-sensitive."""

    name: str
    entity: str
    target: str
    kind: NavigationKind
    relationship: OneToMany | ManyToMany

    @property
    def is_collection(self) -> bool:
        """Whether it leads to any number of rows."""
        return self.kind is not NavigationKind.TO_ONE
