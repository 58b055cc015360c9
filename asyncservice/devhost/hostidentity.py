"""The host id: what several hosts of one app have in common, and hosts of different apps do not.

Leases and schedule statuses are kept under it. In Azure it comes from the app's name; on a laptop Core Tools makes it
of the machine's name and the app's directory. The setting `AzureFunctionsWebHost__hostid` says it outright.
"""

import hashlib
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from asyncservice.devhost.errors import ConfigurationInvalid
from asyncservice.devhost.settings import setting

_LONGEST: Final = 32
_VALID: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")


def host_id(directory: Path, settings: Mapping[str, str], machine: str = platform.node()) -> str:
    """Return the host id of the app in *directory*; the same for every host that runs it on this machine."""
    given = setting("AzureFunctionsWebHost__hostid", settings)
    if given:
        if len(given) > _LONGEST or not _VALID.fullmatch(given):
            raise ConfigurationInvalid(
                f"AzureFunctionsWebHost__hostid is {given!r}; it takes up to {_LONGEST} lower-case letters, "
                "digits and dashes."
            )
        return given
    name = re.sub(r"[^a-z0-9]", "", machine.lower())[:20] or "host"
    digest = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:10]
    return f"{name}-{digest}"
