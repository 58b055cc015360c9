"""Who a request comes from, as whoever vouches for it says: a token, or App Service Authentication."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.permissions import Role

#: AccessTokenExpired, "The requested resource requires authentication": what 401 answers carry.
NOT_AUTHENTICATED: Final = "0x8005f101"
#: The user is not a member of the organization.
NOT_A_MEMBER: Final = "0x80072560"

#: The header in which App Service Authentication says who it let in.
PRINCIPAL_HEADER: Final = "X-MS-CLIENT-PRINCIPAL"
_LONGEST_HEADER: Final = 65_536
_SCHEMAS: Final = "http://schemas.microsoft.com/identity/claims/"
_XML_CLAIMS: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A user or an application that somebody trustworthy vouches for."""

    #: Its object id in the directory.
    object_id: UUID
    #: The highest role it was given; None when it has none of ours.
    role: Role | None
    #: For people; may be empty.
    name: str = ""
    #: The user principal name; empty for applications.
    username: str = ""
    #: The id of the client application, where it acts for itself.
    application_id: UUID | None = None

    @classmethod
    def of_claims(cls, claims: Mapping[str, Any]) -> "Principal":
        """Make one of the claims of a token that has been validated. Raises ApiError (401) without an object id."""
        username = _text(claims.get("preferred_username") or claims.get("upn"))
        # Tokens that an application got for itself: `idtyp` says so where it is sent, else the lack of scopes does.
        is_application = claims.get("idtyp") == "app" or ("scp" not in claims and not username)
        return cls(
            object_id=_object_id(claims.get("oid")),
            role=highest(_texts(claims.get("roles"))),
            name=_text(claims.get("name")),
            username=username,
            application_id=_guid(claims.get("azp") or claims.get("appid")) if is_application else None,
        )

    @classmethod
    def of_header(cls, header: str) -> "Principal":
        """Read App Service Authentication's header: base64 of JSON with a list of claims. Raises ApiError (401)."""
        if len(header) > _LONGEST_HEADER:
            raise not_authenticated(f"The header {PRINCIPAL_HEADER} is too long.")
        try:
            plain = json.loads(base64.b64decode(header, validate=True))
            claims = [(str(each["typ"]), str(each["val"])) for each in plain["claims"]]
            role_type = str(plain.get("role_typ") or "roles")
        except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise not_authenticated(f"The header {PRINCIPAL_HEADER} cannot be read.") from error
        found = dict(reversed(claims))
        username = found.get("preferred_username") or found.get(f"{_XML_CLAIMS}upn") or ""
        scopes = found.get("scp") or found.get("http://schemas.microsoft.com/identity/claims/scope")
        is_application = found.get("idtyp") == "app" or (not scopes and not username)
        return cls(
            object_id=_object_id(found.get("oid") or found.get(f"{_SCHEMAS}objectidentifier")),
            role=highest(value for kind, value in claims if kind in {"roles", role_type}),
            name=found.get("name", ""),
            username=username,
            application_id=_guid(found.get("azp") or found.get("appid")) if is_application else None,
        )


def highest(roles: Iterable[str]) -> Role | None:
    """Return the highest of the roles that are ours, or None when none is."""
    ours = {role.label: role for role in Role}
    return max((ours[each] for each in roles if each in ours), default=None)


def not_authenticated(message: str, *, challenge: str = "Bearer") -> ApiError:
    """Return the error of a request that nobody vouches for."""
    return ApiError(
        message,
        status=HTTPStatus.UNAUTHORIZED,
        code=NOT_AUTHENTICATED,
        headers={"WWW-Authenticate": challenge},
    )


def forbidden(message: str) -> ApiError:
    """Return the error for somebody who is known, but not here."""
    return ApiError(message, status=HTTPStatus.FORBIDDEN, code=NOT_A_MEMBER)


def _object_id(value: object) -> UUID:
    found = _guid(value)
    if found is None:
        raise not_authenticated("The caller has no object id (the claim 'oid', a GUID), so nobody knows who it is.")
    return found


def _guid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    given = value if isinstance(value, list) else [value]
    return [each for each in given if isinstance(each, str)]
