"""The entity whose records are the pairs of a relationship of many to many."""

from collections.abc import Iterable
from typing import Any

from asyncservice.organization.errors import SchemaError
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.reader import entity_of
from asyncservice.organization.schema.relationships import ManyToMany


def intersect_of(relationship: ManyToMany, entities: Iterable[Entity]) -> Entity:
    """Return the intersect entity: two ids and a version. Raises SchemaError when its name cannot be."""
    name = relationship.intersect_entity
    labels = {entity.name: entity.label for entity in entities}
    if relationship.entity1_attribute == relationship.entity2_attribute:
        raise SchemaError(f"{relationship.schema_name}: both columns of {name} are {relationship.entity1_attribute}.")
    read_only: dict[str, Any] = {"type": "Uniqueidentifier", "required": "SystemRequired", "update": False}
    return entity_of(
        {
            "name": name,
            "label": name,
            "collectionlabel": name,
            "set": f"{name}collection",
            "primaryid": f"{name}id",
            "ownership": "None",
            "states": False,
            "common": False,
            "notes": False,
            "activities": False,
            "private": True,
            "custom": relationship.is_custom,
            "intersect": True,
            "attributes": {
                relationship.entity1_attribute: {"label": labels[relationship.entity1], **read_only},
                relationship.entity2_attribute: {"label": labels[relationship.entity2], **read_only},
                "versionnumber": {"type": "BigInt", "label": "Version Number", "create": False, "update": False},
            },
        },
        source=relationship.schema_name,
    )
