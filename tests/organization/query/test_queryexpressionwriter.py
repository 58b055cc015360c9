"""What is written as a QueryExpression is the same query when it is read again."""

import json

import pytest

from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.fetchxml import read_fetch
from asyncservice.organization.query.queryexpression import read_query_expression
from asyncservice.organization.query.queryexpressionwriter import write_query_expression
from asyncservice.organization.schema.catalog import standard_catalog

CATALOG = standard_catalog()


@pytest.mark.parametrize(
    "entity",
    [
        "<all-attributes/>",
        "<attribute name='name'/><order attribute='name' descending='true'/>",
        "<attribute name='name'/><filter><condition attribute='name' operator='like' value='A%'/></filter>",
        (
            "<attribute name='name'/><filter type='or'><condition attribute='statecode' operator='in'>"
            "<value>0</value><value>1</value></condition><filter>"
            "<condition attribute='revenue' operator='gt' value='1.5'/>"
            "<condition attribute='createdon' operator='last-x-days' value='3'/>"
            "<condition attribute='createdon' operator='on' value='2026-03-01'/></filter></filter>"
        ),
        (
            "<attribute name='name'/><filter><condition attribute='primarycontactid' operator='eq' "
            "value='00000000-0000-4000-8000-000000000001'/>"
            "<condition attribute='creditonhold' operator='eq' value='1'/>"
            "<condition attribute='name' operator='eq' valueof='accountnumber'/></filter>"
        ),
        (
            "<attribute name='name'/><link-entity name='contact' from='parentcustomerid' to='accountid' alias='c' "
            "link-type='outer'><attribute name='fullname'/><filter>"
            "<condition attribute='lastname' operator='not-null'/>"
            "</filter><order attribute='lastname'/></link-entity>"
            "<filter><condition entityname='c' attribute='firstname' operator='eq' value='Ann'/></filter>"
        ),
    ],
)
@pytest.mark.parametrize("fetch", ["", "distinct='true'", "top='5'", "count='7' page='2'"])
def test_a_query_is_the_same_after_it_was_written(entity: str, fetch: str) -> None:
    query = read_fetch(f"<fetch {fetch}><entity name='account'>{entity}</entity></fetch>", CATALOG)
    written = json.loads(json.dumps(write_query_expression(query)))
    assert read_query_expression(written, CATALOG) == query


def test_a_second_filter_link_gets_a_filter_of_its_own() -> None:
    query = read_fetch(
        "<fetch><entity name='account'><attribute name='name'/><filter type='or'>"
        "<link-entity name='contact' from='parentcustomerid' to='accountid' link-type='any'>"
        "<filter><condition attribute='firstname' operator='eq' value='x'/></filter></link-entity>"
        "<link-entity name='contact' from='contactid' to='primarycontactid' link-type='not any'/>"
        "</filter></entity></fetch>",
        CATALOG,
    )
    written = write_query_expression(query)
    criteria = written["Criteria"]
    assert criteria["AnyAllFilterLinkEntity"]["JoinOperator"] == "Any"
    assert [each["AnyAllFilterLinkEntity"]["JoinOperator"] for each in criteria["Filters"]] == ["NotAny"]
    assert write_query_expression(read_query_expression(written, CATALOG)) == written


def test_aggregates_are_the_same() -> None:
    query = read_fetch(
        "<fetch aggregate='true'><entity name='account'>"
        "<attribute name='revenue' aggregate='sum' alias='total'/>"
        "<attribute name='accountid' aggregate='countcolumn' alias='n'/>"
        "<attribute name='createdon' groupby='true' dategrouping='fiscal-period' alias='month'/>"
        "<order alias='month'/></entity></fetch>",
        CATALOG,
    )
    assert read_query_expression(write_query_expression(query), CATALOG) == query


@pytest.mark.parametrize(
    "fetch",
    [
        (
            "<fetch aggregate='true' aggregatelimit='10'><entity name='account'>"
            "<attribute name='name' aggregate='count' alias='n'/></entity></fetch>"
        ),
        (
            "<fetch aggregate='true'><entity name='account'>"
            "<attribute name='name' aggregate='countcolumn' distinct='true' alias='n'/></entity></fetch>"
        ),
    ],
)
def test_what_a_query_expression_cannot_say_is_refused(fetch: str) -> None:
    with pytest.raises(QueryError, match="cannot say"):
        write_query_expression(read_fetch(fetch, CATALOG))
