"""Who is let in: by tokens, by the platform's header, on this machine alone; and as which user."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from asyncservice.organization.organization import Organization
from asyncservice.organization.requests import Create, Update
from asyncservice.organization.wellknown import LOCAL_USER, SYSTEM_USER
from asyncservice.settings import Settings
from asyncservice.storage.memory import MemoryStorage
from asyncservice.webapi.application import WebApi
from asyncservice.webapi.authentication import Authentication
from asyncservice.webapi.exchange import Caller, Headers, Request, Response
from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.permissions import Role
from tests.support import VirtualClock
from tests.webapi.identityprovider import ANN, AUDIENCE, CLIENT, TENANT, IdentityProvider, an_identity_provider

AZURE = {"WEBSITE_SITE_NAME": "app", "WEBSITE_INSTANCE_ID": "1"}
HERE = {"Host": "localhost:7071"}


class World:
    """A Web API behind a door; it answers every request with who asks."""

    def __init__(self, environ: Mapping[str, str] | None = None, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.organization = Organization(MemoryStorage())
        self.door = Authentication.of(Settings(**settings), environ or {})
        self.seen: list[Caller] = []
        parts = {"accounts": self.answer, "systemusers": self.answer}
        self.api = WebApi(self.organization, clock=self.clock, door=self.door, parts=parts)

    async def open(self) -> "World":
        await self.organization.create()
        await self.organization.seed(now=self.clock.now())
        return self

    async def answer(self, _api: Any, request: Request) -> Response:
        self.seen.append(request.user)
        return Response()

    async def ask(self, headers: Mapping[str, str] = HERE, *, method: str = "GET", path: str = "accounts") -> Response:
        return await self.api.answer(Request(method=method, path=path, headers=Headers(headers)))

    async def user(self, user_id: UUID) -> Mapping[str, Any]:
        found = await self.organization.find("systemuser", user_id)
        assert found is not None
        return found.values

    async def users(self) -> int:
        scan = self.organization.source("systemuser").scan()
        return len([row async for row in scan.rows])


def told(response: Response) -> tuple[int, str, str]:
    """Return status, code and message of an error."""
    assert response.headers["Content-Type"].startswith("application/json")
    error = json.loads(response.body)["error"]
    assert error["message"]
    return response.status, error["code"], error["message"]


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with an_identity_provider() as running:
        yield running


@pytest.fixture
async def world(provider: IdentityProvider) -> World:
    """Return a world that asks for tokens."""
    return await World(auth_tenant=TENANT, auth_authority=provider.url, auth_audience=AUDIENCE).open()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# Nobody vouches ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "settings"),
    [
        ({}, {}),
        (AZURE, {}),
        # In Azure nothing is local, whatever a setting says.
        (AZURE, {"auth_local": True}),
        ({"WEBSITE_POD_NAME": "1"}, {"auth_local": True}),
        # That authentication is on is for the platform to say, not for a setting on some other machine.
        ({"WEBSITE_AUTH_ENABLED": "True"}, {}),
        (AZURE | {"WEBSITE_AUTH_ENABLED": "False"}, {}),
    ],
)
async def test_where_nobody_vouches_for_callers_all_are_refused(
    environ: Mapping[str, str], settings: Mapping[str, Any]
) -> None:
    world = await World(environ, **settings).open()
    for headers in (HERE, bearer("x"), principal_header(roles=["Administrator"])):
        for method, path in (("GET", "accounts"), ("POST", "accounts"), ("POST", "$batch"), ("GET", "")):
            response = await world.ask(headers, method=method, path=path)
            status, code, message = told(response)
            assert (status, code) == (401, "0x8005f101")
            assert "ASYNCSERVICE_AUTH_TENANT" in message
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert (world.seen, await world.users()) == ([], 2)


# Tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer  "},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer a, Bearer b"},
        {"X-MS-CLIENT-PRINCIPAL": "e30="},
        {"X-MS-TOKEN-AAD-ACCESS-TOKEN": "x"},
        {"x-functions-key": "x"},
    ],
)
async def test_without_a_token_nobody_is_let_in(world: World, headers: Mapping[str, str]) -> None:
    response = await world.ask(headers)
    assert told(response)[:2] == (401, "0x8005f101")
    assert "authorization_uri=" in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_with_a_token_somebody_is(world: World, provider: IdentityProvider, scheme: str) -> None:
    assert (await world.ask({"authorization": f"{scheme} {provider.token()}"})).status == 204
    assert world.seen[0].roles == {"Reader"}


async def test_without_the_role_the_answer_is_403_and_no_user_is_made(world: World, provider: IdentityProvider) -> None:
    for roles, method in ((None, "GET"), (["Reader"], "POST"), (["Other"], "GET")):
        response = await world.ask(bearer(provider.token(roles=roles)), method=method)
        assert told(response)[:2] == (403, "0x80040220")
    assert await world.users() == 2


async def test_a_bad_token_is_told_before_a_bad_url(world: World) -> None:
    assert told(await world.ask({}, path="accounts(((("))[0] == 401


async def test_when_keys_cannot_be_had_the_answer_is_503(world: World, provider: IdentityProvider) -> None:
    provider.status = 500
    response = await world.ask(bearer(provider.token()))
    assert told(response)[0] == 503
    assert response.headers["Retry-After"] == "30"


async def test_local_does_not_count_where_tokens_are_asked_for(provider: IdentityProvider) -> None:
    world = await World(auth_tenant=TENANT, auth_authority=provider.url, auth_audience=AUDIENCE, auth_local=True).open()
    assert told(await world.ask())[0] == 401


# App Service Authentication ---------------------------------------------------------------------------------------


def principal_header(claims: list[tuple[str, str]] | None = None, *, roles: list[str] | None = None) -> dict[str, str]:
    given = claims or [
        ("http://schemas.microsoft.com/identity/claims/objectidentifier", str(ANN)),
        ("name", "Ann Bee"),
        ("preferred_username", "ann@example.org"),
    ]
    listed = [{"typ": kind, "val": value} for kind, value in [*given, *(("roles", role) for role in roles or [])]]
    text = json.dumps({"auth_typ": "aad", "claims": listed, "name_typ": "name", "role_typ": "roles"})
    return {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(text.encode()).decode()}


@pytest.fixture
async def platform() -> World:
    """Return a world in Azure, with App Service Authentication on."""
    return await World(AZURE | {"WEBSITE_AUTH_ENABLED": "True"}).open()


async def test_the_platform_s_header_says_who_calls(platform: World) -> None:
    assert (await platform.ask(principal_header(roles=["Submitter"]), method="POST")).status == 204
    [caller] = platform.seen
    user = await platform.user(caller.user_id)
    assert (user["azureactivedirectoryobjectid"], user["fullname"]) == (ANN, "Ann Bee")
    assert told(await platform.ask(principal_header(roles=["Reader"]), method="POST"))[0] == 403


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        "e30=",
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b'{"claims": 5}').decode(),
        base64.b64encode(b'{"claims": [5]}').decode(),
        base64.b64encode(b"[" * 40_000).decode(),
        "A" * 70_000,
        principal_header([("name", "nobody")])["X-MS-CLIENT-PRINCIPAL"],
        principal_header([("oid", "no guid")])["X-MS-CLIENT-PRINCIPAL"],
    ],
)
async def test_a_header_that_says_nothing_lets_nobody_in(platform: World, header: str) -> None:
    assert told(await platform.ask({"X-MS-CLIENT-PRINCIPAL": header}))[0] == 401


async def test_both_ways_in_may_be_open(provider: IdentityProvider) -> None:
    world = await World(
        AZURE | {"WEBSITE_AUTH_ENABLED": "true"},
        auth_tenant=TENANT,
        auth_authority=provider.url,
        auth_audience=AUDIENCE,
    ).open()
    assert (await world.ask(bearer(provider.token()))).status == 204
    assert (await world.ask(principal_header(roles=["Reader"]))).status == 204
    # Who brings a token is judged by it.
    assert told(await world.ask(principal_header(roles=["Administrator"]) | bearer("x")))[0] == 401


# This machine alone -----------------------------------------------------------------------------------------------


@pytest.fixture
async def local() -> World:
    return await World(auth_local=True, auth_local_names="org.test, Other.Test").open()


@pytest.mark.parametrize(
    "headers",
    [
        HERE,
        {"Host": "127.0.0.1:80"},
        {"Host": "[::1]:7071"},
        {"Host": "LOCALHOST"},
        {"Host": "org.localhost:1"},
        {"Host": "other.test"},
        {},
        {"Host": "localhost", "X-Forwarded-Host": "org.test"},
        {"Host": "localhost:7071", "Origin": "http://localhost:7071", "Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost:7071", "Sec-Fetch-Site": "none"},
        {"Host": "localhost", "Authorization": "Bearer anything"},
        {"Host": "localhost", "X-MS-CLIENT-PRINCIPAL": "forged"},
    ],
)
async def test_on_this_machine_nobody_is_asked(local: World, headers: Mapping[str, str]) -> None:
    assert (await local.ask(headers, method="POST", path="systemusers")).status == 204
    assert local.seen == [Caller(user_id=LOCAL_USER, roles=Role.ADMINISTRATOR.including)]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:7071"},
        {"Host": "localhost.evil.example"},
        {"Host": "10.0.0.1"},
        {"Host": "["},
        {"Host": "localhost", "X-Forwarded-Host": "evil.example"},
        {"Host": "localhost", "Forwarded": "for=127.0.0.1;host=evil.example"},
        {"Host": "localhost", "Origin": "https://evil.example"},
        {"Host": "localhost", "Origin": "null"},
        {"Host": "localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_pages_of_others_in_a_browser_on_this_machine_are_refused(
    local: World, headers: Mapping[str, str]
) -> None:
    status, _, message = told(await local.ask(headers, method="POST"))
    assert status == 403
    assert "ASYNCSERVICE_AUTH_LOCAL_NAMES" in message


# Users ------------------------------------------------------------------------------------------------------------


async def test_who_is_seen_for_the_first_time_becomes_a_user(world: World, provider: IdentityProvider) -> None:
    await world.ask(bearer(provider.token(name="Ann Maria Bee")))
    [caller] = world.seen
    user = await world.user(caller.user_id)
    assert (user["firstname"], user["lastname"], user["domainname"]) == ("Ann Maria", "Bee", "ann@example.org")
    assert user["azureactivedirectoryobjectid"] == ANN
    await world.ask(bearer(provider.token()))
    assert (world.seen[1].user_id, await world.users()) == (caller.user_id, 3)


async def test_an_application_becomes_an_application_user(world: World, provider: IdentityProvider) -> None:
    await world.ask(bearer(provider.token(scp=None, preferred_username=None, name=None, idtyp="app")))
    user = await world.user(world.seen[0].user_id)
    assert (user["applicationid"], user["accessmode"], user["lastname"]) == (CLIENT, 4, str(CLIENT))


async def test_many_first_requests_at_once_make_one_user(world: World, provider: IdentityProvider) -> None:
    token = provider.token()
    answers = await asyncio.gather(*(world.ask(bearer(token)) for _ in range(20)))
    assert {answer.status for answer in answers} == {204}
    assert len({caller.user_id for caller in world.seen}) == 1
    assert await world.users() == 3


async def test_a_user_that_is_there_is_found_by_its_object_id(world: World, provider: IdentityProvider) -> None:
    user_id = await a_user(world, ANN)
    await world.ask(bearer(provider.token()))
    assert world.seen[0].user_id == user_id


async def test_a_disabled_user_is_refused_within_a_minute(world: World, provider: IdentityProvider) -> None:
    await world.ask(bearer(provider.token()))
    disable = Update(entity="systemuser", id=world.seen[0].user_id, values={"isdisabled": True})
    await world.organization.transact([disable], now=world.clock.now(), by=SYSTEM_USER)
    world.clock.jump(timedelta(seconds=61))
    assert told(await world.ask(bearer(provider.token())))[:2] == (403, "0x80072560")


@pytest.mark.parametrize("name", ["", " ", "x" * 5000, "\N{GRINNING FACE}" * 300, "a\x00b"])
async def test_odd_names_are_no_hindrance(world: World, provider: IdentityProvider, name: str) -> None:
    token = provider.token(name=name, preferred_username=name, scp="x")
    response = await world.ask(bearer(token))
    assert response.status == 204, response.body


# Acting for others ------------------------------------------------------------------------------------------------


async def a_user(world: World, object_id: UUID, **values: object) -> UUID:
    given = {
        "lastname": "Bob",
        "firstname": "B",
        "domainname": f"{object_id}",
        "azureactivedirectoryobjectid": object_id,
    }
    create = Create(entity="systemuser", values=given | values)
    [made] = await world.organization.transact([create], now=world.clock.now(), by=SYSTEM_USER)
    return made.id


@pytest.mark.parametrize("form", ["{}", "{{{}}}"])
async def test_an_administrator_may_act_for_another_user(local: World, form: str) -> None:
    bob_at_the_directory = uuid4()
    bob = await a_user(local, bob_at_the_directory)
    for header, value in (("mscrmcallerid", bob), ("CALLEROBJECTID", bob_at_the_directory)):
        assert (await local.ask(HERE | {header: form.format(value)})).status == 204
    assert (
        await local.ask(HERE | {"MSCRMCallerID": str(bob), "CallerObjectId": str(bob_at_the_directory)})
    ).status == 204
    acting = Caller(user_id=bob, on_behalf_of=LOCAL_USER, roles=Role.ADMINISTRATOR.including)
    assert local.seen == [acting] * 3


async def test_acting_for_oneself_is_acting(local: World) -> None:
    await local.ask(HERE | {"MSCRMCallerID": str(LOCAL_USER)})
    assert local.seen == [Caller(user_id=LOCAL_USER, roles=Role.ADMINISTRATOR.including)]


async def test_an_empty_header_asks_for_nothing(local: World) -> None:
    await local.ask(HERE | {"MSCRMCallerID": "", "CallerObjectId": " "})
    assert local.seen[0].on_behalf_of is None


async def test_nobody_can_act_for_a_user_who_is_not_there(local: World) -> None:
    disabled = await a_user(local, uuid4(), isdisabled=True)
    bob = await a_user(local, uuid4())
    for headers in (
        {"MSCRMCallerID": str(uuid4())},
        {"CallerObjectId": str(uuid4())},
        {"MSCRMCallerID": str(disabled)},
        {"MSCRMCallerID": str(bob), "CallerObjectId": str(uuid4())},
    ):
        assert told(await local.ask(HERE | headers))[:2] == (403, "0x80072560")
    assert told(await local.ask(HERE | {"MSCRMCallerID": "ann"}))[0] == 400
    assert local.seen == []


async def test_only_administrators_may(world: World, provider: IdentityProvider) -> None:
    bob = await a_user(world, uuid4())
    headers = {"MSCRMCallerID": str(bob)}
    refused = await world.ask(bearer(provider.token(roles=["Operator"])) | headers)
    assert told(refused)[:2] == (403, "0x80040220")
    assert (await world.ask(bearer(provider.token(roles=["Administrator"])) | headers)).status == 204
    assert world.seen[0].user_id == bob


# Too much ---------------------------------------------------------------------------------------------------------


async def test_too_large_a_body_is_413() -> None:
    world = await World(auth_local=True, api_max_body=1024).open()
    request = Request(method="POST", path="accounts", headers=Headers(HERE), body=b"x" * 1025)
    status, _, message = told(await world.api.answer(request))
    assert status == 413
    assert "ASYNCSERVICE_API_MAX_BODY" in message


async def test_too_many_at_once_are_429() -> None:
    world = await World(auth_local=True, api_caller_concurrency=2).open()
    go = asyncio.Event()

    async def slow(_api: Any, _request: Request) -> Response:
        await go.wait()
        return Response()

    world.api._parts = {"accounts": slow}
    asked = [asyncio.create_task(world.ask()) for _ in range(5)]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=20)
    await asyncio.sleep(0)
    go.set()
    answers = await asyncio.gather(*asked)
    assert done
    assert sorted(answer.status for answer in answers) == [204, 204, 429, 429, 429]
    refused = next(answer for answer in answers if answer.status == 429)
    assert told(refused)[1] == "0x80072326"
    assert int(refused.headers["Retry-After"]) >= 1


# By other ways ----------------------------------------------------------------------------------------------------


async def served(provider: IdentityProvider) -> tuple[WebApi, Organization]:
    """Return the whole Web API behind a door that asks for tokens."""
    world = await World(auth_tenant=TENANT, auth_authority=provider.url, auth_audience=AUDIENCE).open()
    return WebApi(world.organization, clock=world.clock, door=world.door), world.organization


async def post(api: WebApi, path: str, body: Any, headers: Mapping[str, str], *, method: str = "POST") -> Response:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await api.answer(Request(method=method, path=path, headers=Headers(headers), body=text))


async def test_a_submitter_gets_at_users_by_no_other_way(provider: IdentityProvider) -> None:
    api, organization = await served(provider)
    headers = bearer(provider.token(roles=["Submitter"])) | {"Content-Type": "application/json"}
    assert (await post(api, "accounts", {"name": "fine"}, headers)).status == 204
    account = (await organization.records("account").named("fine"))[0].id
    mine = f"systemusers({LOCAL_USER})"
    batch = "\r\n".join(
        [
            "--b",
            "Content-Type: application/http",
            "",
            f"PATCH {mine} HTTP/1.1",
            "Content-Type: application/json",
            "",
            "{}",
        ]
    )
    change_set = "\r\n".join(
        [
            "--b",
            "Content-Type: multipart/mixed; boundary=c",
            "",
            "--c",
            "Content-Type: application/http",
            "Content-ID: 1",
            "",
            f"PATCH {mine} HTTP/1.1",
            "Content-Type: application/json",
            "",
            '{"lastname": "changed"}',
            "--c--",
        ]
    )
    multipart = headers | {"Content-Type": "multipart/mixed; boundary=b"}
    tries = [
        await post(api, mine, {"lastname": "changed"}, headers, method="PATCH"),
        await post(api, f"accounts({account})/createdby", {"lastname": "changed"}, headers, method="PATCH"),
        await post(api, f"accounts({account})/createdby", b"", headers, method="DELETE"),
        await post(api, f"accounts({account})/createdby/lastname", {"value": "changed"}, headers, method="PUT"),
        await post(api, "accounts", {"name": "x", "owninguser": {"lastname": "new"}}, headers),
        await post(api, "systemusers/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": []}, headers),
        await post(api, "$batch", f"{batch}\r\n--b--\r\n".encode(), multipart),
        await post(api, "$batch", f"{change_set}\r\n--b--\r\n".encode(), multipart),
    ]
    for number, response in enumerate(tries):
        text = response.body.decode()
        assert response.status in {400, 403, 404, 405}, number
        assert "error" in text, number
    for number in (0, 5, 6, 7):
        assert "app role Administrator is needed" in tries[number].body.decode(), number
    user = await organization.find("systemuser", LOCAL_USER)
    assert user is not None
    assert user.values["lastname"] == "Developer"


# Endpoints beside the Web API -------------------------------------------------------------------------------------


async def checked(world: World, headers: Mapping[str, str], method: str = "GET", path: str = "/api/limits") -> int:
    try:
        await world.door.check(Headers(headers), method, path)
    except ApiError as error:
        return error.status
    return 200


async def test_endpoints_ask_for_the_role_where_callers_show_tokens(world: World, provider: IdentityProvider) -> None:
    assert await checked(world, {}) == 401
    assert await checked(world, {"x-functions-key": "x"}) == 401
    reader, operator = (bearer(provider.token(roles=[role])) for role in ("Reader", "Operator"))
    assert await checked(world, reader) == 200
    assert await checked(world, reader, "POST", "/api/poison/redrive") == 403
    assert await checked(world, operator, "POST", "/api/poison/redrive") == 200


async def test_the_platform_s_keys_count_where_nobody_else_vouches() -> None:
    assert await checked(World(AZURE), {}) == 200
    assert await checked(World({}), {}) == 401
    assert await checked(World(auth_local=True), HERE, "POST", "/api/poison/redrive") == 200
    assert await checked(World(auth_local=True), {"Host": "evil.example"}) == 403
    assert await checked(World(AZURE | {"WEBSITE_AUTH_ENABLED": "True"}), {}) == 401
