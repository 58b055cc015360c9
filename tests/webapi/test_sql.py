"""SQL over the Web API: rows as they are selected, pages, labels, refusals."""


# ruff: noqa: S608 - no database runs these statements

from urllib.parse import quote

import pytest

from tests.webapi.calling import ROOT, Client, a_client

LABEL = "OData.Community.Display.V1.FormattedValue"


def sql(text: str, set_name: str = "accounts") -> str:
    return f"{set_name}?sql={quote(text, safe='')}"


@pytest.fixture
async def client() -> Client:
    client = await a_client()
    for number in range(7):
        await client.make("accounts", name=f"N{number}", numberofemployees=number % 2, industrycode=1)
    await client.make("accounts", name="O'Neill & Söhne 100%", revenue=12.5)
    return client


async def test_rows_hold_what_is_selected_and_nothing_else(client: Client) -> None:
    text = "SELECT name, revenue, numberofemployees AS staff FROM account WHERE name = 'O''Neill & Söhne 100%'"
    answered = await client.get(sql(text))
    assert answered.status == 200, answered.text
    assert answered.json["@odata.context"] == f"{ROOT}$metadata#accounts"
    assert answered.rows == [{"name": "O'Neill & Söhne 100%", "revenue": 12.5, "staff": None}]
    assert "@odata.nextLink" not in answered.json


async def test_lookups_go_by_their_name_with_labels_beside_them(client: Client) -> None:
    parent = await client.make("accounts", name="Above")
    await client.make("accounts", name="Below", parentaccountid__bind=f"/accounts({parent})")
    text = "SELECT parentaccountid, statecode AS state FROM account WHERE name = 'Below'"
    (row,) = (await client.get(sql(text), Prefer='odata.include-annotations="*"')).rows
    assert row["parentaccountid"] == parent
    assert row[f"parentaccountid@{LABEL}"] == "Above"
    assert (row["state"], row[f"state@{LABEL}"]) == (0, "Active")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "SELECT name FROM account WHERE name LIKE 'N%' ORDER BY name DESC",
            ["N6", "N5", "N4", "N3", "N2", "N1", "N0"],
        ),
        ("SELECT TOP 5 name FROM account ORDER BY name", ["N0", "N1", "N2", "N3", "N4"]),
        ("SELECT DISTINCT name FROM account WHERE name LIKE 'N%' ORDER BY name", [f"N{each}" for each in range(7)]),
        (
            "SELECT name, COUNT(*) AS n FROM account GROUP BY name ORDER BY name",
            [*(f"N{each}" for each in range(7)), "O"],
        ),
    ],
)
async def test_pages_follow_each_other_to_the_end(client: Client, text: str, found: list[str]) -> None:
    url, pages, links = sql(text), list[list[str]](), set[str]()
    while url:
        answered = await client.get(url, Prefer="odata.maxpagesize=3")
        assert answered.status == 200, answered.text
        assert answered.headers["Preference-Applied"] == "odata.maxpagesize=3"
        pages.append([row["name"].partition("'")[0] for row in answered.rows])
        assert url not in links
        links.add(url)
        url = answered.json.get("@odata.nextLink", "")
    assert [name for page in pages for name in page] == found
    assert all(len(page) == 3 for page in pages[:-1])


async def test_aggregates_are_plain_numbers(client: Client) -> None:
    text = "SELECT numberofemployees, COUNT(*) AS n FROM account GROUP BY numberofemployees ORDER BY n DESC"
    assert (await client.get(sql(text))).rows == [
        {"numberofemployees": 0, "n": 4},
        {"numberofemployees": 1, "n": 3},
        {"numberofemployees": None, "n": 1},
    ]


@pytest.mark.parametrize(
    "url",
    [
        sql("SELECT name FROM account", "contacts"),
        sql("SELECT * FROM account"),
        sql("SELECT nosuch FROM account"),
        sql("SELECT name FROM nosuch"),
        sql("DROP TABLE account"),
        sql("SELECT name FROM account WHERE name = 'x"),
        sql("SELECT name FROM account WHERE " + "(" * 3000),
        sql(""),
        sql("SELECT name FROM account") + "&$skiptoken=x",
    ],
)
async def test_what_is_refused_is_told(client: Client, url: str) -> None:
    answered = await client.get(url)
    assert answered.status == 400, answered.text
    assert answered.message
    assert answered.code.startswith("0x")


async def test_jobs_are_asked_for_in_sql_too(client: Client) -> None:
    text = "SELECT asyncoperationid, name, statecode FROM asyncoperation WHERE statecode = 0"
    answered = await client.get(sql(text, "asyncoperations"))
    assert (answered.status, answered.rows) == (200, [])
