"""Blobs of rows: whatever process dies when, each name in a row leads to its content, and nothing else is left.

A scenario is run once to count its calls, then once for each call going wrong in every way. At once, and when all is
swept up, the blobs are held against the rows.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest

from asyncservice.organization.errors import DuplicateKey, RecordChanged, ValueRefused
from asyncservice.organization.filecolumns import CONTAINER, PART, SESSION, FileColumns, Place
from asyncservice.organization.files import named_blobs
from asyncservice.organization.leftovers import QUIET, TABLE
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Draft
from asyncservice.organization.requests import Create, Delete, Update, Upsert
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.reader import entity_of
from asyncservice.organization.values import Reference
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from tests.faults import Died, Fault, FaultyStorage
from tests.organization.projects import USER, a_catalog, lookup, text, transact
from tests.support import NOON

PAPER, TEXTS = "new_paper", "paper-texts"
ONE, TWO, THREE, NEW = (UUID(f"6d0e5a52-0000-4000-8000-00000000000{digit}") for digit in "123c")
SWEPT = NOON + QUIET + timedelta(seconds=1)
EARLIER = NOON + QUIET - timedelta(seconds=1)

_DESCRIBED = {
    "name": PAPER,
    "schemaname": "new_Paper",
    "label": "Paper",
    "collectionlabel": "Papers",
    "set": "new_papers",
    "primaryid": "new_paperid",
    "primaryname": "new_name",
    "ownership": "None",
    "states": False,
    "common": False,
    "notes": False,
    "activities": False,
    "attributes": {
        "new_name": text("Name"),
        "new_code": text("Code"),
        "new_text": {"type": "Memo", "label": "Text", "maxlength": 100_000, "container": TEXTS},
        "new_scan": {"type": "File", "label": "Scan", "maxsize": 20_000},
        "new_partof": lookup("Part of", PAPER, delete="Cascade"),
        "versionnumber": {"type": "BigInt", "label": "Version", "create": False, "update": False},
    },
    "keys": {"new_Code": ["new_code"]},
}
_CATALOG = Catalog([*(each for each in a_catalog() if not each.is_intersect), entity_of(_DESCRIBED, source="a test")])

type Scenario = Callable[[Organization], Awaitable[object]]


def papers(storage: Storage) -> Organization:
    return Organization(storage, catalog=_CATALOG)


def scan_of(record_id: UUID) -> Place:
    entity = _CATALOG.entity(PAPER)
    return Place(entity=entity, record_id=record_id, column=entity.attribute("new_scan"))


async def store(organization: Organization, record_id: UUID, content: bytes) -> UUID:
    return await FileColumns(organization).store(
        scan_of(record_id), content, name="scan.bin", media_type="image/png", now=NOON, by=USER
    )


async def prepare(account: Storage) -> None:
    organization = papers(account)
    await organization.create()
    await transact(
        organization,
        Create(entity=PAPER, id=ONE, values={"new_code": "A", "new_text": "one"}),
        Create(entity=PAPER, id=TWO, values={"new_code": "B", "new_text": "two", "new_partof": Reference(PAPER, ONE)}),
        Create(entity=PAPER, id=THREE, values={"new_code": "C"}),
    )
    for record_id in (ONE, TWO):
        await store(organization, record_id, b"scan")


async def new(organization: Organization) -> None:
    await transact(organization, Create(entity=PAPER, id=NEW, values={"new_code": "D", "new_text": "new"}))


async def changed(organization: Organization) -> None:
    await transact(
        organization,
        Update(entity=PAPER, id=ONE, values={"new_text": "never seen"}),
        Update(entity=PAPER, id=ONE, values={"new_text": "other"}),
        Upsert(entity=PAPER, key={"new_code": "B"}, values={"new_text": None}),
    )


async def gone(organization: Organization) -> None:
    await transact(organization, Delete(entity=PAPER, id=TWO))


async def cascade(organization: Organization) -> None:
    await transact(organization, Delete(entity=PAPER, id=ONE))


async def made_and_gone(organization: Organization) -> None:
    create = Create(entity=PAPER, id=NEW, values={"new_text": "for nothing"})
    await transact(organization, create, Delete(entity=PAPER, id=NEW), Delete(entity=PAPER, id=THREE))


async def stored(organization: Organization) -> None:
    await store(organization, THREE, b"a file")


async def replaced(organization: Organization) -> None:
    await store(organization, ONE, b"another file")


async def cleared(organization: Organization) -> None:
    await FileColumns(organization).clear(scan_of(ONE), now=NOON, by=USER)


async def in_parts(organization: Organization) -> None:
    files, size = FileColumns(organization), PART + 3
    file_id = await files.begin(scan_of(THREE), name="long.bin", media_type="image/png", now=NOON)
    for offset, content in ((0, b"x" * PART), (PART, b"end")):
        await files.add(scan_of(THREE), file_id, content, offset=offset, size=size, now=NOON, by=USER)


SCENARIOS: list[Scenario] = [new, changed, gone, cascade, made_and_gone, stored, replaced, cleared, in_parts]


async def contents(organization: Organization) -> dict[tuple[UUID, str], bytes]:
    """Return the content of every column that names one. Fails where the content is not there."""
    files = FileColumns(organization)
    found: dict[tuple[UUID, str], bytes] = {}
    async for record in organization.records(PAPER).query():
        name, file_id = record.get("new_text"), record.get("new_scan")
        if isinstance(name, str):
            content = await organization.storage.blobs(TEXTS).read(name)
            assert content is not None, f"{record.id} names {name}"
            found[record.id, "new_text"] = content
        if isinstance(file_id, UUID):
            manifest = await files.manifest(file_id)
            assert manifest is not None, f"{record.id} names {file_id}"
            found[record.id, "new_scan"] = await files.read(file_id, manifest, start=0, end=manifest.size)
    return found


async def unnamed(organization: Organization) -> set[str]:
    """Return the contents, and the notes, that lie there without a row that names them."""
    rows = [record async for record in organization.records(PAPER).query()]
    named = {str(row.get(column)) for row in rows for column in ("new_text", "new_scan")}
    blobs = {name async for name in organization.storage.blobs(TEXTS).names()}
    blobs |= {name.partition("/")[0] async for name in organization.storage.blobs(CONTAINER).names()}
    account = organization.storage
    assert isinstance(account, MemoryStorage)
    return (blobs - named) | {f"note {row.key}" for row in account.table(TABLE).all_rows()}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_whatever_goes_wrong_rows_find_their_contents_and_nothing_else_is_left(scenario: Scenario) -> None:
    account = MemoryStorage()
    await prepare(account)
    before = await contents(papers(account))
    assert await unnamed(papers(account)) == set()
    counted = FaultyStorage(account)
    await scenario(papers(counted))
    after = await contents(papers(account))
    assert await unnamed(papers(account)) == set(), "who is not disturbed leaves nothing"
    left = 0
    for number in range(1, len(counted.calls) + 1):
        for fault in Fault:
            account = MemoryStorage()
            await prepare(account)
            faulty = FaultyStorage(account, number=number, fault=fault)
            with suppress(Died, StorageUnavailable):
                await scenario(papers(faulty))
            where = f"call {number}: {faulty.calls[number - 1]}, {fault.name}"
            others = papers(account)
            found = await contents(others)
            assert found in (before, after), where
            await others.recover(now=EARLIER)
            lying = await unnamed(others)
            assert await others.collect(now=EARLIER - timedelta(days=1)) == 0, where
            assert await unnamed(others) == lying, where
            await others.collect(now=SWEPT)
            assert await contents(others) == found, where
            assert await unnamed(others) == set(), where
            left += bool(lying)
    assert left, "some fault does leave something"


async def test_a_sweep_that_dies_is_gone_on_with_and_two_at_once_do_no_harm() -> None:
    async def with_leftovers() -> MemoryStorage:
        account = MemoryStorage()
        await prepare(account)
        files = FileColumns(papers(account))
        for _ in range(3):
            await files.begin(scan_of(THREE), name="abandoned", media_type="image/png", now=NOON)
        return account

    account = await with_leftovers()
    counted = FaultyStorage(account)
    assert await papers(counted).collect(now=SWEPT) == 3
    assert await unnamed(papers(account)) == set()
    for number in range(1, len(counted.calls) + 1):
        for fault in Fault:
            account = await with_leftovers()
            kept = await contents(papers(account))
            with suppress(Died, StorageUnavailable):
                await papers(FaultyStorage(account, number=number, fault=fault)).collect(now=SWEPT)
            await papers(account).collect(now=SWEPT)
            assert await unnamed(papers(account)) == set()
            assert await contents(papers(account)) == kept


async def test_looking_for_leftovers_is_one_request_however_many_files_there_are() -> None:
    account = MemoryStorage()
    await prepare(account)
    counted = FaultyStorage(account)
    assert await papers(counted).collect(now=SWEPT) == 0
    assert counted.calls == [f"scan {TABLE}"]


async def test_a_refused_change_leaves_the_content_as_it_was() -> None:
    account = MemoryStorage()
    await prepare(account)
    organization = papers(account)
    before = await contents(organization)

    with pytest.raises(DuplicateKey):
        await transact(organization, Update(entity=PAPER, id=ONE, values={"new_code": "C", "new_text": "lost"}))
    with pytest.raises(RecordChanged):
        await transact(organization, Update(entity=PAPER, id=ONE, values={"new_text": "lost"}, version=77))

    assert await contents(organization) == before
    await organization.collect(now=SWEPT)
    assert await unnamed(organization) == set()
    assert await contents(organization) == before


async def test_records_that_are_made_in_bulk_have_their_contents_in_blobs_too() -> None:
    account = MemoryStorage()
    await prepare(account)
    records = papers(account).records(PAPER)
    drafts = [Draft(NEW, {"new_name": "n", "new_text": "bulk"}), Draft(THREE, {"new_text": "there already"})]

    for _ in range(2):
        assert THREE in await records.create_many(drafts, now=NOON)
        assert (await contents(papers(account)))[NEW, "new_text"] == b"bulk"

    await papers(account).collect(now=SWEPT)
    assert await unnamed(papers(account)) == set()
    assert (await contents(papers(account)))[NEW, "new_text"] == b"bulk"


async def test_an_upload_that_was_begun_long_ago_takes_no_more_parts() -> None:
    account = MemoryStorage()
    await prepare(account)
    files = FileColumns(papers(account))
    file_id = await files.begin(scan_of(THREE), name="slow", media_type="image/png", now=NOON)

    with pytest.raises(ValueRefused, match="begin it again"):
        await files.add(
            scan_of(THREE), file_id, b"x", offset=0, size=1, now=NOON + SESSION + timedelta(seconds=1), by=USER
        )
    assert await files.add(scan_of(THREE), file_id, b"x", offset=0, size=1, now=NOON + SESSION, by=USER)
    assert QUIET >= 2 * SESSION, "what may still be named is not swept up"


async def test_what_a_removed_column_names_is_kept_since_the_column_may_come_back() -> None:
    account = MemoryStorage()
    await prepare(account)
    organization = papers(account)
    await organization.leftovers.note_file(
        next(iter(named_blobs(_CATALOG.entity(PAPER), ONE, {"new_text": f"{ONE}/new_text/x"}))), NEW, now=NOON
    )
    assert await Organization(account, catalog=a_catalog()).collect(now=SWEPT) == 0
    assert await unnamed(organization) == {f"note {NEW}"}
    assert await organization.collect(now=SWEPT) == 1
