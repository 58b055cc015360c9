"""The endpoints for whoever keeps the service, through the host, as a program would ask them."""

import asyncio
import json
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from azure.storage.queue.aio import QueueClient

from asyncservice.client import AsyncServiceClient
from asyncservice.operations.hints import INBOX
from asyncservice.operations.poison import SUFFIX
from asyncservice.operations.states import StatusCode
from tests.e2e.hosts import Host, Hosts, eventually

ASKED = '{"operationtype": 54, "name": "was poisoned"}'


async def ask(host: Host, path: str, body: object = None) -> tuple[int, Any]:
    """GET *path* of the host, or POST *body* to it; return status and body of the answer."""

    def request() -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(f"{host.url}{path}", data=data), timeout=20) as answer:  # noqa: S310 - our own host
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)

    return await asyncio.to_thread(request)


async def test_limits_can_be_read(hosts: Hosts) -> None:
    host = await hosts.start()
    status, body = await ask(host, "/api/limits")
    assert status == HTTPStatus.OK
    limits = {each["name"]: each for each in body["value"]}
    assert limits["max_depth"]["value"] == 16
    assert limits["host.extensions.queues.maxDequeueCount"]["value"] == 5
    assert limits["shards"]["unit"] == "partitions"


async def test_a_poison_message_is_listed_shown_put_back_and_run(
    hosts: Hosts, client: AsyncServiceClient, connection: str
) -> None:
    async with QueueClient.from_connection_string(connection, INBOX + SUFFIX) as aside:
        await aside.create_queue()
        await aside.send_message(ASKED)
    host = await hosts.start()

    status, listed = await ask(host, "/api/poison")
    assert (status, listed["queues"]) == (HTTPStatus.OK, {INBOX: 1})
    [message] = listed["value"]
    status, shown = await ask(host, f"/api/poison/{INBOX}/{message['id']}")
    assert (status, shown["text"]) == (HTTPStatus.OK, ASKED)

    status, refused = await ask(host, "/api/poison/redrive", {})
    assert status == HTTPStatus.BAD_REQUEST
    assert "says nothing of what to put back" in refused["error"]["message"]
    assert await ask(host, "/api/poison/redrive", {"id": message["id"]}) == (HTTPStatus.OK, {"redriven": 1})
    status, missing = await ask(host, f"/api/poison/{INBOX}/{message['id']}")
    assert (status, missing["error"]["code"]) == (HTTPStatus.NOT_FOUND, "0x80040217")

    async def is_done() -> bool:
        found = [operation async for operation in client.list()]
        return [(each.name, each.statuscode) for each in found] == [("was poisoned", StatusCode.SUCCEEDED)]

    await eventually(is_done, within=timedelta(seconds=30))
    assert [finding async for finding in client.audit().everything()] == []
