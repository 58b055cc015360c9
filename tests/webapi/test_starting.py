"""Messages that start operations: an import over the Web API alone; what is not there yet says so."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any
from uuid import UUID, uuid4

import pytest

from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.operationtypes import OperationType
from asyncservice.organization.organization import Organization
from asyncservice.organization.wellknown import LOCAL_USER
from asyncservice.storage.memory import MemoryStorage
from asyncservice.webapi.application import OpenDoor, WebApi
from asyncservice.webapi.messages.planned import NOT_YET
from asyncservice.webapi.messages.registry import Kind, Message
from asyncservice.webapi.messages.standard import STANDARD
from asyncservice.webapi.messages.types import CollectionType, ComplexType, EntityType, EnumType, Member, Type
from handlers.import_file_parse import parse_import
from handlers.import_records import import_records
from handlers.transform_parse_data import transform_import
from tests.operations.world import World
from tests.support import NOON, VirtualClock
from tests.webapi.calling import Client

CSV = "Company,City,Staff\r\nContoso,Berlin,12\r\nFabrikam,Kiel,7\r\nNowhere,Ulm,many\r\n"


class Office:
    """A service with its Web API and the handlers of imports."""

    def __init__(self, world: World, client: Client) -> None:
        self.world, self.client = world, client


@pytest.fixture
async def office() -> Office:
    clock = VirtualClock()
    storage = MemoryStorage(clock.now)
    world = await World(storage, clock, options=EngineOptions(shards=4)).open()
    world.handle(parse_import, type=OperationType.IMPORT_FILE_PARSE)
    world.handle(transform_import, type=OperationType.TRANSFORM_PARSE_DATA)
    world.handle(import_records, type=OperationType.IMPORT)
    organization = Organization(storage)
    await organization.create()
    await organization.seed(now=NOON)
    return Office(world, Client(WebApi(organization, clock=clock, engine=world.engine, door=OpenDoor(LOCAL_USER))))


async def an_import(client: Client) -> str:
    """Make an import of a file of accounts, as the published samples do, and return its id."""
    mapping = await client.make("importmaps", name="Accounts", source="accounts.csv")
    for source, target in (("Company", "name"), ("City", "address1_city"), ("Staff", "numberofemployees")):
        await client.make(
            "columnmappings",
            sourceattributename=source,
            sourceentityname="Account_1",
            targetattributename=target,
            targetentityname="account",
            processcode=1,
            importmapid__bind=f"/importmaps({mapping})",
        )
    job = await client.make("imports", name="Import of accounts", modecode=0)
    await client.make(
        "importfiles",
        name="accounts",
        source="accounts.csv",
        content=CSV,
        isfirstrowheader=True,
        usesystemmap=False,
        fielddelimitercode=2,
        datadelimitercode=1,
        filetypecode=0,
        processcode=1,
        sourceentityname="Account_1",
        targetentityname="account",
        enableduplicatedetection=False,
        importid__bind=f"/imports({job})",
        importmapid__bind=f"/importmaps({mapping})",
        recordsownerid_systemuser__bind=f"/systemusers({LOCAL_USER})",
    )
    return job


async def test_a_file_is_imported_over_the_web_api_alone(office: Office) -> None:
    client = office.client
    job = await an_import(client)
    steps = (
        (f"imports({job})/Microsoft.Dynamics.CRM.ParseImport", None, 3),
        ("TransformImport", {"ImportId": job}, 4),
        (f"imports({job})/Microsoft.Dynamics.CRM.ImportRecordsImport", None, 5),
    )
    for url, body, kind in steps:
        request_id = str(uuid4())
        answered = await client.post(url, body, x_ms_client_request_id=request_id)
        assert answered.status == 200, answered.text
        assert answered.json["@odata.context"].endswith("$metadata#asyncoperations/$entity")
        started = answered.json["asyncoperationid"]
        row = (await client.get(f"asyncoperations({started})")).json
        assert (row["operationtype"], row["statecode"], row["statuscode"]) == (kind, 0, 0)
        assert (row["_regardingobjectid_value"], row["requestid"]) == (job, request_id)
        assert row["_ownerid_value"] == row["_createdby_value"] == str(LOCAL_USER)
        await office.world.run_everything()
        row = (await client.get(f"asyncoperations({started})?$select=statecode,statuscode,message,completedon")).json
        assert (row["statecode"], row["statuscode"]) == (3, 30), row
        assert row["completedon"] is not None
        await office.world.clock.advance(timedelta(seconds=1))
    accounts = (await client.get("accounts?$select=name,address1_city,numberofemployees&$orderby=name")).rows
    assert [(each["name"], each["address1_city"], each["numberofemployees"]) for each in accounts] == [
        ("Contoso", "Berlin", 12),
        ("Fabrikam", "Kiel", 7),
    ]
    [log] = (await client.get(f"importlogs?$filter=importfileid/_importid_value eq {job}")).rows
    assert log["linenumber"] == 4
    regarding = (await client.get(f"asyncoperations?$filter=_regardingobjectid_value eq {job}&$orderby=createdon")).rows
    assert [each["operationtype"] for each in regarding] == [3, 4, 5]


async def test_a_step_of_an_import_that_is_not_there(office: Office) -> None:
    for url, body in (
        (f"imports({uuid4()})/Microsoft.Dynamics.CRM.ParseImport", None),
        ("TransformImport", {"ImportId": str(uuid4())}),
    ):
        answered = await office.client.post(url, body)
        assert (answered.status, answered.code) == (404, "0x80040217")
    assert (await office.client.post("TransformImport", {})).status == 400
    assert (await office.client.get("asyncoperations")).rows == []


async def test_without_an_engine_nothing_is_started() -> None:
    organization = Organization(MemoryStorage())
    await organization.create()
    await organization.seed(now=NOON)
    client = Client(WebApi(organization, clock=VirtualClock(), door=OpenDoor(LOCAL_USER)))
    job = await client.make("imports", name="Import of accounts", modecode=0)
    answered = await client.post(f"imports({job})/Microsoft.Dynamics.CRM.ParseImport")
    assert (answered.status, answered.code) == (501, "0x80040210")


def planned() -> Iterator[Message]:
    return (each for each in STANDARD if each.name in NOT_YET)


def an_argument(kind: Type) -> Any:
    """Return something of that type, as a client writes it."""
    match kind:
        case CollectionType():
            return []
        case EnumType(python):
            values: list[IntEnum] = list(python)
            return values[0].name
        case EntityType(name):
            entity = name or "account"
            return {"@odata.type": f"Microsoft.Dynamics.CRM.{entity}", f"{entity}id": str(uuid4())}
        case ComplexType():
            return {"@odata.type": "Microsoft.Dynamics.CRM.QueryExpression", "EntityName": "account"}
    examples = {str: "text", bool: True, UUID: str(uuid4()), datetime: "2026-03-01T12:00:00Z"}
    return examples[kind.python]  # type: ignore[index]


def required(message: Message) -> Iterator[Member]:
    return (each for each in message.parameters if each.is_required)


SETS = {
    "duplicaterule": "duplicaterules",
    "campaignactivity": "campaignactivities",
    "workflow": "workflows",
    "goal": "goals",
}


@pytest.mark.parametrize(
    "message", [each for each in planned() if each.kind is Kind.ACTION], ids=lambda each: each.name
)
async def test_what_is_not_there_yet_says_so_after_a_look_at_the_parameters(office: Office, message: Message) -> None:
    url = message.name
    if message.bound_to is not None:
        url = f"{SETS[message.bound_to]}({uuid4()})/Microsoft.Dynamics.CRM.{message.name}"
    body = {each.name: an_argument(each.type) for each in required(message)}
    answered = await office.client.post(url, body)
    assert (answered.status, answered.code) == (501, "0x80040210"), answered.text
    assert message.name in answered.message
    for each in required(message):
        rest = {name: value for name, value in body.items() if name != each.name}
        lacking = await office.client.post(url, rest)
        assert lacking.status == 400, each.name
        assert each.name in lacking.message
    assert (await office.client.get("asyncoperations")).rows == []
