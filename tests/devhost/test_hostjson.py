"""host.json: defaults, values, overrides, and what is refused."""

import json
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from asyncservice.devhost.errors import ConfigurationInvalid
from asyncservice.devhost.hostjson import HostJson, MessageEncoding


def parse(**sections: Any) -> HostJson:
    return HostJson.parse({"version": "2.0", **sections})


def test_an_empty_file_has_the_documented_defaults() -> None:
    host = parse()

    assert (host.queues.batch_size, host.queues.new_batch_threshold, host.queues.max_dequeue_count) == (16, 8, 5)
    assert host.queues.visibility_timeout == timedelta(0)
    assert host.queues.message_encoding is MessageEncoding.BASE64
    assert host.http.route_prefix == "api"
    assert host.function_timeout == timedelta(minutes=30)


def test_values_are_read() -> None:
    host = parse(
        functionTimeout="00:10:00",
        singleton={"listenerLockPeriod": "00:00:15", "listenerLockRecoveryPollingInterval": "00:00:05"},
        logging={"logLevel": {"default": "Warning", "Host.Triggers.Queues": "Trace"}},
        extensions={
            "http": {"routePrefix": ""},
            "queues": {
                "batchSize": 32,
                "newBatchThreshold": 4,
                "maxDequeueCount": 2,
                "visibilityTimeout": "00:00:30",
                "maxPollingInterval": "00:00:05",
                "messageEncoding": "none",
            },
        },
    )

    assert (host.queues.batch_size, host.queues.new_batch_threshold, host.queues.max_dequeue_count) == (32, 4, 2)
    assert host.queues.visibility_timeout == timedelta(seconds=30)
    assert host.queues.max_polling_interval == timedelta(seconds=5)
    assert host.queues.message_encoding is MessageEncoding.NONE
    assert host.http.route_prefix == ""
    assert host.function_timeout == timedelta(minutes=10)
    assert host.singleton.listener_lock_period == timedelta(seconds=15)
    assert host.log_levels == {"default": logging.WARNING, "Host.Triggers.Queues": logging.DEBUG}


def test_the_threshold_follows_the_batch_size() -> None:
    assert parse(extensions={"queues": {"batchSize": 20}}).queues.new_batch_threshold == 10


def test_minus_one_is_no_time_limit() -> None:
    assert parse(functionTimeout="-1").function_timeout is None


@pytest.mark.parametrize(
    "sections",
    [
        {"version": "1.0"},
        {"extensions": {"queues": {"batchSize": 33}}},
        {"extensions": {"queues": {"batchSize": "many"}}},
        {"extensions": {"queues": {"newBatchThreshold": -1}}},
        {"extensions": {"queues": {"maxDequeueCount": 0}}},
        {"extensions": {"queues": {"visibilityTimeout": "-00:00:01"}}},
        {"extensions": {"queues": {"maxPollingInterval": "00:00:00.05"}}},
        {"extensions": {"queues": {"maxPollingInterval": "often"}}},
        {"extensions": {"queues": {"messageEncoding": "utf-7"}}},
        {"extensions": []},
        {"functionTimeout": "00:00:00"},
        {"singleton": {"listenerLockPeriod": "00:02:00"}},
        {"singleton": {"listenerLockRecoveryPollingInterval": "00:00:00"}},
        {"logging": {"logLevel": {"default": "Loud"}}},
    ],
)
def test_what_the_host_cannot_follow_is_refused(sections: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationInvalid):
        HostJson.parse({"version": "2.0", **sections})


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    path.write_text(json.dumps({"version": "2.0", "extensions": {"queues": {"batchSize": 4}}}))

    host = HostJson.read(
        path,
        {
            "AzureFunctionsJobHost__extensions__queues__batchSize": "12",
            "AzureFunctionsJobHost__functionTimeout": "00:00:07",
        },
    )

    assert host.queues.batch_size == 12
    assert host.function_timeout == timedelta(seconds=7)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_file_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "host.json"
    path.write_text(text)
    with pytest.raises(ConfigurationInvalid, match=r"host\.json"):
        HostJson.read(path, {})


def test_a_directory_without_the_file_is_no_app(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="is this a function app"):
        HostJson.read(tmp_path / "host.json", {})
