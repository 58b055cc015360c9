"""Settings: the local file, placeholders, connections, switched-off functions, the host id."""

import json
from pathlib import Path

import pytest

from asyncservice.devhost.connections import Accounts, find_connection
from asyncservice.devhost.errors import ConfigurationInvalid
from asyncservice.devhost.hostidentity import host_id
from asyncservice.devhost.settings import is_disabled, read_local_settings, resolve, resolve_binding


def test_local_settings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "local.settings.json"
    path.write_text(json.dumps({"IsEncrypted": False, "Values": {"A": "1"}}))

    assert read_local_settings(path) == {"A": "1"}
    assert read_local_settings(tmp_path / "none.json") == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"Values": []}', '{"Values": {"A": 1}}', '{"IsEncrypted": true}'])
def test_local_settings_that_cannot_be_followed_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "local.settings.json"
    path.write_text(text)
    with pytest.raises(ConfigurationInvalid):
        read_local_settings(path)


def test_placeholders_become_settings() -> None:
    assert resolve("a-%B%-%C:D%", {"B": "b", "C__D": "d"}) == "a-b-d"
    with pytest.raises(ConfigurationInvalid, match="'%B%' does not resolve"):
        resolve("%B%", {})


def test_the_connection_is_a_name_and_not_a_template() -> None:
    binding = {"type": "queueTrigger", "queueName": "%Q%", "connection": "%Q%", "extra": 1}
    assert resolve_binding(binding, {"Q": "q"}) == {**binding, "queueName": "q"}


def test_functions_are_switched_off_by_a_setting() -> None:
    assert is_disabled("F", {"AzureWebJobs.F.Disabled": "true"})
    assert is_disabled("F", {"AzureWebJobs_F_Disabled": "1"})
    assert not is_disabled("F", {"AzureWebJobs.F.Disabled": "false", "AzureWebJobs.G.Disabled": "true"})


def test_a_connection_is_found_with_the_prefix_first() -> None:
    settings = {"AzureWebJobsMine": "prefixed", "Mine": "plain", "Other": "other", "AzureWebJobsStorage": "storage"}

    assert find_connection("Mine", settings).text == "prefixed"
    assert find_connection("Other", settings).text == "other"
    assert find_connection("", settings).text == "storage"
    assert find_connection("AzureWebJobsStorage", settings).text == "storage"


def test_a_connection_may_name_an_account_and_an_identity() -> None:
    found = find_connection(
        "", {"AzureWebJobsStorage__accountName": "acct", "AzureWebJobsStorage__credential": "managedidentity"}
    )
    assert (found.text, found.managed) == ("", True)
    assert found.address("queue") == "https://acct.queue.core.windows.net"

    found = find_connection("", {"AzureWebJobsStorage__queueServiceUri": "https://q.example"})
    assert found.address("queue") == "https://q.example"


async def test_identity_connections_make_clients_for_the_account() -> None:
    settings = {
        "AzureWebJobsStorage__accountName": "acct",
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": "00000000-0000-0000-0000-000000000001",
        "Second__accountName": "other",
    }
    async with Accounts(settings) as accounts:
        assert accounts.queues("").url == "https://acct.queue.core.windows.net/"
        assert accounts.blobs().url == "https://acct.blob.core.windows.net/"
        assert accounts.queues("Second").url == "https://other.queue.core.windows.net/"
        assert accounts.queues("") is accounts.queues("")


async def test_development_storage_is_the_emulator_on_its_usual_ports() -> None:
    async with Accounts({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}) as accounts:
        assert accounts.queues("").url == "http://127.0.0.1:10001/devstoreaccount1/"


async def test_a_connection_that_is_missing_or_malformed_says_so() -> None:
    with pytest.raises(ConfigurationInvalid, match="set AzureWebJobsMine"):
        find_connection("Mine", {})
    async with Accounts({"AzureWebJobsStorage": "nonsense"}) as accounts:
        with pytest.raises(ConfigurationInvalid):
            accounts.queues("")
        with pytest.raises(ConfigurationInvalid):
            accounts.blobs()


def test_hosts_of_one_app_share_an_id_and_others_do_not(tmp_path: Path) -> None:
    assert host_id(tmp_path, {}, "My-Laptop.local") == host_id(tmp_path, {}, "My-Laptop.local")
    assert host_id(tmp_path, {}) != host_id(tmp_path / "other", {})
    assert host_id(tmp_path, {}, "My-Laptop.local").startswith("mylaptoplocal-")
    assert host_id(tmp_path, {"AzureFunctionsWebHost__hostid": "given"}) == "given"
    with pytest.raises(ConfigurationInvalid):
        host_id(tmp_path, {"AzureFunctionsWebHost__hostid": "Not Valid"})
