"""Reads a column from what a definition says about it; the keys are listed in `reader`."""

from collections.abc import Mapping
from typing import Any, Final

from asyncservice.organization.errors import SchemaError
from asyncservice.organization.schema.attributes import (
    Attribute,
    AttributeType,
    DateBehavior,
    DateFormat,
    LookupNames,
    Option,
    OptionSet,
    RequiredLevel,
    TargetGroup,
)
from asyncservice.organization.schema.naming import schema_name
from asyncservice.organization.schema.relationships import CascadeType

_KEYS_OF_NAMES: Final = frozenset({"relationship", "navigation", "collection", "delete", "hierarchical"})
_KEYS_OF_AN_ATTRIBUTE: Final = _KEYS_OF_NAMES | {
    *("type", "label", "schemaname", "description", "custom", "required", "default", "create", "update", "read"),
    *("maxlength", "min", "max", "precision", "format", "behavior", "formatname", "options", "optionset", "targets"),
    *("names", "composed", "container", "maxsize", "baseof", "attributeof"),
}


def read_attribute(
    name: str, said: Mapping[str, Any], *, option_sets: Mapping[str, OptionSet], custom: bool = False
) -> Attribute:
    """Return the column that *said* describes. Raises SchemaError, which names the column and what to change."""
    unknown = said.keys() - _KEYS_OF_AN_ATTRIBUTE
    if unknown:
        raise SchemaError(f"attribute {name}: {', '.join(sorted(unknown))} is nothing an attribute can have.")
    try:
        attribute = _attribute(name, said, option_sets, custom=custom)
    except ValueError as error:
        raise SchemaError(f"attribute {name}: {error}.") from error
    except KeyError as error:
        raise SchemaError(f"attribute {name}: the key {error} is missing.") from error
    _check(attribute)
    return attribute


def read_options(said: Mapping[str, Any]) -> tuple[Option, ...]:
    """Return options from their labels by value. Raises SchemaError."""
    try:
        return tuple(_option(int(value), option) for value, option in said.items())
    except ValueError as error:
        raise SchemaError(f"the value of an option is a whole number: {error}.") from error


def _attribute(name: str, said: Mapping[str, Any], option_sets: Mapping[str, OptionSet], *, custom: bool) -> Attribute:
    kind = AttributeType(said["type"])
    targets = said.get("targets", ())
    is_date = kind is AttributeType.DATETIME
    date_format = DateFormat(said.get("format", "DateAndTime")) if is_date else None
    usual = "DateOnly" if date_format is DateFormat.DATE_ONLY else "UserLocal"
    names = {"": _names(said)} | {target: _names(about) for target, about in said.get("names", {}).items()}
    return Attribute(
        name=name,
        schema_name=said.get("schemaname") or schema_name(name, said["label"]),
        label=said["label"],
        description=said.get("description", ""),
        type=kind,
        required=RequiredLevel(said.get("required", "None")),
        valid_for_create=said.get("create", True),
        valid_for_update=said.get("update", True),
        valid_for_read=said.get("read", True),
        is_custom=said.get("custom", custom),
        attribute_of=said.get("attributeof"),
        max_length=said.get("maxlength"),
        min_value=said.get("min"),
        max_value=said.get("max"),
        precision=said.get("precision"),
        format=date_format,
        behavior=DateBehavior(said.get("behavior", usual)) if is_date else None,
        format_name=said.get("formatname"),
        options=_options_of(said, option_sets),
        option_set=said.get("optionset"),
        targets=() if isinstance(targets, str) else tuple(targets),
        target_group=TargetGroup(targets) if isinstance(targets, str) else None,
        lookup_names=names if kind.is_lookup else {},
        default=said.get("default"),
        composed=tuple(said.get("composed", ())),
        container=said.get("container"),
        max_size=said.get("maxsize"),
        base_of=said.get("baseof"),
    )


def _names(said: Mapping[str, Any]) -> LookupNames:
    delete = said.get("delete")
    return LookupNames(
        relationship=said.get("relationship"),
        navigation=said.get("navigation"),
        collection=said.get("collection"),
        on_delete=None if delete is None else CascadeType(delete),
        is_hierarchical=said.get("hierarchical", False),
    )


def _options_of(said: Mapping[str, Any], option_sets: Mapping[str, OptionSet]) -> tuple[Option, ...]:
    shared = said.get("optionset")
    if shared is None:
        return read_options(said.get("options", {}))
    if shared not in option_sets:
        raise SchemaError(f"there is no global choice {shared!r}; describe it in a file of its own.")
    return option_sets[shared].options


def _option(value: int, said: str | Mapping[str, Any]) -> Option:
    if isinstance(said, str):
        return Option(value, said)
    return Option(value, said["label"], said.get("state"))


def _check(attribute: Attribute) -> None:
    """Refuse an attribute that lacks what its type needs."""
    kind = attribute.type
    if kind.is_text and attribute.max_length is None:
        raise SchemaError(f"attribute {attribute.name}: a {kind} needs a maxlength.")
    if kind.has_options and not attribute.options:
        raise SchemaError(f"attribute {attribute.name}: a {kind} needs options.")
    if kind.is_lookup and not attribute.targets and attribute.target_group is None:
        raise SchemaError(f"attribute {attribute.name}: a {kind} needs targets.")
    if kind is AttributeType.BOOLEAN and attribute.options and attribute.option_values != {0, 1}:
        raise SchemaError(f"attribute {attribute.name}: the options of a Boolean are 0 and 1.")
