"""SQL: what a SELECT means, with SQL's own logic of null, and what is refused and how."""

# ruff: noqa: S608 - no database runs these statements

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncservice.organization.errorcodes import OrganizationErrorCode as Code
from asyncservice.organization.errors import NoSuchAttribute, NoSuchEntity, OrganizationError
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.evaluation import run
from asyncservice.organization.query.model import Asker, LinkType, Paging
from asyncservice.organization.query.sql import read_sql
from asyncservice.organization.query.sqltext import MAX_SQL_DEPTH, MAX_SQL_LENGTH
from asyncservice.organization.values import RecordValue, Reference
from tests.organization.query.rows import CATALOG, ListedTables
from tests.support import NOON


def an_id(number: int) -> UUID:
    return UUID(int=number)


def accounts() -> list[dict[str, RecordValue]]:
    facts: list[tuple[str, int | None, str | None, int]] = [
        ("Apple", 10, "Malmö", 1),
        ("Banana", 20, "Lund", 1),
        ("Cherry", None, "Malmö", 2),
        ("Damson", 40, None, 2),
        ("100% juice", 50, "Lund", 2),
    ]
    rows: list[dict[str, RecordValue]] = []
    for number, (name, employees, city, industry) in enumerate(facts, 1):
        row: dict[str, RecordValue] = {"accountid": an_id(number), "name": name, "industrycode": industry}
        row["createdon"] = NOON
        row["revenue"] = Decimal(number * 100)
        if employees is not None:
            row["numberofemployees"] = employees
        if city is not None:
            row["address1_city"] = city
        rows.append(row)
    rows[1]["parentaccountid"] = Reference("account", an_id(1))
    rows[2]["parentaccountid"] = Reference("account", an_id(2))
    return rows


def contacts() -> list[dict[str, RecordValue]]:
    def contact(number: int, name: str, of: int, state: int) -> dict[str, RecordValue]:
        return {
            "contactid": an_id(number),
            "fullname": name,
            "parentcustomerid": Reference("account", an_id(of)),
            "statecode": state,
        }

    return [contact(11, "Ada", 1, 0), contact(12, "Bo", 1, 1), contact(13, "Cy", 2, 1)]


def tasks() -> list[dict[str, RecordValue]]:
    return [
        {"activityid": an_id(21), "subject": "Call", "regardingobjectid": Reference("contact", an_id(11))},
        {"activityid": an_id(22), "subject": "Write", "regardingobjectid": Reference("contact", an_id(13))},
    ]


TABLES = ListedTables(account=accounts(), contact=contacts(), task=tasks())


async def answer(text: str, paging: Paging | None = None) -> list[dict[str, RecordValue | None]]:
    """Return the rows of a statement, under the names it gives."""
    asked = read_sql(text, CATALOG, paging=paging)
    result = await run(asked.query, Asker(now=NOON, user_id=an_id(99)), TABLES)
    return [{member: row.get(key) for member, key in asked.members.items()} for row in result.rows]


async def names(where: str) -> str:
    """Return the first letters of the accounts that a condition is true of, in their order."""
    return "".join(str(row["name"])[0] for row in await answer(f"SELECT name FROM account WHERE {where} ORDER BY name"))


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("name = 'apple'", "A"),
        ("'apple' = name", "A"),
        ("name <> 'Apple'", "1BCD"),
        ("name != N'Apple'", "1BCD"),
        ("numberofemployees < 40", "AB"),
        ("40 > numberofemployees", "AB"),
        ("numberofemployees >= 40", "1D"),
        ("40 <= numberofemployees", "1D"),
        ("numberofemployees <= 40.0 AND numberofemployees > -1", "ABD"),
        ("name LIKE 'b%'", "B"),
        ("name LIKE '%[%]%'", "1"),
        ("name LIKE '_herr[x-z]'", "C"),
        ("name NOT LIKE '%an%'", "1ACD"),
        ("name IN ('Apple', 'Damson', 'nobody')", "AD"),
        ("name NOT IN ('Apple', 'Damson')", "1BC"),
        ("numberofemployees BETWEEN 20 AND 40", "BD"),
        ("numberofemployees NOT BETWEEN 20 AND 40", "1A"),
        ("name BETWEEN 'b' AND 'cz'", "BC"),
        ("address1_city IS NULL", "D"),
        ("address1_city IS NOT NULL", "1ABC"),
        ("NOT address1_city IS NULL", "1ABC"),
        ("name = 'Apple' OR name = 'Banana' AND numberofemployees = 10", "A"),
        ("(name = 'Apple' OR name = 'Banana') AND numberofemployees = 20", "B"),
        ("createdon = '2025-01-01' OR name = 'Apple'", "A"),
        ("parentaccountid = '00000000-0000-0000-0000-000000000001'", "B"),
        ("accountid = parentaccountid", ""),
        # What has no value is neither equal nor different.
        ("numberofemployees <> 10", "1BD"),
        ("NOT numberofemployees = 10", "1BD"),
        ("NOT (numberofemployees <> 10)", "A"),
        ("address1_city NOT LIKE 'M%'", "1B"),
        ("address1_city NOT IN ('Malmö')", "1B"),
        ("NOT (numberofemployees > 10 AND address1_city = 'Lund')", "AC"),
        ("NOT (numberofemployees > 10 OR address1_city = 'Lund')", "A"),
        ("accountid <> parentaccountid", "BC"),
        ("NOT accountid = parentaccountid", "BC"),
    ],
)
async def test_conditions_mean_what_they_mean_in_sql(where: str, found: str) -> None:
    assert await names(where) == found


async def test_a_day_is_its_first_moment() -> None:
    day = NOON.date().isoformat()
    assert await names(f"createdon >= '{day}'") == "1ABCD"
    assert await names(f"createdon <= '{day}'") == ""
    assert await names(f"createdon BETWEEN '{day}' AND '{day} 12:00:00'") == "1ABCD"


async def test_rows_hold_what_is_selected_under_its_name() -> None:
    rows = await answer(
        "select [name], NumberOfEmployees AS staff, a.industrycode from dbo.Account AS A order by STAFF"
    )
    assert [row["staff"] for row in rows] == [None, 10, 20, 40, 50]
    assert rows[0] == {"name": "Cherry", "staff": None, "industrycode": 2}


async def test_order_is_by_name_place_or_column() -> None:
    by_place = await answer("SELECT TOP 2 name, numberofemployees FROM account ORDER BY 2 DESC")
    by_column = await answer("SELECT TOP (2) name FROM account ORDER BY account.numberofemployees DESC, name ASC")
    assert [row["name"] for row in by_place] == [row["name"] for row in by_column] == ["100% juice", "Damson"]


async def test_distinct_rows_come_once() -> None:
    rows = await answer("SELECT DISTINCT address1_city AS city FROM account WHERE address1_city IS NOT NULL ORDER BY 1")
    assert rows == [{"city": "Lund"}, {"city": "Malmö"}]


async def test_an_inner_join_leaves_out_whom_nobody_joins() -> None:
    rows = await answer(
        "SELECT a.name, c.fullname FROM account a JOIN contact c ON a.accountid = c.parentcustomerid ORDER BY 2"
    )
    assert [tuple(row.values()) for row in rows] == [("Apple", "Ada"), ("Apple", "Bo"), ("Banana", "Cy")]


async def test_a_left_join_keeps_them_and_its_own_condition_counts_before() -> None:
    joined = "FROM account a LEFT OUTER JOIN contact c ON c.parentcustomerid = a.accountid"
    rows = await answer(f"SELECT name, fullname {joined} AND c.statecode = 0 ORDER BY name")
    assert [row["fullname"] for row in rows] == [None, "Ada", None, None, None]
    rows = await answer(f"SELECT name {joined} WHERE c.contactid IS NULL ORDER BY name")
    assert [row["name"] for row in rows] == ["100% juice", "Cherry", "Damson"]


async def test_a_table_joins_itself() -> None:
    rows = await answer(
        "SELECT child.name, parent.name AS above FROM account child "
        "LEFT JOIN account parent ON child.parentaccountid = parent.accountid ORDER BY child.name"
    )
    assert [row["above"] for row in rows] == [None, None, "Apple", "Banana", None]


async def test_an_inner_join_to_what_may_be_missing_asks_for_it() -> None:
    text = (
        "SELECT a.name, t.subject FROM account a LEFT JOIN contact c ON c.parentcustomerid = a.accountid "
        "{} JOIN task t ON t.regardingobjectid = c.contactid ORDER BY a.name, t.subject"
    )
    inner = await answer(text.format("INNER"))
    assert [(row["name"], row["subject"]) for row in inner] == [("Apple", "Call"), ("Banana", "Write")]
    outer = await answer(text.format("LEFT"))
    assert len(outer) == 6
    link = read_sql(text.format("LEFT"), CATALOG).query.links[0]
    assert (link.type, link.links[0].type) == (LinkType.OUTER, LinkType.OUTER)


async def test_aggregates_are_made_of_groups() -> None:
    rows = await answer(
        "SELECT industrycode, COUNT(*) AS n, COUNT(numberofemployees) AS known, "
        "COUNT(DISTINCT address1_city) AS cities, SUM(revenue) AS total, AVG(revenue) AS mean, "
        "MIN(name) AS first, MAX(numberofemployees) AS most FROM account GROUP BY industrycode ORDER BY COUNT(*) DESC"
    )
    assert rows == [
        {
            "industrycode": 2,
            "n": 3,
            "known": 2,
            "cities": 2,
            "total": Decimal(1200),
            "mean": Decimal(400),
            "first": "100% juice",
            "most": 50,
        },
        {
            "industrycode": 1,
            "n": 2,
            "known": 2,
            "cities": 2,
            "total": Decimal(300),
            "mean": Decimal(150),
            "first": "Apple",
            "most": 20,
        },
    ]


async def test_groups_are_ordered_by_what_is_not_shown() -> None:
    rows = await answer("SELECT COUNT(*) AS n FROM account GROUP BY industrycode ORDER BY industrycode")
    assert rows == [{"n": 2}, {"n": 3}]
    rows = await answer("SELECT industrycode FROM account GROUP BY industrycode ORDER BY MAX(revenue) DESC")
    assert rows == [{"industrycode": 2}, {"industrycode": 1}]


async def test_groups_of_joined_rows() -> None:
    rows = await answer(
        "SELECT a.name, COUNT(c.contactid) as cnt FROM account a JOIN contact c ON a.accountid = c.parentcustomerid "
        "GROUP BY a.name ORDER BY cnt DESC"
    )
    assert rows == [{"name": "Apple", "cnt": 2}, {"name": "Banana", "cnt": 1}]


async def test_aggregates_that_nobody_names_are_called_by_function_and_column() -> None:
    rows = await answer("SELECT COUNT(*), SUM(revenue), COUNT(name) FROM account")
    assert rows == [{"count": 5, "sum_revenue": Decimal(1500), "count_name": 5}]


async def test_pages_add_up_to_the_top() -> None:
    pages = [
        await answer("SELECT TOP 4 name FROM account ORDER BY name", Paging(number=number, size=3))
        for number in (1, 2, 3)
    ]
    assert [[str(row["name"])[0] for row in page] for page in pages] == [["1", "A", "B"], ["C"], []]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is empty"),
        ("SELECT", "FROM"),
        ("SELECT name", "FROM"),
        ("SELECT * FROM account", "SELECT *"),
        ("SELECT a.* FROM account a", "SELECT *"),
        ("DELETE FROM account", "anything but a SELECT"),
        ("UPDATE account SET name = 'x'", "anything but a SELECT"),
        ("EXEC sp_who", "anything but a SELECT"),
        ("SELECT name FROM account; DROP TABLE account", "2 statements"),
        ("SELECT name INTO other FROM account", "INTO"),
        ("WITH x AS (SELECT name FROM account) SELECT name FROM x", "WITH"),
        ("SELECT name FROM account UNION SELECT fullname FROM contact", "UNION"),
        ("SELECT COUNT(*) FROM account GROUP BY name HAVING COUNT(*) > 1", "HAVING"),
        ("SELECT name FROM account WHERE name IN (SELECT fullname FROM contact)", "sub-query"),
        ("SELECT name FROM account WHERE EXISTS (SELECT fullname FROM contact)", "sub-query"),
        ("SELECT name FROM (SELECT name FROM account) x", "sub-query"),
        ("SELECT (SELECT fullname FROM contact) FROM account", "sub-query"),
        ("SELECT name FROM account a RIGHT JOIN contact c ON a.accountid = c.parentcustomerid", "LEFT JOIN"),
        ("SELECT name FROM account a FULL OUTER JOIN contact c ON a.accountid = c.parentcustomerid", "LEFT JOIN"),
        ("SELECT name FROM account CROSS JOIN contact", "LEFT JOIN"),
        ("SELECT name FROM account, contact", "LEFT JOIN"),
        ("SELECT name FROM account JOIN contact ON 1 = 1", "which column"),
        ("SELECT name FROM account a JOIN contact c ON a.accountid > c.parentcustomerid", "which column"),
        ("SELECT a.name FROM account a JOIN contact c ON a.accountid = c.parentcustomerid AND a.name = 'x'", "WHERE"),
        ("SELECT name FROM account a JOIN contact c ON a.name = c.birthdate", "compared"),
        ("SELECT a.name FROM account a JOIN account a ON a.accountid = a.parentaccountid", "alias"),
        ("SELECT TOP 10 PERCENT name FROM account", "PERCENT"),
        ("SELECT TOP 1 WITH TIES name FROM account ORDER BY name", "TIES"),
        ("SELECT TOP 99999999999999999999 name FROM account", "TOP"),
        ("SELECT name FROM account LIMIT 5", "TOP"),
        ("SELECT name FROM account ORDER BY name OFFSET 1 ROWS", "OFFSET"),
        ("SELECT UPPER(name) FROM account", "UPPER"),
        ("SELECT name + 'x' FROM account", "name + 'x'"),
        ("SELECT CASE WHEN name = 'x' THEN 1 END FROM account", "CASE"),
        ("SELECT ROW_NUMBER() OVER (ORDER BY name) FROM account", "OVER"),
        ("SELECT SUM(*) FROM account", "COUNT"),
        ("SELECT SUM(DISTINCT revenue) FROM account", "DISTINCT"),
        ("SELECT name, COUNT(*) FROM account", "GROUP BY"),
        ("SELECT name FROM account GROUP BY industrycode", "GROUP BY"),
        ("SELECT industrycode FROM account GROUP BY industrycode ORDER BY name", "GROUP BY"),
        ("SELECT name FROM account ORDER BY COUNT(*)", "no groups"),
        ("SELECT name FROM account ORDER BY 2", "ORDER BY 2"),
        ("SELECT DISTINCT name FROM account ORDER BY revenue", "DISTINCT"),
        ("SELECT DISTINCT COUNT(*) FROM account GROUP BY name", "DISTINCT"),
        ("SELECT name, name FROM account", "AS"),
        ("SELECT name AS [a b] FROM account", "alias"),
        ("SELECT name FROM account a JOIN account b ON a.parentaccountid = b.accountid", "whose"),
        ("SELECT x.name FROM account", "'x'"),
        ("SELECT name FROM other.account", "schema"),
        ("SELECT name FROM account WITH (TABLOCKX)", "hints"),
        ("SELECT name FROM account OPTION (RECOMPILE)", "options"),
        ("SELECT name FROM account WHERE name = NULL", "IS NULL"),
        ("SELECT name FROM account WHERE name NOT IN ('x', NULL)", "IS NULL"),
        ("SELECT name FROM account WHERE name", "condition"),
        ("SELECT name FROM account WHERE 1 = 1", "column"),
        ("SELECT name FROM account WHERE createdon > GETDATE()", "GETDATE"),
        ("SELECT name FROM account WHERE name LIKE 'x!%' ESCAPE '!'", "ESCAPE"),
        ("SELECT name FROM account WHERE name = @name", "@name"),
        ("SELECT name FROM account WHERE numberofemployees = 'many'", "whole number"),
        ("SELECT name FROM account WHERE accountid = 'x'", "GUID"),
        ("SELECT name FROM account WHERE createdon > 'soon'", "date"),
        ("SELECT name FROM account WHERE numberofemployees LIKE '1%'", "operator"),
        ("SELECT name FROM account WHERE name = 'x", "not closed"),
        ("SELECT name FROM account WHERE (name = 'x'", "line 1"),
        ("SELECT name FROM account WHERE " + "(" * 500 + "name = 'x'" + ")" * 500, "nested"),
        ("SELECT name FROM account WHERE " + "NOT " * 500 + "name = 'x'", "nested"),
        ("SELECT name FROM account WHERE name = '" + "x" * MAX_SQL_LENGTH + "'", "characters"),
        ("SELECT name FROM account WHERE " + " OR ".join(["name = 'x'"] * 501), "501"),
        ("SELECT " + " + ".join(["name"] * 5000) + " FROM account", "in place of a column"),
        ("SELECT name FROM account WHERE name = " + "- " * 19 + "1", "number"),
    ],
)
def test_what_is_not_answered_is_refused_with_a_sentence(text: str, part: str) -> None:
    with pytest.raises(QueryError) as caught:
        read_sql(text, CATALOG)
    assert part in str(caught.value)


def test_names_that_do_not_exist_are_told_as_everywhere() -> None:
    with pytest.raises(NoSuchEntity):
        read_sql("SELECT name FROM nosuch", CATALOG)
    with pytest.raises(NoSuchAttribute):
        read_sql("SELECT nosuch FROM account", CATALOG)
    with pytest.raises(NoSuchAttribute):
        read_sql("SELECT nosuch FROM account JOIN contact ON accountid = parentcustomerid", CATALOG)
    with pytest.raises(QueryError) as caught:
        read_sql("SELECT name FROM account WHERE " + "(" * (MAX_SQL_DEPTH + 1), CATALOG)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_what_is_as_deep_as_allowed_is_read() -> None:
    depth = MAX_SQL_DEPTH - 1
    read_sql("SELECT name FROM account WHERE " + "(" * depth + "name = 'x'" + ")" * depth, CATALOG)


WORDS = [
    *("SELECT", "FROM", "WHERE", "JOIN", "LEFT", "ON", "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL", "AS"),
    *(
        "GROUP",
        "ORDER",
        "BY",
        "TOP",
        "DISTINCT",
        "COUNT",
        "SUM",
        "DESC",
        "account",
        "contact",
        "name",
        "accountid",
        "a",
    ),
    *(
        "parentcustomerid",
        "revenue",
        "statecode",
        ".",
        ",",
        "(",
        ")",
        "*",
        "=",
        "<",
        ">",
        "'x'",
        "1",
        "-",
        "%",
        ";",
        "@p",
    ),
    *(
        "--",
        "/*",
        "[",
        "]",
        '"',
        "'",
        "::",
        "CAST",
        "EXISTS",
        "ANY",
        "XML",
        "FOR",
        "{",
        "}",
        "\\",
        "é",
        "0x1F",
        "1e9",
        "!",
    ),
]


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(WORDS), max_size=25), st.booleans())
def test_no_text_brings_anything_but_an_answer_or_a_refusal(words: list[str], begun: bool) -> None:  # noqa: FBT001
    text = " ".join(["SELECT name FROM account" if begun else "SELECT", *words])
    try:
        members = dict(read_sql(text, CATALOG).members)
    except OrganizationError as refused:
        members = {"refused": str(refused)}
    assert all(members.values())
    assert members
