"""What the endpoints for limits and poison messages answer, on memory: the triggers in front of them only translate."""

import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest

from asyncservice import upkeep
from asyncservice.operations import poison
from asyncservice.operations.handling import Registry
from asyncservice.operations.hints import INBOX
from asyncservice.service import Service
from asyncservice.settings import Settings
from asyncservice.storage.errors import StorageRefused, StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from asyncservice.upkeep import Answer, answered
from tests.operations.test_poison import ASKED, EMAIL, set_aside


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service(MemoryStorage(), settings=Settings(shards=4), handlers=Registry()) as service:
        yield service


async def redriven(service: Service, body: str) -> Answer:
    return await answered(lambda: upkeep.redrive_poison(service, body=body.encode()))


async def test_limits_are_told_with_the_partitions_of_the_table(service: Service) -> None:
    answer = await upkeep.read_limits(service)
    told: list[dict[str, Any]] = json.loads(json.dumps(answer.body))["value"]
    [shards] = [each for each in told if each["name"] == "shards"]
    assert (answer.status, shards["value"], shards["default"]) == (HTTPStatus.OK, 4, 16)
    assert any(each["name"] == "host.functionTimeout" for each in told)


async def test_poison_messages_are_listed_and_shown(service: Service) -> None:
    [message_id] = await set_aside(service.storage, ASKED)
    await set_aside(service.storage, "not ours", queue=EMAIL)
    everything = await upkeep.list_poison(service, queue=None)
    assert everything.body["queues"] == {INBOX: 1, EMAIL: 1}
    assert len(everything.body["value"]) == 2
    assert [each["queue"] for each in (await upkeep.list_poison(service, queue=EMAIL)).body["value"]] == [EMAIL]
    shown = await upkeep.show_poison(service, queue=INBOX, message_id=message_id)
    assert set(shown.body) == {"queue", "id", "insertedon", "reason", "text"}
    assert shown.body["text"] == ASKED


@pytest.mark.parametrize(
    ("body", "moved"), [('{"all": true}', 3), ('{"queue": "async-operations"}', 2), ('{"queue": "async-email"}', 1)]
)
async def test_messages_are_put_back_as_they_are_named(service: Service, body: str, moved: int) -> None:
    await set_aside(service.storage, ASKED, ASKED)
    await set_aside(service.storage, "not ours", queue=EMAIL)
    answer = await redriven(service, body)
    assert (answer.status, answer.body) == (HTTPStatus.OK, {"redriven": moved})
    assert sum((await poison.lengths(service.storage)).values()) == 3 - moved


async def test_one_message_is_put_back_once(service: Service) -> None:
    [message_id, _] = await set_aside(service.storage, ASKED, ASKED)
    body = json.dumps({"queue": INBOX, "id": message_id})
    assert (await redriven(service, body)).body == {"redriven": 1}
    again = await redriven(service, body)
    assert again.status == HTTPStatus.NOT_FOUND
    assert again.body["error"]["code"] == "0x80040217"
    assert message_id in again.body["error"]["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "The body says nothing of what to put back."),
        ("{}", "The body says nothing of what to put back."),
        ("[1]", "The body says nothing of what to put back."),
        ("{nonsense", "The body is no JSON"),
        ('{"message": 1}', "message is nothing that can be asked for."),
        ('{"id": 7}', "id must be a text."),
        ('{"queue": ""}', "queue must be a text."),
        ('{"all": "yes"}', "all must be true, and stand alone."),
        ('{"all": true, "id": "7"}', "all must be true, and stand alone."),
        ('{"queue": "async-coffee"}', "'async-coffee' is no queue of the service; it has async-operations"),
    ],
)
async def test_a_wrong_request_is_answered_with_what_to_change(service: Service, body: str, said: str) -> None:
    await set_aside(service.storage, ASKED)
    answer = await redriven(service, body)
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert answer.body["error"]["code"] == "0x80040203"
    assert said in answer.body["error"]["message"]
    assert await poison.lengths(service.storage) == {INBOX: 1}


async def test_what_is_not_there_is_not_found(service: Service) -> None:
    answer = await answered(lambda: upkeep.show_poison(service, queue=INBOX, message_id="7"))
    assert answer.status == HTTPStatus.NOT_FOUND
    wrong = await answered(lambda: upkeep.show_poison(service, queue="async-coffee", message_id="7"))
    assert wrong.status == HTTPStatus.BAD_REQUEST


async def test_a_storage_that_does_not_answer_is_told_with_when_to_come_back() -> None:
    async def busy() -> Answer:
        raise StorageUnavailable("503 ServerBusy")

    answer = await answered(busy)
    assert (answer.status, dict(answer.headers)) == (HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "5"})
    assert answer.body["error"]["code"] == "0x8004a001"

    async def forbidden() -> Answer:
        raise StorageRefused("403 AuthorizationFailure")

    refused = await answered(forbidden)
    assert refused.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "AuthorizationFailure" in refused.body["error"]["message"]


async def test_a_bug_is_not_dressed_up_as_an_answer() -> None:
    async def broken() -> Answer:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await answered(broken)
