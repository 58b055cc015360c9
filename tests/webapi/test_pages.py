"""Pages, cookies, expansions and annotations to the last row (web-api-wire, sections 13 to 16)."""

import re
from typing import Any
from urllib.parse import quote, unquote

import pytest

from asyncservice.organization.wellknown import LOCAL_USER
from asyncservice.webapi.exchange import Address, Request
from tests.webapi.calling import ORG, ROOT, Client, a_client

CRM = "Microsoft.Dynamics.CRM"
LABEL = "OData.Community.Display.V1.FormattedValue"
ALL = 'odata.include-annotations="*"'
#: What positions must survive: everything that means something in a URL, in XML or in JSON; no name twice, one missing.
NAMES = ["a%b", "a%2Fb", '<cookie page="1">', 'it\'s & "so"', "Zoë Ünder_line", "a+b c", "{brace}", "#?=;/\\", "%3C"]


def an_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


@pytest.fixture
async def client() -> Client:
    """Return a client of nine accounts with names that are hard on a cookie, one without, and contacts of two."""
    client = await a_client()
    for number, name in enumerate(NAMES, start=1):
        await client.make("accounts", accountid=an_id(number), name=name, numberofemployees=number % 3)
    await client.make("accounts", accountid=an_id(10), accountnumber="nameless")
    for number in range(21, 27):
        await client.make(
            "contacts",
            contactid=an_id(number),
            firstname=f"N{number}",
            lastname="Lind",
            parentcustomerid_account__bind=f"/accounts({an_id(1 + number % 2)})",
        )
    return client


async def followed(client: Client, url: str, **headers: str) -> list[list[dict[str, Any]]]:
    """Return the pages that links lead along, the URL of each sent back as it came."""
    pages: list[list[dict[str, Any]]] = []
    while url:
        path, _, query = url.removeprefix(ROOT).partition("?")
        if pages:
            request = Request(method="GET", path=path, query=query, address=Address(ORG, "v9.2"))
            answered = type(await client.get("WhoAmI"))(await client.api.answer(request))
        else:
            answered = await client.get(url, **headers)
        assert answered.status == 200, answered.text
        pages.append(answered.rows)
        url = answered.json.get("@odata.nextLink", "")
        assert len(pages) < 50
    return pages


@pytest.mark.parametrize(
    "order", ["name", "name desc", "numberofemployees,name desc", "accountnumber,name", "createdon"]
)
@pytest.mark.parametrize("size", [1, 3, 5, 10])
async def test_a_position_survives_whatever_stands_in_it(client: Client, order: str, size: int) -> None:
    whole = (await client.get(f"accounts?$select=name&$orderby={order}")).rows
    pages = await followed(client, f"accounts?$select=name&$orderby={order}", Prefer=f"odata.maxpagesize={size}")

    assert [row for page in pages for row in page] == whole
    # The size is in the link too, and an exact multiple does not end in an empty page.
    assert [len(page) for page in pages] == [size] * (10 // size) + ([10 % size] if 10 % size else [])


async def test_a_link_may_be_decoded_in_part_on_its_way(client: Client) -> None:
    link = (await client.get("accounts?$select=name&$orderby=name", Prefer="odata.maxpagesize=4")).json[
        "@odata.nextLink"
    ]
    spellings = [
        link,
        link.replace("%3C", "<").replace("%3E", ">"),
        link.replace("%22", '"'),
        link.replace("%3C", "<").replace("%3E", ">").replace("%22", '"').replace("%20", " "),
        link.replace("%20", "+"),
        link.replace("%3C", "%3c").replace("%22", "%22"),
        f"{link}/",
        link.replace("$skiptoken", "%24skiptoken"),
    ]
    answers = []
    for spelled in spellings:
        path, _, query = spelled.removeprefix(ROOT).partition("?")
        answers.append(
            await client.api.answer(Request(method="GET", path=path, query=query, address=Address(ORG, "v9.2")))
        )

    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1


async def test_pages_keep_what_was_asked_for(client: Client) -> None:
    url = (
        "accounts?$select=name&$filter=numberofemployees ge @p1&@p1=0&$orderby=name&$count=true"
        "&$expand=contact_customer_accounts($select=firstname;$orderby=firstname)"
    )
    pages = await followed(client, url, Prefer="odata.maxpagesize=4")
    first = await client.get(url, Prefer=f"odata.maxpagesize=4,{ALL}")

    assert [len(page) for page in pages] == [4, 4, 1]
    found = {
        row["accountid"]: [each["firstname"] for each in row["contact_customer_accounts"]]
        for page in pages
        for row in page
    }
    assert found[an_id(1)] == ["N22", "N24", "N26"]
    assert found[an_id(2)] == ["N21", "N23", "N25"]
    assert sum(map(len, found.values())) == 6
    assert first.json["@odata.count"] == 9
    assert first.json[f"@{CRM}.totalrecordcount"] == 9
    assert "contact_customer_accounts@odata.nextLink" in first.rows[0]


async def test_a_collection_is_paged_like_a_set(client: Client) -> None:
    url = f"accounts({an_id(1)})/contact_customer_accounts?$select=firstname&$orderby=firstname desc"
    pages = await followed(client, url, Prefer="odata.maxpagesize=2")
    refs = await followed(client, f"accounts({an_id(1)})/contact_customer_accounts/$ref", Prefer="odata.maxpagesize=2")

    assert [[row["firstname"] for row in page] for page in pages] == [["N26", "N24"], ["N22"]]
    assert [len(page) for page in refs] == [2, 1]


@pytest.mark.parametrize(
    ("top", "size", "rows", "more"), [(3, 20, 3, False), (10, 10, 10, False), (5, 2, 2, True), (0, 5, 0, False)]
)
async def test_top_beside_a_page_size(client: Client, *, top: int, size: int, rows: int, more: bool) -> None:
    answered = await client.get(f"accounts?$top={top}", Prefer=f"odata.maxpagesize={size}")

    assert (len(answered.rows), "@odata.nextLink" in answered.json) == (rows, more)


async def test_metadata_sets_are_never_paged(client: Client) -> None:
    for url in ("EntityDefinitions?$select=LogicalName", "RelationshipDefinitions?$select=SchemaName"):
        answered = await client.get(url, Prefer="odata.maxpagesize=2")
        assert len(answered.rows) > 50
        assert "@odata.nextLink" not in answered.json
        assert "odata.maxpagesize" not in answered.headers.get("Preference-Applied", "")


@pytest.mark.parametrize(
    "token", ["<cookie", '<cookie pagenumber="0" pagingcookie="" istracking="False" />', "%", "%25", "[]", "2"]
)
async def test_a_token_that_is_none_is_refused(client: Client, token: str) -> None:
    answered = await client.get(f"accounts?$skiptoken={quote(token)}")

    assert answered.status == 400
    assert "first page" in answered.message


# Expansions ---------------------------------------------------------------------------------------------------------


async def test_a_collection_expands_with_all_its_options_for_each_row(client: Client) -> None:
    url = (
        "accounts?$select=name&$filter=contact_customer_accounts/any()&$orderby=accountid&$expand="
        "contact_customer_accounts($select=firstname;$filter=firstname ne 'N26' and startswith(lastname,'l');"
        "$orderby=firstname desc;$top=2;$count=true;$expand=parentcustomerid_account($select=accountid;"
        "$expand=contact_customer_accounts($select=contactid;$top=1)),ownerid($select=ownerid))"
    )
    answered = await client.get(url, Prefer=ALL)

    assert answered.status == 200, answered.text
    first, second = answered.rows
    assert [each["firstname"] for each in first["contact_customer_accounts"]] == ["N24", "N22"]
    assert [each["firstname"] for each in second["contact_customer_accounts"]] == ["N25", "N23"]
    # All that match are counted, whatever $top leaves.
    assert (first["contact_customer_accounts@odata.count"], second["contact_customer_accounts@odata.count"]) == (2, 3)
    inner = first["contact_customer_accounts"][0]
    assert inner["parentcustomerid_account"]["accountid"] == an_id(1)
    assert len(inner["parentcustomerid_account"]["contact_customer_accounts"]) == 1
    assert inner["ownerid"]["ownerid"] == str(LOCAL_USER)
    link = second["contact_customer_accounts@odata.nextLink"]
    again = await client.get(link)
    assert [each["firstname"] for each in again.rows] == ["N25", "N23"]


async def test_a_single_row_expands_as_rows_of_a_list_do(client: Client) -> None:
    options = "$select=firstname;$orderby=firstname;$top=2;$count=true"
    expand = f"$expand=contact_customer_accounts({options}),createdby($select=fullname)"
    one = (await client.get(f"accounts({an_id(2)})?$select=name&{expand}")).json
    listed = (await client.get(f"accounts?$select=name&$filter=accountid eq {an_id(2)}&{expand}")).rows[0]

    del one["@odata.context"]
    assert one == listed
    assert [each["firstname"] for each in one["contact_customer_accounts"]] == ["N21", "N23"]
    assert one["contact_customer_accounts@odata.count"] == 3
    assert one["createdby"]["fullname"] == "Local Developer"


async def test_an_expanded_many_to_many_collection(client: Client) -> None:
    lists = await client.make("lists", listname="All", createdfromcode=1, type=False)
    for number in (1, 2, 3):
        linked = await client.post(
            f"lists({lists})/listaccount_association/$ref", {"@odata.id": f"{ROOT}accounts({an_id(number)})"}
        )
        assert linked.status == 204, linked.text
    expand = "$expand=listaccount_association($select=name;$orderby=accountid desc;$top=2;$count=true)"
    row = (await client.get(f"lists({lists})?$select=listname&{expand}", Prefer=ALL)).json

    assert [each["accountid"] for each in row["listaccount_association"]] == [an_id(3), an_id(2)]
    assert row["listaccount_association@odata.count"] == 3


# Annotations --------------------------------------------------------------------------------------------------------


async def test_every_type_of_column_has_its_label(client: Client) -> None:
    account = await client.make(
        "accounts",
        name="Labels",
        industrycode=1,
        creditonhold=True,
        revenue=1234567.891,
        numberofemployees=1234567,
        address1_latitude=-10.5,
        lastusedincampaign="2026-03-01T00:00:00Z",
        description="plain",
        primarycontactid__bind=f"/contacts({an_id(21)})",
    )
    row = (await client.get(f"accounts({account})", Prefer=ALL)).json
    labels = {name.removesuffix(f"@{LABEL}"): value for name, value in row.items() if name.endswith(f"@{LABEL}")}

    assert labels["industrycode"] == "Accounting"
    assert (labels["statecode"], labels["statuscode"]) == ("Active", "Active")
    assert labels["creditonhold"] == "Yes"
    assert labels["revenue"] == "$1,234,567.89"
    assert labels["numberofemployees"] == "1,234,567"
    assert labels["address1_latitude"] == "-10.50000"
    assert labels["createdon"] == "3/1/2026 12:00 PM"
    assert labels["_primarycontactid_value"] == "N21 Lind"
    assert labels["_createdby_value"] == labels["_ownerid_value"] == "Local Developer"
    assert labels["_transactioncurrencyid_value"] == "US Dollar"
    assert not labels.keys() & {"name", "description", "accountid"}
    assert not [name for name in labels if row[name] is None]
    members = list(row)
    for name in members:
        column, mark, _ = name.rpartition("@")
        if mark and column:
            # An annotation stands just before its column, or before another one of that column.
            following = members[members.index(name) + 1]
            assert following.partition("@")[0] == column


async def test_lookups_to_several_tables_say_which(client: Client) -> None:
    task = await client.make("tasks", subject="Call", regardingobjectid_contact_task__bind=f"/contacts({an_id(21)})")
    contact = (await client.get(f"contacts({an_id(21)})", Prefer=ALL)).json
    row = (await client.get(f"tasks({task})", Prefer='odata.include-annotations="Microsoft.Dynamics.CRM.*"')).json

    assert contact[f"_parentcustomerid_value@{CRM}.lookuplogicalname"] == "account"
    assert contact[f"_parentcustomerid_value@{CRM}.associatednavigationproperty"] == "parentcustomerid_account"
    assert row[f"_regardingobjectid_value@{CRM}.lookuplogicalname"] == "contact"
    assert row[f"_regardingobjectid_value@{CRM}.associatednavigationproperty"].startswith("regardingobjectid_contact")
    assert not [name for name in row if name.endswith(LABEL)]


async def test_rows_that_are_written_and_rows_within_rows_are_annotated(client: Client) -> None:
    made = await client.post("accounts?$select=name,statecode", {"name": "New"}, Prefer=f"return=representation,{ALL}")
    nested = await client.get(
        f"contacts({an_id(21)})?$select=firstname&$expand=parentcustomerid_account($select=numberofemployees,statecode)",
        Prefer=f'odata.include-annotations="{LABEL}"',
    )

    assert made.json[f"statecode@{LABEL}"] == "Active"
    assert nested.json["parentcustomerid_account"][f"statecode@{LABEL}"] == "Active"
    assert nested.headers["Preference-Applied"] == f'odata.include-annotations="{LABEL}"'


async def test_lists_tell_their_count_and_the_version_of_the_schema(client: Client) -> None:
    bare = (await client.get("accounts", Prefer=ALL)).json
    counted = (await client.get("accounts?$count=true&$top=2", Prefer=ALL)).json
    plain = (await client.get("accounts")).json

    assert (bare[f"@{CRM}.totalrecordcount"], bare[f"@{CRM}.totalrecordcountlimitexceeded"]) == (-1, False)
    assert (counted[f"@{CRM}.totalrecordcount"], counted["@odata.count"]) == (10, 10)
    assert bare[f"@{CRM}.globalmetadataversion"] == counted[f"@{CRM}.globalmetadataversion"]
    assert [name for name in plain if "@" in name] == ["@odata.context"]


# FetchXML -----------------------------------------------------------------------------------------------------------


async def fetched_pages(client: Client, body: str, *, count: int) -> list[list[dict[str, Any]]]:
    """Return the pages of a FetchXML, the cookie sent back as clients do: decoded, and escaped as XML is."""
    pages: list[list[dict[str, Any]]] = []
    cookie = ""
    while True:
        text = f"<fetch count='{count}' page='{len(pages) + 1}' {cookie}>{body}</fetch>"
        answered = await client.get(f"accounts?fetchXml={quote(text)}", Prefer=ALL)
        assert answered.status == 200, answered.text
        pages.append(answered.rows)
        element = answered.json.get(f"@{CRM}.fetchxmlpagingcookie")
        assert (element is None) == (f"@{CRM}.morerecords" not in answered.json)
        if element is None:
            return pages
        assert f'pagenumber="{len(pages) + 1}"' in element
        found = re.search(r'pagingcookie="([^"]*)"', element)
        assert found is not None
        inner = unquote(unquote(found[1]))
        assert inner.startswith(f'<cookie page="{len(pages)}">')
        escaped = inner.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;").replace('"', "&quot;")
        cookie = f"paging-cookie='{escaped}'"
        assert len(pages) < 50


@pytest.mark.parametrize("count", [1, 3, 5, 10, 11])
@pytest.mark.parametrize(
    "order",
    [
        "",
        "<order attribute='name'/>",
        "<order attribute='numberofemployees' descending='true'/><order attribute='name'/>",
    ],
)
async def test_cookies_lead_to_the_last_page_whatever_stands_in_them(client: Client, order: str, count: int) -> None:
    body = f"<entity name='account'><attribute name='name'/>{order}</entity>"
    whole = await fetched_pages(client, body, count=5000)
    pages = await fetched_pages(client, body, count=count)

    assert [row for page in pages for row in page] == whole[0]
    assert [len(page) for page in pages] == [count] * (10 // count) + ([10 % count] if 10 % count else [])


async def test_cookies_lead_through_joins(client: Client) -> None:
    body = (
        "<entity name='account'><attribute name='name'/><order attribute='name'/>"
        "<link-entity name='contact' from='parentcustomerid' to='accountid' alias='c' link-type='outer'>"
        "<attribute name='firstname'/><order attribute='firstname'/></link-entity></entity>"
    )
    whole = (await fetched_pages(client, body, count=5000))[0]
    pages = await fetched_pages(client, body, count=4)

    assert len(whole) == 14
    assert [row for page in pages for row in page] == whole


async def test_distinct_and_aggregates_are_paged_without_a_position(client: Client) -> None:
    body = "<entity name='account'><attribute name='numberofemployees'/><order attribute='numberofemployees'/></entity>"
    found, page = [], 1
    while True:
        text = f"<fetch distinct='true' count='3' page='{page}'>{body}</fetch>"
        answered = await client.get(f"accounts?fetchXml={quote(text)}", Prefer=ALL)
        found += [row.get("numberofemployees") for row in answered.rows]
        assert "accountid" not in answered.rows[0]
        if f"@{CRM}.morerecords" not in answered.json:
            break
        page += 1
    assert found == [None, 0, 1, 2]


@pytest.mark.parametrize(
    ("attributes", "rows", "count"),
    [
        ("top='3'", 3, None),
        ("page='1'", 10, None),
        ("page='2'", 0, None),
        ("count='4' returntotalrecordcount='true'", 4, 10),
        ("version='1.0' mapping='logical' output-format='xml-platform' no-lock='true'", 10, None),
    ],
)
async def test_attributes_of_fetch(client: Client, attributes: str, rows: int, count: int | None) -> None:
    text = f"\r\n <fetch {attributes}>\n\t<entity name=\"account\">\r\n<attribute name='name'/></entity></fetch>\n "
    answered = await client.get(f"accounts?fetchXml={quote(text)}", Prefer=ALL)

    assert answered.status == 200, answered.text
    assert len(answered.rows) == rows
    assert answered.json.get("@odata.count") == count
    assert all(row["accountid"] for row in answered.rows)


async def test_rows_of_fetch_have_etags_and_no_columns_nobody_asked_for(client: Client) -> None:
    text = (
        "<fetch top='1'><entity name='account'><attribute name='name'/><order attribute='accountid'/></entity></fetch>"
    )
    (row,) = (await client.get(f"accounts?fetchXml={quote(text)}")).rows

    assert row.keys() == {"@odata.etag", "name", "accountid"}
    assert row["@odata.etag"] == (await client.get(f"accounts({an_id(1)})")).headers["ETag"]
