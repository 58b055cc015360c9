"""However a query is planned, batched and paged, its rows are those that trying everything finds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncservice.organization.query.comparing import rank
from asyncservice.organization.query.evaluation import count, pages, run
from asyncservice.organization.query.model import (
    AllOf,
    AnyOf,
    Column,
    Condition,
    Filter,
    Link,
    LinkType,
    Not,
    Order,
    Paging,
    Query,
    Related,
)
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.values import RecordValue, Reference
from tests.organization.query.byhand import answer, identity, uid
from tests.organization.query.listtables import ASKER, ListTables

NAMES = st.sampled_from(["ann", "Ann", "änn", "Bob", "bob ", "C%", ""]) | st.none()
NUMBERS = st.integers(0, 4) | st.none()
IDS = st.integers(0, 5)


def _row(**values: RecordValue | None) -> Mapping[str, RecordValue]:
    return {name: value for name, value in values.items() if value is not None and value != ""}


ACCOUNTS = st.lists(st.tuples(NAMES, NUMBERS, IDS | st.none()), max_size=6).map(
    lambda rows: [
        _row(
            accountid=uid(number),
            name=name,
            numberofemployees=size,
            primarycontactid=None if contact is None else Reference("contact", uid(100 + contact)),
        )
        for number, (name, size, contact) in enumerate(rows)
    ]
)
CONTACTS = st.lists(st.tuples(NAMES, NUMBERS, IDS | st.none(), st.booleans()), max_size=7).map(
    lambda rows: [
        _row(
            contactid=uid(100 + number),
            lastname=name,
            numberofchildren=size,
            parentcustomerid=None
            if parent is None
            else Reference(*(("account", uid(parent)) if is_account else ("contact", uid(100 + parent)))),
        )
        for number, (name, size, parent, is_account) in enumerate(rows)
    ]
)
DATA = st.fixed_dictionaries({"account": ACCOUNTS, "contact": CONTACTS})

#: Of each entity: text, number, key, a lookup, and what other ids may stand in it.
COLUMNS = {
    "account": ("name", "numberofemployees", "accountid", "primarycontactid"),
    "contact": ("lastname", "numberofchildren", "contactid", "parentcustomerid"),
}


def _conditions(entity: str, link: str | None = None) -> st.SearchStrategy[Filter]:
    text, number, key, lookup = COLUMNS[entity]
    compare = st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL, Operator.GREATER_THAN, Operator.LESS_EQUAL])
    lists = st.sampled_from([Operator.IN, Operator.NOT_IN])
    ids = st.builds(uid, IDS | st.integers(100, 106))

    def one(
        name: str, operators: st.SearchStrategy[Operator], values: st.SearchStrategy[tuple[RecordValue, ...]]
    ) -> st.SearchStrategy[Filter]:
        return st.builds(
            lambda operator, given_: Condition(attribute=name, operator=operator, values=given_, link=link),
            operators,
            values,
        )

    return st.one_of(
        one(text, compare, st.tuples(st.sampled_from(["ann", "ÄNN", "bob", "zoe"]))),
        one(text, st.just(Operator.BEGINS_WITH), st.tuples(st.sampled_from(["a", "Bo"]))),
        one(number, compare, st.tuples(st.integers(0, 4))),
        one(number, lists, st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple)),
        one(number, st.just(Operator.BETWEEN), st.tuples(st.integers(0, 2), st.integers(1, 4))),
        one(key, st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL]), st.tuples(ids)),
        one(key, lists, st.lists(ids, min_size=1, max_size=4).map(tuple)),
        one(lookup, lists, st.lists(ids, min_size=1, max_size=4).map(tuple)),
        *(
            one(name, st.sampled_from([Operator.NULL, Operator.NOT_NULL]), st.just(()))
            for name in (text, number, lookup)
        ),
    )


def _filters(leaves: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda members: AllOf(tuple(members))),
            st.lists(inner, max_size=3).map(lambda members: AnyOf(tuple(members))),
            inner.map(Not),
        ),
        max_leaves=4,
    )


#: How accounts and contacts hang together: entity, its column, the column of the parent.
ENDS = {
    "account": [("contact", "parentcustomerid", "accountid"), ("contact", "contactid", "primarycontactid")],
    "contact": [("account", "accountid", "parentcustomerid"), ("account", "primarycontactid", "contactid")],
}
JOINS = [one for one in LinkType if not one.is_filter]
FILTERS = [one for one in LinkType if one.is_filter]


@st.composite
def _links(
    draw: st.DrawFn, parent: str, alias: str, kinds: Sequence[LinkType], depth: int = 1, *, bare: bool = False
) -> Link:
    entity, from_attribute, to_attribute = draw(st.sampled_from(ENDS[parent]))
    text, number, key, _ = COLUMNS[entity]
    nested = draw(st.lists(st.just("n"), max_size=1)) if depth else []
    return Link(
        entity=entity,
        from_attribute=from_attribute,
        to_attribute=to_attribute,
        alias=alias,
        type=draw(st.sampled_from(kinds)),
        columns=() if bare else (Column(attribute=key), Column(attribute=text), Column(attribute=number)),
        where=draw(st.none() | _filters(_conditions(entity))),
        links=tuple(draw(_links(entity, alias + each, JOINS, depth - 1, bare=bare)) for each in nested),
    )


@st.composite
def queries(draw: st.DrawFn) -> Query:
    entity = draw(st.sampled_from(["account", "contact"]))
    text, number, _, lookup = COLUMNS[entity]
    links = tuple(draw(_links(entity, alias, JOINS)) for alias in draw(st.sampled_from(["", "a", "ab"])))
    leaves = [_conditions(entity)]
    leaves += [
        _conditions(link.entity, link.alias) for link in links if link.type not in {LinkType.IN, LinkType.EXISTS}
    ]
    leaves.append(_links(entity, "r", FILTERS, bare=True).map(Related))
    where = draw(st.none() | _filters(st.one_of(leaves)))
    orders = [
        Order(attribute=name, descending=draw(st.booleans()))
        for name in draw(st.lists(st.sampled_from([text, number]), unique=True, max_size=2))
    ]
    seen = [link for link in links if link.type not in {LinkType.IN, LinkType.EXISTS}]
    is_by_link: bool = draw(st.booleans())
    if seen and is_by_link:
        orders.append(Order(attribute=COLUMNS[seen[0].entity][1], link=seen[0].alias))
    columns = (Column(attribute=text), Column(attribute=number), Column(attribute=lookup))
    return Query(entity=entity, columns=columns, where=where, links=links, orders=tuple(orders))


@pytest.mark.parametrize("pushes", [False, True], ids=["all rows", "pushes"])
@pytest.mark.parametrize("sorts", [False, True], ids=["natural order", "any order"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(query=queries(), data=DATA, size=st.integers(1, 4))
async def test_all_pages_together_are_the_rows_that_trying_everything_finds(
    query: Query, data: Mapping[str, Sequence[Mapping[str, RecordValue]]], size: int, *, pushes: bool, sorts: bool
) -> None:
    expected = answer(query, data)
    tables = ListTables(data, pushes=pushes, sorts=sorts)
    found = [page async for page in pages(replace(query, paging=Paging(size=size), counts=True), ASKER, tables)]
    rows = [row for page in found for row in page.rows]

    assert sorted(map(identity, rows)) == sorted(map(identity, expected))
    assert all(len(page.rows) == size for page in found[:-1])
    assert (found[0].count, found[0].count_is_more) == (len(expected), False)
    assert await count(query, ASKER, tables) == (len(expected), False)
    for one, other in pairwise(rows):
        assert _position(query, one) <= _position(query, other)

    by_number = [
        (await run(replace(query, paging=Paging(size=size, number=number)), ASKER, tables)).rows
        for number in range(1, len(found) + 1)
    ]
    assert [row for page in by_number for row in page] == rows


def _position(query: Query, row: Mapping[str, RecordValue]) -> tuple[object, ...]:
    return tuple(
        rank(
            row.get(order.attribute if order.link is None else f"{order.link}.{order.attribute}"),
            descending=order.descending,
        )
        for order in query.orders
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(query=queries(), data=DATA, top=st.integers(0, 4))
async def test_top_is_the_beginning_of_the_rows(
    query: Query, data: Mapping[str, Sequence[Mapping[str, RecordValue]]], top: int
) -> None:
    tables = ListTables(data)
    everything = await run(query, ASKER, tables)
    first = await run(replace(query, top=top), ASKER, tables)
    assert first.rows == everything.rows[:top]
    assert not first.has_more
    paged = [page async for page in pages(replace(query, top=top, paging=Paging(size=2)), ASKER, tables)]
    assert tuple(row for page in paged for row in page.rows) == everything.rows[:top]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(query=queries(), data=DATA)
async def test_distinct_rows_are_each_there_once(
    query: Query, data: Mapping[str, Sequence[Mapping[str, RecordValue]]]
) -> None:
    text, number, *_ = COLUMNS[query.entity]
    short = replace(query, columns=(Column(attribute=text), Column(attribute=number)), orders=(), links=())
    plain = replace(short, where=None, is_distinct=True)
    found = await run(plain, ASKER, ListTables(data))

    def same(row: Mapping[str, RecordValue]) -> tuple[object, ...]:
        return tuple(rank(row.get(name)) for name in (text, number))

    assert {same(row) for row in found.rows} == {same(row) for row in data[query.entity]}
    assert len({same(row) for row in found.rows}) == len(found.rows)
    assert found.cookie is None
