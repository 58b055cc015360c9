"""An import of many rows whose host is killed in its midst."""

from datetime import timedelta

from asyncservice.client import AsyncServiceClient
from tests.e2e.hosts import Hosts
from tests.e2e.imports import import_and_kill


async def test_an_import_survives_a_kill_with_each_row_once(hosts: Hosts, client: AsyncServiceClient) -> None:
    survival = await import_and_kill(hosts, client, rows=20_000, limit=timedelta(seconds=90))
    assert survival.attempts == 2
    print(survival)  # noqa: T201 - shown with -s
