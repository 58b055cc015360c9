"""Reads an entity from its definition file.

    {
        "name": "account", "label": "Account", "collectionlabel": "Accounts", "set": "accounts", "typecode": 1,
        "primaryid": "accountid", "primaryname": "name", "ownership": "UserOwned",
        "attributes": {
            "name": {"type": "String", "label": "Account Name", "maxlength": 160, "required": "ApplicationRequired"},
            "industrycode": {"type": "Picklist", "label": "Industry", "options": {"1": "Accounting", "20": "Insurance"}}
        }
    }

An attribute has type and label, and where its type needs them: maxlength, min, max, precision, format, options (label
by value), targets, default, required, create, update, composed, container. The columns of `standard` come by
themselves.
"""

import json
from collections.abc import Mapping
from typing import Any

from asyncservice.organization.errors import SchemaError
from asyncservice.organization.schema.attributes import Attribute, AttributeType, DateFormat, Option, RequiredLevel
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.standard import COMMON, OWNED, STATES

_KEYS_OF_AN_ATTRIBUTE = frozenset(
    {
        *("type", "label", "required", "default", "create", "update"),
        *("maxlength", "min", "max", "precision", "format", "options", "targets", "composed", "container"),
    }
)


def read_entity(text: str, *, source: str) -> Entity:
    """Return the entity that *text* describes. Raises SchemaError, which names *source*, when it cannot be one."""
    try:
        return _entity(json.loads(text))
    except SchemaError as error:
        raise SchemaError(f"{source}: {error}") from error
    except json.JSONDecodeError as error:
        raise SchemaError(f"{source}: no JSON at line {error.lineno}: {error.msg}.") from error
    except KeyError as error:
        raise SchemaError(f"{source}: the key {error} is missing.") from error


def _entity(said: Mapping[str, Any]) -> Entity:
    owned = said.get("ownership", "UserOwned") == "UserOwned"
    primary_id = said["primaryid"]
    described: dict[str, Mapping[str, Any]] = {
        primary_id: {
            "type": "Uniqueidentifier",
            "label": said["label"],
            "required": "SystemRequired",
            "update": False,
        },
        **said["attributes"],
    }
    for name, attribute in {**(OWNED if owned else {}), **STATES, **COMMON}.items():
        described.setdefault(name, attribute)
    primary_name = said.get("primaryname")
    if primary_name is not None and primary_name not in described:
        raise SchemaError(f"the primary name {primary_name!r} is none of the attributes.")
    return Entity(
        name=said["name"],
        label=said["label"],
        collection_label=said["collectionlabel"],
        set_name=said["set"],
        type_code=said["typecode"],
        primary_id=primary_id,
        primary_name=primary_name,
        is_user_owned=owned,
        attributes={name: _attribute(name, attribute) for name, attribute in described.items()},
    )


def _attribute(name: str, said: Mapping[str, Any]) -> Attribute:
    unknown = said.keys() - _KEYS_OF_AN_ATTRIBUTE
    if unknown:
        raise SchemaError(f"attribute {name}: {', '.join(sorted(unknown))} is nothing an attribute can have.")
    try:
        kind = AttributeType(said["type"])
        attribute = Attribute(
            name=name,
            label=said["label"],
            type=kind,
            required=RequiredLevel(said.get("required", "None")),
            valid_for_create=said.get("create", True),
            valid_for_update=said.get("update", True),
            max_length=said.get("maxlength"),
            min_value=said.get("min"),
            max_value=said.get("max"),
            precision=said.get("precision"),
            format=DateFormat(said.get("format", "DateAndTime")) if kind is AttributeType.DATETIME else None,
            options=tuple(_option(int(value), option) for value, option in said.get("options", {}).items()),
            targets=tuple(said.get("targets", ())),
            default=said.get("default"),
            composed=tuple(said.get("composed", ())),
            container=said.get("container"),
        )
    except ValueError as error:
        raise SchemaError(f"attribute {name}: {error}.") from error
    _check(attribute)
    return attribute


def _option(value: int, said: str | Mapping[str, Any]) -> Option:
    if isinstance(said, str):
        return Option(value, said)
    return Option(value, said["label"], said.get("state"))


def _check(attribute: Attribute) -> None:
    """Refuse an attribute that lacks what its type needs."""
    kind = attribute.type
    if kind.is_text and attribute.max_length is None:
        raise SchemaError(f"attribute {attribute.name}: a {kind} needs a maxlength.")
    if kind.is_choice and not attribute.options:
        raise SchemaError(f"attribute {attribute.name}: a {kind} needs options.")
    if kind.is_lookup and not attribute.targets:
        raise SchemaError(f"attribute {attribute.name}: a {kind} needs targets.")
    if kind is AttributeType.BOOLEAN and attribute.options and attribute.option_values != {0, 1}:
        raise SchemaError(f"attribute {attribute.name}: the options of a Boolean are 0 and 1.")
