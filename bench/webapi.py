"""The Web API: what typical requests take of time and of storage requests, over a table with many rows.

`python -m bench.webapi [--rows N]` fills a table of accounts, asks a Functions host over HTTP, one request after the
other, and prints a table. Storage requests are counted where the storage answers them; what the host does at fixed
times is left out.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from statistics import median
from typing import Any, Final
from uuid import UUID

from aiohttp import ClientSession
from rich.console import Console
from rich.table import Table

from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Draft
from asyncservice.storage.azure import AzureStorage
from bench.ground import Ground, a_ground
from bench.progress import Steps
from bench.quantiles import percentile
from bench.run import forget_settings
from bench.stage import Stage, a_stage
from bench.wire import Requests

_BASE: Final = "/api/data/v9.2"
#: Rows that are written together while the table is filled.
_FILLED_AT_ONCE: Final = 2000
#: One account in so many has this number of employees.
_RARE: Final = 500
#: Seconds the storage's log may be behind.
_LOG_DELAY: Final = 0.3


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of request, made several times."""

    name: str
    milliseconds: Sequence[float]
    requests: float
    kinds: str


def account_id(number: int) -> UUID:
    """Return the id of the account of that number; they spread over all partitions."""
    return UUID(int=(number * 0x9E3779B97F4A7C15) & ((1 << 64) - 1) | 0x4 << 76 | 0x8 << 124)


async def _fill(ground: Ground, rows: int, steps: Steps) -> None:
    steps.begin(f"Filling a table with {rows:,} accounts", total=rows / _FILLED_AT_ONCE)
    async with AzureStorage.from_connection_string(ground.azurite.connection_string) as storage:
        accounts = Organization(storage).records("account")
        for numbers in batched(range(rows), _FILLED_AT_ONCE, strict=False):
            drafts = [
                Draft(account_id(each), {"name": f"Account {each:06d}", "numberofemployees": each % _RARE})
                for each in numbers
            ]
            await accounts.create_many(drafts, now=datetime.now(UTC))
            steps.step()


def _batch(number: int) -> tuple[str, bytes]:
    """Return the content type and the body of a batch whose one change set makes a hundred accounts."""
    parts = "".join(
        "--changeset_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: {each}\r\n\r\nPOST {_BASE}/accounts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n"
        f'{{"name": "Batch {number} account {each}"}}\r\n'
        for each in range(1, 101)
    )
    body = (
        f"--batch_1\r\nContent-Type: multipart/mixed; boundary=changeset_1\r\n\r\n{parts}--changeset_1--\r\n--batch_1--"
    )
    return "multipart/mixed; boundary=batch_1", body.encode()


type _Call = Callable[[int], Awaitable[None]]


def _calls(session: ClientSession, rows: int) -> Iterator[tuple[str, int, _Call]]:
    """Yield what is measured: its name, how often, and the request of a number."""

    async def answered(method: str, path: str, expected: int, **options: Any) -> bytes:  # noqa: ANN401 - aiohttp's own
        async with session.request(method, f"{_BASE}/{path}", **options) as response:
            body = await response.read()
            if response.status != expected:
                raise RuntimeError(f"{method} {path} was answered {response.status}: {body[:500].decode()}")
            return body

    async def read(number: int) -> None:
        await answered("GET", f"accounts({account_id(number * 37 % rows)})?$select=name", 200)

    async def page(number: int) -> None:
        query = f"accounts?$select=name&$filter=numberofemployees eq {number % _RARE}"
        await answered("GET", query, 200, headers={"Prefer": "odata.maxpagesize=50"})

    async def first_page(_: int) -> None:
        await answered("GET", "accounts?$select=name", 200, headers={"Prefer": "odata.maxpagesize=50"})

    async def sorted_page(_: int) -> None:
        query = "accounts?$select=name&$filter=numberofemployees lt 5&$orderby=name desc"
        await answered("GET", query, 200, headers={"Prefer": "odata.maxpagesize=50"})

    async def count(_: int) -> None:
        await answered("GET", "accounts/$count", 200)

    async def create(number: int) -> None:
        await answered("POST", "accounts", 204, json={"name": f"Created {number}"})

    async def update(number: int) -> None:
        await answered("PATCH", f"accounts({account_id(number * 41 % rows)})", 204, json={"telephone1": str(number)})

    async def batch(number: int) -> None:
        kind, body = _batch(number)
        await answered("POST", "$batch", 200, data=body, headers={"Content-Type": kind})

    yield "read one record", 100, read
    yield "first page of 50", 20, first_page
    yield "page of 50 by a filter that one row in 500 meets", 10, page
    yield "page of 50 by a filter, sorted by name", 5, sorted_page
    yield "$count", 5, count
    yield "create one record", 100, create
    yield "update one record", 100, update
    yield "$batch of 100 creates in a change set", 20, batch


async def _measured(stage: Stage, name: str, times: int, call: _Call) -> Measured:
    await call(0)  # Finds connections made and modules loaded.
    await asyncio.sleep(_LOG_DELAY)
    start = stage.meter.mark()
    took = list[float]()
    for number in range(1, times + 1):
        began = time.perf_counter()
        await call(number)
        took.append((time.perf_counter() - began) * 1000)
    await asyncio.sleep(_LOG_DELAY)
    requests = Requests.of(stage.meter.between(start, stage.meter.mark()).requests, frozenset())
    kinds = ", ".join(f"{count / times:.2f} {kind}" for kind, count in requests.own.most_common())
    return Measured(name, took, requests.own.total() / times, kinds)


async def measure(rows: int, console: Console) -> Sequence[Measured]:
    """Fill a table and make every request; raise RuntimeError when one is not answered as it must be."""
    with Steps(console) as steps:
        async with a_ground(on_disk=False) as ground, a_stage(ground) as stage:
            await _fill(ground, rows, steps)
            done = list[Measured]()
            async with ClientSession(stage.hosts.first.has_said(r"ready (http\S+)")) as session:
                for name, times, call in _calls(session, rows):
                    steps.begin(name)
                    done.append(await _measured(stage, name, times, call))
            return done


def _table(done: Sequence[Measured], rows: int) -> Table:
    table = Table(
        "request", "p50 ms", "p95 ms", "storage requests", "which", title=f"Over {rows:,} rows", title_justify="left"
    )
    for each in done:
        table.add_row(
            each.name,
            f"{median(each.milliseconds):.1f}",
            f"{percentile(each.milliseconds, 95):.1f}",
            f"{each.requests:.2f}",
            each.kinds,
        )
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.webapi", description="Measure requests of the Web API.")
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    forget_settings(os.environ)
    screen = Console(width=None if sys.stdout.isatty() else 160)
    screen.print(_table(asyncio.run(measure(given.rows, screen)), given.rows))
