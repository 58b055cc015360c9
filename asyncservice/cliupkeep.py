"""Commands for whoever keeps the service: is what it keeps sound, and what could nobody take."""

import sys
from uuid import UUID

import click
from rich.console import Console

from asyncservice import clioptions, display
from asyncservice.clioptions import Choice
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


@click.group()
def poison() -> None:
    """See and redrive messages that no invocation could take."""


@poison.command("list")
@click.pass_obj
def list_poison(choice: Choice) -> None:
    """List poison messages with their reason, up to 32 of each queue."""

    async def work() -> list[PoisonMessage]:
        async with choice.client() as client:
            return [message async for message in client.poison_messages()]

    console.print(display.poison_table(clioptions.run(work())))


@poison.command()
@click.argument("message_id", required=False)
@click.pass_obj
def redrive(choice: Choice, message_id: str | None) -> None:
    """Put poison messages back on the queues they came from: the one named, or all."""

    async def work() -> int:
        async with choice.client() as client:
            return await client.redrive(message_id)

    moved = clioptions.run(work())
    click.echo(f"{moved} redriven")
    if message_id is not None and not moved:
        raise click.ClickException(f"There is no poison message {message_id}, or somebody else has it just now.")
