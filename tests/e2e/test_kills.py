"""Hosts that die at work: nothing is lost, nothing runs twice at once, and what is done again was interrupted."""

import time
from datetime import timedelta

from asyncservice.client import AsyncServiceClient
from asyncservice.operations.states import StatusCode
from tests.e2e.evidence import Evidence, count
from tests.e2e.hosts import Host, Hosts, eventually

OPERATIONS = 2_000
#: From nothing to a fifth of a second: at any moment some are at their beginning, some at their end.
SMALL = [{"operationtype": "ExecuteAsyncRequest", "data": {"takes": n % 10 * 0.02}} for n in range(OPERATIONS)]
#: How many a host has done when it is killed.
DONE_BEFORE_A_KILL = 200


async def test_two_thousand_operations_survive_two_kills(hosts: Hosts, client: AsyncServiceClient) -> None:
    submitted = await client.submit_many(SMALL)
    began = time.monotonic()
    done = 0
    for _ in range(2):
        host = await hosts.start()

        async def enough_is_done(least: int = done + DONE_BEFORE_A_KILL) -> bool:
            return await count(client.storage, StatusCode.SUCCEEDED) >= least

        await eventually(enough_is_done, within=timedelta(seconds=60), meanwhile=host.must_run)

        async def it_died_inside_operations(host: Host = host) -> bool:
            """Hold the host still, so that what the tables say is what it dies in."""
            with host.held_still():
                if await count(client.storage, StatusCode.IN_PROGRESS):
                    await host.kill()
                    return True
            return False

        await eventually(it_died_inside_operations, within=timedelta(seconds=60), meanwhile=host.must_run)
        done = await count(client.storage, StatusCode.SUCCEEDED)
        assert done < OPERATIONS
    killed = time.monotonic()
    host = await hosts.start()

    async def all_is_done() -> bool:
        return await count(client.storage, StatusCode.SUCCEEDED) == OPERATIONS

    await eventually(all_is_done, within=timedelta(seconds=90), meanwhile=host.must_run)
    ended = time.monotonic()
    found = await Evidence.of(client.storage)
    assert set(found.operations) == {operation.asyncoperationid for operation in submitted}
    found.check()
    assert found.interrupted > 0, "attempts were taken back"
    assert found.repeated <= found.interrupted, "an effect is made again only where an attempt was taken back"
    assert len(found.hosts) == 3
    print(  # noqa: T201 - shown with -s, for whoever wants to know
        f"{OPERATIONS} operations, 2 kills: {ended - began:.1f} s in all, {ended - killed:.1f} s after the last kill, "
        f"{found.interrupted} attempts taken back, {found.repeated} effects made again"
    )
    assert await host.terminate() == 0
