"""Every form of `$filter`, `$select`, `$orderby` and `$apply` that clients write (web-api-wire, section 13)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support import NOON
from tests.webapi.calling import ROOT, Client, a_client

CRM = "Microsoft.Dynamics.CRM"


def an_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


#: A to E. B is below A, C below B; Ann is A's first contact, Bob B's; D has nothing; E is dated by the clock.
ACCOUNTS: dict[str, dict[str, Any]] = {
    "A": {"revenue": 100, "numberofemployees": 5, "industrycode": 1, "creditonhold": True, "fax": "A"},
    "B": {"revenue": 200, "numberofemployees": 10, "industrycode": 2, "fax": "x", "description": 'It\'s 100% "so"'},
    "C": {"revenue": 300, "numberofemployees": 20, "industrycode": 1, "telephone1": "Ünder_line"},
    "D": {"lastusedincampaign": "2026-03-04", "statecode": 1, "statuscode": 2},
    "E": {"address1_city": "LINZ"},
}


@pytest.fixture
async def client() -> Client:
    client = await a_client()
    for number, (name, values) in enumerate(ACCOUNTS.items(), start=1):
        client.clock.moment = NOON - timedelta(days=10 * (len(ACCOUNTS) - number))
        above = {"parentaccountid@odata.bind": f"/accounts({an_id(number - 1)})"} if name in "BC" else {}
        made = await client.post("accounts", {"accountid": an_id(number), "name": name, **values, **above})
        assert made.status == 204, made.text
    client.clock.moment = NOON + timedelta(minutes=1)
    for number, (first, last, of) in enumerate((("Ann", "Lind", 1), ("Bob", "Bob", 1), ("Cid", "Lind", 2)), start=11):
        await client.make(
            "contacts",
            contactid=an_id(number),
            firstname=first,
            lastname=last,
            parentcustomerid_account__bind=f"/accounts({an_id(of)})",
        )
    for account, contact in ((1, 11), (2, 12)):
        await client.patch(
            f"accounts({an_id(account)})", {"primarycontactid@odata.bind": f"/contacts({an_id(contact)})"}
        )
    return client


FILTERS = [
    ("name eq 'a'", "A"),
    ("name ne 'a'", "BCDE"),
    ("revenue gt 100 and revenue le 300", "BC"),
    ("revenue lt 200 or revenue ge 300", "AC"),
    ("name eq 'A' or name eq 'B' and revenue eq 0", "A"),
    ("(name eq 'A' or name eq 'B') and revenue eq 200", "B"),
    ("not (name eq 'A' or name eq 'B')", "CDE"),
    ("contains(name,'a')", "A"),
    ("contains(description, '100%25 \"so\"')", "B"),
    ("contains(description,'It''s')", "B"),
    ("startswith(address1_city,  'lin')", "E"),
    ("endswith(address1_city,'nz')", "E"),
    ("contains(telephone1,'_')", "C"),
    ("contains(telephone1,'under')", "C"),
    ("not contains(fax,'a')", "BCDE"),
    ("revenue eq null", "DE"),
    ("revenue ne null", "ABC"),
    # What is not set is different from any value, here as in FetchXML.
    ("revenue ne 100", "BCDE"),
    ("revenue lt 1000", "ABC"),
    (f"accountid eq {an_id(1)}", "A"),
    (f"accountid eq '{an_id(1)}'", "A"),
    ("createdon ge 2026-03-01T12:00:00Z", "E"),
    ("createdon ge 2026-03-01T12:00:00.000Z", "E"),
    ("createdon ge 2026-03-01T13:00:00%2B01:00", "E"),
    ("createdon ge 2026-03-01", "E"),
    ("createdon lt 2026-02-01", "AB"),
    ("name eq fax", "A"),
    ("creditonhold eq true", "A"),
    ("statecode eq 0 and creditonhold ne true", "BCE"),
    (f"_primarycontactid_value eq {an_id(11)}", "A"),
    ("_primarycontactid_value eq null", "CDE"),
    ("primarycontactid/fullname eq 'ann lind'", "A"),
    (f"primarycontactid/contactid eq {an_id(12)}", "B"),
    ("parentaccountid/primarycontactid/firstname eq 'Ann'", "B"),
    ("parentaccountid/parentaccountid/name eq 'A'", "C"),
    ("contact_customer_accounts/any(c:c/lastname eq 'lind')", "AB"),
    ("contact_customer_accounts/any(c: c/lastname eq 'lind' and c/firstname eq 'Cid')", "B"),
    ("contact_customer_accounts/all(c:c/lastname eq 'lind')", "B"),
    ("contact_customer_accounts/any()", "AB"),
    ("not contact_customer_accounts/any()", "CDE"),
    ("contact_customer_accounts/any(c:c/firstname eq c/lastname)", "A"),
    (f'{CRM}.In(PropertyName=\'statecode\',PropertyValues=["0","1"])', "ABCDE"),
    (f"{CRM}.In(PropertyName='revenue',PropertyValues=['100','300'])", "AC"),
    (f"{CRM}.In(PropertyName='revenue',PropertyValues=[100, 300])", "AC"),
    (f"{CRM}.NotIn(PropertyName='revenue',PropertyValues=[100,300])", "BDE"),
    (f'{CRM}.Between(PropertyName=\'numberofemployees\',PropertyValues=["5","10"])', "AB"),
    (f'{CRM}.NotBetween(PropertyName=\'numberofemployees\',PropertyValues=["5","10"])', "CDE"),
    (f'{CRM}.In(PropertyName=@p1,PropertyValues=@p2)&@p1=\'name\'&@p2=["A","b"]', "AB"),
    (f"{CRM}.In(PropertyName=@p1,PropertyValues=@p2)&@p1='name'&@p2=['A','b']", "AB"),
    ("name eq @p1&@p1='C'", "C"),
    (f"{CRM}.Today(PropertyName='createdon')", "E"),
    (f"{CRM}.Yesterday(PropertyName='createdon')", ""),
    (f"{CRM}.LastXHours(PropertyName='createdon',PropertyValue=12)", "E"),
    (f"{CRM}.LastXDays(PropertyName='createdon',PropertyValue='15')", "DE"),
    (f"{CRM}.NextXDays(PropertyName='lastusedincampaign',PropertyValue=3)", "D"),
    (f"{CRM}.OlderThanXDays(PropertyName='createdon',PropertyValue=15)", "ABC"),
    (f"{CRM}.OlderThanXHours(PropertyName='createdon',PropertyValue=1)", "ABCD"),
    (f"{CRM}.OlderThanXMinutes(PropertyName='createdon',PropertyValue=1)", "ABCD"),
    (f"{CRM}.On(PropertyName='createdon',PropertyValue='2026-02-19')", "D"),
    (f"{CRM}.OnOrBefore(PropertyName='createdon',PropertyValue='2026-02-09')", "ABC"),
    (f"{CRM}.OnOrAfter(PropertyName='createdon',PropertyValue='2026-02-19')", "DE"),
    (f"{CRM}.EqualUserId(PropertyName='ownerid')", "ABCDE"),
    (f"{CRM}.NotEqualUserId(PropertyName='ownerid')", ""),
    (f"{CRM}.EqualUserId(PropertyName=@p1)&@p1='ownerid'", "ABCDE"),
    (f"{CRM}.In(PropertyName='primarycontactid',PropertyValues=['{an_id(11)}'])", "A"),
    (f"primarycontactid/{CRM}.EqualUserId(PropertyName='ownerid')", "AB"),
    (f"{CRM}.In(PropertyName='primarycontactid/parentcustomerid',PropertyValues=['{an_id(1)}'])", "AB"),
    (f"{CRM}.EqualBusinessId(PropertyName='owningbusinessunit')", "ABCDE"),
    (f"{CRM}.In(PropertyName='parentaccountid/name',PropertyValues=['A'])", "B"),
    (f"contact_customer_accounts/any(c:c/{CRM}.In(PropertyName='firstname',PropertyValues=['Cid']))", "B"),
    ("revenue eq 100 ", "A"),
    (" ((name eq 'A'))", "A"),
    (" or ".join(f"name eq 'n{number}'" for number in range(300)) + " or name eq 'A'", "A"),
]


@pytest.mark.parametrize(("text", "names"), FILTERS, ids=[text[:60] for text, _ in FILTERS])
async def test_a_filter_finds_its_rows(client: Client, text: str, names: str) -> None:
    answered = await client.get(f"accounts?$select=name&$orderby=name&$filter={text}")

    assert answered.status == 200, answered.text
    assert "".join(row["name"] for row in answered.rows) == names


@pytest.mark.parametrize(
    "text",
    [
        f"not {CRM}.In(PropertyName='statecode',PropertyValues=['0'])",
        f"{CRM}.Nothing(PropertyName='statecode')",
        f"{CRM}.LastXDays(PropertyName='createdon',PropertyValue=0)",
        f"{CRM}.LastXDays(PropertyName='createdon')",
        f"{CRM}.Today(PropertyName='name')",
        f"{CRM}.In(PropertyName='nmae',PropertyValues=['0'])",
        "revenue eq 'much'",
        "statecode eq 'Active'",
        "primarycontactid/nmae eq 'x'",
        "contact_customer_accounts/lastname eq 'x'",
        "contact_customer_accounts/any(c:d/lastname eq 'x')",
        "name/any(c:c/lastname eq 'x')",
        "accountid eq 5",
        "accountid eq @p1",
        "name eq 'open",
        "((name eq 'A')",
        "length(name) eq 1",
        "revenue gt null",
    ],
)
async def test_a_filter_that_cannot_be_is_refused_with_a_sentence(client: Client, text: str) -> None:
    answered = await client.get(f"accounts?$filter={text}")

    assert answered.status == 400, answered.text
    assert len(answered.message) > 20
    assert answered.code.startswith("0x")


async def test_select_takes_spaces_lookups_and_navigation_names(client: Client) -> None:
    by_value = await client.get(f"accounts({an_id(2)})?$select=name, _parentaccountid_value")
    by_name = await client.get(f"accounts({an_id(2)})?$select=name,parentaccountid")
    listed = await client.get("contacts?$select=parentcustomerid_account&$orderby=firstname")

    assert by_value.json["_parentaccountid_value"] == by_name.json["_parentaccountid_value"] == an_id(1)
    assert [row["_parentcustomerid_value"] for row in listed.rows] == [an_id(1), an_id(1), an_id(2)]
    for wrong in ("nmae", "name,,nmae", "parentaccountid/name", "NAME"):
        assert (await client.get(f"accounts?$select={wrong}")).status == 400, wrong


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("revenue desc,name asc", "CBADE"),
        ("revenue asc, name desc", "EDABC"),
        ("primarycontactid/firstname desc,name", "BACDE"),
        ("parentaccountid/primarycontactid/lastname asc,name", "ADECB"),
        ("statecode desc,createdon desc", "DECBA"),
        ("_primarycontactid_value,name desc", "EDCAB"),
    ],
)
async def test_rows_come_in_the_order_asked_for_also_page_by_page(client: Client, order: str, names: str) -> None:
    whole = await client.get(f"accounts?$select=name&$orderby={order}")
    assert whole.status == 200, whole.text
    assert "".join(row["name"] for row in whole.rows) == names

    url, found = f"accounts?$select=name&$orderby={order}", ""
    while url:
        page = await client.get(url, Prefer="odata.maxpagesize=2")
        assert page.status == 200, page.text
        found += "".join(row["name"] for row in page.rows)
        url = page.json.get("@odata.nextLink", "")
    assert found == names


APPLIED = [
    ("aggregate($count as n)", [{"n": 5}]),
    (
        "aggregate(revenue with sum as total,revenue with min as least,revenue with max as most)",
        [{"total": 600, "least": 100, "most": 300}],
    ),
    ("aggregate(revenue with average as mean)", [{"mean": 200}]),
    ("aggregate(industrycode with countdistinct as n)", [{"n": 2}]),
    ("groupby((statecode))", [{"statecode": 0}, {"statecode": 1}]),
    (
        "groupby((statecode,statuscode),aggregate($count as n))",
        [{"statecode": 0, "statuscode": 1, "n": 4}, {"statecode": 1, "statuscode": 2, "n": 1}],
    ),
    ("filter(revenue gt 100)/aggregate(revenue with sum as total)", [{"total": 500}]),
    ("filter(name eq 'A')/groupby((industrycode),aggregate($count as n))", [{"industrycode": 1, "n": 1}]),
    (
        "filter(_primarycontactid_value ne null)/groupby((primarycontactid/fullname),aggregate(revenue with sum as t))",
        [{"primarycontactid/fullname": "Ann Lind", "t": 100}, {"primarycontactid/fullname": "Bob Bob", "t": 200}],
    ),
    (
        f"filter({CRM}.In(PropertyName='name',PropertyValues=['A','C']))/aggregate(revenue with max as most)",
        [{"most": 300}],
    ),
]


@pytest.mark.parametrize(("text", "rows"), APPLIED, ids=[text[:60] for text, _ in APPLIED])
async def test_apply_gives_plain_objects(client: Client, text: str, rows: list[dict[str, object]]) -> None:
    answered = await client.get(f"accounts?$apply={text}")

    assert answered.status == 200, answered.text
    assert sorted(answered.rows, key=str) == sorted(rows, key=str)
    assert "@odata.nextLink" not in answered.json


async def test_groups_have_labels_an_order_and_pages(client: Client) -> None:
    url = "accounts?$apply=groupby((industrycode),aggregate($count as n))&$orderby=n desc"
    whole = await client.get(url, Prefer='odata.include-annotations="*"')
    label = "industrycode@OData.Community.Display.V1.FormattedValue"
    labels = {row.get("industrycode"): (row["n"], row.get(label)) for row in whole.rows}
    assert labels.pop(2)[0] == 1
    assert labels == {1: (2, "Accounting"), None: (2, None)}
    assert whole.rows[-1]["n"] == 1

    found, link = [], url
    while link:
        page = await client.get(link, Prefer="odata.maxpagesize=1")
        assert page.status == 200, page.text
        found += page.rows
        link = page.json.get("@odata.nextLink", "")
    assert {row.get("industrycode"): row["n"] for row in found} == {1: 2, 2: 1, None: 2}
    assert len(found) == 3


@pytest.mark.parametrize(
    "text",
    [
        "groupby(statecode)",
        "groupby((nmae))",
        "aggregate(revenue with total as t)",
        "aggregate(name with sum as t)",
        "aggregate(revenue with sum)",
        "aggregate($count as n,revenue with sum as n)",
        "groupby((statecode),aggregate($count as n))/filter(n gt 1)",
        "filter(name eq 'A')",
        "topcount(1,revenue)",
        "",
    ],
)
async def test_apply_that_cannot_be_is_refused(client: Client, text: str) -> None:
    answered = await client.get(f"accounts?$apply={text}")

    assert answered.status == 400, answered.text
    assert answered.message


async def test_a_count_is_bare_text_without_a_mark(client: Client) -> None:
    answered = await client.get("accounts/$count?$filter=contact_customer_accounts/any()")

    assert (answered.response.body, answered.headers["Content-Type"]) == (b"2", "text/plain")
    assert (await client.get(f"{ROOT}accounts?$count=true&$top=1")).json["@odata.count"] == 5
