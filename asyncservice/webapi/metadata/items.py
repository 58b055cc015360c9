"""A piece of metadata as clients see it: properties that are there, and others that have to be asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

#: What names of types begin with.
NAMESPACE: Final = "Microsoft.Dynamics.CRM."
#: English, the only language labels are kept in.
LANGUAGE: Final = 1033

_ROOM: Final = uuid5(NAMESPACE_URL, "https://schemas.microsoft.com/dynamics/metadata")


@dataclass(frozen=True, kw_only=True)
class Item:
    """An entity, a column, a key, a relationship or a choice."""

    #: Its type without the namespace; `bases` are those it derives from.
    type: str
    bases: tuple[str, ...] = ()
    properties: Mapping[str, Any]
    #: What `$expand` and paths lead to. Made when they are asked for.
    lists: Mapping[str, Callable[[], Sequence["Item"]]] = field(default_factory=dict)
    singles: Mapping[str, Callable[[], "Item | None"]] = field(default_factory=dict)
    #: The names that tell it from others of its kind, beside its id.
    names: tuple[str, ...] = ("LogicalName",)

    def is_a(self, name: str) -> bool:
        """Whether it is of that type or derives from it."""
        return name == self.type or name in self.bases

    @cached_property
    def annotated(self) -> Mapping[str, str]:
        """The type, where a client cannot know it from where the item stands."""
        return {"@odata.type": f"#{NAMESPACE}{self.type}"} if self.bases else {}


def metadata_id(*names: str) -> UUID:
    """Return the id of what has these names: always the same, in every organization."""
    return uuid5(_ROOM, "/".join(names))


def label(text: str | None) -> dict[str, Any]:
    """Return a label; without a text an empty one."""
    if not text:
        return {"LocalizedLabels": [], "UserLocalizedLabel": None}
    localized = {
        "Label": text,
        "LanguageCode": LANGUAGE,
        "IsManaged": True,
        "MetadataId": str(metadata_id("label", text)),
        "HasChanged": None,
    }
    return {"LocalizedLabels": [localized], "UserLocalizedLabel": localized}


def managed(*, value: bool, name: str) -> dict[str, Any]:
    """Return a managed property: a value, and whether it may be changed."""
    return {"Value": value, "CanBeChanged": True, "ManagedPropertyLogicalName": name}
