"""What clients touch though nobody asked them to: the least tables, metadata as they ask for it, acting for others.

Reference web-api-wire, sections 22, 24, 25, 26 and 28.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from defusedxml import ElementTree

from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.operationtypes import OperationType
from asyncservice.organization.organization import Organization
from asyncservice.organization.schema.catalog import Catalog, standard_definitions
from asyncservice.organization.wellknown import LOCAL_USER, ROOT_BUSINESS_UNIT
from asyncservice.settings import Settings
from asyncservice.storage.memory import MemoryStorage
from asyncservice.webapi.application import OpenDoor, WebApi
from asyncservice.webapi.authentication import Authentication
from tests.operations.world import World
from tests.support import NOON, VirtualClock
from tests.webapi.calling import ROOT, Client, a_client

CRM = "Microsoft.Dynamics.CRM"
ALL = 'odata.include-annotations="*"'
LABEL = "OData.Community.Display.V1.FormattedValue"
ACCOUNT = "EntityDefinitions(LogicalName='account')"
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"

#: Tables by set, and columns of them: section 28, and the tables that jobs live among.
COLUMNS = {
    "accounts": "accountid,name,accountnumber,telephone1,fax,websiteurl,description,revenue,numberofemployees,"
    "creditonhold,industrycode,customertypecode,address1_city,_primarycontactid_value,_parentaccountid_value,"
    "_ownerid_value,statecode,statuscode,createdon,modifiedon,_createdby_value,_modifiedby_value,"
    "_createdonbehalfby_value,versionnumber",
    "contacts": "contactid,firstname,lastname,fullname,emailaddress1,telephone1,jobtitle,_parentcustomerid_value",
    "tasks": "activityid,subject,description,_regardingobjectid_value,statecode,createdon",
    "systemusers": "systemuserid,fullname,domainname,internalemailaddress,azureactivedirectoryobjectid,"
    "_businessunitid_value,isdisabled",
    "teams": "teamid,name",
    "businessunits": "businessunitid,name",
    "organizations": "organizationid,name",
    "transactioncurrencies": "transactioncurrencyid,currencyname,isocurrencycode",
    "bulkdeleteoperations": "bulkdeleteoperationid,name,_asyncoperationid_value,successcount,failurecount,isrecurring,"
    "nextrun,statecode,statuscode",
    "bulkdeletefailures": "bulkdeletefailureid",
    "workflows": "workflowid,name,primaryentity,ondemand,mode,category,type,statecode",
    "backgroundoperations": "backgroundoperationid,name,displayname,backgroundoperationstatecode,"
    "backgroundoperationstatuscode,inputparameters,outputparameters,errorcode,errormessage,retrycount,starttime,"
    "endtime,runas,createdon",
    "customapis": "customapiid,uniquename",
    "sdkmessages": "sdkmessageid,name",
    "sdkmessagefilters": "sdkmessagefilterid,primaryobjecttypecode",
}


@pytest.fixture
async def client() -> Client:
    return await a_client()


@pytest.mark.parametrize("set_name", COLUMNS)
async def test_a_table_that_clients_touch_is_there(client: Client, set_name: str) -> None:
    answered = await client.get(f"{set_name}?$select={COLUMNS[set_name]}&$top=5")

    assert answered.status == 200, answered.text
    for row in answered.rows:
        assert row.keys() - {"@odata.etag"} >= set(COLUMNS[set_name].split(","))


async def test_there_are_users_a_unit_a_team_and_a_currency_to_begin_with(client: Client) -> None:
    users = (await client.get("systemusers?$select=fullname&$filter=isdisabled eq false")).rows

    assert len(users) >= 2
    for set_name in ("businessunits", "teams", "organizations", "transactioncurrencies"):
        assert len((await client.get(set_name)).rows) == 1, set_name


RELATIONSHIPS = [
    ("account", "contact_customer_accounts", "contact", "parentcustomerid_account"),
    ("contact", "contact_customer_contacts", "contact", "parentcustomerid_contact"),
    ("contact", "account_primary_contact", "account", "primarycontactid"),
    ("account", "account_parent_account", "account", "parentaccountid"),
    ("account", "Account_Tasks", "task", "regardingobjectid_account_task"),
    ("account", "Account_AsyncOperations", "asyncoperation", "regardingobjectid_account"),
    ("asyncoperation", "AsyncOperation_BulkDeleteOperation", "bulkdeleteoperation", "asyncoperationid"),
]


@pytest.mark.parametrize(("one", "name", "many", "back"), RELATIONSHIPS, ids=[each[1] for each in RELATIONSHIPS])
async def test_relationships_have_their_names_in_queries_and_in_metadata(
    client: Client, one: str, name: str, many: str, back: str
) -> None:
    answered = await client.get(f"RelationshipDefinitions(SchemaName='{name}')")
    told = answered.json

    assert answered.status == 200, answered.text
    assert told["@odata.type"] == f"#{CRM}.OneToManyRelationshipMetadata"
    assert (told["ReferencedEntity"], told["ReferencingEntity"]) == (one, many)
    assert told["ReferencedEntityNavigationPropertyName"] == name
    assert told["ReferencingEntityNavigationPropertyName"] == back
    sets = {each["LogicalName"]: each["EntitySetName"] for each in (await client.get("EntityDefinitions")).rows}
    for url in (f"{sets[one]}?$expand={name}", f"{sets[many]}?$expand={back}", f"{sets[one]}?$filter={name}/any()"):
        assert (await client.get(url)).status == 200, url


# Metadata -------------------------------------------------------------------------------------------------------------


async def test_the_service_document_lists_every_set(client: Client) -> None:
    told = (await client.get("")).json

    assert told["@odata.context"] == f"{ROOT}$metadata"
    assert {"name": "asyncoperations", "kind": "EntitySet", "url": "asyncoperations"} in told["value"]
    for each in told["value"]:
        assert (await client.get(f"{each['url']}?$top=1")).status == 200, each


@pytest.mark.parametrize("accept", ["application/xml", "application/json", "*/*"])
@pytest.mark.parametrize("query", ["", "?annotations=true"])
async def test_the_csdl_document_is_whole_whatever_is_accepted(client: Client, accept: str, query: str) -> None:
    answered = await client.get(f"$metadata{query}", Accept=accept)
    root = ElementTree.fromstring(answered.text)
    schema = root.find(f".//{EDM}Schema")

    assert answered.headers["Content-Type"].startswith("application/xml")
    assert root.tag == "{http://docs.oasis-open.org/odata/ns/edmx}Edmx"
    assert root.get("Version") == "4.0"
    assert schema is not None
    assert (schema.get("Namespace"), schema.get("Alias")) == (CRM, "mscrm")
    types = {each.get("Name"): each for each in schema.findall(f"{EDM}EntityType")}
    assert types["crmbaseentity"].get("Abstract") == "true"
    account = types["account"]
    created = account.find(f"{EDM}Property[@Name='createdon']/{EDM}Annotation")
    assert created is not None
    assert (created.get("Term"), created.get("Bool")) == ("Org.OData.Core.V1.Computed", "true")
    assert account.find(f"{EDM}Property[@Name='name']/{EDM}Annotation") is None
    contact = account.find(f"{EDM}NavigationProperty[@Name='primarycontactid']")
    assert contact is not None
    constraint = contact.find(f"{EDM}ReferentialConstraint")
    assert constraint is not None
    assert (constraint.get("Property"), constraint.get("ReferencedProperty")) == (
        "_primarycontactid_value",
        "contactid",
    )
    assert contact.get("Partner") == "account_primary_contact"
    # Every type that is named is defined.
    defined = {f"mscrm.{each.get('Name')}" for each in schema if each.get("Name")}
    named = {
        text.removeprefix("Collection(").removesuffix(")").replace(f"{CRM}.", "mscrm.")
        for each in schema.iter()
        for text in (each.get("Type"), each.get("BaseType"), each.get("EntityType"))
        if text
    }
    assert {name for name in named if name.startswith("mscrm.")} <= defined


METADATA: list[tuple[str, str | None]] = [
    (
        "EntityDefinitions?$select=LogicalName,EntitySetName,PrimaryIdAttribute&$filter=LogicalName eq 'account'",
        "account",
    ),
    ("EntityDefinitions?$filter=EntitySetName eq 'accounts'&$select=LogicalName", "account"),
    ("EntityDefinitions?$filter=ObjectTypeCode eq 1&$select=LogicalName", "account"),
    ("EntityDefinitions?$filter=LogicalName eq 'account' or LogicalName eq 'nothing'&$select=LogicalName", "account"),
    (f"{ACCOUNT}/Attributes?$select=LogicalName&$filter=LogicalName eq 'name'", "name"),
    (f"{ACCOUNT}/Attributes?$filter=AttributeType eq 'String' and LogicalName eq 'fax'", "fax"),
    (f"{ACCOUNT}/Attributes?$filter=AttributeType eq {CRM}.AttributeTypeCode'Money'&$select=LogicalName", None),
    (f"{ACCOUNT}/Attributes?$filter=AttributeType ne 'Virtual'&$select=LogicalName,AttributeType", None),
    (
        f"{ACCOUNT}/Attributes/{CRM}.PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet($select=Options)",
        None,
    ),
    (
        f"{ACCOUNT}/Attributes/{CRM}.PicklistAttributeMetadata?$select=LogicalName&$expand=OptionSet,GlobalOptionSet",
        None,
    ),
    (f"{ACCOUNT}/Attributes/{CRM}.StateAttributeMetadata?$expand=OptionSet", "statecode"),
    (f"{ACCOUNT}/Attributes/{CRM}.StatusAttributeMetadata?$expand=OptionSet", "statuscode"),
    (f"{ACCOUNT}/Attributes/{CRM}.BooleanAttributeMetadata?$select=LogicalName&$expand=OptionSet", None),
    (f"{ACCOUNT}/Attributes/{CRM}.LookupAttributeMetadata?$select=LogicalName,Targets", None),
    (f"{ACCOUNT}/Attributes/{CRM}.MoneyAttributeMetadata?$select=LogicalName,Precision", None),
    (f"{ACCOUNT}/Attributes/{CRM}.DateTimeAttributeMetadata?$select=LogicalName,Format,DateTimeBehavior", None),
    (f"{ACCOUNT}/OneToManyRelationships?$select=SchemaName", None),
    (f"{ACCOUNT}/ManyToOneRelationships?$select=SchemaName,ReferencedEntity", None),
    (f"{ACCOUNT}/ManyToManyRelationships", None),
    ("RelationshipDefinitions?$filter=SchemaName eq 'account_primary_contact'", None),
    (f"RelationshipDefinitions/{CRM}.ManyToManyRelationshipMetadata?$select=SchemaName,IntersectEntityName", None),
    ("GlobalOptionSetDefinitions", None),
]


@pytest.mark.parametrize(("url", "only"), METADATA, ids=[url[:90] for url, _ in METADATA])
async def test_definitions_are_listed_as_clients_ask(client: Client, url: str, only: str | None) -> None:
    answered = await client.get(url)

    assert answered.status == 200, answered.text
    assert all(row["MetadataId"] for row in answered.rows)
    assert answered.rows
    if "Attributes" in url:
        assert all(row["@odata.type"].startswith(f"#{CRM}.") for row in answered.rows)
    if only is not None:
        assert [row["LogicalName"] for row in answered.rows] == [only]


async def test_a_definition_is_found_by_id_with_and_without_a_cast(client: Client) -> None:
    name = (await client.get(f"{ACCOUNT}/Attributes(LogicalName='name')")).json
    relationship = (await client.get("RelationshipDefinitions(SchemaName='account_primary_contact')")).json
    by_id = f"{ACCOUNT}/Attributes({name['MetadataId']})"

    assert (await client.get(by_id)).json["LogicalName"] == "name"
    assert (await client.get(f"{by_id}/{CRM}.StringAttributeMetadata")).json["MaxLength"] == 160
    assert (await client.get(f"RelationshipDefinitions({relationship['MetadataId']})")).json["SchemaName"] == (
        "account_primary_contact"
    )
    for missing in (
        f"EntityDefinitions({uuid4()})",
        f"{ACCOUNT}/Attributes({uuid4()})",
        f"RelationshipDefinitions({uuid4()})",
        "RelationshipDefinitions(SchemaName='nothing')",
        "GlobalOptionSetDefinitions(Name='nothing')",
    ):
        assert (await client.get(missing)).status == 404, missing


async def test_names_of_metadata_are_case_sensitive_and_its_members_whole(client: Client) -> None:
    table = (await client.get(ACCOUNT)).json
    column = (await client.get(f"{ACCOUNT}/Attributes(LogicalName='industrycode')?$expand=OptionSet")).json

    assert (await client.get("EntityDefinitions?$select=logicalname")).status == 400
    assert (await client.get("entitydefinitions")).status == 404
    wanted = (
        "MetadataId,LogicalName,SchemaName,EntitySetName,LogicalCollectionName,PrimaryIdAttribute,PrimaryNameAttribute,"
        "PrimaryImageAttribute,ObjectTypeCode,DisplayName,DisplayCollectionName,Description,IsPrivate,IsCustomEntity,"
        "IsActivity,OwnershipType,ChangeTrackingEnabled,IsOptimisticConcurrencyEnabled,HasActivities,HasNotes,"
        "IsCustomizable"
    )
    assert set(wanted.split(",")) <= table.keys()
    assert "Value" in table["IsCustomizable"]
    wanted = (
        "@odata.type,MetadataId,LogicalName,SchemaName,AttributeType,AttributeTypeName,EntityLogicalName,IsPrimaryId,"
        "IsPrimaryName,AttributeOf,DisplayName,RequiredLevel,IsValidForRead,IsValidForCreate,IsValidForUpdate,"
        "IsCustomAttribute,OptionSet"
    )
    assert set(wanted.split(",")) <= column.keys()
    option = column["OptionSet"]["Options"][0]
    assert option["Label"]["UserLocalizedLabel"]["LanguageCode"] == 1033
    assert option["Description"] == {"LocalizedLabels": [], "UserLocalizedLabel": None}
    assert column["AttributeOf"] is None


async def test_clients_are_told_which_tables_take_many_rows_at_once(client: Client) -> None:
    rows = (
        await client.get(
            "sdkmessagefilters?$select=sdkmessagefilterid&$expand=sdkmessageid($select=name)&$filter=("
            "sdkmessageid/name eq 'CreateMultiple' or sdkmessageid/name eq 'UpdateMultiple') "
            "and primaryobjecttypecode eq 'account'"
        )
    ).rows

    assert sorted(row["sdkmessageid"]["name"] for row in rows) == ["CreateMultiple", "UpdateMultiple"]
    assert all(row["sdkmessagefilterid"] and row["sdkmessageid"]["sdkmessageid"] for row in rows)


async def test_metadata_changes_are_answered_in_full(client: Client) -> None:
    query: dict[str, Any] = {
        "Properties": {"PropertyNames": ["LogicalName", "Attributes"]},
        "Criteria": {
            "Conditions": [
                {
                    "PropertyName": "LogicalName",
                    "ConditionOperator": "Equals",
                    "Value": {"Type": "System.String", "Value": "account"},
                }
            ]
        },
        "AttributeQuery": {"Properties": {"PropertyNames": ["LogicalName", "MaxLength", "Targets"]}},
    }
    told = (await client.get(f"RetrieveMetadataChanges(Query=@p1)?@p1={json.dumps(query)}")).json

    assert told["ServerVersionStamp"]
    assert told["DeletedMetadata"] is None
    (entity,) = told["EntityMetadata"]
    columns = {each["LogicalName"]: each for each in entity["Attributes"]}
    assert columns["primarycontactid"]["Targets"] == ["contact"]
    assert columns["name"]["MaxLength"] == 160
    assert "Targets" not in columns["name"]


async def test_an_unknown_table_is_not_counted(client: Client) -> None:
    answered = await client.get('RetrieveTotalRecordCount(EntityNames=@p1)?@p1=["nothing"]')

    assert (answered.status, answered.code) == (400, "0x80040203")


# File columns ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def column() -> tuple[Client, str]:
    """Return a client and the file column of a row."""
    said = {"extends": "account", "attributes": {"new_photo": {"type": "File", "label": "Photo", "maxsize": 10_240}}}
    catalog = Catalog.from_definitions(standard_definitions().with_all([(said, "a test")]))
    organization = Organization(MemoryStorage(), catalog=catalog)
    await organization.create()
    await organization.seed(now=NOON)
    client = Client(WebApi(organization, clock=VirtualClock(), door=OpenDoor(LOCAL_USER)))
    return client, f"accounts({await client.make('accounts', name='A')})/new_photo"


@pytest.mark.parametrize("match", [{"If_Match": "*"}, {"If_None_Match": "null"}, {}])
async def test_a_file_is_stored_whatever_the_match_headers(
    column: tuple[Client, str], match: Mapping[str, str]
) -> None:
    client, url = column
    stored = await client.patch(
        f"{url}?x-ms-file-name=query.png", b"\x89PNG", Content_Type="image/png", x_ms_file_name="header.png", **match
    )
    whole = await client.get(f"{url}/$value")

    assert (stored.status, stored.text) == (204, "")
    assert "OData-EntityId" not in stored.headers
    # The header wins over the query.
    assert whole.headers["x-ms-file-name"] == "header.png"
    assert whole.headers["mimetype"] == "image/png"
    assert whole.headers["Content-Disposition"].startswith('attachment; filename="header.png"')


async def test_a_file_as_json_whole_and_in_part(column: tuple[Client, str]) -> None:
    client, url = column
    await client.patch(url, b"0123456789", x_ms_file_name="a.bin")
    for range_header, status, content in (({}, 200, b"0123456789"), ({"Range": "bytes=2-4"}, 206, b"234")):
        answered = await client.get(f"{url}?size=full", **range_header)
        assert answered.status == status
        assert base64.b64decode(answered.json["value"]) == content
        assert answered.json["@odata.context"].startswith(f"{ROOT}$metadata#accounts(")
        assert answered.headers["Location"].startswith(f"{ROOT}{url}")
        for name in ("Content-Disposition", "x-ms-file-size", "x-ms-file-name", "mimetype"):
            assert answered.headers[name]
    part = await client.get(f"{url}/$value", Range="bytes=0-4194303")
    assert (part.status, part.response.body, part.headers["x-ms-chunk-size"]) == (206, b"0123456789", "4194304")
    assert (await client.get(f"{url}/$value", Range="bytes=10-20")).status == 416


async def test_an_upload_in_parts_needs_no_name_on_its_parts(column: tuple[Client, str]) -> None:
    client, url = column
    begun = await client.patch(f"{url}?x-ms-file-name=a%20b.bin", b"", x_ms_transfer_mode="chunked")
    sent = await client.patch(begun.headers["Location"], b"hello", Content_Range="bytes 0-4/5")

    assert (begun.status, begun.text, begun.headers["Accept-Ranges"]) == (200, "", "bytes")
    assert "OData-EntityId" not in begun.headers
    assert sent.status == 204
    assert (await client.get(f"{url}/$value")).response.body == b"hello"
    assert (await client.get(url.removesuffix("/new_photo"))).json["new_photo_name"] == "a b.bin"
    file_id = (await client.get(url)).json["value"]
    assert str(UUID(file_id)) == file_id


# Acting for others ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def office() -> tuple[World, Client, str]:
    """Return a service behind its real door, a client of this machine, and another user."""
    clock = VirtualClock()
    storage = MemoryStorage(clock.now)
    world = await World(storage, clock, options=EngineOptions(shards=4)).open()
    organization = Organization(storage)
    await organization.create()
    await organization.seed(now=NOON)
    door = Authentication.of(Settings(auth_local=True), {})
    client = Client(WebApi(organization, clock=clock, engine=world.engine, door=door))
    bob = await client.make(
        "systemusers",
        firstname="Bob",
        lastname="Lind",
        domainname="bob@example.org",
        azureactivedirectoryobjectid="00000000-0000-4000-8000-0000000000ad",
        businessunitid__bind=f"/businessunits({ROOT_BUSINESS_UNIT})",
    )
    return world, client, bob


@pytest.mark.parametrize("by_directory", [False, True])
async def test_what_is_done_for_another_user_is_theirs(
    office: tuple[World, Client, str], *, by_directory: bool
) -> None:
    _, client, bob = office
    header = {"CallerObjectId": "00000000-0000-4000-8000-0000000000ad"} if by_directory else {"MSCRMCallerID": bob}

    assert (await client.get("WhoAmI", **header)).json["UserId"] == bob
    made = (await client.post("accounts", {"name": "Bob's"}, **header)).id
    row = (await client.get(f"accounts({made})", Prefer=ALL)).json
    assert (row["_createdby_value"], row["_createdonbehalfby_value"]) == (bob, str(LOCAL_USER))
    assert (row["_ownerid_value"], row[f"_ownerid_value@{LABEL}"]) == (bob, "Bob Lind")
    mine = await client.get(f"accounts?$filter={CRM}.EqualUserId(PropertyName='ownerid')", **header)
    assert [each["accountid"] for each in mine.rows] == [made]
    assert (await client.get(f"accounts?$filter={CRM}.EqualUserId(PropertyName='ownerid')")).rows == []
    await client.patch(f"accounts({made})", {"fax": "1"})
    row = (await client.get(f"accounts({made})")).json
    assert (row["_modifiedby_value"], row["_modifiedonbehalfby_value"]) == (str(LOCAL_USER), None)


async def test_jobs_started_for_another_user_are_theirs(office: tuple[World, Client, str]) -> None:
    _, client, bob = office
    made = await client.post("imports", {"name": "An import", "modecode": 0}, MSCRMCallerID=bob)
    started = await client.post(f"imports({made.id})/{CRM}.ParseImport", MSCRMCallerID=bob)
    assert started.status == 200, started.text
    jobs = (await client.get(f"asyncoperations?$filter=operationtype eq {int(OperationType.IMPORT_FILE_PARSE)}")).rows

    assert [(row["_ownerid_value"], row["_createdby_value"]) for row in jobs] == [(bob, bob)]
    assert [row["_createdonbehalfby_value"] for row in jobs] == [str(LOCAL_USER)]


async def test_other_headers_of_dataverse_are_accepted(office: tuple[World, Client, str]) -> None:
    _, client, _ = office
    headers = {
        "MSCRM.SuppressDuplicateDetection": "false",
        "MSCRM.BypassCustomPluginExecution": "true",
        "MSCRM.BypassBusinessLogicExecution": "CustomSync,CustomAsync",
        "MSCRM.BypassBusinessLogicExecutionStepIds": str(uuid4()),
        "MSCRM.SuppressCallbackRegistrationExpanderJob": "true",
        "mscrm.solutionuniquename": "Mine",
    }
    made = await client.send("POST", "accounts", {"name": "A"}, **headers)
    changed = await client.send("PATCH", f"accounts({made.id})", {"fax": "1"}, **headers)

    assert (made.status, changed.status) == (204, 204)
    assert (await client.get("accounts", MSCRMCallerID=str(uuid4()))).status == 403
    assert (await client.get("accounts", CallerObjectId=str(uuid4()))).status == 403
