"""Reads an entity from its definition file.

    {
        "name": "account", "schemaname": "Account", "label": "Account", "collectionlabel": "Accounts",
        "set": "accounts", "typecode": 1, "primaryid": "accountid", "primaryname": "name", "ownership": "UserOwned",
        "attributes": {
            "name": {"type": "String", "label": "Account Name", "maxlength": 160, "required": "ApplicationRequired"},
            "industrycode": {"type": "Picklist", "label": "Industry", "options": {"1": "Accounting"}},
            "primarycontactid": {
                "type": "Lookup", "label": "Primary Contact", "targets": ["contact"],
                "relationship": "account_primary_contact", "collection": "account_primary_contact"
            }
        },
        "keys": {"new_AccountNumber": ["accountnumber"]},
        "manytomany": [{"relationship": "accountleads_association", "intersect": "accountleads", "with": "lead"}]
    }

Of the entity, `name`, `label`, `collectionlabel`, `set` and `primaryid` are needed; the rest is

| key | is | without it |
| --- | --- | --- |
| schemaname | the name with capitals | made from the label |
| description | a sentence | empty |
| typecode | the object type code | a number from 10000 that follows from the name |
| primaryname | the column that names a record | none |
| ownership | UserOwned, TeamOwned, BusinessOwned, OrganizationOwned, None | UserOwned |
| activity | whether records are activities ("pointer": has their columns, is none) | false |
| states, common | whether it has the columns of states, of every entity | true |
| notes, activities | whether notes, activities can be about its records | true for tables of users, else false |
| private | whether it is kept from people | false |
| kept | records, operations or computed | records |
| intersect | whether records are the pairs of a relationship of many to many | false |
| keys | columns by schema name of an alternate key | none |
| manytomany | relationships; `navigation`, `othernavigation`, `attribute`, `otherattribute` may be named | none |

An attribute has `type` and `label`, and where its type needs them: `maxlength`, `min`, `max`, `precision`, `format`
(DateOnly, DateAndTime), `behavior` (UserLocal, DateOnly, TimeZoneIndependent), `formatname`, `options` (label by value;
of a status `{"label", "state"}`), `optionset` (a global choice), `targets` (names of entities or the name of a group),
`default`, `required`, `create`, `update`, `read`, `composed`, `container`, `maxsize`, `baseof`, `attributeof`,
`schemaname`, `description`, `custom`. A lookup also has `relationship`, `navigation`, `collection`, `delete` and
`hierarchical`, and under `names` the same by target. The columns of `standard` come by themselves; what a definition
says about one of them is added to it, and null leaves it out.

A file with `options` and no `attributes` is a global choice: `{"name", "label", "options"}`. One that `extends` an
entity adds its `attributes`, `keys` and `manytomany` to it.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from asyncservice.organization.errors import SchemaError
from asyncservice.organization.schema.attributereader import read_attribute, read_options
from asyncservice.organization.schema.attributes import OptionSet
from asyncservice.organization.schema.entities import Entity, Kept, Ownership
from asyncservice.organization.schema.naming import is_custom_name, schema_name
from asyncservice.organization.schema.relationships import AlternateKey, ManyToMany
from asyncservice.organization.schema.standard import given_by_themselves

_KEYS_OF_AN_ENTITY: Final = frozenset(
    {
        *("name", "schemaname", "label", "collectionlabel", "description", "set", "typecode", "primaryid"),
        *("primaryname", "ownership", "activity", "states", "common", "notes", "activities", "private", "kept"),
        *("keys", "manytomany", "attributes", "custom", "intersect"),
    }
)
_KEYS_OF_MANY_TO_MANY: Final = frozenset(
    {"relationship", "intersect", "with", "navigation", "othernavigation", "attribute", "otherattribute", "custom"}
)
#: Object type codes of tables that users add begin here.
FIRST_CUSTOM_TYPE_CODE: Final = 10_000
_TYPE_CODES: Final = 90_000


def read_entity(text: str, *, source: str, option_sets: Mapping[str, OptionSet] | None = None) -> Entity:
    """Return the entity that *text* describes. Raises SchemaError, which names *source*, when it cannot be one."""
    return entity_of(described(text, source=source), source=source, option_sets=option_sets)


def described(text: str, *, source: str) -> Mapping[str, Any]:
    """Return what a definition file says. Raises SchemaError when it is no JSON object."""
    try:
        said = json.loads(text)
    except json.JSONDecodeError as error:
        raise SchemaError(f"{source}: no JSON at line {error.lineno}: {error.msg}.") from error
    if not isinstance(said, dict):
        raise SchemaError(f"{source}: a definition is a JSON object.")
    return said


def is_option_set(said: Mapping[str, Any]) -> bool:
    """Whether a definition describes a global choice."""
    return "options" in said and "attributes" not in said


def option_set_of(said: Mapping[str, Any], *, source: str) -> OptionSet:
    """Return the global choice that *said* describes. Raises SchemaError, which names *source*."""
    try:
        name = said["name"]
        options = read_options(said["options"])
        return OptionSet(name=name, label=said.get("label", name), options=options, is_custom=is_custom_name(name))
    except SchemaError as error:
        raise SchemaError(f"{source}: {error}") from error
    except KeyError as error:
        raise SchemaError(f"{source}: the key {error} is missing.") from error


def entity_of(said: Mapping[str, Any], *, source: str, option_sets: Mapping[str, OptionSet] | None = None) -> Entity:
    """Return the entity that *said* describes. Raises SchemaError, which names *source*, when it cannot be one."""
    try:
        return _entity(said, option_sets or {})
    except SchemaError as error:
        raise SchemaError(f"{source}: {error}") from error
    except KeyError as error:
        raise SchemaError(f"{source}: the key {error} is missing.") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise SchemaError(f"{source}: a value has the wrong type: {error}.") from error


def _entity(said: Mapping[str, Any], option_sets: Mapping[str, OptionSet]) -> Entity:
    unknown = said.keys() - _KEYS_OF_AN_ENTITY
    if unknown:
        raise SchemaError(f"{', '.join(sorted(unknown))} is nothing an entity can have.")
    name, primary_id = said["name"], said["primaryid"]
    custom = said.get("custom", is_custom_name(name))
    ownership = Ownership(said.get("ownership", "UserOwned"))
    columns = _columns(said)
    primary_name = said.get("primaryname")
    if primary_name is not None and primary_name not in columns:
        raise SchemaError(f"the primary name {primary_name!r} is none of the attributes.")
    keys = tuple(
        AlternateKey(schema_name=key, attributes=tuple(attributes)) for key, attributes in said.get("keys", {}).items()
    )
    for key in keys:
        for attribute in key.attributes:
            if attribute not in columns:
                raise SchemaError(f"the key {key.schema_name} has the column {attribute!r}, which there is not.")
    return Entity(
        name=name,
        schema_name=said.get("schemaname") or schema_name(name, said["label"]),
        label=said["label"],
        collection_label=said["collectionlabel"],
        description=said.get("description", ""),
        set_name=said["set"],
        type_code=said.get("typecode") or FIRST_CUSTOM_TYPE_CODE + zlib.crc32(name.encode()) % _TYPE_CODES,
        primary_id=primary_id,
        primary_name=primary_name,
        ownership=ownership,
        attributes={
            column: read_attribute(column, about, option_sets=option_sets, custom=custom and is_custom_name(column))
            for column, about in columns.items()
        },
        keys=keys,
        many_to_many=tuple(_many_to_many(name, primary_id, one) for one in said.get("manytomany", ())),
        kept=Kept(said.get("kept", "records")),
        is_activity=said.get("activity", False) is True,
        is_intersect=said.get("intersect", False),
        is_custom=custom,
        has_notes=said.get("notes", custom),
        has_activities=said.get("activities", custom),
        is_private=said.get("private", False),
    )


def _columns(said: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what is said about every column, those included that come by themselves."""
    name, primary_id = said["name"], said["primaryid"]
    own = said.get("schemaname") or schema_name(name, said["label"])
    stem = own if primary_id == f"{name}id" else primary_id.removesuffix("id").capitalize()
    key: Mapping[str, Any] = {
        "type": "Uniqueidentifier",
        "label": said["label"],
        "schemaname": f"{stem}Id" if primary_id.endswith("id") else None,
        "required": "SystemRequired",
        "update": False,
    }
    given = given_by_themselves(said)
    columns: dict[str, Mapping[str, Any]] = {primary_id: key}
    # Described first: a person's heading means the first column of a label, and that is the entity's own.
    for name, about in said["attributes"].items():
        if about is not None:
            columns[name] = {**columns.get(name, given.get(name, {})), **about}
    for name, about in given.items():
        if name not in said["attributes"]:
            columns.setdefault(name, about)
    return columns


def _many_to_many(name: str, primary_id: str, said: Mapping[str, Any]) -> ManyToMany:
    unknown = said.keys() - _KEYS_OF_MANY_TO_MANY
    if unknown:
        raise SchemaError(f"manytomany: {', '.join(sorted(unknown))} is nothing a relationship can have.")
    relationship, other = said["relationship"], said["with"]
    first = said.get("attribute", f"{primary_id}one" if other == name else primary_id)
    return ManyToMany(
        schema_name=relationship,
        intersect_entity=said.get("intersect", relationship.lower()),
        entity1=name,
        entity1_attribute=first,
        entity1_navigation=said.get("navigation", relationship),
        entity2=other,
        entity2_attribute=said.get("otherattribute", f"{primary_id}two" if other == name else f"{other}id"),
        entity2_navigation=said.get("othernavigation", relationship),
        is_custom=said.get("custom", is_custom_name(relationship)),
    )
