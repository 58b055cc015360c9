"""Doing several things at once fails as plainly as doing them one by one."""

import asyncio

import pytest

from asyncservice.organization.concurrency import together
from asyncservice.storage.errors import StorageUnavailable


async def test_results_keep_their_order_and_few_run_at_once() -> None:
    running, most = 0, 0

    async def job(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    assert await together((job(number) for number in range(20)), at_once=3) == list(range(20))
    assert most == 3


async def test_the_error_of_one_is_the_error_of_all() -> None:
    finished: list[int] = []

    async def job(number: int) -> None:
        await asyncio.sleep(0)
        if number == 2:
            raise StorageUnavailable
        await asyncio.sleep(0)
        finished.append(number)

    async def nested(number: int) -> None:
        await together([job(number)])

    with pytest.raises(StorageUnavailable):
        await together((nested(number) for number in range(20)), at_once=4)
    await asyncio.sleep(0)
    assert set(finished) <= {0, 1, 3}
