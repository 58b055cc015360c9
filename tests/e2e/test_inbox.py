"""What another service, that knows nothing of ours but the queue's name, puts on the inbox queue."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

from asyncservice.client import AsyncServiceClient
from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import Family
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.operations.submission import NO_TYPE
from tests.e2e.evidence import Evidence
from tests.e2e.hosts import Hosts, eventually

#: The whole of a sender: it imports the queue's client and nothing of this repository.
SENDER = """
import json, sys
from azure.storage.queue import QueueClient
connection, queue, texts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with QueueClient.from_connection_string(connection, queue) as queue:
    for text in texts:
        queue.send_message(text)
"""


async def send(connection: str, *texts: str) -> None:
    """Put messages on the inbox from a process of its own."""
    arguments = [sys.executable, "-c", SENDER, connection, INBOX, json.dumps(texts)]
    await asyncio.to_thread(subprocess.run, arguments, check=True, timeout=60, cwd="/")


def in_base64(body: str | bytes) -> str:
    return base64.b64encode(body.encode() if isinstance(body, str) else body).decode()


async def completed(client: AsyncServiceClient, at_least: int) -> Sequence[AsyncOperation]:
    """Return the operations once so many of them are completed and none is under way."""

    async def all_completed() -> Sequence[AsyncOperation] | None:
        found = [operation async for operation in client.list()]
        enough = len(found) >= at_least and all(operation.is_completed for operation in found)
        return found if enough else None

    return await eventually(all_completed, within=timedelta(seconds=30))


async def test_messages_become_operations_or_records_that_say_why_not(
    hosts: Hosts, client: AsyncServiceClient, connection: str
) -> None:
    host = await hosts.start()
    plain, encoded, twice = uuid4(), uuid4(), uuid4()
    good = {
        plain: json.dumps({"operationtype": 54, "asyncoperationid": str(plain), "name": "Grüße"}),
        encoded: in_base64(
            json.dumps({"operationtype": "ExecuteAsyncRequest", "asyncoperationid": str(encoded), "data": {}})
        ),
        twice: json.dumps({"operationtype": "54", "asyncoperationid": str(twice)}),
    }
    anonymous = json.dumps({"operationtype": 54, "name": "no id of its own"})
    refused = {
        "surely not JSON": "The message is no JSON object",
        "[1, 2]": "The message must be a JSON object.",
        '{"operationtype": 54, "name": "cut off': "The message is no JSON object",
        '{"operationtype": "Make Coffee"}': "operationtype 'Make Coffee' is no operation type of Dataverse",
        '{"operationtype": {"code": 54}}': "operationtype",
        '{"name": "nothing to do"}': "operationtype is missing.",
        '{"operationtype": 54, "operation": "54"}': "operation is no member of the message; it may have operationtype",
        '{"operationtype": 54, "postponeuntil": "tomorrow"}': "postponeuntil",
    }
    not_text = b'{"operationtype": 54, "name": "\xff\xfe"}'
    own_id = uuid4()
    named = json.dumps({"operationtype": 54, "asyncoperationid": str(own_id), "data": "text"})

    await send(connection, *good.values(), good[twice], anonymous, *refused, in_base64(not_text), named)
    found = await completed(client, len(good) + 1 + len(refused) + 2)
    host.must_run()

    done = {each.asyncoperationid: each for each in found if each.statuscode is StatusCode.SUCCEEDED}
    assert set(good) < set(done)
    assert sorted(each.name or "" for each in done.values()) == sorted(
        ["Grüße", "Execute Async Request", "Execute Async Request", "no id of its own"]
    )
    # The same id sent twice is one operation that ran once; what was sent is run, not merely accepted.
    assert done[twice].attempt == 1
    evidence = await Evidence.of(client.storage)
    assert {operation_id: list(attempts) for operation_id, attempts in evidence.effects.items()} == {
        operation_id: [1] for operation_id in done
    }

    failed = [each for each in found if each.statuscode is StatusCode.FAILED]
    assert {(each.operationtype, each.errorcode) for each in failed} == {(NO_TYPE, int(ErrorCode.INVALID_ARGUMENT))}
    by_payload = {each.data: each for each in failed}
    for payload, reason in refused.items():
        assert reason in (by_payload[payload].message or "")
    assert "data" in (by_payload[named].message or "")
    assert by_payload[named].asyncoperationid == own_id, "the sender finds the refusal under the id that it gave"
    # What is no UTF-8 cannot be kept as text: the raw payload is the base64 that stood on the queue.
    assert in_base64(not_text) in by_payload
    assert len(by_payload) == len(failed) == len(refused) + 2
    assert evidence.agenda == []
    assert await are_empty(connection, INBOX, f"{INBOX}-poison", Family.EXECUTE_REQUESTS.queue_name)
    assert await host.terminate() == 0


async def test_a_message_sent_while_no_host_runs_is_kept(
    hosts: Hosts, client: AsyncServiceClient, connection: str
) -> None:
    wanted = UUID("7f000000-0000-4000-8000-000000000001")
    await send(connection, json.dumps({"operationtype": 54, "asyncoperationid": str(wanted)}))
    assert [operation async for operation in client.list()] == []
    await hosts.start()
    [found] = await completed(client, 1)
    assert (found.asyncoperationid, found.statuscode) == (wanted, StatusCode.SUCCEEDED)


async def are_empty(connection: str, *names: str) -> bool:
    """Say whether the queues, as far as they exist, hold nothing, hidden messages included."""

    async def look() -> bool:
        for name in names:
            async with QueueClient.from_connection_string(connection, name) as queue:
                if await _length(queue):
                    return False
        return True

    return await eventually(look, within=timedelta(seconds=20))


async def _length(queue: QueueClient) -> int:

    try:
        return int((await queue.get_queue_properties()).approximate_message_count or 0)
    except ResourceNotFoundError:
        return 0
