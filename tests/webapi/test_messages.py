"""Functions and actions: how they are called, what they refuse, and what the standard ones tell."""

from urllib.parse import quote
from uuid import UUID

import pytest

from asyncservice.organization.schema.catalog import standard_catalog
from asyncservice.organization.wellknown import LOCAL_USER, ORGANIZATION, ROOT_BUSINESS_UNIT
from asyncservice.webapi.exchange import Caller, Request
from asyncservice.webapi.messages.registry import Call, Kind, Messages, message
from asyncservice.webapi.messages.standard import STANDARD
from asyncservice.webapi.messages.types import complex_types, enum_types
from asyncservice.webapi.permissions import Role
from tests.webapi.asking import Client

NOWHERE = "00000000-0000-4000-8000-00000000dead"
CRM = "Microsoft.Dynamics.CRM"


@pytest.fixture
async def client() -> Client:
    return await Client().opened()


async def test_who_am_i_tells_who_acts(client: Client) -> None:
    for url in ("WhoAmI", "WhoAmI()", "WhoAmI()/", f"{CRM}.WhoAmI"):
        told = (await client.get(url)).json
        assert told["@odata.context"].endswith(f"$metadata#{CRM}.WhoAmIResponse")
        assert told["OrganizationId"] == str(ORGANIZATION)
        assert told["BusinessUnitId"] == str(ROOT_BUSINESS_UNIT)
    acting = Request(method="GET", path="WhoAmI").asked_by(Caller(user_id=LOCAL_USER, roles=Role.READER.including))
    response = await client.api.carry_out(acting)
    assert str(LOCAL_USER).encode() in response.body


@pytest.mark.parametrize(
    "url",
    [
        f"RetrieveCurrentOrganization(AccessType={CRM}.EndpointAccessType'Default')",
        f"RetrieveCurrentOrganization(AccessType=@p1)?@p1={CRM}.EndpointAccessType'Default'",
        f"RetrieveCurrentOrganization(AccessType=@p1)?%40p1={quote(CRM)}.EndpointAccessType%27Internet%27",
        "RetrieveCurrentOrganization(AccessType='Default')",
        "RetrieveCurrentOrganization(AccessType=0)",
    ],
)
async def test_parameters_stand_inline_or_behind_aliases(client: Client, url: str) -> None:
    detail = (await client.get(url)).json["Detail"]
    assert detail["OrganizationVersion"].startswith("9.2.")
    assert detail["State"] == "Enabled"
    assert detail["Endpoints"]["Values"] == ["http://localhost/"]


async def test_tables_are_counted(client: Client) -> None:
    for name in ("A", "B"):
        await client.post("accounts", {"name": name})
    for names in ('["account","contact"]', "['account','contact']"):
        told = (await client.get(f"RetrieveTotalRecordCount(EntityNames=@p1)?@p1={quote(names)}")).json
        counts = told["EntityRecordCountCollection"]
        assert (counts["Keys"], counts["Values"], counts["Count"]) == (["account", "contact"], [2, 0], 2)


async def test_languages_and_version_are_told(client: Client) -> None:
    assert (await client.get("RetrieveAvailableLanguages")).json["LocaleIds"] == [1033]
    assert (await client.get("RetrieveProvisionedLanguages()")).json["RetrieveProvisionedLanguages"] == [1033]
    assert (await client.get("RetrieveVersion()")).json["Version"].startswith("9.2.")
    assert (await client.post("PublishAllXml")).status == 204
    assert (await client.post("PublishXml", {"ParameterXml": "<importexportxml/>"})).status == 204


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "said"),
    [
        ("GET", "NoSuchFunction", None, 404, "NoSuchFunction"),
        ("GET", "NoSuchFunction()", None, 404, "NoSuchFunction"),
        ("POST", f"accounts/{CRM}.NoSuchAction", {}, 404, "NoSuchAction"),
        ("POST", f"nothings/{CRM}.CreateMultiple", {}, 404, "nothings"),
        ("POST", f"accounts({NOWHERE})/{CRM}.CreateMultiple", {"Targets": []}, 404, "CreateMultiple"),
        ("POST", f"accounts({NOWHERE})/name/{CRM}.CreateMultiple", {"Targets": []}, 404, "name"),
        ("POST", "CreateMultiple", {"Targets": []}, 404, "CreateMultiple"),
        ("POST", "WhoAmI", {}, 405, "GET"),
        ("DELETE", "WhoAmI", None, 405, "GET"),
        ("GET", "PublishAllXml", None, 405, "POST"),
        ("POST", "PublishXml", None, 400, "ParameterXml"),
        ("POST", "PublishXml", {"ParameterXml": 5}, 400, "PublishXml.ParameterXml takes text"),
        ("POST", "PublishXml", {"ParameterXml": "x", "Other": 1}, 400, "'Other'"),
        ("POST", "PublishXml", ["x"], 400, "object"),
        ("POST", "PublishXml", b"{", 400, "JSON"),
        ("GET", "RetrieveTotalRecordCount", None, 400, "EntityNames"),
        ("GET", "RetrieveTotalRecordCount(EntityNames=@p1)", None, 400, "EntityNames"),
        ("GET", "RetrieveTotalRecordCount(EntityNames='account')", None, 400, "array"),
        ("GET", "RetrieveTotalRecordCount(EntityNames=[1])", None, 400, "EntityNames[0] takes text"),
        ("GET", 'RetrieveTotalRecordCount(EntityNames=["nothing"])', None, 400, "nothing"),
        ("GET", "RetrieveTotalRecordCount(['account'])", None, 400, "Name=value"),
        ("GET", "RetrieveCurrentOrganization(AccessType='Best')", None, 400, "Default, Internet, Intranet"),
        ("GET", "RetrieveCurrentOrganization(AccessType=9)", None, 400, "Default, Internet, Intranet"),
        ("GET", "RetrieveCurrentOrganization(AccessType=0,AccessType=1)", None, 400, "twice"),
        ("GET", "RetrieveCurrentOrganization(AccessType=0,Other=1)", None, 400, "'Other'"),
        ("GET", "RetrieveCurrentOrganization(AccessType={'a':)", None, 400, ""),
    ],
)
async def test_a_call_that_cannot_be_is_refused_with_what_to_change(
    client: Client, method: str, url: str, body: object, *, status: int, said: str
) -> None:
    answer = await client.ask(method, url, body)
    told, code, sentence = answer.error
    assert (told, code[:2]) == (status, "0x")
    assert said in sentence


async def test_queries_go_from_one_notation_to_the_other(client: Client) -> None:
    fetch = '<fetch><entity name="account"><attribute name="name"/></entity></fetch>'
    told = await client.get(f"FetchXmlToQueryExpression(FetchXml=@p1)?@p1='{quote(fetch)}'")
    query = told.json["Query"]
    assert (query["EntityName"], query["ColumnSet"]["Columns"]) == ("account", ["name"])
    back = await client.post(
        "QueryExpressionToFetchXml", {"Query": {"@odata.type": f"#{CRM}.QueryExpression", **query}}
    )
    assert back.json["FetchXml"] == (
        '<fetch version="1.0" mapping="logical"><entity name="account"><attribute name="name" /></entity></fetch>'
    )
    wrong = await client.post("QueryExpressionToFetchXml", {"Query": {"EntityName": "nothing"}})
    assert wrong.error[0] == 400


def test_every_type_that_a_message_names_is_declared() -> None:
    known = {*complex_types(), *enum_types()}
    named = [each.type for called in STANDARD for each in called.parameters]
    named += [called.returns for called in STANDARD if called.returns is not None]
    named += [each.type for declared in complex_types().values() for each in declared.members]
    names = {each.edm.removeprefix("Collection(").removesuffix(")") for each in named}
    own = {name.removeprefix(f"{CRM}.") for name in names if name.startswith(CRM)}
    assert own - {"crmbaseentity"} - known - {entity.name for entity in standard_catalog()} == set()


def test_two_messages_of_one_name_are_refused_unless_they_are_bound_to_different_things() -> None:
    messages = Messages()

    async def nothing(call: Call) -> None:
        raise NotImplementedError(call)

    message("M", Kind.ACTION, into=messages)(nothing)
    message("M", Kind.ACTION, bound_to="account", into=messages)(nothing)
    message("M", Kind.ACTION, bound_to="account", collection=True, into=messages)(nothing)
    with pytest.raises(ValueError, match="Two messages are called M"):
        message("M", Kind.ACTION, bound_to="account", into=messages)(nothing)
    with pytest.raises(TypeError, match="no type that a message can have"):
        message("N", Kind.ACTION, parameters={"P": complex}, into=messages)(nothing)
    with pytest.raises(TypeError, match="more than one type"):
        message("N", Kind.ACTION, parameters={"P": UUID | str}, into=messages)(nothing)
