"""A hundred thousand rows and a kill. It takes minutes, so pytest runs it only when it is named.

python -m pytest tests/e2e/hundred_thousand.py -s
"""

from datetime import timedelta

import pytest

from asyncservice.client import AsyncServiceClient
from tests.e2e.hosts import Hosts
from tests.e2e.imports import import_and_kill


# The file to import is sent as it stands in memory, in one piece.
@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_hundred_thousand_rows_survive_a_kill(hosts: Hosts, client: AsyncServiceClient) -> None:
    survival = await import_and_kill(hosts, client, rows=100_000, limit=timedelta(minutes=10))
    assert survival.attempts == 2
    print(survival)  # noqa: T201 - shown with -s
