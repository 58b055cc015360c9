"""Answers to requests for definitions: the way from the first segment of the path to what it means.

EntityDefinitions(LogicalName='account')/Attributes(LogicalName='name')/Microsoft.Dynamics.CRM.StringAttributeMetadata
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from asyncservice.organization.schema.catalog import Catalog
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import JSON, Request, Response
from asyncservice.webapi.faults import ApiError, Code, not_allowed
from asyncservice.webapi.jsontext import dumps
from asyncservice.webapi.messages.literals import read_literal
from asyncservice.webapi.metadata import describing
from asyncservice.webapi.metadata.items import NAMESPACE, Item
from asyncservice.webapi.metadata.selecting import check_names, chosen, read_shape, written
from asyncservice.webapi.urls import Argument, Segment

_SETS: Final[Mapping[str, tuple[str, Callable[[Catalog], list[Item]]]]] = {
    "EntityDefinitions": ("EntityMetadata", describing.entities),
    "RelationshipDefinitions": ("RelationshipMetadataBase", describing.relationships),
    "GlobalOptionSetDefinitions": ("OptionSetMetadataBase", describing.choices),
}
#: The type of what stands in a list, by the property that leads to it.
_TYPES: Final = {
    "Attributes": "AttributeMetadata",
    "Keys": "EntityKeyMetadata",
    "OneToManyRelationships": "OneToManyRelationshipMetadata",
    "ManyToOneRelationships": "OneToManyRelationshipMetadata",
    "ManyToManyRelationships": "ManyToManyRelationshipMetadata",
}
_COLUMN_TYPES: Final = frozenset(
    {
        *(
            "Enum",
            "String",
            "Memo",
            "Integer",
            "BigInt",
            "Decimal",
            "Double",
            "Money",
            "Boolean",
            "DateTime",
            "Picklist",
        ),
        *("MultiSelectPicklist", "State", "Status", "EntityName", "Lookup", "UniqueIdentifier", "File", "Image"),
        "ManagedProperty",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a path has led to: some items, one of them, or a property."""

    items: Sequence[Item]
    type: str
    is_one: bool = False
    #: The property of the one item that the path ends with.
    member: str | None = None
    counts: bool = False

    @property
    def one(self) -> Item:
        """The one item there is."""
        return self.items[0]


async def answer(api: Api, request: Request) -> Response:
    """Answer a request for definitions. Raises ApiError: 400, 404, 405."""
    if request.method not in {"GET", "HEAD"}:
        raise not_allowed(request.method, f"'{request.segments[0].name}'", "GET")
    place = find(api.organization.catalog, request.segments)
    return respond(request, place)


def find(catalog: Catalog, segments: tuple[Segment, ...]) -> Place:
    """Follow a path. Raises ApiError: 404 where it leads nowhere, 400 for keys that cannot be read."""
    first = segments[0]
    type_name, described = _SETS[first.name]
    place = _keyed(Place(items=described(catalog), type=type_name), first)
    for segment in segments[1:]:
        place = _next(place, segment)
    return place


def respond(request: Request, place: Place) -> Response:
    """Write what a path has led to as the query options ask. Raises ApiError."""
    names = "/".join(segment.name for segment in request.segments)
    context = {"@odata.context": request.address.of(f"$metadata#{names}")}
    if place.counts:
        return Response(
            status=HTTPStatus.OK,
            headers={"Content-Type": "text/plain"},
            body=str(len(place.items)).encode(),
        )
    if place.member is not None:
        return _json({**context, "value": place.one.properties[place.member]})
    shape = read_shape(request.options.system, request.options.aliases)
    check_names(place.items, shape, place.type)
    if place.is_one:
        return _json({"@odata.context": f"{context['@odata.context']}/$entity", **written(place.one, shape)})
    # Filters first: most lists are asked for one item, and only what remains is written.
    found = chosen(place.items, shape)
    counted = {"@odata.count": len(found)} if shape.counts else {}
    return _json({**context, **counted, "value": [written(item, shape) for item in found]})


def _json(content: Mapping[str, Any]) -> Response:
    return Response(status=HTTPStatus.OK, headers={"Content-Type": JSON}, body=dumps(content))


def _keyed(place: Place, segment: Segment) -> Place:
    """Return the one item that the parentheses of a segment name; the list where there are none."""
    if not segment.arguments:
        return place
    for item in place.items:
        if _is_meant(item, segment):
            return replace(place, items=(item,), is_one=True)
    if segment.single is None and not any(set(segment.named) <= set(item.names) for item in place.items):
        known = next(iter(place.items)).names if place.items else ("LogicalName",)
        raise ApiError(
            f"The key in the request URI is not valid for resource '{NAMESPACE}{place.type}'. "
            f"It takes {' or '.join((f'{segment.name}(<MetadataId>)', *(f"{name}='…'" for name in known)))}."
        )
    raise ApiError(
        f"Could not find {segment.name}({','.join(_shown(each) for each in segment.arguments)}).",
        status=HTTPStatus.NOT_FOUND,
        code=Code.OBJECT_DOES_NOT_EXIST,
    )


def _shown(argument: Argument) -> str:
    return argument.text if argument.name is None else f"{argument.name}={argument.text}"


def _is_meant(item: Item, segment: Segment) -> bool:
    if segment.single is not None:
        return str(item.properties.get("MetadataId")) == segment.single.strip("'{}").lower()
    wanted = {name: read_literal(text) for name, text in segment.named.items()}
    if set(wanted) == {"MetadataId"}:
        return str(item.properties["MetadataId"]) == str(wanted["MetadataId"]).lower()
    return bool(wanted) and all(name in item.names and item.properties[name] == each for name, each in wanted.items())


def _next(place: Place, segment: Segment) -> Place:
    if place.member is None and not place.counts:
        if segment.name.startswith(NAMESPACE):
            return _keyed(_cast(place, segment.name.removeprefix(NAMESPACE)), segment)
        if segment.name == "$count" and not place.is_one:
            return replace(place, counts=True)
        if place.is_one and segment.name in place.one.lists:
            items = place.one.lists[segment.name]()
            return _keyed(Place(items=items, type=_TYPES[segment.name]), segment)
        if place.is_one and segment.name in place.one.singles:
            single = place.one.singles[segment.name]()
            if single is not None:
                return Place(items=(single,), type=single.type, is_one=True)
        if place.is_one and segment.name in place.one.properties and segment.arguments is None:
            return replace(place, member=segment.name)
    raise ApiError(
        f"Resource not found for the segment '{segment.name}'; names of metadata are case-sensitive.",
        status=HTTPStatus.NOT_FOUND,
    )


def _cast(place: Place, name: str) -> Place:
    """Return those of the items that are of a type. A known type that none of them is leaves an empty list."""
    items = [item for item in place.items if item.is_a(name)]
    known = {place.type, "MetadataBase", *(f"{each}AttributeMetadata" for each in _COLUMN_TYPES)}
    known |= {"OneToManyRelationshipMetadata", "ManyToManyRelationshipMetadata"}
    known |= {"OptionSetMetadata", "BooleanOptionSetMetadata"}
    if (not items and name not in known) or (place.is_one and not items):
        raise ApiError(
            f"Resource not found: there is nothing of the type '{NAMESPACE}{name}' there.", status=HTTPStatus.NOT_FOUND
        )
    return replace(place, items=items, type=name)
