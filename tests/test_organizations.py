"""One place makes the organization of an account: handlers, commands and clients know the same tables."""

import asyncio
import json
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner

from asyncservice import cli, storagechoice
from asyncservice.client import AsyncServiceClient
from asyncservice.operations.handling import Registry
from asyncservice.operations.record import AsyncOperation
from asyncservice.organization import customizing
from asyncservice.organization.importing.service import create_import
from asyncservice.organization.organization import Organization
from asyncservice.organizations import organization_in
from asyncservice.service import Service
from asyncservice.settings import Settings
from asyncservice.storage.memory import MemoryStorage
from tests.handlers.contexts import Job
from tests.handlers.imports import STEPS, Story
from tests.support import NOON


def described(name: str) -> dict[str, object]:
    return {
        "name": f"new_{name}",
        "label": name.title(),
        "collectionlabel": f"{name.title()}s",
        "set": f"new_{name}s",
        "primaryid": f"new_{name}id",
        "primaryname": "new_name",
        "attributes": {"new_name": {"type": "String", "label": "Name", "maxlength": 100}},
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "boat.json").write_text(json.dumps(described("boat")), "utf-8")
    monkeypatch.setenv("ASYNCSERVICE_SCHEMA_FOLDER", str(tmp_path))
    return tmp_path


async def with_a_table_of_users() -> MemoryStorage:
    storage = MemoryStorage()
    organization = Organization(storage)
    await organization.create()
    await organization.customize(partial(customizing.with_entity, said=described("harbour")), now=NOON)
    return storage


@pytest.mark.usefixtures("folder")
async def test_tables_of_the_folder_and_of_users_are_there_for_whoever_asks() -> None:
    storage = await with_a_table_of_users()

    organization = await organization_in(storage, now=NOON)

    assert {"account", "new_boat", "new_harbour"} <= {entity.name for entity in organization.catalog}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("entity", ["new_boat", "new_harbour"])
async def test_handlers_import_into_tables_of_the_folder_and_of_users(entity: str) -> None:
    storage = await with_a_table_of_users()
    organization = await organization_in(storage, now=NOON)
    made = await create_import(
        organization, name="Names", entity=entity, content=b"Name\nAnn\nBob\n", columns={"Name": "new_name"}, now=NOON
    )
    jobs = tuple(Job(kind, {"ImportId": str(made.import_id)}) for kind, _, _ in STEPS)
    story = Story(organization, made, jobs)

    await story.do_all()

    assert await story.names(entity, "new_name") == {"Ann": 1, "Bob": 1}


@pytest.mark.usefixtures("folder")
async def test_a_client_knows_tables_of_the_folder_and_those_that_users_have_just_added() -> None:
    storage = MemoryStorage()
    async with AsyncServiceClient(storage) as client:
        boats = (await client.organization()).records("new_boat")
        boat = await boats.create({"new_name": "Argo"}, now=NOON)
        assert (await boats.retrieve(boat))["new_name"] == "Argo"

    await Organization(storage).customize(partial(customizing.with_entity, said=described("harbour")), now=NOON)
    async with AsyncServiceClient(storage) as client:
        assert "new_harbour" in (await client.organization()).catalog


@pytest.mark.usefixtures("folder")
def test_the_command_imports_into_a_table_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    monkeypatch.setattr(storagechoice, "choose", lambda *_: storage)

    async def as_it_is(client: AsyncServiceClient, ids: list[UUID]) -> AsyncOperation:
        return await client.get(ids[0])

    # Nobody runs the operations here.
    monkeypatch.setattr(cli, "_watch", as_it_is)
    file = tmp_path / "boats.csv"
    file.write_text("new_name\nArgo\n", "utf-8")

    done = CliRunner().invoke(cli.main, ["import", str(file), "--entity", "new_boat"])

    assert done.exit_code == 0, done.output
    refused = CliRunner().invoke(cli.main, ["import", str(file), "--entity", "new_ship"])
    assert (refused.exit_code, "new_ship" in refused.output) == (1, True)
    asyncio.run(_one_import_is_there(storage))


async def _one_import_is_there(storage: MemoryStorage) -> None:
    files = [row async for row in Organization(storage).records("importfile").query()]
    assert [row["targetentityname"] for row in files] == ["new_boat"]


def test_a_folder_that_is_not_there_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSERVICE_SCHEMA_FOLDER", "/nowhere/at/all")
    monkeypatch.setattr(storagechoice, "choose", lambda *_: MemoryStorage())

    done = CliRunner().invoke(cli.main, ["jobs", "list"])

    assert done.exit_code == 1
    assert "There is no folder /nowhere/at/all" in done.output


async def test_jobs_are_about_rows_of_tables_that_came_later_without_a_restart() -> None:
    service = Service(MemoryStorage(), settings=Settings(), handlers=Registry())
    jobs = service.organization.source("asyncoperation")
    assert "new_harbour" not in jobs.entity.attribute("regardingobjectid").targets

    await service.organization.customize(partial(customizing.with_entity, said=described("harbour")), now=NOON)

    assert "new_harbour" in jobs.entity.attribute("regardingobjectid").targets
