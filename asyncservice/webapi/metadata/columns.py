"""Columns as metadata: the properties that every one has, and those of its type."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from asyncservice.organization.schema.attributes import Attribute, AttributeType, DateBehavior
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.webapi.metadata.choices import global_choice, own_choice
from asyncservice.webapi.metadata.items import Item, label, managed, metadata_id

_BASE: Final = ("AttributeMetadata", "MetadataBase")
_ENUM: Final = ("EnumAttributeMetadata", *_BASE)

#: The metadata type of each attribute type, and what it derives from.
TYPES: Final[Mapping[AttributeType, tuple[str, tuple[str, ...]]]] = {
    AttributeType.STRING: ("StringAttributeMetadata", _BASE),
    AttributeType.MEMO: ("MemoAttributeMetadata", _BASE),
    AttributeType.INTEGER: ("IntegerAttributeMetadata", _BASE),
    AttributeType.BIGINT: ("BigIntAttributeMetadata", _BASE),
    AttributeType.DECIMAL: ("DecimalAttributeMetadata", _BASE),
    AttributeType.DOUBLE: ("DoubleAttributeMetadata", _BASE),
    AttributeType.MONEY: ("MoneyAttributeMetadata", _BASE),
    AttributeType.BOOLEAN: ("BooleanAttributeMetadata", _BASE),
    AttributeType.DATETIME: ("DateTimeAttributeMetadata", _BASE),
    AttributeType.PICKLIST: ("PicklistAttributeMetadata", _ENUM),
    AttributeType.MULTISELECT: ("MultiSelectPicklistAttributeMetadata", _ENUM),
    AttributeType.STATE: ("StateAttributeMetadata", _ENUM),
    AttributeType.STATUS: ("StatusAttributeMetadata", _ENUM),
    AttributeType.ENTITY_NAME: ("EntityNameAttributeMetadata", _ENUM),
    AttributeType.LOOKUP: ("LookupAttributeMetadata", _BASE),
    AttributeType.CUSTOMER: ("LookupAttributeMetadata", _BASE),
    AttributeType.OWNER: ("LookupAttributeMetadata", _BASE),
    AttributeType.UNIQUEIDENTIFIER: ("UniqueIdentifierAttributeMetadata", _BASE),
    AttributeType.FILE: ("FileAttributeMetadata", _BASE),
    AttributeType.VIRTUAL: ("AttributeMetadata", ("MetadataBase",)),
}
#: Types that AttributeType has no member for; the name of the type tells.
_VIRTUAL: Final = frozenset({AttributeType.MULTISELECT, AttributeType.FILE, AttributeType.VIRTUAL})
_FORMATS: Final = {AttributeType.STRING: "Text", AttributeType.MEMO: "TextArea", AttributeType.INTEGER: "None"}


def column(catalog: Catalog, entity: Entity, attribute: Attribute) -> Item:
    """Return the metadata of a column."""
    name, bases = TYPES[attribute.type]
    single: dict[str, Callable[[], Item | None]] = {}
    if attribute.options or attribute.type.has_options or attribute.type is AttributeType.BOOLEAN:
        single = {
            "OptionSet": lambda: own_choice(catalog, entity, attribute),
            "GlobalOptionSet": lambda: (
                None if attribute.option_set is None else global_choice(catalog.option_sets[attribute.option_set])
            ),
        }
    return Item(
        type=name,
        bases=bases,
        properties={**_common(entity, attribute), **_special(attribute)},
        singles=single,
        names=("LogicalName", "SchemaName"),
    )


def column_id(entity: Entity, attribute: Attribute) -> str:
    """Return the MetadataId of a column."""
    return str(metadata_id("entity", entity.name, "attribute", attribute.name))


def _common(entity: Entity, attribute: Attribute) -> dict[str, Any]:
    is_primary = attribute.name == entity.primary_id
    return {
        "MetadataId": column_id(entity, attribute),
        "HasChanged": None,
        "LogicalName": attribute.name,
        "SchemaName": attribute.schema_name,
        "AttributeType": "Virtual" if attribute.type in _VIRTUAL else attribute.type.value,
        "AttributeTypeName": {"Value": f"{attribute.type.value}Type"},
        "EntityLogicalName": entity.name,
        "AttributeOf": attribute.attribute_of,
        "ColumnNumber": list(entity.attributes).index(attribute.name) + 1,
        "DisplayName": label(attribute.label),
        "Description": label(attribute.description),
        "IsPrimaryId": is_primary,
        "IsPrimaryName": attribute.name == entity.primary_name,
        "IsCustomAttribute": attribute.is_custom,
        "IsLogical": attribute.attribute_of is not None,
        "IsManaged": not attribute.is_custom,
        "IsSecured": False,
        "IsFilterable": False,
        "IsSearchable": False,
        "IsRetrievable": True,
        "IsValidForRead": attribute.valid_for_read,
        "IsValidForCreate": attribute.valid_for_create,
        "IsValidForUpdate": attribute.valid_for_update,
        "IsValidForAdvancedFind": managed(value=attribute.valid_for_read, name="canmodifysearchsettings"),
        "IsCustomizable": managed(value=True, name="iscustomizable"),
        "IsRenameable": managed(value=True, name="isrenameable"),
        "IsAuditEnabled": managed(value=False, name="canmodifyauditsettings"),
        "RequiredLevel": {
            "Value": attribute.required.value,
            "CanBeChanged": True,
            "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
        },
        "SourceType": 0,
        "IntroducedVersion": "5.0.0.0",
    }


def _special(attribute: Attribute) -> dict[str, Any]:
    """Return the properties that the column's type adds."""
    kind = attribute.type
    if kind.is_text:
        named = attribute.format_name or _FORMATS[kind]
        return {"MaxLength": attribute.max_length, "Format": named, "FormatName": {"Value": named}, "ImeMode": "Auto"}
    if kind is AttributeType.INTEGER:
        shown = attribute.format_name or "None"
        return {"MinValue": attribute.min_value, "MaxValue": attribute.max_value, "Format": shown}
    if kind in {AttributeType.DECIMAL, AttributeType.DOUBLE, AttributeType.MONEY}:
        special: dict[str, Any] = {
            "MinValue": attribute.min_value,
            "MaxValue": attribute.max_value,
            "Precision": attribute.precision,
        }
        if kind is AttributeType.MONEY:
            special |= {"CalculationOf": attribute.base_of, "IsBaseCurrency": attribute.base_of is not None}
        return special
    if kind is AttributeType.DATETIME:
        behavior = (attribute.behavior or DateBehavior.USER_LOCAL).value
        date_format = None if attribute.format is None else attribute.format.value
        return {"Format": date_format, "DateTimeBehavior": {"Value": behavior}, "ImeMode": "Auto"}
    if kind is AttributeType.BOOLEAN:
        return {"DefaultValue": bool(attribute.default)}
    if kind.has_options:
        return {"DefaultFormValue": -1 if attribute.default is None else attribute.default}
    if kind.is_lookup:
        return {"Targets": list(attribute.targets), "Format": "None"}
    if kind is AttributeType.FILE:
        return {"MaxSizeInKB": attribute.max_size or 32768}
    return {}
