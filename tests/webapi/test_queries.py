"""Queries over the Web API: filters, pages, rows within rows, FetchXML, labels (web-api-wire, sections 13 to 16)."""

import re
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import pytest

from asyncservice.webapi.exchange import Address, Request
from tests.webapi.calling import ORG, ROOT, Client, a_client

LABEL = "OData.Community.Display.V1.FormattedValue"
ALL = 'odata.include-annotations="*"'


@pytest.fixture
async def client() -> Client:
    """Seven accounts, A to G, with revenue 100 to 700; the first is the parent of three contacts."""
    client = await a_client()
    for number, name in enumerate("ABCDEFG", start=1):
        await client.make(
            "accounts", accountid=an_id(number), name=name, revenue=number * 100, numberofemployees=number % 2
        )
    for number in (11, 12, 13):
        await client.make(
            "contacts",
            contactid=an_id(number),
            firstname=f"N{number}",
            lastname="Lind",
            parentcustomerid_account__bind=f"/accounts({an_id(1)})",
        )
    return client


def an_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


async def test_a_list_has_the_columns_selected_and_the_key(client: Client) -> None:
    answered = await client.get("accounts?$select=name,revenue&$filter=revenue gt 500&$orderby=name desc")

    assert answered.json["@odata.context"] == f"{ROOT}$metadata#accounts(name,revenue)"
    assert [row["name"] for row in answered.rows] == ["G", "F"]
    assert answered.rows[0].keys() == {"@odata.etag", "name", "revenue", "accountid"}


async def test_unset_columns_are_null_with_and_without_select(client: Client) -> None:
    selected = (await client.get("accounts?$select=fax,_parentaccountid_value")).rows[0]
    whole = (await client.get("accounts")).rows[0]

    assert (selected["fax"], selected["_parentaccountid_value"]) == (None, None)
    assert (whole["fax"], whole["_parentaccountid_value"]) == (None, None)


@pytest.mark.parametrize("options", ["", "&$orderby=name desc", "&$orderby=numberofemployees", "&$filter=revenue gt 0"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_hold_every_row_once_and_the_last_has_no_link(client: Client, options: str, size: int) -> None:
    url, found, tokens = f"accounts?$select=name{options}", [], set()
    while True:
        page = await client.get(url, Prefer=f"odata.maxpagesize={size}")
        assert page.status == 200, page.text
        assert page.headers["Preference-Applied"] == f"odata.maxpagesize={size}"
        found += [row["name"] for row in page.rows]
        link = page.json.get("@odata.nextLink")
        if link is None:
            break
        assert len(page.rows) == size
        assert link.startswith(f"{ROOT}accounts?$select=name")
        token = re.search(r"pagingcookie=\"([^\"]+)\"", unquote(link.rpartition("$skiptoken=")[2]))
        assert token is not None
        assert token[1] not in tokens
        tokens.add(token[1])
        url = link
    assert sorted(found) == list("ABCDEFG")
    assert len(tokens) == (7 - 1) // size


async def test_a_link_keeps_the_page_size_and_survives_decoding_and_a_trailing_slash(client: Client) -> None:
    link = (await client.get("accounts?$select=name&$orderby=name", Prefer="odata.maxpagesize=2")).json[
        "@odata.nextLink"
    ]
    base, _, token = link.rpartition("$skiptoken=")

    for spelled in (link, f"{link}/", f"{base}%24skiptoken={token}", base + "$skiptoken=" + quote(unquote(token))):
        answered = await client.api.answer(raw_get(spelled))
        assert b'"C"' in answered.body, (spelled, answered.body)
        assert answered.body.count(b"@odata.etag") == 2


def raw_get(link: str) -> Request:
    path, _, query = link.removeprefix(ROOT).partition("?")
    return Request(method="GET", path=path, query=query, address=Address(ORG, "v9.2"))


async def test_top_cuts_without_a_link_and_a_smaller_page_wins(client: Client) -> None:
    cut = await client.get("accounts?$top=3")
    paged = await client.get("accounts?$top=5", Prefer="odata.maxpagesize=2")

    assert (len(cut.rows), "@odata.nextLink" in cut.json) == (3, False)
    assert (len(paged.rows), "@odata.nextLink" in paged.json) == (2, True)


async def test_rows_are_counted_whatever_the_page(client: Client) -> None:
    counted = await client.get("accounts?$count=true&$filter=revenue le 300", Prefer="odata.maxpagesize=1")
    bare = await client.get("accounts/$count")
    filtered = await client.get("accounts/$count?$filter=revenue le 300")

    assert counted.json["@odata.count"] == 3
    assert (bare.text, bare.headers["Content-Type"]) == ("7", "text/plain")
    assert filtered.text == "3"


async def test_a_collection_is_a_set_of_its_own(client: Client) -> None:
    members = f"accounts({an_id(1)})/contact_customer_accounts"

    listed = await client.get(f"{members}?$select=firstname&$filter=firstname ne 'N12'&$orderby=firstname desc")
    counted = await client.get(f"{members}/$count")
    none = await client.get(f"accounts({an_id(2)})/contact_customer_accounts")
    missing = await client.get(f"accounts({an_id(99)})/contact_customer_accounts")

    assert [row["firstname"] for row in listed.rows] == ["N13", "N11"]
    assert counted.text == "3"
    assert none.rows == []
    assert missing.status == 404


async def test_rows_expand_to_rows_in_both_directions(client: Client) -> None:
    await client.patch(f"accounts({an_id(1)})", {"primarycontactid@odata.bind": f"/contacts({an_id(12)})"})

    answered = await client.get(
        "accounts?$select=name&$orderby=name&$top=2&$expand=primarycontactid($select=firstname;"
        "$expand=parentcustomerid_account($select=name)),"
        "contact_customer_accounts($select=firstname;$orderby=firstname desc;$top=2)"
    )

    first, second = answered.rows
    assert first["primarycontactid"]["firstname"] == "N12"
    assert first["primarycontactid"]["parentcustomerid_account"]["name"] == "A"
    assert [row["firstname"] for row in first["contact_customer_accounts"]] == ["N13", "N12"]
    link = first["contact_customer_accounts@odata.nextLink"]
    assert link.startswith(f"{ROOT}accounts({an_id(1)})/contact_customer_accounts?$select=firstname")
    again = await client.get(link.removeprefix(ROOT))
    assert [row["firstname"] for row in again.rows] == ["N13", "N12"]
    assert (second["primarycontactid"], second["contact_customer_accounts"]) == (None, [])
    assert "_primarycontactid_value" not in first


async def test_references_can_be_expanded(client: Client) -> None:
    answered = await client.get(f"accounts({an_id(1)})?$select=name&$expand=contact_customer_accounts/$ref")

    assert sorted(row["@odata.id"] for row in answered.json["contact_customer_accounts"]) == [
        f"{ROOT}contacts({an_id(number)})" for number in (11, 12, 13)
    ]


async def test_labels_come_when_they_are_asked_for_just_before_their_column(client: Client) -> None:
    await client.patch(
        f"accounts({an_id(1)})",
        {
            "industrycode": 1,
            "creditonhold": False,
            "revenue": 20000,
            "numberofemployees": 1234,
            "primarycontactid@odata.bind": f"/contacts({an_id(12)})",
        },
    )
    url = f"accounts?$filter=accountid eq {an_id(1)}"

    plain = (await client.get(url)).rows[0]
    answered = await client.get(url, Prefer=ALL)
    row = answered.rows[0]

    assert not [name for name in plain if "@" in name and name != "@odata.etag"]
    assert answered.headers["Preference-Applied"] == ALL
    assert row[f"industrycode@{LABEL}"] == "Accounting"
    assert row[f"statecode@{LABEL}"] == "Active"
    assert row[f"creditonhold@{LABEL}"] == "No"
    assert row[f"revenue@{LABEL}"] == "$20,000.00"
    assert row[f"numberofemployees@{LABEL}"] == "1,234"
    assert row[f"createdon@{LABEL}"] == "3/1/2026 12:00 PM"
    assert row[f"_primarycontactid_value@{LABEL}"] == "N12 Lind"
    assert row[f"_ownerid_value@{LABEL}"] == "Local Developer"
    assert row["_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "systemuser"
    assert row["_ownerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"] == "ownerid"
    assert f"name@{LABEL}" not in row
    assert f"fax@{LABEL}" not in row
    names = list(row)
    assert names[names.index("industrycode") - 1] == f"industrycode@{LABEL}"
    assert answered.json["@Microsoft.Dynamics.CRM.totalrecordcount"] == -1
    assert answered.json["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] is False


async def test_one_kind_of_annotation_may_be_asked_for(client: Client) -> None:
    row = (await client.get("contacts", Prefer=f"odata.include-annotations={LABEL}")).rows[0]
    other = (await client.get("contacts", Prefer='odata.include-annotations="Microsoft.Dynamics.CRM.*"')).rows[0]

    assert row[f"_parentcustomerid_value@{LABEL}"] == "A"
    assert "_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname" not in row
    assert other["_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    assert f"_parentcustomerid_value@{LABEL}" not in other


async def test_aggregates_are_plain_objects(client: Client) -> None:
    answered = await client.get(
        "accounts?$apply=groupby((numberofemployees),aggregate(revenue with sum as total,$count as n))"
    )

    found = {row["numberofemployees"]: (row["total"], row["n"]) for row in answered.rows}
    assert found == {0: (1200, 3), 1: (1600, 4)}
    assert "@odata.etag" not in answered.rows[0]


FETCH = (
    '<fetch count="2" page="{page}"{cookie}><entity name="account"><attribute name="name"/><attribute name="fax"/>'
    '<order attribute="name"/></entity></fetch>'
)


async def test_fetch_pages_by_cookie_until_there_is_none(client: Client) -> None:
    found, cookie, page = [], "", 1
    while True:
        text = FETCH.format(page=page, cookie=cookie)
        answered = await client.get("accounts?fetchXml=" + quote(text), Prefer=ALL)
        assert answered.status == 200, answered.text
        found += [row["name"] for row in answered.rows]
        assert "fax" not in answered.rows[0]
        assert "@odata.nextLink" not in answered.json
        element = answered.json.get("@Microsoft.Dynamics.CRM.fetchxmlpagingcookie")
        if element is None:
            break
        assert answered.json["@Microsoft.Dynamics.CRM.morerecords"] is True
        decoded = unquote(unquote(element))
        inner = re.search(rf'pagingcookie="(<cookie page="{page}">.*</cookie>)"', decoded)
        assert inner is not None, decoded
        page += 1
        assert f'pagenumber="{page}"' in element
        cookie = f' paging-cookie="{escape(inner[1], {chr(34): "&quot;"})}"'
    assert found == list("ABCDEFG")
    assert "@Microsoft.Dynamics.CRM.morerecords" not in answered.json


async def test_fetch_names_linked_columns_by_their_link(client: Client) -> None:
    text = (
        "<fetch><entity name='contact'><attribute name='firstname'/><attribute name='parentcustomerid'/>"
        "<filter><condition attribute='firstname' operator='eq' value='n11'/></filter>"
        "<link-entity name='account' from='accountid' to='parentcustomerid' alias='a'><attribute name='name'/>"
        "<attribute name='statecode' alias='state'/></link-entity></entity></fetch>"
    )

    (row,) = (await client.get("contacts?fetchXml=" + quote(text), Prefer=ALL)).rows

    assert row["a.name"] == "A"
    assert (row["state"], row[f"state@{LABEL}"]) == (0, "Active")
    assert row["_parentcustomerid_value"] == an_id(1)
    assert row["contactid"] == an_id(11)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("accounts?fetchXml=" + quote("<fetch><entity name='contact'/></fetch>"), 400),
        ("accounts?fetchXml=" + quote("<fetch"), 400),
        ("accounts?fetchXml=" + quote("<fetch><entity name='account'><attribute name='nmae'/></entity></fetch>"), 400),
        ("accounts?$filter=nmae eq 'x'", 400),
        ("accounts?$filter=name eq", 400),
        ("accounts?$orderby=nmae", 400),
        ("accounts?$expand=nosuch", 400),
        ("accounts?$top=x", 400),
        ("accounts?$skiptoken=x", 400),
        ("accounts?$nonsense=1", 400),
        ("accounts?sql=SELECT name FROM contact", 400),
        ("accounts?sql=DELETE FROM account", 400),
        ("accounts?savedQuery=00000000-0000-0000-0000-000000000001", 501),
        ("accounts?tag=1&api-version=2", 200),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_a_sentence(client: Client, url: str, status: int) -> None:
    answered = await client.get(url)

    assert answered.status == status, answered.text
    if status != 200:
        assert answered.message
        assert re.fullmatch("0x[0-9a-f]{8}", answered.code)
