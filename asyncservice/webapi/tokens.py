"""Bearer tokens of Microsoft Entra ID, or of another provider of OpenID Connect: validated by PyJWT.

What is checked: the signature (RS256 and nothing else, with a key that the issuer publishes), issuer, audience, `exp`
and `nbf` with some leeway, and that it is an access token. What is refused is told in one sentence, without its text.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

import jwt

from asyncservice.settings import Settings
from asyncservice.webapi.principals import Principal, not_authenticated
from asyncservice.webapi.signingkeys import SigningKeys

#: The only algorithm: that of Microsoft Entra ID. Neither `none` nor one with a shared secret can take its place.
ALGORITHM: Final = "RS256"
#: The longest token that is looked at, in characters.
LONGEST: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Which tokens are good."""

    issuers: tuple[str, ...]
    audiences: tuple[str, ...]
    leeway: timedelta
    #: Where the signing keys are; empty: where *discovery_url* says.
    keys_url: str
    discovery_url: str
    #: Where clients get tokens; told to those that come without one.
    authorization_uri: str
    #: Whether tokens name their client application: those of Entra ID do, its ID tokens do not.
    names_application: bool

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return what the settings say, or None when they say nothing of tokens."""
        if not settings.asks_for_tokens:
            return None
        audiences = tuple(each.strip() for each in (settings.auth_audience or "").split(",") if each.strip())
        issuer = (settings.auth_issuer or "").strip()
        if settings.auth_tenant is None:
            return cls(
                issuers=(issuer,),
                audiences=audiences,
                leeway=settings.auth_leeway,
                keys_url=settings.auth_keys_url or "",
                discovery_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
                authorization_uri=issuer,
                names_application=False,
            )
        authority = f"{settings.auth_authority.rstrip('/')}/{settings.auth_tenant}"
        return cls(
            # Which form a token has, the registration of the application decides (requestedAccessTokenVersion).
            issuers=(
                issuer or f"{authority}/v2.0",
                f"https://sts.windows.net/{settings.auth_tenant}/",
            ),
            audiences=audiences,
            leeway=settings.auth_leeway,
            keys_url=settings.auth_keys_url or f"{authority}/discovery/v2.0/keys",
            discovery_url="",
            authorization_uri=f"{authority}/oauth2/authorize",
            names_application=True,
        )

    @property
    def challenge(self) -> str:
        """What WWW-Authenticate says: where to get a token, and for what, in the form Dataverse's clients read."""
        return f'Bearer authorization_uri="{self.authorization_uri}", resource_id="{self.audiences[0]}"'


class Tokens:
    """Validates tokens by the rules."""

    def __init__(self, rules: TokenRules, keys: SigningKeys | None = None) -> None:
        self.rules = rules
        self._keys = keys or SigningKeys(rules.keys_url, discovery_url=rules.discovery_url, issuer=rules.issuers[0])

    async def principal(self, token: str) -> Principal:
        """Return whose token it is. Raises ApiError: 401 when it is not good, 503 when that cannot be found out."""
        if len(token) > LONGEST:
            raise self._refused(f"The token has more than {LONGEST} characters.")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, RecursionError) as error:
            raise self._refused("The token is no JSON Web Token.") from error
        if header.get("alg") != ALGORITHM:
            raise self._refused(f"The token is not signed with {ALGORITHM}.")
        key_id = header.get("kid")
        if not isinstance(key_id, str):
            raise self._refused("The token does not name the key it is signed with.")
        return Principal.of_claims(self._claims(token, await self._keys.find(key_id)))

    def _claims(self, token: str, key: Any) -> dict[str, Any]:  # noqa: ANN401 - PyJWT says Any of keys, too
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self.rules.audiences,
                issuer=self.rules.issuers,
                leeway=self.rules.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise self._refused("The token has expired; get a new one.") from error
        except jwt.InvalidAudienceError as error:
            raise self._refused("The token is for another audience than ASYNCSERVICE_AUTH_AUDIENCE names.") from error
        except jwt.InvalidIssuerError as error:
            raise self._refused("The token is of another issuer than the one that is trusted here.") from error
        except jwt.PyJWTError as error:
            raise self._refused(f"The token is not valid: {type(error).__name__}.") from error
        if self.rules.names_application and not (claims.get("azp") or claims.get("appid")):
            raise self._refused("The token is no access token: it names no client application (azp or appid).")
        return claims

    def _refused(self, message: str) -> Exception:
        return not_authenticated(message, challenge=f'{self.rules.challenge}, error="invalid_token"')
