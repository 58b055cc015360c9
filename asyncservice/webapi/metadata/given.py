"""Metadata as clients send it, read into what a definition says; the reverse of `describing`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from asyncservice.organization.schema.naming import plural
from asyncservice.webapi.faults import ApiError, Code

type Said = dict[str, Any]
type Json = Mapping[str, Any]

#: Types by the name of their metadata, without "Complex" before and "AttributeMetadata" behind.
_TYPES: Final = {
    **{name: name for name in ("String", "Memo", "Integer", "BigInt", "Decimal", "Double", "Money", "Boolean")},
    **{name: name for name in ("DateTime", "Picklist", "MultiSelectPicklist", "Lookup", "File", "EntityName")},
    "UniqueIdentifier": "Uniqueidentifier",
    "Customer": "Customer",
}
_LENGTHS: Final = {"String": 100, "Memo": 2000}
_LONGEST: Final = {"String": 4000, "Memo": 1_048_576}
_OWNERSHIP: Final = frozenset({"UserOwned", "OrganizationOwned", "None"})
#: Options without a number get theirs from here on.
_FIRST_OPTION: Final = 100_000_000


def wrong(message: str) -> ApiError:
    """Return the error for a body that cannot be read."""
    return ApiError(message, code=Code.PAYLOAD)


def text_of(said: Json, name: str) -> str:
    """Return a text that has to be there. Raises ApiError."""
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise wrong(f"The body needs '{name}', a text.")
    return value


def object_of(said: Json, name: str) -> Json:
    """Return an object that may be there. Raises ApiError when it is something else."""
    value = said.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise wrong(f"'{name}' is an object: {{ … }}.")
    return value


def list_of(said: Json, name: str) -> list[Json]:
    """Return a list of objects that may be there. Raises ApiError when it is something else."""
    value = said.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise wrong(f"'{name}' is a list of objects: [{{ … }}].")
    return value


def label_of(said: Json, name: str) -> str | None:
    """Return the text of a label, or None when it has none. Raises ApiError."""
    label = object_of(said, name)
    for each in (*list_of(label, "LocalizedLabels"), object_of(label, "UserLocalizedLabel")):
        if isinstance(each.get("Label"), str):
            return str(each["Label"])
    return None


def entity_given(said: Json) -> Said:
    """Return what an EntityMetadata says. Raises ApiError."""
    schema_name = text_of(said, "SchemaName")
    name = schema_name.lower()
    attributes = list_of(said, "Attributes")
    primary = next((each for each in attributes if each.get("IsPrimaryName") is True), None)
    if primary is None:
        raise wrong("The body needs 'Attributes' with one String column whose 'IsPrimaryName' is true.")
    ownership = said.get("OwnershipType", "UserOwned")
    if ownership not in _OWNERSHIP:
        raise wrong(f"'OwnershipType' is one of {', '.join(sorted(_OWNERSHIP))}.")
    label = label_of(said, "DisplayName") or schema_name
    given: Said = {
        "name": name,
        "schemaname": schema_name,
        "label": label,
        "collectionlabel": label_of(said, "DisplayCollectionName") or f"{label}s",
        "description": label_of(said, "Description") or "",
        "set": _set_name(said, name),
        "primaryid": f"{name}id",
        "primaryname": text_of(primary, "SchemaName").lower(),
        "ownership": ownership,
        "notes": said.get("HasNotes") is True,
        "activities": said.get("HasActivities") is True,
        "attributes": dict(attribute_given(each) for each in attributes),
    }
    if said.get("IsActivity") is True:
        given |= {"activity": True, "primaryid": "activityid"}
    return given


def attribute_given(said: Json) -> tuple[str, Said]:
    """Return the name of a column and what an AttributeMetadata says about it. Raises ApiError."""
    schema_name = text_of(said, "SchemaName")
    kind = _type(said)
    given: Said = {"type": kind, "label": label_of(said, "DisplayName") or schema_name, "schemaname": schema_name}
    if description := label_of(said, "Description"):
        given["description"] = description
    if required := object_of(said, "RequiredLevel").get("Value"):
        given["required"] = required
    given |= dict(_special(kind, said))
    return schema_name.lower(), given


def option_set_given(said: Json) -> Said:
    """Return what an OptionSetMetadata says. Raises ApiError."""
    name = text_of(said, "Name")
    return {"name": name.lower(), "label": label_of(said, "DisplayName") or name, "options": options_given(said)}


def options_given(said: Json) -> dict[str, str]:
    """Return options by value as texts. Raises ApiError."""
    options: dict[str, str] = {}
    for each in list_of(said, "Options"):
        value = each.get("Value")
        if value is None:
            value = max((*(int(one) for one in options), _FIRST_OPTION - 1)) + 1
        if not isinstance(value, int) or isinstance(value, bool):
            raise wrong("The 'Value' of an option is a whole number.")
        if str(value) in options:
            raise wrong(f"Two options have the value {value}.")
        options[str(value)] = label_of(each, "Label") or str(value)
    if not options:
        raise wrong("A choice needs 'Options', each with 'Value' and 'Label'.")
    return options


def _set_name(said: Json, name: str) -> str:
    given = said.get("EntitySetName") or said.get("LogicalCollectionName")
    return str(given).lower() if isinstance(given, str) and given else plural(name)


def _type(said: Json) -> str:
    named = str(said.get("@odata.type", "")).rpartition(".")[2]
    short = named.removeprefix("Complex").removesuffix("AttributeMetadata")
    kind = _TYPES.get(short) or _TYPES.get(str(said.get("AttributeType", "")))
    if kind is None:
        raise wrong(
            "'@odata.type' of a column is the type of its metadata, as "
            f"'#Microsoft.Dynamics.CRM.StringAttributeMetadata' is; '{named[:60]}' cannot be added."
        )
    return kind


def _special(kind: str, said: Json) -> Iterator[tuple[str, Any]]:
    """Yield what the column's type adds."""
    if kind in _LENGTHS:
        yield "maxlength", _length(kind, said.get("MaxLength"))
        named = object_of(said, "FormatName").get("Value") or said.get("Format")
        if isinstance(named, str):
            yield "formatname", named
    if kind in {"Integer", "Decimal", "Double", "Money"}:
        for key, name in (("min", "MinValue"), ("max", "MaxValue"), ("precision", "Precision")):
            if said.get(name) is not None and not (kind == "Integer" and key == "precision"):
                yield key, _number(said, name)
    if kind == "DateTime":
        yield "format", said.get("Format") or "DateAndTime"
        behavior = object_of(said, "DateTimeBehavior").get("Value")
        if behavior is not None:
            yield "behavior", behavior
    if kind == "Boolean":
        options = object_of(said, "OptionSet")
        yes, no = (label_of(object_of(options, name), "Label") for name in ("TrueOption", "FalseOption"))
        yield "options", {"0": no or "No", "1": yes or "Yes"}
        yield "default", said.get("DefaultValue") is True
    if kind in {"Picklist", "MultiSelectPicklist"}:
        yield from _choice(said)
    if kind == "Lookup":
        targets = said.get("Targets")
        if not isinstance(targets, list) or not all(isinstance(each, str) for each in targets):
            raise wrong("A lookup needs 'Targets', a list of names of tables.")
        yield "targets", targets
    if kind == "File" and said.get("MaxSizeInKB") is not None:
        yield "maxsize", _number(said, "MaxSizeInKB")


def _length(kind: str, given: object) -> int:
    if given is None:
        return _LENGTHS[kind]
    if isinstance(given, bool) or not isinstance(given, int) or not 0 < given <= _LONGEST[kind]:
        raise wrong(f"'MaxLength' of a {kind} is a whole number from 1 to {_LONGEST[kind]}.")
    return given


def _choice(said: Json) -> Iterator[tuple[str, Any]]:
    bound = said.get("GlobalOptionSet@odata.bind")
    options = object_of(said, "OptionSet") or object_of(said, "GlobalOptionSet")
    if isinstance(bound, str) and "Name='" in bound:
        yield "optionset", bound.partition("Name='")[2].partition("'")[0]
    elif options.get("IsGlobal") is True and isinstance(options.get("Name"), str):
        yield "optionset", options["Name"]
    else:
        yield "options", options_given(options)
    default = said.get("DefaultFormValue")
    if isinstance(default, int) and not isinstance(default, bool) and default != -1:
        yield "default", default


def _number(said: Json, name: str) -> float:
    value = said[name]
    if isinstance(value, bool):
        raise wrong(f"'{name}' is a number.")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise wrong(f"'{name}' is a number.") from None
    return int(number) if number.is_integer() else number
