"""A hundred thousand rows and a kill. It takes minutes, so it is run by name alone:

python -m pytest tests/e2e/hundred_thousand.py -s
"""

from datetime import timedelta

from asyncservice.client import AsyncServiceClient
from tests.e2e.hosts import Hosts
from tests.e2e.imports import import_and_kill


async def test_a_hundred_thousand_rows_survive_a_kill(hosts: Hosts, client: AsyncServiceClient) -> None:
    survival = await import_and_kill(hosts, client, rows=100_000, limit=timedelta(minutes=10))
    assert survival.attempts == 2
    print(survival)  # noqa: T201 - shown with -s
