"""Batches: in order, each change set all or nothing."""

from collections.abc import Sequence

import pytest

from asyncservice.operations.record import SYSTEM_USER
from asyncservice.storage.memory import MemoryTable
from asyncservice.storage.tables import Write
from asyncservice.webapi.exchange import Caller, Headers, Request
from asyncservice.webapi.permissions import Role
from tests.webapi.asking import Asked, Client, written

NOWHERE = "00000000-0000-4000-8000-00000000dead"


@pytest.fixture
async def client() -> Client:
    return await Client().opened()


def flat(parts: list[Asked | list[Asked]]) -> list[int | list[int]]:
    return [[each.status for each in part] if isinstance(part, list) else part.status for part in parts]


async def test_requests_are_answered_in_order_and_see_what_was_done_before(client: Client) -> None:
    count = written("GET", "accounts/$count")
    outer, parts = await client.batch(
        count,
        written("POST", "/api/data/v9.2/accounts", {"name": "A"}),
        count,
        [written("POST", "https://elsewhere/api/data/v9.0/accounts", {"name": "B"})],
        count,
        written("GET", "accounts?$select=name&$filter=name eq 'B' or name eq 'A'&$orderby=name desc"),
    )
    assert outer.status == 200
    assert flat(parts) == [200, 204, 200, [204], 200, 200]
    assert [parts[place].body for place in (0, 2, 4)] == [b"0", b"1", b"2"]  # type: ignore[union-attr]
    last = parts[-1]
    assert isinstance(last, Asked)
    assert [row["name"] for row in last.json["value"]] == ["B", "A"]
    assert last.headers["OData-Version"] == "4.0"


async def test_references_lead_to_rows_that_the_same_change_set_makes(client: Client) -> None:
    _, parts = await client.batch(
        [
            written("POST", "contacts", {"lastname": "Lind"}),
            written("POST", "accounts", {"name": "N", "primarycontactid@odata.bind": "$1"}),
            written("PATCH", "$1", {"firstname": "Ada"}),
            written("PATCH", "$1", {"jobtitle": "Owner"}, If_Match="*"),
            written("PUT", "$1/parentcustomerid_account/$ref", {"@odata.id": "$2"}),
            written("POST", "$2/Account_Tasks", {"subject": "Call"}),
            written("PUT", "$1/nickname", {"value": "Al"}),
        ],
        written(
            "GET", "accounts?$select=name&$expand=primarycontactid($select=fullname,jobtitle,nickname),Account_Tasks"
        ),
    )
    answers, after = parts[0], parts[-1]
    assert isinstance(answers, list)
    assert [each.status for each in answers] == [204] * 7, answers
    assert [each.headers["Content-ID"] for each in answers] == [str(number) for number in range(1, 8)]
    assert isinstance(after, Asked)
    (account,) = after.json["value"]
    contact = account["primarycontactid"]
    assert (contact["fullname"], contact["jobtitle"], contact["nickname"]) == ("Ada Lind", "Owner", "Al")
    assert [task["subject"] for task in account["Account_Tasks"]] == ["Call"]
    members = await client.names(f"accounts({account['accountid']})/contact_customer_accounts", "lastname")
    assert members == ["Lind"]


async def test_a_change_set_that_fails_leaves_nothing_and_answers_once(client: Client) -> None:
    await client.post("accounts", {"name": "before"})
    outer, parts = await client.batch(
        written("POST", "accounts", {"name": "kept"}),
        [
            written("POST", "accounts", {"name": "lost"}),
            written("PATCH", f"accounts({NOWHERE})", {"name": "x"}, If_Match="*"),
            written("POST", "accounts", {"name": "lost, too"}),
        ],
        written("GET", "accounts/$count"),
    )
    assert outer.status == 400
    assert flat(parts) == [204, [404]]
    failed = parts[1]
    assert isinstance(failed, list)
    assert failed[0].headers["Content-ID"] == "2"
    assert failed[0].error[1] == "0x80040217"
    assert sorted(await client.names("accounts")) == ["before", "kept"]


@pytest.mark.parametrize(
    ("second", "status", "code"),
    [
        (written("POST", "accounts", {"nam": "x"}), 400, "0x80048d19"),
        (written("POST", "accounts", {"name": "x" * 1000}), 400, "0x80044331"),
        (written("POST", "accounts", {"name": "x", "primarycontactid@odata.bind": f"/contacts({NOWHERE})"}), 404, None),
        (written("DELETE", f"accounts({NOWHERE})"), 404, "0x80040217"),
        (written("GET", "accounts"), 400, None),
        (written("POST", "nothings", {}), 404, None),
        (written("PATCH", "$9", {"name": "x"}), 400, None),
        (written("POST", "accounts", {"name": "x", "primarycontactid@odata.bind": "$9"}), 400, None),
        (written("POST", "$batch", {}), 400, None),
        (written("POST", "WhoAmI", {}), 400, None),
        (written("PATCH", f"asyncoperations({NOWHERE})", {"statecode": 3}), 400, "0x80040203"),
    ],
)
async def test_whatever_is_wrong_with_one_request_undoes_the_others(
    client: Client, second: str, status: int, code: str | None
) -> None:
    outer, parts = await client.batch([written("POST", "accounts", {"name": "first"}), second])
    assert outer.status == 400
    (answers,) = parts
    assert isinstance(answers, list)
    (answer,) = answers
    assert answer.error[0] == status, answer.body
    assert code in {None, answer.error[1]}
    assert answer.headers["Content-ID"] == "2"
    assert await client.names("accounts") == []


async def test_the_first_failure_ends_a_batch_unless_the_client_prefers_to_go_on(client: Client) -> None:
    parts = (
        written("POST", "accounts", {"name": "A"}),
        written("GET", f"accounts({NOWHERE})"),
        [written("GET", "accounts")],
        written("POST", "accounts", {"name": "B"}),
    )
    outer, answers = await client.batch(*parts)
    assert (outer.status, flat(answers)) == (400, [204, 404])
    outer, answers = await client.batch(*parts, prefer="odata.continue-on-error")
    assert (outer.status, flat(answers)) == (200, [204, 404, [400], 204])
    assert outer.headers["Preference-Applied"] == "odata.continue-on-error"
    assert sorted(await client.names("accounts")) == ["A", "A", "B"]


async def test_each_part_has_preferences_of_its_own(client: Client) -> None:
    _, (first, second) = await client.batch(
        written("POST", "accounts?$select=name", {"name": "A"}, Prefer="return=representation"),
        [
            written("POST", "accounts?$select=name", {"name": "B"}, Prefer="return=representation"),
            written("POST", "accounts", {"name": "C"}),
        ],
    )
    assert isinstance(first, Asked)
    assert isinstance(second, list)
    assert (first.status, first.json["name"]) == (201, "A")
    assert [each.status for each in second] == [201, 204]
    assert second[0].json["name"] == "B"


async def test_a_change_set_of_one_request_may_hold_what_no_other_can(client: Client) -> None:
    _, parts = await client.batch(
        [written("POST", "accounts/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": [{"name": "A"}]})]
    )
    assert flat(parts) == [[200]]
    assert await client.names("accounts") == ["A"]


async def test_a_batch_in_a_batch_is_refused(client: Client) -> None:
    for url in ("$batch", "/api/data/v9.2/%24batch", "/api/data/v9.2/$batch"):
        outer, parts = await client.batch(written("POST", url, {}))
        assert (outer.status, flat(parts)) == (400, [400])
        assert isinstance(parts[0], Asked)
        assert "another batch" in parts[0].error[2]


async def test_a_text_that_is_no_batch_is_answered_with_the_error_object(client: Client) -> None:
    for headers in ({}, {"Content-Type": "application/json"}, {"Content-Type": "multipart/mixed; boundary=x"}):
        answer = await client.ask("POST", "$batch", b"--y\r\n", headers)
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.error[0] == 400
    assert (await client.get("$batch")).status == 405


async def test_a_caller_may_do_no_more_in_a_batch_than_outside_it(client: Client) -> None:
    text = b"--b\nContent-Type: application/http\n\nPOST accounts HTTP/1.1\nContent-Type: application/json\n\n{}\n--b--"
    request = Request(
        method="POST",
        path="$batch",
        headers=Headers({"Content-Type": "multipart/mixed; boundary=b"}),
        body=text,
    )
    for role, status in ((Role.READER, "403"), (Role.SUBMITTER, "204")):
        asked = request.asked_by(Caller(user_id=SYSTEM_USER, roles=role.including))
        response = await client.api.carry_out(asked)
        assert f"HTTP/1.1 {status} " in response.body.decode()


@pytest.mark.parametrize("in_change_set", [True, False])
async def test_a_hundred_rows_take_one_request_to_the_storage_in_a_change_set(
    client: Client, monkeypatch: pytest.MonkeyPatch, *, in_change_set: bool
) -> None:
    await client.post("accounts", {"name": "makes the table"})
    commits: list[str] = []
    commit = MemoryTable.commit

    async def counted(table: MemoryTable, partition: str, writes: Sequence[Write]) -> Sequence[str]:
        commits.append(partition)
        return await commit(table, partition, writes)

    monkeypatch.setattr(MemoryTable, "commit", counted)
    rows = [written("POST", "accounts", {"name": f"A{number}"}) for number in range(100)]
    outer, _ = await client.batch(rows) if in_change_set else await client.batch(*rows)
    assert outer.status == 200
    assert len(commits) == (1 if in_change_set else 100)
    monkeypatch.undo()
    assert len(await client.names("accounts")) == 101
