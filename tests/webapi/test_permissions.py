"""Which request needs which role."""

import pytest

from asyncservice.organization.schema.catalog import standard_catalog
from asyncservice.webapi import permissions
from asyncservice.webapi.exchange import Caller, Request
from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.permissions import Role
from asyncservice.webapi.urls import read_path
from tests.webapi.identityprovider import ANN

ID = "(2f0e3ad2-0000-4000-8000-000000000001)"
READER, SUBMITTER, OPERATOR, ADMINISTRATOR = Role

REQUESTS = [
    ("GET", "", READER),
    ("GET", "$metadata", READER),
    ("GET", f"systemusers{ID}", READER),
    ("HEAD", "accounts", READER),
    ("OPTIONS", "accounts", READER),
    ("GET", "WhoAmI()", READER),
    ("POST", "$batch", READER),
    ("POST", "QueryExpressionToFetchXml", READER),
    ("POST", "accounts", SUBMITTER),
    ("PATCH", f"accounts{ID}", SUBMITTER),
    ("PUT", f"accounts{ID}/name", SUBMITTER),
    ("DELETE", f"accounts{ID}", SUBMITTER),
    ("POST", f"accounts{ID}/contact_customer_accounts/$ref", SUBMITTER),
    ("POST", "accounts/Microsoft.Dynamics.CRM.CreateMultiple", SUBMITTER),
    ("POST", "ExecuteWorkflow", SUBMITTER),
    ("POST", f"workflows{ID}/Microsoft.Dynamics.CRM.ExecuteWorkflow", SUBMITTER),
    ("POST", "NobodyKnowsThisAction", SUBMITTER),
    ("POST", "asyncoperations", SUBMITTER),
    ("PATCH", f"asyncoperations{ID}", OPERATOR),
    ("DELETE", f"asyncoperations{ID}", OPERATOR),
    ("PUT", f"asyncoperations{ID}/statecode", OPERATOR),
    ("POST", "asyncoperations/Microsoft.Dynamics.CRM.UpdateMultiple", OPERATOR),
    ("PATCH", f"AsyncOperations{ID}", OPERATOR),
    ("POST", "BulkDelete", OPERATOR),
    ("POST", "systemusers", ADMINISTRATOR),
    ("PATCH", f"systemusers{ID}", ADMINISTRATOR),
    ("PATCH", f"%73ystemusers{ID}", ADMINISTRATOR),
    ("PATCH", f"SystemUsers{ID}", ADMINISTRATOR),
    ("POST", f"systemusers{ID}/Microsoft.Dynamics.CRM.ExecuteWorkflow", ADMINISTRATOR),
    ("POST", "systemusers/Microsoft.Dynamics.CRM.UpsertMultiple", ADMINISTRATOR),
    ("POST", f"systemusers{ID}/BulkDelete", ADMINISTRATOR),
    ("PATCH", f"workflows{ID}", ADMINISTRATOR),
    ("DELETE", f"sdkmessageprocessingsteps{ID}", ADMINISTRATOR),
    ("POST", "serviceendpoints", ADMINISTRATOR),
    ("POST", f"teams{ID}/teammembership_association/$ref", ADMINISTRATOR),
    ("POST", "EntityDefinitions", ADMINISTRATOR),
    ("PUT", f"EntityDefinitions{ID}/Attributes{ID}", ADMINISTRATOR),
    ("POST", "CreateEntities", ADMINISTRATOR),
    ("POST", "PublishAllXml", ADMINISTRATOR),
    ("DELETE", "RelationshipDefinitions(SchemaName='x')", ADMINISTRATOR),
]


@pytest.mark.parametrize(("method", "path", "role"), REQUESTS)
def test_a_request_needs_a_role(method: str, path: str, role: Role) -> None:
    assert permissions.needed(method, read_path(path)) is role


@pytest.mark.parametrize(("method", "path", "role"), REQUESTS)
def test_the_role_and_those_above_it_may_and_those_below_may_not(method: str, path: str, role: Role) -> None:
    for each in Role:
        request = Request(method=method, path=path, caller=Caller(user_id=ANN, roles=each.including))
        if each >= role:
            permissions.require(request)
            continue
        with pytest.raises(ApiError, match=f"app role {role.label} is needed") as refused:
            permissions.require(request)
        assert (refused.value.status, refused.value.code) == (403, "0x80040220")


def test_whoever_has_no_role_may_do_nothing() -> None:
    with pytest.raises(ApiError, match="the caller has: none"):
        permissions.require(Request(method="GET", path="accounts", caller=Caller(user_id=ANN)))


def test_a_content_id_stands_for_what_it_refers_to() -> None:
    """In a change set `$1` may be a user that is being made."""
    caller = Caller(user_id=ANN, roles=Role.SUBMITTER.including)
    request = Request(method="PATCH", path="$1", caller=caller, references={"1": f"systemusers{ID}"})
    with pytest.raises(ApiError, match="Administrator"):
        permissions.require(request)


@pytest.mark.parametrize(
    ("entity", "role"),
    [("account", SUBMITTER), ("asyncoperation", OPERATOR), ("systemuser", ADMINISTRATOR), ("workflow", ADMINISTRATOR)],
)
def test_changing_a_record_needs_a_role_however_the_request_gets_at_it(entity: str, role: Role) -> None:
    assert permissions.needed_to_change(entity) is role
    with pytest.raises(ApiError):
        permissions.require_change(Caller(user_id=ANN, roles=Role.READER.including), entity)
    permissions.require_change(Caller(user_id=ANN, roles=role.including), entity)


def test_sets_and_tables_that_are_administered_are_those_of_the_catalog() -> None:
    named = {entity.set_name: entity.name for entity in standard_catalog()}
    known = {name: entity for name, entity in permissions.ADMINISTERED.items() if entity in named.values()}
    assert {"systemusers", "teams", "businessunits", "organizations"} <= known.keys()
    assert {name: named[name] for name in known} == known


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/api/limits", READER),
        ("GET", "/api/poison/async-operations/1", OPERATOR),
        ("POST", "/api/poison/redrive", OPERATOR),
        ("GET", "/api/poisonous", ADMINISTRATOR),
        ("DELETE", "/api/backgroundoperation/1", OPERATOR),
        ("POST", "/api/limits", ADMINISTRATOR),
        ("GET", "/api/unknown", ADMINISTRATOR),
    ],
)
def test_endpoints_beside_the_web_api_need_a_role(method: str, path: str, role: Role) -> None:
    assert permissions.needed_at(method, path) is role
