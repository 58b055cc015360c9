"""Requests to a service that misbehaves: a real HTTP server that answers as each test wants."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import pytest
from aiohttp import web
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, AzureSasCredential
from azure.data.tables.aio import TableClient

from asyncservice.storage.azure import DEVELOPMENT_ACCOUNT, DEVELOPMENT_KEY
from asyncservice.storage.azure_http import AzureSession, Credential
from asyncservice.storage.azure_tables import AzureTable, table_session
from asyncservice.storage.errors import RowConflict, StorageRefused, StorageUnavailable
from asyncservice.storage.tables import Delete, Insert, Replace

KEY = AzureNamedKeyCredential(DEVELOPMENT_ACCOUNT, DEVELOPMENT_KEY)

type Answers = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Service:
    """A service that gives prepared answers, one after the other, the last one for ever."""

    answers: list[Answers] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.requests.append(request)
        return await (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)


@asynccontextmanager
async def a_service(*answers: Answers) -> AsyncIterator[Service]:
    service = Service(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    service.url = f"http://127.0.0.1:{port}/{DEVELOPMENT_ACCOUNT}"
    try:
        yield service
    finally:
        await runner.cleanup()


def says(status: int, code: str = "", **headers: str) -> Answers:
    async def answer(_: web.Request) -> web.StreamResponse:
        body = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "no"}}}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=status, headers=named)

    return answer


async def cuts(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


class Pauses(list[float]):
    """The pauses that were made. None takes any time."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@asynccontextmanager
async def a_session(
    service: Service, credential: Credential = KEY, suffix: str = "", **options: Any
) -> AsyncIterator[AzureSession]:
    session = table_session(service.url + suffix, credential, **options)
    try:
        yield session
    finally:
        await session.close()


@asynccontextmanager
async def a_table(service: Service, pauses: Pauses) -> AsyncIterator[AzureTable]:
    async with (
        a_session(service, sleep=pauses) as session,
        TableClient(service.url, "Things", credential=KEY) as client,
    ):
        yield AzureTable(client, session)


DONE = says(204, ETag="new")


@pytest.mark.parametrize("trouble", [says(500), says(503), says(408), says(429), cuts], ids=str)
async def test_what_passes_is_tried_again(trouble: Answers, pauses: Pauses) -> None:
    async with a_service(trouble, trouble, DONE) as service, a_table(service, pauses) as table:
        assert await table.commit("p", [Insert("k", {})]) == ["new"]
    assert len(service.requests) == 3
    assert len(pauses) == 2
    assert pauses[0] < pauses[1]


@pytest.mark.parametrize("trouble", [says(503), cuts], ids=["busy", "cut"])
async def test_what_does_not_pass_is_no_answer(trouble: Answers, pauses: Pauses) -> None:
    async with a_service(trouble) as service, a_table(service, pauses) as table:
        with pytest.raises(StorageUnavailable):
            await table.read("p", "k")
    assert len(service.requests) == len(pauses) + 1 == 4


async def test_nobody_there_is_no_answer(pauses: Pauses) -> None:
    async with a_service(DONE) as service:
        pass
    async with a_table(service, pauses) as table:
        with pytest.raises(StorageUnavailable):
            await table.read("p", "k")
    assert len(pauses) == 3


async def test_the_service_says_how_long_it_wants_to_be_left_alone(pauses: Pauses) -> None:
    async with a_service(says(429, Retry_After="7"), DONE) as service, a_table(service, pauses) as table:
        await table.commit("p", [Insert("k", {})])
    assert pauses == [7]
    async with a_service(says(429, Retry_After="600")) as service, a_table(service, pauses) as table:
        with pytest.raises(StorageUnavailable):
            await table.commit("p", [Insert("k", {})])
    assert (len(service.requests), pauses) == (1, [7])


@pytest.mark.parametrize("write", [Insert("k", {}), Replace("k", {}, "old"), Delete("k", "old")])
@pytest.mark.parametrize("trouble", [says(500), cuts], ids=["broken", "cut"])
async def test_a_conflict_after_a_try_without_a_clear_answer_may_be_that_try(
    write: Insert | Replace | Delete, trouble: Answers, pauses: Pauses
) -> None:
    refusal = says(409, "EntityAlreadyExists") if isinstance(write, Insert) else says(412, "ConditionNotMet")
    async with a_service(trouble, refusal) as service, a_table(service, pauses) as table:
        with pytest.raises(StorageUnavailable):
            await table.commit("p", [write])
        with pytest.raises(RowConflict):
            await table.commit("p", [write])
    assert len(pauses) == 1


async def test_a_conflict_after_a_try_that_was_turned_away_is_a_conflict(pauses: Pauses) -> None:
    async with a_service(says(429), says(409, "EntityAlreadyExists")) as service, a_table(service, pauses) as table:
        with pytest.raises(RowConflict):
            await table.commit("p", [Insert("k", {})])
    assert len(pauses) == 1


async def test_what_is_forbidden_is_refused_at_once(pauses: Pauses) -> None:
    async with a_service(says(403, "AuthorizationPermissionMismatch")) as service, a_table(service, pauses) as table:
        with pytest.raises(StorageRefused, match="AuthorizationPermissionMismatch"):
            await table.read("p", "k")
    assert pauses == []


async def test_an_answer_that_is_none_is_not_taken_for_one(pauses: Pauses) -> None:
    async def nonsense(_: web.Request) -> web.StreamResponse:
        return web.Response(status=202, text="--batch\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")

    async with a_service(nonsense) as service, a_table(service, pauses) as table:
        with pytest.raises(StorageUnavailable, match="1 answers to 2 writes"):
            await table.commit("p", [Insert("a", {}), Insert("b", {})])


async def test_nothing_is_sent_after_the_end(pauses: Pauses) -> None:
    async with a_service(DONE) as service:
        async with a_table(service, pauses) as table:
            await table.commit("p", [Insert("k", {})])
        with pytest.raises(StorageUnavailable, match="closed"):
            await table.commit("p", [Insert("k", {})])
    assert len(service.requests) == 1


async def test_a_shared_access_signature_is_part_of_the_address() -> None:
    async with (
        a_service(DONE) as service,
        a_session(service, None, "?sv=1&sig=a%2Bb%3D") as by_address,
        a_session(service, AzureSasCredential("?sv=1&sig=a%2Bb%3D")) as by_credential,
    ):
        for session in (by_address, by_credential):
            await session.request("GET", "/Things()", query={"$filter": "PartitionKey eq 'p&q'"})
    expected = {"sv": "1", "sig": "a+b=", "$filter": "PartitionKey eq 'p&q'"}
    assert [dict(request.query) for request in service.requests] == [expected, expected]
    assert not any("Authorization" in request.headers for request in service.requests)


class Identity:
    """Gives tokens that end at prepared moments."""

    def __init__(self, *ends: int) -> None:
        self.ends = list(ends)
        self.given = 0

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert scopes == ("https://storage.azure.com/.default",)
        self.given += 1
        return AccessToken(f"token-{self.given}", self.ends.pop(0))

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None: ...


async def test_a_token_is_used_until_it_is_about_to_end() -> None:
    identity = Identity(10_000, 20_000)
    moments = iter((9_600, 9_800, 9_900))
    async with a_service(DONE) as service, a_session(service, identity, now=lambda: next(moments)) as session:
        for _ in range(4):
            await session.request("GET", "/Things()")
    sent = [request.headers["Authorization"] for request in service.requests]
    assert sent == ["Bearer token-1", "Bearer token-1", "Bearer token-2", "Bearer token-2"]
