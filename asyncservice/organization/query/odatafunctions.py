"""Dataverse's query functions, `Microsoft.Dynamics.CRM.In(PropertyName='x',PropertyValues=["1","2"])`, as conditions.

Each has the name of an operator. One value comes as PropertyValue, two as PropertyValue1 and PropertyValue2 or, as any
number does, as PropertyValues. Their values are text in whatever type the column has.
"""

from collections.abc import Iterator
from typing import Final

from asyncservice.organization.query.coercion import Raw
from asyncservice.organization.query.conditions import compare
from asyncservice.organization.query.model import Condition
from asyncservice.organization.query.odatamask import FunctionCall
from asyncservice.organization.query.odatascope import Scope
from asyncservice.organization.query.odatatext import Scalar, url_error
from asyncservice.organization.query.operators import by_sdk_name

_PROPERTY: Final = "PropertyName"
_VALUES: Final = ("PropertyValue", "PropertyValue1", "PropertyValue2", "PropertyValues")


def condition_of(call: FunctionCall, scope: Scope) -> Condition:
    """Return the condition that a query function is. Raises QueryError."""
    operator = by_sdk_name().get(call.name)
    if operator is None:
        raise url_error(f"There is no query function 'Microsoft.Dynamics.CRM.{call.name}'.")
    unknown = call.parameters.keys() - {_PROPERTY, *_VALUES}
    if unknown:
        raise url_error(f"{call.name} has no parameter {', '.join(sorted(unknown))}; it takes {_PROPERTY} and values.")
    name = call.parameters.get(_PROPERTY)
    if not isinstance(name, str) or not name:
        raise url_error(f"{call.name} needs the name of a property: {_PROPERTY}='…'.")
    link, attribute = scope.named((*call.prefix, *_path(name, call, scope)))
    return compare(attribute, operator, tuple(_values(call)), link=link)


def _path(name: str, call: FunctionCall, scope: Scope) -> tuple[str, ...]:
    segments = tuple(name.split("/"))
    # In a lambda the variable may stand before the function, in the name, or be left out of both.
    if scope.variable is not None and not call.prefix and segments[0] != scope.variable:
        return (scope.variable, *segments)
    return segments


def _values(call: FunctionCall) -> Iterator[Raw]:
    for name in _VALUES:
        given = call.parameters.get(name)
        if given is None:
            continue
        for item in given if isinstance(given, list) else [given]:
            yield _value(item, call)


def _value(item: Scalar, call: FunctionCall) -> Raw:
    if item is None:
        raise url_error(f"{call.name} takes no null among its values; use eq null.")
    return item
