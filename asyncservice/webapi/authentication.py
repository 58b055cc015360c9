"""The door of the Web API: who a request comes from, which user that is here, and whether it may make it.

Somebody must vouch for every caller, and which of these do is decided once, from settings and from what the platform
says (`Trust`):

* tokens of the tenant that ASYNCSERVICE_AUTH_TENANT names, or of ASYNCSERVICE_AUTH_ISSUER;
* App Service Authentication, when the platform says that it is on: it removes the header from what clients send;
* nobody, where only this machine can reach the host: the local host says so with ASYNCSERVICE_AUTH_LOCAL.

Where none of them does, every request is refused with a sentence that names the setting. A header in which nobody
vouches for anything, forged or left over, counts for nothing.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Final, Self
from uuid import UUID

from asyncservice.organization.wellknown import LOCAL_USER
from asyncservice.settings import Settings
from asyncservice.webapi.admission import Admission, AdmissionLimits
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Caller, Headers, Request
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.localcallers import LocalCallers
from asyncservice.webapi.permissions import Role, needed, needed_at, require_role
from asyncservice.webapi.principals import PRINCIPAL_HEADER, Principal, forbidden, not_authenticated
from asyncservice.webapi.tokens import TokenRules, Tokens
from asyncservice.webapi.users import Users

#: Headers that name the user a caller acts for: by the id here, and by the object id in the directory.
CALLER_ID: Final = "MSCRMCallerID"
CALLER_OBJECT_ID: Final = "CallerObjectId"

#: What only a host of Azure sets. CONTAINER_NAME, which it sets too, other platforms set as well.
_PLATFORM: Final = ("WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME", "WEBSITE_POD_NAME")
_PLATFORM_AUTHENTICATION: Final = "WEBSITE_AUTH_ENABLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Who vouches for callers."""

    tokens: TokenRules | None = None
    #: App Service Authentication is on.
    platform: bool = False
    #: Only this machine can reach the host; who calls it is not asked.
    local: LocalCallers | None = None
    #: The host asks for function keys, where a function's level says so: Azure's does, local ones do not.
    keys: bool = False

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str]) -> Self:
        """Return what the settings and the platform say. In Azure nothing is local, whatever a setting says."""
        tokens = TokenRules.of(settings)
        in_azure = is_in_azure(environ)
        platform = in_azure and environ.get(_PLATFORM_AUTHENTICATION, "").lower() == "true"
        is_local = settings.auth_local and not in_azure and tokens is None
        local = LocalCallers.of(settings) if is_local else None
        return cls(tokens=tokens, platform=platform, local=local, keys=in_azure)

    @property
    def is_configured(self) -> bool:
        """Whether callers are asked who they are, and may answer."""
        return self.tokens is not None or self.platform


def is_in_azure(environ: Mapping[str, str]) -> bool:
    """Say whether this process runs on a host of Azure Functions."""
    return any(environ.get(name) for name in _PLATFORM)


class Authentication:
    """The door (context.Door). One for a process."""

    def __init__(
        self,
        trust: Trust,
        *,
        admission: Admission,
        max_body: int,
        tokens: Tokens | None = None,
        users: Users | None = None,
    ) -> None:
        self.trust = trust
        self._admission, self._max_body = admission, max_body
        self._tokens = tokens or (Tokens(trust.tokens) if trust.tokens is not None else None)
        self._users = users or Users()

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str]) -> Self:
        """Return the door that settings and environment describe."""
        return cls(
            Trust.of(settings, environ),
            admission=Admission(AdmissionLimits.of(settings)),
            max_body=settings.api_max_body,
        )

    @asynccontextmanager
    async def admitted(self, api: Api, request: Request) -> AsyncIterator[Caller]:
        """Let a request in while the context is open, saying whose it is.

        Raises ApiError: 401 when nobody vouches for the caller, 403 without the role or for an unknown user, 413 for
        too large a body, 429 when there are too many, 503 when a token cannot be checked now.
        """
        with self._admission.any():
            principal = await self.principal(request.headers)
            # A flood is counted by who sends it, before anything is read for it.
            with self._admission.of(principal.object_id):
                if len(request.body) > self._max_body:
                    raise ApiError(
                        f"The body has {len(request.body)} bytes; {self._max_body} is the limit "
                        "(ASYNCSERVICE_API_MAX_BODY). Send less at once.",
                        status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                        code=Code.NONE,
                    )
                yield await self._caller(api, request, principal)

    async def principal(self, headers: Headers) -> Principal:
        """Return whom somebody vouches for. Raises ApiError (401, 403, 503)."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if self._tokens is not None and (scheme or not self.trust.platform):
            if scheme.lower() != "bearer" or not token.strip():
                challenge = self._tokens.rules.challenge
                raise not_authenticated("Send a token: Authorization: Bearer <token>.", challenge=challenge)
            return await self._tokens.principal(token.strip())
        if self.trust.platform:
            header = headers.get(PRINCIPAL_HEADER)
            if not header:
                raise not_authenticated("Sign in: App Service Authentication knows nobody behind this request.")
            return Principal.of_header(header)
        if self.trust.local is not None:
            self.trust.local.check(headers)
            return _LOCAL
        raise not_authenticated(
            "This service does not know who may call it. Set ASYNCSERVICE_AUTH_TENANT and ASYNCSERVICE_AUTH_AUDIENCE, "
            "or turn App Service Authentication on. On a host that only this machine can reach, "
            "ASYNCSERVICE_AUTH_LOCAL=true lets everybody in."
        )

    async def check(self, headers: Headers, method: str, path: str) -> None:
        """Raise ApiError unless the caller of an endpoint beside the Web API may call it; *path* begins with `/api/`.

        Where nobody vouches for callers and the host asks for function keys, who has one has been let in already.
        """
        if self.trust.keys and not self.trust.is_configured:
            return
        principal = await self.principal(headers)
        caller = Caller(user_id=principal.object_id, roles=_labels(principal))
        require_role(caller, needed_at(method, path), f"{method} {path}")

    async def _caller(self, api: Api, request: Request, principal: Principal) -> Caller:
        roles = _labels(principal)
        role = needed(request.method, request.segments)
        # Those without a role are refused before they are made a user.
        require_role(Caller(user_id=principal.object_id, roles=roles), role, f"{request.method} /{request.path}")
        now = api.clock.now()
        user_id = LOCAL_USER if principal is _LOCAL else await self._users.of(api.organization, principal, now=now)
        return await self._acting(api, request.headers, Caller(user_id=user_id, roles=roles), now)

    async def _acting(self, api: Api, headers: Headers, caller: Caller, now: datetime) -> Caller:
        """Return the caller, as the user it asks to act for where it does. Raises ApiError (403)."""
        given = {name: headers[name].strip() for name in (CALLER_ID, CALLER_OBJECT_ID) if headers.get(name, "").strip()}
        if not given:
            return caller
        name, text = next(iter(given.items()))
        require_role(caller, Role.ADMINISTRATOR, f"the header {name}")
        try:
            wanted = {name: UUID(text) for name, text in given.items()}
        except ValueError:
            raise ApiError(f"{name} must be a GUID, not '{text[:100]}'.", code=Code.INVALID_ARGUMENT) from None
        found: set[UUID | None] = set()
        if CALLER_ID in wanted:
            found.add(await self._users.known(api.organization, wanted[CALLER_ID], now=now))
        if CALLER_OBJECT_ID in wanted:
            found.add(await self._users.by_object_id(api.organization, wanted[CALLER_OBJECT_ID], now=now))
        user_id = found.pop()
        if user_id is None or found:
            named = " and ".join(f"{name} {wanted[name]}" for name in wanted)
            raise forbidden(f"{named}: there is no such user, or it is disabled.")
        if user_id == caller.user_id:
            return caller
        return replace(caller, user_id=user_id, on_behalf_of=caller.user_id)


#: Whoever calls a host that only this machine can reach.
_LOCAL: Final = Principal(object_id=LOCAL_USER, role=Role.ADMINISTRATOR, name="Local Developer")


def _labels(principal: Principal) -> frozenset[str]:
    return frozenset() if principal.role is None else principal.role.including
