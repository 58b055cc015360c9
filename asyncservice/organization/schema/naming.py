"""Names that follow from other names, by Dataverse's habits."""

import re
from typing import Final

#: What the names of a publisher's tables and columns begin with, e.g. `new_`.
_PREFIX: Final = re.compile(r"(?!mscrm)[a-z][a-z0-9]{1,7}_")
#: Names of standard columns that only look as if they had a publisher's prefix.
_STANDARD: Final = re.compile(r"address\d_|.*_(base|date|state|name)$")


def is_custom_name(name: str) -> bool:
    """Whether a name begins with a publisher's prefix, as those that users add must."""
    lowered = name.lower()
    return _PREFIX.match(lowered) is not None and _STANDARD.match(lowered) is None


def schema_name(name: str, label: str) -> str:
    """Return the schema name of a logical name: its label's capitals where both have the same letters."""
    prefix, plain = "", name
    if is_custom_name(name):
        prefix, _, plain = name.partition("_")
        prefix += "_"
    joined = re.sub(r"[^A-Za-z0-9_]", "", label.title() if label.islower() else label)
    for candidate in (joined, f"{joined}Id", f"{joined}Code"):
        if candidate.lower() == plain:
            return prefix + candidate[:1].upper() + candidate[1:]
    return prefix + "_".join(part[:1].upper() + part[1:] for part in plain.split("_"))


def plural(name: str) -> str:
    """Return the plural of a logical name, as sets are called."""
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in set("aeiou"):
        return f"{name[:-1]}ies"
    return f"{name}s"
