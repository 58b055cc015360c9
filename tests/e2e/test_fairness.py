"""Work is shared: between hosts, between the processes of one host, and between the families of operation types."""

import asyncio
import os
import signal
from datetime import timedelta

from asyncservice.client import AsyncServiceClient
from asyncservice.operations.states import StatusCode
from tests.e2e.evidence import count
from tests.e2e.hosts import Hosts, eventually
from tests.e2e.test_hosts import all_succeeded

#: A setting that makes a host begin less than it takes.
FEW_SLOTS = {"ASYNCSERVICE_CONCURRENCY": "20"}


async def test_two_hosts_do_their_shares_of_short_operations(hosts: Hosts, client: AsyncServiceClient) -> None:
    """50 ms each, far more than either can begin at once."""
    both = await asyncio.gather(hosts.start(FEW_SLOTS), hosts.start(FEW_SLOTS))
    await client.submit_many([{"operationtype": 54, "data": {"takes": 0.05}}] * 2000)

    found = await all_succeeded(client, 2000, *both)
    found.check()
    assert len(found.hosts) == 2
    assert min(found.hosts.values()) >= 2000 / 3, found.hosts
    assert (found.interrupted, found.repeated) == (0, 0)


async def test_a_host_that_comes_later_gets_its_share_of_long_operations(
    hosts: Hosts, client: AsyncServiceClient
) -> None:
    """The first host has taken all that there is, 60 operations of ten seconds, and has slots for a third of them."""
    first = await hosts.start(FEW_SLOTS)
    await client.submit_many([{"operationtype": 54, "data": {"takes": 10}}] * 60)

    async def is_full() -> bool:
        return await count(client.storage, StatusCode.IN_PROGRESS) >= 10

    await eventually(is_full, within=timedelta(seconds=30), meanwhile=first.must_run)
    second = await hosts.start(FEW_SLOTS)
    found = await all_succeeded(client, 60, first, second)
    found.check()
    assert min(found.hosts.values()) >= 60 / 3, found.hosts


async def test_the_processes_of_one_host_share_its_work(hosts: Hosts, client: AsyncServiceClient) -> None:
    host = await hosts.start({"FUNCTIONS_WORKER_PROCESS_COUNT": "2"})
    await client.submit_many([{"operationtype": 54, "data": {"takes": 0.05}}] * 600)
    found = await all_succeeded(client, 600, host)
    found.check()
    assert len(found.hosts) == 2
    assert min(found.hosts.values()) >= 600 / 3, found.hosts
    assert (found.interrupted, found.repeated) == (0, 0)
    assert await host.terminate() == 0
    assert "Unclosed" not in host.log


async def test_what_a_killed_worker_process_ran_is_done_by_the_others(hosts: Hosts, client: AsyncServiceClient) -> None:
    host = await hosts.start({"FUNCTIONS_WORKER_PROCESS_COUNT": "2"})
    submitted = await client.submit_many([{"operationtype": 54, "data": {"takes": 2}}] * 40)

    async def running_on() -> set[str]:
        operations = [await client.get(each.asyncoperationid) for each in submitted]
        names = {each.hostid for each in operations if each.statuscode is StatusCode.IN_PROGRESS and each.hostid}
        return names if len(names) == 2 else set()

    names = await eventually(running_on, within=timedelta(seconds=30), meanwhile=host.must_run)
    # The name of a host tells its process: machine, process, something of its own.
    os.kill(int(min(names).rsplit("-", 2)[1]), signal.SIGKILL)
    found = await all_succeeded(client, 40, host)
    assert "another one takes its place" in host.log
    assert all(each.statuscode is StatusCode.SUCCEEDED for each in found.operations.values())


async def test_worker_processes_that_are_stopped_give_long_work_back(hosts: Hosts, client: AsyncServiceClient) -> None:
    settings = {"FUNCTIONS_WORKER_PROCESS_COUNT": "2", "ASYNCSERVICE_LEASE": "00:10:00"}
    host = await hosts.start(settings, grace=0.5)
    submitted = await client.submit_many([{"operationtype": 13, "data": {"steps": 1, "takes": 60}}] * 4)

    async def all_run() -> bool:
        return await count(client.storage, StatusCode.IN_PROGRESS) == 4

    await eventually(all_run, within=timedelta(seconds=30), meanwhile=host.must_run)
    assert await host.terminate() == 0
    for each in submitted:
        given_back = await client.get(each.asyncoperationid)
        assert given_back.statuscode is StatusCode.WAITING_FOR_RESOURCES
        assert "is leaving" in (given_back.history[-1].reason or "")
