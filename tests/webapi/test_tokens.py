"""Which tokens are good, told by tokens that a provider on this machine signs and one that publishes its keys."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asyncservice.settings import Settings
from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.permissions import Role
from asyncservice.webapi.signingkeys import FRESH, KEPT, RETRY, SigningKeys
from asyncservice.webapi.tokens import LONGEST, TokenRules, Tokens
from tests.webapi.identityprovider import (
    ANN,
    AUDIENCE,
    CLIENT,
    KEY,
    OTHER_KEY,
    TENANT,
    IdentityProvider,
    an_identity_provider,
    new_key,
    pem,
    public,
)


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with an_identity_provider() as running:
        yield running


def rules(provider: IdentityProvider, **changed: Any) -> TokenRules:
    settings: dict[str, Any] = {
        "auth_tenant": TENANT,
        "auth_authority": provider.url,
        "auth_audience": f"{AUDIENCE}, other",
    }
    made = TokenRules.of(Settings(**(settings | changed)))
    assert made is not None
    return made


@pytest.fixture
def tokens(provider: IdentityProvider) -> Tokens:
    return Tokens(rules(provider))


async def refusal(tokens: Tokens, token: str) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await tokens.principal(token)
    return refused.value


async def test_a_good_token_says_who_calls(provider: IdentityProvider, tokens: Tokens) -> None:
    principal = await tokens.principal(provider.token(roles=["Other", "Submitter", "Reader"]))
    assert (principal.object_id, principal.role, principal.name) == (ANN, Role.SUBMITTER, "Ann Bee")
    assert (principal.username, principal.application_id) == ("ann@example.org", None)


async def test_a_token_of_version_1_is_as_good(provider: IdentityProvider, tokens: Tokens) -> None:
    token = provider.token(
        iss=f"https://sts.windows.net/{TENANT}/",
        azp=None,
        appid=str(CLIENT),
        preferred_username=None,
        upn="ann@x",
        ver="1.0",
    )
    assert (await tokens.principal(token)).username == "ann@x"


async def test_an_application_that_calls_for_itself_is_known_by_its_id(
    provider: IdentityProvider, tokens: Tokens
) -> None:
    token = provider.token(scp=None, preferred_username=None, name=None, idtyp="app", roles=["Operator"])
    principal = await tokens.principal(token)
    assert (principal.application_id, principal.role) == (CLIENT, Role.OPERATOR)


@pytest.mark.parametrize("roles", [None, [], ["reader", "READER"], "Root", ["Administrators"], [1, None, {}], {"a": 1}])
async def test_roles_that_are_not_ours_are_none(provider: IdentityProvider, tokens: Tokens, roles: Any) -> None:
    assert (await tokens.principal(provider.token(roles=roles))).role is None


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": LONG_AGO}, "has expired"),
    "just expired": ({"exp": datetime.now(UTC) - timedelta(minutes=2)}, "has expired"),
    "no expiry": ({"exp": None}, "MissingRequiredClaim"),
    "not yet": ({"nbf": datetime.now(UTC) + timedelta(hours=1)}, "ImmatureSignature"),
    "expiry is a text": ({"exp": "soon"}, "not valid"),
    "other audience": ({"aud": "api://else"}, "another audience"),
    "other audiences": ({"aud": ["a", "b"]}, "another audience"),
    "no audience": ({"aud": None}, "MissingRequiredClaim"),
    "other issuer": ({"iss": "https://login.microsoftonline.com/common/v2.0"}, "another issuer"),
    "issuer begins alike": ({"iss": f"https://sts.windows.net/{TENANT}/x"}, "another issuer"),
    "no issuer": ({"iss": None}, "MissingRequiredClaim"),
    "an id token": ({"azp": None, "nonce": "1"}, "no access token"),
    "no object id": ({"oid": None}, "object id"),
    "object id is no guid": ({"oid": "ann"}, "object id"),
    "object id is a number": ({"oid": 5}, "object id"),
    "signed by another": ({"key": OTHER_KEY}, "not valid"),
    "unknown key": ({"header": {"kid": "two"}}, "does not publish"),
    "another algorithm": ({"algorithm": "RS512"}, "RS256"),
    "no key id": ({"header": {"kid": None}}, "name the key"),
    "critical header": ({"header": {"crit": ["x"], "x": 1}}, "not valid|JSON Web Token"),
    "too long": ({"name": "x" * LONGEST}, "more than"),
}


@pytest.mark.parametrize("case", CHANGES)
async def test_a_token_is_refused(provider: IdentityProvider, tokens: Tokens, case: str) -> None:
    changed, told = CHANGES[case]
    refused = await refusal(tokens, provider.token(**changed))
    assert refused.status == 401
    assert refused.code == "0x8005f101"
    assert re.search(told, refused.message), refused.message
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")


def part(value: Any) -> str:
    return (
        base64.urlsafe_b64encode(json.dumps(value, default=lambda when: int(when.timestamp())).encode())
        .rstrip(b"=")
        .decode()
    )


def unsigned(provider: IdentityProvider, algorithm: str) -> str:
    return f"{part({'alg': algorithm, 'kid': 'one', 'typ': 'JWT'})}.{part(provider.claims())}."


def signed_with_the_public_key(provider: IdentityProvider, secret: bytes) -> str:
    text = f"{part({'alg': 'HS256', 'kid': 'one', 'typ': 'JWT'})}.{part(provider.claims())}"
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def changed_afterwards(provider: IdentityProvider) -> str:
    header, _, signature = provider.token().split(".")
    return f"{header}.{part(provider.claims(roles=['Administrator']))}.{signature}"


def brings_its_own_key(provider: IdentityProvider) -> str:
    mine = public(OTHER_KEY, "one")
    return provider.token(key=OTHER_KEY, header={"jwk": mine, "jku": f"{provider.url}/elsewhere", "x5u": provider.url})


FORGERIES: dict[str, Callable[[IdentityProvider], str]] = {
    "alg none": lambda provider: unsigned(provider, "none"),
    "alg None": lambda provider: unsigned(provider, "None"),
    "no signature": lambda provider: unsigned(provider, "RS256"),
    "public key as a secret": lambda provider: signed_with_the_public_key(provider, pem(KEY)),
    "key set as a secret": lambda provider: signed_with_the_public_key(provider, json.dumps(provider.keys[0]).encode()),
    "changed afterwards": changed_afterwards,
    "brings its own key": brings_its_own_key,
    "cut off": lambda provider: provider.token()[:-20],
    "empty": lambda _: "",
    "dots": lambda _: "..",
    "no json": lambda _: "YQ.YQ.YQ",
    "a list": lambda _: f"{part([])}.{part({})}.YQ",
    "deep": lambda _: f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.e30.YQ",
    "not ascii": lambda provider: provider.token() + "\N{EURO SIGN}",
}


@pytest.mark.parametrize("case", FORGERIES)
async def test_a_forgery_is_refused(provider: IdentityProvider, tokens: Tokens, case: str) -> None:
    assert (await refusal(tokens, FORGERIES[case](provider))).status == 401


async def test_clocks_may_differ_a_little(provider: IdentityProvider, tokens: Tokens) -> None:
    late = provider.token(exp=datetime.now(UTC) - timedelta(seconds=20))
    early = provider.token(nbf=datetime.now(UTC) + timedelta(seconds=20))
    assert {(await tokens.principal(token)).object_id for token in (late, early)} == {ANN}


async def test_one_audience_of_several_is_enough(provider: IdentityProvider, tokens: Tokens) -> None:
    assert (await tokens.principal(provider.token(aud="other"))).object_id == ANN


async def test_a_refusal_says_where_to_get_a_token(provider: IdentityProvider, tokens: Tokens) -> None:
    challenge = (await refusal(tokens, "x")).headers["WWW-Authenticate"]
    assert f'authorization_uri="{provider.url}/{TENANT}/oauth2/authorize"' in challenge
    assert f'resource_id="{AUDIENCE}"' in challenge


async def test_another_provider_is_discovered(provider: IdentityProvider) -> None:
    made = rules(provider, auth_tenant=None, auth_issuer=provider.issuer)
    assert (await Tokens(made).principal(provider.token(azp=None))).object_id == ANN


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://else", "jwks_uri": "https://else/keys"},
        {"issuer": "", "jwks_uri": 5},
        {"jwks_uri": "https://else/keys"},
    ],
)
async def test_a_discovery_of_another_issuer_counts_for_nothing(
    provider: IdentityProvider, document: dict[str, Any]
) -> None:
    provider.discovery = document
    made = rules(provider, auth_tenant=None, auth_issuer=provider.issuer)
    assert (await refusal(Tokens(made), provider.token())).status == 503


class Keys:
    """Signing keys whose time a test moves."""

    def __init__(self, provider: IdentityProvider) -> None:
        self.seconds = 1000.0
        self.provider = provider
        self.keys = SigningKeys(provider.keys_url, seconds=lambda: self.seconds)

    def passes(self, length: timedelta) -> None:
        self.seconds += length.total_seconds() + 1

    async def status(self, key_id: str) -> int:
        try:
            await self.keys.find(key_id)
        except ApiError as error:
            return error.status
        return 200


@pytest.fixture
def keys(provider: IdentityProvider) -> Keys:
    return Keys(provider)


async def test_keys_are_fetched_once_for_many_tokens(keys: Keys) -> None:
    assert await asyncio.gather(*(keys.status("one") for _ in range(50))) == [200] * 50
    assert keys.provider.asked == 1


async def test_a_new_key_is_found_when_a_token_names_it(keys: Keys) -> None:
    assert await keys.status("one") == 200
    keys.provider.keys = [public(OTHER_KEY, "two")]
    keys.passes(RETRY)
    assert (await keys.status("two"), keys.provider.asked) == (200, 2)
    # What is no longer published is no longer good.
    assert await keys.status("one") == 401


async def test_tokens_with_invented_keys_do_not_make_us_ask_again_and_again(keys: Keys) -> None:
    assert await asyncio.gather(*(keys.status(f"invented {number}") for number in range(100))) == [401] * 100
    assert keys.provider.asked == 1
    keys.passes(RETRY)
    assert await asyncio.gather(*(keys.status(f"invented {number}") for number in range(100))) == [401] * 100
    assert (keys.provider.asked, await keys.status("one")) == (2, 200)


async def test_keys_are_fetched_anew_after_a_while(keys: Keys) -> None:
    assert await keys.status("one") == 200
    keys.passes(FRESH)
    assert (await keys.status("one"), keys.provider.asked) == (200, 2)


async def test_keys_that_are_kept_count_while_the_provider_is_out(keys: Keys) -> None:
    assert await keys.status("one") == 200
    keys.provider.status = 500
    keys.passes(FRESH)
    assert await keys.status("one") == 200
    assert await keys.status("one") == 200
    assert keys.provider.asked == 2
    keys.passes(RETRY)
    assert (await keys.status("one"), keys.provider.asked) == (200, 3)
    keys.passes(KEPT)
    assert await keys.status("one") == 503
    keys.provider.status = 200
    keys.passes(RETRY)
    assert await keys.status("one") == 200


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, None),
        (302, None),
        (200, b"no json"),
        (200, b"[]"),
        (200, b'{"keys": 5}'),
        (200, b'{"keys": []}'),
        (200, b"[" * 100_000),
        (200, b'{"keys": "' + b"x" * 2**21 + b'"}'),
    ],
    ids=["error", "redirection", "no json", "list", "number", "none", "deep", "huge"],
)
async def test_without_keys_the_answer_is_not_now(keys: Keys, status: int, answer: bytes | None) -> None:
    keys.provider.status, keys.provider.answer = status, answer
    assert await keys.status("one") == 503
    with pytest.raises(ApiError) as refused:
        await keys.keys.find("one")
    assert refused.value.headers["Retry-After"] == "30"


async def test_a_provider_that_cannot_be_reached_is_an_outage() -> None:
    keys = SigningKeys("http://127.0.0.1:9/keys")
    with pytest.raises(ApiError) as refused:
        await keys.find("one")
    assert refused.value.status == 503


async def test_keys_that_do_not_fit_are_left_out(keys: Keys) -> None:
    keys.provider.keys += [
        public(OTHER_KEY, "for encryption", use="enc"),
        public(new_key(1024), "short"),
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "RSA", "kid": "broken", "n": "?", "e": "AQAB"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        public(OTHER_KEY, "of another algorithm", alg="RS512"),
    ]
    assert await keys.status("one") == 200
    for key_id in ("for encryption", "short", "secret", "broken"):
        assert await keys.status(key_id) == 401
