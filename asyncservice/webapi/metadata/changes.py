"""`RetrieveMetadataChanges`: metadata by a query in JSON.

GET RetrieveMetadataChanges(Query=@p1)?@p1={"Criteria": {…}, "Properties": {…}, "AttributeQuery": {…}}
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import JSON, Request, Response
from asyncservice.webapi.faults import ApiError, not_allowed
from asyncservice.webapi.jsontext import dumps
from asyncservice.webapi.messages.literals import read_literal
from asyncservice.webapi.metadata.describing import entities
from asyncservice.webapi.metadata.items import Item

#: How deep filters may lie in each other.
_MAX_DEPTH: Final = 8
#: What an entity query calls the lists, and the query for each.
_LISTS: Final = {
    "Attributes": "AttributeQuery",
    "Keys": "KeyQuery",
    "OneToManyRelationships": "RelationshipQuery",
    "ManyToOneRelationships": "RelationshipQuery",
    "ManyToManyRelationships": "RelationshipQuery",
}


async def answer(api: Api, request: Request) -> Response:
    """Answer with the entities and columns that a query asks for. Raises ApiError (400, 405)."""
    if request.method not in {"GET", "HEAD"}:
        raise not_allowed(request.method, "the function RetrieveMetadataChanges", "GET")
    catalog = api.organization.catalog
    query = _argument(request, "Query")
    query = {} if query is None else query
    if not isinstance(query, Mapping):
        raise ApiError("The parameter Query of RetrieveMetadataChanges is an EntityQueryExpression: { … }.")
    found = [item for item in entities(catalog) if _meets(item, query.get("Criteria"))]
    body = dumps(
        {
            "@odata.context": request.address.of("$metadata#Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse"),
            "ServerVersionStamp": catalog.stamp,
            "DeletedMetadata": None,
            "EntityMetadata": [_entity(item, query) for item in found],
        }
    )
    return Response(status=HTTPStatus.OK, headers={"Content-Type": JSON}, body=body)


def _argument(request: Request, name: str) -> object:
    given = request.segments[0].named
    text = given.get(name) or request.options.aliases.get(f"@{name}")
    if text is not None and text.startswith("@"):
        text = request.options.aliases.get(text)
    return None if text is None else read_literal(text)


def _entity(item: Item, query: Mapping[str, Any]) -> dict[str, Any]:
    wanted = query.get("Properties")
    written = _written(item, wanted)
    for name, source in item.lists.items():
        inner = query.get(_LISTS[name])
        if not _is_wanted(name, wanted) and inner is None:
            continue
        inner = inner if isinstance(inner, Mapping) else {}
        written[name] = [
            _written(each, inner.get("Properties")) for each in source() if _meets(each, inner.get("Criteria"))
        ]
    return written


def _is_wanted(name: str, properties: object) -> bool:
    if not isinstance(properties, Mapping):
        return False
    return bool(properties.get("AllProperties")) or name in (properties.get("PropertyNames") or ())


def _written(item: Item, properties: object) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in item.properties.items()
        if name in {"MetadataId", "LogicalName", "SchemaName"} or _is_wanted(name, properties)
    }
    singles = {
        name: None if (single := make()) is None else {**single.annotated, **single.properties}
        for name, make in item.singles.items()
        if _is_wanted(name, properties)
    }
    return {**item.annotated, **kept, **singles}


def _meets(item: Item, criteria: object, depth: int = 0) -> bool:
    """Whether an item meets a MetadataFilterExpression. Raises ApiError."""
    if criteria is None:
        return True
    if not isinstance(criteria, Mapping) or depth > _MAX_DEPTH:
        raise ApiError(f"Criteria are MetadataFilterExpressions, {{ … }}, at most {_MAX_DEPTH} deep.")
    results = [_holds(item, one) for one in _listed(criteria, "Conditions")]
    results += [_meets(item, one, depth + 1) for one in _listed(criteria, "Filters")]
    if criteria.get("FilterOperator", "And") in {"Or", 1}:
        return any(results) or not results
    return all(results)


def _listed(criteria: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = criteria.get(name)
    if found is None:
        return ()
    if not isinstance(found, list):
        raise ApiError(f"{name} of a MetadataFilterExpression is a list: [ … ].")
    return found


def _holds(item: Item, condition: object) -> bool:
    if not isinstance(condition, Mapping) or not isinstance(condition.get("PropertyName"), str):
        raise ApiError("A MetadataConditionExpression has PropertyName, ConditionOperator and Value.")
    have = item.properties.get(condition["PropertyName"])
    if isinstance(have, Mapping) and "Value" in have:
        have = have["Value"]
    value = condition.get("Value")
    wanted = value.get("Value") if isinstance(value, Mapping) else value
    match condition.get("ConditionOperator", "Equals"):
        case "Equals" | 0:
            return _same(have, wanted)
        case "NotEquals" | 1:
            return not _same(have, wanted)
        case "In" | 2:
            return any(_same(have, one) for one in _values(wanted))
        case "NotIn" | 3:
            return not any(_same(have, one) for one in _values(wanted))
        case "GreaterThan" | 4:
            return _number(have) is not None and _number(wanted) is not None and float(str(have)) > float(str(wanted))
        case "LessThan" | 5:
            return _number(have) is not None and _number(wanted) is not None and float(str(have)) < float(str(wanted))
        case unknown:
            raise ApiError(
                f"'{unknown}' is no MetadataConditionOperator; there are Equals, NotEquals, In, NotIn, GreaterThan "
                "and LessThan."
            )


def _values(wanted: object) -> Sequence[object]:
    return wanted if isinstance(wanted, list) else str(wanted).split(",")


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _same(have: object, wanted: object) -> bool:
    # Values come as texts with the name of their .NET type beside them.
    if isinstance(have, bool) or have is None:
        return str(have).lower() == str(wanted).lower()
    return str(have) == str(wanted)
