"""Worker processes: work in parallel, die and are replaced, end with their host, give back what they run."""

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
from azure.storage.queue.aio import QueueServiceClient

from asyncservice.devhost.errors import ConfigurationInvalid
from asyncservice.devhost.messages import TypedData
from asyncservice.devhost.settings import worker_processes
from asyncservice.devhost.wire import pack, unpack
from tests.devhost.support import HostProcess, a_host, eventually, write_app
from tests.devhost.test_host_queue import is_empty

SOURCE = """
import signal
import time

print("loaded by", os.getpid())
note("loaded", os.getpid())

async def held():
    # Stands for a client that an app keeps open for as long as its process lives.
    try:
        yield
    finally:
        note("closed", os.getpid())

holding = held()

@app.route("pid")
async def pid(req: func.HttpRequest) -> func.HttpResponse:
    await anext(holding, None)
    return func.HttpResponse(str(os.getpid()))

@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage) -> None:
    body = message.get_body().decode()
    note("start", body, message.dequeue_count, os.getpid())
    if body == "dies" and message.dequeue_count == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if body == "blocks" and message.dequeue_count == 1:
        while True:
            time.sleep(0.05)
    if body == "never ends":
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            note("cancelled", os.getpid())
            raise
    note("end", body, os.getpid())

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
def tick(timer: func.TimerRequest) -> None:
    note("tick", os.getpid())
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def noted(host: HostProcess, word: str) -> list[list[str]]:
    return [line.split()[1:] for line in host.events if line.split()[0] == word]


def loaded(host: HostProcess) -> list[int]:
    """Return the processes that have loaded the app, dead ones included."""
    return [int(pid) for (pid,) in noted(host, "loaded")]


def two(unique: str) -> dict[str, str]:
    return {"FUNCTIONS_WORKER_PROCESS_COUNT": "2", "QUEUE": unique}


async def test_invocations_of_every_trigger_are_spread_over_the_processes(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    with a_host(app, azurite_connection, settings=two(unique)) as host:
        workers = set(loaded(host))
        assert len(workers) == 2
        assert host.process.pid not in workers
        async with aiohttp.ClientSession(host.url) as session:
            answers = Counter([int(await (await session.get("/pid")).text()) for _ in range(10)])
        assert answers.keys() == workers
        for number in range(10):
            await queue.send_message(f"message {number}")
        await eventually(lambda: len(noted(host, "end")) == 10)
        assert {int(words[-1]) for words in noted(host, "end")} == workers
        await eventually(lambda: len(noted(host, "tick")) == 1)
        assert all(f"loaded by {pid}" in host.log for pid in workers)

        host.signal(signal.SIGTERM)
        assert host.wait() == 0
        assert not any(is_alive(pid) for pid in workers)
        assert {int(pid) for (pid,) in noted(host, "closed")} == workers, (
            "the event loop of each was ended in good order"
        )


async def test_a_process_that_dies_is_replaced_and_its_message_comes_back(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    with a_host(app, azurite_connection, settings=two(unique)) as host:
        before = loaded(host)
        await queue.send_message("dies")
        await eventually(lambda: len(noted(host, "end")) == 1)
        await eventually(lambda: is_empty(queue))
        first, second = noted(host, "start")
        assert (first[:2], second[:2]) == (["dies", "1"], ["dies", "2"])
        assert f"Worker process {first[2]} ended with code -9 while the function ran" in host.log
        await eventually(lambda: len(loaded(host)) == 3)
        new = loaded(host)[-1]
        assert new not in before

        async def answers() -> set[int]:
            async with aiohttp.ClientSession(host.url) as session:
                return {int(await (await session.get("/pid")).text()) for _ in range(4)}

        async def both_answer() -> bool:
            return await answers() == {*before, new} - {int(first[2])}

        await eventually(both_answer)


async def test_a_function_that_cannot_be_cancelled_ends_with_its_process(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    settings = two(unique) | {"AzureFunctionsJobHost__functionTimeout": "00:00:01"}
    with a_host(app, azurite_connection, settings=settings) as host:
        await queue.send_message("blocks")
        await eventually(lambda: [words[0] for words in noted(host, "end")] == ["blocks"], within=40)
        assert "Timeout value of 00:00:01 exceeded by function work" in host.log
        blocked = int(noted(host, "start")[0][2])
        assert not is_alive(blocked)


async def test_worker_processes_do_not_outlive_a_host_that_is_killed(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    """One of them is idle, the other is busy in a way that its event loop sees nothing."""
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    with a_host(app, azurite_connection, settings=two(unique)) as host:
        await queue.send_message("blocks")
        await eventually(lambda: len(noted(host, "start")) == 1)
        workers = loaded(host)
        assert all(is_alive(pid) for pid in workers)
        host.signal(signal.SIGKILL)
        host.wait()
        await eventually(lambda: not any(is_alive(pid) for pid in workers))


async def test_what_runs_is_cancelled_when_the_grace_period_ends(
    tmp_path: Path, azurite_connection: str, queues: QueueServiceClient, unique: str
) -> None:
    """A signal that reaches the workers, too, changes nothing: they end when their host says so."""
    app = write_app(tmp_path, SOURCE)
    queue = await queues.create_queue(unique)
    with a_host(app, azurite_connection, ["--grace", "0.5"], settings=two(unique)) as host:
        await queue.send_message("never ends")
        await eventually(lambda: len(noted(host, "start")) == 1)
        for pid in loaded(host):
            os.kill(pid, signal.SIGTERM)
        host.signal(signal.SIGTERM)
        assert host.wait() == 0
        assert len(noted(host, "cancelled")) == 1


def test_an_app_that_cannot_be_loaded_is_refused_with_its_reason(tmp_path: Path, azurite_connection: str) -> None:
    app = write_app(tmp_path, "import no_such_module")
    settings = {"FUNCTIONS_WORKER_PROCESS_COUNT": "2"}
    with a_host(app, azurite_connection, settings=settings, ready=False) as host:
        assert host.wait() == 1
        assert "The functions could not be indexed: ModuleNotFoundError" in host.log
        assert "no_such_module" in host.log


def test_the_number_of_processes_is_checked() -> None:
    name = "FUNCTIONS_WORKER_PROCESS_COUNT"
    assert [worker_processes(each) for each in ({}, {name: ""}, {name: "0"}, {name: "10"})] == [1, 1, 1, 10]
    with pytest.raises(ConfigurationInvalid, match="10 is the most"):
        worker_processes({name: "11"})
    with pytest.raises(ConfigurationInvalid, match="'two'"):
        worker_processes({name: "two"})


async def test_messages_between_processes_arrive_as_they_were_sent() -> None:
    """Also maps that look like the protocol's own objects, and text that is no valid Unicode."""
    answer = SimpleNamespace(
        status_code=200,
        headers={"bytes": "0", "x": "\ud800"},
        cookies=[SimpleNamespace(name="a", secure=SimpleNamespace(value=True), expires=None)],
        body=TypedData(bytes=b"\x00\xff" * 100_000),
    )
    sent = {
        "value": TypedData(http=answer),
        "nothing": TypedData(),
        "map": {"bytes": 0, "record": [1.5, "ä", None], "data": {}},
        "second": b"",
    }
    reader = asyncio.StreamReader()
    reader.feed_data(pack(sent) + pack({"do": "stop"}))
    reader.feed_eof()
    got = await unpack(reader)
    http = got["value"].http
    assert (got["value"].kind, got["nothing"].kind) == ("http", None)
    assert (http.status_code, http.headers, http.cookies) == (200, answer.headers, answer.cookies)
    assert http.body.bytes == answer.body.bytes
    assert json.dumps(got["map"]) == json.dumps(sent["map"])
    assert got["second"] == b""
    assert await unpack(reader) == {"do": "stop"}
    with pytest.raises(TypeError, match="cannot hold object"):
        pack({"what": object()})
