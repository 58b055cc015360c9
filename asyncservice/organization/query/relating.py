"""Which columns a link joins: those it names, or those of the one relationship there is between two entities."""

from collections.abc import Iterator

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import ManyToMany, OneToMany


def both_ends(
    catalog: Catalog, parent: Entity, linked: Entity, *, to: str | None, source: str | None
) -> tuple[str, str]:
    """Return the parent's column (FetchXML's `to`) and the linked entity's (`from`).

    Raises QueryError when one of them is missing, or both are and the schema does not tell; NoSuchAttribute.
    """
    if to and source:
        return parent.attribute(to).name, linked.attribute(source).name
    if to or source:
        raise QueryError(
            f"The link from '{parent.name}' to '{linked.name}' names only one of its columns; name both, or neither.",
            OrganizationErrorCode.ATTRIBUTE_PAIR_MISMATCH,
        )
    pairs = set(_pairs(catalog, parent.name, linked.name))
    if len(pairs) != 1:
        raise QueryError(
            f"There are {len(pairs)} relationships between '{parent.name}' and '{linked.name}'; name the columns that "
            "the link joins ('from' of the linked entity, 'to' of its parent).",
            OrganizationErrorCode.ATTRIBUTE_PAIR_MISMATCH,
        )
    return pairs.pop()


def _pairs(catalog: Catalog, parent: str, linked: str) -> Iterator[tuple[str, str]]:
    for relationship in catalog.relationships.values():
        if isinstance(relationship, OneToMany):
            if (relationship.referencing_entity, relationship.referenced_entity) == (parent, linked):
                yield relationship.referencing_attribute, relationship.referenced_attribute
            if (relationship.referencing_entity, relationship.referenced_entity) == (linked, parent):
                yield relationship.referenced_attribute, relationship.referencing_attribute
        elif linked == relationship.intersect_entity:
            yield from _through(relationship, catalog, parent)


def _through(relationship: ManyToMany, catalog: Catalog, parent: str) -> Iterator[tuple[str, str]]:
    for entity, attribute in (
        (relationship.entity1, relationship.entity1_attribute),
        (relationship.entity2, relationship.entity2_attribute),
    ):
        if entity == parent:
            yield catalog.entity(parent).primary_id, attribute
