"""What becomes of a file: records, logs and counters, on memory and on Azurite."""

import codecs
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from asyncservice.operations.handling import OperationFailed
from asyncservice.operations.record import SYSTEM_USER
from asyncservice.organization.errorcodes import OrganizationErrorCode as Code
from asyncservice.organization.errors import NoSuchAttribute, NoSuchEntity, ValueRefused
from asyncservice.organization.importing.dialects import DataDelimiter, FieldDelimiter
from asyncservice.organization.importing.maps import LookupKey
from asyncservice.organization.importing.running import SIZES
from asyncservice.organization.importing.service import ColumnTarget, create_import
from asyncservice.organization.organization import Organization
from asyncservice.organization.values import Reference
from asyncservice.organizations import organization_in
from asyncservice.storage.account import Storage
from asyncservice.storage.memory import MemoryStorage
from tests.handlers.contexts import Job, run
from tests.handlers.imports import STEPS, a_story
from tests.support import NOON

DATA = Path(__file__).parents[2] / "data"
SOMEBODY, SOMEBODY_ELSE = UUID(int=0xA), UUID(int=0xB)
DEMO_MAP = {
    "Name": "name",
    "Website": "websiteurl",
    "Country": "address1_country",
    "Industry": "industrycode",
    "Employees": "numberofemployees",
}


async def test_a_file_becomes_records(storage: Storage) -> None:
    lines = ["Account Name,accountnumber,Address 1: City", *(f"Contoso {n},{n},Graz" for n in range(250))]
    story = await a_story(storage, "\n".join(lines), sizes=SIZES)

    assert await story.do_all() == [
        "Parse: 250 rows read, 0 failed.",
        "Transform: 250 rows read, 0 failed.",
        "Import: 250 rows read, 0 failed.",
    ]

    assert await story.names() == Counter(f"Contoso {n}" for n in range(250))
    account = (await story.organization.records("account").named("contoso 249"))[0]
    record, file = await story.record(), await story.file()
    assert account["importsequencenumber"] == record["sequence"] == 1
    assert (account["accountnumber"], account["address1_city"]) == ("249", "Graz")
    assert record["statuscode"] == 4
    assert (file["totalcount"], file["successcount"], file["failurecount"]) == (250, 250, 0)
    assert (file["processingstatus"], file["statuscode"], file["completedon"]) == (11, 4, NOON)
    assert await story.logs() == []
    kept = [name async for name in storage.blobs("import-files").names()]
    assert sorted(name.partition("/")[2] for name in kept) == [
        str(file["content"]).partition("/")[2],
        "imported/manifest.json",
        "parsed/manifest.json",
        "transformed/manifest.json",
    ]


async def test_slices_make_no_difference(storage: Storage) -> None:
    content = "name,numberofemployees\n" + "".join(f"A{n},{n if n % 5 else 'x'}\n" for n in range(23))
    story = await a_story(storage, content)

    await story.do_all(slices=True)

    assert await story.names() == Counter(f"A{n}" for n in range(23) if n % 5)
    assert [(job.succeeded, job.failed) for job in story.jobs] == [(23, 0), (18, 5), (18, 0)]
    assert [job.saves for job in story.jobs] == [6, 7, 7]
    assert [log["linenumber"] for log in await story.logs()] == [2, 7, 12, 17, 22]


async def test_every_kind_of_value_is_understood() -> None:
    story = await a_story(
        MemoryStorage(),
        "Name;Staff;Revenue;Latitude;Category;Mail;Campaign;Since;Notes\n"
        'Contoso;"1,200";"$ 1,200,000.5";48.1;standard;do not allow;1/31/2025;31 May 2020;"two\nlines"\n'
        "Fabrikam;7;12;-1e1;gold;no;2025-02-01;1/2/2020 3:04 PM; padded \n"
        "Northwind;;;;;;;2020-01-02T03:04:05+01:00;\n",
        columns={
            "Name": "name",
            "Staff": "numberofemployees",
            "Revenue": "revenue",
            "Latitude": "address1_latitude",
            "Category": ColumnTarget(attribute="accountcategorycode", options={"Gold": 1}),
            "Mail": "donotemail",
            "Campaign": "lastusedincampaign",
            "Since": "overriddencreatedon",
            "Notes": "description",
        },
        field_delimiter=FieldDelimiter.SEMICOLON,
    )

    await story.do_all()

    accounts = story.organization.records("account")
    assert await accounts.named("Contoso") == []
    log = (await story.logs())[0]
    assert (log["headercolumn"], log["columnvalue"]) == ("Since", "31 May 2020")
    assert (log["errornumber"], log["logphasecode"], log["linenumber"]) == (Code.INVALID_DATA_FORMAT, 1, 2)
    fabrikam = (await accounts.named("Fabrikam"))[0]
    assert fabrikam["numberofemployees"] == 7
    assert fabrikam["revenue"] == Decimal("12.00")
    assert fabrikam["address1_latitude"] == -10
    assert (fabrikam["accountcategorycode"], fabrikam["donotemail"]) == (1, False)
    assert fabrikam["lastusedincampaign"] == datetime(2025, 2, 1, tzinfo=UTC)
    assert fabrikam["createdon"] == datetime(2020, 1, 2, 15, 4, tzinfo=UTC)
    assert fabrikam["description"] == " padded "
    northwind = (await accounts.named("Northwind"))[0]
    assert northwind["createdon"] == datetime(2020, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert northwind.get("revenue") is None


async def test_lookups_find_records_by_name_id_or_column(storage: Storage) -> None:
    organization = Organization(storage)
    await organization.create()
    accounts = organization.records("account")
    contoso = await accounts.create({"name": "Contoso & Sons' #1", "accountnumber": "C'1"}, now=NOON)
    for _ in range(2):
        await accounts.create({"name": "Twin", "accountnumber": "T"}, now=NOON)
    story = await a_story(
        storage,
        f"Last,Company,Code\nby name,CONTOSO & sons' #1,\nby id,{contoso},\nby number,,C'1\nnone,Nobody,\ntwo,Twin,\n",
        entity="contact",
        columns={
            "Last": "lastname",
            "Company": ColumnTarget(attribute="parentcustomerid", lookups=(LookupKey("account", "name"),)),
            "Code": ColumnTarget(attribute="jobtitle"),
        },
    )
    by_number = await a_story(
        storage,
        f"Last,Code\nby number,C'1\nlong,{'x' * 100_000}\n",
        entity="contact",
        columns={
            "Last": "lastname",
            "Code": ColumnTarget(attribute="parentcustomerid", lookups=(LookupKey("account", "accountnumber"),)),
        },
    )

    await story.do_all()
    await by_number.do_all()

    contacts = organization.records("contact")
    for name in ("by name", "by id"):
        assert (await contacts.named(name))[0]["parentcustomerid"] == Reference("account", contoso)
    assert {record.get("parentcustomerid") for record in await contacts.named("by number")} == {
        None,
        Reference("account", contoso),
    }
    assert [(log["errornumber"], log["columnvalue"]) for log in await story.logs()] == [
        (Code.LOOKUP_NOT_FOUND, "x" * 20_000),
        (Code.LOOKUP_NOT_FOUND, "Nobody"),
        (Code.DUPLICATE_LOOKUP_FOUND, "Twin"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "name\nZürich – Genève\n".encode(),  # noqa: RUF001 - the dash is what Windows-1252 is recognised by
        codecs.BOM_UTF8 + "name\nZürich – Genève\n".encode(),  # noqa: RUF001
        codecs.BOM_UTF16_LE + "name\nZürich – Genève\n".encode("utf-16-le"),  # noqa: RUF001
        codecs.BOM_UTF16_BE + "name\nZürich – Genève\n".encode("utf-16-be"),  # noqa: RUF001
        "name\nZürich – Genève\n".encode("cp1252"),  # noqa: RUF001
    ],
    ids=["utf-8", "utf-8 marked", "utf-16-le", "utf-16-be", "windows-1252"],
)
async def test_text_is_read_in_the_encoding_it_was_saved_in(content: bytes) -> None:
    story = await a_story(MemoryStorage(), content)

    await story.do_all(slices=True)

    assert await story.names() == {"Zürich – Genève": 1}  # noqa: RUF001


async def test_a_file_without_headings_has_numbered_columns() -> None:
    story = await a_story(
        MemoryStorage(),
        "Contoso:'it''s: here'\nFabrikam:there\n",
        columns={"Col1": "name", "Col2": "description"},
        has_header=False,
        field_delimiter=FieldDelimiter.COLON,
        data_delimiter=DataDelimiter.SINGLE_QUOTE,
    )

    await story.do_all()

    assert await story.names(column="description") == {"it's: here": 1, "there": 1}


async def test_owners_are_users_by_map_or_id() -> None:
    story = await a_story(
        MemoryStorage(),
        f"name,owner\nA,ada\nB,{SOMEBODY}\nC,nobody\n",
        columns={"name": "name", "owner": "ownerid"},
    )
    await story.organization.records("ownermapping").create(
        {
            "importmapid": Reference("importmap", story.made.importmap_id or SOMEBODY),
            "sourcesystemusername": "Ada",
            "targetsystemuserid": SOMEBODY_ELSE,
        },
        now=NOON,
    )

    await story.do_all()

    owners = {record["name"]: record["ownerid"] async for record in story.organization.records("account").query()}
    assert owners == {"A": Reference("systemuser", SOMEBODY_ELSE), "B": Reference("systemuser", SOMEBODY)}
    assert [log["errornumber"] for log in await story.logs()] == [Code.OWNER_NOT_MAPPED]


async def test_a_user_is_found_by_id() -> None:
    story = await a_story(
        MemoryStorage(),
        f"name,preferredsystemuserid,donotemail\nA,{SOMEBODY},Y\nB,Ada,\n",
        columns={
            "name": "name",
            "preferredsystemuserid": "preferredsystemuserid",
            "donotemail": ColumnTarget(attribute="donotemail", options={"n": 0, "y": 1}),
        },
    )
    await story.organization.seed(now=NOON)
    users = story.organization.records("systemuser")
    unit = (await users.retrieve(SYSTEM_USER))["businessunitid"]
    await users.create({"lastname": "Lovelace", "businessunitid": unit}, now=NOON, record_id=SOMEBODY)

    await story.do_all()

    account = (await story.organization.records("account").named("A"))[0]
    assert account["preferredsystemuserid"] == Reference("systemuser", SOMEBODY)
    assert account["donotemail"] is True
    assert [log["columnvalue"] for log in await story.logs()] == ["Ada"]


async def test_several_files_are_one_import() -> None:
    story = await a_story(MemoryStorage(), "name\nA\nB\n")
    await story.organization.records("importfile").create(
        {
            "name": "second",
            "content": "lastname\nC\nD\n\nE\n",
            "targetentityname": "contact",
            "usesystemmap": True,
            "importid": Reference("import", story.made.import_id),
        },
        now=NOON,
    )

    messages = await story.do_all(slices=True)

    assert messages[0] == "Parse: 6 rows read, 1 failed."
    assert messages[2] == "Import: 5 rows read, 0 failed."
    assert await story.names() == {"A": 1, "B": 1}
    assert await story.names("contact", "fullname") == {"C": 1, "D": 1, "E": 1}


async def test_a_file_of_headings_alone_imports_nothing() -> None:
    story = await a_story(MemoryStorage(), "name\n")

    assert (await story.do_all())[2] == "Import: 0 rows read, 0 failed."


@pytest.mark.parametrize(
    ("content", "options", "step", "code", "says"),
    [
        ("", {}, 0, Code.EMPTY_CONTENT, "empty"),
        ("\n\n", {}, 0, Code.EMPTY_CONTENT, "no row"),
        ("\nname\nA\n", {}, 0, Code.EMPTY_HEADER_ROW, "blank"),
        (",,\nA,B,C\n", {}, 0, Code.EMPTY_HEADER_ROW, "blank"),
        ("name,\nA,B\n", {}, 0, Code.EMPTY_HEADER_COLUMN, "Column 2"),
        ("name,Name\nA,B\n", {}, 0, Code.DUPLICATE_HEADER_COLUMN, "1 and 2"),
        ("x" * 161 + ",b\n", {}, 0, Code.HEADING_TOO_LONG, "160"),
        ('"name\nA\n', {}, 0, Code.UNBALANCED_DELIMITER, "quotes"),
        ("name;sic\nA;B\n", {}, 0, Code.NO_DELIMITERS, "fielddelimitercode to 4"),
        (b"PK\x03\x04\x00\x00", {}, 0, Code.NOT_A_TEXT_FILE, "UTF-8"),
        (b"\xff\xfen\x00a\x00\x00\xd8A\x00", {}, 0, Code.NOT_A_TEXT_FILE, "UTF-8"),
        ("name,wings\nA,2\n", {}, 1, Code.HEADING_MATCHES_NO_COLUMN, "'wings'"),
        ("A,B\n", {"has_header": False}, 1, Code.HEADER_REQUIRED_FOR_AUTOMATIC_MAP, "isfirstrowheader"),
        ("sic\nA\n", {}, 1, Code.INVALID_COLUMN_MAPPING, "needs name"),
        ("name,accountid\nA,2\n", {}, 1, Code.INVALID_COLUMN_MAPPING, "cannot set"),
        ("name,createdon\nA,2\n", {}, 1, Code.INVALID_COLUMN_MAPPING, "cannot set"),
        ("name\nA\n", {"date_format": "q/q"}, 1, Code.INVALID_COLUMN_MAPPING, "M/d/yyyy"),
        ("name\nA\n", {"columns": {"Title": "name"}}, 1, Code.INVALID_HEADER_COLUMN, "'Title'"),
        ("a,b\nA,B\n", {"columns": {"a": "name", "b": "name"}}, 1, Code.MAPPED_TWICE, "both"),
        (
            "a,b\nA,B\n",
            {
                "columns": {
                    "a": "name",
                    "b": ColumnTarget(attribute="parentaccountid", lookups=(LookupKey("account", "name", 0),)),
                }
            },
            1,
            Code.INVALID_COLUMN_MAPPING,
            "lookupsourcecode",
        ),
        (
            "a,b\nA,B\n",
            {
                "columns": {
                    "a": "name",
                    "b": ColumnTarget(attribute="parentaccountid", lookups=(LookupKey("contact", "fullname"),)),
                }
            },
            1,
            Code.INVALID_COLUMN_MAPPING,
            "refers to account",
        ),
    ],
)
async def test_a_file_that_cannot_be_imported_says_what_to_change(
    *, content: str | bytes, options: dict[str, Any], step: int, code: Code, says: str
) -> None:
    story = await a_story(MemoryStorage(), content, **options)
    for number in range(step):
        await story.do(number)

    with pytest.raises(OperationFailed, match=says) as failed:
        await story.do(step)

    assert failed.value.code == code
    assert ((await story.record())["statuscode"], (await story.file())["statuscode"]) == (5, 5)
    with pytest.raises(OperationFailed) as next_failed:
        await run(story.handler(step + 1), story.jobs[step + 1], story.storage)
    assert next_failed.value.code == Code.PREVIOUS_OPERATION_NOT_COMPLETE


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"filetypecode": 3}, Code.INVALID_FILE_TYPE),
        ({"targetentityname": "boat"}, Code.INVALID_TARGET_ENTITY),
    ],
)
async def test_a_file_record_that_makes_no_sense_is_refused(changes: dict[str, Any], code: Code) -> None:
    story = await a_story(MemoryStorage(), "name\nA\n")
    await story.organization.records("importfile").update(story.made.importfile_id, changes, now=NOON)

    with pytest.raises(OperationFailed) as failed:
        await story.do(0)
    assert failed.value.code == code


async def test_a_file_that_is_gone_fails_the_job() -> None:
    story = await a_story(MemoryStorage(), "name\nA\n")
    file = await story.organization.records("importfile").retrieve(story.made.importfile_id)
    await story.storage.blobs("import-files").delete(str(file["content"]))

    with pytest.raises(OperationFailed, match="gone") as failed:
        await story.do(0)
    assert failed.value.code == Code.EMPTY_CONTENT


async def test_a_parse_table_that_is_gone_fails_the_job() -> None:
    story = await a_story(MemoryStorage(), "name\nA\n")
    await story.do(0)
    await story.storage.blobs("import-files").delete(f"{story.made.importfile_id}/parsed/000000.jsonl")

    with pytest.raises(OperationFailed, match=r"000000\.jsonl"):
        await story.do(1)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({}, Code.INVALID_ARGUMENT),
        ({"ImportId": "7"}, Code.INVALID_ARGUMENT),
        ({"ImportId": "6d0e5a52-0000-4000-8000-000000000001"}, Code.OBJECT_DOES_NOT_EXIST),
    ],
)
async def test_an_import_that_is_not_there_fails_the_job(data: dict[str, Any], code: Code) -> None:
    story = await a_story(MemoryStorage(), "name\nA\n")

    with pytest.raises(OperationFailed, match="ImportId") as failed:
        await run(story.handler(0), Job(STEPS[0][0], data), story.storage)
    assert failed.value.code == code


@pytest.mark.parametrize(
    ("done", "step", "code"),
    [
        (0, 1, Code.PARSE_BEFORE_TRANSFORM),
        (0, 2, Code.TRANSFORM_BEFORE_IMPORT),
        (1, 2, Code.TRANSFORM_BEFORE_IMPORT),
        (1, 0, Code.CALLED_ONLY_ONCE),
        (2, 1, Code.CALLED_ONLY_ONCE),
        (3, 0, Code.CALLED_ONLY_ONCE),
        (3, 2, Code.CALLED_ONLY_ONCE),
    ],
)
async def test_steps_come_once_and_in_order(done: int, step: int, code: Code) -> None:
    story = await a_story(MemoryStorage(), "name\nA\n")
    for number in range(done):
        await story.do(number)
    before = await story.record()

    with pytest.raises(OperationFailed) as failed:
        await run(story.handler(step), Job(STEPS[step][0], story.jobs[step].data), story.storage)

    assert failed.value.code == code
    assert await story.record() == before


async def test_a_step_waits_for_the_one_before() -> None:
    story = await a_story(MemoryStorage(), "name\nA\n")
    await story.do(0)
    await story.organization.records("importfile").update(story.made.importfile_id, {"processingstatus": 2}, now=NOON)

    with pytest.raises(OperationFailed, match="Wait") as failed:
        await story.do(1)
    assert failed.value.code == Code.PREVIOUS_OPERATION_NOT_COMPLETE


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"entity": "boat"}, NoSuchEntity),
        ({"columns": {"A": "wings"}}, NoSuchAttribute),
        ({"columns": {}}, ValueRefused),
    ],
)
async def test_an_import_that_can_never_work_is_not_made(options: dict[str, Any], error: type[Exception]) -> None:
    organization = Organization(MemoryStorage())
    await organization.create()
    given: dict[str, Any] = {"entity": "account", **options}

    with pytest.raises(error):
        await create_import(organization, name="A", content=b"A\n", now=NOON, **given)
    assert [record async for record in organization.records("import").query()] == []


async def test_the_demo_imports_what_its_readme_says() -> None:
    wrong = await a_story(MemoryStorage(), (DATA / "deliberately-wrong.csv").read_bytes(), columns=DEMO_MAP)

    await wrong.do_all()

    assert [(log["linenumber"], log["errornumber"]) for log in await wrong.logs()] == [
        (8, Code.COLUMN_COUNT_DIFFERS),
        (9, Code.COLUMN_COUNT_DIFFERS),
        (10, Code.UNBALANCED_DELIMITER),
        (11, Code.EMPTY_RECORD),
        (5, Code.PICKLIST_VALUE_NOT_MAPPED),
        (6, Code.INVALID_DATA_FORMAT),
        (3, Code.STRING_TOO_LONG),
        (4, Code.INVALID_ARGUMENT),
        (7, Code.INTEGER_OUT_OF_RANGE),
    ]
    assert await wrong.names() == {"Right and Proper University": 1, "Another Right University, with a comma": 1}
    data = {record["linenumber"]: record["data"] async for record in wrong.organization.records("importdata").query()}
    assert data[9] == "University of Too Few Columns,few.example"
    assert data[6] == "University of Bad Numbers,number.example,Iceland,Social Services,about a dozen"


async def test_the_universities_are_imported_but_for_ten_long_names() -> None:
    story = await a_story(MemoryStorage(), (DATA / "universities.csv").read_bytes(), columns=DEMO_MAP, sizes=SIZES)

    assert (await story.do_all())[2] == "Import: 23945 rows read, 10 failed."
    file = await story.file()
    assert (file["totalcount"], file["successcount"], file["failurecount"]) == (23_945, 23_935, 10)


async def test_rows_whose_alternate_key_is_taken_are_reported_and_the_others_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = {"extends": "account", "keys": {"new_Number": ["accountnumber"]}}
    (tmp_path / "keys.json").write_text(json.dumps(keyed), "utf-8")
    monkeypatch.setenv("ASYNCSERVICE_SCHEMA_FOLDER", str(tmp_path))
    story = await a_story(MemoryStorage(), "name,accountnumber\nA,1\nB,2\nC,1\nD,\n")

    await story.do_all()

    names = await story.names()
    assert sum(names.values()) == 3
    assert {"B", "D"} <= set(names)
    [log] = await story.logs()
    assert (log["errornumber"], log["linenumber"]) in {(Code.DUPLICATE_RECORD_ENTITY_KEY, line) for line in (2, 4)}
    organization = await organization_in(story.storage, now=NOON)
    found = await organization.find_by_key("account", {"accountnumber": "1"})
    assert found is not None
    assert found["name"] in {"A", "C"}
