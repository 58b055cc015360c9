"""A generic OData client reads `$metadata` and makes its classes of it."""

from typing import Any

import requests
from odata import ODataService  # type: ignore[import-untyped]
from requests.adapters import BaseAdapter

from asyncservice.organization.schema.catalog import standard_catalog
from asyncservice.webapi.metadata.csdl import document


class _Served(BaseAdapter):
    """Answers every request with the document."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request = 200, request
        response.url = str(request.url)
        response._content = document(standard_catalog())
        response.headers["Content-Type"] = "application/xml"
        return response

    def close(self) -> None:
        """Nothing is open."""


def test_python_odata_reads_the_document() -> None:
    session = requests.Session()
    session.mount("http://", _Served())
    service = ODataService(
        "http://localhost/api/data/v9.2/", session=session, reflect_entities=True, quiet_progress=True
    )

    assert {entity.set_name for entity in standard_catalog()} == set(service.entities)
    account = service.entities["accounts"]
    properties = {each["name"]: each for each in account.__odata_schema__["properties"]}
    assert properties["accountid"]["is_primary_key"]
    assert properties["createdon"]["is_computed_value"]
    assert not properties["name"]["is_computed_value"]
    assert account.primarycontactid is not None
    assert {"WhoAmI"} <= set(service.functions)
