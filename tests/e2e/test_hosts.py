"""Several hosts on one storage, and hosts that are asked to stop."""

import asyncio
import json
from datetime import timedelta
from http import HTTPStatus
from urllib.request import urlopen

from asyncservice.client import AsyncServiceClient
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import Action, StatusCode
from tests.e2e.evidence import Evidence, check_attempts, count
from tests.e2e.hosts import Host, Hosts, eventually

SOME = 1500
#: A host takes 32 messages ahead of its work, each of 32 operations at most.
MORE_THAN_IT_TAKES = 1500


async def all_succeeded(client: AsyncServiceClient, operations: int, *hosts: Host) -> Evidence:
    """Wait until so many operations have succeeded, and return what the tables then say."""

    async def enough() -> bool:
        return await count(client.storage, StatusCode.SUCCEEDED) == operations

    def all_run() -> None:
        for host in hosts:
            host.must_run()

    await eventually(enough, within=timedelta(seconds=60), meanwhile=all_run)
    return await Evidence.of(client.storage)


async def test_a_host_says_that_it_is_well(hosts: Hosts, client: AsyncServiceClient) -> None:
    await client.ping()
    host = await hosts.start()

    def ask() -> tuple[int, object]:
        with urlopen(f"{host.url}/api/health", timeout=20) as answer:  # noqa: S310 - our own host
            return answer.status, json.load(answer)

    status, body = await asyncio.to_thread(ask)
    assert status == HTTPStatus.OK
    assert isinstance(body, dict)
    assert body["status"] == "ok"


async def test_two_hosts_share_the_work(hosts: Hosts, client: AsyncServiceClient) -> None:
    both = await asyncio.gather(hosts.start(), hosts.start())
    await client.submit_many([{"operationtype": 54, "data": {"takes": 0.05}}] * SOME)

    found = await all_succeeded(client, SOME, *both)
    found.check()
    # Nobody died, so nothing was interrupted, and every effect was made once.
    assert len(found.hosts) == 2
    assert found.hosts.total() == SOME
    assert found.interrupted == 0
    assert found.repeated == 0
    assert [await host.terminate() for host in both] == [0, 0]
    for host in both:
        assert "Unclosed" not in host.log, "a host that stops in good order closes its connections"


async def test_a_host_asked_to_stop_gives_long_work_back(hosts: Hosts, client: AsyncServiceClient) -> None:
    """Its leases are long, so that whoever takes the operation over does so because it was given back."""
    long_leases = {"ASYNCSERVICE_LEASE": "00:10:00"}
    host = await hosts.start(long_leases, grace=0.5)
    submitted = await client.submit("BulkDelete", {"steps": 20, "takes": 0.25})

    async def has_begun() -> AsyncOperation | None:
        operation = await client.get(submitted.asyncoperationid)
        return operation if (operation.successcount or 0) >= 3 else None

    await eventually(has_begun, within=timedelta(seconds=30), meanwhile=host.must_run)
    assert await host.terminate() == 0
    given_back = await client.get(submitted.asyncoperationid)
    assert given_back.statuscode is StatusCode.WAITING_FOR_RESOURCES
    assert (given_back.errorcode, given_back.deaths, given_back.retrycount) == (None, 0, 0)
    assert "is leaving" in (given_back.history[-1].reason or "")

    await hosts.start(long_leases)
    done = await client.wait(submitted.asyncoperationid, timeout=timedelta(seconds=30))
    assert (done.statuscode, done.successcount) == (StatusCode.SUCCEEDED, 20)
    assert [entry.action for entry in done.history] == ["create", "claim", "interrupt", "claim", "succeed"]
    check_attempts(done)


async def test_a_host_asked_to_stop_finishes_what_is_short(hosts: Hosts, client: AsyncServiceClient) -> None:
    host = await hosts.start()
    await client.submit_many([{"operationtype": 54, "data": {"takes": 0.4}}] * MORE_THAN_IT_TAKES)

    async def is_at_work() -> bool:
        return await count(client.storage, StatusCode.SUCCEEDED) > 0

    await eventually(is_at_work, within=timedelta(seconds=30), meanwhile=host.must_run)
    assert await host.terminate() == 0
    left = await Evidence.of(client.storage)
    assert set(left.statuses) == {StatusCode.SUCCEEDED, StatusCode.WAITING_FOR_RESOURCES}, "nothing is left half-way"
    assert left.interrupted == 0
    assert left.repeated == 0

    second = await hosts.start()
    found = await all_succeeded(client, MORE_THAN_IT_TAKES, second)
    found.check()
    assert found.interrupted == 0
    assert found.repeated == 0
    assert {entry.action for each in found.operations.values() for entry in each.history} == {
        "create",
        Action.CLAIM,
        Action.SUCCEED,
    }
