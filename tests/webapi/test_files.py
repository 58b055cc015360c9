"""File columns over the Web API (web-api-wire, section 25)."""

import base64
from uuid import uuid4

import pytest

from asyncservice.organization.filecolumns import CONTAINER, PART
from asyncservice.organization.organization import Organization
from asyncservice.organization.schema.catalog import Catalog, standard_definitions
from asyncservice.organization.wellknown import LOCAL_USER
from asyncservice.storage.memory import MemoryStorage
from asyncservice.webapi.application import OpenDoor, WebApi
from tests.support import NOON
from tests.webapi.calling import ROOT, Client, StillClock

PHOTO = {
    "extends": "account",
    "attributes": {"new_photo": {"type": "File", "label": "Photo", "maxsize": 10_240}},
}


@pytest.fixture
async def client() -> Client:
    organization = Organization(
        MemoryStorage(), catalog=Catalog.from_definitions(standard_definitions().with_all([(PHOTO, "a test")]))
    )
    await organization.create()
    await organization.seed(now=NOON)
    clock = StillClock()
    return Client(WebApi(organization, clock=clock, door=OpenDoor(LOCAL_USER)), clock)


async def blobs(client: Client) -> list[str]:
    return [name async for name in client.api.organization.storage.blobs(CONTAINER).names()]


async def test_a_small_file_comes_back_byte_for_byte(client: Client) -> None:
    column = f"accounts({await client.make('accounts', name='A')})/new_photo"
    content = bytes(range(256)) * 10

    stored = await client.patch(column, content, Content_Type="application/octet-stream", x_ms_file_name="a%20b.bin")
    bare = await client.get(f"{column}/$value")
    part = await client.get(f"{column}/$value", Range="bytes=10-19")
    as_json = await client.get(f"{column}?size=full")
    row = (await client.get(column.removesuffix("/new_photo"))).json

    assert (stored.status, stored.headers.get("OData-EntityId")) == (204, None)
    assert (bare.status, bare.response.body) == (200, content)
    assert bare.headers["x-ms-file-size"] == "2560"
    assert bare.headers["x-ms-file-name"] == "a%20b.bin"
    assert bare.headers["Content-Disposition"].startswith("attachment; filename=")
    assert (part.status, part.response.body) == (206, content[10:20])
    assert part.headers["Content-Range"] == "bytes 10-19/2560"
    assert base64.b64decode(as_json.json["value"]) == content
    assert "Content-Disposition" in as_json.headers
    assert row["new_photo_name"] == "a b.bin"
    assert row["new_photo"] == (await client.get(column)).json["value"]


async def test_a_large_file_is_sent_in_parts_and_may_be_read_over_their_borders(client: Client) -> None:
    column = f"accounts({await client.make('accounts', name='A')})/new_photo"
    content = b"0123456789abcdef" * (2 * PART // 16) + b"end"

    begun = await client.patch(f"{column}?x-ms-file-name=a%20b.bin", b"", x_ms_transfer_mode="chunked")
    assert (begun.status, begun.text, begun.headers["x-ms-chunk-size"]) == (200, "", str(PART))
    assert begun.headers["Location"].startswith(f"{ROOT}{column}?sessiontoken=")
    for start in range(0, len(content), PART):
        chunk = content[start : start + PART]
        last = start + len(chunk) - 1
        sent = await client.patch(
            begun.headers["Location"],
            chunk,
            Content_Range=f"bytes {start}-{last}/{len(content)}",
            x_ms_transfer_mode="chunked",
        )
        assert sent.status == (204 if last + 1 == len(content) else 206)
    # The answer to the last part may be lost, so it is sent again.
    again = await client.patch(
        begun.headers["Location"], b"end", Content_Range=f"bytes {2 * PART}-{2 * PART + 2}/{len(content)}"
    )
    assert again.status == 204
    whole = await client.get(f"{column}/$value")
    over = await client.get(f"{column}/$value", Range=f"bytes={PART - 2}-{PART + 1}")
    assert whole.response.body == content
    assert over.response.body == content[PART - 2 : PART + 2]
    assert (await client.get(column.removesuffix("/new_photo"))).json["new_photo_name"] == "a b.bin"


async def test_a_new_file_takes_the_place_of_the_old_and_a_deleted_one_leaves_nothing(client: Client) -> None:
    account = await client.make("accounts", name="A")
    column = f"accounts({account})/new_photo"

    await client.patch(column, b"first", x_ms_file_name="1")
    await client.patch(column, b"second", x_ms_file_name="2", If_None_Match="null")
    second = await client.get(f"{column}/$value")
    deleted = await client.delete(column)
    none = await client.get(f"{column}/$value")

    assert (second.response.body, deleted.status, none.status) == (b"second", 204, 204)
    assert await blobs(client) == []
    row = (await client.get(f"accounts({account})")).json
    assert (row["new_photo"], row["new_photo_name"]) == (None, None)


@pytest.mark.parametrize(
    ("suffix", "headers", "content", "status"),
    [
        ("?sessiontoken=x", {"Content_Range": "bytes 0-0/1"}, b"x", 400),
        (f"?sessiontoken={uuid4()}", {"Content_Range": "bytes 0-0/1"}, b"x", 400),
        (f"?sessiontoken={uuid4()}", {}, b"x", 400),
        (f"?sessiontoken={uuid4()}", {"Content_Range": "bytes 0-9/10"}, b"x", 400),
        ("", {"x_ms_file_name": "n" * 300}, b"x", 400),
        ("", {}, b"x" * (10_240 * 1024 + 1), 400),
    ],
)
async def test_what_is_no_upload_is_refused_and_nothing_is_named(
    client: Client, suffix: str, headers: dict[str, str], content: bytes, status: int
) -> None:
    account = await client.make("accounts", name="A")

    answered = await client.patch(f"accounts({account})/new_photo{suffix}", content, **headers)

    assert answered.status == status, answered.text
    assert answered.message
    assert (await client.get(f"accounts({account})")).json["new_photo"] is None


async def test_a_session_is_good_for_its_own_column_only_and_parts_must_be_whole(client: Client) -> None:
    first, second = await client.make("accounts", name="A"), await client.make("accounts", name="B")
    begun = await client.patch(f"accounts({first})/new_photo", b"", x_ms_transfer_mode="chunked")
    token = begun.headers["Location"].rpartition("=")[2]

    other = await client.patch(f"accounts({second})/new_photo?sessiontoken={token}", b"x", Content_Range="bytes 0-0/1")
    early = await client.patch(begun.headers["Location"], b"x", Content_Range="bytes 5-5/6")

    assert (other.status, early.status) == (400, 400)
    assert "in order" in early.message


async def test_files_of_rows_that_are_not_there_are_404(client: Client) -> None:
    column = f"accounts({uuid4()})/new_photo"

    assert (await client.patch(column, b"x")).status == 404
    assert (await client.patch(column, b"", x_ms_transfer_mode="chunked")).status == 404
    assert (await client.get(f"{column}/$value")).status == 404
    assert (await client.delete(column)).status == 404
