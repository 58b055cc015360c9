"""Hosts that cannot start say why; settings reach the app; apps can be run within a process."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from asyncservice.devhost import Azurite, AzuriteFailed, HostError
from asyncservice.devhost.azurite import find_azurite, find_node
from asyncservice.devhost.functions import QueueTrigger, read_function
from tests.devhost.support import a_host, eventually, write_app

FUNCTION = """
@app.route("x")
async def x(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("x")
"""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "no_such_module"),
        ("", "no function_app.py with functions"),
        (
            """@app.queue_trigger(arg_name="m", queue_name="%NOWHERE%", connection="")
async def f(m: func.QueueMessage) -> None: ...""",
            "'%NOWHERE%' does not resolve to a value",
        ),
        (
            '@app.timer_trigger(arg_name="t", schedule="sometimes")\nasync def f(t: func.TimerRequest) -> None: ...',
            "'sometimes' is neither",
        ),
        (
            """@app.queue_trigger(arg_name="m", queue_name="q", connection="Elsewhere")
async def f(m: func.QueueMessage) -> None: ...""",
            "no storage connection 'Elsewhere'",
        ),
        (
            '@app.blob_trigger(arg_name="b", path="x", connection="")\nasync def f(b: func.InputStream) -> None: ...',
            "knows queue, timer and HTTP triggers",
        ),
    ],
)
def test_an_app_that_cannot_be_run_is_refused(
    tmp_path: Path, azurite_connection: str, source: str, reason: str
) -> None:
    with a_host(write_app(tmp_path, source), azurite_connection, ready=False) as host:
        assert host.wait() == 1
        assert reason in host.log
        assert host.process.stdout is not None
        assert host.process.stdout.read() == ""


def test_a_port_that_is_taken_is_told(tmp_path: Path, azurite_connection: str) -> None:
    app = write_app(tmp_path, FUNCTION)
    with a_host(app, azurite_connection) as first:
        port = first.url.rpartition(":")[2]
        with a_host(app, azurite_connection, ["--port", port], ready=False) as second:
            assert second.wait() == 1
            assert f"Port {port} of 127.0.0.1 cannot be used" in second.log


async def test_local_settings_reach_the_app_and_the_environment_wins(tmp_path: Path, azurite_connection: str) -> None:
    source = FUNCTION + 'note(os.environ["ONE"], os.environ["TWO"], os.environ["FUNCTIONS_WORKER_RUNTIME"])\n'
    app = write_app(tmp_path, source)
    (app / "local.settings.json").write_text(json.dumps({"Values": {"ONE": "file", "TWO": "file"}}))
    with a_host(app, azurite_connection, settings={"TWO": "environment"}) as host:
        await eventually(lambda: host.events == ["file environment python"])
        host.signal(signal.SIGINT)
        assert host.wait() == 0


async def test_a_request_under_way_is_answered_before_the_host_ends(tmp_path: Path, azurite_connection: str) -> None:
    source = """
@app.route("slow")
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    note("started")
    await asyncio.sleep(1)
    return func.HttpResponse("done")
"""
    app = write_app(tmp_path, source)
    with a_host(app, azurite_connection) as host:
        async with aiohttp.ClientSession(host.url) as session, asyncio.TaskGroup() as tasks:
            request = tasks.create_task(session.get("/slow"))
            await eventually(lambda: host.events == ["started"])
            host.signal(signal.SIGTERM)
            await eventually(lambda: "Stopping" in host.log)
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get("/slow")
            async with await request as answer:
                assert await answer.text() == "done"
        assert host.wait() == 0


def test_bindings_that_are_not_known_are_refused() -> None:
    trigger = {"type": "queueTrigger", "name": "m", "queueName": "Q", "connection": None}
    assert read_function("1", "f", [trigger]).trigger == QueueTrigger(queue="q", connection="")
    with pytest.raises(HostError, match="0 triggers"):
        read_function("1", "f", [])
    with pytest.raises(HostError, match="queue binding"):
        read_function("1", "f", [trigger, {"type": "queue", "name": "out"}])


async def test_the_emulator_keeps_its_data_and_tells_of_requests(tmp_path: Path) -> None:
    from azure.storage.queue.aio import QueueServiceClient  # noqa: PLC0415

    log = tmp_path / "access.log"
    async with (
        Azurite(data=tmp_path / "data", access_log=log) as emulator,
        QueueServiceClient.from_connection_string(emulator.connection_string) as queues,
    ):
        port = emulator.ports[0]
        await (await queues.create_queue("kept")).send_message("x")
        with pytest.raises(AzuriteFailed, match="in use already"):
            await Azurite(port=port).start()
    assert '"POST /devstoreaccount1/kept/messages' in log.read_text()
    async with (
        Azurite(data=tmp_path / "data") as emulator,
        QueueServiceClient.from_connection_string(emulator.connection_string) as queues,
    ):
        assert [message.content for message in await queues.get_queue_client("kept").peek_messages()] == ["x"]


def test_what_is_not_installed_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_node().exists()
    assert find_azurite().exists()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AzuriteFailed, match="make install"):
        find_node()


async def test_the_emulator_does_not_outlive_its_parent(tmp_path: Path) -> None:
    source = (
        "import asyncio, os, sys\n"
        "from asyncservice.devhost import Azurite\n"
        "async def main():\n"
        "    async with Azurite() as emulator:\n"
        "        print(emulator.ports[0], flush=True)\n"
        "        await asyncio.sleep(1000)\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen(  # noqa: ASYNC220 - returns once forked
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stdout is not None
    with process.stdout:
        port = int(process.stdout.readline())
        assert is_open(port)
        process.kill()
        process.wait()
    await eventually(lambda: not is_open(port))


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
