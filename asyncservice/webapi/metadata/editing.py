"""Changes of metadata: tables, columns, keys, relationships and choices that users add, change and remove.

Each request is one change of the organization's customization, which decides whether the result makes a schema
(`organization/customizing`). What comes with the service stays as it is; users may add to it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from asyncservice.organization import customizing
from asyncservice.organization.customizing import Custom
from asyncservice.organization.schema.entities import Entity
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request, Response
from asyncservice.webapi.faults import ApiError, not_allowed
from asyncservice.webapi.jsontext import read_object
from asyncservice.webapi.metadata import definitions
from asyncservice.webapi.metadata.columns import column_id
from asyncservice.webapi.metadata.describing import entity_id, key_id, relationship_id
from asyncservice.webapi.metadata.given import (
    attribute_given,
    entity_given,
    label_of,
    list_of,
    object_of,
    option_set_given,
    text_of,
    wrong,
)
from asyncservice.webapi.metadata.items import NAMESPACE, Item, metadata_id

type Decide = Callable[[Custom], Custom]

_READS: Final = frozenset({"GET", "HEAD"})
_ENTITIES, _RELATIONSHIPS, _CHOICES = "EntityDefinitions", "RelationshipDefinitions", "GlobalOptionSetDefinitions"


async def answer(api: Api, request: Request) -> Response:
    """Answer a request below one of the definition sets. Raises ApiError, SchemaError, SchemaChanged."""
    if request.method in _READS:
        return await definitions.answer(api, request)
    # What is decided upon is the schema as it is, not as this process saw it last.
    await api.organization.refresh(now=api.clock.now(), strong=True)
    segments = [one for one in request.segments if not one.name.startswith(NAMESPACE)]
    collections = [one.name for one in segments]
    action = (request.method, collections[-1], len(segments))
    is_one = bool(segments[-1].arguments)
    match action:
        case ("POST", "EntityDefinitions", 1) if not is_one:
            return await _create_entities(api, request, [read_object(request.body)])
        case ("POST", "Attributes", 2) if not is_one:
            return await _create_attribute(api, request)
        case ("POST", "Keys", 2) if not is_one:
            return await _create_key(api, request)
        case ("POST", "RelationshipDefinitions", 1) if not is_one:
            return await _create_relationship(api, request)
        case ("POST" | "PUT", "GlobalOptionSetDefinitions", 1):
            return await _choice(api, request)
        case ("PUT", "EntityDefinitions", 1) if is_one:
            return await _change_entity(api, request)
        case ("PUT", "Attributes", 2) if is_one:
            return await _change_attribute(api, request)
        case ("DELETE", _, _) if is_one:
            return await _delete(api, request, collections)
        case _:
            raise not_allowed(request.method, f"'{request.path}'", "GET")


async def create_entities(api: Api, request: Request) -> Response:
    """Answer the action CreateEntities: several tables, all of them or none. Raises as `answer` does."""
    if request.method != "POST":
        raise not_allowed(request.method, "the action CreateEntities", "POST")
    entities = list_of(read_object(request.body), "Entities")
    if not entities:
        raise wrong("The body needs 'Entities', a list of tables.")
    return await _create_entities(api, request, entities)


async def _create_entities(api: Api, request: Request, bodies: list[Any]) -> Response:
    given = [entity_given(body) for body in bodies]

    def decide(custom: Custom) -> Custom:
        for one in given:
            if one["name"] in api.organization.catalog:
                raise wrong(f"There is a table '{one['name']}' already; take another name.")
            custom = customizing.with_entity(custom, one)
        return custom

    await _customize(api, decide)
    return _made(request, f"{_ENTITIES}({entity_id(given[0]['name'])})")


async def _create_attribute(api: Api, request: Request) -> Response:
    entity = _entity(api, request)
    name, said = attribute_given(read_object(request.body))
    if name in entity.attributes:
        raise wrong(f"'{entity.name}' has a column '{name}' already; take another name.")
    await _customize(api, partial(customizing.with_attribute, entity=entity.name, name=name, said=said))
    made = api.organization.catalog.entity(entity.name)
    where = f"{_ENTITIES}({entity_id(entity.name)})/Attributes({column_id(made, made.attribute(name))})"
    return _made(request, where)


async def _create_key(api: Api, request: Request) -> Response:
    entity = _entity(api, request)
    body = read_object(request.body)
    schema_name, columns = text_of(body, "SchemaName"), body.get("KeyAttributes")
    if not isinstance(columns, list) or not columns or not all(isinstance(each, str) for each in columns):
        raise wrong("'KeyAttributes' is a list of names of columns.")
    # Rows that are there stand in no key: that they differ nobody has looked at.
    async for _ in api.organization.source(entity.name).scan(columns=[entity.primary_id], at_most=1).rows:
        raise wrong(
            f"'{entity.name}' has rows, and a key counts from the first row on: add the key to a table that is empty."
        )
    await _customize(
        api, partial(customizing.with_key, entity=entity.name, schema_name=schema_name, columns=list(columns))
    )
    made = api.organization.catalog.entity(entity.name)
    key = next(each for each in made.keys if each.schema_name == schema_name)
    return _made(request, f"{_ENTITIES}({entity_id(entity.name)})/Keys({key_id(entity.name, key)})")


async def _create_relationship(api: Api, request: Request) -> Response:
    body = read_object(request.body)
    schema_name = text_of(body, "SchemaName")
    if schema_name in api.organization.catalog.relationships:
        raise wrong(f"There is a relationship '{schema_name}' already; take another name.")
    customizing.checked_name(schema_name.lower())
    is_many_to_many = "ManyToMany" in str(body.get("@odata.type", "")) or "Entity1LogicalName" in body
    await _customize(api, _many_to_many(api, body) if is_many_to_many else _one_to_many(api, body))
    return _made(request, f"{_RELATIONSHIPS}({relationship_id(schema_name)})")


def _one_to_many(api: Api, body: Mapping[str, Any]) -> Decide:
    referenced = api.organization.catalog.entity(text_of(body, "ReferencedEntity"))
    referencing = api.organization.catalog.entity(text_of(body, "ReferencingEntity"))
    lookup = object_of(body, "Lookup")
    if not lookup:
        raise wrong("A relationship of one to many needs 'Lookup', the column that it adds.")
    name, said = attribute_given(
        {"@odata.type": f"{NAMESPACE}LookupAttributeMetadata", **lookup, "Targets": [referenced.name]}
    )
    if name in referencing.attributes:
        raise wrong(f"'{referencing.name}' has a column '{name}' already; give 'Lookup' another 'SchemaName'.")
    said["relationship"] = text_of(body, "SchemaName")
    for key, member in (
        ("navigation", "ReferencingEntityNavigationPropertyName"),
        ("collection", "ReferencedEntityNavigationPropertyName"),
    ):
        if body.get(member):
            said[key] = text_of(body, member)
    delete = object_of(body, "CascadeConfiguration").get("Delete")
    if delete is not None:
        said["delete"] = delete
    if body.get("IsHierarchical") is True:
        said["hierarchical"] = True
    return partial(customizing.with_attribute, entity=referencing.name, name=name, said=said)


def _many_to_many(api: Api, body: Mapping[str, Any]) -> Decide:
    first = api.organization.catalog.entity(text_of(body, "Entity1LogicalName"))
    second = api.organization.catalog.entity(text_of(body, "Entity2LogicalName"))
    schema_name = text_of(body, "SchemaName")
    said: dict[str, Any] = {"relationship": schema_name, "with": second.name}
    for key, member in (
        ("intersect", "IntersectEntityName"),
        ("navigation", "Entity1NavigationPropertyName"),
        ("othernavigation", "Entity2NavigationPropertyName"),
        ("attribute", "Entity1IntersectAttribute"),
        ("otherattribute", "Entity2IntersectAttribute"),
    ):
        if body.get(member):
            said[key] = text_of(body, member)
    if first.name == second.name:
        # Both ends are properties of the same table and need names of their own.
        said.setdefault("othernavigation", f"{schema_name}_Referenced")
    if "intersect" in said:
        said["intersect"] = customizing.checked_name(said["intersect"].lower())
    return partial(customizing.with_many_to_many, entity=first.name, said=said)


async def _choice(api: Api, request: Request) -> Response:
    anew = request.method == "POST"
    if anew is bool(request.segments[0].arguments):
        raise not_allowed(request.method, f"'{request.path}'", "GET")
    body = read_object(request.body)
    if not anew:
        body = {**body, "Name": _one(api, request).properties["Name"]}
    said = option_set_given(body)
    if anew and said["name"] in api.organization.catalog.option_sets:
        raise wrong(f"There is a choice '{said['name']}' already; take another name.")
    await _customize(api, partial(customizing.with_choice, said=said, anew=anew))
    if not anew:
        return Response(status=HTTPStatus.NO_CONTENT)
    return _made(request, f"{_CHOICES}({metadata_id('optionset', said['name'])})")


async def _change_entity(api: Api, request: Request) -> Response:
    entity, body = _entity(api, request), read_object(request.body)
    changes: dict[str, Any] = {
        key: text
        for key, member in (
            ("label", "DisplayName"),
            ("collectionlabel", "DisplayCollectionName"),
            ("description", "Description"),
        )
        if (text := label_of(body, member)) is not None
    }
    for key, member in (("notes", "HasNotes"), ("activities", "HasActivities")):
        # Rows that refer to it stay as they are; so what was allowed remains allowed.
        if body.get(member) is True:
            changes[key] = True
    await _customize(api, partial(customizing.with_entity_changed, name=entity.name, changes=changes))
    return Response(status=HTTPStatus.NO_CONTENT)


async def _change_attribute(api: Api, request: Request) -> Response:
    entity = _entity(api, request)
    attribute = entity.attribute(str(_one(api, request).properties["LogicalName"]))
    body = {
        "@odata.type": f"{NAMESPACE}{_one(api, request).type}",
        **read_object(request.body),
        "SchemaName": attribute.schema_name,
    }
    if attribute.type.is_lookup:
        # What it refers to is its relationships' to say.
        body["Targets"] = list(attribute.targets)
    _, said = attribute_given(body)
    await _customize(
        api, partial(customizing.with_attribute_changed, entity=entity.name, name=attribute.name, changes=said)
    )
    return Response(status=HTTPStatus.NO_CONTENT)


async def _delete(api: Api, request: Request, collections: list[str]) -> Response:
    item = _one(api, request)
    properties = item.properties
    match collections:
        case ["EntityDefinitions"]:
            decide = partial(customizing.without_entity, name=properties["LogicalName"])
        case ["EntityDefinitions", "Attributes"]:
            entity = _entity(api, request).name
            decide = partial(customizing.without_attribute, entity=entity, name=properties["LogicalName"])
        case ["EntityDefinitions", "Keys"]:
            entity = _entity(api, request).name
            decide = partial(customizing.without_key, entity=entity, schema_name=properties["SchemaName"])
        case ["GlobalOptionSetDefinitions"]:
            decide = partial(customizing.without_choice, name=properties["Name"])
        case ["RelationshipDefinitions"] if item.type == "ManyToManyRelationshipMetadata":
            entity, name = properties["Entity1LogicalName"], properties["SchemaName"]
            decide = partial(customizing.without_many_to_many, entity=entity, schema_name=name)
        case ["RelationshipDefinitions"]:
            entity, name = properties["ReferencingEntity"], properties["ReferencingAttribute"]
            decide = partial(customizing.without_attribute, entity=entity, name=name)
        case _:
            raise not_allowed(request.method, f"'{request.path}'", "GET")
    await _customize(api, decide)
    return Response(status=HTTPStatus.NO_CONTENT)


async def _customize(api: Api, decide: Decide) -> None:
    await api.organization.customize(decide, now=api.clock.now())


def _entity(api: Api, request: Request) -> Entity:
    """Return the table that the first segment of the path names. Raises ApiError (404)."""
    place = definitions.find(api.organization.catalog, request.segments[:1])
    if not place.is_one:
        raise ApiError(f"'{request.segments[0].name}' needs a key: {_ENTITIES}(LogicalName='…').")
    return api.organization.catalog.entity(str(place.one.properties["LogicalName"]))


def _one(api: Api, request: Request) -> Item:
    """Return what the path names. Raises ApiError (404)."""
    place = definitions.find(api.organization.catalog, request.segments)
    if not place.is_one or place.member is not None:
        raise ApiError(f"'{request.path}' names no definition.")
    return place.one


def _made(request: Request, where: str) -> Response:
    url = request.address.of(where)
    return Response(status=HTTPStatus.NO_CONTENT, headers={"OData-EntityId": url, "Location": url})
