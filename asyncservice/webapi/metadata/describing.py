"""Entities, keys and relationships as metadata."""

from collections.abc import Sequence
from typing import Any, Final

from asyncservice.organization.activities import POINTER
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity, Kept
from asyncservice.organization.schema.relationships import AlternateKey, CascadeType, ManyToMany, OneToMany
from asyncservice.webapi.metadata.choices import global_choice
from asyncservice.webapi.metadata.columns import column
from asyncservice.webapi.metadata.items import Item, label, managed, metadata_id

_RELATIONSHIP: Final = ("RelationshipMetadataBase", "MetadataBase")


def entities(catalog: Catalog) -> list[Item]:
    """Return every entity."""
    return [entity(catalog, one) for one in catalog]


def relationships(catalog: Catalog) -> list[Item]:
    """Return every relationship."""
    return [relationship(one) for one in catalog.relationships.values()]


def choices(catalog: Catalog) -> list[Item]:
    """Return every shared choice."""
    return [global_choice(one) for one in catalog.option_sets.values()]


def entity_id(name: str) -> str:
    """Return the MetadataId of an entity."""
    return str(metadata_id("entity", name))


def relationship_id(schema_name: str) -> str:
    """Return the MetadataId of a relationship."""
    return str(metadata_id("relationship", schema_name))


def key_id(entity_name: str, key: AlternateKey) -> str:
    """Return the MetadataId of an alternate key."""
    return str(metadata_id("entity", entity_name, "key", key.logical_name))


def entity(catalog: Catalog, one: Entity) -> Item:
    """Return the metadata of an entity."""
    customizable = managed(value=True, name="iscustomizable")
    return Item(
        type="EntityMetadata",
        properties={
            "MetadataId": entity_id(one.name),
            "HasChanged": None,
            "LogicalName": one.name,
            "SchemaName": one.schema_name,
            "EntitySetName": one.set_name,
            "LogicalCollectionName": one.set_name,
            "CollectionSchemaName": one.collection_schema_name,
            "PrimaryIdAttribute": one.primary_id,
            "PrimaryNameAttribute": one.primary_name,
            "PrimaryImageAttribute": None,
            "ObjectTypeCode": one.type_code,
            "DisplayName": label(one.label),
            "DisplayCollectionName": label(one.collection_label),
            "Description": label(one.description),
            "OwnershipType": one.ownership.value,
            "IsActivity": one.is_activity,
            "IsActivityParty": one.has_activities,
            "IsCustomEntity": one.is_custom,
            "IsIntersect": one.is_intersect,
            "IsManaged": not one.is_custom,
            "IsPrivate": one.is_private,
            "IsLogicalEntity": one.kept is Kept.COMPUTED,
            "IsChildEntity": False,
            "IsBPFEntity": False,
            "IsAvailableOffline": False,
            "IsValidForAdvancedFind": not one.is_private,
            "IsImportable": not one.is_intersect,
            "IsOptimisticConcurrencyEnabled": one.kept is Kept.RECORDS,
            "IsStateModelAware": "statecode" in one.attributes,
            "EnforceStateTransitions": False,
            "ChangeTrackingEnabled": one.kept is Kept.RECORDS and one.name != POINTER,
            "HasActivities": one.has_activities,
            "HasNotes": one.has_notes,
            "HasFeedback": False,
            "TableType": "Standard",
            "DataProviderId": None,
            "IntroducedVersion": "5.0.0.0",
            "IsCustomizable": customizable,
            "IsRenameable": managed(value=True, name="isrenameable"),
            "IsAuditEnabled": managed(value=False, name="canmodifyauditsettings"),
            "IsDuplicateDetectionEnabled": managed(value=True, name="canmodifyduplicatedetectionsettings"),
            "CanCreateAttributes": managed(value=True, name="cancreateattributes"),
        },
        lists={
            "Attributes": lambda: [column(catalog, one, attribute) for attribute in one.attributes.values()],
            "Keys": lambda: [key(one, each) for each in one.keys],
            "OneToManyRelationships": lambda: _relationships(catalog.one_to_many(one.name)),
            "ManyToOneRelationships": lambda: _relationships(catalog.many_to_one(one.name)),
            "ManyToManyRelationships": lambda: _relationships(catalog.many_to_many(one.name)),
        },
        names=("LogicalName",),
    )


def key(one: Entity, each: AlternateKey) -> Item:
    """Return the metadata of an alternate key."""
    return Item(
        type="EntityKeyMetadata",
        properties={
            "MetadataId": key_id(one.name, each),
            "HasChanged": None,
            "LogicalName": each.logical_name,
            "SchemaName": each.schema_name,
            "EntityLogicalName": one.name,
            "KeyAttributes": list(each.attributes),
            "EntityKeyIndexStatus": "Active",
            "DisplayName": label(each.schema_name),
            "IsManaged": False,
            "IsSynchronous": True,
            "AsyncJob": None,
            "IntroducedVersion": "1.0",
            "IsCustomizable": managed(value=True, name="iscustomizable"),
        },
        names=("LogicalName", "SchemaName"),
    )


def relationship(one: OneToMany | ManyToMany) -> Item:
    """Return the metadata of a relationship."""
    common = {
        "MetadataId": relationship_id(one.schema_name),
        "HasChanged": None,
        "SchemaName": one.schema_name,
        "IsCustomRelationship": one.is_custom,
        "IsManaged": not one.is_custom,
        "IsValidForAdvancedFind": True,
        "SecurityTypes": "Append" if one.is_custom else "None",
        "IntroducedVersion": "5.0.0.0",
        "IsCustomizable": managed(value=True, name="iscustomizable"),
    }
    if isinstance(one, OneToMany):
        return Item(
            type="OneToManyRelationshipMetadata",
            bases=_RELATIONSHIP,
            properties={**common, **_one_to_many(one)},
            names=("SchemaName",),
        )
    return Item(
        type="ManyToManyRelationshipMetadata",
        bases=_RELATIONSHIP,
        properties={
            **common,
            "RelationshipType": "ManyToManyRelationship",
            "IntersectEntityName": one.intersect_entity,
            "Entity1LogicalName": one.entity1,
            "Entity1IntersectAttribute": one.entity1_attribute,
            "Entity1NavigationPropertyName": one.entity1_navigation,
            "Entity2LogicalName": one.entity2,
            "Entity2IntersectAttribute": one.entity2_attribute,
            "Entity2NavigationPropertyName": one.entity2_navigation,
            "Entity1AssociatedMenuConfiguration": None,
            "Entity2AssociatedMenuConfiguration": None,
        },
        names=("SchemaName",),
    )


def _one_to_many(one: OneToMany) -> dict[str, Any]:
    other = CascadeType.NO_CASCADE.value
    return {
        "RelationshipType": "OneToManyRelationship",
        "ReferencedEntity": one.referenced_entity,
        "ReferencedAttribute": one.referenced_attribute,
        "ReferencedEntityNavigationPropertyName": one.collection_navigation,
        "ReferencingEntity": one.referencing_entity,
        "ReferencingAttribute": one.referencing_attribute,
        "ReferencingEntityNavigationPropertyName": one.lookup_navigation,
        "IsHierarchical": one.is_hierarchical,
        "EntityKey": None,
        "RelationshipBehavior": 1,
        "CascadeConfiguration": {
            "Assign": other,
            "Delete": one.on_delete.value,
            "Archive": other,
            "Merge": other,
            "Reparent": other,
            "Share": other,
            "Unshare": other,
            "RollupView": other,
        },
        "AssociatedMenuConfiguration": None,
    }


def _relationships(found: Sequence[OneToMany | ManyToMany]) -> list[Item]:
    return [relationship(one) for one in found]
