"""dynamics-web-api, the client for JavaScript, as it is published, works with the service as with an environment.

What it does stands in clients/dynamics.mjs; each scenario is a run of Node.
"""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from asyncservice.client import SyncServiceClient
from asyncservice.devhost.azurite import find_node
from tests.e2e.hosts import ROOT
from tests.e2e.webapihost import Served, served

SCRIPT = ROOT / "tests" / "e2e" / "clients" / "dynamics.mjs"
#: Seconds after which a scenario counts as hanging.
PATIENCE = 120


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("host")) as host:
        yield host


def run(host: Served, scenario: str, *arguments: str) -> None:
    """Run a scenario and fail with what it said."""
    done = subprocess.run(
        [str(find_node()), str(SCRIPT), scenario, host.url, *arguments],
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(host.authority)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "scenario",
    [
        *("records", "conditions", "links", "queries", "fetchxml", "batch"),
        *("messages", "impersonation", "metadata"),
    ],
)
def test_a_program_works(host: Served, scenario: str) -> None:
    run(host, scenario)


def test_jobs_are_started_polled_and_cancelled(host: Served) -> None:
    with SyncServiceClient.from_connection_string(host.connection) as service:
        later = service.submit("BulkDelete", name="Postponed", postponeuntil=datetime(2099, 1, 1, tzinfo=UTC))
    run(host, "jobs", str(later.asyncoperationid))
