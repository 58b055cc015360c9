"""OData's query options: what they say, what is refused, and that no text makes the reader fail in another way."""

from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncservice.organization.errorcodes import OrganizationErrorCode as Code
from asyncservice.organization.query.cookies import Token, skiptoken
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import (
    Aggregate,
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
    Related,
)
from asyncservice.organization.query.odata import ODataQuery, read_options
from asyncservice.organization.query.odatasyntax import Compare, Literal, Path, parse
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.schema.relationships import NavigationKind
from tests.organization.query.rows import CATALOG

ACCOUNT = CATALOG.entity("account")
SOME_ID = UUID("7a1c0000-0000-4000-8000-00000000009e")


def read(*, entity: str = "account", aliases: dict[str, str] | None = None, **options: str) -> ODataQuery:
    said = {f"${name}": text for name, text in options.items()}
    return read_options(said, CATALOG.entity(entity), CATALOG, aliases=aliases or {})


def where(text: str, *, entity: str = "account", **aliases: str) -> Filter | None:
    return read(entity=entity, aliases={f"@{name}": value for name, value in aliases.items()}, filter=text).query.where


def test_select_takes_lookups_by_either_name_and_keeps_what_was_asked() -> None:
    options = read(select="name, _ownerid_value,primarycontactid,_primarycontactid_value,name")
    assert options.select == ("name", "_ownerid_value", "primarycontactid", "_primarycontactid_value")
    assert options.query.columns == tuple(Column(attribute=name) for name in ("name", "ownerid", "primarycontactid"))
    assert read(entity="contact", select="parentcustomerid_account").query.columns == (
        Column(attribute="parentcustomerid"),
    )
    assert read().query.columns is read(select="*").query.columns is None


def test_options_without_a_dollar_are_not_looked_at() -> None:
    assert read_options({"tag": "x", "api-version": "9.2"}, ACCOUNT, CATALOG, aliases={}).query.columns is None


def test_the_same_path_is_the_same_link_wherever_it_stands() -> None:
    query = read(
        filter="primarycontactid/fullname eq 'x' and primarycontactid/parentcustomerid_account/name ne null",
        orderby="primarycontactid/lastname desc, name",
    ).query
    (link,) = query.links
    assert (link.entity, link.from_attribute, link.to_attribute) == ("contact", "contactid", "primarycontactid")
    assert (link.type, link.columns, len(link.links)) == (LinkType.OUTER, (), 1)
    assert query.orders == (Order(attribute="lastname", descending=True, link=link.alias), Order(attribute="name"))
    assert query.where == AllOf(
        (
            Condition(attribute="fullname", operator=Operator.EQUAL, values=("x",), link=link.alias),
            Condition(attribute="name", operator=Operator.NOT_NULL, link=link.links[0].alias),
        )
    )


def test_the_key_at_the_end_of_a_lookup_is_the_lookup_itself() -> None:
    for text, entity, name in (
        (f"primarycontactid/contactid eq {SOME_ID}", "account", "primarycontactid"),
        (f"ownerid/ownerid eq {SOME_ID}", "account", "ownerid"),
        (f"asyncoperationid/asyncoperationid eq {SOME_ID}", "bulkdeleteoperation", "asyncoperationid"),
    ):
        query = read(entity=entity, filter=text).query
        assert query.links == ()
        assert query.where == Condition(attribute=name, operator=Operator.EQUAL, values=(SOME_ID,))
    # Of a customer that may be something else the property says less than the lookup.
    assert len(read(entity="contact", filter=f"parentcustomerid_account/accountid ne {SOME_ID}").query.links) == 1


def test_all_means_that_there_are_some_and_that_none_fails() -> None:
    found = where("contact_customer_accounts/all(c:c/lastname eq 'x')")
    assert isinstance(found, Related)
    assert found.link.type is LinkType.ALL
    assert found.link.where == Not(Condition(attribute="lastname", operator=Operator.EQUAL, values=("x",)))


def test_a_collection_of_many_to_many_goes_through_its_pairs() -> None:
    navigation = next(
        one
        for entity in CATALOG
        for one in CATALOG.navigations(entity.name).values()
        if one.kind is NavigationKind.MANY_TO_MANY
    )
    target = CATALOG.entity(navigation.target)
    text = f"{navigation.name}/any(x:x/{target.primary_id} eq {SOME_ID})"
    found = where(text, entity=navigation.entity)
    assert isinstance(found, Related)
    (beyond,) = found.link.links
    assert (found.link.type, beyond.type, beyond.entity) == (LinkType.ANY, LinkType.INNER, navigation.target)
    assert found.link.to_attribute == CATALOG.entity(navigation.entity).primary_id
    assert beyond.from_attribute == target.primary_id
    assert beyond.where == Condition(attribute=target.primary_id, operator=Operator.EQUAL, values=(SOME_ID,))
    every = where(text.replace("/any(", "/all("), entity=navigation.entity)
    assert isinstance(every, AllOf)
    assert [one.link.type for one in every.members if isinstance(one, Related)] == [LinkType.ANY, LinkType.NOT_ANY]


@pytest.mark.parametrize(
    "text",
    [
        """Microsoft.Dynamics.CRM.In(PropertyName='industrycode',PropertyValues=["1","2"])""",
        """Microsoft.Dynamics.CRM.In(PropertyName='industrycode',PropertyValues=['1','2'])""",
        """Microsoft.Dynamics.CRM.In(PropertyName='industrycode',PropertyValues=[1, 2])""",
        """Microsoft.Dynamics.CRM.In( PropertyName = 'industrycode', PropertyValues = [ "1" , "2" ] ) """,
        "Microsoft.Dynamics.CRM.In(PropertyName=@p1,PropertyValues=@p2)",
        "((Microsoft.Dynamics.CRM.In(PropertyName=@p1,PropertyValues=@p2)))",
        "industrycode in (1,2)",
    ],
)
def test_a_list_is_the_same_however_it_is_written(text: str) -> None:
    found = where(text, p1="'industrycode'", p2="""["1",'2']""")
    assert found == Condition(attribute="industrycode", operator=Operator.IN, values=(1, 2))


def test_quotes_keep_what_is_in_them() -> None:
    odd = "a) or (b eq 'c' and \"d\" [;,{@p1 Microsoft.Dynamics.CRM.In("
    quoted = odd.replace("'", "''")
    expected = Condition(attribute="name", operator=Operator.EQUAL, values=(odd,))
    assert where(f"name eq '{quoted}'") == expected
    assert where("name eq @p1", p1=f"'{quoted}'") == expected
    (expand,) = read(expand=f"contact_customer_accounts($filter=lastname eq '{quoted}';$top=2)").expands
    assert expand.options.query.where == Condition(attribute="lastname", operator=Operator.EQUAL, values=(odd,))
    assert expand.options.query.top == 2
    listed = """Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=["O'Hara (\\"x\\"]","b,c"])"""
    assert where(listed) == Condition(attribute="name", operator=Operator.IN, values=('O\'Hara ("x"]', "b,c"))


def test_names_that_begin_with_words_of_the_language_are_names() -> None:
    assert parse("allocationtypecode eq 1", {}) == Compare("eq", Path(("allocationtypecode",)), Literal(1))
    for name in ("anyone", "trueprice", "falsehood", "nullable", "notes", "order", "android", "inside", "all", "any"):
        assert parse(f"{name} eq null", {}) == Compare("eq", Path((name,)), Literal(None))
        assert parse(f"{name}/{name} eq 5", {}) == Compare("eq", Path((name, name)), Literal(5))


def test_hundreds_of_terms_are_one_level() -> None:
    found = where(" or ".join(f"(name eq '{number}')" for number in range(500)))
    assert isinstance(found, AnyOf)
    assert len(found.members) == 500


def test_query_functions_work_within_lambdas() -> None:
    for text in (
        "c/Microsoft.Dynamics.CRM.Today(PropertyName='createdon')",
        "Microsoft.Dynamics.CRM.Today(PropertyName='createdon')",
        "Microsoft.Dynamics.CRM.Today(PropertyName='c/createdon')",
    ):
        found = where(f"contact_customer_accounts/any(c:{text})")
        assert isinstance(found, Related)
        assert found.link.where == Condition(attribute="createdon", operator=Operator.TODAY)


def test_expansions_nest() -> None:
    many, one = read(
        expand="contact_customer_accounts($select=lastname;$orderby=createdon desc;"
        "$expand=owninguser($select=fullname)),"
        "primarycontactid/$ref"
    ).expands
    assert (many.navigation.name, many.is_reference) == ("contact_customer_accounts", False)
    assert many.options.select == ("lastname",)
    assert many.options.query.orders == (Order(attribute="createdon", descending=True),)
    assert [inner.navigation.target for inner in many.options.expands] == ["systemuser"]
    assert (one.navigation.name, one.is_reference) == ("primarycontactid", True)


def test_apply_makes_an_aggregate_query() -> None:
    options = read(
        apply="filter(statecode eq 0)/groupby((industrycode,primarycontactid/fullname),"
        "aggregate($count as n,revenue with average as mean,name with countdistinct as names))",
        orderby="n desc",
    )
    query = options.query
    assert options.is_applied
    assert query.is_aggregate
    assert query.where == Condition(attribute="statecode", operator=Operator.EQUAL, values=(0,))
    assert query.columns == (
        Column(attribute="industrycode", alias="industrycode", is_group=True),
        Column(attribute="accountid", alias="n", aggregate=Aggregate.COUNT),
        Column(attribute="revenue", alias="mean", aggregate=Aggregate.AVG),
        Column(attribute="name", alias="names", aggregate=Aggregate.COUNT_COLUMN, distinct=True),
    )
    assert query.orders == (Order(attribute="n", descending=True, is_alias=True),)
    (link,) = query.links
    assert link == Link(
        entity="contact",
        from_attribute="contactid",
        to_attribute="primarycontactid",
        alias=link.alias,
        type=LinkType.OUTER,
        columns=(Column(attribute="fullname", alias="primarycontactid/fullname", is_group=True),),
    )


def test_top_count_and_the_token_are_read() -> None:
    query = read(top="20", count="true").query
    assert (query.top, query.counts) == (20, True)
    assert read(top="9999").query.top == 5000
    token = Token(number=3, cookie="<cookie page='2'></cookie>", size=7)
    options = read(skiptoken=skiptoken(token))
    assert options.query.paging == Paging(number=3, size=7, cookie="<cookie page='2'></cookie>")
    assert options.page_size == 7


def test_an_unknown_property_is_named_in_the_words_that_clients_look_for() -> None:
    for options in (
        {"$filter": "x eq 1"},
        {"$select": "x"},
        {"$orderby": "x"},
        {"$expand": "x"},
        {"$filter": "x/y eq 1"},
        {"$filter": "x/any()"},
        {"$filter": "contains(x,'a')"},
        {"$filter": "Microsoft.Dynamics.CRM.Null(PropertyName='x')"},
        {"$apply": "groupby((x))"},
    ):
        with pytest.raises(QueryError) as refused:
            read_options(options, ACCOUNT, CATALOG, aliases={})
        assert str(refused.value) == "Could not find a property named 'x' on type 'Microsoft.Dynamics.CRM.account'."
        assert refused.value.code.hex == "0x80060888"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name eq",
        "name eq 'x",
        "name eq 'x')",
        "(name eq 'x'",
        "name eq x eq y",
        "name eq 5",
        "name = 'x'",
        "statecode eq '0'",
        "statecode eq 1.5",
        "donotphone eq 1",
        "createdon gt 'yesterday'",
        "createdon gt 2026-02-31",
        "createdon gt 2026-13-01",
        "accountid eq 5",
        "accountid eq 'x'",
        "name gt null",
        "name eq revenue",
        "name eq tolower('x')",
        "tolower(name) eq 'x'",
        "nonsense(name,'x')",
        "contains('x',name)",
        "contains(name,5)",
        "startswith(name)",
        "numberofemployees add 1 eq 2",
        "-numberofemployees eq 2",
        "contact_customer_accounts/$count gt 5",
        "contact_customer_accounts/lastname eq 'x'",
        "contact_customer_accounts/any(c:name eq 'x')",
        "contact_customer_accounts/any(c:c eq 'x')",
        "contact_customer_accounts/any(lastname eq 'x')",
        "contact_customer_accounts/all()",
        "primarycontactid/any(c:c/lastname eq 'x')",
        "name in 'x'",
        "name in ()",
        "not name",
        "not Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=['x'])",
        "not (Microsoft.Dynamics.CRM.Today(PropertyName='createdon'))",
        "Microsoft.Dynamics.CRM.Nothing(PropertyName='name')",
        "Microsoft.Dynamics.CRM.In(PropertyName='name')",
        "Microsoft.Dynamics.CRM.In(PropertyValues=['x'])",
        "Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=['x'],More=1)",
        "Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=[null])",
        "Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=[x])",
        "Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=['x')",
        "Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=[['x']])",
        "Microsoft.Dynamics.CRM.In('name',['x'])",
        "Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue=0)",
        "Microsoft.Dynamics.CRM.LastXDays(PropertyName='name',PropertyValue=1)",
        "name eq @p9",
        "name eq @p1",
        "name eq #",
        "name eq 'x' # comment",
        "(" * 60 + "name eq 'x'" + ")" * 60,
        "not " * 60 + "donotphone",
        "name eq 'x'" + " eq true" * 60,
        " or ".join("name eq 'x'" for _ in range(501)),
        "/".join(["primarycontactid"] * 40) + "/name eq 'x'",
        "numberofemployees eq " + "9" * 5000,
        "name eq '" + "x" * 70_000 + "'",
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(QueryError) as refused:
        where(text, p1="name eq 'x'")
    assert str(refused.value).endswith(".")
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    "options",
    [
        {"$skip": "5"},
        {"$search": "x"},
        {"$levels": "1"},
        {"$top": "-1"},
        {"$top": "many"},
        {"$top": "9" * 50},
        {"$count": "yes"},
        {"$select": "name/fax"},
        {"$orderby": "name up"},
        {"$orderby": "contact_customer_accounts/lastname"},
        {"$expand": "contact_customer_accounts("},
        {"$expand": "contact_customer_accounts($filter=x eq 1)"},
        {"$expand": "contact_customer_accounts(lastname)"},
        {"$expand": "contact_customer_accounts($top=1;$top=2)"},
        {"$expand": "contact_customer_accounts($apply=aggregate($count as n))"},
        {"$expand": "primarycontactid,primarycontactid"},
        {"$expand": "primarycontactid($expand=" * 60 + ")" * 60},
        {"$apply": ""},
        {"$apply": "filter(statecode eq 0)"},
        {"$apply": "topcount(5)"},
        {"$apply": "groupby(name)"},
        {"$apply": "groupby((name),filter(x))"},
        {"$apply": "groupby((name))/filter(name eq 'x')"},
        {"$apply": "aggregate(name with sum as n)"},
        {"$apply": "aggregate(revenue with median as n)"},
        {"$apply": "aggregate(revenue as n)"},
        {"$apply": "aggregate($count as n,revenue with sum as n)"},
        {"$apply": "aggregate($count as n)", "$filter": "statecode eq 0"},
        {"$apply": "aggregate($count as n)", "$orderby": "name"},
        {"$skiptoken": "5"},
    ],
)
def test_an_option_that_cannot_be_read_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(QueryError) as refused:
        read_options(options, ACCOUNT, CATALOG, aliases={})
    assert refused.value.code in {
        *(Code.URL_INVALID, Code.PAGING_COOKIE_INVALID, Code.TOO_MANY_CONDITIONS),
        Code.INVALID_AGGREGATE_ATTRIBUTE,
    }


PIECES = st.sampled_from(
    [
        *("name", "statecode", "primarycontactid/fullname", "contact_customer_accounts", "c", "x", "$count", "@p1"),
        *(" eq ", " ne ", " and ", " or ", "not ", " in ", "any", "all", "/", "(", ")", "[", "]", ",", ":", "=", "'"),
        *("'x'", "5", "-1", "1.5", "null", "true", "2026-03-01", str(SOME_ID), '"', "\\", "''", ";", " ", "\x00", "é"),
        *("Microsoft.Dynamics.CRM.In(", "PropertyName='name'", "PropertyValues=['x']", "contains(", "groupby(("),
        *("aggregate(", "$count as n", "$filter=", "$select=", "with sum as"),
    ]
)


@settings(max_examples=400)
@given(
    st.sampled_from(["$filter", "$orderby", "$select", "$expand", "$apply", "$skiptoken", "$top"]),
    st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=20),
)
def test_no_text_is_answered_with_anything_but_a_query_or_a_refusal(name: str, text: str) -> None:
    with suppress(QueryError):
        assert read_options({name: text}, ACCOUNT, CATALOG, aliases={"@p1": "'x'"}).query.entity == "account"
