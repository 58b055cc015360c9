"""The relationships of a catalog, made from what its entities say about their lookups, with the names Dataverse gives.

A lookup is one relationship a target. Where a definition names nothing,

* the relationship is `<target>_<entity>_<column>`;
* the property on the side of the lookup is the column's name (of a column that a user added: its schema name), followed
  by `_<target>` where there are several targets;
* the property on the other side is called as the relationship is.

An owner is a user or a team, and its property leads to both: its relationship refers to the entity `owner`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from asyncservice.organization.schema.attributes import Attribute, AttributeType, LookupNames, TargetGroup
from asyncservice.organization.schema.entities import Entity, Kept
from asyncservice.organization.schema.relationships import (
    CascadeType,
    ManyToMany,
    Navigation,
    NavigationKind,
    OneToMany,
)

#: The entity that stands for users and teams alike.
OWNER: Final = "owner"

_GROUPS: Final[Mapping[TargetGroup, Callable[[Entity], bool]]] = {
    TargetGroup.ANY: lambda one: one.name != OWNER and not one.is_private,
    TargetGroup.REGARDING: lambda one: one.has_activities,
    TargetGroup.NOTES: lambda one: one.has_notes,
    TargetGroup.ACTIVITIES: lambda one: one.is_activity,
}


def with_targets(entity: Entity, entities: Iterable[Entity]) -> Entity:
    """Return the entity with the targets of its lookups known: those of groups named, those that there are not gone."""
    everyone = tuple(entities)
    known = {one.name for one in everyone}
    changed = {
        name: replace(attribute, targets=tuple(_targets(attribute, entity, everyone, known)))
        for name, attribute in entity.attributes.items()
        if attribute.type.is_lookup
        and (attribute.target_group is not None or not known.issuperset(attribute.targets))
        and any(_targets(attribute, entity, everyone, known))
    }
    return replace(entity, attributes={**entity.attributes, **changed}) if changed else entity


def _targets(attribute: Attribute, entity: Entity, everyone: tuple[Entity, ...], known: set[str]) -> Iterator[str]:
    yield from (target for target in attribute.targets if target in known)
    if attribute.target_group is not None:
        belongs = _GROUPS[attribute.target_group]
        yield from (one.name for one in everyone if one.name != entity.name and not one.is_intersect and belongs(one))


def lookups_of(entity: Entity, attribute: Attribute, entities: Mapping[str, Entity]) -> tuple[OneToMany, ...]:
    """Return the relationships of one lookup, one a target that there is."""
    if attribute.type is AttributeType.OWNER and OWNER in entities:
        return (_one_to_many(entity, attribute, entities[OWNER], several=False),)
    targets = [entities[target] for target in attribute.targets if target in entities]
    several = len(attribute.targets) > 1 or attribute.target_group is not None
    return tuple(_one_to_many(entity, attribute, target, several=several) for target in targets)


def _one_to_many(entity: Entity, attribute: Attribute, target: Entity, *, several: bool) -> OneToMany:
    general = attribute.lookup_names.get("", LookupNames())
    special = attribute.lookup_names.get(target.name, LookupNames())
    fill = {
        "entity": entity.name,
        "Entity": entity.schema_name,
        "base": f"{entity.name}base" if _has_base(entity) else entity.name,
        "set": entity.name if entity.is_custom else entity.set_name,
        "Collection": entity.collection_schema_name,
        "target": target.name,
        "Target": target.schema_name,
    }
    relationship = special.relationship or general.relationship or f"{target.name}_{entity.name}_{attribute.name}"
    plain = attribute.schema_name if attribute.is_custom else attribute.name
    navigation = special.navigation or general.navigation or (f"{plain}_{target.name}" if several else plain)
    collection = special.collection or general.collection or relationship
    return OneToMany(
        schema_name=relationship.format_map(fill),
        referenced_entity=target.name,
        referenced_attribute=target.primary_id,
        referencing_entity=entity.name,
        referencing_attribute=attribute.name,
        collection_navigation=collection.format_map(fill),
        lookup_navigation=navigation.format_map(fill),
        on_delete=special.on_delete or general.on_delete or CascadeType.REMOVE_LINK,
        is_hierarchical=special.is_hierarchical or general.is_hierarchical,
        is_custom=entity.is_custom or attribute.is_custom,
    )


def _has_base(entity: Entity) -> bool:
    """Whether relationships of the standard columns are called after a table `<name>base`, as those of old tables."""
    return entity.is_user_owned and not entity.is_custom and not entity.is_activity and entity.kept is Kept.RECORDS


def navigations_of(relationship: OneToMany | ManyToMany, entities: Mapping[str, Entity]) -> Iterator[Navigation]:
    """Yield the properties that lead along a relationship, from either end."""
    if isinstance(relationship, OneToMany):
        names = {relationship.lookup_navigation}
        lookup = relationship.referencing_attribute
        if relationship.lookup_navigation == f"{lookup}_{relationship.referencing_entity}":
            # An activity inherits the pointer's property, which goes without the activity's name.
            names |= {lookup} if entities[relationship.referencing_entity].is_activity else set()
        for name in sorted(names):
            yield Navigation(
                name=name,
                entity=relationship.referencing_entity,
                target=relationship.referenced_entity,
                kind=NavigationKind.TO_ONE,
                relationship=relationship,
            )
        if relationship.collection_navigation is not None:
            yield Navigation(
                name=relationship.collection_navigation,
                entity=relationship.referenced_entity,
                target=relationship.referencing_entity,
                kind=NavigationKind.TO_MANY,
                relationship=relationship,
            )
        return
    for name, entity, target in (
        (relationship.entity1_navigation, relationship.entity1, relationship.entity2),
        (relationship.entity2_navigation, relationship.entity2, relationship.entity1),
    ):
        yield Navigation(
            name=name, entity=entity, target=target, kind=NavigationKind.MANY_TO_MANY, relationship=relationship
        )
