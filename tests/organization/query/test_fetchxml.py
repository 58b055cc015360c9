"""FetchXML: what it says, what is refused and with which code, and that what is written reads to the same again."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncservice.organization.errorcodes import OrganizationErrorCode as Code
from asyncservice.organization.errors import NoSuchAttribute, NoSuchEntity, OrganizationError
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.fetchxml import read_fetch
from asyncservice.organization.query.fetchxmlwriter import write_fetch
from asyncservice.organization.query.model import (
    Aggregate,
    AllOf,
    AnyOf,
    Column,
    Condition,
    DateGrouping,
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
from asyncservice.organization.values import RecordValue
from tests.organization.query.rows import CATALOG

SOME_ID = UUID("7a1c0000-0000-4000-8000-00000000009e")


def account(inside: str = "", **attributes: str) -> str:
    said = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<fetch{said}><entity name="account">{inside}</entity></fetch>'


def condition(attribute: str, operator: str, *values: str) -> str:
    listed = "".join(f"<value>{value}</value>" for value in values)
    return account(f'<filter><condition attribute="{attribute}" operator="{operator}">{listed}</condition></filter>')


def read(xml: str) -> Query:
    return read_fetch(xml, CATALOG)


def test_without_attributes_every_column_comes_and_with_no_attrs_none() -> None:
    assert read(account()).columns is None
    assert read(account("<all-attributes/>")).columns is None
    assert read(account("<no-attrs/>")).columns == ()


def test_links_without_an_alias_are_numbered_in_their_order_and_those_in_filters_last() -> None:
    query = read(
        account(
            '<filter><link-entity name="contact" from="parentcustomerid" to="accountid" link-type="any" /></filter>'
            '<link-entity name="contact" from="contactid" to="primarycontactid">'
            '<link-entity name="systemuser" from="systemuserid" to="owninguser" /></link-entity>'
        )
    )
    (contact,) = query.links
    assert (contact.alias, contact.links[0].alias) == ("contact1", "systemuser2")
    assert isinstance(query.where, AllOf)
    (related,) = query.where.members
    assert isinstance(related, Related)
    assert (related.link.alias, related.link.type) == ("contact3", LinkType.ANY)


def test_a_condition_may_name_a_link_that_comes_after_it() -> None:
    query = read(
        account(
            '<filter type="or"><condition entityname="c" attribute="lastname" operator="eq" value="x" />'
            '<condition attribute="name" operator="eq" valueof="c.fullname" /></filter>'
            '<link-entity name="contact" from="contactid" to="primarycontactid" alias="c" />'
        )
    )
    assert query.where == AnyOf(
        (
            Condition(attribute="lastname", operator=Operator.EQUAL, values=("x",), link="c"),
            Condition(attribute="name", operator=Operator.EQUAL, other_attribute="fullname", other_link="c"),
        )
    )


def test_a_link_that_names_no_columns_takes_those_of_the_only_relationship() -> None:
    with pytest.raises(QueryError) as refused:
        read(account('<link-entity name="contact" />'))
    assert refused.value.code is Code.ATTRIBUTE_PAIR_MISMATCH
    inside = '<link-entity name="duplicaterulecondition" />'
    (link,) = read(f'<fetch><entity name="duplicaterule">{inside}</entity></fetch>').links
    assert (link.to_attribute, link.from_attribute) == ("duplicateruleid", "regardingobjectid")


def test_values_take_the_type_of_their_column() -> None:
    conditions: dict[str, tuple[str, RecordValue]] = {
        "statecode": ("0", 0),
        "donotphone": ("true", True),
        "revenue": ("12.50", Decimal("12.50")),
        "accountid": (f"{{{str(SOME_ID).upper()}}}", SOME_ID),
        "ownerid": (str(SOME_ID), SOME_ID),
        "createdon": ("2026-03-01 09:30:00", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        "name": (" x ", " x "),
        "new_interests": ("3,1", "1,3"),
    }
    for name, (text, value) in conditions.items():
        where = read(condition(name, "eq", text)).where
        assert isinstance(where, AllOf)
        assert where.members == (Condition(attribute=name, operator=Operator.EQUAL, values=(value,)),)
    days = read(condition("createdon", "on", "2026-03-01")).where
    assert isinstance(days, AllOf)
    assert days.members[0] == Condition(attribute="createdon", operator=Operator.ON, values=(date(2026, 3, 1),))


def test_type_codes_become_the_names_of_their_entities() -> None:
    xml = '<fetch><entity name="workflow"><filter><condition attribute="primaryentity" operator="eq" value="1" />'
    where = read(f"{xml}</filter></entity></fetch>").where
    assert isinstance(where, AllOf)
    assert where.members == (Condition(attribute="primaryentity", operator=Operator.EQUAL, values=("account",)),)


def test_choices_are_ordered_by_label_unless_raw_order_is_asked_for() -> None:
    order = '<order attribute="industrycode" /><order attribute="name" descending="1" />'
    assert read(account(order)).orders == (
        Order(attribute="industrycode", by_label=True),
        Order(attribute="name", descending=True),
    )
    assert not read(account(order, useraworderby="true")).orders[0].by_label


def test_paging_is_read_in_each_state_of_encoding_of_its_cookie() -> None:
    inner = "&lt;cookie page=&quot;1&quot;&gt;&lt;accountid last=&quot;{1}&quot; /&gt;&lt;/cookie&gt;"
    plain = '<cookie page="1"><accountid last="{1}" /></cookie>'
    assert read(account(page="2", count="10", paging_cookie=inner)).paging == Paging(number=2, size=10, cookie=plain)
    assert read(account(count="0")).paging == Paging()
    assert read(account(count="9000")).paging.size == 5000


@pytest.mark.parametrize(
    ("xml", "code"),
    [
        ("", Code.EMPTY_XML),
        ("<fetch>", Code.INVALID_FETCH_XML),
        ("no xml", Code.INVALID_FETCH_XML),
        ("\ud800<fetch/>", Code.INVALID_FETCH_XML),
        ('<!DOCTYPE f [<!ENTITY a "b">]><fetch/>', Code.INVALID_FETCH_XML),
        ('<!DOCTYPE f SYSTEM "file:///etc/passwd"><fetch/>', Code.INVALID_FETCH_XML),
        (f"<fetch>{'<a>' * 200}", Code.TOO_MANY_CONDITIONS),
        ("<query/>", Code.INVALID_NODE),
        ("<fetch/>", Code.ELEMENT_NOT_FOUND),
        ("<fetch><entity/></fetch>", Code.ELEMENT_NOT_FOUND),
        ('<fetch><entity name="nothing"/></fetch>', Code.NO_SUCH_ENTITY),
        (account('<attribute name="nothing"/>'), Code.NO_SUCH_ATTRIBUTE),
        (account("<atribute/>"), Code.INVALID_NODE),
        (account("<filter><value/></filter>"), Code.INVALID_NODE),
        (account(distinct="yes"), Code.INVALID_DISTINCT),
        (account(mapping="physical"), Code.INVALID_MAPPING),
        (account(no_lock="maybe"), Code.INVALID_NO_LOCK),
        (account('<order attribute="name" descending="down" />'), Code.INVALID_DESCENDING),
        (account(aggregate="2"), Code.INVALID_AGGREGATE),
        (account("<no-attrs/>", distinct="true"), Code.NO_ATTRIBUTES_WITH_DISTINCT),
        (account(top="5001"), Code.INVALID_FETCH_XML),
        (account(top="0"), Code.INVALID_FETCH_XML),
        (account(top="5", page="1"), Code.INVALID_FETCH_XML),
        (account(top="5", returntotalrecordcount="true"), Code.INVALID_FETCH_XML),
        (account(page="-1"), Code.INVALID_FETCH_XML),
        (account(paging_cookie="nonsense"), Code.PAGING_COOKIE_INVALID),
        (account('<filter type="xor"/>'), Code.FILTER_TYPE_UNSUPPORTED),
        (account("<order/>"), Code.ORDER_NEEDS_ATTRIBUTE),
        (account('<order alias="n"/>'), Code.ORDER_NEEDS_ATTRIBUTE),
        (account('<attribute name="name" alias="1 2"/>'), Code.INVALID_ALIAS),
        (account('<attribute name="name" alias="a"/><attribute name="fax" alias="a"/>'), Code.DUPLICATE_ALIAS),
        (account('<attribute name="accountid" rowaggregate="CountChildren"/>'), Code.INVALID_ALIAS),
        (account('<attribute name="name" aggregate="count" alias="n"/>'), Code.INVALID_AGGREGATE),
        (account('<attribute name="name"/>', aggregate="true"), Code.INVALID_ALIAS),
        (account('<attribute name="name" alias="n"/>', aggregate="true"), Code.ATTRIBUTE_WITH_AGGREGATE),
        (account("<all-attributes/>", aggregate="true"), Code.ATTRIBUTE_WITH_AGGREGATE),
        (account(aggregate="true"), Code.INVALID_AGGREGATE),
        (
            account('<attribute name="name" aggregate="sum" alias="n"/>', aggregate="true"),
            Code.INVALID_AGGREGATE_ATTRIBUTE,
        ),
        (account('<attribute name="name" aggregate="median" alias="n"/>', aggregate="true"), Code.INVALID_AGGREGATE),
        (
            account('<attribute name="createdon" groupby="true" dategrouping="hour" alias="n"/>', aggregate="true"),
            Code.INVALID_DATE_GROUPING,
        ),
        (
            account('<attribute name="name" groupby="true" dategrouping="day" alias="n"/>', aggregate="true"),
            Code.INVALID_DATE_GROUPING,
        ),
        (
            account('<attribute name="name" groupby="true" alias="n"/><order attribute="name"/>', aggregate="true"),
            Code.INVALID_AGGREGATE,
        ),
        (
            account('<attribute name="name" groupby="true" alias="n"/><order alias="m"/>', aggregate="true"),
            Code.ALIAS_DOES_NOT_EXIST,
        ),
        (condition("name", "equals", "x"), Code.CONDITION_OPERATOR_UNSUPPORTED),
        (condition("name", "last-x-days", "3"), Code.CONDITION_OPERATOR_UNSUPPORTED),
        (condition("numberofemployees", "like", "3%"), Code.CONDITION_OPERATOR_UNSUPPORTED),
        (condition("name", "eq"), Code.BAD_CONDITION),
        (condition("name", "eq", "a", "b"), Code.BAD_CONDITION),
        (condition("name", "null", "a"), Code.BAD_CONDITION),
        (condition("numberofemployees", "between", "1"), Code.BAD_CONDITION),
        (condition("numberofemployees", "eq", "many"), Code.QUERY_VALUE_INVALID),
        (condition("numberofemployees", "eq", "1" * 100), Code.QUERY_VALUE_INVALID),
        (condition("revenue", "eq", "1e999999"), Code.QUERY_VALUE_INVALID),
        (condition("revenue", "eq", "NaN"), Code.QUERY_VALUE_INVALID),
        (condition("accountid", "eq", "x"), Code.QUERY_VALUE_INVALID),
        (condition("createdon", "on", "yesterday"), Code.QUERY_VALUE_INVALID),
        (condition("donotphone", "eq", "yes"), Code.QUERY_VALUE_INVALID),
        (condition("createdon", "last-x-days", "0"), Code.VALUE_NOT_GREATER_THAN_ZERO),
        (condition("createdon", "last-x-days", "-3"), Code.VALUE_NOT_GREATER_THAN_ZERO),
        (
            account('<filter><condition attribute="name" operator="like" valueof="fax"/></filter>'),
            Code.CONDITION_OPERATOR_UNSUPPORTED,
        ),
        (
            account('<filter><condition attribute="name" operator="eq" valueof="revenue"/></filter>'),
            Code.BAD_CONDITION,
        ),
        (
            account('<filter><condition entityname="c" attribute="name" operator="null"/></filter>'),
            Code.ALIAS_DOES_NOT_EXIST,
        ),
        (
            account('<link-entity name="contact" from="contactid" />'),
            Code.ATTRIBUTE_PAIR_MISMATCH,
        ),
        (
            account('<link-entity name="contact" from="contactid" to="primarycontactid" link-type="full" />'),
            Code.INVALID_LINK_TYPE,
        ),
        (
            account('<link-entity name="contact" from="contactid" to="primarycontactid" link-type="any" />'),
            Code.JOIN_OPERATOR_UNSUPPORTED,
        ),
        (
            account(2 * '<link-entity name="contact" from="contactid" to="primarycontactid" alias="c" />'),
            Code.DUPLICATE_ALIAS,
        ),
        (
            account(16 * '<link-entity name="contact" from="contactid" to="primarycontactid" />'),
            Code.TOO_MANY_LINK_ENTITIES,
        ),
        (
            account(f"<filter>{501 * '<condition attribute="name" operator="null" />'}</filter>"),
            Code.TOO_MANY_CONDITIONS,
        ),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_code_for_it(xml: str, code: Code) -> None:
    with pytest.raises(OrganizationError) as refused:
        read(xml)
    assert refused.value.code is code
    assert str(refused.value).endswith(".")


def test_entity_bombs_are_refused_before_they_grow() -> None:
    lines = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 20))
    with pytest.raises(QueryError, match="entities are not allowed"):
        read(f'<!DOCTYPE f [<!ENTITY a0 "x">{lines}]><fetch><entity name="account">&a19;</entity></fetch>')


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
VALUES: dict[str, st.SearchStrategy[object]] = {
    "name": TEXTS,
    "numberofemployees": st.integers(-(2**31), 2**31 - 1),
    "industrycode": st.integers(0, 50),
    "revenue": st.decimals(-(10**9), 10**9, places=2),
    "donotphone": st.booleans(),
    "accountid": st.uuids(),
    "ownerid": st.uuids(),
    "createdon": st.datetimes(timezones=st.just(UTC)) | st.dates(),
}
COMPARISONS = [Operator.EQUAL, Operator.NOT_EQUAL, Operator.GREATER_THAN, Operator.LESS_EQUAL]


@st.composite
def conditions(draw: st.DrawFn, link: str | None = None) -> Condition:
    name = draw(st.sampled_from(sorted(VALUES)))
    operator = draw(st.sampled_from([*COMPARISONS, Operator.IN, Operator.NOT_IN, Operator.BETWEEN, Operator.NOT_NULL]))
    fewest, most = operator.fewest, operator.most if operator.most is not None else 4
    values = tuple(draw(st.lists(VALUES[name], min_size=fewest, max_size=most)))
    return Condition(attribute=name, operator=operator, values=values, link=link)  # type: ignore[arg-type]  # as the column has them


def filters(link: str | None = None) -> st.SearchStrategy[Filter]:
    leaves: st.SearchStrategy[Filter] = conditions(link)
    counts = st.builds(
        Condition,
        attribute=st.just("createdon"),
        operator=st.sampled_from([Operator.LAST_X_DAYS, Operator.OLDER_THAN_X_MONTHS]),
        values=st.tuples(st.integers(1, 100)),
        link=st.just(link),
    )
    return st.recursive(
        leaves | counts,
        lambda inner: (
            st.lists(inner, max_size=4)
            .map(tuple)
            .flatmap(lambda members: st.sampled_from([AllOf(members), AnyOf(members)]))
        ),
        max_leaves=8,
    )


def grouped(where: Filter | None) -> Filter | None:
    return where if where is None or isinstance(where, AllOf | AnyOf) else AllOf((where,))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    kind = draw(st.sampled_from([one for one in LinkType if not one.is_filter]))
    bare = kind in {LinkType.IN, LinkType.EXISTS}
    link = Link(
        entity="account",
        from_attribute="parentaccountid",
        to_attribute="accountid",
        alias="child",
        type=kind,
        columns=() if bare else draw(st.sampled_from([None, (), (Column(attribute="name", alias="childname"),)])),
        where=grouped(draw(st.none() | filters())),
        orders=draw(st.sampled_from([(), (Order(attribute="name"),)])),
    )
    where = draw(st.none() | filters() | filters("child"))
    if draw(st.booleans()):
        filter_kind = draw(st.sampled_from([one for one in LinkType if one.is_filter]))
        related = Related(replace(link, alias="below", type=filter_kind, columns=(), orders=()))
        where = AnyOf((related, where)) if where is not None else AllOf((related,))
    columns = draw(st.sampled_from([None, (), (Column(attribute="name"), Column(attribute="revenue", alias="money"))]))
    top = draw(st.none() | st.integers(1, 5000))
    pages = st.builds(Paging, number=st.integers(1, 9), size=st.integers(1, 5000))
    return Query(
        entity="account",
        columns=columns,
        where=grouped(where),
        links=(link,) if draw(st.booleans()) or "child" in repr(where) else (),
        orders=draw(st.sampled_from([(), (Order(attribute="industrycode", descending=True, by_label=True),)])),
        top=top,
        paging=Paging() if top is not None else draw(pages),
        is_distinct=columns != () and draw(st.booleans()),
        counts=top is None and draw(st.booleans()),
    )


@settings(max_examples=200)
@given(queries())
def test_a_query_that_is_written_reads_to_the_same_again(query: Query) -> None:
    if all(not order.by_label for order in query.orders):
        # Where no order goes by labels that is said, which changes nothing for columns without labels.
        assert "useraworderby" in write_fetch(query) or not (query.orders or any(one.orders for one in query.links))
    assert read(write_fetch(query)) == query


def test_an_aggregate_query_reads_to_the_same_again() -> None:
    query = Query(
        entity="account",
        columns=(
            Column(attribute="createdon", alias="month", is_group=True, date_grouping=DateGrouping.FISCAL_PERIOD),
            Column(attribute="name", alias="names", aggregate=Aggregate.COUNT_COLUMN, distinct=True),
        ),
        orders=(Order(attribute="names", descending=True, is_alias=True),),
        is_aggregate=True,
        aggregate_limit=100,
    )
    assert read(write_fetch(query)) == query


def test_what_fetchxml_has_no_words_for_is_written_as_what_means_the_same() -> None:
    def said(where: Filter) -> Filter | None:
        return read(write_fetch(Query(entity="account", where=where))).where

    contains = Condition(attribute="name", operator=Operator.CONTAINS, values=("5%",))
    like = Condition(attribute="name", operator=Operator.LIKE, values=("%5[%]%",))
    assert said(contains) == AllOf((like,))
    assert said(Not(contains)) == AllOf((replace(like, operator=Operator.NOT_LIKE),))
    on = Condition(attribute="createdon", operator=Operator.NOT_ON, values=(date(2026, 3, 1),))
    before = replace(on, operator=Operator.ON_OR_BEFORE, values=(date(2026, 2, 28),))
    after = replace(on, operator=Operator.ON_OR_AFTER, values=(date(2026, 3, 2),))
    nothing = Condition(attribute="createdon", operator=Operator.NULL)
    assert said(on) == AllOf((AnyOf((before, after, nothing)),))
    either = AnyOf((contains, Not(Condition(attribute="fax", operator=Operator.NULL))))
    there = Condition(attribute="fax", operator=Operator.NULL)
    assert said(Not(either)) == AllOf((AllOf((replace(like, operator=Operator.NOT_LIKE), there)),))


def test_a_not_that_cannot_be_turned_is_refused() -> None:
    today = Condition(attribute="createdon", operator=Operator.TODAY)
    with pytest.raises(QueryError, match="cannot say 'not'"):
        write_fetch(Query(entity="account", where=Not(today)))


def test_unknown_names_are_the_errors_that_they_are_everywhere() -> None:
    with pytest.raises(NoSuchEntity):
        read('<fetch><entity name="nothing"/></fetch>')
    with pytest.raises(NoSuchAttribute):
        read(account('<order attribute="nothing"/>'))
