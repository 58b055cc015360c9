"""`asyncoperations` is a table like any other: whatever queries ask of rows they may ask of jobs (section 22)."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.handling import OperationContext, OperationFailed, Outcome
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.states import StatusCode
from asyncservice.organization import customizing
from asyncservice.organization.organization import Organization
from asyncservice.organization.wellknown import LOCAL_USER
from asyncservice.storage.memory import MemoryStorage
from asyncservice.webapi.application import OpenDoor, WebApi
from tests.operations.world import World
from tests.support import NOON, VirtualClock
from tests.webapi.calling import ROOT, Client

CRM = "Microsoft.Dynamics.CRM"
LABEL = "OData.Community.Display.V1.FormattedValue"
ALL = 'odata.include-annotations="*"'

#: Section 22: what clients select.
COLUMNS = (
    "asyncoperationid,name,operationtype,messagename,primaryentitytype,_regardingobjectid_value,_ownerid_value,"
    "_owningextensionid_value,_workflowactivationid_value,statecode,statuscode,message,friendlymessage,errorcode,"
    "createdon,startedon,completedon,modifiedon,postponeuntil,recurrencepattern,recurrencestarttime,retrycount,"
    "depth,sequence,correlationid,requestid,dependencytoken,data,executiontimespan,iswaitingforevent,subtype,"
    "breadcrumbid,hostid,workflowstagename,timezoneruleversionnumber,utcconversiontimezonecode"
)


def an_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


@dataclass
class Office:
    """A service with two accounts, a contact, and five jobs, made a minute apart."""

    world: World
    client: Client
    jobs: dict[str, str]

    async def names(self, query: str) -> str:
        """Return the first letters of the jobs that a query finds, in its order."""
        answered = await self.client.get(f"asyncoperations?{query}")
        assert answered.status == 200, answered.text
        return "".join(row["name"][0] for row in answered.rows)

    async def fetched(self, set_name: str, text: str, **headers: str) -> list[dict[str, Any]]:
        answered = await self.client.get(f"{set_name}?fetchXml={quote(text)}", **headers)
        assert answered.status == 200, answered.text
        return answered.rows


async def handler(context: OperationContext) -> Outcome:
    if context.data.get("fails"):
        raise OperationFailed("The rows are locked.", code=-2147220891)
    return None


@pytest.fixture
async def office() -> Office:
    clock = VirtualClock()
    storage = MemoryStorage(clock.now)
    world = await World(storage, clock, options=EngineOptions(shards=4)).open()
    world.handle(handler)
    world.handle(handler, type=OperationType.BULK_DELETE)
    world.handle(handler, type=OperationType.WORKFLOW)
    organization = Organization(storage)
    await organization.create()
    await organization.seed(now=NOON)
    client = Client(WebApi(organization, clock=clock, engine=world.engine, door=OpenDoor(LOCAL_USER)))
    contact = await client.make("contacts", contactid=an_id(11), firstname="Ann", lastname="Lind")
    for number, name in ((1, "Contoso"), (2, "Fabrikam")):
        await client.make(
            "accounts", accountid=an_id(number), name=name, primarycontactid__bind=f"/contacts({contact})"
        )
    about: partial[dict[str, Any]] = partial(dict, regardingobjecttypecode="account", primaryentitytype="account")
    made: dict[str, dict[str, Any]] = {
        "Delete": {"type": OperationType.BULK_DELETE, **about(regardingobjectid=UUID(an_id(1)))},
        "Fail": {"data": '{"fails": true}', **about(regardingobjectid=UUID(an_id(1)))},
        "Greet": {
            "type": OperationType.WORKFLOW,
            "regardingobjectid": UUID(contact),
            "regardingobjecttypecode": "contact",
            "primaryentitytype": "contact",
            "messagename": "Create",
            "ownerid": LOCAL_USER,
        },
        "Later": {"statuscode": StatusCode.WAITING, "postponeuntil": NOON + timedelta(days=2)},
        "Ready": {"dependencytoken": "line", "ownerid": LOCAL_USER, **about(regardingobjectid=UUID(an_id(2)))},
    }
    jobs = {}
    for name, columns in made.items():
        jobs[name[0]] = str(await world.submit(name=name, **columns))
        if name == "Greet":
            await world.run_everything()
        await clock.advance(timedelta(minutes=1))
    return Office(world, client, jobs)


async def test_every_column_that_clients_select_is_there(office: Office) -> None:
    row = (await office.client.get(f"asyncoperations({office.jobs['F']})?$select={COLUMNS}")).json
    listed = (await office.client.get(f"asyncoperations?$select={COLUMNS}&$filter=name eq 'Fail'")).rows[0]

    assert set(COLUMNS.split(",")) | {"@odata.etag", "@odata.context"} == set(row)
    assert {name: value for name, value in row.items() if name != "@odata.context"} == listed
    assert (row["statecode"], row["statuscode"], row["errorcode"]) == (3, 31, -2147220891)
    assert "The rows are locked." in row["message"]
    assert row["startedon"] == row["completedon"] == "2026-03-01T12:02:00Z"


FILTERS = [
    ("statecode eq 3", "GFD"),
    ("statuscode eq 30", "GD"),
    ("statecode ne 3", "RL"),
    ("statecode eq 3 and statuscode ne 30", "F"),
    ("operationtype eq 13", "D"),
    ("operationtype ne 13 and statecode eq 3", "GF"),
    ("statecode eq 0 or statecode eq 1", "RL"),
    ("not (statecode eq 3)", "RL"),
    (f'{CRM}.In(PropertyName=\'statuscode\',PropertyValues=["30","31"])', "GFD"),
    (f"{CRM}.NotIn(PropertyName='operationtype',PropertyValues=[10,13])", "RLF"),
    (f"_regardingobjectid_value eq {an_id(1)}", "FD"),
    (f"_regardingobjectid_value eq {an_id(1)} and statecode eq 3 and operationtype eq 13", "D"),
    ("_regardingobjectid_value eq null", "L"),
    ("_regardingobjectid_value ne null", "RGFD"),
    ("regardingobjectid_account/name eq 'contoso'", "FD"),
    ("regardingobjectid_account/primarycontactid/firstname eq 'Ann'", "RFD"),
    ("regardingobjectid_contact/lastname eq 'lind'", "G"),
    (f"regardingobjectid_account/accountid eq {an_id(2)}", "R"),
    (f"{CRM}.In(PropertyName='regardingobjectid',PropertyValues=['{an_id(1)}'])", "FD"),
    (f"{CRM}.EqualUserId(PropertyName='ownerid')", "RG"),
    (f"_ownerid_value eq {LOCAL_USER}", "RG"),
    ("primaryentitytype eq 'account'", "RFD"),
    ("messagename eq 'create'", "G"),
    ("contains(name,'e')", "RLGD"),
    ("startswith(name,'f')", "F"),
    ("contains(message,'locked')", "F"),
    ("errorcode ne null", "F"),
    ("errorcode eq -2147220891", "F"),
    ("dependencytoken eq 'line'", "R"),
    ("postponeuntil gt 2026-03-02T00:00:00Z", "L"),
    (f"{CRM}.NextXDays(PropertyName='postponeuntil',PropertyValue=2)", "L"),
    (f"{CRM}.Today(PropertyName='completedon')", "GFD"),
    ("createdon ge 2026-03-01T12:03:00Z", "RL"),
    ("createdon gt 2026-03-01T12:00:00Z and createdon lt 2026-03-01T12:03:00Z", "GF"),
    ("completedon eq null", "RL"),
    ("startedon eq completedon", "GFD"),
    ("name eq messagename", ""),
    ("contains(data,'fails')", "F"),
    ("owninguser/fullname eq 'nobody'", ""),
    ("createdby/systemuserid eq null", ""),
]


@pytest.mark.parametrize(("text", "names"), FILTERS, ids=[text[:60] for text, _ in FILTERS])
async def test_a_filter_finds_its_jobs_newest_first(office: Office, text: str, names: str) -> None:
    assert await office.names(f"$filter={text}&$orderby=createdon desc") == names
    assert await office.names(f"$select=name&$filter={text}&$orderby=createdon asc") == names[::-1]
    assert sorted(await office.names(f"$filter={text}")) == sorted(names)
    assert (await office.client.get(f"asyncoperations/$count?$filter={text}")).text == str(len(names))


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", "DFGLR"),
        ("statecode desc,name", "DFGLR"),
        ("operationtype,createdon desc", "GDRLF"),
        ("regardingobjectid_account/name desc,name desc", "RFDLG"),
        ("postponeuntil desc,createdon", "LDFGR"),
        ("ownerid/name,name desc", None),
        ("modifiedon desc,name", None),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 5])
async def test_jobs_come_in_any_order_page_by_page(office: Office, order: str, names: str | None, size: int) -> None:
    whole = await office.names(f"$orderby={order}")
    url, found = f"asyncoperations?$select=name&$orderby={order}", ""
    while url:
        page = await office.client.get(url, Prefer=f"odata.maxpagesize={size}")
        assert page.status == 200, page.text
        found += "".join(row["name"][0] for row in page.rows)
        url = page.json.get("@odata.nextLink", "")
    assert found == whole
    assert sorted(found) == list("DFGLR")
    assert names is None or found == names


async def test_states_types_and_lookups_have_labels(office: Office) -> None:
    rows = (await office.client.get("asyncoperations?$orderby=createdon", Prefer=ALL)).rows
    states = [(row[f"statecode@{LABEL}"], row[f"statuscode@{LABEL}"]) for row in rows]
    types = [row[f"operationtype@{LABEL}"] for row in rows]
    regarding = [
        (
            row[f"_regardingobjectid_value@{LABEL}"],
            row[f"_regardingobjectid_value@{CRM}.lookuplogicalname"],
            row[f"_regardingobjectid_value@{CRM}.associatednavigationproperty"],
        )
        for row in rows
        if row["_regardingobjectid_value"]
    ]

    assert states == [
        ("Completed", "Succeeded"),
        ("Completed", "Failed"),
        ("Completed", "Succeeded"),
        ("Suspended", "Waiting"),
        ("Ready", "Waiting For Resources"),
    ]
    assert types == [
        "Bulk Delete",
        "Execute Async Request",
        "Workflow",
        "Execute Async Request",
        "Execute Async Request",
    ]
    assert regarding == [
        ("Contoso", "account", "regardingobjectid_account"),
        ("Contoso", "account", "regardingobjectid_account"),
        ("Ann Lind", "contact", "regardingobjectid_contact"),
        ("Fabrikam", "account", "regardingobjectid_account"),
    ]
    later = rows[3]
    assert later[f"postponeuntil@{LABEL}"] == "3/3/2026 12:00 PM"
    assert not [name for name in later if name.startswith("_regardingobjectid_value@")]
    assert rows[2][f"_ownerid_value@{LABEL}"] == "Local Developer"
    assert rows[2][f"_ownerid_value@{CRM}.associatednavigationproperty"] == "ownerid"


NAVIGATIONS = ["createdby", "modifiedby", "ownerid", "owninguser", "owningteam", "owningbusinessunit"]
NAVIGATIONS += ["owningextensionid", "workflowactivationid", "regardingobjectid_account", "regardingobjectid_contact"]


async def test_every_navigation_property_expands_in_one_and_in_a_list(office: Office) -> None:
    expand = ",".join(NAVIGATIONS)
    one = await office.client.get(f"asyncoperations({office.jobs['G']})?$select=name&$expand={expand}")
    rows = (await office.client.get(f"asyncoperations?$orderby=createdon&$expand={expand}", Prefer=ALL)).rows

    assert one.status == 200, one.text
    assert one.json["regardingobjectid_contact"]["fullname"] == "Ann Lind"
    assert one.json["regardingobjectid_account"] is None
    assert one.json["ownerid"]["ownerid"] == str(LOCAL_USER)
    assert [(row["regardingobjectid_account"] or {}).get("name") for row in rows] == [
        "Contoso",
        "Contoso",
        None,
        None,
        "Fabrikam",
    ]
    assert rows[0]["regardingobjectid_account"][f"statecode@{LABEL}"] == "Active"


async def test_from_a_row_to_its_jobs_with_every_option(office: Office) -> None:
    get = office.client.get
    below = f"accounts({an_id(1)})/Account_AsyncOperations"

    listed = await get(f"{below}?$select=name&$filter=statuscode eq 31&$count=true", Prefer=ALL)
    assert [row["name"] for row in listed.rows] == ["Fail"]
    assert listed.json["@odata.count"] == 1
    assert (await get(f"{below}/$count")).text == "2"
    refs = (await get(f"{below}/$ref")).rows
    assert sorted(row["@odata.id"] for row in refs) == sorted(
        f"{ROOT}asyncoperations({office.jobs[name]})" for name in "DF"
    )
    one = await get(f"{below}({office.jobs['D']})?$select=name")
    other = await get(f"{below}({office.jobs['R']})?$select=name")
    assert (one.json["name"], other.status) == ("Delete", 404)

    rows = (
        await get(
            "accounts?$select=name&$orderby=name&$expand=Account_AsyncOperations($select=name,statecode;"
            "$filter=statecode ne 1;$orderby=createdon desc;$top=1;$expand=regardingobjectid_account($select=name))",
            Prefer=ALL,
        )
    ).rows
    inner = [row["Account_AsyncOperations"][0] for row in rows]
    assert [(each["name"], each["regardingobjectid_account"]["name"]) for each in inner] == [
        ("Fail", "Contoso"),
        ("Ready", "Fabrikam"),
    ]
    assert inner[0][f"statecode@{LABEL}"] == "Completed"
    again = await get(rows[0]["Account_AsyncOperations@odata.nextLink"])
    assert [row["name"] for row in again.rows] == ["Fail"]

    found = await get("accounts?$filter=Account_AsyncOperations/any(j:j/statuscode eq 31)&$select=name")
    waiting = await get("accounts?$filter=Account_AsyncOperations/all(j:j/statecode eq 0)&$select=name")
    contacts = await get("contacts?$filter=Contact_AsyncOperations/any(j:j/operationtype eq 10)&$select=fullname")
    assert [row["name"] for row in found.rows] == ["Contoso"]
    assert [row["name"] for row in waiting.rows] == ["Fabrikam"]
    assert [row["fullname"] for row in contacts.rows] == ["Ann Lind"]


async def test_from_a_job_to_its_row(office: Office) -> None:
    job = f"asyncoperations({office.jobs['D']})"

    assert (await office.client.get(f"{job}/regardingobjectid_account?$select=name")).json["name"] == "Contoso"
    assert (await office.client.get(f"{job}/regardingobjectid_account/name")).json["value"] == "Contoso"
    assert (await office.client.get(f"{job}/regardingobjectid_account/primarycontactid/fullname")).status == 200
    assert (await office.client.get(f"{job}/regardingobjectid_contact")).status == 204
    ref = await office.client.get(f"{job}/regardingobjectid_account/$ref")
    assert ref.json["@odata.id"] == f"{ROOT}accounts({an_id(1)})"
    assert (await office.client.get(f"{job}/statuscode")).json["value"] == 30
    assert (await office.client.get(f"{job}/name/$value")).text == "Delete"


async def test_fetch_joins_jobs_with_rows_in_both_directions(office: Office) -> None:
    from_jobs = await office.fetched(
        "asyncoperations",
        "<fetch><entity name='asyncoperation'><attribute name='name'/><attribute name='regardingobjectid'/>"
        "<attribute name='statuscode'/><order attribute='name'/>"
        "<link-entity name='account' from='accountid' to='regardingobjectid' alias='a'><attribute name='name'/>"
        "<attribute name='primarycontactid'/><filter>"
        "<condition attribute='name' operator='eq' value='contoso'/></filter></link-entity></entity></fetch>",
        Prefer=ALL,
    )
    assert [(row["name"], row["a.name"]) for row in from_jobs] == [("Delete", "Contoso"), ("Fail", "Contoso")]
    first = from_jobs[0]
    assert (first["_regardingobjectid_value"], first[f"_regardingobjectid_value@{LABEL}"]) == (an_id(1), "Contoso")
    assert first[f"statuscode@{LABEL}"] == "Succeeded"
    assert (first["a.primarycontactid"], first[f"a.primarycontactid@{LABEL}"]) == (an_id(11), "Ann Lind")

    from_rows = await office.fetched(
        "accounts",
        "<fetch><entity name='account'><attribute name='name'/><order attribute='name'/>"
        "<link-entity name='asyncoperation' from='regardingobjectid' to='accountid' alias='j' link-type='outer'>"
        "<attribute name='name'/><attribute name='operationtype'/><order attribute='name'/>"
        "<filter><condition attribute='statecode' operator='eq' value='3'/></filter></link-entity></entity></fetch>",
        Prefer=ALL,
    )
    assert [(row["name"], row.get("j.name"), row.get(f"j.operationtype@{LABEL}")) for row in from_rows] == [
        ("Contoso", "Delete", "Bulk Delete"),
        ("Contoso", "Fail", "Execute Async Request"),
        ("Fabrikam", None, None),
    ]
    idle = await office.fetched(
        "accounts",
        "<fetch><entity name='account'><attribute name='name'/><filter>"
        "<link-entity name='asyncoperation' from='regardingobjectid' to='accountid' link-type='not any'>"
        "<filter><condition attribute='statecode' operator='ne' value='3'/></filter></link-entity></filter>"
        "</entity></fetch>",
    )
    assert [row["name"] for row in idle] == ["Contoso"]


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("<condition attribute='operationtype' operator='in'><value>13</value><value>10</value></condition>", "DG"),
        ("<condition attribute='statuscode' operator='not-in'><value>30</value><value>31</value></condition>", "LR"),
        (f"<condition attribute='regardingobjectid' operator='eq' value='{{{an_id(1)}}}'/>", "DF"),
        ("<condition attribute='regardingobjectid' operator='null'/>", "L"),
        ("<condition attribute='ownerid' operator='eq-userid'/>", "GR"),
        ("<condition attribute='completedon' operator='today'/>", "DFG"),
        ("<condition attribute='createdon' operator='last-x-hours' value='1'/>", "DFGLR"),
        ("<condition attribute='createdon' operator='olderthan-x-minutes' value='3'/>", "DF"),
        ("<condition attribute='postponeuntil' operator='next-x-days' value='2'/>", "L"),
        ("<condition attribute='name' operator='like' value='%e%'/>", "DGLR"),
        ("<condition attribute='name' operator='begins-with' value='f'/>", "F"),
        ("<condition attribute='message' operator='not-null'/>", None),
    ],
)
async def test_fetch_conditions_on_jobs(office: Office, condition: str, names: str | None) -> None:
    rows = await office.fetched(
        "asyncoperations",
        "<fetch><entity name='asyncoperation'><attribute name='name'/><order attribute='name'/>"
        f"<filter>{condition}</filter></entity></fetch>",
    )
    found = "".join(row["name"][0] for row in rows)
    assert found == names if names is not None else "F" in found


async def test_fetch_groups_jobs_and_pages_through_them(office: Office) -> None:
    counts = await office.fetched(
        "asyncoperations",
        "<fetch aggregate='true'><entity name='asyncoperation'><attribute name='statecode' groupby='true' alias='s'/>"
        "<attribute name='asyncoperationid' aggregate='count' alias='n'/><order alias='s'/></entity></fetch>",
        Prefer=ALL,
    )
    assert {row[f"s@{LABEL}"]: row["n"] for row in counts} == {"Ready": 1, "Suspended": 1, "Completed": 3}

    found, page, cookie = "", 1, ""
    while True:
        text = (
            f"<fetch count='2' page='{page}'{cookie}><entity name='asyncoperation'><attribute name='name'/>"
            "<order attribute='createdon' descending='true'/></entity></fetch>"
        )
        answered = await office.client.get(f"asyncoperations?fetchXml={quote(text)}", Prefer=ALL)
        assert answered.status == 200, answered.text
        found += "".join(row["name"][0] for row in answered.rows)
        element = answered.json.get(f"@{CRM}.fetchxmlpagingcookie")
        if element is None:
            break
        page += 1
        cookie = f" paging-cookie='{element.replace('&', '&amp;').replace('<', '&lt;').replace(chr(39), '&apos;')}'"
    assert (found, page) == ("RLGFD", 3)


async def test_apply_counts_jobs_by_lookup_and_by_state(office: Office) -> None:
    get = office.client.get
    by_type = await get("asyncoperations?$apply=filter(statecode eq 3)/groupby((operationtype),aggregate($count as n))")
    by_row = await get("asyncoperations?$apply=groupby((_regardingobjectid_value),aggregate($count as n))")
    last = await get("asyncoperations?$apply=aggregate(createdon with max as last,$count as n)")

    assert {row["operationtype"]: row["n"] for row in by_type.rows} == {13: 1, 54: 1, 10: 1}
    assert {row.get("_regardingobjectid_value"): row["n"] for row in by_row.rows} == {
        an_id(1): 2,
        an_id(2): 1,
        an_id(11): 1,
        None: 1,
    }
    assert last.rows == [{"last": "2026-03-01T12:04:00Z", "n": 5}]


async def test_a_job_may_be_about_a_row_of_a_table_that_came_later(office: Office) -> None:
    boat = {
        "name": "new_boat",
        "label": "Boat",
        "collectionlabel": "Boats",
        "set": "new_boats",
        "primaryid": "new_boatid",
        "primaryname": "new_name",
        "attributes": {"new_name": {"type": "String", "label": "Name", "maxlength": 100}},
    }
    organization = office.client.api.organization
    await organization.customize(partial(customizing.with_entity, said=boat), now=office.world.clock.now())
    argo = await office.client.make("new_boats", new_name="Argo")
    job = await office.world.submit(name="Sail", regardingobjectid=UUID(argo), regardingobjecttypecode="new_boat")

    row = (
        await office.client.get(
            f"asyncoperations({job})?$expand=regardingobjectid_new_boat($select=new_name)", Prefer=ALL
        )
    ).json
    assert row["regardingobjectid_new_boat"]["new_name"] == "Argo"
    assert row[f"_regardingobjectid_value@{LABEL}"] == "Argo"
    assert await office.names("$filter=regardingobjectid_new_boat/new_name eq 'argo'") == "S"
    below = await office.client.get(f"new_boats({argo})/new_Boat_AsyncOperations?$select=name")
    assert [each["name"] for each in below.rows] == ["Sail"]
    joined = await office.fetched(
        "asyncoperations",
        "<fetch><entity name='asyncoperation'><attribute name='name'/><link-entity name='new_boat' from='new_boatid' "
        "to='regardingobjectid' alias='b'><attribute name='new_name'/></link-entity></entity></fetch>",
    )
    assert [(each["name"], each["b.new_name"]) for each in joined] == [("Sail", "Argo")]
