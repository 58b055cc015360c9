"""From an address to a row: by its id, by an alternate key, or by walking along navigation properties."""

from http import HTTPStatus
from typing import Final
from uuid import UUID

from asyncservice.organization.errors import RecordNotFound
from asyncservice.organization.query.evaluation import run
from asyncservice.organization.query.model import AllOf, Asker, Column, Condition, Filter, Link, LinkType, Query
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import ManyToMany, Navigation, OneToMany
from asyncservice.organization.sources import Values
from asyncservice.organization.values import Reference
from asyncservice.webapi.context import Api
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.resources import Key, Resource, Step, wrong_key

#: Of what entities the rows are that an owner's navigation property leads to.
OWNERS: Final = ("systemuser", "team")
#: The alias of the pairs that a relationship of many to many is joined by.
PAIRS = "_pairs"


async def row_of(api: Api, resource: Resource) -> Values:
    """Return the row that is meant. Raises an error that is answered 404 when there is none."""
    values = await found_row(api, resource)
    if values is None:
        raise missing(resource)
    return values


async def found_row(api: Api, resource: Resource) -> Values | None:
    """Return the row that is meant; None when a lookup on the way is empty.

    Raises an error that is answered 404 when a key names no row.
    """
    if not resource.steps:
        if resource.key is None:
            raise ApiError(f"'{resource.entity.set_name}' needs a key here.")
        return await by_key(api, resource.start, resource.key)
    step = resource.steps[-1]
    parent = await row_of(api, resource.parent)
    target = api.organization.catalog.entity(step.navigation.target)
    if step.key is None:
        reference = reference_of(step.navigation, parent)
        return None if reference is None else await api.organization.source(reference.entity).find(reference.id)
    row = await by_key(api, target, step.key)
    if not await _is_related(api, step, parent, row, resource):
        raise missing(resource)
    return row


async def by_key(api: Api, entity: Entity, key: Key) -> Values:
    """Return the row of that key. Raises RecordNotFound, or an error for an alternate key that no row has."""
    if key.id is not None:
        values = await api.organization.source(entity.name).find(key.id)
        if values is None:
            raise RecordNotFound(entity.name, key.id)
        return values
    values = await with_key(api, entity, key)
    if values is None:
        raise no_such_key(entity, key)
    return values


async def with_key(api: Api, entity: Entity, key: Key) -> Values | None:
    """Return the row that has these values in an alternate key, or None."""
    found = await api.organization.find_by_key(entity.name, key.values)
    return None if found is None else found.values


async def id_of(api: Api, entity: Entity, key: Key) -> UUID:
    """Return the id of the row of that key; no request when the key is the id. Raises as `by_key` does."""
    if key.id is not None:
        return key.id
    return own_id(entity, await by_key(api, entity, key))


async def _is_related(api: Api, step: Step, parent: Values, row: Values, resource: Resource) -> bool:
    """Whether a row is one of those that a collection leads to."""
    navigation = step.navigation
    catalog = api.organization.catalog
    source, target = catalog.entity(navigation.entity), catalog.entity(navigation.target)
    parent_id, row_id = own_id(source, parent), own_id(target, row)
    relationship = navigation.relationship
    if isinstance(relationship, OneToMany):
        if not navigation.is_collection:
            raise wrong_key(resource.entity)
        return row.get(relationship.referencing_attribute) == Reference(navigation.entity, parent_id)
    here, there = ends(navigation)
    both = AllOf(
        (
            Condition(attribute=here, operator=Operator.EQUAL, values=(parent_id,)),
            Condition(attribute=there, operator=Operator.EQUAL, values=(row_id,)),
        )
    )
    found = await run(
        Query(entity=relationship.intersect_entity, columns=(), where=both, top=1),
        Asker(now=api.clock.now(), user_id=parent_id),
        api.organization,
    )
    return bool(found.rows)


def own_id(entity: Entity, values: Values) -> UUID:
    """Return the id of a row."""
    record_id = values[entity.primary_id]
    if not isinstance(record_id, UUID):
        raise TypeError(f"The key of a row of {entity.name} is {record_id!r}.")
    return record_id


def reference_of(navigation: Navigation, values: Values) -> Reference | None:
    """Return what the lookup of a navigation property refers to, when that is a row of its target."""
    value = values.get(lookup_of(navigation))
    return value if isinstance(value, Reference) and navigation.target in {value.entity, "owner"} else None


def lookup_of(navigation: Navigation) -> str:
    """Return the lookup that a single-valued navigation property stands for."""
    relationship = navigation.relationship
    if not isinstance(relationship, OneToMany):
        raise TypeError(f"{navigation.name} is no lookup.")
    return relationship.referencing_attribute


def related(navigation: Navigation, target: Entity, parent_id: UUID) -> tuple[Filter | None, tuple[Link, ...]]:
    """Return the filter, or the link, by which a query finds the rows of *target* that a collection leads to."""
    relationship = navigation.relationship
    if isinstance(relationship, OneToMany):
        return Condition(attribute=relationship.referencing_attribute, operator=Operator.EQUAL, values=(parent_id,)), ()
    here, _ = ends(navigation)
    where = Condition(attribute=here, operator=Operator.EQUAL, values=(parent_id,))
    return None, (pairs(navigation, target, where, LinkType.EXISTS),)


def pairs(
    navigation: Navigation, target: Entity, where: Condition, type_: LinkType, columns: tuple[Column, ...] = ()
) -> Link:
    """Return the link from the rows of *target* that a many-to-many collection leads to, to their pairs."""
    relationship = navigation.relationship
    if not isinstance(relationship, ManyToMany):
        raise TypeError(f"{navigation.name} is no relationship of many to many.")
    _, there = ends(navigation)
    return Link(
        entity=relationship.intersect_entity,
        from_attribute=there,
        to_attribute=target.primary_id,
        alias=PAIRS,
        type=type_,
        columns=columns,
        where=where,
    )


def ends(navigation: Navigation) -> tuple[str, str]:
    """Return the columns of the pairs that hold the id of this end, and of the other."""
    relationship = navigation.relationship
    if not isinstance(relationship, ManyToMany):
        raise TypeError(f"{navigation.name} is no relationship of many to many.")
    # Both ends may be of one entity; then the name of the property tells which end this is.
    if navigation.entity == relationship.entity1 and navigation.name == relationship.entity1_navigation:
        return relationship.entity1_attribute, relationship.entity2_attribute
    return relationship.entity2_attribute, relationship.entity1_attribute


def missing(resource: Resource) -> ApiError:
    """Return the error for a row that a path leads to and that is not there."""
    key = resource.last_key
    if key is not None and key.id is not None:
        return ApiError(
            str(RecordNotFound(resource.entity.name, key.id)),
            status=HTTPStatus.NOT_FOUND,
            code=Code.OBJECT_DOES_NOT_EXIST,
        )
    return ApiError(
        f"The path leads to no row of '{resource.entity.name}'.",
        status=HTTPStatus.NOT_FOUND,
        code=Code.OBJECT_DOES_NOT_EXIST,
    )


def no_such_key(entity: Entity, key: Key) -> ApiError:
    """Return the error for an alternate key that no row has."""
    values = ", ".join(f"{name}={value}" for name, value in key.values.items())
    return ApiError(
        f"A record of '{entity.name}' with the specified key values does not exist: {values}.",
        status=HTTPStatus.NOT_FOUND,
        code=Code.KEY_NOT_FOUND,
    )
