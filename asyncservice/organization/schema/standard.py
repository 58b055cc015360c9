"""The columns that come by themselves: with every entity, with ownership, states, money, activities and files.

Plain descriptions, as a definition file would hold them. A definition changes one by saying something under the same
name, key by key, and leaves one out by saying null.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from asyncservice.organization.schema.naming import schema_name

type Described = Mapping[str, Any]

_READ_ONLY: Final = {"create": False, "update": False}
_NO_CASCADE: Final = {"delete": "NoCascade"}
_USER: Final = {"type": "Lookup", "targets": ["systemuser"], **_NO_CASCADE, **_READ_ONLY}

#: Every entity.
COMMON: Final[Mapping[str, Described]] = {
    "createdon": {"type": "DateTime", "label": "Created On", **_READ_ONLY},
    "createdby": {"label": "Created By", "relationship": "lk_{base}_createdby", **_USER},
    "createdonbehalfby": {
        "label": "Created By (Delegate)",
        "schemaname": "CreatedOnBehalfBy",
        "relationship": "lk_{base}_createdonbehalfby",
        **_USER,
    },
    "modifiedon": {"type": "DateTime", "label": "Modified On", **_READ_ONLY},
    "modifiedby": {"label": "Modified By", "relationship": "lk_{base}_modifiedby", **_USER},
    "modifiedonbehalfby": {
        "label": "Modified By (Delegate)",
        "schemaname": "ModifiedOnBehalfBy",
        "relationship": "lk_{base}_modifiedonbehalfby",
        **_USER,
    },
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
        "schemaname": "OverriddenCreatedOn",
        "format": "DateOnly",
        "behavior": "UserLocal",
        "update": False,
    },
    "timezoneruleversionnumber": {
        "type": "Integer",
        "label": "Time Zone Rule Version Number",
        "schemaname": "TimeZoneRuleVersionNumber",
        "min": -1,
        "max": 2147483647,
    },
    "utcconversiontimezonecode": {
        "type": "Integer",
        "label": "UTC Conversion Time Zone Code",
        "schemaname": "UTCConversionTimeZoneCode",
        "min": -1,
        "max": 2147483647,
    },
}

#: Entities whose records belong to a user or a team.
OWNED: Final[Mapping[str, Described]] = {
    "ownerid": {
        "type": "Owner",
        "label": "Owner",
        "schemaname": "OwnerId",
        "targets": ["systemuser", "team"],
        "relationship": "owner_{set}",
        "required": "SystemRequired",
        **_NO_CASCADE,
    },
    "owninguser": {"label": "Owning User", "relationship": "user_{set}", **_USER},
    "owningteam": {"label": "Owning Team", "relationship": "team_{set}", **_USER, "targets": ["team"]},
    "owningbusinessunit": {
        "label": "Owning Business Unit",
        "relationship": "business_unit_{set}",
        **_USER,
        "targets": ["businessunit"],
    },
}

#: Entities that say nothing about their states.
STATES: Final[Mapping[str, Described]] = {
    "statecode": {
        "type": "State",
        "label": "Status",
        "schemaname": "StateCode",
        "required": "SystemRequired",
        "default": 0,
        "options": {"0": "Active", "1": "Inactive"},
    },
    "statuscode": {
        "type": "Status",
        "label": "Status Reason",
        "schemaname": "StatusCode",
        "default": 1,
        "options": {"1": {"label": "Active", "state": 0}, "2": {"label": "Inactive", "state": 1}},
    },
}

#: Entities with an amount of money.
_CURRENCY: Final[Mapping[str, Described]] = {
    "transactioncurrencyid": {
        "type": "Lookup",
        "label": "Currency",
        "schemaname": "TransactionCurrencyId",
        "targets": ["transactioncurrency"],
        "relationship": "transactioncurrency_{entity}",
        "delete": "Restrict",
    },
    # Dataverse gives it two more decimals than any other Decimal has; rows hold ten.
    "exchangerate": {
        "type": "Decimal",
        "label": "Exchange Rate",
        "min": 1e-10,
        "max": 100000000000,
        "precision": 10,
        **_READ_ONLY,
    },
}

#: Activities, whatever their kind.
_ACTIVITY: Final[Mapping[str, Described]] = {
    "subject": {"type": "String", "label": "Subject", "maxlength": 200, "required": "ApplicationRequired"},
    "description": {"type": "Memo", "label": "Description", "maxlength": 2000},
    "activitytypecode": {
        "type": "EntityName",
        "label": "Activity Type",
        "schemaname": "ActivityTypeCode",
        "maxlength": 64,
        **_READ_ONLY,
    },
    "regardingobjectid": {
        "type": "Lookup",
        "label": "Regarding",
        "schemaname": "RegardingObjectId",
        "targets": "regarding",
        "relationship": "{Target}_{Collection}",
        "navigation": "regardingobjectid_{target}_{entity}",
        "delete": "Cascade",
    },
    "scheduledstart": {"type": "DateTime", "label": "Start Date", "schemaname": "ScheduledStart"},
    "scheduledend": {"type": "DateTime", "label": "Due Date", "schemaname": "ScheduledEnd"},
    "scheduleddurationminutes": {
        "type": "Integer",
        "label": "Scheduled Duration",
        "schemaname": "ScheduledDurationMinutes",
        "min": 0,
        "max": 2147483647,
        "formatname": "Duration",
        **_READ_ONLY,
    },
    "actualstart": {"type": "DateTime", "label": "Actual Start"},
    "actualend": {"type": "DateTime", "label": "Actual End"},
    "actualdurationminutes": {
        "type": "Integer",
        "label": "Actual Duration",
        "schemaname": "ActualDurationMinutes",
        "min": 0,
        "max": 2147483647,
        "formatname": "Duration",
    },
    "prioritycode": {
        "type": "Picklist",
        "label": "Priority",
        "schemaname": "PriorityCode",
        "default": 1,
        "options": {"0": "Low", "1": "Normal", "2": "High"},
    },
    "isbilled": {"type": "Boolean", "label": "Is Billed", "options": {"0": "No", "1": "Yes"}, "default": False},
    "isregularactivity": {
        "type": "Boolean",
        "label": "Is Regular Activity",
        "options": {"0": "No", "1": "Yes"},
        "default": True,
        **_READ_ONLY,
    },
    "isworkflowcreated": {
        "type": "Boolean",
        "label": "Is Workflow Created",
        "options": {"0": "No", "1": "Yes"},
        "default": False,
        "update": False,
    },
    "activityadditionalparams": {
        "type": "Memo",
        "label": "Additional Parameters",
        "schemaname": "ActivityAdditionalParams",
        "maxlength": 8192,
    },
    "sortdate": {"type": "DateTime", "label": "Sort Date"},
    "lastonholdtime": {"type": "DateTime", "label": "Last On Hold Time", "schemaname": "LastOnHoldTime"},
    "onholdtime": {
        "type": "Integer",
        "label": "On Hold Time (Minutes)",
        "schemaname": "OnHoldTime",
        "min": -2147483648,
        "max": 2147483647,
        **_READ_ONLY,
    },
    "processid": {"type": "Uniqueidentifier", "label": "Process", "schemaname": "ProcessId"},
    "stageid": {"type": "Uniqueidentifier", "label": "Process Stage", "schemaname": "StageId"},
    "traversedpath": {"type": "String", "label": "Traversed Path", "maxlength": 1250},
}

#: Which names of the lookups above the activities add their own to: they share a type with activitypointer.
_SUFFIXED: Final = ("createdby", "createdonbehalfby", "modifiedby", "modifiedonbehalfby", *OWNED, *_CURRENCY)
#: What the relationships to those who own an activity are called.
_OWNING_ACTIVITIES: Final[Mapping[str, str]] = {
    "owninguser": "user_{entity}",
    "owningteam": "team_{entity}",
    "owningbusinessunit": "business_unit_{entity}_activities",
}


def given_by_themselves(said: Described) -> dict[str, Described]:
    """Return the columns that an entity has without describing them; *said* is its definition."""
    columns: dict[str, Described] = {}
    is_activity = said.get("activity", False)
    if is_activity:
        columns |= _ACTIVITY
    if said.get("ownership", "UserOwned") in {"UserOwned", "TeamOwned"}:
        columns |= OWNED
    if said.get("states", True):
        columns |= STATES
    if said.get("common", True):
        columns |= COMMON
    described = {name: column for name, column in said.get("attributes", {}).items() if column is not None}
    if any(column.get("type") == "Money" for column in described.values()):
        columns |= _CURRENCY
    if is_activity:
        columns |= {
            name: {**columns[name], "navigation": f"{name}_{{entity}}"} for name in _SUFFIXED if name in columns
        }
        columns |= {
            name: {**columns[name], "relationship": relationship}
            for name, relationship in _OWNING_ACTIVITIES.items()
            if name in columns
        }
    for name, column in described.items():
        columns |= dict(_beside(name, column))
    return columns


def _beside(name: str, column: Described) -> Iterator[tuple[str, Described]]:
    """Yield the columns that a column brings with it."""
    label = column.get("label", name)
    schema = column.get("schemaname") or schema_name(name, label)
    if column.get("type") == "Money" and "baseof" not in column:
        limits = {"min": -922337203685477, "max": 922337203685477, "precision": 4}
        base = {"type": "Money", "label": f"{label} (Base)", "schemaname": f"{schema}_Base", "baseof": name}
        yield f"{name}_base", {**base, **limits, **_READ_ONLY}
    if column.get("type") == "File":
        yield (
            f"{name}_name",
            {
                "type": "String",
                "label": f"{label} Name",
                "schemaname": f"{schema}_Name",
                "maxlength": 200,
                "attributeof": name,
                **_READ_ONLY,
            },
        )
