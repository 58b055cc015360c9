"""Change tracking: what a delta link tells, page by page, and that nothing falls between two looks."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.webapi.calling import ROOT, Answered, Client, a_client

TRACK = "odata.track-changes"


@pytest.fixture
async def client() -> Client:
    return await a_client()


async def started(client: Client, url: str = "accounts?$select=name") -> tuple[list[dict[str, Any]], str]:
    """Read a table to its end; return its rows and the delta link."""
    answered = await client.get(url, Prefer=TRACK)
    assert answered.status == 200, answered.text
    assert answered.headers["Preference-Applied"] == TRACK
    return answered.rows, answered.json["@odata.deltaLink"]


def told(answered: Answered) -> tuple[list[Any], list[Any]]:
    """Return the names of rows that are there, and the ids of those that went."""
    assert answered.status == 200, answered.text
    gone = [row["id"] for row in answered.rows if "reason" in row]
    return sorted(row["name"] for row in answered.rows if "reason" not in row), sorted(gone)


async def test_the_link_tells_what_was_made_changed_and_removed(client: Client) -> None:
    ids = [await client.make("accounts", name=f"N{number}") for number in range(4)]
    rows, link = await started(client)
    assert sorted(row["name"] for row in rows) == ["N0", "N1", "N2", "N3"]
    assert link.startswith(f"{ROOT}accounts?$select=name&$deltatoken=")
    await client.patch(f"accounts({ids[1]})", {"name": "Changed"})
    await client.delete(f"accounts({ids[2]})")
    await client.make("accounts", name="New")

    answered = await client.get(link)

    assert told(answered) == (["Changed", "New"], [ids[2]])
    assert answered.json["@odata.context"] == f"{ROOT}$metadata#accounts(name)/$delta"
    changed = next(row for row in answered.rows if row.get("name") == "Changed")
    assert set(changed) == {"@odata.etag", "name", "accountid"}
    assert answered.rows[-1] == {
        "@odata.context": f"{ROOT}$metadata#accounts/$deletedEntity",
        "id": ids[2],
        "reason": "deleted",
    }
    again = await client.get(answered.json["@odata.deltaLink"], Prefer=TRACK)
    assert again.rows == []
    assert again.headers["Preference-Applied"] == TRACK
    # A link stays good: whose answer was lost asks again.
    assert told(await client.get(link)) == (["Changed", "New"], [ids[2]])


async def test_nothing_changed_is_the_same_look_again(client: Client) -> None:
    await client.make("accounts", name="A")
    _, link = await started(client)
    assert (await client.get(link)).json["@odata.deltaLink"] == link


async def test_a_row_that_is_removed_and_made_again_is_told(client: Client) -> None:
    record_id = await client.make("accounts", name="Before")
    _, link = await started(client)
    await client.delete(f"accounts({record_id})")
    await client.make("accounts", accountid=record_id, name="After")
    assert told(await client.get(link)) == (["After"], [])


async def test_what_changes_while_pages_are_read_is_told(client: Client) -> None:
    ids = sorted([await client.make("accounts", name=f"N{number}") for number in range(5)], key=lambda each: each[-1])
    preferences = f"{TRACK},odata.maxpagesize=2"
    first = await client.get("accounts?$select=name", Prefer=preferences)
    assert "@odata.deltaLink" not in first.json
    await client.patch(f"accounts({ids[0]})", {"name": "While reading"})
    await client.delete(f"accounts({ids[-1]})")
    pages = [first]
    while "@odata.nextLink" in pages[-1].json:
        pages.append(await client.get(pages[-1].json["@odata.nextLink"], Prefer=preferences))
        assert pages[-1].status == 200, pages[-1].text
    assert told(await client.get(pages[-1].json["@odata.deltaLink"])) == (["While reading"], [ids[-1]])


async def test_changes_come_in_pages(client: Client) -> None:
    ids = [await client.make("accounts", name=f"Old {number}") for number in range(3)]
    _, link = await started(client)
    for number in range(4):
        await client.make("accounts", name=f"New {number}")
    for record_id in ids:
        await client.delete(f"accounts({record_id})")
    names: list[str] = []
    gone: list[str] = []
    sizes: list[int] = []
    body: Mapping[str, Any] = {}
    while link:
        answered = await client.get(link, Prefer="odata.maxpagesize=3")
        there, went = told(answered)
        names, gone, sizes, body = names + there, gone + went, [*sizes, len(answered.rows)], answered.json
        link = body.get("@odata.nextLink", "")
        # What is written between two pages belongs to the next difference.
        await client.make("accounts", name=f"Late {len(sizes)}")
    assert (sorted(names), sorted(gone)) == ([f"New {number}" for number in range(4)], sorted(ids))
    assert sizes == [3, 3, 1]
    assert told(await client.get(body["@odata.deltaLink"])) == (["Late 1", "Late 2", "Late 3"], [])


async def test_a_row_that_goes_between_two_pages_is_told_as_gone(client: Client) -> None:
    _, link = await started(client)
    ids = sorted([await client.make("accounts", name=f"N{number}") for number in range(2)])
    first = await client.get(link, Prefer="odata.maxpagesize=1")
    await client.delete(f"accounts({ids[1]})")
    second = await client.get(first.json["@odata.nextLink"], Prefer="odata.maxpagesize=1")
    assert (len(first.rows), second.rows) == (1, [])
    assert told(await client.get(second.json["@odata.deltaLink"])) == ([], [ids[1]])


@pytest.mark.parametrize("option", ["$filter=name eq 'x'", "$orderby=name", "$expand=primarycontactid", "$top=3"])
async def test_what_cannot_stand_beside_it_is_refused_in_dataverses_words(client: Client, option: str) -> None:
    answered = await client.get(f"accounts?{option}", Prefer=TRACK)
    assert answered.status == 400
    name = option.partition("=")[0]
    assert answered.message == f'The "{name}" query parameter isn\'t supported when Change Tracking is enabled.'


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("asyncoperations?$select=name", 501),
        ("activitypointers?$select=subject", 501),
        ("accounts?sql=SELECT name FROM account", 400),
        ("accounts?$select=name&$deltatoken=x", 410),
        ("accounts?$select=name&$deltatoken=20250101-" + "0" * 32, 410),
        ("accounts?$select=name&$deltatoken=20259999-" + "0" * 32, 410),
        ("accounts?$select=name&$deltatoken=../../x", 410),
        ("accounts?$select=nosuch", 400),
        ("accounts?$select=name&$skiptoken=x", 400),
    ],
)
async def test_what_cannot_be_tracked_is_told(client: Client, url: str, status: int) -> None:
    answered = await client.get(url, Prefer=TRACK)
    assert answered.status == status, answered.text
    assert answered.message


async def test_a_link_is_good_for_its_table_and_for_thirty_days(client: Client) -> None:
    await client.make("accounts", name="A")
    _, link = await started(client)
    assert (await client.get(link.replace("accounts?$select=name", "contacts?$select=fullname"))).status == 410
    client.clock.moment += timedelta(days=29)
    assert (await client.get(link)).status == 200
    client.clock.moment += timedelta(days=1)
    assert (await client.get(link)).status == 410
