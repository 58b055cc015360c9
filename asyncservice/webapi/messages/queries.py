"""Queries from one notation into the other: FetchXML and QueryExpression."""

from asyncservice.organization.query.fetchxml import read_fetch
from asyncservice.organization.query.fetchxmlwriter import write_fetch
from asyncservice.organization.query.queryexpression import read_query_expression
from asyncservice.organization.query.queryexpressionwriter import Json, write_query_expression
from asyncservice.webapi.messages.querytypes import QueryBase, QueryExpression
from asyncservice.webapi.messages.registry import Call, Kind, message
from asyncservice.webapi.messages.types import complex_type


@complex_type()
class QueryExpressionToFetchXmlResponse:
    """The query in FetchXML."""

    fetch_xml: str


@complex_type(is_raw=True)
class FetchXmlToQueryExpressionResponse:
    """The query as a QueryExpression."""

    query: QueryExpression


@message(
    "QueryExpressionToFetchXml",
    Kind.ACTION,
    parameters={"Query": QueryBase},
    returns=QueryExpressionToFetchXmlResponse,
)
async def query_expression_to_fetch_xml(call: Call) -> QueryExpressionToFetchXmlResponse:
    """Write a query of any notation as FetchXML."""
    query = read_query_expression(call["Query"], call.api.organization.catalog)
    return QueryExpressionToFetchXmlResponse(fetch_xml=write_fetch(query))


@message(
    "FetchXmlToQueryExpression",
    Kind.FUNCTION,
    parameters={"FetchXml": str},
    returns=FetchXmlToQueryExpressionResponse,
)
async def fetch_xml_to_query_expression(call: Call) -> Json:
    """Write a query in FetchXML as a QueryExpression."""
    query = read_fetch(call["FetchXml"], call.api.organization.catalog)
    return {"Query": write_query_expression(query)}
