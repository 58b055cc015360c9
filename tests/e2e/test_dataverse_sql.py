"""Microsoft's Dataverse client for Python asks in SQL, through the running host."""

from PowerPlatform.Dataverse.client import DataverseClient

from tests.e2e.test_dataverse_client import client, host

__all__ = ["client", "host"]


def test_sql_is_answered_with_joins_groups_and_order(client: DataverseClient) -> None:
    ids = client.records.create("account", [{"name": f"Asked {number:02d}"} for number in range(12)])
    for number in range(3):
        body = {"lastname": f"Of {number}", "parentcustomerid_account@odata.bind": f"/accounts({ids[number % 2]})"}
        client.records.create("contact", body)

    found = client.query.sql("SELECT TOP 10 accountid, name FROM account WHERE name LIKE 'Asked%' ORDER BY name DESC")
    assert [row["name"] for row in found] == [f"Asked {number:02d}" for number in range(11, 1, -1)]
    assert found[0]["accountid"] == ids[11]

    grouped = client.query.sql(
        "SELECT a.name, COUNT(c.contactid) as cnt FROM account a JOIN contact c ON a.accountid = c.parentcustomerid "
        "WHERE a.name LIKE 'Asked%' GROUP BY a.name ORDER BY cnt DESC"
    )
    assert [(row["name"], row["cnt"]) for row in grouped] == [("Asked 00", 2), ("Asked 01", 1)]


def test_sql_is_followed_from_page_to_page(client: DataverseClient) -> None:
    for _ in range(6):
        client.records.create("lead", [{"lastname": "Of many"} for _ in range(1000)])
    assert len(client.query.sql("SELECT leadid FROM lead WHERE lastname = 'Of many'")) == 6000


def test_sql_is_a_part_of_a_batch(client: DataverseClient) -> None:
    client.records.create("account", {"name": "In a batch"})
    batch = client.batch.new()
    batch.query.sql("SELECT name FROM account WHERE name = 'In a batch'")
    (answered,) = batch.execute().responses
    assert answered.is_success
    assert answered.data is not None
    assert [row["name"] for row in answered.data["value"]] == ["In a batch"]
