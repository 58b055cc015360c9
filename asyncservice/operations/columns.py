"""Every column of the asyncoperation table, as Dataverse publishes it (reference: sections 1.3 and 1.4), as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ColumnType(StrEnum):
    """Attribute types of Dataverse."""

    BIGINT = "BigInt"
    BOOLEAN = "Boolean"
    DATETIME = "DateTime"
    DOUBLE = "Double"
    ENTITY_NAME = "EntityName"
    FILE = "File"
    INTEGER = "Integer"
    LOOKUP = "Lookup"
    MEMO = "Memo"
    OWNER = "Owner"
    PICKLIST = "Picklist"
    STATE = "State"
    STATUS = "Status"
    STRING = "String"
    UNIQUEIDENTIFIER = "Uniqueidentifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What metadata says of one column."""

    name: str
    type: ColumnType
    #: Most characters of a text.
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    system_required: bool = False
    #: Valid for create and for update, by metadata: what the platform may write, not what a client may.
    create: bool = False
    update: bool = False
    #: A name or label derived from another column, never stored.
    virtual: bool = False
    readable: bool = True
    #: Tables a lookup points at; empty for regardingobjectid, which takes any table that supports plug-ins.
    targets: tuple[str, ...] = ()


#: The only columns a client may change, by section 1.5; recurrencepattern only on types 8 and 13 that recur already.
CLIENT_WRITABLE: Final = frozenset({"statecode", "statuscode", "postponeuntil", "recurrencepattern"})

_INT = 2_147_483_647
_TEXT = 1_073_741_823
_T = ColumnType


def _column(name: str, kind: ColumnType, rights: str = "", **facts: object) -> Column:
    """Make a column; *rights* holds C, U, R (system required), V (virtual), H (hidden: not readable)."""
    return Column(
        name=name,
        type=kind,
        create="C" in rights,
        update="U" in rights,
        system_required="R" in rights,
        virtual="V" in rights,
        readable="H" not in rights,
        **facts,  # type: ignore[arg-type]
    )


_ALL: Final = (
    # Section 1.3: columns that metadata marks as writable.
    _column("asyncoperationid", _T.UNIQUEIDENTIFIER, "CR"),
    _column("breadcrumbid", _T.UNIQUEIDENTIFIER, "C"),
    _column("callerorigin", _T.STRING, "C", max_length=256),
    _column("correlationid", _T.UNIQUEIDENTIFIER, "CR"),
    _column("correlationupdatedtime", _T.DATETIME, "CR"),
    _column("data", _T.MEMO, "CU", max_length=_TEXT),
    _column("dependencytoken", _T.STRING, "C", max_length=256),
    _column("depth", _T.INTEGER, "CR", minimum=0, maximum=_INT),
    _column("expanderstarttime", _T.DATETIME, "C"),
    _column("friendlymessage", _T.MEMO, "U", max_length=100_000),
    _column("hostid", _T.STRING, "C", max_length=256),
    _column("messagename", _T.STRING, "C", max_length=160),
    _column("name", _T.STRING, "C", max_length=256),
    _column("operationtype", _T.PICKLIST, "C"),
    _column("ownerid", _T.OWNER, "CR", targets=("systemuser", "team")),
    _column("owneridtype", _T.ENTITY_NAME, "CUR"),
    _column("owningextensionid", _T.LOOKUP, "C", targets=("sdkmessageprocessingstep",)),
    _column("owningextensionidname", _T.STRING, "CV", max_length=256),
    _column("owningextensiontypecode", _T.ENTITY_NAME, "C"),
    _column("parentpluginexecutionid", _T.UNIQUEIDENTIFIER, "C"),
    _column("postponeuntil", _T.DATETIME, "CU"),
    _column("primaryentitytype", _T.ENTITY_NAME, "C"),
    _column("recurrencepattern", _T.STRING, "CU", max_length=256),
    _column("recurrencestarttime", _T.DATETIME, "CU"),
    _column("regardingobjectid", _T.LOOKUP, "C"),
    _column("regardingobjectidname", _T.STRING, "CV", max_length=850),
    _column("regardingobjectidyominame", _T.STRING, "CV", max_length=850),
    _column("regardingobjecttypecode", _T.ENTITY_NAME, "C"),
    _column("requestid", _T.UNIQUEIDENTIFIER, "C"),
    _column("retainjobhistory", _T.BOOLEAN, "C"),
    _column("rootexecutioncontext", _T.MEMO, "CU", max_length=_TEXT),
    _column("statecode", _T.STATE, "UR"),
    _column("statuscode", _T.STATUS, "U"),
    _column("timezoneruleversionnumber", _T.INTEGER, "C", minimum=-1, maximum=_INT),
    _column("utcconversiontimezonecode", _T.INTEGER, "C", minimum=-1, maximum=_INT),
    _column("workflowactivationid", _T.LOOKUP, "C", targets=("workflow",)),
    _column("workload", _T.STRING, "C", max_length=256),
    # Section 1.4: read-only columns.
    _column("completedon", _T.DATETIME),
    _column("createdby", _T.LOOKUP, "R", targets=("systemuser",)),
    _column("createdbyname", _T.STRING, "V", max_length=160),
    _column("createdbyyominame", _T.STRING, "V", max_length=160),
    _column("createdon", _T.DATETIME),
    _column("createdonbehalfby", _T.LOOKUP, targets=("systemuser",)),
    _column("createdonbehalfbyname", _T.STRING, "V", max_length=100),
    _column("createdonbehalfbyyominame", _T.STRING, "V", max_length=100),
    _column("datablobid", _T.FILE),
    _column("datablobid_name", _T.STRING, "V", max_length=200),
    _column("errorcode", _T.INTEGER, minimum=-_INT - 1, maximum=_INT),
    _column("executiontimespan", _T.DOUBLE, "R", minimum=0, maximum=1_000_000_000),
    _column("iswaitingforevent", _T.BOOLEAN),
    _column("message", _T.MEMO, max_length=100_000),
    _column("modifiedby", _T.LOOKUP, "R", targets=("systemuser",)),
    _column("modifiedbyname", _T.STRING, "V", max_length=160),
    _column("modifiedbyyominame", _T.STRING, "V", max_length=160),
    _column("modifiedon", _T.DATETIME),
    _column("modifiedonbehalfby", _T.LOOKUP, targets=("systemuser",)),
    _column("modifiedonbehalfbyname", _T.STRING, "V", max_length=100),
    _column("modifiedonbehalfbyyominame", _T.STRING, "V", max_length=100),
    _column("owneridname", _T.STRING, "RV", max_length=160),
    _column("owneridyominame", _T.STRING, "RV", max_length=160),
    _column("owningbusinessunit", _T.LOOKUP, "R", targets=("businessunit",)),
    _column("owningbusinessunitname", _T.STRING, "RV", max_length=160),
    _column("owningteam", _T.LOOKUP, targets=("team",)),
    _column("owninguser", _T.LOOKUP, targets=("systemuser",)),
    _column("retrycount", _T.INTEGER, minimum=0, maximum=_INT),
    _column("sequence", _T.BIGINT, "R"),
    _column("startedon", _T.DATETIME),
    _column("subtype", _T.INTEGER, minimum=0, maximum=255),
    _column("workflowactivationidname", _T.STRING, "V", max_length=160),
    _column("workflowisblocked", _T.BOOLEAN, "H"),
    _column("workflowstagename", _T.STRING, max_length=256),
    _column("workflowstate", _T.STRING, "H", max_length=_TEXT),
)

COLUMNS: Final[Mapping[str, Column]] = MappingProxyType({column.name: column for column in _ALL})
