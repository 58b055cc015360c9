"""The asyncservice command: run the service, submit operations, watch and control them."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import Console

from asyncservice import clioptions, cliup, cliupkeep, display, storagechoice
from asyncservice.client import AsyncServiceClient
from asyncservice.clioptions import Choice
from asyncservice.operations.errors import AsyncServiceError
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import Family, OperationType
from asyncservice.operations.plain import as_plain
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StateCode, StatusCode
from asyncservice.operations.switch import Stopped
from asyncservice.operations.waitreasons import Wait
from asyncservice.organization.importing.service import IMPORT_OPERATIONS, create_import
from asyncservice.storage.tables import Comparison

console = Console()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="asyncservice")
@click.option("--connection-string", help="The storage account; AzureWebJobsStorage or a running `up` without it.")
@click.option("--storage-port", "account_port", type=int, help="The local emulator's blob port instead.")
@click.pass_context
def main(context: click.Context, connection_string: str | None, account_port: int | None) -> None:
    """Run the asynchronous service, submit operations, watch and control them."""
    context.obj = Choice(connection_string, account_port)


main.add_command(cliup.up)


@main.command()
@click.argument("operationtype", metavar="TYPE")
@click.option("--data", callback=clioptions.data, help="The input: a JSON object, or @FILE.")
@click.option("--name", help="A name for people.")
@click.option("--postpone-until", callback=clioptions.moment, help="Not before then, as in 2026-01-31T22:00:00Z.")
@click.option("--depends-on", "dependencytoken", help="A dependency token; its operations run one at a time.")
@click.option("--recurrence", "recurrencepattern", help="Repeat by this rule, as in FREQ=DAILY;INTERVAL=2.")
@click.option(
    "--id", "asyncoperationid", type=click.UUID, help="The operation's id; the same id twice is one operation."
)
@click.option("--auto-delete", "asyncautodelete", is_flag=True, help="Remove it an hour after it has succeeded.")
@click.option("--watch", "follow", is_flag=True, help="Stay and show its progress until it is completed.")
@click.pass_obj
def submit(choice: Choice, /, operationtype: str, data: dict[str, Any] | None, *, follow: bool, **members: Any) -> None:  # noqa: ANN401
    """Submit one operation of TYPE (a number such as 13, or a label such as BulkDelete) and print its id."""
    members["postponeuntil"] = members.pop("postpone_until")

    async def work() -> AsyncOperation:
        async with choice.client() as client:
            operation = await client.submit(operationtype, data, **members)
            print(operation.asyncoperationid, flush=True)
            return await _watch(client, [operation.asyncoperationid]) if follow else operation

    operation = clioptions.run(work())
    if follow:
        sys.exit(0 if operation.statuscode is StatusCode.SUCCEEDED else 1)


@main.group()
def jobs() -> None:
    """See and control operations (system jobs)."""


@jobs.command("list")
@click.option("--state", type=click.Choice([each.name.title() for each in StateCode], case_sensitive=False))
@click.option("--type", "operationtype", help="Only operations of this type, by number or label.")
@click.option("--limit", default=20, show_default=True, help="At most this many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as a JSON array, each with its waitreason.")
@click.pass_obj
def list_jobs(choice: Choice, /, state: str | None, operationtype: str | None, limit: int, *, as_json: bool) -> None:
    """List operations, the newest first."""
    where = []
    if state is not None:
        where.append(Comparison("statecode", "eq", int(StateCode[state.upper()])))
    if operationtype is not None:
        kind = OperationType.parse(operationtype)
        if kind is None:
            raise click.BadParameter(f"{operationtype!r} is no operation type.", param_hint="--type")
        where.append(Comparison("operationtype", "eq", int(kind)))

    async def work() -> list[tuple[AsyncOperation, Wait | None]]:
        async with choice.client() as client:
            listed = client.list(where=where, limit=limit)
            return [(operation, await client.waits_for(operation)) async for operation in listed]

    found = clioptions.run(work())
    if as_json:
        print(json.dumps([as_plain(operation, wait=wait) for operation, wait in found], indent=2, ensure_ascii=False))
        return
    console.print(display.operations_table(found, today=datetime.now(UTC).date(), width=console.width))


@jobs.command()
@click.argument("operation_id", type=click.UUID, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.pass_obj
def show(choice: Choice, operation_id: UUID, as_json: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Show one operation with its history."""

    async def work() -> None:
        async with choice.client() as client:
            if as_json:
                print(json.dumps(await client.get_plain(operation_id), indent=2, ensure_ascii=False))
                return
            operation, history = await client.get_with_history(operation_id)
            display.show_operation(console, operation, history, wait=await client.waits_for(operation))

    clioptions.run(work())


@jobs.command()
@click.argument("operation_ids", type=click.UUID, metavar="[ID]...", nargs=-1)
@click.pass_obj
def watch(choice: Choice, operation_ids: tuple[UUID, ...]) -> None:
    """Show live progress until the operations are completed; without an ID, of all that are not completed now."""

    async def work() -> AsyncOperation | None:
        async with choice.client() as client:
            watched = list(operation_ids)
            if not watched:
                unfinished = [Comparison("statecode", "lt", int(StateCode.COMPLETED))]
                watched = [each.asyncoperationid async for each in client.list(where=unfinished, limit=50)]
            return await _watch(client, watched) if watched else None

    if clioptions.run(work()) is None:
        console.print("Nothing is under way.")


async def _watch(client: AsyncServiceClient, operation_ids: list[UUID]) -> AsyncOperation:
    """Show progress until all are completed; return the last one."""
    with display.LiveProgress(console) as live:
        done = await asyncio.gather(*(client.wait(each, seen=live.saw) for each in operation_ids))
    return done[-1]


def _action(name: str, describe: str) -> None:
    """Add a command that does one thing to operations."""

    @jobs.command(name, help=describe)
    @click.argument("operation_ids", type=click.UUID, metavar="ID...", nargs=-1, required=True)
    @click.pass_obj
    def act(choice: Choice, operation_ids: tuple[UUID, ...]) -> None:
        clioptions.run(_act_on_all(choice, operation_ids, lambda client, each: getattr(client, name)(each)))


for _name, _help in {
    "cancel": "Cancel for good; a running operation ends at its next checkpoint or heartbeat.",
    "pause": "Stop running operations at their next checkpoint; `resume` lets them go on.",
    "resume": "Make suspended operations ready to run.",
    "retry": "Run failed operations again, from their last checkpoint.",
    "delete": "Remove completed operations with all that belongs to them.",
}.items():
    _action(_name, _help)


@jobs.command()
@click.argument("operation_ids", type=click.UUID, metavar="ID...", nargs=-1, required=True)
@click.option("--until", required=True, callback=clioptions.moment, help="The moment, as in 2026-01-31T22:00:00Z.")
@click.pass_obj
def postpone(choice: Choice, operation_ids: tuple[UUID, ...], until: datetime) -> None:
    """Do not run operations before a moment; running ones are stopped first."""
    clioptions.run(_act_on_all(choice, operation_ids, lambda client, each: client.postpone(each, until)))


@jobs.command("raise")
@click.argument("operation_id", type=click.UUID, metavar="ID")
@click.argument("name")
@click.option("--data", callback=clioptions.data, help="What the event brings: a JSON object, or @FILE.")
@click.pass_obj
def raise_event(choice: Choice, operation_id: UUID, name: str, data: dict[str, Any] | None) -> None:
    """Let an operation know that the event NAME has happened; it need not wait for it yet."""

    async def act(client: AsyncServiceClient, each: UUID) -> AsyncOperation:
        return await client.raise_event(each, name, data)

    clioptions.run(_act_on_all(choice, (operation_id,), act))


@jobs.command("all")
@click.argument("action", type=click.Choice(["cancel", "pause", "resume", "postpone", "retry", "delete"]))
@click.option(
    "--where",
    required=True,
    multiple=True,
    callback=clioptions.conditions,
    help="'statuscode eq 31'; repeatable.",
)
@click.option("--until", callback=clioptions.moment, help="For postpone: the moment, as in 2026-01-31T22:00:00Z.")
@click.option("--dry-run", is_flag=True, help="Only count what matches.")
@click.pass_obj
def act_on_matching(
    choice: Choice, /, action: str, where: list[list[Any]], until: datetime | None, *, dry_run: bool
) -> None:
    """Do one thing to every operation that matches; an operation of its own, with progress."""
    data: dict[str, Any] = {"Action": action, "Filter": where, "DryRun": dry_run}
    if until is not None:
        data["PostponeUntil"] = until.isoformat()

    async def work() -> AsyncOperation:
        async with choice.client() as client:
            kind = OperationType.CANCEL_ASYNC_OPERATIONS
            submitted = await client.submit(int(kind), data, name=f"{action} all that match")
            return await _watch(client, [submitted.asyncoperationid])

    done = clioptions.run(work())
    console.print(display.results_table([done]))
    sys.exit(0 if done.errorcode is None else 1)


async def _act_on_all(
    choice: Choice,
    operation_ids: tuple[UUID, ...],
    act: Callable[[AsyncServiceClient, UUID], Coroutine[Any, Any, AsyncOperation | None]],
) -> None:
    """Do it to each; say what came of it; fail at the end when any was refused."""
    refused = 0
    async with choice.client() as client:
        for operation_id in operation_ids:
            try:
                operation = await act(client, operation_id)
            except AsyncServiceError as error:
                refused += 1
                click.echo(f"{operation_id}  {error} ({error.code.hex})", err=True)
            else:
                print(f"{operation_id}  {operation.statuscode.label if operation else 'deleted'}")
    if refused:
        raise click.ClickException(f"{refused} of {len(operation_ids)} refused.")


@main.group()
def service() -> None:
    """See how the service is; stop and start it."""


_FAMILIES = click.option(
    "--family",
    "families",
    multiple=True,
    type=click.Choice([family.value for family in Family]),
    help="Only this family of operation types; repeatable. All without it.",
)


@service.command()
@_FAMILIES
@click.pass_obj
def stop(choice: Choice, families: tuple[str, ...]) -> None:
    """Execute nothing new on any host. What runs ends or yields, what arrives is kept, until `start`."""

    async def work() -> Stopped:
        async with choice.client() as client:
            return await client.stop_service([Family(each) for each in families] or Family)

    console.print(display.service_text(clioptions.run(work())))


@service.command()
@_FAMILIES
@click.pass_obj
def start(choice: Choice, families: tuple[str, ...]) -> None:
    """Let the service execute again."""

    async def work() -> tuple[int, Stopped]:
        async with choice.client() as client:
            waiting = await client.start_service([Family(each) for each in families] or Family)
            return waiting, await client.service_state()

    waiting, state = clioptions.run(work())
    console.print(f"{display.service_text(state)} {waiting:,} operations were waiting.")


@service.command()
@click.pass_obj
def status(choice: Choice) -> None:
    """Say whether the storage answers, what waits in the queues, and which `up` is running here."""

    async def work() -> None:
        async with choice.client() as client:
            await client.ping()
            running = storagechoice.read_note()
            console.print(f"storage: answers; host: {running.url if running else 'no `up` is running here'}")
            console.print(display.service_text(await client.service_state()))
            names = [INBOX, *(family.queue_name for family in Family)]
            lengths = await asyncio.gather(*(client.storage.queue(name).length() for name in names))
            console.print(display.queues_table(dict(zip(names, lengths, strict=True))))

    clioptions.run(work())


jobs.add_command(cliupkeep.audit)
service.add_command(cliupkeep.limits)
main.add_command(cliupkeep.poison)


@main.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--entity", required=True, help="Logical name of the table that gets the rows, such as account.")
@click.option("--map", "pairs", multiple=True, metavar="COLUMN=ATTRIBUTE", help="Which column goes where; repeatable.")
@click.pass_obj
def import_file(choice: Choice, file: Path, entity: str, pairs: tuple[str, ...]) -> None:
    """Import a CSV file: parse, transform, import, with progress. Columns map by name unless --map is given."""
    columns = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(columns) != len(pairs):
        raise click.BadParameter("write it as COLUMN=ATTRIBUTE, each column once.", param_hint="--map")

    content = file.read_bytes()

    async def work() -> list[AsyncOperation]:
        async with choice.client() as client:
            return await run_import(client, file.name, content, entity=entity, columns=columns or None)

    done = clioptions.run(work())
    console.print(display.results_table(done))
    sys.exit(0 if all(operation.errorcode is None for operation in done) else 1)


async def run_import(
    client: AsyncServiceClient, name: str, content: bytes, *, entity: str, columns: dict[str, str] | None
) -> list[AsyncOperation]:
    """Make an import of a file's *content* and run its three operations, one after the other, with progress."""
    made = await create_import(
        await client.organization(),
        name=name,
        entity=entity,
        content=content,
        now=datetime.now(UTC),
        columns=columns,
        source=name,
    )
    done: list[AsyncOperation] = []
    for kind in IMPORT_OPERATIONS:
        submitted = await client.submit(int(kind), made.operation_data, name=f"{kind.label}: {name}")
        done.append(await _watch(client, [submitted.asyncoperationid]))
        if done[-1].errorcode is not None:
            break
    return done
