"""Option sets as metadata: of one column, or shared."""

from typing import Any, Final

from asyncservice.organization.schema.attributes import Attribute, AttributeType, Option, OptionSet
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.webapi.metadata.items import Item, label, managed, metadata_id

_BASES: Final = ("OptionSetMetadataBase", "MetadataBase")
_KINDS: Final = {AttributeType.STATE: "State", AttributeType.STATUS: "Status", AttributeType.BOOLEAN: "Boolean"}


def own_choice(catalog: Catalog, entity: Entity, attribute: Attribute) -> Item:
    """Return the options of a column, whether they are its own or shared."""
    if attribute.option_set is not None:
        return global_choice(catalog.option_sets[attribute.option_set])
    name = f"{entity.name}_{attribute.name}"
    common = _common(name, attribute.label, kind=_KINDS.get(attribute.type, "Picklist"), is_global=False)
    if attribute.type is AttributeType.BOOLEAN:
        labels = {option.value: option.label for option in attribute.options} or {0: "No", 1: "Yes"}
        true, false = (_option(Option(value, labels[value]), attribute, entity) for value in (1, 0))
        return Item(
            type="BooleanOptionSetMetadata",
            bases=_BASES,
            properties={**common, "TrueOption": true, "FalseOption": false},
            names=("Name",),
        )
    options = [_option(option, attribute, entity) for option in attribute.options]
    return Item(type="OptionSetMetadata", bases=_BASES, properties={**common, "Options": options}, names=("Name",))


def global_choice(choice: OptionSet) -> Item:
    """Return the options that columns share by name."""
    common = _common(choice.name, choice.label, kind="Picklist", is_global=True, is_custom=choice.is_custom)
    options = [_plain(option) for option in choice.options]
    return Item(type="OptionSetMetadata", bases=_BASES, properties={**common, "Options": options}, names=("Name",))


def _common(name: str, text: str, *, kind: str, is_global: bool, is_custom: bool = False) -> dict[str, Any]:
    return {
        "MetadataId": str(metadata_id("optionset", name)),
        "HasChanged": None,
        "Name": name,
        "DisplayName": label(text),
        "Description": label(None),
        "OptionSetType": kind,
        "IsGlobal": is_global,
        "IsCustomOptionSet": is_custom,
        "IsManaged": not is_custom,
        "IsCustomizable": managed(value=True, name="iscustomizable"),
        "ParentOptionSetName": None,
    }


def _plain(option: Option) -> dict[str, Any]:
    return {
        "Value": option.value,
        "Label": label(option.label),
        "Description": label(None),
        "Color": None,
        "IsManaged": True,
        "ExternalValue": "",
        "ParentValues": [],
        "MetadataId": None,
        "HasChanged": None,
    }


def _option(option: Option, attribute: Attribute, entity: Entity) -> dict[str, Any]:
    written = _plain(option)
    if attribute.type is AttributeType.STATUS:
        return {"@odata.type": "#Microsoft.Dynamics.CRM.StatusOptionMetadata", **written, "State": option.state}
    if attribute.type is AttributeType.STATE:
        status = entity.attributes.get("statuscode")
        fitting = [each.value for each in status.options if each.state == option.value] if status else []
        default = status.default if status is not None and status.default in fitting else next(iter(fitting), None)
        return {
            "@odata.type": "#Microsoft.Dynamics.CRM.StateOptionMetadata",
            **written,
            "DefaultStatus": default,
            "InvariantName": option.label.replace(" ", ""),
        }
    return written
