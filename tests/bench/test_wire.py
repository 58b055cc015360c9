"""Requests are told apart by their lines in the access log."""

import asyncio
from pathlib import Path
from urllib.parse import unquote

import pytest

from asyncservice.devhost.azurite import Azurite
from asyncservice.operations.ids import partition_name
from asyncservice.operations.store import OperationStore
from asyncservice.storage.azure import AzureStorage
from bench.wire import AccessLog, Request, Requests, Role, read_line
from tests.support import NOON


def a_line(request: str, status: int = 200) -> str:
    return f'127.0.0.1 - - [01/Mar/2026:12:00:00 +0000] "{request} HTTP/1.1" {status} -'


@pytest.mark.parametrize(
    ("request_line", "kind", "target"),
    [
        ("POST /acc/$batch", "table transaction", ""),
        ("POST /acc/AsyncOperations", "table insert", "AsyncOperations"),
        ("GET /acc/AsyncOperations(PartitionKey='04',RowKey='o12')", "table read", "AsyncOperations"),
        ("PUT /acc/AsyncOperations(PartitionKey='04',RowKey='o12')", "table replace", "AsyncOperations"),
        ("PATCH /acc/AsyncOperations(PartitionKey='04',RowKey='o12')", "table merge", "AsyncOperations"),
        ("DELETE /acc/AsyncOperations(PartitionKey='04',RowKey='o12')", "table delete", "AsyncOperations"),
        ("GET /acc/AsyncOperations()?$filter=PartitionKey%20eq%20%2704%27", "table query", "AsyncOperations"),
        ("POST /acc/Tables", "table manage", ""),
        ("POST /acc/async-email/messages?messagettl=-1", "queue put", "async-email"),
        ("GET /acc/async-email/messages?numofmessages=16&visibilitytimeout=600", "queue poll", "async-email"),
        ("GET /acc/async-email/messages?peekonly=true", "queue peek", "async-email"),
        ("DELETE /acc/async-email/messages/6f2?popreceipt=abc", "queue delete", "async-email"),
        ("DELETE /acc/async-email/messages", "queue clear", "async-email"),
        ("PUT /acc/async-email/messages/6f2?popreceipt=abc&visibilitytimeout=9", "queue update", "async-email"),
        ("PUT /acc/async-email", "queue manage", "async-email"),
        ("PUT /acc/payloads?restype=container", "blob manage", "payloads"),
        ("GET /acc/payloads?restype=container&comp=list", "blob list", "payloads"),
        ("GET /acc/payloads/1/data-77", "blob read", "payloads"),
        ("PUT /acc/payloads/1/data-77", "blob write", "payloads"),
        ("PUT /acc/azure-webjobs-hosts/locks/h/t.Listener?comp=lease", "blob lease", "azure-webjobs-hosts"),
        ("GET /acc?comp=list", "account list", ""),
    ],
)
def test_every_request_has_a_kind(request_line: str, kind: str, target: str) -> None:
    """Service, verb and target follow from method and address."""
    request = read_line(a_line(request_line))

    assert request is not None
    assert (request.kind, request.target) == (kind, target)


@pytest.mark.parametrize(
    "line",
    [
        "Azurite Queue service is successfully listening at http://127.0.0.1:10001",
        a_line(
            "GET /acc/AsyncOperations()?$filter=PartitionKey%20eq%20%2700%27%20and%20"
            "name%20eq%20%27bench%203%3A%20submit_many%27&$select=statuscode"
        ),
    ],
)
def test_other_lines_and_our_own_looking_do_not_count(line: str) -> None:
    """What is no request, and what the benchmark asked, is left out."""
    assert read_line(line) is None


def test_the_sweep_and_the_hosts_blobs_are_background() -> None:
    """Requests that are made at fixed times belong to no operation."""
    sweep = read_line(
        a_line(
            "GET /acc/AsyncOperations()?$select=PartitionKey,RowKey"
            "&$filter=PartitionKey%20eq%20%2704%27%20and%20RowKey%20ge%20%27_%27%20and%20RowKey%20lt%20%27a001%27"
        )
    )
    lease = read_line(a_line("PUT /acc/azure-webjobs-hosts/locks/h/sweep?comp=lease"))

    assert sweep is not None
    assert lease is not None
    assert {sweep.role(frozenset()), lease.role(frozenset())} == {Role.BACKGROUND}


def test_polls_count_apart() -> None:
    """Polls of the queues in use are neither an operation's own nor background."""
    requests = [
        Request("queue", "poll", "async-email", 200),
        Request("queue", "poll", "async-imports", 200),
        Request("queue", "put", "async-email", 201),
        Request("table", "read", "AsyncOperations", 404),
    ]

    counted = Requests.of(requests, frozenset({"async-email"}))

    assert counted.own == {"queue put": 1, "table read": 1}
    assert counted.polls == 1
    assert counted.background == {"queue poll": 1}
    assert counted.refused == 1


def test_a_peer_pays_for_its_own_requests_alone() -> None:
    """Our host idles beside it."""
    requests = [
        Request("queue", "poll", "celery", 200),
        Request("blob", "read", "celery", 404),
        Request("queue", "poll", "async-email", 200),
        Request("blob", "lease", "azure-webjobs-hosts", 200, periodic=True),
    ]

    counted = Requests.of_peer(requests)

    assert counted.own == {"queue poll": 1, "blob read": 1}
    assert counted.refused == 1


def test_a_log_is_read_between_two_places(tmp_path: Path) -> None:
    """Only requests from one place to another are returned."""
    log = AccessLog(tmp_path / "access.log")
    lines = [a_line(f"PUT /acc/queue{number}") + "\n" for number in range(3)]
    log.path.write_text(lines[0])
    start = log.end()
    log.path.write_text("".join(lines[:2]))
    end = log.end()
    log.path.write_text("".join(lines))

    assert [request.target for request in log.read(start, end)] == ["queue1"]
    assert [request.target for request in log.read(start)] == ["queue1", "queue2"]


async def test_what_the_sweep_really_asks_is_taken_for_the_sweep(tmp_path: Path) -> None:
    """Were it taken for work, every round that a sweep meets would seem dearer."""
    log = AccessLog(tmp_path / "access.log")
    async with (
        Azurite(access_log=log.path) as azurite,
        AzureStorage.from_connection_string(azurite.connection_string) as storage,
    ):
        store = OperationStore(storage)
        await store.open()
        await store.look(3, NOON, limit=10)
        asked = read_line(await _line_about(log, f"PartitionKey eq '{partition_name(3)}'"))

    assert asked is not None
    assert (asked.kind, asked.periodic) == ("table query", True)


async def _line_about(log: AccessLog, text: str) -> str:
    """Return the line that holds *text*, once it is there: the emulator's log is a little behind."""
    for _ in range(1000):
        if found := [line for line in log.path.read_text().splitlines() if text in unquote(line)]:
            return found[-1]
        await asyncio.sleep(0.02)
    raise AssertionError(f"{text} is not in the log.")
