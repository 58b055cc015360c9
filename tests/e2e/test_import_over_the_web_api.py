"""A file becomes records through the running host, over the Web API alone: rows, actions, and polling of the jobs."""

import asyncio
import json
from typing import Any

from asyncservice.organization.wellknown import LOCAL_USER
from tests.e2e.hosts import Host, Hosts
from tests.e2e.test_webapi import API, rows, send

CSV = "name,address1_city\nContoso,Berlin\nFabrikam,Kiel\n"
#: Looks at a job before it counts as stuck; ten a second.
LOOKS = 600


async def call(host: Host, method: str, path: str, body: object = None) -> tuple[int, dict[str, str], bytes]:
    return await asyncio.to_thread(send, host, method, API + path, body)


async def make(host: Host, set_name: str, body: dict[str, Any]) -> str:
    status, headers, answer = await call(host, "POST", set_name, body)
    assert status == 204, answer
    return headers["OData-EntityId"].rpartition("(")[2].removesuffix(")")


async def completed(host: Host, job: str) -> dict[str, Any]:
    """Poll a job as clients do, until it is completed."""
    row: dict[str, Any] = {}
    for _ in range(LOOKS):
        _, _, answer = await call(host, "GET", f"asyncoperations({job})?$select=statecode,statuscode,message")
        row = json.loads(answer)
        if row["statecode"] == 3:
            return row
        await asyncio.sleep(0.1)
    raise AssertionError(f"The job is still {row}.")


async def test_a_file_becomes_records(hosts: Hosts) -> None:
    host = await hosts.start()
    of_import = await make(host, "imports", {"name": "Accounts", "modecode": 0})
    await make(
        host,
        "importfiles",
        {
            "name": "accounts",
            "source": "accounts.csv",
            "content": CSV,
            "isfirstrowheader": True,
            "usesystemmap": True,
            "fielddelimitercode": 2,
            "datadelimitercode": 1,
            "filetypecode": 0,
            "processcode": 1,
            "targetentityname": "account",
            "importid@odata.bind": f"/imports({of_import})",
            "recordsownerid_systemuser@odata.bind": f"/systemusers({LOCAL_USER})",
        },
    )
    for path, body in (
        (f"imports({of_import})/Microsoft.Dynamics.CRM.ParseImport", None),
        ("TransformImport", {"ImportId": of_import}),
        (f"imports({of_import})/Microsoft.Dynamics.CRM.ImportRecordsImport", None),
    ):
        status, _, answer = await call(host, "POST", path, body)
        assert status == 200, answer
        row = await completed(host, json.loads(answer)["asyncoperationid"])
        assert row["statuscode"] == 30, row
    _, _, answer = await call(host, "GET", "accounts?$select=name,address1_city&$orderby=name")
    assert [(each["name"], each["address1_city"]) for each in rows(answer)] == [
        ("Contoso", "Berlin"),
        ("Fabrikam", "Kiel"),
    ]
    _, _, answer = await call(
        host, "GET", "asyncoperations?$filter=statecode%20eq%203&$orderby=createdon%20desc&$top=3"
    )
    assert [each["operationtype"] for each in rows(answer)] == [5, 4, 3]
