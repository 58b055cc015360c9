"""Every operator means the same in FetchXML, in QueryExpression and in OData, and finds the rows that it should.

The rows lie about the borders of days in Berlin on the 18th of March 2026, a Wednesday; names differ in case and
accents, hold wildcards, and one row has no value in any column.
"""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID
from xml.sax.saxutils import escape, quoteattr
from zoneinfo import ZoneInfo

import pytest

from asyncservice.organization.query.evaluation import run
from asyncservice.organization.query.fetchxml import read_fetch
from asyncservice.organization.query.model import AllOf, Asker, Filter, Query
from asyncservice.organization.query.odata import read_options
from asyncservice.organization.query.operators import Operator, by_fetch_name, by_sdk_name
from asyncservice.organization.query.queryexpression import read_query_expression
from asyncservice.organization.sources import Values
from asyncservice.organization.values import Reference
from tests.organization.query.rows import CATALOG, ListedTables


def guid(number: int) -> UUID:
    return UUID(int=number)


ME, REPORT, TEAM = guid(101), guid(102), guid(103)
ALPHA, ALPHABET, OELPHA, NOTHING, PERCENT, SCORE = (guid(number) for number in range(1, 7))
ANN, BEN = guid(201), guid(202)
LETTERS = {ALPHA: "A", ALPHABET: "B", OELPHA: "C", NOTHING: "D", PERCENT: "E", SCORE: "F"}

ACCOUNTS: list[Values] = [
    {
        "accountid": ALPHA,
        "name": "Alpha",
        "numberofemployees": 5,
        "revenue": Decimal("10.50"),
        "industrycode": 1,
        "donotphone": True,
        "new_interests": "1,3",
        "ownerid": Reference("systemuser", ME),
        "primarycontactid": Reference("contact", ANN),
        "createdon": datetime(2026, 3, 17, 23, 30, tzinfo=UTC),
    },
    {
        "accountid": ALPHABET,
        "name": "alphabet",
        "numberofemployees": 10,
        "revenue": Decimal("10.50"),
        "industrycode": 2,
        "donotphone": False,
        "new_interests": "2",
        "ownerid": Reference("systemuser", REPORT),
        "parentaccountid": Reference("account", ALPHA),
        "primarycontactid": Reference("contact", BEN),
        "createdon": datetime(2026, 3, 17, 22, 30, tzinfo=UTC),
    },
    {
        "accountid": OELPHA,
        "name": "Ölpha",
        "parentaccountid": Reference("account", ALPHABET),
        "createdon": datetime(2026, 3, 18, 23, 15, tzinfo=UTC),
    },
    {"accountid": NOTHING},
    {
        "accountid": PERCENT,
        "name": "100% beta",
        "numberofemployees": 100,
        "ownerid": Reference("team", TEAM),
        "createdon": datetime(2025, 3, 18, 10, 0, tzinfo=UTC),
    },
    {
        "accountid": SCORE,
        "name": "beta_x",
        "numberofemployees": 7,
        "createdon": datetime(2026, 2, 10, 9, 0, tzinfo=UTC),
    },
]
CONTACTS: list[Values] = [
    {
        "contactid": ANN,
        "firstname": "Ann",
        "lastname": "Abel",
        "fullname": "Ann Abel",
        "parentcustomerid": Reference("account", ALPHA),
    },
    {"contactid": BEN, "firstname": "Ben", "parentcustomerid": Reference("account", ALPHA)},
    {"contactid": guid(203), "lastname": "Abel", "parentcustomerid": Reference("contact", ANN)},
    {"contactid": guid(204), "lastname": "Abel", "parentcustomerid": Reference("account", PERCENT)},
]
TABLES = ListedTables(account=ACCOUNTS, contact=CONTACTS)
ASKER = Asker(
    now=datetime(2026, 3, 18, 10, 30, tzinfo=UTC),
    user_id=ME,
    business_unit_id=guid(104),
    team_ids=frozenset({TEAM}),
    subordinate_ids=frozenset({REPORT}),
    zone=ZoneInfo("Europe/Berlin"),
)

#: The operator's name in QueryExpression, the column, the values as text, and the rows it finds.
EXAMPLES = [
    ("Equal", "name", ["ALPHA"], "A"),
    ("Equal", "name", ["olpha"], "C"),
    ("Equal", "numberofemployees", ["5"], "A"),
    ("Equal", "revenue", ["10.5"], "AB"),
    ("Equal", "donotphone", ["1"], "A"),
    ("Equal", "primarycontactid", [str(ANN)], "A"),
    ("Equal", "createdon", ["2026-03-17T23:30:00Z"], "A"),
    ("NotEqual", "name", ["alpha"], "BCDEF"),
    ("NotEqual", "industrycode", ["1"], "BCDEF"),
    ("GreaterThan", "numberofemployees", ["7"], "BE"),
    ("GreaterEqual", "numberofemployees", ["7"], "BEF"),
    ("LessThan", "numberofemployees", ["7"], "A"),
    ("LessEqual", "numberofemployees", ["7"], "AF"),
    ("GreaterEqual", "createdon", ["2026-03-17T23:30:00Z"], "AC"),
    ("Like", "name", ["alph%"], "AB"),
    ("Like", "name", ["100[%]%"], "E"),
    ("Like", "name", ["_eta[_]x"], "F"),
    ("NotLike", "name", ["ALPH%"], "CDEF"),
    ("In", "name", ["alpha", "OLPHA"], "AC"),
    ("In", "industrycode", ["1", "2"], "AB"),
    ("In", "accountid", [str(ALPHA), str(SCORE)], "AF"),
    ("NotIn", "name", ["alpha", "OLPHA"], "BDEF"),
    ("Between", "numberofemployees", ["5", "10"], "ABF"),
    ("NotBetween", "numberofemployees", ["5", "10"], "CDE"),
    ("Null", "name", [], "D"),
    ("NotNull", "name", [], "ABCEF"),
    ("Yesterday", "createdon", [], "B"),
    ("Today", "createdon", [], "A"),
    ("Tomorrow", "createdon", [], "C"),
    ("Last7Days", "createdon", [], "AB"),
    ("Next7Days", "createdon", [], "C"),
    ("LastWeek", "createdon", [], ""),
    ("ThisWeek", "createdon", [], "ABC"),
    ("NextWeek", "createdon", [], ""),
    ("LastMonth", "createdon", [], "F"),
    ("ThisMonth", "createdon", [], "ABC"),
    ("NextMonth", "createdon", [], ""),
    ("On", "createdon", ["2026-03-18"], "A"),
    ("NotOn", "createdon", ["2026-03-18"], "BCDEF"),
    ("OnOrBefore", "createdon", ["2026-03-17"], "BEF"),
    ("OnOrAfter", "createdon", ["2026-03-18"], "AC"),
    ("LastYear", "createdon", [], "E"),
    ("ThisYear", "createdon", [], "ABCF"),
    ("NextYear", "createdon", [], ""),
    ("LastXHours", "createdon", ["11"], "A"),
    ("LastXHours", "createdon", ["12"], "AB"),
    ("NextXHours", "createdon", ["12"], ""),
    ("NextXHours", "createdon", ["14"], "C"),
    ("LastXDays", "createdon", ["1"], "AB"),
    ("NextXDays", "createdon", ["1"], "C"),
    ("LastXWeeks", "createdon", ["6"], "ABF"),
    ("NextXWeeks", "createdon", ["1"], "C"),
    ("LastXMonths", "createdon", ["2"], "ABF"),
    ("NextXMonths", "createdon", ["1"], "C"),
    ("LastXYears", "createdon", ["1"], "ABEF"),
    ("NextXYears", "createdon", ["1"], "C"),
    ("OlderThanXMinutes", "createdon", ["660"], "BEF"),
    ("OlderThanXHours", "createdon", ["11"], "BEF"),
    ("OlderThanXDays", "createdon", ["1"], "EF"),
    ("OlderThanXWeeks", "createdon", ["4"], "EF"),
    ("OlderThanXMonths", "createdon", ["1"], "EF"),
    ("OlderThanXYears", "createdon", ["1"], ""),
    ("EqualUserId", "ownerid", [], "A"),
    ("NotEqualUserId", "ownerid", [], "BCDEF"),
    ("EqualUserTeams", "ownerid", [], "E"),
    ("EqualUserOrUserTeams", "ownerid", [], "AE"),
    ("EqualUserOrUserHierarchy", "ownerid", [], "AB"),
    ("EqualUserOrUserHierarchyAndTeams", "ownerid", [], "ABE"),
    ("EqualBusinessId", "owningbusinessunit", [], ""),
    ("NotEqualBusinessId", "owningbusinessunit", [], "ABCDEF"),
    ("EqualUserLanguage", "numberofemployees", [], ""),
    ("Contains", "name", ["PHA"], "ABC"),
    ("DoesNotContain", "name", ["pha"], "DEF"),
    ("BeginsWith", "name", ["ALP"], "AB"),
    ("DoesNotBeginWith", "name", ["ALP"], "CDEF"),
    ("EndsWith", "name", ["BET"], "B"),
    ("DoesNotEndWith", "name", ["BET"], "ACDEF"),
    ("ThisFiscalYear", "createdon", [], "ABCF"),
    ("ThisFiscalPeriod", "createdon", [], "ABCF"),
    ("NextFiscalYear", "createdon", [], ""),
    ("NextFiscalPeriod", "createdon", [], ""),
    ("LastFiscalYear", "createdon", [], "E"),
    ("LastFiscalPeriod", "createdon", [], ""),
    ("LastXFiscalYears", "createdon", ["1"], "ABEF"),
    ("LastXFiscalPeriods", "createdon", ["1"], "ABF"),
    ("NextXFiscalYears", "createdon", ["1"], "C"),
    ("NextXFiscalPeriods", "createdon", ["1"], "C"),
    ("InFiscalYear", "createdon", ["2025"], "E"),
    ("InFiscalPeriod", "createdon", ["1"], "ABCEF"),
    ("InFiscalPeriodAndYear", "createdon", ["1", "2026"], "ABCF"),
    ("InOrBeforeFiscalPeriodAndYear", "createdon", ["1", "2025"], "E"),
    ("InOrAfterFiscalPeriodAndYear", "createdon", ["1", "2026"], "ABCF"),
    ("Under", "accountid", [str(ALPHA)], "BC"),
    ("NotUnder", "accountid", [str(ALPHA)], "DEF"),
    ("UnderOrEqual", "accountid", [str(ALPHA)], "ABC"),
    ("Above", "accountid", [str(OELPHA)], "AB"),
    ("AboveOrEqual", "accountid", [str(OELPHA)], "ABC"),
    ("Under", "parentaccountid", [str(ALPHA)], "C"),
    ("ContainValues", "new_interests", ["1", "2"], "AB"),
    ("DoesNotContainValues", "new_interests", ["1"], "BCDEF"),
]
IDS = [f"{name}-{attribute}-{','.join(values)}" for name, attribute, values, _ in EXAMPLES]


def in_query_expression(name: str, attribute: str, values: list[str]) -> Query:
    said = {
        "EntityName": "account",
        "ColumnSet": {"Columns": ["name"]},
        "Criteria": {
            "Conditions": [
                {
                    "AttributeName": attribute,
                    "Operator": name,
                    "Values": [{"Value": value, "Type": "System.String"} for value in values],
                }
            ]
        },
    }
    return read_query_expression(said, CATALOG)


def in_fetchxml(operator: Operator, attribute: str, values: list[str]) -> Query:
    single = f" value={quoteattr(values[0])}" if len(values) == 1 else ""
    listed = "".join(f"<value>{escape(value)}</value>" for value in values) if not single else ""
    return read_fetch(
        f'<fetch><entity name="account"><attribute name="name" /><filter>'
        f'<condition attribute="{attribute}" operator="{operator.fetch_name}"{single}>{listed}</condition>'
        f"</filter></entity></fetch>",
        CATALOG,
    )


def in_odata(name: str, attribute: str, values: list[str]) -> Query:
    column = CATALOG.entity("account").attribute(attribute)
    shown = f"_{attribute}_value" if column.type.is_lookup else attribute
    listed = ",".join(f'"{value}"' for value in values)
    given = f",PropertyValues=[{listed}]" if values else ""
    text = f"Microsoft.Dynamics.CRM.{name}(PropertyName='{shown}'{given})"
    account = CATALOG.entity("account")
    return read_options({"$select": "name", "$filter": text}, account, CATALOG, aliases={}).query


def single(where: Filter | None) -> Filter | None:
    """Return a filter without the group of one that it may stand in."""
    return where.members[0] if isinstance(where, AllOf) and len(where.members) == 1 else where


async def found(query: Query) -> str:
    result = await run(query, ASKER, TABLES)
    ids = [row["accountid"] for row in result.rows]
    return "".join(sorted(LETTERS[one] for one in ids if isinstance(one, UUID)))


@pytest.mark.parametrize(("name", "attribute", "values", "expected"), EXAMPLES, ids=IDS)
async def test_an_operator_finds_its_rows_in_every_language(
    name: str, attribute: str, values: list[str], expected: str
) -> None:
    operator = by_sdk_name()[name]
    said = in_query_expression(name, attribute, values)
    queries = [in_odata(name, attribute, values)]
    if operator.fetch_name is not None:
        queries.append(in_fetchxml(operator, attribute, values))
    for query in queries:
        assert single(query.where) == single(said.where)
        assert (query.entity, query.columns, query.links) == (said.entity, said.columns, said.links)
    assert await found(said) == expected


def test_every_operator_has_an_example() -> None:
    assert {name for name, *_ in EXAMPLES} == by_sdk_name().keys()
    assert set(by_fetch_name().values()) == {one for one in Operator if one.fetch_name is not None}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name eq 'alpha'", "A"),
        ("name ne 'alpha'", "BCDEF"),
        ("'alpha' eq name", "A"),
        ("name eq null", "D"),
        ("name ne null", "ABCEF"),
        ("7 lt numberofemployees", "BE"),
        ("numberofemployees ge 7 and numberofemployees le 10", "BF"),
        ("revenue eq 10.50", "AB"),
        ("donotphone", "A"),
        ("donotphone eq false", "B"),
        ("contains(name,'PHA')", "ABC"),
        ("contains(name,'PHA') eq true", "ABC"),
        ("not contains(name,'pha')", "DEF"),
        ("startswith(name,'ALP')", "AB"),
        ("not startswith(name,'ALP')", "CDEF"),
        ("endswith(name,'BET')", "B"),
        ("name in ('alpha', 'olpha')", "AC"),
        ("createdon ge 2026-03-17T23:30:00Z", "AC"),
        (f"accountid eq {ALPHA} or accountid eq '{SCORE}'", "AF"),
        (f"_primarycontactid_value eq {ANN}", "A"),
        ("primarycontactid eq null", "CDEF"),
        ("primarycontactid/fullname eq 'ann abel'", "A"),
        ("primarycontactid/fullname ne 'ann abel'", "BCDEF"),
        ("primarycontactid/firstname eq 'Ben' or name eq 'beta_x'", "BF"),
        (f"parentaccountid/parentaccountid/accountid eq {ALPHA}", "C"),
        (f"primarycontactid/parentcustomerid_account/accountid eq {ALPHA}", "AB"),
        ("contact_customer_accounts/any()", "AE"),
        ("contact_customer_accounts/any(c:c/lastname eq 'ABEL')", "AE"),
        ("contact_customer_accounts/any(c:c/firstname eq 'Ben' and c/lastname eq null)", "A"),
        ("not contact_customer_accounts/any(c:c/lastname eq 'Abel')", "BCDF"),
        ("contact_customer_accounts/all(c:c/lastname eq 'Abel')", "E"),
        ("contact_customer_accounts/all(c:c/contactid ne null)", "AE"),
        ("primarycontactid/contact_customer_contacts/any(c:c/lastname eq 'Abel')", "A"),
        ("contact_customer_accounts/any(c:c/contact_customer_contacts/any(d:d/lastname eq 'Abel'))", "A"),
        ("parentaccountid/contact_customer_accounts/any(c:c/firstname eq 'Ann')", "B"),
        ("contact_customer_accounts/any(c:c/parentcustomerid_account/name eq 'alpha')", "A"),
    ],
)
async def test_odata_filters_find_their_rows(text: str, expected: str) -> None:
    options = read_options({"$select": "name", "$filter": text}, CATALOG.entity("account"), CATALOG, aliases={})
    assert await found(options.query) == expected


def linked(kind: str, condition: str = "") -> str:
    return (
        f'<fetch><entity name="account"><attribute name="name" />'
        f'<link-entity name="contact" from="parentcustomerid" to="accountid" link-type="{kind}" alias="c">'
        f'<attribute name="firstname" /><filter>{condition}</filter></link-entity></entity></fetch>'
    )


def filtered(kind: str, condition: str = "") -> str:
    return (
        f'<fetch><entity name="account"><attribute name="name" /><filter>'
        f'<link-entity name="contact" from="parentcustomerid" to="accountid" link-type="{kind}">'
        f"<filter>{condition}</filter></link-entity></filter></entity></fetch>"
    )


ABEL = '<condition attribute="lastname" operator="eq" value="abel" />'


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (linked("inner"), "AAE"),
        (linked("inner", ABEL), "AE"),
        (linked("outer"), "AABCDEF"),
        (linked("outer", ABEL), "ABCDEF"),
        (linked("exists"), "AE"),
        (linked("in", ABEL), "AE"),
        (linked("matchfirstrowusingcrossapply"), "ABCDEF"),
        (filtered("any"), "AE"),
        (filtered("any", ABEL), "AE"),
        (filtered("not any", ABEL), "BCDF"),
        (filtered("all", '<condition attribute="firstname" operator="eq" value="Ben" />'), "E"),
        (filtered("not all", ABEL), "AE"),
    ],
)
async def test_links_of_every_type_keep_and_repeat_the_rows_they_should(xml: str, expected: str) -> None:
    assert await found(read_fetch(xml, CATALOG)) == expected


async def test_aggregates_are_the_same_in_every_language() -> None:
    fetch = read_fetch(
        '<fetch aggregate="true"><entity name="account">'
        '<attribute name="industrycode" groupby="true" alias="industrycode" />'
        '<attribute name="accountid" aggregate="count" alias="n" />'
        '<attribute name="numberofemployees" aggregate="sum" alias="total" />'
        '<attribute name="numberofemployees" aggregate="max" alias="most" />'
        '<order alias="n" descending="true" /></entity></fetch>',
        CATALOG,
    )
    aggregates = [
        {"AttributeName": "industrycode", "HasGroupBy": True, "Alias": "industrycode"},
        {"AttributeName": "accountid", "AggregateType": "Count", "Alias": "n"},
        {"AttributeName": "numberofemployees", "AggregateType": "Sum", "Alias": "total"},
        {"AttributeName": "numberofemployees", "AggregateType": 6, "Alias": "most"},
    ]
    said = read_query_expression(
        {
            "EntityName": "account",
            "ColumnSet": {"AttributeExpressions": aggregates},
            "Orders": [{"Alias": "n", "OrderType": "Descending"}],
        },
        CATALOG,
    )
    applied = read_options(
        {
            "$apply": "groupby((industrycode),aggregate($count as n,numberofemployees with sum as total,"
            "numberofemployees with max as most))",
            "$orderby": "n desc",
        },
        CATALOG.entity("account"),
        CATALOG,
        aliases={},
    )
    assert fetch == said == applied.query
    rows = (await run(fetch, ASKER, TABLES)).rows
    assert dict(rows[0]) == {"n": 4, "total": 107, "most": 100}
    assert {row.get("industrycode"): row["total"] for row in rows[1:]} == {1: 5, 2: 10}


async def test_orders_and_outer_links_are_the_same_in_every_language() -> None:
    fetch = read_fetch(
        '<fetch top="3"><entity name="account"><attribute name="name" />'
        '<order attribute="numberofemployees" descending="true" /></entity></fetch>',
        CATALOG,
    )
    said = read_query_expression(
        {
            "EntityName": "account",
            "ColumnSet": {"Columns": ["name"]},
            "TopCount": 3,
            "Orders": [{"AttributeName": "numberofemployees", "OrderType": 1}],
        },
        CATALOG,
    )
    options = {"$select": "name", "$orderby": "numberofemployees desc", "$top": "3"}
    assert fetch == said == read_options(options, CATALOG.entity("account"), CATALOG, aliases={}).query
    names = [row.get("name") for row in (await run(fetch, ASKER, TABLES)).rows]
    assert names == ["100% beta", "alphabet", "beta_x"]
