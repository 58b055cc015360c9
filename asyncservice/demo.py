"""What `make demo` runs: the whole service on free ports, doing real work, with an honest exit status.

A public list of some 24,000 universities, with rows made wrong on purpose at its end, is imported by a host process
of its own, in the three operations of an import; postponed operations are cancelled all at once by one operation; a
message that nobody can understand is put on the inbox queue.
The outcome of each is compared with what is documented in data/README.md.
"""

import asyncio
import contextlib
import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from rich.console import Console
from rich.table import Table
from rich.text import Text

from asyncservice import cli, devhost, display, storagechoice
from asyncservice.client import AsyncServiceClient
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.settings import STORAGE_SETTING

#: Where the columns of the file go.
COLUMNS: Final = {
    "Name": "name",
    "Website": "websiteurl",
    "Country": "address1_country",
    "Industry": "industrycode",
    "Employees": "numberofemployees",
}
#: Rows that succeed and rows that fail in each operation, as data/README.md says and why.
EXPECTED: Final = {
    OperationType.IMPORT_FILE_PARSE: (23_952, 4),
    OperationType.TRANSFORM_PARSE_DATA: (23_950, 2),
    OperationType.IMPORT: (23_937, 13),
}
#: Operations that are postponed and cancelled together.
LATER: Final = 5
#: How long the host may take to be ready, and to leave.
_START: Final = 60
_LEAVE: Final = 45

console = Console()


async def demo() -> int:
    """Run the demo; return 0 when every operation ended as it should."""
    folder = storagechoice.app_folder()
    with tempfile.TemporaryDirectory(prefix="asyncservice-demo-") as temporary:
        log = Path(temporary) / "host.log"
        console.print("[bold]1[/] Starting the storage emulator and a Functions host on free ports …")
        async with devhost.Azurite(data=Path(temporary) / "storage") as emulator, _host(emulator, folder, log) as url:
            console.print(f"  Azurite answers; the host serves {url}.")
            async with AsyncServiceClient.from_connection_string(emulator.connection_string) as client:
                done, mistakes = await _work(client, folder)
                await _show_log(client)
            if mistakes:
                console.print(Text(log.read_text(encoding="utf-8")[-4000:], style="dim"))
        console.print("Host and emulator are stopped.")
    for mistake in mistakes:
        console.print(f"[red]✘[/] {mistake}")
    if mistakes:
        return 1
    console.print(f"[green]✔[/] Every one of {len(done)} operations ended as it should.\n")
    console.print(
        "To look further: `make up` keeps the service running; then, in another terminal,\n"
        "  .venv/bin/asyncservice import data/universities.csv --entity account "
        "--map Name=name --map Website=websiteurl\n"
        "  .venv/bin/asyncservice jobs list\n"
        "  .venv/bin/asyncservice jobs show ID",
        highlight=False,
        soft_wrap=True,
    )
    return 0


@asynccontextmanager
async def _host(emulator: devhost.Azurite, folder: Path, log: Path) -> AsyncIterator[str]:
    """Start a host in a process of its own, as an installation would; yield its address."""
    environment = os.environ | {STORAGE_SETTING: emulator.connection_string, "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "asyncservice.devhost", "--port", "0", "--app", str(folder)),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
        )
    try:
        yield await asyncio.wait_for(_ready(process, log), _START)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _LEAVE)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _ready(process: asyncio.subprocess.Process, log: Path) -> str:
    """Return the host's address once it says that it serves."""
    while process.stdout is not None and (line := await process.stdout.readline()):
        word, _, url = line.decode().strip().partition(" ")
        if word == "ready":
            return url
    raise devhost.HostError(f"The host did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")  # noqa: ASYNC240 - the end


async def _work(client: AsyncServiceClient, folder: Path) -> tuple[list[AsyncOperation], list[str]]:
    """Do the work; return its operations, and a sentence for everything that was not as it should be."""
    content, rows = _file(folder / "data")
    console.print(f"[bold]2[/] Importing {rows:,} rows into account: three operations, one after the other.")
    done = await cli.run_import(client, "universities.csv", content, entity="account", columns=COLUMNS)
    mistakes = [*_compare(done), *await _count(client)]

    console.print(f"[bold]3[/] Submitting {LATER} operations for tomorrow, and cancelling all that match their name.")
    cancelled, more = await _cancel_what_matches(client)
    done.append(cancelled)
    mistakes += more

    console.print("[bold]4[/] Putting a message on the inbox queue that nobody can understand.")
    refused = await _garbage(client)
    if refused is None:
        mistakes.append("The message that nobody can understand left no Failed operation.")
    else:
        done.append(refused)
    console.print()
    console.print(display.results_table(done))
    return done, mistakes


def _file(data: Path) -> tuple[bytes, int]:
    """Return the file to import: the list, then the rows that are wrong on purpose; and how many rows it has."""
    wrong = (data / "deliberately-wrong.csv").read_text(encoding="utf-8").partition("\n")[2]
    content = (data / "universities.csv").read_text(encoding="utf-8") + wrong
    return content.encode(), sum(1 for _ in csv.reader(io.StringIO(content))) - 1


def _compare(done: list[AsyncOperation]) -> list[str]:
    mistakes = []
    for kind, expected in EXPECTED.items():
        operation = next((each for each in done if each.operationtype == kind), None)
        if operation is None:
            mistakes.append(f"{kind.label} was not run.")
        elif operation.statuscode is not StatusCode.SUCCEEDED:
            mistakes.append(f"{kind.label} is {operation.statuscode.label}: {operation.message}")
        elif (operation.successcount, operation.failurecount) != expected:
            counted = f"{operation.successcount} rows and {operation.failurecount} failures"
            mistakes.append(f"{kind.label} counted {counted}; expected were {expected[0]} and {expected[1]}.")
    return mistakes


async def _count(client: AsyncServiceClient) -> list[str]:
    """Count the accounts in the table itself: each row that succeeded is there once."""
    accounts = (await client.organization()).records("account")
    names = [record async for record in accounts.query(columns=("name",))]
    expected = EXPECTED[OperationType.IMPORT][0]
    console.print(f"  The account table holds {len(names):,} rows.")
    return [] if len(names) == expected else [f"The account table holds {len(names)} rows; expected were {expected}."]


async def _cancel_what_matches(client: AsyncServiceClient) -> tuple[AsyncOperation, list[str]]:
    """Postpone some operations, then cancel them all by one operation; return it, and what was not as it should be."""
    name, tomorrow = "Not before tomorrow", datetime.now(UTC) + timedelta(days=1)
    later = [{"operationtype": int(OperationType.IMPORT), "name": name, "postponeuntil": tomorrow}] * LATER
    postponed = await client.submit_many(later)
    kind = OperationType.CANCEL_ASYNC_OPERATIONS
    action = await client.submit(int(kind), {"Action": "cancel", "Filter": [["name", "eq", name]]})
    action = await client.wait(action.asyncoperationid, timeout=timedelta(seconds=60))
    now = [await client.get(each.asyncoperationid) for each in postponed]
    mistakes = [
        f"{each.label} is {each.statuscode.label}." for each in now if each.statuscode is not StatusCode.CANCELED
    ]
    if (action.statuscode, action.successcount) != (StatusCode.SUCCEEDED, LATER):
        mistakes.append(f"{kind.label} is {action.statuscode.label} with {action.successcount} of {LATER} cancelled.")
    return action, mistakes


async def _garbage(client: AsyncServiceClient) -> AsyncOperation | None:
    operation_id = uuid4()
    message = {"operationtype": "Make Coffee", "asyncoperationid": str(operation_id), "data": {"sugar": True}}
    await client.storage.queue(INBOX).send(json.dumps(message))
    async with asyncio.timeout(timedelta(seconds=30).total_seconds()):
        while True:
            found = await client.find(operation_id)
            if found is not None and found.is_completed:
                return found if found.statuscode is StatusCode.FAILED else None
            await asyncio.sleep(0.2)


async def _show_log(client: AsyncServiceClient) -> None:
    """Show some of what the import log says of rows that were refused."""
    table = Table(title="Some rows of the import log", title_justify="left")
    for heading in ("line", "column", "value", "reason"):
        table.add_column(heading, overflow="fold")
    logs = [record async for record in (await client.organization()).records("importlog").query()]
    logs.sort(key=lambda record: -int(str(record["linenumber"])))
    for record in logs[:9]:
        value = str(record.get("columnvalue") or "")
        table.add_row(
            str(record["linenumber"]),
            str(record.get("headercolumn") or ""),
            Text(value if len(value) <= 40 else value[:39] + "…"),  # noqa: PLR2004 - what fits a line
            Text(str(record["errordescription"])),
        )
    console.print(table)


if __name__ == "__main__":
    sys.exit(asyncio.run(demo()))
