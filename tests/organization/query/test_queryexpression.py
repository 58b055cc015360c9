"""QueryExpression and its relatives in JSON: what they say, and that errors name the place."""

from typing import Any
from uuid import UUID

import pytest

from asyncservice.organization.errorcodes import OrganizationErrorCode as Code
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.fetchxml import read_fetch
from asyncservice.organization.query.model import (
    AllOf,
    AnyOf,
    Column,
    Condition,
    Link,
    LinkType,
    Order,
    Paging,
    Query,
    Related,
)
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.queryexpression import read_query_expression
from tests.organization.query.rows import CATALOG


def read(value: dict[str, Any]) -> Query:
    return read_query_expression(value, CATALOG, path="QuerySet[0]")


def account(**members: Any) -> dict[str, Any]:
    return {"EntityName": "account", **members}


def where(*conditions: dict[str, Any], **members: Any) -> dict[str, Any]:
    return account(Criteria={"Conditions": list(conditions), **members})


def test_a_whole_query_is_read() -> None:
    query = read(
        {
            "@odata.type": "#Microsoft.Dynamics.CRM.QueryExpression",
            "EntityName": "account",
            "ColumnSet": {"@odata.type": "Microsoft.Dynamics.CRM.ColumnSet", "AllColumns": False, "Columns": ["name"]},
            "Distinct": True,
            "NoLock": False,
            "Criteria": {
                "FilterOperator": "And",
                "Conditions": [
                    {
                        "AttributeName": "statecode",
                        "Operator": "Equal",
                        "Values": [{"Type": "System.String", "Value": "0"}],
                    },
                    {"AttributeName": "createdon", "Operator": 33, "Values": [{"Value": 30, "Type": "System.Int32"}]},
                    {"AttributeName": "parentaccountid", "Operator": "Null", "Values": []},
                ],
                "Filters": [
                    {
                        "FilterOperator": 1,
                        "Conditions": [
                            {"AttributeName": "name", "Operator": "BeginsWith", "Values": ["A"]},
                            {"EntityName": "pc", "AttributeName": "emailaddress1", "Operator": "NotNull"},
                        ],
                    }
                ],
            },
            "LinkEntities": [
                {
                    "LinkFromEntityName": "account",
                    "LinkFromAttributeName": "primarycontactid",
                    "LinkToEntityName": "contact",
                    "LinkToAttributeName": "contactid",
                    "JoinOperator": "LeftOuter",
                    "EntityAlias": "pc",
                    "Columns": {"Columns": ["emailaddress1"]},
                    "LinkCriteria": {"FilterOperator": "And", "Conditions": []},
                    "LinkEntities": [],
                    "Orders": [],
                }
            ],
            "Orders": [{"AttributeName": "industrycode", "OrderType": "Descending"}],
            "PageInfo": {"PageNumber": 2, "Count": 500, "ReturnTotalRecordCount": True, "PagingCookie": None},
        }
    )
    assert query == Query(
        entity="account",
        columns=(Column(attribute="name"),),
        is_distinct=True,
        where=AllOf(
            (
                Condition(attribute="statecode", operator=Operator.EQUAL, values=(0,)),
                Condition(attribute="createdon", operator=Operator.LAST_X_DAYS, values=(30,)),
                Condition(attribute="parentaccountid", operator=Operator.NULL),
                AnyOf(
                    (
                        Condition(attribute="name", operator=Operator.BEGINS_WITH, values=("A",)),
                        Condition(attribute="emailaddress1", operator=Operator.NOT_NULL, link="pc"),
                    )
                ),
            )
        ),
        links=(
            Link(
                entity="contact",
                from_attribute="contactid",
                to_attribute="primarycontactid",
                alias="pc",
                type=LinkType.OUTER,
                columns=(Column(attribute="emailaddress1"),),
            ),
        ),
        orders=(Order(attribute="industrycode", descending=True, by_label=True),),
        paging=Paging(number=2, size=500),
        counts=True,
    )


def test_all_that_is_left_out_means_all_rows_and_only_their_keys() -> None:
    assert read(account()) == Query(entity="account", columns=())
    assert read(account(ColumnSet={"AllColumns": True})).columns is None
    nothing: dict[str, Any] = {
        "ColumnSet": None,
        "Criteria": None,
        "LinkEntities": None,
        "Orders": [],
        "PageInfo": None,
        "TopCount": None,
    }
    assert read(account(**nothing)) == Query(entity="account", columns=())


def test_a_thousand_ids_are_one_condition() -> None:
    ids = [UUID(int=number) for number in range(1000)]
    values = [{"Value": str(one), "Type": "System.Guid"} for one in ids]
    found = read(where({"AttributeName": "accountid", "Operator": "In", "Values": values})).where
    assert found == AllOf((Condition(attribute="accountid", operator=Operator.IN, values=tuple(ids)),))


def test_a_filter_link_and_compared_columns_are_read() -> None:
    related = {
        "LinkFromAttributeName": "accountid",
        "LinkToEntityName": "contact",
        "LinkToAttributeName": "parentcustomerid",
        "JoinOperator": "NotAny",
        "LinkCriteria": {"Conditions": [{"AttributeName": "lastname", "Operator": "Null"}]},
    }
    compared = {"AttributeName": "name", "Operator": "Equal", "CompareColumns": True, "Values": ["accountnumber"]}
    assert read(where(compared, AnyAllFilterLinkEntity=related)).where == AllOf(
        (
            Condition(attribute="name", operator=Operator.EQUAL, other_attribute="accountnumber"),
            Related(
                Link(
                    entity="contact",
                    from_attribute="parentcustomerid",
                    to_attribute="accountid",
                    alias="contact1",
                    type=LinkType.NOT_ANY,
                    where=AllOf((Condition(attribute="lastname", operator=Operator.NULL),)),
                )
            ),
        )
    )


def test_the_relatives_of_query_expression_are_read() -> None:
    xml = '<fetch><entity name="account"><attribute name="name" /></entity></fetch>'
    for kind in ({"@odata.type": "Microsoft.Dynamics.CRM.FetchExpression"}, {}):
        assert read({**kind, "Query": xml}) == read_fetch(xml, CATALOG)
    by_attribute = {
        "EntityName": "account",
        "Attributes": ["name", "fax"],
        "Values": ["x", None],
        "ColumnSet": {"Columns": ["name"]},
        "TopCount": 5,
    }
    for kind in ({"@odata.type": "#Microsoft.Dynamics.CRM.QueryByAttribute"}, {}):
        assert read({**kind, **by_attribute}) == Query(
            entity="account",
            columns=(Column(attribute="name"),),
            where=AllOf(
                (
                    Condition(attribute="name", operator=Operator.EQUAL, values=("x",)),
                    Condition(attribute="fax", operator=Operator.NULL),
                )
            ),
            top=5,
        )


def deep(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"Filters": [inner]}
    return account(Criteria=inner)


CONDITION = "QuerySet[0].Criteria.Conditions[0]"
IN = {"AttributeName": "numberofemployees", "Operator": "In"}
LINK = {"LinkToEntityName": "contact", "LinkFromAttributeName": "primarycontactid", "LinkToAttributeName": "contactid"}


@pytest.mark.parametrize(
    ("value", "code", "place"),
    [
        ({}, Code.INVALID_PROPERTY_VALUE, "QuerySet[0].EntityName"),
        ({"EntityName": 1}, Code.INVALID_PROPERTY_VALUE, "QuerySet[0].EntityName"),
        ({"EntityName": "nothing"}, Code.NO_SUCH_ENTITY, "QuerySet[0].EntityName"),
        ({"@odata.type": "Microsoft.Dynamics.CRM.account"}, Code.INVALID_ARGUMENT, "QuerySet[0]"),
        (account(Entity="x"), Code.INVALID_PROPERTY_VALUE, "QuerySet[0].Entity "),
        (account(ColumnSet=[]), Code.INVALID_PROPERTY_VALUE, "QuerySet[0].ColumnSet"),
        (account(ColumnSet={"Columns": "name"}), Code.INVALID_PROPERTY_VALUE, "QuerySet[0].ColumnSet.Columns"),
        (account(ColumnSet={"Columns": ["name", 5]}), Code.NO_SUCH_ATTRIBUTE, "QuerySet[0].ColumnSet.Columns[1]"),
        (account(Distinct="no"), Code.INVALID_PROPERTY_VALUE, "QuerySet[0].Distinct"),
        (account(TopCount=-1), Code.INVALID_PROPERTY_VALUE, "QuerySet[0].TopCount"),
        (account(TopCount=5, PageInfo={"Count": 5}), Code.INVALID_ARGUMENT, "QuerySet[0] "),
        (account(PageInfo={"PagingCookie": "x"}), Code.PAGING_COOKIE_INVALID, "QuerySet[0].PageInfo.PagingCookie"),
        (account(Orders=[{"OrderType": "Up"}]), Code.INVALID_DESCENDING, "QuerySet[0].Orders[0].OrderType"),
        (account(Orders=[{"AttributeName": "x"}]), Code.NO_SUCH_ATTRIBUTE, "QuerySet[0].Orders[0].AttributeName"),
        (where(FilterOperator="Xor"), Code.INVALID_LOGICAL_OPERATOR, "QuerySet[0].Criteria.FilterOperator"),
        (where({"AttributeName": "x"}), Code.NO_SUCH_ATTRIBUTE, f"{CONDITION}.AttributeName"),
        (
            where({**IN, "Operator": "Is"}),
            Code.CONDITION_OPERATOR_UNSUPPORTED,
            "QuerySet[0].Criteria.Conditions[0].Operator",
        ),
        (
            where({**IN, "Operator": ["In"]}),
            Code.CONDITION_OPERATOR_UNSUPPORTED,
            "QuerySet[0].Criteria.Conditions[0].Operator",
        ),
        (where({**IN, "Values": []}), Code.BAD_CONDITION, CONDITION),
        (where({**IN, "Values": [None]}), Code.BAD_CONDITION, f"{CONDITION}.Values[0]"),
        (where({**IN, "Values": [[1]]}), Code.INVALID_PROPERTY_VALUE, f"{CONDITION}.Values[0]"),
        (
            where({**IN, "Values": [{"Val": 1}]}),
            Code.INVALID_PROPERTY_VALUE,
            "QuerySet[0].Criteria.Conditions[0].Values[0]",
        ),
        (where({**IN, "Values": ["x"]}), Code.QUERY_VALUE_INVALID, CONDITION),
        (where({**IN, "Values": [float("nan")]}), Code.QUERY_VALUE_INVALID, CONDITION),
        (where({**IN, "EntityName": "c"}), Code.ALIAS_DOES_NOT_EXIST, f"{CONDITION}.EntityName"),
        (account(LinkEntities=[{}]), Code.INVALID_PROPERTY_VALUE, "QuerySet[0].LinkEntities[0].LinkToEntityName"),
        (
            account(LinkEntities=[{**LINK, "LinkFromEntityName": "lead"}]),
            Code.ENTITIES_DO_NOT_MATCH,
            "QuerySet[0].LinkEntities[0]",
        ),
        (
            account(LinkEntities=[{**LINK, "JoinOperator": "Any"}]),
            Code.JOIN_OPERATOR_UNSUPPORTED,
            "QuerySet[0].LinkEntities[0]",
        ),
        (
            account(LinkEntities=[{**LINK, "LinkToAttributeName": None}]),
            Code.ATTRIBUTE_PAIR_MISMATCH,
            "QuerySet[0].LinkEntities[0]",
        ),
        (
            account(LinkEntities=[{**LINK, "EntityAlias": "a b"}]),
            Code.INVALID_ALIAS,
            "QuerySet[0].LinkEntities[0].EntityAlias",
        ),
        (
            {"EntityName": "account", "Attributes": ["name"], "Values": []},
            Code.BY_ATTRIBUTE_MISMATCH,
            "QuerySet[0] ",
        ),
        (
            {"EntityName": "account", "Attributes": ["name", "x"], "Values": [1, 2]},
            Code.NO_SUCH_ATTRIBUTE,
            "QuerySet[0].Attributes[1]",
        ),
        ({"Query": "<fetch/>"}, Code.ELEMENT_NOT_FOUND, "QuerySet[0].Query"),
        (deep(500), Code.TOO_MANY_CONDITIONS, ""),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(value: dict[str, Any], code: Code, place: str) -> None:
    with pytest.raises(QueryError) as refused:
        read(value)
    assert refused.value.code is code
    assert str(refused.value).startswith(place)
