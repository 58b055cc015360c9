"""Timer functions on real hosts that share an account."""

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.storage.blob.aio import BlobServiceClient

from asyncservice.devhost.blobs import CONTAINER, AzureHostBlobs
from asyncservice.devhost.schedule import parse_schedule
from asyncservice.devhost.schedulestatus import ScheduleStatus, StatusStore
from tests.devhost.support import a_host, eventually, write_app

EVERY_SECOND = """
from datetime import datetime, UTC

@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
async def tick(timer: func.TimerRequest) -> None:
    note(os.environ["WHO"], datetime.now(UTC).strftime("%H:%M:%S"))
"""

HOURLY = """
import json

@app.timer_trigger(arg_name="timer", schedule="%SCHEDULE%")
def tick(timer: func.TimerRequest) -> None:
    note(json.dumps([timer.past_due, timer.schedule_status, timer.schedule]))
"""

QUICK = {"AzureFunctionsJobHost__singleton__listenerLockRecoveryPollingInterval": "00:00:00.3"}


async def test_two_hosts_run_a_timer_once_and_the_second_takes_over(
    tmp_path: Path, azurite_connection: str, unique: str
) -> None:
    app = write_app(tmp_path, EVERY_SECOND)
    settings = {"AzureFunctionsWebHost__hostid": unique, **QUICK}
    with (
        a_host(app, azurite_connection, settings={"WHO": "first", **settings}) as first,
        a_host(app, azurite_connection, settings={"WHO": "second", **settings}) as second,
    ):
        await eventually(lambda: len(first.events) >= 3)
        assert len({event.split()[0] for event in first.events}) == 1
        holder, other = (first, second) if first.events[0].startswith("first") else (second, first)
        holder.signal(signal.SIGTERM)
        assert holder.wait() == 0
        before = len(first.events)
        await eventually(lambda: len(first.events) >= before + 2)
        assert other.process.poll() is None
        times = [event.split()[1] for event in first.events]
    assert len(times) == len(set(times))


async def test_a_timer_that_missed_its_time_is_past_due_and_its_status_is_kept(
    tmp_path: Path, azurite_connection: str, unique: str
) -> None:
    schedule, now = "0 0 * * * *", datetime.now(UTC)
    last = parse_schedule(schedule, now).next_after(now) - timedelta(hours=5)
    async with BlobServiceClient.from_connection_string(azurite_connection) as service:
        store = StatusStore(AzureHostBlobs(service), unique)
        name = "Host.Functions.tick"
        await store.write(name, ScheduleStatus(last=last, next=last + timedelta(hours=1), last_updated=last))
        app = write_app(tmp_path, HOURLY)
        settings = {"AzureFunctionsWebHost__hostid": unique, "SCHEDULE": schedule}
        with a_host(app, azurite_connection, settings=settings) as host:
            await eventually(lambda: len(host.events) == 1)
            past_due, status, seen = json.loads(host.events[0])
            host.signal(signal.SIGTERM)
            assert host.wait() == 0
            assert len(host.events) == 1
        assert past_due is True
        assert status["Next"] == (last + timedelta(hours=1)).isoformat()
        assert seen == {"AdjustForDST": True}
        blob = service.get_blob_client(CONTAINER, f"timers/{unique}/{name}/status")
        stored = json.loads(await (await blob.download_blob()).readall())
        assert datetime.fromisoformat(stored["Last"]) >= now
        assert stored["LastUpdated"] == stored["Last"]
