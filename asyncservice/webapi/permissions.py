"""Which request needs which role. Everything that is asked over HTTP is looked up here, and nowhere else.

Roles are those of the application's registration in Microsoft Entra ID ("app roles"); each may do what those before it
may. What a request needs follows from its method and its path alone, so it is known before anything is read. Parts of a
`$batch` are looked up one by one. What a request changes beside the record that its path names (deep inserts, links)
is looked up by `needed_to_change`.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from http import HTTPStatus
from typing import Final

from asyncservice.organization import requests
from asyncservice.webapi.exchange import Caller, Request
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.urls import Segment


class Role(IntEnum):
    """What somebody may do; a higher one includes the lower ones. The labels are the values of the app roles."""

    READER = 1
    """Reads records, operations and metadata."""

    SUBMITTER = 2
    """Writes records and calls the messages that start operations."""

    OPERATOR = 3
    """Controls operations: pauses, resumes, cancels, postpones, retries, removes, redrives; deletes in bulk."""

    ADMINISTRATOR = 4
    """Changes tables, users, teams, steps and workflows, and acts for others (MSCRMCallerID)."""

    @property
    def label(self) -> str:
        """The value of the app role, as tokens carry it."""
        return self.name.capitalize()

    @property
    def including(self) -> frozenset[str]:
        """The labels of this role and of all that it includes."""
        return frozenset(each.label for each in Role if each <= self)


#: Tables whose records decide what the service does or who somebody is, with the names of their sets.
ADMINISTERED: Final[Mapping[str, str]] = {
    "systemusers": "systemuser",
    "teams": "team",
    "businessunits": "businessunit",
    "organizations": "organization",
    "sdkmessageprocessingsteps": "sdkmessageprocessingstep",
    "sdkmessageprocessingstepimages": "sdkmessageprocessingstepimage",
    "sdkmessages": "sdkmessage",
    "sdkmessagefilters": "sdkmessagefilter",
    "plugintypes": "plugintype",
    "serviceendpoints": "serviceendpoint",
    "workflows": "workflow",
}
#: The table of operations: its rows are made by those who submit, and changed by those who operate.
OPERATIONS: Final[tuple[str, str]] = ("asyncoperations", "asyncoperation")

#: What describes tables instead of holding records.
_METADATA: Final = frozenset(
    {
        "EntityDefinitions",
        "RelationshipDefinitions",
        "GlobalOptionSetDefinitions",
        "ManagedPropertyDefinitions",
        "CreateEntities",
    }
)
#: Unbound actions that need more, or less, than to submit. Some only read and are called with POST all the same.
_ACTIONS: Final[Mapping[str, Role]] = {
    "$batch": Role.READER,
    "BulkDelete": Role.OPERATOR,
    "CancelAsyncOperations": Role.OPERATOR,
    "PublishAllXml": Role.ADMINISTRATOR,
    "PublishXml": Role.ADMINISTRATOR,
    "QueryExpressionToFetchXml": Role.READER,
    "FetchXmlToQueryExpression": Role.READER,
}
#: Bound actions that need something else than to change a record of the set they are bound to.
_BOUND_ACTIONS: Final[Mapping[tuple[str, str], Role]] = {("workflows", "ExecuteWorkflow"): Role.SUBMITTER}
_NAMESPACE: Final = "Microsoft.Dynamics.CRM."
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

#: Endpoints beside the Web API: the beginning of the path, the method, and what it needs.
_ENDPOINTS: Final = (
    ("api/limits", "GET", Role.READER),
    ("api/poison", "GET", Role.OPERATOR),
    ("api/poison", "POST", Role.OPERATOR),
    ("api/backgroundoperation", "GET", Role.READER),
    ("api/backgroundoperation", "DELETE", Role.OPERATOR),
)


def needed(method: str, segments: Sequence[Segment]) -> Role:
    """Return the role that a request of the Web API needs; *segments* are its path's, decoded."""
    if method in _READS:
        return Role.READER
    first = segments[0].name if segments else ""
    if len(segments) == 1 and method == "POST" and first in _ACTIONS:
        return _ACTIONS[first]
    if first in _METADATA:
        return Role.ADMINISTRATOR
    # Whoever looks sets up may be less strict than this is.
    table = first.casefold()
    bound = _BOUND_ACTIONS.get((table, segments[-1].name.removeprefix(_NAMESPACE))) if len(segments) > 1 else None
    if bound is not None and method == "POST":
        return bound
    if table == OPERATIONS[0]:
        return Role.SUBMITTER if method == "POST" and len(segments) == 1 else Role.OPERATOR
    return Role.ADMINISTRATOR if table in ADMINISTERED else Role.SUBMITTER


def needed_to_change(entity: str) -> Role:
    """Return the role that making, changing or removing a record of *entity* (a logical name) needs."""
    if entity in ADMINISTERED.values():
        return Role.ADMINISTRATOR
    return Role.OPERATOR if entity == OPERATIONS[1] else Role.SUBMITTER


def needed_at(method: str, path: str) -> Role:
    """Return the role that an endpoint beside the Web API needs; what is not known is for administrators."""
    path = path.strip("/")
    for beginning, its_method, role in _ENDPOINTS:
        if method == its_method and (path == beginning or path.startswith(f"{beginning}/")):
            return role
    return Role.ADMINISTRATOR


def may(caller: Caller, role: Role) -> bool:
    """Say whether *caller* has *role*, itself or by a higher one."""
    return role.label in caller.roles


def require(request: Request) -> None:
    """Raise ApiError (403) unless the caller of *request*, which has been let in, may make it. For parts of a batch."""
    require_role(request.user, needed(request.method, request.segments), f"{request.method} /{request.path}")


def require_change(caller: Caller, entity: str) -> None:
    """Raise ApiError (403) unless *caller* may change records of *entity*."""
    require_role(caller, needed_to_change(entity), f"changing a record of '{entity}'")


def require_changes(caller: Caller, planned: Iterable[requests.Request]) -> None:
    """Raise ApiError (403) unless *caller* may do all that is *planned* for records."""
    for each in planned:
        if not isinstance(each, requests.Associate | requests.Disassociate):
            require_change(caller, each.entity)


def require_role(caller: Caller, role: Role, what: str) -> None:
    """Raise ApiError (403) unless *caller* has *role*, which *what* needs."""
    if may(caller, role):
        return
    has = ", ".join(sorted(caller.roles)) or "none"
    raise ApiError(
        f"The app role {role.label} is needed for {what[:200]}; the caller has: {has}. "
        "Assign the role to the user or the application in the app's registration.",
        status=HTTPStatus.FORBIDDEN,
        code=Code.PRIVILEGE_DENIED,
    )
