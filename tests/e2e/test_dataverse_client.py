"""Microsoft's Dataverse client for Python, as it is published, works with the service as with an environment."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.filters import col
from PowerPlatform.Dataverse.models.record import QueryResult
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from asyncservice.client import SyncServiceClient
from tests.e2e.webapihost import Served, served

NOWHERE = "00000000-0000-4000-8000-00000000dead"


class Anybody:
    """A credential: the local host asks nobody, but the client insists on one."""

    def get_token(self, *scopes: str, **given: Any) -> AccessToken:  # noqa: ARG002 - the protocol's signature
        return AccessToken("whatever", int(time.time()) + 3600)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture
def client(host: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataverseClient]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(host.authority))
    with DataverseClient(host.url, Anybody()) as client:
        yield client


def retrieved(client: DataverseClient, table: str, record_id: str, **asked: Any) -> Mapping[str, Any]:
    """Return a row that must be there."""
    row = client.records.retrieve(table, record_id, **asked)
    assert row is not None
    return row.data


def test_rows_are_made_read_changed_and_removed(client: DataverseClient) -> None:
    made = client.records.create("account", {"name": "Søren & A's", "numberofemployees": 12, "telephone1": "555"})
    row = retrieved(client, "account", made, select=["name", "numberofemployees", "telephone1"])
    assert (row["name"], row["numberofemployees"], row["telephone1"]) == ("Søren & A's", 12, "555")
    client.records.update("account", made, {"telephone1": None, "name": "B"})
    row = retrieved(client, "account", made)
    assert (row["name"], row["telephone1"], row["statecode"]) == ("B", None, 0)
    client.records.delete("account", made)
    assert client.records.retrieve("account", made) is None


def test_links_are_made_and_expanded(client: DataverseClient) -> None:
    contact = client.records.create("contact", {"firstname": "Ada", "lastname": "Lind"})
    account = client.records.create(
        "account", {"name": "Linked", "primarycontactid@odata.bind": f"/contacts({contact})"}
    )
    row = retrieved(client, "account", account, select=["name"], expand=["primarycontactid"])
    assert row["primarycontactid"]["fullname"] == "Ada Lind"


def test_many_rows_are_made_changed_and_upserted_at_once(client: DataverseClient) -> None:
    ids = client.records.create("account", [{"name": f"Many {number}"} for number in range(25)])
    assert len(set(ids)) == 25
    client.records.update("account", ids, {"address1_city": "Malmö"})
    found = client.records.list("account", filter="address1_city eq 'malmö'", select=["name"])
    assert sorted(row["name"] for row in found) == sorted(f"Many {number}" for number in range(25))


def test_queries_are_paged(client: DataverseClient) -> None:
    client.records.create("account", [{"name": f"Paged {number:02d}"} for number in range(25)])
    pages = list(
        client.records.list_pages(
            "account", filter="startswith(name,'Paged')", select=["name"], orderby=["name desc"], page_size=10
        )
    )
    assert [len(list(page)) for page in pages] == [10, 10, 5]
    names = [row["name"] for page in pages for row in page]
    assert names == [f"Paged {number:02d}" for number in reversed(range(25))]
    top = client.records.list("account", filter="startswith(name,'Paged')", orderby=["name"], top=3, select=["name"])
    assert [row["name"] for row in top] == ["Paged 00", "Paged 01", "Paged 02"]


def test_queries_are_built(client: DataverseClient) -> None:
    client.records.create("account", [{"name": f"Built {number}", "numberofemployees": number} for number in range(5)])
    result = (
        client.query.builder("account")
        .select("name", "numberofemployees")
        .where((col("numberofemployees") > 1) & col("name").startswith("Built"))
        .order_by("numberofemployees", descending=True)
        .execute()
    )
    assert isinstance(result, QueryResult)
    assert [record["numberofemployees"] for record in result.records] == [4, 3, 2]


def test_fetchxml_is_paged(client: DataverseClient) -> None:
    client.records.create("contact", [{"lastname": f"Fetched {number:02d}"} for number in range(12)])
    query = client.query.fetchxml(
        """
        <fetch count="5">
          <entity name="contact">
            <attribute name="lastname" />
            <filter><condition attribute="lastname" operator="begins-with" value="Fetched" /></filter>
            <order attribute="lastname" />
          </entity>
        </fetch>
        """
    )
    pages = [[row["lastname"] for row in page] for page in query.execute_pages()]
    assert [len(page) for page in pages] == [5, 5, 2]
    assert [name for page in pages for name in page] == [f"Fetched {number:02d}" for number in range(12)]


def test_batches_hold_single_requests_and_change_sets(client: DataverseClient) -> None:
    batch = client.batch.new()
    batch.records.create("account", {"name": "Batched alone"})
    with batch.changeset() as changes:
        contact = changes.records.create("contact", {"lastname": "Batched"})
        changes.records.create("account", {"name": "Batched", "primarycontactid@odata.bind": contact})
    batch.records.list("account", filter="startswith(name,'Batched')", select=["name"])
    result = batch.execute()
    assert not result.has_errors
    assert len(result.entity_ids) == 3
    listed = result.responses[-1].data
    assert listed is not None
    assert sorted(row["name"] for row in listed["value"]) == ["Batched", "Batched alone"]
    account = retrieved(client, "account", result.entity_ids[2], expand=["primarycontactid"])
    assert account["primarycontactid"]["lastname"] == "Batched"


def test_a_change_set_that_fails_leaves_nothing(client: DataverseClient) -> None:
    batch = client.batch.new()
    with batch.changeset() as changes:
        changes.records.create("account", {"name": "Undone"})
        changes.records.update("account", NOWHERE, {"nosuchcolumn": 1})
    result = batch.execute(continue_on_error=True)
    assert result.has_errors
    assert list(client.records.list("account", filter="name eq 'Undone'")) == []


def test_errors_are_told_with_dataverses_codes(client: DataverseClient) -> None:
    with pytest.raises(HttpError) as refused:
        client.records.create("account", {"nosuchcolumn": 1})
    assert refused.value.status_code == 400
    assert "nosuchcolumn" in str(refused.value)
    with pytest.raises(HttpError) as missing:
        client.records.delete("account", NOWHERE)
    assert missing.value.status_code == 404


def test_metadata_is_read(client: DataverseClient) -> None:
    table = client.tables.get("account")
    assert table is not None
    assert (table.entity_set_name, table.logical_name) == ("accounts", "account")
    assert client.tables.get("nosuchtable") is None
    columns = {column["LogicalName"]: column for column in client.tables.list_columns("account")}
    assert {"name", "revenue", "primarycontactid"} <= columns.keys()
    assert columns["name"]["AttributeType"] == "String"
    revenue = client.tables.get_column("account", "revenue")
    assert revenue is not None
    assert revenue["AttributeType"] == "Money"
    assert "contact" in {each["LogicalName"] for each in client.tables.list(select=["LogicalName"])}
    names = {each["SchemaName"] for each in client.tables.list_table_relationships("account")}
    assert {"account_primary_contact", "contact_customer_accounts"} <= names


def test_a_table_is_made_used_and_removed(client: DataverseClient) -> None:
    made = client.tables.create("new_Visit", {"new_Place": "string", "new_Guests": "int", "new_Paid": "bool"})
    assert made.entity_set_name
    client.tables.create_alternate_key("new_Visit", "new_VisitPlace", ["new_place"])
    keys = client.tables.get_alternate_keys("new_Visit")
    assert [key.key_attributes for key in keys] == [["new_place"]]
    client.records.upsert(
        "new_visit",
        [UpsertItem(alternate_key={"new_place": place}, record={"new_guests": 2}) for place in ("Lund", "Ystad")],
    )
    client.records.upsert(
        "new_visit", [UpsertItem(alternate_key={"new_place": "Lund"}, record={"new_guests": 3, "new_paid": True})]
    )
    rows = client.records.list("new_visit", select=["new_place", "new_guests", "new_paid"], orderby=["new_place"])
    assert [(row["new_place"], row["new_guests"], row["new_paid"]) for row in rows] == [
        ("Lund", 3, True),
        ("Ystad", 2, False),
    ]
    client.tables.delete("new_Visit")
    assert client.tables.get("new_Visit") is None


def test_jobs_are_followed_listed_and_cancelled(host: Served, client: DataverseClient) -> None:
    def state(job: UUID) -> tuple[int, int]:
        row = retrieved(client, "asyncoperation", str(job), select=["statecode", "statuscode"])
        return row["statecode"], row["statuscode"]

    with SyncServiceClient.from_connection_string(host.connection) as service:
        done = service.submit("BulkDelete", {"steps": 2}, name="Followed")
        later = service.submit("BulkDelete", name="Postponed", postponeuntil=datetime(2099, 1, 1, tzinfo=UTC))
    until = time.monotonic() + 60
    while state(done.asyncoperationid)[0] != 3:
        assert time.monotonic() < until
        time.sleep(0.2)
    row = retrieved(client, "asyncoperation", str(done.asyncoperationid))
    assert (row["statuscode"], row["name"]) == (30, "Followed")
    assert row["startedon"] <= row["completedon"]

    assert state(later.asyncoperationid) == (1, 10)
    waiting = client.records.list(
        "asyncoperation", filter="statecode eq 1", select=["name"], orderby=["createdon desc"]
    )
    assert "Postponed" in [row["name"] for row in waiting]
    client.records.update("asyncoperation", str(later.asyncoperationid), {"statecode": 3, "statuscode": 32})
    assert state(later.asyncoperationid) == (3, 32)
    with pytest.raises(HttpError) as refused:
        client.records.update("asyncoperation", str(later.asyncoperationid), {"statecode": 0})
    assert refused.value.status_code == 400
    client.records.delete("asyncoperation", str(later.asyncoperationid))
    assert client.records.retrieve("asyncoperation", str(later.asyncoperationid)) is None
