"""The columns that every entity has, and those that come with ownership or with states."""

from collections.abc import Mapping
from typing import Any, Final

_READ_ONLY: Final = {"create": False, "update": False}
_USER: Final = {"type": "Lookup", "targets": ["systemuser"], **_READ_ONLY}

#: Every entity.
COMMON: Final[Mapping[str, Mapping[str, Any]]] = {
    "createdon": {"type": "DateTime", "label": "Created On", **_READ_ONLY},
    "createdby": {"label": "Created By", **_USER},
    "modifiedon": {"type": "DateTime", "label": "Modified On", **_READ_ONLY},
    "modifiedby": {"label": "Modified By", **_USER},
    "versionnumber": {"type": "BigInt", "label": "Version Number", **_READ_ONLY},
    "importsequencenumber": {
        "type": "Integer",
        "label": "Import Sequence Number",
        "min": -2147483648,
        "max": 2147483647,
        "update": False,
    },
    "overriddencreatedon": {
        "type": "DateTime",
        "label": "Record Created On",
        "update": False,
    },
}

#: Entities whose records belong to a user or a team.
OWNED: Final[Mapping[str, Mapping[str, Any]]] = {
    "ownerid": {
        "type": "Owner",
        "label": "Owner",
        "targets": ["systemuser", "team"],
        "required": "SystemRequired",
    },
}

#: Entities that say nothing about their states.
STATES: Final[Mapping[str, Mapping[str, Any]]] = {
    "statecode": {
        "type": "State",
        "label": "Status",
        "required": "SystemRequired",
        "default": 0,
        "options": {"0": "Active", "1": "Inactive"},
    },
    "statuscode": {
        "type": "Status",
        "label": "Status Reason",
        "default": 1,
        "options": {"1": {"label": "Active", "state": 0}, "2": {"label": "Inactive", "state": 1}},
    },
}
