"""Queue functions on a real host and a real queue."""

import base64
import json
import signal
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from tests.devhost.support import a_host, eventually, write_app

SOURCE = """
@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage) -> None:
    body = message.get_body().decode()
    note("start", body, message.dequeue_count)
    if body == "fails":
        raise ValueError("always")
    if body == "fails once" and message.dequeue_count == 1:
        raise ValueError("this time")
    if body.startswith("takes"):
        await asyncio.sleep(float(body.split()[1]))
    if body == "never ends":
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            note("cancelled")
            raise
    note("end", body)
"""

METADATA = """
@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    import json
    note(json.dumps([
        message.id, message.dequeue_count, message.pop_receipt, message.get_json(), str(message.insertion_time),
        str(message.expiration_time), str(message.time_next_visible - message.insertion_time),
    ]))
"""


async def holds(queue: QueueClient, *texts: str) -> bool:
    try:
        return [message.content for message in await queue.peek_messages(32)] == list(texts)
    except ResourceNotFoundError:
        return False


async def is_empty(queue: QueueClient) -> bool:
    return (await queue.get_queue_properties()).approximate_message_count == 0


async def test_failed_messages_are_retried_and_in_the_end_poisoned(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    """Also: a queue that does not exist yet is no error, and a success deletes its message."""
    app = write_app(tmp_path, SOURCE)
    overrides = {
        "AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "2",
        "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
    }
    with a_host(app, azurite_connection, settings={"QUEUE": unique, **overrides}) as host:
        queue = await queues.create_queue(unique)
        for body in ("good", "fails", "fails once"):
            await queue.send_message(body)

        await eventually(lambda: "start fails 2" in host.events and "end fails once" in host.events)
        poison = queues.get_queue_client(f"{unique}-poison")
        await eventually(lambda: holds(poison, "fails"))
        assert sorted(host.events) == [
            "end fails once",
            "end good",
            "start fails 1",
            "start fails 2",
            "start fails once 1",
            "start fails once 2",
            "start good 1",
        ]
        await eventually(lambda: is_empty(queue))


async def test_base64_is_the_default_and_what_is_not_is_poisoned_untouched(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    app = write_app(tmp_path, SOURCE, {"version": "2.0"})
    queue = await queues.create_queue(unique)
    await queue.send_message("{not base64}")
    await queue.send_message(base64.b64encode(b"good").decode())
    with a_host(app, azurite_connection, settings={"QUEUE": unique}) as host:
        await eventually(lambda: "end good" in host.events)
        poison = queues.get_queue_client(f"{unique}-poison")
        await eventually(lambda: holds(poison, "{not base64}"))
        assert host.events == ["start good 1", "end good"]


async def test_functions_see_the_metadata_of_their_message(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    app = write_app(tmp_path, METADATA)
    queue = await queues.create_queue(unique)
    sent = await queue.send_message('{"a": 1}', time_to_live=3600)
    with a_host(app, azurite_connection, settings={"QUEUE": unique}) as host:
        await eventually(lambda: len(host.events) == 1)
        identity, count, receipt, body, inserted, expires, hidden = json.loads(host.events[0])
    assert (identity, count, body) == (sent.id, 1, {"a": 1})
    assert receipt
    assert inserted == str(sent.inserted_on)
    assert expires == str(sent.expires_on)
    assert hidden.startswith("0:1")


async def test_a_message_stays_hidden_while_its_function_runs(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    """Hidden for two seconds, running for four: without renewal it would be run again."""
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    await queue.send_message("takes 4")
    with a_host(app, azurite_connection, ["--message-hiding", "2"], settings={"QUEUE": unique}) as host:
        await eventually(lambda: "end takes 4" in host.events)
        await eventually(lambda: is_empty(queue))
        assert host.events == ["start takes 4 1", "end takes 4"]


async def test_a_function_that_outlives_its_time_fails(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    await queue.send_message("never ends")
    overrides = {
        "AzureFunctionsJobHost__functionTimeout": "00:00:01",
        "AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "1",
    }
    with a_host(app, azurite_connection, settings={"QUEUE": unique, **overrides}) as host:
        await eventually(lambda: "Timeout value of 00:00:01 exceeded by function work" in host.log)
        poison = queues.get_queue_client(f"{unique}-poison")
        await eventually(lambda: holds(poison, "never ends"))
        assert host.events == ["start never ends 1", "cancelled"]


async def test_a_terminated_host_lets_its_function_finish(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    await queue.send_message("takes 1.5")
    with a_host(app, azurite_connection, settings={"QUEUE": unique}) as host:
        await eventually(lambda: host.events == ["start takes 1.5 1"])
        host.signal(signal.SIGTERM)
        assert host.wait() == 0
        assert host.events == ["start takes 1.5 1", "end takes 1.5"]
    assert await is_empty(queue)


async def test_a_function_that_outlives_the_grace_period_is_cancelled_and_its_message_kept(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    await queue.send_message("never ends")
    with a_host(app, azurite_connection, ["--grace", "0.2"], settings={"QUEUE": unique}) as host:
        await eventually(lambda: host.events == ["start never ends 1"])
        host.signal(signal.SIGTERM)
        assert host.wait() == 0
        assert host.events == ["start never ends 1", "cancelled"]
    assert not await is_empty(queue)


async def test_a_second_signal_ends_the_host_at_once(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    await queue.send_message("never ends")
    with a_host(app, azurite_connection, settings={"QUEUE": unique}) as host:
        await eventually(lambda: host.events == ["start never ends 1"])
        host.signal(signal.SIGINT)
        await eventually(lambda: "Stopping" in host.log)
        host.signal(signal.SIGINT)
        assert host.wait() == 128 + signal.SIGINT
        assert host.events == ["start never ends 1"]


async def test_the_message_of_a_killed_host_is_run_again(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    await queue.send_message("takes 1")
    with a_host(app, azurite_connection, ["--message-hiding", "2"], settings={"QUEUE": unique}) as host:
        await eventually(lambda: host.events == ["start takes 1 1"])
        host.process.kill()
        host.wait()
    with a_host(app, azurite_connection, ["--message-hiding", "2"], settings={"QUEUE": unique}) as host:
        await eventually(lambda: "end takes 1" in host.events)
        assert host.events == ["start takes 1 1", "start takes 1 2", "end takes 1"]
