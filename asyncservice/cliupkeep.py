"""Commands for whoever keeps the service: is what it keeps sound, and what could nobody take."""

import json
import sys
from collections.abc import Sequence
from uuid import UUID

import click
from rich.console import Console

from asyncservice import clioptions, display
from asyncservice.clioptions import Choice
from asyncservice.limits import Limit
from asyncservice.operations.audit import Audit
from asyncservice.operations.poison import PoisonMessage

console = Console()


@click.command()
@click.argument("operation_id", type=click.UUID, metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print what is found, and what was looked at, as JSON.")
@click.pass_obj
def audit(choice: Choice, operation_id: UUID | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Check that records agree with their history and with all other rows: of one operation, or of all.

    Changes nothing, and may run while the service works. Exits 1 when anything deviates.
    """

    async def work() -> Audit:
        async with choice.client() as client:
            audit = client.audit()
            with display.AuditReport(console, as_json=as_json) as report:
                if operation_id is not None:
                    for finding in await audit.one(operation_id):
                        report.found(finding)
                else:
                    async for finding in audit.everything(seen=report.saw):
                        report.found(finding)
                report.done(audit.tally)
            return audit

    sys.exit(1 if clioptions.run(work()).tally.deviations else 0)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_obj
def limits(choice: Choice, as_json: bool) -> None:  # noqa: FBT001 - click passes flags so
    """List every limit and default in force, by the settings of this shell, and what changes each."""

    async def work() -> Sequence[Limit]:
        async with choice.client() as client:
            return client.limits()

    found = clioptions.run(work())
    if as_json:
        click.echo(json.dumps([limit.as_plain() for limit in found], indent=2, ensure_ascii=False))
    else:
        console.print(display.limits_table(found))


@click.group()
def poison() -> None:
    """See and redrive messages that no invocation could take."""


_QUEUE = click.option("--queue", help="Only messages of this queue.")


@poison.command("list")
@_QUEUE
@click.option("--json", "as_json", is_flag=True, help="Print them as a JSON array.")
@click.pass_obj
def list_poison(choice: Choice, queue: str | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags so
    """List poison messages with their reason, up to 32 of each queue."""

    async def work() -> list[PoisonMessage]:
        async with choice.client() as client:
            return [message async for message in client.poison_messages(queue=queue)]

    found = clioptions.run(work())
    if as_json:
        click.echo(json.dumps([message.as_plain() for message in found], indent=2, ensure_ascii=False))
    else:
        console.print(display.poison_table(found))


@poison.command()
@click.argument("queue")
@click.argument("message_id")
@click.pass_obj
def show(choice: Choice, queue: str, message_id: str) -> None:
    """Show one poison message of QUEUE in full, as JSON, with its reason."""

    async def work() -> PoisonMessage:
        async with choice.client() as client:
            return await client.poison_message(queue, message_id)

    click.echo(json.dumps(clioptions.run(work()).as_plain(), indent=2, ensure_ascii=False))


@poison.command()
@click.argument("message_id", required=False)
@_QUEUE
@click.pass_obj
def redrive(choice: Choice, message_id: str | None, queue: str | None) -> None:
    """Put poison messages back on the queues they came from: the one named, those of a queue, or all."""

    async def work() -> int:
        async with choice.client() as client:
            return await client.redrive(message_id, queue=queue)

    moved = clioptions.run(work())
    click.echo(f"{moved} redriven")
    if message_id is not None and not moved:
        raise click.ClickException(f"There is no poison message {message_id}, or somebody else has it just now.")
