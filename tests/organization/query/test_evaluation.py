"""What queries mean beyond their rows: aggregates, cookies, hierarchies, who asks, and how much is read."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import NoSuchAttribute
from asyncservice.organization.query.comparing import id_of
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.evaluation import count, run
from asyncservice.organization.query.model import (
    Aggregate,
    AllOf,
    AnyOf,
    Column,
    Condition,
    DateGrouping,
    Link,
    LinkType,
    Order,
    Paging,
    Query,
    Related,
)
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.values import RecordValue, Reference
from tests.organization.query.byhand import uid
from tests.organization.query.listtables import ASKER, ListTables

MANAGER, CLERK, TEAM = uid(7), uid(8), uid(9)


def accounts(*rows: Mapping[str, RecordValue]) -> ListTables:
    return ListTables({"account": [{"accountid": uid(number), **row} for number, row in enumerate(rows)]})


def group(attribute: str, alias: str, grouping: DateGrouping | None = None) -> Column:
    return Column(attribute=attribute, alias=alias, is_group=True, date_grouping=grouping)


def made(attribute: str, alias: str, aggregate: Aggregate, *, distinct: bool = False) -> Column:
    return Column(attribute=attribute, alias=alias, aggregate=aggregate, distinct=distinct)


def aggregate_of(*columns: Column, **more: object) -> Query:
    return Query(entity="account", columns=columns, is_aggregate=True, **more)  # type: ignore[arg-type]


COMPANIES: tuple[Mapping[str, RecordValue], ...] = (
    {"name": "Ann", "revenue": Decimal("10.00"), "numberofemployees": 3, "createdon": datetime(2025, 1, 1, tzinfo=UTC)},
    {
        "name": "änn",
        "revenue": Decimal("5.50"),
        "numberofemployees": 4,
        "createdon": datetime(2024, 12, 31, tzinfo=UTC),
    },
    {"name": "Bob", "numberofemployees": -8, "createdon": datetime(2025, 4, 1, tzinfo=UTC)},
    {"revenue": Decimal(1)},
)


async def test_groups_are_made_of_equal_texts_and_nulls_are_a_group() -> None:
    query = aggregate_of(
        group("name", "n"),
        made("accountid", "rows", Aggregate.COUNT),
        made("revenue", "with", Aggregate.COUNT_COLUMN),
        made("revenue", "total", Aggregate.SUM),
        made("revenue", "average", Aggregate.AVG),
        made("revenue", "least", Aggregate.MIN),
        made("revenue", "most", Aggregate.MAX),
        orders=(Order(attribute="rows", descending=True, is_alias=True),),
    )
    result = await run(query, ASKER, accounts(*COMPANIES))
    ten, five = Decimal("10.00"), Decimal("5.50")
    assert result.rows == (
        {
            "n": "Ann",
            "rows": 2,
            "with": 2,
            "total": ten + five,
            "average": Decimal("7.7500"),
            "least": five,
            "most": ten,
        },
        {"rows": 1, "with": 1, "total": 1, "average": 1, "least": 1, "most": 1},
        {"n": "Bob", "rows": 1, "with": 0, "total": 0},
    )
    assert result.cookie is None


async def test_aggregates_of_everything_are_one_row_even_of_no_rows() -> None:
    query = aggregate_of(
        made("accountid", "rows", Aggregate.COUNT),
        made("numberofemployees", "average", Aggregate.AVG),
        made("numberofemployees", "sum", Aggregate.SUM),
        made("name", "names", Aggregate.COUNT_COLUMN, distinct=True),
    )
    assert (await run(query, ASKER, accounts())).rows == ({"rows": 0, "sum": 0, "names": 0},)
    # (3 + 4 - 8) / 3 is cut off towards zero.
    assert (await run(query, ASKER, accounts(*COMPANIES))).rows == ({"rows": 4, "average": 0, "sum": -1, "names": 2},)


@pytest.mark.parametrize(
    ("grouping", "groups"),
    [
        (DateGrouping.YEAR, {2024: 2, 2025: 1, None: 1}),
        (DateGrouping.QUARTER, {1: 1, 4: 2, None: 1}),
        (DateGrouping.MONTH, {3: 1, 12: 2, None: 1}),
        (DateGrouping.DAY, {31: 3, None: 1}),
        (DateGrouping.WEEK, {14: 1, 53: 2, None: 1}),
        (DateGrouping.FISCAL_PERIOD, {1: 1, 4: 2, None: 1}),
        (DateGrouping.FISCAL_YEAR, {2024: 2, 2025: 1, None: 1}),
    ],
)
async def test_dates_are_grouped_by_what_the_asker_s_calendar_shows(
    grouping: DateGrouping, groups: dict[int | None, int]
) -> None:
    rows = (
        COMPANIES[0],
        replace_created(COMPANIES[1], datetime(2024, 12, 31, 12, tzinfo=UTC)),
        COMPANIES[2],
        COMPANIES[3],
    )
    query = aggregate_of(group("createdon", "part", grouping), made("accountid", "rows", Aggregate.COUNT))
    who = replace(ASKER, zone=ZoneInfo("America/New_York"))
    found = await run(query, who, accounts(*rows))
    assert {row.get("part"): row["rows"] for row in found.rows} == groups


def replace_created(row: Mapping[str, RecordValue], moment: datetime) -> Mapping[str, RecordValue]:
    return {**row, "createdon": moment}


async def test_more_rows_than_an_aggregate_may_have_are_refused() -> None:
    query = aggregate_of(made("accountid", "rows", Aggregate.COUNT), aggregate_limit=3)
    with pytest.raises(QueryError) as refused:
        await run(query, ASKER, accounts(*COMPANIES))
    assert refused.value.code is OrganizationErrorCode.AGGREGATE_LIMIT_EXCEEDED
    assert refused.value.code.hex == "0x8004e023"


async def test_an_aggregate_is_ordered_by_its_aliases_only() -> None:
    query = aggregate_of(made("accountid", "rows", Aggregate.COUNT), orders=(Order(attribute="name", is_alias=True),))
    with pytest.raises(QueryError, match="name"):
        await run(query, ASKER, accounts(*COMPANIES))


NAMED = Query(entity="account", columns=(Column(attribute="name"),), orders=(Order(attribute="name"),))


async def test_the_cookie_holds_the_first_and_the_last_row_of_the_page() -> None:
    page = await run(replace(NAMED, paging=Paging(size=3)), ASKER, accounts(*COMPANIES))
    assert page.cookie == (
        '<cookie page="1"><name last="änn" firstnull="1" />'
        f'<accountid last="{{{uid(1)}}}" first="{{{uid(3)}}}" /></cookie>'
    )
    rest = await run(replace(NAMED, paging=Paging(number=2, size=3, cookie=page.cookie)), ASKER, accounts(*COMPANIES))
    assert [row.get("name") for row in (*page.rows, *rest.rows)] == [None, "Ann", "änn", "Bob"]
    assert (rest.has_more, rest.cookie) == (False, None)


async def test_a_cookie_keeps_texts_that_xml_cannot_hold() -> None:
    tables = accounts({"name": 'a\x01<"&\ud800'}, {"name": "b\n\t'"}, {"name": "c"})
    first = await run(replace(NAMED, paging=Paging(size=1)), ASKER, tables)
    second = await run(replace(NAMED, paging=Paging(number=2, size=1, cookie=first.cookie)), ASKER, tables)
    third = await run(replace(NAMED, paging=Paging(number=3, size=1, cookie=second.cookie)), ASKER, tables)
    assert [row["name"] for page in (first, second, third) for row in page.rows] == ['a\x01<"&\ud800', "b\n\t'", "c"]


@pytest.mark.parametrize(
    ("cookie", "code"),
    [
        ("", "PAGING_COOKIE_INVALID"),
        ("<cookie", "PAGING_COOKIE_INVALID"),
        ("<other />", "PAGING_COOKIE_INVALID"),
        ('<!DOCTYPE x [<!ENTITY a "aa">]><cookie>&a;</cookie>', "PAGING_COOKIE_INVALID"),
        ('<cookie page="1"><name last="A" /><accountid last="x" /></cookie>', "PAGING_COOKIE_INVALID"),
        ('<cookie page="1"><name /><accountid last="x" /></cookie>', "PAGING_COOKIE_INVALID"),
        (
            '<cookie page="1"><accountid last="{00000000-0000-0000-0000-000000000001}" /></cookie>',
            "PAGING_ORDER_DIFFERS",
        ),
    ],
)
async def test_a_cookie_that_does_not_fit_is_refused(cookie: str, code: str) -> None:
    with pytest.raises(QueryError) as refused:
        await run(replace(NAMED, paging=Paging(number=2, cookie=cookie)), ASKER, accounts(*COMPANIES))
    assert refused.value.code is OrganizationErrorCode[code]


async def test_pages_far_behind_need_a_cookie() -> None:
    with pytest.raises(QueryError, match="cookie"):
        await run(replace(NAMED, paging=Paging(number=12)), ASKER, accounts())


async def test_choices_are_ordered_by_label_where_that_is_asked_for() -> None:
    rows = accounts(*({"customertypecode": number} for number in (2, 3, 4, 5, 6)))
    choice = rows.catalog.entity("account").attribute("customertypecode")
    by = Query(
        entity="account",
        columns=(Column(attribute="customertypecode"),),
        orders=(Order(attribute="customertypecode", by_label=True, descending=True),),
        paging=Paging(size=2),
    )
    found: list[int] = []
    cookie = None
    for number in (1, 2, 3):
        page = await run(replace(by, paging=Paging(number=number, size=2, cookie=cookie)), ASKER, rows)
        found += [int(str(row["customertypecode"])) for row in page.rows]
        cookie = page.cookie
    labels = [str(choice.label_of(number)) for number in found]
    assert labels == sorted(labels, reverse=True)
    assert sorted(found) == [2, 3, 4, 5, 6]
    assert found != sorted(found, reverse=True)


def tree() -> ListTables:
    """0 above 1 above 2 and 3; 4 apart; 5 and 6 above each other."""
    parents = {1: 0, 2: 1, 3: 1, 5: 6, 6: 5}
    return accounts(
        *({"parentaccountid": Reference("account", uid(parents[row]))} if row in parents else {} for row in range(7))
    )


@pytest.mark.parametrize(
    ("operator", "start", "ids"),
    [
        (Operator.UNDER, 0, {1, 2, 3}),
        (Operator.UNDER_OR_EQUAL, 1, {1, 2, 3}),
        (Operator.NOT_UNDER, 1, {0, 4, 5, 6}),
        (Operator.ABOVE, 2, {0, 1}),
        (Operator.ABOVE_OR_EQUAL, 2, {0, 1, 2}),
        (Operator.UNDER, 4, set()),
        (Operator.UNDER, 5, {6}),
        (Operator.ABOVE_OR_EQUAL, 6, {5, 6}),
        (Operator.ABOVE, 99, set()),
    ],
)
async def test_rows_above_and_below_a_row(operator: Operator, start: int, ids: set[int]) -> None:
    query = Query(entity="account", where=Condition(attribute="accountid", operator=operator, values=(uid(start),)))
    assert {row["accountid"] for row in (await run(query, ASKER, tree())).rows} == {uid(one) for one in ids}


async def test_a_lookup_lies_under_a_row_when_what_it_refers_to_does() -> None:
    query = Query(
        entity="account", where=Condition(attribute="parentaccountid", operator=Operator.UNDER, values=(uid(0),))
    )
    assert {row["accountid"] for row in (await run(query, ASKER, tree())).rows} == {uid(2), uid(3)}


async def test_direct_children_are_counted() -> None:
    query = Query(entity="account", columns=(Column(attribute="accountid", alias="n", counts_children=True),))
    found = {row["accountid"]: row["n"] for row in (await run(query, ASKER, tree())).rows}
    assert found == {uid(one): number for one, number in enumerate([1, 2, 0, 0, 0, 1, 1])}


async def test_a_table_without_a_hierarchy_has_nothing_above_or_below() -> None:
    query = Query(entity="task", where=Condition(attribute="activityid", operator=Operator.UNDER, values=(uid(0),)))
    with pytest.raises(QueryError) as refused:
        await run(query, ASKER, accounts())
    assert refused.value.code is OrganizationErrorCode.BAD_CONDITION


@pytest.mark.parametrize(
    ("operator", "owners"),
    [
        (Operator.EQUAL_USER_ID, {MANAGER}),
        (Operator.NOT_EQUAL_USER_ID, {CLERK, TEAM, None}),
        (Operator.EQUAL_USER_TEAMS, {TEAM}),
        (Operator.EQUAL_USER_OR_USER_TEAMS, {MANAGER, TEAM}),
        (Operator.EQUAL_USER_OR_USER_HIERARCHY, {MANAGER, CLERK}),
        (Operator.EQUAL_USER_OR_USER_HIERARCHY_AND_TEAMS, {MANAGER, CLERK, TEAM}),
    ],
)
async def test_whose_records_are_the_asker_s(operator: Operator, owners: set[UUID | None]) -> None:
    tables = accounts(
        {"ownerid": Reference("systemuser", MANAGER)},
        {"ownerid": Reference("systemuser", CLERK)},
        {"ownerid": Reference("team", TEAM)},
        {},
    )
    who = replace(ASKER, team_ids=frozenset({TEAM}), subordinate_ids=frozenset({CLERK}))
    found = await run(Query(entity="account", where=Condition(attribute="ownerid", operator=operator)), who, tables)
    assert {id_of(row.get("ownerid")) for row in found.rows} == owners


async def test_who_is_in_no_team_owns_nothing_through_teams() -> None:
    tables = accounts({"ownerid": Reference("team", TEAM)})
    query = Query(entity="account", where=Condition(attribute="ownerid", operator=Operator.EQUAL_USER_TEAMS))
    assert (await run(query, ASKER, tables)).rows == ()
    assert not tables.source("account").did


async def test_the_label_of_a_link_that_is_not_there_is_an_error() -> None:
    where = Condition(attribute="lastname", operator=Operator.NULL, link="nobody")
    with pytest.raises(QueryError) as refused:
        await run(Query(entity="account", where=where), ASKER, accounts())
    assert refused.value.code is OrganizationErrorCode.ALIAS_DOES_NOT_EXIST


async def test_a_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(NoSuchAttribute):
        await run(Query(entity="account", columns=(Column(attribute="nothing"),)), ASKER, accounts())


def many() -> ListTables:
    people: list[Mapping[str, RecordValue]] = [
        {
            "contactid": uid(10_000 + number),
            "lastname": f"P{number % 7}",
            "parentcustomerid": Reference("account", uid(number % 1000)),
        }
        for number in range(3000)
    ]
    companies: list[Mapping[str, RecordValue]] = [
        {"accountid": uid(number), "name": f"N{number}"} for number in range(1000)
    ]
    return ListTables({"account": companies, "contact": people}, pushes=True)


MEMBERS = Link(entity="contact", from_attribute="parentcustomerid", to_attribute="accountid", alias="c")


async def test_a_key_is_looked_up_and_nothing_is_scanned() -> None:
    tables = many()
    keys = AnyOf(
        tuple(Condition(attribute="accountid", operator=Operator.EQUAL, values=(uid(one),)) for one in (3, 5, 7777))
    )
    found = await run(Query(entity="account", where=AllOf((keys,)), columns=()), ASKER, tables)
    assert [row["accountid"] for row in found.rows] == [uid(3), uid(5)]
    assert tables.source("account").did == {"found": 3}


async def test_a_page_reads_no_more_rows_than_it_has_and_one() -> None:
    tables = many()
    await run(Query(entity="contact", columns=(), paging=Paging(size=50)), ASKER, tables)
    assert tables.source("contact").did == {"scans": 1, "rows": 51}


async def test_a_link_with_a_key_is_where_a_query_begins() -> None:
    tables = many()
    lookup = Link(entity="account", from_attribute="accountid", to_attribute="parentcustomerid", alias="a")
    by_key = replace(lookup, where=Condition(attribute="accountid", operator=Operator.EQUAL, values=(uid(5),)))
    found = await run(Query(entity="contact", columns=(), links=(by_key,)), ASKER, tables)
    assert len(found.rows) == 3
    assert tables.source("contact").did == {"scans": 1, "rows": 3}
    assert tables.source("account").did["found"] == 2


async def test_an_outer_link_to_one_waits_for_the_page() -> None:
    tables = many()
    link = Link(
        entity="account",
        from_attribute="accountid",
        to_attribute="parentcustomerid",
        alias="a",
        type=LinkType.OUTER,
        columns=(Column(attribute="name"),),
    )
    query = Query(
        entity="contact",
        columns=(),
        links=(link,),
        orders=(Order(attribute="lastname"),),
        paging=Paging(size=10),
        counts=True,
    )
    found = await run(query, ASKER, tables)
    assert (found.count, found.rows[0]["a.name"]) == (3000, "N0")
    assert tables.source("account").did == {"found": 10}


async def test_the_other_table_is_scanned_twice_at_most() -> None:
    tables = many()
    by_name = (Order(attribute="name"),)
    found = await run(Query(entity="account", columns=(), links=(MEMBERS,), orders=by_name), ASKER, tables)
    assert len(found.rows) == 3000
    assert tables.source("contact").did["scans"] == 2


async def test_counting_stops_behind_what_is_counted() -> None:
    tables = ListTables({"contact": [{"contactid": uid(number)} for number in range(6000)]})
    assert await count(Query(entity="contact"), ASKER, tables) == (5000, True)
    assert tables.source("contact").did == {"scans": 1, "rows": 5001}


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        (LinkType.ANY, {0, 1}),
        (LinkType.NOT_ALL, {0, 1}),
        (LinkType.NOT_ANY, {2, 3}),
        (LinkType.ALL, {2}),
    ],
)
async def test_filter_links(kind: LinkType, ids: set[int]) -> None:
    """Account 0 has only fitting contacts, 1 a fitting one and another, 2 only others, 3 none."""
    people = [(0, "fits"), (1, "fits"), (1, "other"), (2, "other")]
    tables = ListTables(
        {
            "account": [{"accountid": uid(number)} for number in range(4)],
            "contact": [
                {"contactid": uid(100 + n), "lastname": name, "parentcustomerid": Reference("account", uid(parent))}
                for n, (parent, name) in enumerate(people)
            ],
        }
    )
    where = Condition(attribute="lastname", operator=Operator.EQUAL, values=("FITS",))
    query = Query(entity="account", where=Related(replace(MEMBERS, type=kind, where=where)))
    found = await run(query, ASKER, tables)
    assert {row["accountid"] for row in found.rows} == {uid(one) for one in ids}
