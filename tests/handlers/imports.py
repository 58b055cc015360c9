"""Builders for imports, and what can be read from the tables afterwards."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from asyncservice.operations.handling import Done
from asyncservice.operations.operationtypes import OperationType
from asyncservice.organization.customization import TABLE
from asyncservice.organization.importing.running import SIZES, Sizes, run_step
from asyncservice.organization.importing.service import NewImport, create_import
from asyncservice.organization.importing.steps import IMPORT, PARSE, TRANSFORM
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Record
from asyncservice.organizations import organization_in
from asyncservice.service import load_handlers
from asyncservice.storage.account import Storage
from handlers.import_file_parse import parse_file
from handlers.import_records import import_file
from handlers.transform_parse_data import transform_file
from tests.handlers.contexts import FakeContext, Handler, Job, run
from tests.support import NOON

SMALL = replace(SIZES, window=64, chunk_rows=4)

STEPS = (
    (OperationType.IMPORT_FILE_PARSE, PARSE, parse_file),
    (OperationType.TRANSFORM_PARSE_DATA, TRANSFORM, transform_file),
    (OperationType.IMPORT, IMPORT, import_file),
)


@dataclass
class Story:
    """An organization with one import in it."""

    organization: Organization
    made: NewImport
    jobs: tuple[Job, ...]
    sizes: Sizes = SIZES

    @property
    def storage(self) -> Storage:
        return self.organization.storage

    def handler(self, number: int) -> Handler:
        """Return the registered handler, or one that works in smaller pieces."""
        kind, step, work = STEPS[number]
        registration = load_handlers("handlers").get(kind)
        if self.sizes is SIZES and registration is not None:
            return registration.handler

        async def handle(context: Any) -> Any:
            organization = await organization_in(context.storage, now=context.now())
            return await run_step(context, organization, step, work, self.sizes)

        return handle

    async def do(self, number: int, *, slices: bool = False) -> Done:
        """Run one of the three jobs to its end."""
        return await run(self.handler(number), self.jobs[number], self.storage, slices=slices)

    async def do_all(self, *, slices: bool = False) -> list[str | None]:
        return [(await self.do(number, slices=slices)).message for number in range(3)]

    async def record(self) -> Record:
        return await self.organization.records("import").retrieve(self.made.import_id)

    async def file(self) -> Record:
        return await self.organization.records("importfile").retrieve(self.made.importfile_id)

    async def logs(self) -> list[Record]:
        logs = [log async for log in self.organization.records("importlog").query()]
        return sorted(logs, key=lambda log: (log["logphasecode"], log["linenumber"]))

    async def names(self, entity: str = "account", column: str = "name") -> Counter[Any]:
        return Counter([record[column] async for record in self.organization.records(entity).query()])


async def a_story(
    storage: Storage,
    content: str | bytes,
    *,
    columns: Mapping[str, Any] | None = None,
    entity: str = "account",
    sizes: Sizes = SMALL,
    **options: Any,
) -> Story:
    organization = Organization(storage)
    await organization.create()
    # Tables come with their first record; here they are made at once, so that every story makes the same calls.
    await storage.table(TABLE).create()
    for described in organization.catalog:
        await storage.table(described.table_name).create()
    made = await create_import(
        organization,
        name="Accounts",
        entity=entity,
        content=content.encode() if isinstance(content, str) else content,
        columns=columns,
        now=NOON,
        **options,
    )
    jobs = tuple(Job(kind, {"ImportId": str(made.import_id)}) for kind, _, _ in STEPS)
    return Story(organization, made, jobs, sizes)


__all__ = ["SMALL", "STEPS", "FakeContext", "Story", "a_story"]
